"""The engine for clusters, with Parsl's workers as processes of this machine; with Slurm: test_study_slurm.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import engine_jobs
import psutil
import pytest

from halion.errors import EngineError, Interrupted, TornFile
from halion.progress import never
from halion.settings import MachineSettings
from halion.settings_site import PoolSettings, SiteSettings
from halion.study.cluster import cluster_engine
from halion.study.cluster_worker import SESSION
from halion.study.leases import LEASE

pytest.importorskip("parsl", reason='no Parsl here: pip install "halion[cluster]"')

SITE = SiteSettings(dynamics=PoolSettings(workers_per_node=2, gpus_per_node=2), silent_s=3.0)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
        with cluster_engine(SITE)(MachineSettings(), tmp_path_factory.mktemp("run")) as made:
            yield made


@pytest.fixture
def folders(tmp_path):
    made = [tmp_path / name for name in ("one", "two", "three")]
    for folder in made:
        folder.mkdir()
    return made


def run(engine, job, folders, stop=never):
    engine.run(job, [[folder] for folder in folders], watch=lambda: None, stop=stop)


def test_jobs_run_elsewhere_each_in_its_folder(engine, folders):
    run(engine, engine_jobs.write_pid, folders)
    assert all((folder / "pid").exists() for folder in folders)
    assert not any((folder / LEASE).exists() for folder in folders)


def test_each_worker_has_an_accelerator_of_its_own(engine, folders):
    run(engine, engine_jobs.accelerator, folders[:2])
    assert {(folder / "device").read_text() for folder in folders[:2]} == {"0", "1"}
    assert engine.devices == 2


def test_what_is_out_of_time_is_asked_for_again(engine, folders):
    run(engine, engine_jobs.count_up, folders)
    assert [json.loads((folder / "progress.json").read_text())["done"] for folder in folders] == [3, 3, 3]


def test_what_gets_nowhere_ends(engine, folders):
    with pytest.raises(EngineError, match="no further in 4"):
        run(engine, engine_jobs.get_nowhere, folders[:1])
    assert (folders[0] / "tries").read_text() == 5 * "x"  # the first sets the mark


def test_a_refusal_by_physics_is_a_result(engine, folders):
    run(engine, engine_jobs.refuse, folders)


def test_an_error_keeps_its_kind_and_its_words(engine, folders):
    with pytest.raises(TornFile, match="mend it") as raised:
        run(engine, engine_jobs.fail, folders[:1])
    assert str(folders[0]) in str(raised.value)


def test_a_mistake_in_the_code_is_told_with_its_kind(engine, folders):
    with pytest.raises(EngineError, match="ZeroDivisionError: a mistake"):
        run(engine, engine_jobs.break_down, folders[:1])


def test_a_lost_worker_is_replaced_and_its_job_done(engine, folders):
    run(engine, engine_jobs.die_once, folders[:1])
    assert (folders[0] / "pid").exists()


def test_jobs_stop_when_the_driver_does(tmp_path, folders):
    began = threading.Event()

    def stop():
        began.set() if (folders[0] / "began").exists() else None
        return began.is_set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
        with (
            pytest.raises(Interrupted),
            cluster_engine(SITE)(MachineSettings(), tmp_path) as engine,
        ):
            run(engine, engine_jobs.wait_for_stop, folders[:1], stop)
    assert (folders[0] / "stopped").exists()
    assert json.loads((tmp_path / "cluster" / SESSION).read_text())["stopping"]


def test_jobs_of_an_earlier_driver_stop_for_the_next(tmp_path, folders):
    """What a driver that was killed leaves behind sees the session of the one after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
        with cluster_engine(SITE)(MachineSettings(), tmp_path) as engine:
            session = tmp_path / "cluster" / SESSION
            waiting = threading.Thread(
                target=run,
                args=(engine, engine_jobs.wait_for_stop, folders[:1], lambda: (folders[0] / "stopped").exists()),
            )
            with pytest.MonkeyPatch.context() as quiet:
                quiet.setattr(threading, "excepthook", lambda _: None)  # it is interrupted, as it should be
                waiting.start()
                while not (folders[0] / "began").exists():
                    time.sleep(0.05)
                session.write_text(json.dumps({"session": "of the next", "stopping": False}))
                waiting.join(timeout=30)
    assert (folders[0] / "stopped").exists()


DRIVER = """
import sys
from pathlib import Path
import engine_jobs
from halion.progress import never
from halion.settings import MachineSettings
from halion.settings_site import SiteSettings
from halion.study.cluster import cluster_engine
if __name__ == "__main__":
    with cluster_engine(SiteSettings())(MachineSettings(), Path(sys.argv[1])) as engine:
        engine.run(engine_jobs.wait_for_stop, [[Path(sys.argv[2])]], watch=lambda: None, stop=never)
"""


def test_nothing_of_a_killed_driver_waits_for_ever(tmp_path, folders):
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), str(folders[0])], env=os.environ | {"PYTHONPATH": here}
    )
    until = time.monotonic() + 60
    while not (folders[0] / "began").exists():
        assert driver.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    children = psutil.Process(driver.pid).children(recursive=True)
    interchange = [
        one for one in children if "interchange" in " ".join(one.cmdline()) or "interchange" in one.name()
    ]
    assert interchange
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(interchange, timeout=10)
    assert not alive
    # A worker ends with its manager, which misses the interchange, or when it sees the next driver's session.
    (tmp_path / "cluster" / SESSION).write_text(json.dumps({"session": "of the next", "stopping": False}))
    _, alive = psutil.wait_procs(children, timeout=90)
    assert not alive
