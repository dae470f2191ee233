"""Step folders have one worker at a time, wherever the others run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

from halion.progress import never
from halion.study.leases import LEASE, held

QUICK_S = 0.6  # of silence


def test_a_folder_is_held_and_given_back(tmp_path):
    with held([tmp_path], never, silent_s=QUICK_S) as asked:
        assert json.loads((tmp_path / LEASE).read_text())["process"] == os.getpid()
        assert not asked()
    assert not (tmp_path / LEASE).exists()


def test_a_second_worker_waits_for_the_first(tmp_path):
    order = []

    def second():
        with held([tmp_path], never, silent_s=QUICK_S):
            order.append("second")

    with held([tmp_path], never, silent_s=QUICK_S):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(2 * QUICK_S)  # longer than silence: the first is alive, and is heard
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_the_folder_of_a_dead_worker_is_taken_over(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from halion.study.leases import held\n"
        "with held([Path(sys.argv[1])], lambda: False, silent_s=0.6): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9
    assert (tmp_path / LEASE).exists()
    began = time.monotonic()
    with held([tmp_path], never, silent_s=QUICK_S) as asked:
        assert time.monotonic() - began > QUICK_S
        assert not asked()


def test_an_owner_that_was_taken_for_dead_stops(tmp_path):
    with held([tmp_path], never, silent_s=QUICK_S) as asked:
        (tmp_path / LEASE).write_text(json.dumps({"token": "another"}))
        time.sleep(QUICK_S)
        assert asked()
    assert json.loads((tmp_path / LEASE).read_text())["token"] == "another"  # not the first one's to remove


def test_a_clock_that_jumps_takes_no_folder_away(tmp_path, monkeypatch):
    """A file's time may lie a day ahead or behind, as another node's clock says: only that it changes counts."""
    order = []

    def second():
        with held([tmp_path], never, silent_s=QUICK_S):
            order.append("second")

    with held([tmp_path], never, silent_s=QUICK_S):
        other = threading.Thread(target=second)
        other.start()
        for shift in (-86400, 86400, 0, -86400):
            monkeypatch.setattr(time, "time", lambda shift=shift: 1e9 + shift)
            os.utime(tmp_path / LEASE, (1e9 + shift, 1e9 + shift))
            time.sleep(QUICK_S / 2)
        order.append("first")
    other.join()
    assert order == ["first", "second"]


def test_who_is_asked_to_stop_while_waiting_gets_nothing(tmp_path):
    (tmp_path / LEASE).write_text(json.dumps({"token": "another"}))
    until = time.monotonic() + QUICK_S / 3
    with held([tmp_path], lambda: time.monotonic() > until, silent_s=QUICK_S) as asked:
        assert asked is None


def test_of_many_that_find_it_silent_one_has_it(tmp_path):
    (tmp_path / LEASE).write_text(json.dumps({"token": "dead"}))
    inside, most = 0, 0
    lock = threading.Lock()

    def worker():
        nonlocal inside, most
        with held([tmp_path], never, silent_s=QUICK_S):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.05)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
