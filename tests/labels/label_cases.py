"""Real labels in milliseconds: EMT copper and aluminium in the place of a code."""

from __future__ import annotations

import time

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from halion.errors import LabelError
from halion.labels import Frame, PotentialLabeller
from halion.potentials import PotentialFromAse


def emt_labeller() -> PotentialLabeller:
    return PotentialLabeller(PotentialFromAse(EMT(), name="emt", elements=["Cu", "Al"], weights_sha256="0" * 64))


def hot_cells(n: int, *, seed: int = 0, displacement: float = 0.1) -> list[Atoms]:
    """Cells of CuAl3 order, each strained and shaken on its own."""
    rng = np.random.default_rng(seed)
    cells = []
    for _ in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.numbers[1:] = 13
        atoms.set_cell(atoms.cell.array @ (1.08 * np.eye(3) + rng.normal(0, 0.01, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, displacement, (len(atoms), 3))
        cells.append(atoms)
    return cells


def frames(n: int, *, seed: int = 0) -> list[Frame]:
    return [
        Frame(atoms=atoms, group=f"run-{k % 2}", temperature_k=300.0 if k else None)
        for k, atoms in enumerate(hot_cells(n, seed=seed))
    ]


class Counting:
    """A labeller that counts what it labels, may fail on some, and may be slow."""

    def __init__(self, *, fails: tuple[str, ...] = (), pause_s: float = 0.0) -> None:
        self.inner, self.fails, self.pause_s = emt_labeller(), fails, pause_s
        self.method = self.inner.method
        self.asked: list[str] = []

    def label(self, atoms, folder):
        key = Frame(atoms=atoms, group="").key
        self.asked.append(key)
        (folder / "output.txt").write_text("working")
        time.sleep(self.pause_s)
        if key in self.fails:
            raise LabelError("not converged", where=str(folder), fix="take another")
        return self.inner.label(atoms, folder)
