"""The whole equilibration: stages, seeds, mean cell and its error, resuming, records, and production."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from dynamics_cases import BOND, Counted, SpringCrystal, copper, crystal, emt, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dynamics_run import StopAfter, assert_same

from halion.dynamics import (
    Equilibration,
    dynamics_cell,
    equilibrate,
    kinetic_temperature,
    open_trajectory,
    produce,
    thermal_momenta,
)
from halion.dynamics.equilibration import block_error, seed_of, stages
from halion.errors import InputError, Interrupted
from halion.records import from_record, to_record
from halion.settings import DynamicsSettings

SHORT = DynamicsSettings(
    temperatures_k=(300.0, 400.0),
    pressure_gpa=0.5,
    timestep_fs=2.0,
    thermostat_ps=0.05,
    barostat_ps=0.2,
    heating_ps=0.04,
    nvt_ps=0.02,
    npt_ps=0.08,
    cell_average_ps=0.05,
    production_ps=0.06,
    store_every_steps=2,
    checkpoint_ps=0.01,
    seed=4,
)


def fields_of(equilibration: Equilibration) -> dict[str, object]:
    record = to_record(equilibration)
    return {name: json.dumps(value) for name, value in record.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Equilibration:
    return equilibrate(tmp_path_factory.mktemp("whole"), copper(), emt(), SHORT, 300.0)


def test_stages_are_those_of_the_settings() -> None:
    made = stages(DynamicsSettings(), 600.0)
    assert [stage.n_steps for stage in made.values()] == [2_000, 50_000, 140_000]
    assert [stage.ensemble for stage in made.values()] == ["nvt", "nvt", "npt"]
    assert (made["heat"].start_temperature_k, made["heat"].temperature_k) == (100.0, 600.0)
    assert made["nvt"].start_temperature_k is None and made["npt"].start_temperature_k is None
    assert made["npt"].pressure_gpa == 1.0
    assert all(stage.checkpoint_every_steps == 1000 and stage.store_every_steps == 10 for stage in made.values())
    # A checkpoint holds whole frames, whatever the numbers.
    odd = stages(SHORT.model_copy(update={"store_every_steps": 7, "checkpoint_ps": 0.001}), 300.0)
    assert odd["npt"].checkpoint_every_steps == 7


def test_equilibration_goes_from_stage_to_stage(tmp_path: Path) -> None:
    told = []
    found = equilibrate(tmp_path, copper(), emt(), SHORT, 300.0, progress=lambda *words: told.append(words))
    heat, nvt, npt = (open_trajectory(tmp_path / name) for name in ("heat", "nvt", "npt"))
    assert (heat.steps[-1], nvt.steps[-1], npt.steps[-1]) == (20, 10, 40)
    assert heat.temperature_k[0] == pytest.approx(100.0, rel=1e-12)
    # Each stage starts where the one before ended (float32 of the files' frames).
    for before, after in ((heat, nvt), (nvt, npt)):
        np.testing.assert_allclose(after.positions[0], before.positions[-1], atol=1e-6)
        assert after.temperature_k[0] == pytest.approx(before.temperature_k[-1], rel=1e-9)
    assert np.ptp(nvt.cells, axis=0).max() == 0.0 < np.ptp(npt.cells, axis=0).max()
    assert told[-1][:2] == (70, 70)
    assert [done for done, *_ in told] == sorted(done for done, *_ in told)
    assert {text.split(":")[0] for *_, text in told} == {"heat", "nvt", "npt"}
    assert (found.temperature_k, found.pressure_gpa) == (300.0, 0.5)


def test_mean_cell_is_that_of_the_last_part(tmp_path: Path) -> None:
    found = equilibrate(tmp_path, copper(), emt(), SHORT, 300.0)
    npt = open_trajectory(tmp_path / "npt")
    window = npt.time_ps > 0.08 - 0.05 + 1e-9
    assert window.sum() == 13  # 0.032 to 0.080 ps, every 0.004 ps
    np.testing.assert_allclose(found.mean_cell, npt.cells[window].mean(axis=0), rtol=1e-14)
    volumes = [np.linalg.det(cell) / 8 for cell in npt.cells[window]]
    assert found.volume_per_atom == pytest.approx(np.mean(volumes), rel=1e-13)
    assert found.volume_per_atom_std == block_error(np.array(volumes)) > 0
    assert found.mean_temperature_k == pytest.approx(npt.temperature_k[window].mean(), rel=1e-13)
    assert found.mean_pressure_gpa == pytest.approx(npt.pressure_gpa[window].mean(), rel=1e-13)


def test_the_frame_nearest_to_the_mean_cell_lies_in_it(tmp_path: Path) -> None:
    """Fractional coordinates are kept and not wrapped; of all frames of the window none is strained less."""
    found = equilibrate(tmp_path, copper(), emt(), SHORT, 300.0)
    npt = open_trajectory(tmp_path / "npt")
    window = np.flatnonzero(npt.time_ps > 0.08 - 0.05 + 1e-9)
    np.testing.assert_allclose(found.atoms.cell.array, found.mean_cell, rtol=0, atol=0)
    fractional = found.atoms.positions @ np.linalg.inv(found.mean_cell)
    assert fractional.min() < 0  # atoms that sit on the faces have left the cell
    strains = [np.linalg.norm(np.linalg.inv(npt.cells[k]) @ found.mean_cell - np.eye(3)) for k in window]
    nearest = window[int(np.argmin(strains))]
    assert nearest != window[-1]  # else this would not tell it from the last one
    expected = npt.positions[nearest] @ np.linalg.inv(npt.cells[nearest])
    np.testing.assert_allclose(fractional, expected, rtol=0, atol=1e-12)


def test_production_starts_with_momenta_of_its_own(tmp_path: Path) -> None:
    """At the temperature, at rest as a whole, others than those that heating began with."""
    found = equilibrate(tmp_path, copper(), emt(), SHORT, 300.0)
    masses = copper().get_masses()
    assert kinetic_temperature(found.momenta, masses) == pytest.approx(300.0, rel=1e-12)
    assert np.abs(found.momenta.sum(axis=0)).max() < 1e-12
    cold = thermal_momenta(masses, SHORT.initial_temperature_k, seed_of(SHORT.seed, 300.0))
    cosine = np.sum(cold * found.momenta) / np.linalg.norm(cold) / np.linalg.norm(found.momenta)
    assert abs(cosine) < 0.8  # 24 numbers: four standard deviations of independent ones
    assert same_bits(found.momenta, equilibrate(tmp_path, copper(), emt(), SHORT, 300.0).momenta)


def test_mean_cell_of_springs_is_that_of_their_length(tmp_path: Path) -> None:
    """A cold crystal of springs under no pressure has bonds of their length: the cell is known in closed form."""
    start = crystal((3, 3, 3))
    strained = start.copy()
    strained.set_cell(start.cell * 1.01, scale_atoms=True)
    cold = SHORT.model_copy(
        update={
            "pressure_gpa": 0.0,
            "initial_temperature_k": 20.0,
            "barostat_ps": 1.0,
            "heating_ps": 0.0,
            "nvt_ps": 0.0,
            "npt_ps": 8.0,
            "cell_average_ps": 6.0,
            "store_every_steps": 10,
            "checkpoint_ps": 1.0,
            "timestep_fs": 4.0,
        }
    )
    found = equilibrate(tmp_path, strained, SpringCrystal(start), cold, 20.0)
    # Vibrations across a bond, <u^2> of about kT / k = 0.003 Angstrom^2, shorten the crystal by <u^2> / 2 d0.
    bond = found.volume_per_atom ** (1 / 3) * 2 ** (1 / 6)
    assert bond == pytest.approx(BOND, abs=0.005)
    assert found.volume_per_atom == pytest.approx(
        BOND**3 / np.sqrt(2), abs=max(5 * found.volume_per_atom_std, 0.05)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["npt"]  # stages of no length are skipped


@pytest.mark.parametrize("n_steps", [0, 20, 25, 55])
def test_stopped_anywhere_it_ends_in_the_same_bits(n_steps: int, whole: Equilibration, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        equilibrate(tmp_path / "stopped", copper(), emt(), SHORT, 300.0, stop=StopAfter(n_steps))
    stopped = equilibrate(tmp_path / "stopped", copper(), emt(), SHORT, 300.0)
    assert fields_of(stopped) == fields_of(whole)


def test_finished_costs_nothing(tmp_path: Path) -> None:
    counted = Counted(emt())
    first = equilibrate(tmp_path, copper(), counted, SHORT, 300.0)
    asked = counted.asked
    assert asked == 70 + 3
    assert fields_of(equilibrate(tmp_path, copper(), counted, SHORT, 300.0)) == fields_of(first)
    assert counted.asked == asked


def test_a_record_gives_the_same_production(tmp_path: Path) -> None:
    """Written as JSON and read back, an equilibration starts the same bits."""
    found = equilibrate(tmp_path / "equilibration", copper(), emt(), SHORT, 300.0)
    read = from_record(Equilibration, json.loads(json.dumps(to_record(found))))
    assert fields_of(read) == fields_of(found)
    one = produce(tmp_path / "one", found, emt(), SHORT)
    other = produce(tmp_path / "other", read, emt(), SHORT)
    assert_same(one, other)
    assert one.steps.tolist() == list(range(0, 31, 2))
    assert one.target_temperature_k == 300.0
    assert same_bits(one.cells, np.tile(found.mean_cell, (16, 1, 1)))
    np.testing.assert_allclose(one.positions[0], found.atoms.positions, atol=1e-6)
    again = dataclasses.replace(found, temperature_k=300.0)
    assert_same(one, produce(tmp_path / "one", again, emt(), SHORT))


def test_seeds_differ_by_temperature_and_seed() -> None:
    made = [seed_of(seed, temperature) for seed in range(5) for temperature in (300.0, 300.5, 400.0, 450.0)]
    assert len(set(made)) == len(made)
    # Fixed for ever: a stored run must not change when numpy does.
    assert seed_of(0, 600.0) == 3781371158


def test_temperatures_get_their_own_velocities(tmp_path: Path) -> None:
    starts = []
    for temperature_k in (300.0, 400.0):
        equilibrate(tmp_path / f"{temperature_k}", copper(), emt(), SHORT, temperature_k)
        starts.append(open_trajectory(tmp_path / f"{temperature_k}" / "heat").positions[1])
    assert np.abs(starts[0] - starts[1]).max() > 1e-3


def test_the_cell_of_the_dynamics_is_a_clean_supercell(tmp_path: Path) -> None:
    atoms = Atoms("LiCl", [[0, 0, 0], [2.5, 2.5, 2.5]], cell=[5, 5, 5])
    atoms.info["origin"] = "somewhere"
    atoms.set_initial_charges([1, -1])
    made = dynamics_cell(atoms, SHORT.model_copy(update={"repeat": (1, 2, 3)}))
    assert made.get_chemical_symbols() == ["Li", "Cl"] * 6
    assert made.cell.lengths().tolist() == [5, 10, 15] and made.pbc.all()
    assert not made.info and set(made.arrays) == {"numbers", "positions"}
    assert made.positions[:2].tolist() == atoms.positions.tolist()
    doubled = SHORT.model_copy(update={"repeat": (1, 2, 1)})
    found = equilibrate(tmp_path, copper(), emt(), doubled, 300.0)
    assert len(found.atoms) == 16
    assert found.volume_per_atom == pytest.approx(11.66, rel=0.05)


def test_a_flat_cell_becomes_one_whose_images_are_far_enough(tmp_path: Path) -> None:
    """5 x 5 x 20 Angstrom, 12 wanted: six cells do with a hexagonal base, nine would with repeats along a and b."""
    atoms = Atoms("LiCl", [[0, 0, 0], [2.5, 2.5, 10]], cell=[5, 5, 20], pbc=True)
    wide = SHORT.model_copy(update={"smallest_image_angstrom": 11.0})
    made = dynamics_cell(atoms, wide)
    steps = np.array(list(np.ndindex(7, 7, 7))) - 3
    images = np.linalg.norm(steps[np.any(steps, axis=1)] @ made.cell.array, axis=1)
    assert images.min() >= 11.0
    assert len(made) < 2 * 9 and len(made) % 2 == 0
    density = len(made) / made.cell.volume
    assert density == pytest.approx(2 / 500.0, rel=1e-12)
    with pytest.raises(InputError, match="keep periodic images"):
        dynamics_cell(atoms, SHORT.model_copy(update={"smallest_image_angstrom": 500.0}))


def test_an_average_over_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 stored frames") as caught:
        equilibrate(tmp_path, copper(), emt(), SHORT.model_copy(update={"cell_average_ps": 0.006}), 300.0)
    assert "cell_average_ps" in caught.value.where
    assert not list(tmp_path.iterdir())


def test_block_error_of_white_noise() -> None:
    """sigma / sqrt(n); being the largest of several levels, it is 20 % or so too large on average."""
    rng = np.random.default_rng(0)
    estimates = [block_error(rng.normal(0, 2.0, 4096)) for _ in range(200)]
    assert 1.0 < np.mean(estimates) / (2.0 / 64) < 1.45


def test_block_error_of_correlated_noise() -> None:
    """AR(1) with factor f has a correlation time (1 + f) / (1 - f) = 19 for 0.9, and sqrt(19) times the error."""
    rng = np.random.default_rng(0)
    estimates = []
    for _ in range(60):
        noise = rng.normal(size=8192)
        series = np.empty_like(noise)
        series[0] = noise[0] / np.sqrt(1 - 0.81)
        for k in range(1, len(series)):
            series[k] = 0.9 * series[k - 1] + noise[k]
        estimates.append(block_error(series))
    exact = np.sqrt(19.0 / 8192 / (1 - 0.81))
    assert 0.9 < np.mean(estimates) / exact < 1.4


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60),
    shift=st.floats(-1e3, 1e3),
    factor=st.floats(0.01, 100),
)
def test_block_error_scales(values: list[float], shift: float, factor: float) -> None:
    series = np.array(values)
    error = block_error(series)
    assert error >= series.std() / np.sqrt(len(series) - 1) * (1 - 1e-9)
    # Rounding of values of 1e3 and of their shift.
    assert block_error(factor * series + shift) == pytest.approx(factor * error, rel=1e-9, abs=1e-9)
