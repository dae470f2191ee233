"""When a run has gone wrong: atoms too close, forces too large, too hot, a cell that grew or shrank, NaN.

Universal potentials lack the core repulsion that would stop fusing atoms, and softened ones let a cell run away;
such a run would still give numbers. It is refused instead, and it stops alone: other runs go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from halion.arrays import FloatArray
from halion.errors import PhysicsRefusal
from halion.potentials.cpu_engine import neighbour_list

__all__ = ["LIMITS", "Limits", "refuse_close_atoms", "refuse_evaluation", "refuse_geometry", "refuse_temperature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a sound run never reaches.

    Attributes:
        closest_of_covalent: shortest distance over the sum of covalent radii. Bonds have about 1 (O-H 0.99, Y-Cl
            0.89) and vibrate by a tenth; fused atoms lie below 0.6.
        largest_force: eV/Angstrom. A bond of stiffness k feels sqrt(k kB T): 2 eV/Angstrom for O-H, the stiffest
            (48 eV/Angstrom^2), at 1000 K.
        temperature_factor: kinetic temperature over the stage's highest target.
        temperature_sigmas: ... and never fewer than so many standard deviations sqrt(2 / (3N - 3)) above it,
            because few atoms fluctuate by much.
        smallest_volume, largest_volume: over the volume at the start of the stage. The study's softened
            potential, the worst on record, expands Li3YCl6 by 1.36 up to 600 K.
    """

    closest_of_covalent: float = 0.6
    largest_force: float = 50.0
    temperature_factor: float = 3.0
    temperature_sigmas: float = 8.0
    smallest_volume: float = 0.6
    largest_volume: float = 1.6

    def highest_temperature(self, target_k: float, n_atoms: int) -> float:
        """The kinetic temperature that counts as an explosion, K."""
        sigma = np.sqrt(2.0 / (3 * n_atoms - 3))
        return target_k * max(self.temperature_factor, 1.0 + self.temperature_sigmas * sigma)


LIMITS = Limits()

_CALMER = (
    "use a smaller time step (dynamics.timestep_fs) or a lower temperature; if it happens at once, start from a "
    "relaxed structure (halion relax)"
)
_DENSER = (
    "use a higher pressure (dynamics.pressure_gpa), a lower temperature, or a potential tuned for this material"
)
# The barostat's mass goes as kT barostat_ps^2: a cold, stiff crystal swings faster than the time step can follow.
_THINNER = (
    "use a longer dynamics.barostat_ps or a smaller time step (a cold cell swings fast), a lower pressure "
    "(dynamics.pressure_gpa), or start from a relaxed structure"
)


def refuse_geometry(atoms: Atoms, start_volume: float, limits: Limits = LIMITS) -> None:
    """Refuse positions or a cell that are not finite, and a volume far from that of the start.

    Asked before every evaluation: potentials need not survive what an exploded cell looks like.

    Raises:
        PhysicsRefusal: naming the value and its limit.
    Checked by tests/dynamics/test_dynamics_guards.py.
    """
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise PhysicsRefusal("positions or cell are no longer finite numbers: the run has exploded", fix=_CALMER)
    ratio = atoms.cell.volume / start_volume
    if not ratio <= limits.largest_volume:
        raise PhysicsRefusal(
            f"the cell grew to {ratio:.2f} of its volume at the start of this stage (limit "
            f"{limits.largest_volume:g}), {atoms.cell.volume / len(atoms):.1f} Angstrom^3 per atom: it melts, "
            "boils or explodes",
            fix=_DENSER,
        )
    if not ratio >= limits.smallest_volume:
        raise PhysicsRefusal(
            f"the cell shrank to {ratio:.2f} of its volume at the start of this stage (limit "
            f"{limits.smallest_volume:g}), {atoms.cell.volume / len(atoms):.1f} Angstrom^3 per atom: it collapses",
            fix=_THINNER,
        )


def refuse_evaluation(atoms: Atoms, energy: float, forces: FloatArray, limits: Limits = LIMITS) -> None:
    """Refuse an energy or forces that are not finite, and a force that no thermal motion gives.

    Raises:
        PhysicsRefusal: naming the atom, its force and the limit.
    Checked by tests/dynamics/test_dynamics_guards.py.
    """
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        raise PhysicsRefusal("the potential gives an energy or forces that are not finite numbers", fix=_CALMER)
    sizes = np.linalg.norm(forces, axis=1)
    worst = int(np.argmax(sizes))
    if sizes[worst] > limits.largest_force:
        raise PhysicsRefusal(
            f"the force on atom {worst} ({atoms.symbols[worst]}) is {sizes[worst]:.3g} eV/Angstrom (limit "
            f"{limits.largest_force:g}): the run has exploded",
            fix=_CALMER,
        )


def refuse_temperature(temperature_k: float, target_k: float, n_atoms: int, limits: Limits = LIMITS) -> None:
    """Refuse a kinetic temperature that no fluctuation explains.

    Raises:
        PhysicsRefusal: naming the temperature, the target and the limit.
    Checked by tests/dynamics/test_dynamics_guards.py.
    """
    highest = limits.highest_temperature(target_k, n_atoms)
    if not temperature_k <= highest:
        raise PhysicsRefusal(
            f"the kinetic temperature is {temperature_k:.4g} K at a target of {target_k:g} K (limit "
            f"{highest:.0f} K): the run has exploded",
            fix=_CALMER,
        )


def refuse_close_atoms(atoms: Atoms, limits: Limits = LIMITS) -> None:
    """Refuse two atoms, or an atom and a periodic image, that lie inside each other.

    Raises:
        PhysicsRefusal: naming the pair, its distance in Angstrom and over the sum of covalent radii.
    Checked by tests/dynamics/test_dynamics_guards.py.
    """
    radii = covalent_radii[atoms.numbers]
    cell = atoms.cell.array
    first, second, shifts = neighbour_list(atoms.positions, cell, 2 * limits.closest_of_covalent * radii.max())
    distance = np.linalg.norm(atoms.positions[first] - atoms.positions[second] - shifts @ cell, axis=1)
    fraction = distance / (radii[first] + radii[second])
    if not np.any(fraction < limits.closest_of_covalent):
        return
    k = int(np.argmin(fraction))
    i, j = first[k], second[k]
    raise PhysicsRefusal(
        f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) are {distance[k]:.2f} Angstrom apart, "
        f"{fraction[k]:.2f} of the sum of their covalent radii (limit "
        f"{limits.closest_of_covalent:g}): they fuse, which no potential here was trained for",
        fix=_CALMER,
    )
