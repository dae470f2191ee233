"""kill -9 at random moments: the resumed run ends in the bits of the undisturbed one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from dynamics_cases import copper, emt, heating, stage
from test_dynamics_run import assert_same, assert_same_state

from halion.dynamics import MdStage, open_trajectory, run_stage

STAGES = {
    "nvt": stage("nvt", n_steps=140),
    "npt": stage("npt", n_steps=140, pressure_gpa=1.0),
    "heating": heating(n_steps=140),
}


def kill_at_random(folder: Path, wanted: MdStage, rng: np.random.Generator, longest_s: float) -> int:
    """Start the stage in a child again and again, kill -9 it after a random time until it ends; count the kills."""
    n_kills = 0
    while True:
        child = multiprocessing.get_context("fork").Process(
            target=run_stage, args=(folder, copper(), emt(), wanted)
        )
        child.start()
        # The first kills come soon, the last ones late enough for the run to end at all.
        child.join(timeout=rng.uniform(0.05, longest_s) + 0.1 * n_kills)
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            n_kills += 1
            continue
        assert child.exitcode == 0
        return n_kills


@pytest.mark.parametrize("kind", STAGES)
def test_killed_at_random_it_ends_in_the_same_bits(kind: str, tmp_path: Path) -> None:
    began = time.monotonic()
    whole = run_stage(tmp_path / "whole", copper(), emt(), STAGES[kind])
    took = time.monotonic() - began
    rng = np.random.default_rng(3)
    n_kills = 0
    for attempt in range(20):  # on a busy machine a run may end before it is killed: another folder then
        folder = tmp_path / f"killed-{attempt}"
        n_kills += kill_at_random(folder, STAGES[kind], rng, took / 3)
        killed = open_trajectory(folder)
        assert np.all(np.diff(killed.steps) == 5) and killed.steps[-1] == 140
        assert_same(whole, killed)
        assert_same_state(tmp_path / "whole", folder)
        if n_kills >= 3:
            return
    pytest.fail(f"{n_kills} kills in 20 runs")


CHGNET_RUN = """
import sys
from pathlib import Path
import torch
from ase.build import bulk
from halion.dynamics import MdStage, run_stage
from halion.potentials import load_potential
torch.set_num_threads(1)
atoms = bulk("LiCl", "rocksalt", a=5.1, cubic=True)
stage = MdStage(ensemble=sys.argv[2], n_steps=120, timestep_fs=2.0, temperature_k=500.0, pressure_gpa=0.5,
                store_every_steps=4, checkpoint_every_steps=8)
Path(sys.argv[1]).mkdir(exist_ok=True)
Path(sys.argv[1], "started").touch()
run_stage(Path(sys.argv[1], "run"), atoms, load_potential("chgnet"), stage)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_chgnet_killed_at_random_ends_in_the_same_bits(ensemble: str, tmp_path: Path) -> None:
    def start(name: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", CHGNET_RUN, str(tmp_path / name), ensemble])

    assert start("whole").wait() == 0
    rng, n_kills = np.random.default_rng(7), 0
    while n_kills < 4:
        child = start("killed")
        n_before = len(list((tmp_path / "killed").glob("run/*.h5")))
        # Kill only after progress, at a random moment of the segments that follow.
        while child.poll() is None and len(list((tmp_path / "killed").glob("run/*.h5"))) <= n_before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.4))
        if child.poll() is not None:
            break
        child.kill()
        child.wait()
        n_kills += 1
    assert n_kills >= 2
    assert start("killed").wait() == 0
    assert_same(open_trajectory(tmp_path / "whole/run"), open_trajectory(tmp_path / "killed/run"))
    assert_same_state(tmp_path / "whole/run", tmp_path / "killed/run")
