"""The cells that the labels of this folder begin with: ranked orderings, binaries, mixtures."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal

from halion.crystal import load_crystal
from halion.labels import Frame
from halion.orderings import choose_composition, enumerate_orderings, exclusion_distances
from halion.potentials import load_potential
from halion.ranking import rank_orderings, relax
from halion.settings import RankingSettings

HALIDES = ("Cl", "Br")
BINARIES = ("LiCl", "LiBr", "YCl3", "YBr3")
# Volumes per atom between which a mixed cell starts, Angstrom^3: the fine-tuned model's own at rest.
VOLUME_OF_CL, VOLUME_OF_BR = 23.6, 29.0


def ranked(name: str) -> list[Atoms]:
    """Orderings of the refined cell by the energy of relaxed pretrained CHGNet."""
    refined = load_crystal(name)
    composition = choose_composition(refined, (1, 1, 1))
    orderings = enumerate_orderings(
        refined, composition, exclusions=exclusion_distances(refined, 2.5), limit=10_000
    )
    table = rank_orderings(orderings, load_potential("chgnet"), RankingSettings(relax_best=10, control=0))
    return [row.relaxation.atoms for row in table.rows]


def binaries() -> list[Frame]:
    """LiCl, LiBr, YCl3 and YBr3 at rest in pretrained CHGNet, and each strained and shaken twice."""
    cells = {
        "LiCl": (["Li", "Cl"], [(0, 0, 0), (0.5, 0.5, 0.5)], 225, [5.13] * 3 + [90] * 3),
        "LiBr": (["Li", "Br"], [(0, 0, 0), (0.5, 0.5, 0.5)], 225, [5.50] * 3 + [90] * 3),
        "YCl3": (
            ["Y", "Cl", "Cl"],
            [(0, 0.166, 0), (0.211, 0, 0.247), (0.229, 0.179, 0.760)],
            12,
            [6.92, 11.94, 6.44, 90, 111.0, 90],
        ),
        "YBr3": (["Y", "Br"], [(0, 0, 1 / 3), (0.3333, 0.0, 0.0833)], 148, [7.072, 7.072, 19.15, 90, 90, 120]),
    }
    rng, potential, frames = np.random.default_rng(3), load_potential("chgnet"), []
    for name, (symbols, basis, group, cell) in cells.items():
        start = crystal(symbols, basis, spacegroup=group, cellpar=cell, primitive_cell=True)
        rest = relax(start, potential, RankingSettings(max_steps=600)).atoms
        for k, stretch in enumerate((0.0, -0.02, 0.03)):
            atoms = rest.copy()
            if k:
                strain = np.eye(3) * (1 + stretch) + rng.normal(0, 0.01, (3, 3))
                atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
                atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
            frames.append(Frame(atoms=atoms, group=f"{name}-{k}"))
    return frames


def mixed(base: Atoms, x: float, seed: int) -> Atoms:
    """Halides of an ordered cell drawn anew for Li3YCl(6-x)Br(x), the cell scaled to the volume between."""
    places = np.flatnonzero(np.isin(base.symbols, HALIDES))
    bromine = set(np.random.default_rng(seed).permutation(places)[: round(x / 6 * len(places))].tolist())
    symbols = [
        ("Br" if i in bromine else "Cl") if symbol in HALIDES else symbol
        for i, symbol in enumerate(base.get_chemical_symbols())
    ]
    atoms = Atoms(symbols, positions=base.positions, cell=base.cell, pbc=True)
    volume = (VOLUME_OF_BR * x + VOLUME_OF_CL * (6 - x)) / 6
    atoms.set_cell(atoms.cell * (volume / (base.get_volume() / len(base))) ** (1 / 3), scale_atoms=True)
    return atoms
