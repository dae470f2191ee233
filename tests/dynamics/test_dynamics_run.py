"""One stage: frames, resuming after a stop, what it refuses, and equal bits however often it was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from dynamics_cases import Counted, SpringCrystal, copper, crystal, emt, heating, same_bits, stage

from halion.dynamics import MdStage, Trajectory, last_state, open_trajectory, run_stage, thermal_momenta
from halion.errors import InputError, Interrupted, RunFolderError

STAGES = {
    "nve": stage("nve", n_steps=60),
    "nvt": stage("nvt", n_steps=60),
    "npt": stage("npt", n_steps=60, pressure_gpa=0.5),
    "npt_isotropic": stage("npt_isotropic", n_steps=60, pressure_gpa=0.5),
    "heating": heating(n_steps=60),
}
ARRAYS = ("positions", "cells", "steps", "time_ps", "temperature_k", "potential_energy", "pressure_gpa")


class StopAfter:
    """Asks for a stop after so many questions."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def assert_same(one: Trajectory, other: Trajectory) -> None:
    for name in ARRAYS:
        assert same_bits(getattr(one, name), getattr(other, name)), name
    assert same_bits(one.conserved_energy, other.conserved_energy)


def assert_same_state(one: Path, other: Path) -> None:
    states = last_state(one), last_state(other)
    assert states[0].keys() == states[1].keys()
    for name in states[0]:
        assert same_bits(states[0][name], states[1][name]), name


def run_stopping(folder: Path, atoms: Atoms, wanted: MdStage, stops: list[int]) -> Trajectory:
    """Run with a stop after each of these numbers of steps, then to the end."""
    for n in stops:
        with pytest.raises(Interrupted):
            run_stage(folder, atoms, emt(), wanted, stop=StopAfter(n))
    return run_stage(folder, atoms, emt(), wanted)


@pytest.mark.parametrize("kind", STAGES)
def test_stopped_at_any_step_it_ends_in_the_same_bits(kind: str, tmp_path: Path) -> None:
    """Stops before the first step, at a checkpoint, between frames, on a frame, and one step apart."""
    whole = run_stage(tmp_path / "whole", copper(), emt(), STAGES[kind])
    stopped = run_stopping(tmp_path / "stopped", copper(), STAGES[kind], [0, 10, 3, 0, 2, 1, 25])
    assert_same(whole, stopped)
    assert_same_state(tmp_path / "whole", tmp_path / "stopped")
    assert not list((tmp_path / "stopped").glob("segment*"))


def test_frames_are_those_asked_for(tmp_path: Path) -> None:
    trajectory = run_stage(tmp_path, copper(), emt(), stage(n_steps=23, timestep_fs=1.5))
    assert trajectory.steps.tolist() == [0, 5, 10, 15, 20]
    np.testing.assert_allclose(trajectory.time_ps, trajectory.steps * 0.0015, rtol=1e-15)
    assert trajectory.symbols == ("Cu",) * 8
    assert trajectory.target_temperature_k == 300.0
    assert trajectory.n_frames == 5
    # Frame 0 is the start: lattice sites (in float32, 1e-6 at 7 Angstrom) and the temperature drawn.
    np.testing.assert_allclose(trajectory.positions[0], copper().positions, atol=1e-6)
    assert trajectory.temperature_k[0] == pytest.approx(300.0, rel=1e-12)
    assert last_state(tmp_path)["step"].tolist() == [23.0]


def test_whole_numbers_are_as_good_as_floats(tmp_path: Path) -> None:
    """`temperature_k=600` in a script is the run of `600.0`, and its files are whole."""
    whole = stage("npt", n_steps=8, temperature_k=600, pressure_gpa=1, timestep_fs=2)
    one = run_stage(tmp_path / "whole", copper(), emt(), whole)
    other = run_stage(tmp_path / "float", copper(), emt(), replace(whole, temperature_k=600.0, timestep_fs=2.0))
    assert_same(one, other)
    assert open_trajectory(tmp_path / "whole").target_temperature_k == 600.0


def test_finished_returns_at_once(tmp_path: Path) -> None:
    counted = Counted(emt())
    first = run_stage(tmp_path, copper(), counted, stage())
    asked, told = counted.asked, []
    again = run_stage(tmp_path, copper(), counted, stage(), progress=lambda *words: told.append(words))
    assert counted.asked == asked
    assert_same(first, again)
    assert told == [(40, 40, "")]


def test_resuming_repeats_nothing(tmp_path: Path) -> None:
    counted = Counted(emt())
    with pytest.raises(Interrupted):
        run_stage(tmp_path, copper(), counted, stage(), stop=StopAfter(20))
    assert counted.asked == 21
    run_stage(tmp_path, copper(), counted, stage())
    assert counted.asked == 42  # 20 steps, and once more for the forces at the restart


