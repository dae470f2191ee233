"""The integrators against ASE step by step, reversed, restarted; degrees of freedom, heating, evaluations."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.md import nose_hoover_chain
from ase.md.verlet import VelocityVerlet
from dynamics_cases import Counted, Driven, SpringCrystal, copper, crystal, emt, heating, same_bits, stage
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.dynamics import MdStage, kinetic_temperature, thermal_momenta
from halion.dynamics.kinetics import target_temperature
from halion.potentials import PotentialCalculator
from halion.units import BOLTZMANN_EV_PER_K, pressure_from_gpa, time_to_ase

ENSEMBLES = ("nve", "nvt", "npt", "npt_isotropic")
STAGES = {**{name: stage(name, pressure_gpa=1.0) for name in ENSEMBLES}, "heating": heating()}


def hot(atoms: Atoms, temperature_k: float = 300.0, seed: int = 1) -> Atoms:
    atoms.set_momenta(thermal_momenta(atoms.get_masses(), temperature_k, seed))
    return atoms


@pytest.mark.parametrize("n_atoms", [2, 3, 40])
@pytest.mark.parametrize("temperature_k", [0.5, 100.0, 900.0])
def test_thermal_momenta_are_exact(n_atoms: int, temperature_k: float) -> None:
    masses = np.linspace(1.0, 90.0, n_atoms)
    momenta = thermal_momenta(masses, temperature_k, seed=5)
    # Rounding: sums of at most 40 terms of size sqrt(m kT) <= 3.
    assert np.abs(momenta.sum(axis=0)).max() < 1e-13
    expected = (3 * n_atoms - 3) * BOLTZMANN_EV_PER_K * temperature_k
    assert np.sum(momenta**2 / masses[:, None]) == pytest.approx(expected, rel=1e-13)
    assert kinetic_temperature(momenta, masses) == pytest.approx(temperature_k, rel=1e-13)
    assert same_bits(momenta, thermal_momenta(masses, temperature_k, seed=5))
    assert not np.allclose(momenta, thermal_momenta(masses, temperature_k, seed=6))


def test_thermal_momenta_are_maxwell_boltzmann() -> None:
    """Each atom has kT per direction whatever its mass: light and heavy ones get the same energy."""
    masses = np.tile([7.0, 80.0], 50_000)
    energy = thermal_momenta(masses, 300.0, seed=0) ** 2 / masses[:, None] / (BOLTZMANN_EV_PER_K * 300.0)
    for k in (0, 1):
        # p^2/(m kT) has mean 1 and variance 2; 150 000 values each: five sigma is 0.018.
        assert energy[k::2].mean() == pytest.approx(1.0, abs=0.018)
        # Its fourth moment <x^2> is 3 with variance 96: five sigma is 0.13.
        assert (energy[k::2] ** 2).mean() == pytest.approx(3.0, abs=0.13)


def as_ase_has_it(atoms: Atoms, wanted: MdStage, monkeypatch: pytest.MonkeyPatch) -> object:
    """ASE's integrator with N - 1 atoms, 6 or 1 degrees of freedom of the cell, and chains turned in one go."""
    monkeypatch.setattr(nose_hoover_chain, "FOURTH_ORDER_COEFFS", [1.0])
    atoms.calc = PotentialCalculator(emt())
    step = time_to_ase(wanted.timestep_fs / 1000)
    if wanted.ensemble == "nve":
        return VelocityVerlet(atoms, step)
    tdamp, pdamp = time_to_ase(wanted.thermostat_ps), time_to_ase(wanted.barostat_ps)
    times = {"timestep": step, "temperature_K": 300.0, "tdamp": tdamp}
    kt, n_moving, freedom = BOLTZMANN_EV_PER_K * 300.0, len(atoms) - 1, 6
    if wanted.ensemble == "nvt":
        dynamics = nose_hoover_chain.NoseHooverChainNVT(atoms, **times)
    elif wanted.ensemble == "npt":
        dynamics = nose_hoover_chain.MTKNPT(atoms, pressure_au=pressure_from_gpa(1.0), pdamp=pdamp, **times)
    else:
        dynamics = nose_hoover_chain.IsotropicMTKNPT(
            atoms, pressure_au=pressure_from_gpa(1.0), pdamp=pdamp, **times
        )
        freedom = 1
    dynamics._thermostat._num_atoms_global, dynamics._thermostat._kT = n_moving, kt
    dynamics._thermostat._Q = np.array([3 * n_moving, 1, 1]) * kt * tdamp**2
    if wanted.ensemble != "nvt":
        dynamics._num_atoms_global = n_moving
        barostat = dynamics._barostat
        barostat._cell_dof, barostat._kT, barostat._R = freedom, kt, np.array([freedom, 1, 1]) * kt * pdamp**2
        barostat._W = (n_moving + 1) * kt * pdamp**2 * (3 if freedom == 1 else 1)
    return dynamics


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_step_by_step_as_ase_has_it(ensemble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same splitting, masses and degrees of freedom: equal positions, momenta, cells and conserved energies."""
    wanted = stage(ensemble, pressure_gpa=1.0)
    start = hot(copper())
    driven = Driven(start, emt(), wanted)
    dynamics = as_ase_has_it(start, wanted, monkeypatch)
    conserved = []
    for _ in range(30):
        driven.advance()
        dynamics.step()
        # Rounding of 1e-16 per step, which the dynamics of 8 atoms multiply by less than 1e3 in 60 fs; ASE's kB
        # and units are those of CODATA 2014, 4e-8 away, in constants that we set to halion's where they matter.
        np.testing.assert_allclose(driven.positions, start.positions, atol=1e-8)
        np.testing.assert_allclose(driven.momenta, start.get_momenta(), atol=1e-7)
        np.testing.assert_allclose(driven.cell, start.cell.array, atol=1e-8)
        if ensemble != "nve":
            conserved.append(driven.frame().conserved_energy_ev - dynamics.get_conserved_energy())
    if ensemble != "nve":
        # IsotropicMTKNPT.get_conserved_energy counts kT per link of the cell's chain, as we do for one degree.
        assert np.abs(conserved).max() < 1e-6


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_steps_are_reversible(ensemble: str) -> None:
    """With every momentum and rate reversed, the run goes back to where it came from."""
    start = hot(crystal((3, 3, 3)))
    wanted = stage(ensemble, pressure_gpa=1.0)
    there = Driven(start, SpringCrystal(start), wanted)
    there.advance(50)
    state = there.state()
    turned = ("momenta", "strain_rate", "chain_rates", "cell_chain_rates")
    back = Driven(
        start, SpringCrystal(start), wanted, {n: -array if n in turned else array for n, array in state.items()}
    )
    back.advance(50)
    # Rounding, multiplied by the chaos of 27 atoms over 0.2 ps.
    np.testing.assert_allclose(back.positions, start.positions, atol=1e-10)
    np.testing.assert_allclose(-back.momenta, start.get_momenta(), atol=1e-9)
    np.testing.assert_allclose(back.cell, start.cell.array, atol=1e-11)
    assert np.abs(back.state()["chain"]).max() < 1e-10


def test_time_and_pressure_units_are_those_of_ase() -> None:
    # ASE has the constants of CODATA 2014, halion those of 2018; they differ by 4e-8 and less.
    assert time_to_ase(0.001) == pytest.approx(units.fs, rel=1e-7)
    assert pressure_from_gpa(1.0) == pytest.approx(units.GPa, rel=1e-7)


@pytest.mark.parametrize("kind", STAGES)
def test_restored_is_as_never_stopped(kind: str) -> None:
    """N + N steps are 2 N steps, bit for bit, whatever the thermostat, the barostat or the ramp."""
    wanted, start = STAGES[kind], hot(copper(), 100.0 if kind == "heating" else 300.0)
    through = Driven(start, emt(), wanted)
    through.advance(40)
    first = Driven(start, emt(), wanted)
    first.advance(17)
    second = Driven(start, emt(), wanted, first.state())
    assert second.frame().step == 17
    second.advance(23)
    states = through.state(), second.state()
    for name in states[0]:
        assert same_bits(states[0][name], states[1][name]), name
    frames = through.frame(), second.frame()
    assert frames[0].pressure_gpa == frames[1].pressure_gpa
    if kind != "heating":
        assert frames[0].conserved_energy_ev == frames[1].conserved_energy_ev


@pytest.mark.parametrize("kind", STAGES)
def test_one_evaluation_per_step(kind: str) -> None:
    counted = Counted(emt())
    driven = Driven(hot(copper()), counted, STAGES[kind])
    for _ in range(10):
        driven.advance()
        driven.frame()
    assert counted.asked == 11  # the start, and each step


def test_heating_follows_the_ramp_to_its_end() -> None:
    wanted = heating(n_steps=1000, temperature_k=500.0)
    assert target_temperature(wanted, 0) == 100.0
    assert target_temperature(wanted, 500) == 300.0
    assert target_temperature(wanted, 1000) == 500.0
    start = crystal((3, 3, 3))
    driven = Driven(hot(start, 100.0), SpringCrystal(start), wanted)
    targets = []
    for _ in range(1000):
        driven.advance()
        targets.append(driven.batch.conditions.thermal_energy[0] / BOLTZMANN_EV_PER_K)
    np.testing.assert_allclose(targets, [target_temperature(wanted, k) for k in range(1, 1001)], rtol=1e-14)
    after = Driven(start, SpringCrystal(start), stage(temperature_k=500.0), driven.state())
    temperatures = []
    for _ in range(100):
        after.advance()
        temperatures.append(after.temperature_k)
    # 27 atoms fluctuate by 16 % around the target; the mean over four thermostat times by less than half of it.
    assert np.mean(temperatures) == pytest.approx(500.0, rel=0.16)


@pytest.mark.parametrize("kind", STAGES)
def test_momentum_stays_zero(kind: str) -> None:
    driven = Driven(hot(copper()), emt(), STAGES[kind])
    driven.advance(40)
    # Forces of EMT add up to rounding only: 40 steps of 1e-14.
    assert np.abs(driven.momenta.sum(axis=0)).max() < 1e-11


def test_frame_reports_temperature_and_pressure_of_the_atoms() -> None:
    wanted = MdStage(ensemble="nvt", n_steps=1, timestep_fs=1, temperature_k=250)
    frame = Driven(hot(copper(), 250.0), emt(), wanted).frame()
    assert frame.temperature_k == pytest.approx(250.0, rel=1e-12)
    evaluation = emt().evaluate(copper())
    volume = copper().cell.volume
    kinetic = (3 * 8 - 3) * BOLTZMANN_EV_PER_K * 250.0 / (3 * volume)
    expected = kinetic - np.trace(evaluation.stress) / 3
    assert frame.pressure_gpa == pytest.approx(expected * 160.2176634, rel=1e-10)
    assert frame.potential_energy_ev == evaluation.energy


@settings(max_examples=8, deadline=None)
@given(shift=st.tuples(*[st.floats(-50, 50)] * 3), seed=st.integers(0, 1000))
def test_moving_everything_moves_the_trajectory(shift: tuple[float, float, float], seed: int) -> None:
    start = crystal()
    for ensemble in ("nvt", "npt"):
        runs = []
        for origin in (np.zeros(3), np.array(shift)):
            atoms = hot(start.copy(), seed=seed)
            atoms.positions += origin
            driven = Driven(atoms, SpringCrystal(start), stage(ensemble))
            driven.advance(15)
            # A flexible cell carries the origin along.
            carried = np.linalg.solve(start.cell.array.T, origin) @ driven.cell
            runs.append((driven.positions - carried, driven.cell))
        # Rounding of coordinates of 50 Angstrom: 1e-14, over 15 steps.
        np.testing.assert_allclose(runs[0][0], runs[1][0], atol=1e-10)
        np.testing.assert_allclose(runs[0][1], runs[1][1], atol=1e-10)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_of_atoms_does_not_matter(seed: int) -> None:
    start = hot(copper(), seed=seed)
    order = np.random.default_rng(seed).permutation(len(start))
    for ensemble in ("nvt", "npt"):
        ends = []
        for atoms in (start, start[order]):
            driven = Driven(atoms, emt(), stage(ensemble))
            driven.advance(15)
            ends.append(driven.positions)
        # Sums in another order: rounding only.
        np.testing.assert_allclose(ends[0][order], ends[1], atol=1e-10)
