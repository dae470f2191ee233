"""Files of torch-sim: one that it wrote, against what it makes of it itself, and ones that mean nothing.

`torch_sim.h5` is by torch-sim 0.3.0 (TrajectoryReporter, velocities saved): 1200 steps of 1 fs of its Langevin
integrator at 600 K, every twentieth stored, of eight soft spheres named Li2Cl4YLi in a triclinic cell, seed 1.
`torch_sim.traj` is that file through its own `write_ase_trajectory`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
from ase.geometry import find_mic

from halion.errors import HalionError, TornFile, TrajectoryError
from halion.transport import read_trajectory
from halion.transport.torchsim import is_torch_sim, read_torch_sim

DATA = Path(__file__).parents[1] / "data"
FILE = DATA / "torch_sim.h5"
CELL = np.array([[7.6, 0, 0], [1.5, 7.0, 0], [-0.7, 0.9, 8.0]])


@pytest.fixture
def copy(tmp_path) -> Path:
    return Path(shutil.copy(FILE, tmp_path / "run.h5"))


def test_frames_are_those_that_torch_sim_sees():
    """Its cell vectors are columns: its export to pymatgen turns them, that to ASE (0.3.0) does not."""
    frames, steps = read_torch_sim(FILE)
    theirs = ase.io.read(DATA / "torch_sim.traj", ":")
    assert list(steps) == list(range(0, 1201, 20)) and len(frames) == len(theirs) == 61
    for ours, its in zip(frames, theirs, strict=True):
        assert ours.get_chemical_symbols() == its.get_chemical_symbols() == ["Li"] * 2 + ["Cl"] * 4 + ["Y", "Li"]
        np.testing.assert_array_equal(ours.positions, its.positions)
        np.testing.assert_array_equal(ours.cell.array, its.cell.array.T)
        # It wraps into the cell, as float32; in the cell of columns taken for rows atoms would lie 0.1 outside.
        fractional = ours.get_scaled_positions(wrap=False)
        assert fractional.min() > -1e-6 and fractional.max() < 1 + 1e-6
    assert np.allclose(frames[0].cell.array, CELL, atol=1e-6)  # float32


def test_as_a_trajectory_it_is_unwrapped_and_has_times_and_temperatures():
    run = read_trajectory(FILE, timestep_ps=0.02, temperature_k=600.0)
    assert np.allclose(run.time_ps, 0.02 * np.arange(61)) and run.target_temperature_k == 600.0
    frames, _ = read_torch_sim(FILE)
    wrapped = np.array([frame.positions for frame in frames])
    jumps = np.abs(np.diff(wrapped, axis=0) @ np.linalg.inv(CELL)).max()
    assert jumps > 0.9  # atoms did cross borders
    # Unwrapped, each step is the shortest of all images, which ASE finds by itself.
    for k in range(60):
        shortest, _ = find_mic(wrapped[k + 1] - wrapped[k], frames[k].cell)
        assert np.allclose(run.positions[k + 1] - run.positions[k], shortest, atol=1e-5)
    # The spheres start too close and heat up, to less than twice; another unit of time would be 100 times, squared.
    assert 500.0 < run.temperature_k.mean() < 1200.0
    velocities = h5py.File(FILE)["data/velocities"][5]
    by_hand = np.sum(frames[5].get_masses()[:, None] * velocities.astype(float) ** 2) / (24 * 8.617333e-5)
    assert run.temperature_k[5] == pytest.approx(by_hand, rel=1e-5)


def test_it_says_no_times():
    with pytest.raises(TrajectoryError, match="does not say how far apart") as caught:
        read_trajectory(FILE)
    assert "--frame-interval-ps" in caught.value.fix


def change(path: Path, name: str, values: np.ndarray) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = values


def test_a_cell_that_is_stored_once_holds_for_all_frames(copy):
    """As with variable_cell=False."""
    change(copy, "data/cell", h5py.File(FILE)["data/cell"][:1])
    change(copy, "steps/cell", np.array([0]))
    fixed, variable = (read_trajectory(path, timestep_ps=0.02) for path in (copy, FILE))
    np.testing.assert_array_equal(fixed.cells, variable.cells)
    np.testing.assert_array_equal(fixed.positions, variable.positions)


def test_without_velocities_the_temperature_is_unknown(copy):
    with h5py.File(copy, "r+") as file:
        del file["data/velocities"], file["steps/velocities"]
    assert np.isnan(read_trajectory(copy, timestep_ps=0.02).temperature_k).all()


def shifted(steps):
    return np.concatenate([steps[:7], steps[7:] + 20])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("steps/positions", lambda v: shifted(v), "cell at other steps than positions"),
        ("steps/velocities", lambda v: v + 1, "velocities at other steps"),
        (
            "data/atomic_numbers",
            lambda v: np.concatenate([v, v[:, ::-1]]),
            "elements of this torch-sim file change",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(copy, name, make, words):
    change(copy, name, make(h5py.File(FILE)[name][...]))
    with pytest.raises(TrajectoryError, match=words):
        read_trajectory(copy, timestep_ps=0.02)


def test_a_gap_between_steps_is_named(copy):
    for name in ("positions", "cell", "velocities"):
        change(copy, f"steps/{name}", shifted(h5py.File(FILE)["steps/positions"][...]))
    with pytest.raises(TrajectoryError, match="frames 6 and 7 of this file are 40 time steps apart"):
        read_trajectory(copy, timestep_ps=0.02)


def test_a_file_of_properties_alone_is_refused(copy):
    with h5py.File(copy, "r+") as file:
        del file["data/positions"]
    with pytest.raises(TrajectoryError, match="holds no positions") as caught:
        read_trajectory(copy, timestep_ps=0.02)
    assert "state_frequency" in caught.value.fix


def test_a_cut_file_is_never_half_a_run(copy):
    """Wherever it is cut, it is refused or, if HDF5 still finds all data, whole."""
    raw, whole = FILE.read_bytes(), read_trajectory(FILE, timestep_ps=0.02)
    for part in np.linspace(0.02, 0.98, 25):
        copy.write_bytes(raw[: int(part * len(raw))])
        try:
            found = read_trajectory(copy, timestep_ps=0.02)
        except HalionError:
            continue
        np.testing.assert_array_equal(found.positions, whole.positions)


def test_a_file_whose_arrays_are_gone_is_torn(copy):
    with h5py.File(copy, "r+") as file:
        del file["steps/positions"]
    with pytest.raises(TornFile, match="cannot be read to its end"):
        read_torch_sim(copy)


def test_other_files_are_not_taken_for_it(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_group("header").attrs["program"] = "another"
    assert not is_torch_sim(tmp_path / "text.h5") and not is_torch_sim(tmp_path / "other.h5")
    assert is_torch_sim(FILE)
