"""Whether the right ensembles are sampled, in units of the statistical error, against closed forms.

The crystal of springs (8 atoms: 1 / N effects are 12.5 % here) is bounded and mixes its modes. Errors of means come
from blocking (tested in test_dynamics_equilibration.py); five of them are allowed, so a right code fails once in
a million runs, and the seeds are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from dynamics_cases import Driven, SpringCrystal, copper, crystal, emt, stage

from halion.arrays import FloatArray
from halion.dynamics import thermal_momenta
from halion.dynamics.equilibration import block_error
from halion.units import BOLTZMANN_EV_PER_K, pressure_from_gpa, time_to_ase

TEMPERATURE_K, PRESSURE_GPA = 300.0, 1.0
KT = BOLTZMANN_EV_PER_K * TEMPERATURE_K
N_DOF = 3 * 8 - 3
SIGMAS = 5.0


@dataclass(frozen=True)
class Sample:
    """Time series of a run: each (n_steps,)."""

    kinetic: FloatArray  # sum p^2 / m, eV
    virial: FloatArray  # - sum (r - lattice site) . F, eV
    pressure: FloatArray  # eV/Angstrom^3
    pressure_volume: FloatArray  # (P_int - P_ext) V, eV
    cell_kinetic: FloatArray  # sum p_g^2 / W, eV


def sample(ensemble: str, n_steps: int, timestep_fs: float = 4.0) -> Sample:
    start = crystal()
    start.set_momenta(thermal_momenta(start.get_masses(), TEMPERATURE_K, 3))
    times = {"timestep_fs": timestep_fs, "thermostat_ps": 0.02, "barostat_ps": 1.0}
    wanted = stage(ensemble, n_steps=n_steps, temperature_k=TEMPERATURE_K, pressure_gpa=PRESSURE_GPA, **times)
    driven = Driven(start, SpringCrystal(start), wanted)
    masses, sites, rows = start.get_masses(), start.positions, []
    cell_mass = len(start) * KT * time_to_ase(1.0) ** 2
    for step in range(n_steps):
        driven.advance()
        if step < 500:
            continue
        batch, pressure = driven.batch, pressure_from_gpa(driven.frame().pressure_gpa)
        rows.append(
            (
                np.sum(driven.momenta**2 / masses[:, None]),
                -np.sum((driven.positions - sites) * batch.forces),
                pressure,
                (pressure - pressure_from_gpa(PRESSURE_GPA)) * batch.volumes()[0],
                cell_mass * np.sum(batch.motion.strain_rates[0] ** 2),
            )
        )
    return Sample(*np.array(rows).T)


@pytest.fixture(scope="module")
def nvt() -> Sample:
    return sample("nvt", 5_000)


@pytest.fixture(scope="module")
def npt() -> Sample:
    return sample("npt", 8_000)


def assert_mean(series: FloatArray, expected: float, resolves: float) -> None:
    """The mean is the expected one within its error, and a relative fault of `resolves` would have been seen."""
    error = block_error(series)
    assert abs(series.mean() - expected) < SIGMAS * error, (series.mean(), expected, error)
    assert SIGMAS * error < resolves * abs(expected)


def test_nvt_kinetic_energy_has_the_mean_of_3n_minus_3(nvt: Sample) -> None:
    assert_mean(nvt.kinetic, N_DOF * KT, 1 / 8)


def test_nvt_kinetic_energy_has_the_variance_of_the_canonical_ensemble(nvt: Sample) -> None:
    """sum p^2/m is kT times chi-squared with 3N - 3 degrees of freedom: variance 2 (3N - 3) kT^2."""
    assert_mean((nvt.kinetic - N_DOF * KT) ** 2, 2 * N_DOF * KT**2, 1 / 3)


def test_nvt_potential_energy_obeys_equipartition(nvt: Sample) -> None:
    """< sum (r - site) . dU/dr > = (3N - 3) kT for any bounded potential (Tolman's generalised equipartition)."""
    assert_mean(nvt.virial, N_DOF * KT, 1 / 8)


def test_npt_temperature(npt: Sample) -> None:
    assert_mean(npt.kinetic, N_DOF * KT, 1 / 8)


def test_npt_reaches_the_target_pressure(npt: Sample) -> None:
    assert_mean(npt.pressure, pressure_from_gpa(PRESSURE_GPA), 1 / 2)


def test_npt_obeys_the_virial_theorem_of_the_volume(npt: Sample) -> None:
    """< (P_int - P_ext) V > = -kT, of the MTK equations (1994): exact at any size."""
    error = block_error(npt.pressure_volume)
    assert abs(npt.pressure_volume.mean() + KT) < SIGMAS * error
    # Each of the terms that cancel here (P_ext V, the virial and the ideal gas) is 0.2 to 0.8 eV: 3 sigma and more.
    assert error < 0.07


def test_npt_cell_has_the_temperature_of_the_atoms(npt: Sample) -> None:
    """< sum p_g^2 / W > = 6 kT: a symmetric matrix has six degrees of freedom, not nine."""
    assert_mean(npt.cell_kinetic, 6 * KT, 1 / 2)


def test_isotropic_npt_obeys_the_virial_theorem_and_equipartition() -> None:
    """One degree of freedom of the cell: < W tr w^2 > = kT; and < (P_int - P_ext) V > = -kT, as above."""
    made = sample("npt_isotropic", 10_000)
    assert_mean(made.kinetic, N_DOF * KT, 1 / 8)
    assert_mean(made.cell_kinetic, KT, 2.0)  # six degrees of freedom instead of one would be five times too much
    error = block_error(made.pressure_volume)
    assert abs(made.pressure_volume.mean() + KT) < SIGMAS * error
    assert error < 0.07


@pytest.mark.parametrize("ensemble", ["nve", "nvt", "npt", "npt_isotropic"])
def test_conserved_energy_drifts_with_the_square_of_the_time_step(ensemble: str) -> None:
    def error(timestep_fs: float) -> float:
        start = crystal((3, 3, 3))
        start.set_momenta(thermal_momenta(start.get_masses(), TEMPERATURE_K, 0))
        n_steps = round(400 / timestep_fs)
        wanted = stage(ensemble, n_steps=n_steps, timestep_fs=timestep_fs, pressure_gpa=1.0)
        driven, energies = Driven(start, SpringCrystal(start), wanted), []
        for _ in range(n_steps):
            driven.advance()
            energies.append(driven.frame().conserved_energy_ev)
        return float(np.ptp(energies))

    errors = error(4.0), error(2.0), error(1.0)
    # Second order: a factor of four each; the next order and the sampling of the extrema blur it by a fifth or so.
    assert 3.0 < errors[0] / errors[1] < 5.5
    assert 3.3 < errors[1] / errors[2] < 4.8
    # ... and at the study's 1 fs it is less than a hundredth of kT per atom.
    assert errors[2] / 27 < 0.01 * KT


@pytest.mark.slow
def test_npt_of_emt_copper_reaches_the_target_pressure() -> None:
    start = copper((2, 2, 2))
    start.set_momenta(thermal_momenta(start.get_masses(), TEMPERATURE_K, 3))
    driven = Driven(start, emt(), stage("npt", n_steps=8000, pressure_gpa=3.0, timestep_fs=4.0))
    pressures = []
    for step in range(8000):
        driven.advance()
        if step >= 1000:
            pressures.append(driven.frame().pressure_gpa)
    error = block_error(np.array(pressures))
    assert abs(np.mean(pressures) - 3.0) < SIGMAS * error
    assert error < 0.1
