"""Worker processes: their errors arrive, they stop on request, and they die with their driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import engine_jobs
import psutil
import pytest

from halion.errors import EngineError, Interrupted, TornFile
from halion.progress import never
from halion.study.engine import LocalEngine, default_workers


def folders(tmp_path, n):
    made = [tmp_path / str(k) for k in range(n)]
    for folder in made:
        folder.mkdir()
    return made


def run(job, made, *, workers=2, stop=never):
    watched = []
    with LocalEngine(workers=workers, threads_per_worker=1) as engine:
        engine.run(job, [[one] for one in made], watch=lambda: watched.append(1), stop=stop)
    return len(watched)


def test_every_job_runs_in_another_process_and_is_watched(tmp_path):
    made = folders(tmp_path, 5)
    assert run(engine_jobs.write_pid, made) >= 1
    pids = {int((folder / "pid").read_text()) for folder in made}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_a_refusal_ends_its_job_alone(tmp_path):
    made = folders(tmp_path, 2)
    with LocalEngine(workers=1, threads_per_worker=1) as engine:
        engine.run(engine_jobs.refuse, [made[:1]], watch=lambda: None, stop=never)
        engine.run(engine_jobs.write_pid, [[one] for one in made[1:]], watch=lambda: None, stop=never)
    assert (made[1] / "pid").exists()


def test_the_error_of_a_job_arrives_whole(tmp_path):
    made = folders(tmp_path, 1)
    with pytest.raises(TornFile, match="torn") as caught:
        run(engine_jobs.fail, made)
    assert (caught.value.where, caught.value.fix) == (str(made[0]), "mend it")


def test_a_dead_worker_is_named(tmp_path):
    with pytest.raises(EngineError, match="worker process died"):
        run(engine_jobs.die, folders(tmp_path, 1))


def test_stopping_lets_jobs_finish_their_step(tmp_path):
    made = folders(tmp_path, 2)
    with pytest.raises(Interrupted):
        run(engine_jobs.wait_for_stop, made, stop=lambda: all((folder / "began").exists() for folder in made))
    assert all((folder / "stopped").exists() for folder in made)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process die with its parent")
def test_workers_die_with_their_driver(tmp_path):
    (folder,) = folders(tmp_path, 1)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import engine_jobs; from pathlib import Path\n"
        "from halion.study.engine import LocalEngine\n"
        "if __name__ == '__main__':\n"
        "    with LocalEngine(workers=1, threads_per_worker=1) as engine:\n"
        "        engine.run(engine_jobs.wait_long, [[Path(sys.argv[2])]], watch=lambda: None, stop=lambda: False)\n"
    )
    script = tmp_path / "driver.py"
    script.write_text(code)
    driver = subprocess.Popen([sys.executable, str(script), str(Path(__file__).parent), str(folder)])
    deadline = time.monotonic() + 60
    while not (folder / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = psutil.Process(int((folder / "pid").read_text() or 0))
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    worker.wait(timeout=10)  # raises when it lives on


def test_thread_variables_are_put_back():
    before = os.environ.get("OMP_NUM_THREADS")
    with LocalEngine(workers=1, threads_per_worker=3):
        assert os.environ["OMP_NUM_THREADS"] == "3"
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_default_workers_fill_the_cores():
    cores = len(os.sched_getaffinity(0))
    assert default_workers() == cores
    assert default_workers(cores) == 1
    assert default_workers(10 * cores) == 1
