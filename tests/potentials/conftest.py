"""Structures and potentials that several tests of this room use."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.spacegroup import crystal
from potential_oracles import chgnet_in_double_precision

from halion.potentials import ChgnetPotential, EngineResult
from halion.potentials.chgnet_model import load_model
from halion.potentials.folded import FoldedWeights, fold

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def chgnet() -> ChgnetPotential:
    return ChgnetPotential()


def _hot(atoms: Atoms, amplitude: float, seed: int) -> Atoms:
    atoms = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    atoms.positions += np.random.default_rng(seed).normal(scale=amplitude, size=atoms.positions.shape)
    return atoms


@pytest.fixture(scope="session")
def structures() -> dict[str, Atoms]:
    """Small cells as they occur: hot, sheared, of mixed halides, and smaller than the cutoff."""
    halide = crystal(
        ["Y", "Li", "Br", "Br"],
        [(0, 0, 0), (0, 0.3336, 0), (0.2492, 0.1679, 0.2410), (0.7504, 0, 0.2417)],
        spacegroup="C 2/m",
        cellpar=[6.93, 11.97, 6.84, 90, 109.3, 90],
        primitive_cell=True,
    )
    mixed = _hot(halide, 0.08, 1)
    mixed.symbols[[k for k, symbol in enumerate(mixed.symbols) if symbol == "Br"][::2]] = "Cl"
    sheared = _hot(halide, 0.08, 2)
    shear = np.eye(3) + np.array([[0.03, 0.08, -0.05], [0.0, -0.02, 0.06], [0.0, 0.0, 0.01]])
    sheared.set_cell(sheared.cell.array @ shear, scale_atoms=True)
    rocksalt = crystal(
        ["Li", "Cl"],
        [(0, 0, 0), (0.5, 0.5, 0.5)],
        spacegroup=225,
        cellpar=[5.14] * 3 + [90] * 3,
        primitive_cell=True,
    )
    return {
        "hot bromide": _hot(halide, 0.12, 0),
        "mixed halide": mixed,
        "sheared": sheared,
        "two atoms that see their own images": _hot(rocksalt, 0.1, 3),
    }


@pytest.fixture(scope="session")
def hot_frames() -> list[Atoms]:
    """40 atoms of Li3YBr3Cl3 with the displacements of about 300, 600 and 1000 K, the cell strained."""
    cell = crystal(
        ["Y", "Li", "Br", "Br"],
        [(0, 0, 0), (0, 0.3336, 0), (0.2492, 0.1679, 0.2410), (0.7504, 0, 0.2417)],
        spacegroup="C 2/m",
        cellpar=[6.93, 11.97, 6.84, 90, 109.3, 90],
    ).repeat((1, 1, 2))
    frames = []
    for seed, amplitude in enumerate((0.10, 0.16, 0.22)):
        rng = np.random.default_rng(seed)
        frame = _hot(cell, amplitude, seed)
        halides = np.flatnonzero(cell.numbers == 35)
        frame.numbers[rng.permutation(halides)[: len(halides) // 2]] = 17
        frame.set_cell(frame.cell.array @ (np.eye(3) + rng.normal(scale=0.01, size=(3, 3))), scale_atoms=True)
        frames.append(frame)
    return frames


@pytest.fixture(scope="session")
def weights() -> FoldedWeights:
    """The pretrained weights, folded."""
    return fold(load_model())


@pytest.fixture(scope="session")
def in_double_precision() -> Callable[[Atoms], EngineResult]:
    """The pretrained chgnet evaluated in double precision."""
    model = load_model()
    return lambda atoms: chgnet_in_double_precision(model, atoms)
