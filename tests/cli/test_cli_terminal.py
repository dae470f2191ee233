"""The terminal: progress with the time left, tables, one JSON object and nothing else, a clean stop."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time

import pytest

from halion.cli import terminal
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal, time_left, write


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("done", "remaining", "elapsed_s", "text"),
    [
        (10, 10, 30, "30 s left"),
        (1, 9, 60, "9 min left"),
        (1, 9, 3600, "9.0 h left"),
        (1, 99, 3600, "4.1 days left"),
        (0, 10, 30, ""),  # nothing done yet
        (10, 0, 30, ""),  # finished
        (1, 10, 0.2, ""),  # too early to tell
    ],
)
def test_the_time_left_is_at_the_mean_speed(done, remaining, elapsed_s, text):
    assert time_left(done, remaining, elapsed_s) == text


def test_without_a_terminal_lines_are_rare(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.StringIO()
    with Watcher(stream) as watcher:
        for k in range(601):  # ten minutes, told every second
            now = 1000.0 + k
            watcher("relaxation", k, 600, f"step {k}")
    lines = stream.getvalue().splitlines()
    assert 55 <= len(lines) <= 61
    assert lines[0] == "relaxation  0 %  10 min left  step 2"  # a short command says nothing
    assert lines[30] == "relaxation  50 %  5 min left  step 302"
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_two_stages_share_one_line_each_ten_seconds(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.StringIO()
    watcher = Watcher(stream)
    for k in range(100):
        now = float(k)
        watcher("a", k, 100)
        watcher("b", k, 100)
    assert len(stream.getvalue().splitlines()) <= 100 / terminal.LINE_EVERY_S + 1


def test_work_done_in_an_earlier_session_does_not_count_as_speed(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream = io.StringIO()
    watcher = Watcher(stream)
    now = 10.0
    watcher("dynamics", 900, 1000)
    now = 30.0
    watcher("dynamics", 910, 1000)
    # 10 in 20 s, 90 to go; with the earlier 900 it would say 2 s.
    assert stream.getvalue().splitlines()[-1] == "dynamics  91 %  3 min left"


def test_a_total_that_is_not_known_is_no_error(monkeypatch):
    monkeypatch.setattr(terminal, "FIRST_LINE_AFTER_S", 0.0)
    stream = io.StringIO()
    Watcher(stream)("count", 0, 0, "thinking")
    assert stream.getvalue() == "count  ...  thinking\n"


def test_on_a_terminal_there_is_a_bar_for_each_stage(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    with Watcher(screen) as watcher:
        tell = watcher.stage("orderings")
        tell(1, 4, "searching [1]")
        watcher("relaxation", 3, 4, "")
        time.sleep(0.2)
    text = screen.getvalue()
    assert "orderings" in text and "relaxation" in text
    assert "25%" in text and "75%" in text
    assert "searching [1]" in text  # brackets are no markup


def test_no_color_leaves_no_colour(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    with Watcher(screen) as watcher:
        watcher("orderings", 1, 4)
    write(Shown(record={}, text=[Table(headings=("a",), rows=(("b",),))], as_json=False), screen)
    # Select Graphic Rendition with a colour: 30-38, 40-48, 90-97 or 100-107.
    import re

    assert not re.search(r"\x1b\[(\d+;)*(3[0-8]|4[0-8]|9[0-7]|10[0-7])(;\d+)*m", screen.getvalue())


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(terminal, "FIRST_LINE_AFTER_S", 0.0)
    screen = Screen()
    with Watcher(screen) as watcher:
        watcher("orderings", 1, 4)
    assert screen.getvalue() == "orderings  25 %\n"


def test_a_table_in_a_file_is_plain_and_aligned():
    stream = io.StringIO()
    table = Table(headings=("site", "atoms"), rows=(("4h", "[bold]Li[/bold]"), ("2a", "Y")))
    write(Shown(record={}, text=[table, "done"], as_json=False), stream)
    assert stream.getvalue() == "site  atoms\n4h    [bold]Li[/bold]\n2a    Y\ndone\n"


def test_json_is_one_object():
    stream = io.StringIO()
    write(Shown(record={"a": [1, None]}, text=["words"], as_json=True), stream)
    assert json.loads(stream.getvalue()) == {"a": [1, None]}


def test_nan_is_not_json():
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(Shown(record={"a": float("nan")}, text=[], as_json=True), io.StringIO())


CHATTY = """
import os, subprocess, sys
from halion.cli.terminal import only_json_on_stdout
with only_json_on_stdout() as out:
    print("a chatty library")
    os.write(1, b"a chatty C library\\n")
    subprocess.run([sys.executable, "-c", "print('a chatty worker')"], check=True)
    out.write('{"a": 1}')
print(" afterwards")
"""


def test_whatever_prints_does_not_reach_standard_output():
    done = subprocess.run([sys.executable, "-c", CHATTY], capture_output=True, text=True, check=True)
    assert done.stdout == '{"a": 1} afterwards\n'
    for word in ("library", "C library", "worker"):
        assert f"a chatty {word}\n" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_to_stop_and_a_second_breaks_off(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_on_signal() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
        signal.raise_signal(number)
    assert signal.getsignal(number) == before
    assert "stopping after the step at hand" in capsys.readouterr().err
