"""Cores are those of this process, not those of the machine."""

import os
import subprocess
import sys

import pytest

from halion.cores import usable_cores


def test_there_are_some_and_not_more_than_the_machine_has():
    assert 1 <= usable_cores() <= os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_a_process_bound_to_one_core_has_one():
    code = (
        "import os; from halion.cores import usable_cores; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    )
    found = subprocess.run(
        [sys.executable, "-c", f"{code}; print(usable_cores())"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "1"