def test_how_often_it_is_stored_changes_nothing(tmp_path: Path) -> None:
    often = run_stage(tmp_path / "often", copper(), emt(), stage(checkpoint_every_steps=5))
    seldom = run_stage(tmp_path / "seldom", copper(), emt(), stage(checkpoint_every_steps=1000))
    assert_same(often, seldom)
    # ... and may change within a run.
    with pytest.raises(Interrupted):
        run_stage(tmp_path / "changed", copper(), emt(), stage(checkpoint_every_steps=5), stop=StopAfter(11))
    assert_same(often, run_stage(tmp_path / "changed", copper(), emt(), stage(checkpoint_every_steps=20)))


def test_interrupted_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="step 7 of 40") as caught:
        run_stage(tmp_path, copper(), emt(), stage(), stop=StopAfter(7))
    assert "same command" in caught.value.fix
    assert open_trajectory(tmp_path).steps.tolist() == [0, 5]


def test_progress_tells_the_state(tmp_path: Path) -> None:
    told = []
    run_stage(tmp_path, copper(), emt(), stage(), progress=lambda *words: told.append(words))
    assert told[0][:2] == (1, 40)
    assert " K, V 11.66 A^3/atom, E " in told[0][2]
    assert told[-1] == (40, 40, "")
    assert len(told) < 40  # at most about one a second, not one a step


@pytest.mark.parametrize(
    "change",
    [
        {"temperature_k": 310.0},
        {"timestep_fs": 1.0},
        {"seed": 2},
        {"thermostat_ps": 0.06},
        {"store_every_steps": 10},
        {"ensemble": "npt"},
    ],
)
@pytest.mark.parametrize("is_finished", [False, True])
def test_a_folder_of_other_inputs_is_refused(change: dict, is_finished: bool, tmp_path: Path) -> None:
    if is_finished:
        run_stage(tmp_path, copper(), emt(), stage())
    else:
        with pytest.raises(Interrupted):
            run_stage(tmp_path, copper(), emt(), stage(), stop=StopAfter(20))
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunFolderError, match="other inputs") as caught:
        run_stage(tmp_path, copper(), emt(), replace(stage(), **change))
    assert str(tmp_path) in caught.value.fix
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_another_structure_momenta_or_potential_is_refused(tmp_path: Path) -> None:
    run_stage(tmp_path, copper(), emt(), stage())
    moved = copper()
    moved.positions[0, 0] += 1e-12
    hot = copper()
    hot.set_momenta(thermal_momenta(hot.get_masses(), 300.0, 9))
    other = emt()
    other.weights_sha256 = "retrained"
    for atoms, potential in ((moved, emt()), (hot, emt()), (copper(), other)):
        with pytest.raises(RunFolderError):
            run_stage(tmp_path, atoms, potential, stage())


def test_given_momenta_are_used_without_their_drift(tmp_path: Path) -> None:
    atoms = copper()
    thermal = thermal_momenta(atoms.get_masses(), 200.0, 3)
    atoms.set_momenta(thermal + 0.7)
    trajectory = run_stage(tmp_path, atoms, emt(), stage())
    assert trajectory.temperature_k[0] == pytest.approx(200.0, rel=1e-12)
    centre = trajectory.positions.mean(axis=1)
    np.testing.assert_allclose(centre, np.tile(centre[0], (9, 1)), atol=1e-6)  # float32


def test_positions_are_unwrapped_and_continuous(tmp_path: Path) -> None:
    """Atoms on the faces of the cell leave it and are not put back."""
    start = crystal((3, 3, 3))
    trajectory = run_stage(tmp_path, start, SpringCrystal(start), stage(n_steps=100, store_every_steps=1))
    fractional = trajectory.positions @ np.linalg.inv(start.cell.array)
    assert fractional.min() < -0.005
    # 300 K copper moves 0.2 Angstrom per 0.1 ps at 1 sigma: 0.005 per step; ten sigma.
    assert np.abs(np.diff(trajectory.positions, axis=0)).max() < 0.05


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"n_steps": 0}, "n_steps"),
        ({"timestep_fs": -1.0}, "timestep_fs"),
        ({"temperature_k": 0.0}, "temperature_k"),
        ({"start_temperature_k": 0.0}, "start_temperature_k"),
        ({"checkpoint_every_steps": 7}, "multiple"),
        ({"ensemble": "nph"}, "nph"),
    ],
)
def test_stages_without_sense_are_refused(change: dict, word: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=word):
        run_stage(tmp_path, copper(), emt(), replace(stage(), **change))
    assert not list(tmp_path.iterdir())


def test_structures_without_sense_are_refused(tmp_path: Path) -> None:
    for atoms, word in (
        (Atoms("Cu", cell=[3, 3, 3], pbc=True), "two atoms"),
        (Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]]), "three dimensions"),
        (Atoms("CuLi", [[0, 0, 0], [0, 0, 2.5]], cell=[5, 5, 5], pbc=True), "does not know Li"),
    ):
        with pytest.raises(InputError, match=word):
            run_stage(tmp_path, atoms, emt(), stage())
