"""Folders as `halion series` writes them, with energies known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from halion.files import write_json
from halion.orderings.types import OrderingCount
from halion.ranking import PlannedComposition, Relaxation, SeriesEntry, write_series

SHA = "04f2cc945c2ee4f7be64dd8b596cb2e14d2bfc6e6192e596a887f0a11cfe43be"
STACKING = {"LYC": "AB", "LYB": "ABC"}  # hexagonal and cubic close packing of the halides


def crystal(x: float, stacking: str, doubled: bool = False) -> Atoms:
    """Two formula units Li3YX6 in layers of six halides, packed as the letters say."""
    layers = stacking * (6 // len(stacking))
    shift = {"A": 0.0, "B": 1 / 3, "C": 2 / 3}
    a = 3.7 + 0.04 * x
    cell = np.array([[2 * a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, a * np.sqrt(2 / 3) * len(layers)]])
    halides = [
        ((k + shift[letter]) / 2, 2 * shift[letter] % 1, n / len(layers))
        for n, letter in enumerate(layers)
        for k in (0, 1)
    ]
    cations = [(0.25, 0.4, (n + 0.5) / 8) for n in range(8)]
    guests = round(2 * x)
    symbols = ["Br"] * guests + ["Cl"] * (12 - guests) + ["Li"] * 6 + ["Y"] * 2
    atoms = Atoms(symbols, scaled_positions=halides + cations, cell=cell, pbc=True)
    return atoms * (1, 1, 2) if doubled else atoms


def entry(name: str, x: float, energy: float, **changes) -> SeriesEntry:
    """One composition; `stacking`, `doubled` and `is_converged` as asked."""
    doubled = changes.get("doubled", False)
    atoms = crystal(x, changes.get("stacking", STACKING[name]), doubled)
    start = crystal(x, STACKING[name], doubled)
    n = 2 if doubled else 1
    plan = PlannedComposition(
        name=f"{name}{x:g}",
        parent=name,
        x=x,
        supercell=((1, 0, 0), (0, 1, 0), (0, 0, n)),
        n_atoms=len(atoms),
        n_sites=12 * n,
        n_guests=round(2 * x) * n,
        formula_units=2 * n,
        counts=(OrderingCount(total=924, distinct=80, group_order=12),),
        mirror="",
        is_listed=True,
        most_evaluated=10,
    )
    relaxation = Relaxation(
        atoms=atoms,
        energy=energy,
        is_converged=changes.get("is_converged", True),
        n_steps=10,
        max_force=0.005 if changes.get("is_converged", True) else 0.2,
        max_stress=0.0,
        volume_change=0.0,
        max_displacement=0.0,
        space_group_before="P1",
        space_group_after="P1",
    )
    return SeriesEntry(
        plan=plan,
        counts=plan.counts,
        cations=0,
        start=start,
        relaxation=relaxation,
        n_evaluated=10,
        n_refused=0,
        verdict="budget",
        surrogate=None,
        mixing_energy=0.0,
        runner_up=float("nan"),
        evidence="by hand",
    )


def write_folder(
    folder: Path,
    phases: Mapping[str, Callable[[float], float]],
    xs: Sequence[float],
    changes: Mapping[tuple[str, float], dict] | None = None,
    potential: str | None = "halion-LYCB-600K",
) -> Path:
    """A series; without a potential there is no record of what it was made with."""
    changes = changes or {}
    write_series(
        [entry(name, x, energy(x), **changes.get((name, x), {})) for name, energy in phases.items() for x in xs],
        folder,
    )
    if potential is not None:
        settings = {"force_tolerance_ev_per_angstrom": 0.01}
        write_json(folder / "inputs.json", {"series": {"elements": ["Cl", "Br"]}, "ranking": settings})
        for name in phases:
            (folder / "parents" / name).mkdir(parents=True)
            write_json(folder / "parents" / name / "inputs.json", {"potential": [potential, SHA]})
    return folder
