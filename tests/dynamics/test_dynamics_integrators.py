"""The integrators against plain ASE, their state, degrees of freedom, heating, and the number of evaluations."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.nose_hoover_chain import MTKNPT, NoseHooverChainNVT
from dynamics_cases import Counted, SpringCrystal, copper, crystal, emt, heating, same_bits, stage
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.dynamics import Integrator, MdStage, kinetic_temperature, thermal_momenta
from halion.dynamics.integrators import target_temperature
from halion.potentials import PotentialCalculator
from halion.units import BOLTZMANN_EV_PER_K, pressure_from_gpa, time_to_ase

STAGES = {"nvt": stage("nvt"), "npt": stage("npt", pressure_gpa=1.0), "heating": heating()}


def hot(atoms: Atoms, temperature_k: float = 300.0, seed: int = 1) -> Atoms:
    atoms.set_momenta(thermal_momenta(atoms.get_masses(), temperature_k, seed))
    return atoms


def arrays_of(dynamics: object) -> dict[str, bytes]:
    """Every array and number inside an ASE integrator and its thermostat and barostat, by path."""
    found = {}
    for owner in ("", "_thermostat", "_barostat"):
        holder = getattr(dynamics, owner, None) if owner else dynamics
        for name, value in vars(holder).items() if holder is not None else ():
            if isinstance(value, np.ndarray | float | int):
                found[f"{owner}.{name}".lstrip(".")] = np.asarray(value).tobytes()
    return found


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


@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_without_the_correction_it_is_plain_ase(ensemble: str) -> None:
    """Step by step the same bits as ASE driven by hand."""
    wanted = stage(ensemble, pressure_gpa=1.0)
    atoms = hot(copper())
    integrator = Integrator(atoms, emt(), wanted, count_like_ase=True)
    plain = atoms.copy()
    plain.calc = PotentialCalculator(emt())
    times = {"timestep": time_to_ase(0.002), "temperature_K": 300.0, "tdamp": time_to_ase(0.05)}
    if ensemble == "nvt":
        dynamics = NoseHooverChainNVT(plain, **times)
    else:
        pressure = pressure_from_gpa(1.0)
        dynamics = MTKNPT(plain, pressure_au=pressure, pdamp=time_to_ase(0.2), **times)
    for _ in range(30):
        integrator.advance()
        dynamics.run(1)
        assert same_bits(integrator.atoms.positions, plain.positions)
        assert same_bits(integrator.atoms.get_momenta(), plain.get_momenta())
        assert same_bits(integrator.atoms.cell.array, plain.cell.array)


def test_time_and_pressure_units_are_those_of_ase() -> None:
    # ASE has the constants of CODATA 2014, halion those of 2018; they differ by 4e-8 and less.
    assert time_to_ase(0.001) == pytest.approx(units.fs, rel=1e-7)
    assert pressure_from_gpa(1.0) == pytest.approx(units.GPa, rel=1e-7)


@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_ase_keeps_its_state_where_we_look(ensemble: str) -> None:
    """What a step changes inside ASE is what we store; if ASE moves it, this fails before a restart lies."""
    integrator = Integrator(hot(copper()), emt(), stage(ensemble))
    integrator.advance()
    before = arrays_of(integrator._dynamics)
    integrator.advance()
    after = arrays_of(integrator._dynamics)
    changed = {path for path in before if before[path] != after[path]}
    assert changed == set(integrator._paths.values())
    assert set(integrator.state()) == {*integrator._paths, "cell", "step"}


@pytest.mark.parametrize("kind", STAGES)
def test_restored_is_as_never_stopped(kind: str) -> None:
    """N + N steps are 2 N steps, bit for bit, whatever the thermostat, the barostat or the ramp."""
    wanted, start = STAGES[kind], hot(copper(), 100.0 if kind == "heating" else 300.0)
    through = Integrator(start, emt(), wanted)
    for _ in range(40):
        through.advance()
    first = Integrator(start, emt(), wanted)
    for _ in range(17):
        first.advance()
    second = Integrator(start, emt(), wanted)
    second.restore(first.state())
    assert second.step == 17
    for _ in range(23):
        second.advance()
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
    integrator = Integrator(hot(copper()), counted, STAGES[kind])
    integrator.frame()
    for _ in range(10):
        integrator.advance()
        integrator.frame()
    assert counted.asked == 11  # the start, and each step


def test_heating_follows_the_ramp_to_its_end() -> None:
    wanted = heating(n_steps=1000, temperature_k=500.0)
    assert target_temperature(wanted, 0) == 100.0
    assert target_temperature(wanted, 500) == 300.0
    assert target_temperature(wanted, 1000) == 500.0
    start = crystal((3, 3, 3))
    integrator = Integrator(hot(start, 100.0), SpringCrystal(start), wanted)
    thermostat = integrator._dynamics._thermostat
    for _ in range(1000):
        integrator.advance()
    kt, tdamp = BOLTZMANN_EV_PER_K * 500.0, time_to_ase(0.05)
    assert thermostat._kT == pytest.approx(kt, rel=1e-14)
    expected = np.array([3 * 26, 1, 1]) * kt * tdamp**2
    np.testing.assert_allclose(thermostat._Q, expected, rtol=1e-14)
    temperatures = []
    for _ in range(100):
        integrator._dynamics.step()
        temperatures.append(integrator.temperature_k)
    # 27 atoms fluctuate by 16 % around the target; the mean over four thermostat times by less than half of it.
    assert np.mean(temperatures) == pytest.approx(500.0, rel=0.16)


@pytest.mark.parametrize("kind", STAGES)
def test_momentum_stays_zero(kind: str) -> None:
    integrator = Integrator(hot(copper()), emt(), STAGES[kind])
    for _ in range(40):
        integrator.advance()
    # Forces of EMT add up to rounding only: 40 steps of 1e-14.
    assert np.abs(integrator.atoms.get_momenta().sum(axis=0)).max() < 1e-11


def test_frame_reports_temperature_and_pressure_of_the_atoms() -> None:
    integrator = Integrator(
        hot(copper(), 250.0), emt(), MdStage(ensemble="nvt", n_steps=1, timestep_fs=1, temperature_k=250)
    )
    frame = integrator.frame()
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
            integrator = Integrator(atoms, SpringCrystal(start), stage(ensemble))
            for _ in range(15):
                integrator.advance()
            # A flexible cell carries the origin along.
            carried = np.linalg.solve(start.cell.array.T, origin) @ integrator.atoms.cell.array
            runs.append((integrator.atoms.positions - carried, integrator.atoms.cell.array))
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
            integrator = Integrator(atoms, emt(), stage(ensemble))
            for _ in range(15):
                integrator.advance()
            ends.append(integrator.atoms.positions)
        # Sums in another order: rounding only.
        np.testing.assert_allclose(ends[0][order], ends[1], atol=1e-10)
