"""Another potential in the place of a code: for distillation, and to show a loop in minutes."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from ase import Atoms

from halion.labels.jobs.relaxing import descend
from halion.labels.types import Label, Provenance, Relaxed
from halion.potentials.from_ase import PotentialCalculator
from halion.potentials.types import Potential

__all__ = ["PotentialLabeller"]


class PotentialLabeller:
    """A potential as a `Labeller`, always under its own name: what is learned from it is no better than it is.

    Args:
        potential: of any kind.
    Attributes:
        method, relaxation_method: "potential NAME (first digits of the digest of its weights)".
    Checked by tests/labels/test_labels_run.py.
    """

    def __init__(self, potential: Potential) -> None:
        self._potential = potential
        self._one_at_a_time = threading.Lock()  # calculators hold state
        self.method = f"potential {potential.name} ({potential.weights_sha256[:12]})"
        self.relaxation_method = self.method

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
        """FIRE over positions and cell, every step in `folder`/steps.extxyz, see `Labeller`."""
        relaxed = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
        relaxed.calc = PotentialCalculator(self._potential)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {
            "force_tolerance": force_tolerance,
            "max_steps": max_steps,
            "method": self.relaxation_method,
            "trajectory": str(folder / "steps.extxyz"),
        }
        found = descend(relaxed, wanted)
        relaxed.calc = None
        return Relaxed(
            atoms=relaxed,
            label=self.label(relaxed, folder),
            n_steps=found.n_steps,
            largest_force=found.largest_force,
            converged=found.largest_force < force_tolerance,
            start_energy=found.start_energy,
        )
