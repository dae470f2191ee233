"""Labelled frames for the training tests: small hot halides, labelled by a CHGNet whose weights were moved."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import torch
from ase import Atoms
from ase.spacegroup import crystal

from halion.labels import Frame, Label, LabelledFrame, Provenance
from halion.potentials.chgnet_model import load_model
from halion.training.network import TrainableNetwork, graphed, predict


def halide(anion: str = "Br", mixed: int = 0) -> Atoms:
    """Ten atoms of Li3YX6, C2/m; `mixed` of the anions are chlorine."""
    atoms = crystal(
        ["Y", "Li", anion, anion],
        [(0, 0, 0), (0, 0.3336, 0), (0.2492, 0.1679, 0.2410), (0.7504, 0, 0.2417)],
        spacegroup="C 2/m",
        cellpar=[6.93, 11.97, 6.84, 90, 109.3, 90],
        primitive_cell=True,
    )
    # The third Li of the formula, on an octahedral site between the layers.
    atoms = Atoms(
        [*atoms.symbols, "Li"], positions=[*atoms.positions, atoms.cell.array[2] / 2], cell=atoms.cell, pbc=True
    )
    anions = np.flatnonzero(atoms.symbols == anion)
    for i in anions[:mixed]:
        atoms.symbols[i] = "Cl"
    return atoms


def hot(atoms: Atoms, seed: int, amplitude: float = 0.08) -> Atoms:
    rng = np.random.default_rng(seed)
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.01, (3, 3))), scale_atoms=True)
    moved.positions += rng.normal(0, amplitude, moved.positions.shape)
    return moved


def salt(seed: int, cation: str = "Li", anion: str = "Cl") -> Atoms:
    """Two atoms of rock salt, hot: the cheapest frame there is."""
    a = {"Cl": 5.13, "Br": 5.50}[anion]
    atoms = crystal(
        [cation, anion],
        [(0, 0, 0), (0.5, 0.5, 0.5)],
        spacegroup=225,
        cellpar=[a] * 3 + [90] * 3,
        primitive_cell=True,
    )
    return hot(atoms, seed, 0.1)


@functools.cache
def other_network() -> TrainableNetwork:
    """CHGNet with its readout and last convolution moved: what the labels of the tests come from."""
    network = TrainableNetwork(load_model())
    generator = torch.Generator().manual_seed(1)
    state = network.state()
    for name in network.trained:
        if name.startswith(("mlp.", "atom_conv_layers.3", "atom_conv_layers.2")):
            state[name] += (
                0.05 * state[name].std(correction=0) * torch.randn(state[name].shape, generator=generator)
            )
    network.load(state)
    return network


def labelled(structures: list[Atoms], *, groups: int = 4, method: str = "moved CHGNet") -> list[LabelledFrame]:
    """Frames with the labels of `other_network`."""
    blank = [
        LabelledFrame(
            frame=Frame(atoms=atoms, group=f"run-{k % groups}"),
            label=Label(
                energy=0.0,
                forces=np.zeros((len(atoms), 3)),
                stress=np.zeros((3, 3)),
                provenance=Provenance(method=method, code="test"),
            ),
        )
        for k, atoms in enumerate(structures)
    ]
    said = predict(other_network(), graphed(blank), 8)
    ends = np.cumsum([len(atoms) for atoms in structures])
    return [
        replace(
            one,
            label=replace(
                one.label,
                energy=float(said.energies[k]),
                forces=said.forces[ends[k] - len(one.frame.atoms) : ends[k]].numpy(),
                stress=said.stresses[k].numpy(),
            ),
        )
        for k, one in enumerate(blank)
    ]
