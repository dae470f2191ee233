"""Another potential in the place of a code: for distillation, and to show a loop in minutes."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from halion.labels.types import Label, Provenance, Relaxed
from halion.potentials.from_ase import PotentialCalculator
from halion.potentials.types import Potential

__all__ = ["PotentialLabeller"]


class PotentialLabeller:
    """A potential as a `Labeller`, always under its own name: what is learned from it is no better than it is.

    Args:
        potential: of any kind.
    Attributes:
        method: "potential NAME (first digits of the digest of its weights)".
    Checked by tests/labels/test_labels_run.py.
    """

    def __init__(self, potential: Potential) -> None:
        self._potential = potential
        self._one_at_a_time = threading.Lock()  # calculators hold state
        self.method = f"potential {potential.name} ({potential.weights_sha256[:12]})"

    def label(self, atoms: Atoms, folder: Path) -> Label:
        """Energy, forces and stress of the potential; `folder` stays unused."""
        start = time.perf_counter()
        with self._one_at_a_time:
            result = self._potential.evaluate(atoms)
        return Label(
            energy=result.energy,
            forces=result.forces,
            stress=result.stress,
            provenance=Provenance(
                method=self.method, code=self._potential.name, wall_s=time.perf_counter() - start
            ),
        )

    def relax(self, atoms: Atoms, folder: Path, *, force_tolerance: float, max_steps: int) -> Relaxed:
        """FIRE over positions and cell, see `Labeller`."""
        relaxed = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
        relaxed.calc = PotentialCalculator(self._potential)
        moved = FrechetCellFilter(relaxed)
        optimizer = FIRE(moved, logfile=None)
        optimizer.run(fmax=force_tolerance, steps=max_steps)
        largest = float(np.linalg.norm(moved.get_forces(), axis=1).max())
        relaxed.calc = None
        return Relaxed(
            atoms=relaxed,
            label=self.label(relaxed, folder),
            n_steps=optimizer.get_number_of_steps(),
            largest_force=largest,
            converged=largest < force_tolerance,
        )
