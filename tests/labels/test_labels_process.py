"""A code as a process: its limits, its last words, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from halion.errors import LabelError, MissingDependency
from halion.labels.process import run_process


def python(text: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", text]  # nothing else to load: limits here are a second or two


def test_output_and_environment_are_the_code_s(tmp_path):
    text = "import os, sys; print(os.environ['WORD']); sys.stderr.write('aside')"
    run_process(python(text), tmp_path, 30, environment={"WORD": "yes"})
    assert (tmp_path / "output.txt").read_text() == "yes\n"
    assert (tmp_path / "error.txt").read_text() == "aside"


def test_a_failure_says_its_last_words(tmp_path):
    with pytest.raises(LabelError, match="ended with status 3: out of cheese"):
        run_process(python("import sys; print('out of cheese'); sys.exit(3)"), tmp_path, 30)


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(MissingDependency, match="'no-such-code' cannot be run"):
        run_process(["no-such-code"], tmp_path, 30)


def test_past_its_limit_it_and_its_children_are_killed(tmp_path):
    text = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    with pytest.raises(TimeoutError, match="no result within 1 s"):
        run_process(python(text), tmp_path, 1)
    assert_ends(int((tmp_path / "output.txt").read_text()))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_driver_leaves_no_code_running(tmp_path, end):
    """The driver has no time to say anything; the code and its children (MPI ranks) end all the same."""
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    driver = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path; from halion.labels.process import run_process; "
            f"run_process({python(code)!r}, Path({str(tmp_path)!r}), 60)",
        ]
    )
    output = tmp_path / "output.txt"
    wait_until(lambda: output.exists() and output.read_text().endswith("\n"))
    child = int(output.read_text())
    assert Path(f"/proc/{child}").exists()
    driver.send_signal(end)
    driver.wait()
    assert_ends(child)


def test_the_guard_of_a_finished_code_is_gone(tmp_path):
    def children() -> set[str]:
        listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        return {child for path in listed for child in path.read_text().split()}

    before = children()
    run_process(python("pass"), tmp_path, 30)
    assert children() <= before


def wait_until(reached, seconds: float = 30.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if reached():
            return
        time.sleep(0.05)
    pytest.fail("it never came")


def assert_ends(child: int) -> None:
    """The kill is sent, and takes its time."""

    def is_over() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    try:
        wait_until(is_over)
    except BaseException:
        os.kill(child, 9)
        raise


def test_the_limit_counts_from_the_last_step(tmp_path):
    """Steps for longer than the limit go on; the first pause longer than twice the limit ends them."""
    growing = tmp_path / "steps"
    text = "import sys, time\nfor k in range(8):\n    open('steps', 'w').write('x' * k); time.sleep(0.4)\n"
    run_process(python(text), tmp_path, 2, growing=growing)
    assert growing.read_text() == "x" * 7
    start = time.time()
    with pytest.raises(TimeoutError, match="no further step within 2 s"):
        run_process(
            python("import time; open('steps', 'w').write('y'); time.sleep(60)"), tmp_path, 2, growing=growing
        )
    assert time.time() - start < 20
