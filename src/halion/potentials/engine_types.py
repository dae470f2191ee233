"""What every fast CHGNet backend takes and gives: plain arrays of a batch of periodic cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from halion.arrays import FloatArray, IntArray

__all__ = ["DeviceArray", "DeviceStep", "DeviceSteps", "Engine", "EngineResult"]

DeviceArray = Any  # an array of whatever library the device speaks
DeviceStep = Callable[[tuple[DeviceArray, ...]], Sequence[DeviceArray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResult:
    """Energy, forces and virial of every structure of a batch.

    Attributes:
        energies: (n_structures,) total energy with the composition reference, eV.
        forces: (n_atoms_total, 3) -dE/dr, eV/Angstrom.
        virials: (n_structures, 3, 3) dE/dstrain at fixed fractional coordinates, cell' = cell (1 + strain), eV;
            symmetric up to rounding. Divided by the volume it is the stress, tension positive.
    """

    energies: FloatArray
    forces: FloatArray
    virials: FloatArray


class Engine(Protocol):
    """A backend that evaluates a batch of structures."""

    def evaluate(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """Evaluate structures whose atoms follow each other.

        Args:
            numbers: (n_atoms_total,) atomic numbers.
            positions: (n_atoms_total, 3) Angstrom; any image of an atom, wrapped or not.
            cells: (n_structures, 3, 3) row vectors, Angstrom; any lattice, small and skewed ones included.
            counts: (n_structures,) atoms of each structure.
        """
        ...


class DeviceSteps(Protocol):
    """Time steps of a batch of structures taken where the engine lives, without the host in between.

    A step is a function from a state (a tuple of arrays) to the next one, of the same shapes; it may call
    `sum_over_structures` and `evaluate`, and must not ask an array for its value.

    Attributes:
        xp: namespace of the device's arrays.
    """

    xp: ModuleType

    def put(self, array: FloatArray | IntArray) -> DeviceArray:
        """An array on the device."""
        ...

    def get(self, array: DeviceArray) -> FloatArray:
        """An array of the device on the host, a copy."""
        ...

    def sum_over_structures(self, values: DeviceArray) -> DeviceArray:
        """Sums (n_atoms_total, ...) over the atoms of each structure to (n_structures, ...)."""
        ...

    def evaluate(self, positions: DeviceArray, cells: DeviceArray) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
        """Energies, forces and virials, as in `EngineResult`."""
        ...

    def begin(self, step: DeviceStep, state: Sequence[DeviceArray]) -> None:
        """Take this for the step, and start from this state."""
        ...

    def advance(self, n_steps: int) -> tuple[DeviceArray, ...]:
        """The state so many steps later; its arrays are overwritten by the next call."""
        ...
