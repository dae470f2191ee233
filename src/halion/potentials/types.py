"""The one interface of all potentials: energy, forces and stress of one structure or of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from halion.arrays import FloatArray, IntArray
from halion.potentials.engine_types import DeviceSteps, EngineResult

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Evaluation", "LastLayer", "OnDevice", "Potential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Energy, forces and stress of one periodic structure.

    Attributes:
        energy: total potential energy, eV.
        forces: (n_atoms, 3) -dE/dr, eV/Angstrom.
        stress: (3, 3) symmetric (1/V) dE/dstrain, eV/Angstrom^3, tension positive.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray


class Potential(Protocol):
    """A potential that rooms below use without knowing which it is.

    Attributes:
        name: e.g. "chgnet-0.3.0".
        weights_sha256: digest of its parameters, for provenance.
        elements: symbols that it was trained for.
    """

    name: str
    weights_sha256: str
    elements: frozenset[str]

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Energy, forces and stress of one structure."""
        ...

    def evaluate_batch(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """The same for many structures, in their order."""
        ...

    def evaluate_arrays(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """The same for many structures given as arrays, without a detour through `Atoms`: for dynamics.

        Args:
            numbers: (n_atoms_total,) atomic numbers, the structures one after another.
            positions: (n_atoms_total, 3) Angstrom, wrapped or not.
            cells: (n_structures, 3, 3) row vectors, Angstrom.
            counts: (n_structures,) atoms of each structure.
        Raises:
            InputError, PhysicsRefusal: as `evaluate`; the whole batch is refused.
        """
        ...


@runtime_checkable
class OnDevice(Protocol):
    """A potential that may take whole time steps on its device."""

    def steps_on_device(self, numbers: IntArray, counts: IntArray) -> DeviceSteps | None:
        """Steps of these structures (see `Engine.evaluate`) on the device; None where it lives on the host."""
        ...


@runtime_checkable
class LastLayer(Protocol):
    """A potential whose energy is linear in features that it can give: those of its network's last hidden layer."""

    def last_layer_features(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> FloatArray:
        """Features of every atom, (n_atoms_total, n_features); arguments and errors of `evaluate_arrays`."""
        ...
