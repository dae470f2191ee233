"""A run that stays on the disk gives what the same run gives in memory; blocks give what the whole gives."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields, replace

import numpy as np
import pytest
from stored_runs import stored
from transport_walks import SETTINGS, in_framework, lattice_walk, trajectory

from halion.dynamics.stored import StoredPositions
from halion.errors import TrajectoryError
from halion.transport import analyse_run, haven_ratio, ion_density, msd_tensor, read_trajectory
from halion.transport.frames import blocks_without_drift, framework_msd, mobile_ions
from halion.transport.msd import framework_drift, without_drift

N_FRAMES = 2500  # three blocks of frames


def breathing(seed: int = 0, n_frames: int = N_FRAMES):
    """Li and Cl that stand between each other in the file, in a drifting lattice whose triclinic cell breathes."""
    rng = np.random.default_rng(seed)
    whole = in_framework(lattice_walk(seed, n_ions=9, n_frames=n_frames, rate=0.05), n_framework=20)
    drift = np.cumsum(rng.normal(0, 0.01, (n_frames, 1, 3)), axis=0)
    order = rng.permutation(29)
    scale = (1 + 0.01 * np.sin(np.arange(n_frames) / 9))[:, None, None]
    cell = np.array([[15.0, 0, 0], [2.0, 14.0, 0], [-1.0, 3.0, 16.0]])
    symbols = [whole.symbols[k] for k in order]
    symbols = tuple("Y" if k % 5 == 0 and symbols[k] == "Cl" else symbols[k] for k in range(29))
    return trajectory((whole.positions + drift)[:, order] * scale, symbols, cell=scale * cell)


def of(run, element):
    return [symbol == element for symbol in run.symbols]


def test_blocks_are_the_whole_without_drift():
    run = breathing()
    firsts, blocks, drifts = zip(*blocks_without_drift(run, "Li"), strict=True)
    assert firsts == (0, 1024, 2048)
    # One and the same arithmetic on blocks: positions of 20 Angstrom keep 1e-14 of themselves.
    assert np.abs(np.concatenate(blocks) - without_drift(run, "Li")).max() < 1e-12
    assert np.abs(np.concatenate(drifts) - framework_drift(run, "Li")).max() < 1e-12


def test_paths_of_ions_and_framework_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr("halion.transport.frames._MOST_BYTES", 24 * N_FRAMES * 3)  # three atoms at once
    run = breathing(1)
    free = without_drift(run, "Li")
    ions = mobile_ions(run, "Li")
    assert np.abs(ions.positions - free[:, of(run, "Li")]).max() < 1e-12
    found = framework_msd(run, "Li", ions.drift, 700)
    assert set(found) == {"Cl", "Y"}
    for element, values in found.items():
        whole = np.trace(msd_tensor(free[:, of(run, element)], 700), axis1=1, axis2=2)
        # Both cancel squares of 1 Angstrom in double precision.
        assert np.allclose(values, whole, rtol=1e-12, atol=1e-13)


def assert_equal(one, other):
    """Field by field: numbers to the bit, since the same arithmetic was done."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "along":
            for x, y in zip(a, b, strict=True):
                assert_equal(x, y)
        else:
            np.testing.assert_equal(a, b, err_msg=field.name)


def test_a_run_on_the_disk_is_analysed_to_the_same_bits(tmp_path):
    """Displacement, fit, errors, verdict, Haven ratio and density."""
    memory = stored(tmp_path / "trajectory.h5", breathing(2))
    disk = read_trajectory(tmp_path / "trajectory.h5")
    assert isinstance(disk.positions, StoredPositions)
    assert_equal(analyse_run(disk, SETTINGS), analyse_run(memory, SETTINGS))
    assert haven_ratio(disk, SETTINGS).measured == haven_ratio(memory, SETTINGS).measured
    assert_equal(ion_density(disk, "Li", spacing=1.0), ion_density(memory, "Li", spacing=1.0))


def test_ions_that_were_read_already_are_not_read_again(tmp_path):
    """Displacement, Haven ratio and density of one pass are those of a pass each."""
    run = breathing(4)
    ions = mobile_ions(run, "Li")
    assert_equal(analyse_run(run, SETTINGS, ions), analyse_run(run, SETTINGS))
    assert haven_ratio(run, SETTINGS, ions).measured == haven_ratio(run, SETTINGS).measured
    one, other = (ion_density(run, "Li", spacing=1.0, ions=given) for given in (ions, None))
    # Whole counts are equal; the mean of the framework is summed in the same blocks.
    assert_equal(one, other)


def test_what_is_wrong_on_the_disk_is_refused(tmp_path):
    run = breathing(3)
    positions = run.positions.copy()
    positions[1800, 3] = np.nan
    stored(tmp_path / "trajectory.h5", replace(run, positions=positions))
    for look in (lambda disk: analyse_run(disk, SETTINGS), lambda disk: ion_density(disk, "Li")):
        with pytest.raises(TrajectoryError, match="frame 1800 holds a position"):
            look(read_trajectory(tmp_path / "trajectory.h5"))


def test_memory_is_that_of_the_ions_and_not_of_the_run(tmp_path, monkeypatch):
    """40 000 frames of 5 Li in 60 atoms: 58 MB as float64, of which the ions' paths are 5."""
    monkeypatch.setattr("halion.transport.frames._MOST_BYTES", 5e6)
    n_frames, rng = 40_000, np.random.default_rng(0)
    positions = np.empty((n_frames, 60, 3), dtype=np.float32)
    positions[:, :5] = lattice_walk(0, n_ions=5, n_frames=n_frames, rate=0.02)
    positions[:, 5:] = rng.uniform(0, 15, (55, 3))
    positions += rng.normal(0, 0.1, (n_frames, 1, 3)).astype(np.float32)
    given = trajectory(np.zeros((n_frames, 1, 3)), ("Li",) * 5 + ("Cl",) * 55)
    stored(tmp_path / "trajectory.h5", replace(given, positions=positions))
    disk = read_trajectory(tmp_path / "trajectory.h5")
    tracemalloc.start()
    try:
        analyse_run(disk, SETTINGS)
        ion_density(disk, "Li")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Paths, 5 MB of the framework, a block of frames, the density's grid and spectra: half of the run is far more.
    assert peak < 29e6
