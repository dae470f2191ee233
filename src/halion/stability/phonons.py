"""Harmonic vibrations of a relaxed cell, through phonopy (optional) and forces of the potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from halion.arrays import FloatArray
from halion.errors import InputError, MissingDependency
from halion.potentials import Potential
from halion.units import BOLTZMANN_EV_PER_K, PLANCK_EV_PER_THZ

if TYPE_CHECKING:
    from phonopy import Phonopy

__all__ = ["HarmonicState", "PhononSettings", "harmonic_free_energy", "harmonic_state"]

# Translations of the whole crystal, at q = 0.
_N_ACOUSTIC = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PhononSettings:
    """How force constants are made and summed.

    Attributes:
        supercell: repeats of the cell along a, b, c; images of a displaced atom should be 10 Angstrom apart.
        displacement: of one atom at a time, Angstrom.
        mesh: points of the reciprocal mesh along each axis, Gamma among them.
        imaginary_thz: a mode below minus this is imaginary; between this and its negative it is noise of forces.
    """

    supercell: tuple[int, int, int] = (1, 1, 1)
    displacement: float = 0.01
    mesh: tuple[int, int, int] = (5, 5, 5)
    imaginary_thz: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmonicState:
    """The vibrations of one cell.

    Attributes:
        temperatures_k: (n_T,).
        free_energy: (n_T,) F = sum [h nu / 2 + kT ln(1 - exp(-h nu / kT))] of the cell, eV; NaN where a mode is
            imaginary: such a cell is no minimum and has no harmonic free energy.
        free_energy_real: (n_T,) the same sum over the real modes alone, eV.
        zero_point: sum h nu / 2 over the real modes, eV.
        frequencies_thz: (n_q, n_modes); imaginary ones are negative.
        q_points: (n_q, 3) in reciprocal vectors of the cell.
        weights: (n_q,) that sum to one.
        n_atoms: of the cell.
        imaginary: (q-point, frequency in THz) of each imaginary mode, lowest first.
        note: the finding in words.
    """

    temperatures_k: FloatArray
    free_energy: FloatArray
    free_energy_real: FloatArray
    zero_point: float
    frequencies_thz: FloatArray
    q_points: FloatArray
    weights: FloatArray
    n_atoms: int
    imaginary: tuple[tuple[tuple[float, float, float], float], ...]
    note: str


def harmonic_state(
    atoms: Atoms, potential: Potential, temperatures_k: Sequence[float], settings: PhononSettings | None = None
) -> HarmonicState:
    """Vibrational free energy of a relaxed cell from finite displacements.

    phonopy chooses the displacements that symmetry leaves and makes force constants of the forces, which all come
    in one batch; residual forces of the undisplaced supercell are taken off. The three translations at q = 0 are
    left out of the sum, for they are no vibrations.

    Args:
        atoms: relaxed cell.
        potential: gives the forces.
        temperatures_k: zero or above.
        settings: supercell, mesh, displacement.
    Raises:
        MissingDependency: phonopy is not installed.
        InputError: a temperature below zero or none, a supercell or mesh below one, a displacement that is none.

    Source: Togo, Tanaka, Scr. Mater. 108, 1 (2015). Checked by tests/stability/test_stability_phonons.py: ASE's own
    phonons, phonopy's thermal properties, an unstable crystal.
    """
    settings = settings or PhononSettings()
    temperatures = np.array(temperatures_k, float)
    _check(temperatures, settings)
    phonons = _force_constants(atoms, potential, settings)
    phonons.run_mesh(settings.mesh, is_gamma_center=True, with_eigenvectors=False)
    frequencies, q_points = np.array(phonons.mesh.frequencies), np.array(phonons.mesh.qpoints)
    weights = np.array(phonons.mesh.weights, float)
    weights /= weights.sum()
    is_real = ~_translations(frequencies, q_points)
    is_imaginary = is_real & (frequencies < -settings.imaginary_thz)
    # What lies within the noise of forces about zero counts as a mode of that noise.
    usable = np.maximum(np.abs(frequencies), 1e-3)
    shares = weights[:, None] * (is_real & ~is_imaginary)
    free = np.array([harmonic_free_energy(usable, shares, float(kelvin)) for kelvin in temperatures])
    found = [
        (tuple(float(c) for c in q_points[k]), float(frequencies[k, mode])) for k, mode in np.argwhere(is_imaginary)
    ]
    found.sort(key=lambda each: each[1])
    return HarmonicState(
        temperatures_k=temperatures,
        free_energy=np.full_like(free, np.nan) if found else free,
        free_energy_real=free,
        zero_point=harmonic_free_energy(usable, shares, 0.0),
        frequencies_thz=frequencies,
        q_points=q_points,
        weights=weights,
        n_atoms=len(atoms),
        imaginary=tuple(found),
        note=_note(found, int((is_real & (np.abs(frequencies) < settings.imaginary_thz)).sum())),
    )


def harmonic_free_energy(frequencies_thz: FloatArray, weights: FloatArray, temperature_k: float) -> float:
    """F = sum_i w_i [h nu_i / 2 + kT ln(1 - exp(-h nu_i / kT))], eV; at T = 0 the zero-point energy.

    Args:
        frequencies_thz: above zero.
        weights: of the same shape.
        temperature_k: zero or above.

    Checked by tests/stability/test_stability_phonons.py: sum over levels, classical limit.
    """
    quanta = PLANCK_EV_PER_THZ * frequencies_thz
    total = float((weights * quanta / 2).sum())
    if temperature_k > 0:
        kt = BOLTZMANN_EV_PER_K * temperature_k
        total += float((weights * kt * np.log(-np.expm1(-quanta / kt))).sum())
    return total


def _force_constants(atoms: Atoms, potential: Potential, settings: PhononSettings) -> Phonopy:
    phonopy, phonopy_atoms = _phonopy()
    cell = phonopy_atoms(
        symbols=atoms.get_chemical_symbols(), cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )
    phonons = phonopy(cell, supercell_matrix=np.diag(settings.supercell), primitive_matrix=np.eye(3))
    phonons.generate_displacements(distance=settings.displacement)
    cells = [phonons.supercell, *phonons.supercells_with_displacements]
    structures = [Atoms(c.symbols, cell=c.cell, scaled_positions=c.scaled_positions, pbc=True) for c in cells]
    forces = np.stack([one.forces for one in potential.evaluate_batch(structures)])
    phonons.forces = forces[1:] - forces[0]
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants()
    return phonons


def _phonopy() -> tuple[Any, Any]:
    try:
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms
    except ImportError as error:
        raise MissingDependency(
            "vibrations need phonopy, which is not installed", fix="pip install 'halion[phonons]'"
        ) from error
    return Phonopy, PhonopyAtoms


def _translations(frequencies: FloatArray, q_points: FloatArray) -> FloatArray:
    """(n_q, n_modes) whether a mode is one of the three nearest to zero at q = 0."""
    found = np.zeros(frequencies.shape, dtype=bool)
    for k in np.flatnonzero(np.abs(q_points).max(axis=1) < 1e-9):
        found[k, np.argsort(np.abs(frequencies[k]))[:_N_ACOUSTIC]] = True
    return found


def _check(temperatures: FloatArray, settings: PhononSettings) -> None:
    if temperatures.size == 0 or not (np.isfinite(temperatures) & (temperatures >= 0)).all():
        raise InputError(f"{temperatures.tolist()} K are no temperatures", fix="give kelvin, zero or above")
    counts = (*settings.supercell, *settings.mesh)
    if min(counts) < 1 or not settings.displacement > 0:
        raise InputError(
            f"supercell {settings.supercell}, mesh {settings.mesh} and displacement {settings.displacement} "
            "Angstrom make no phonons",
            fix="give whole numbers from one, and a displacement of about 0.01 Angstrom",
        )


def _note(imaginary: list[tuple[tuple[float, float, float], float]], n_noise: int) -> str:
    noise = f" {n_noise} modes on the mesh are too soft to be told from zero." if n_noise else ""
    if not imaginary:
        return f"No vibration is imaginary.{noise}"
    q, lowest = imaginary[0]
    place = ", ".join(f"{c:.3g}" for c in q)
    return (
        f"{len(imaginary)} modes on the mesh are imaginary, the lowest {lowest:.2f} THz at q = ({place}): the cell "
        f"is no minimum, and has no harmonic free energy.{noise}"
    )
