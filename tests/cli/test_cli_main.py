"""Endings: every verb answers, every error has its text, its exit code and, with --json, its object."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from halion import __version__, errors
from halion.cli import main
from halion.cli.main import VERBS, app
from halion.cli.terminal import Shown


def run(capfd, *words: str) -> tuple[int, str, str]:
    code = app(list(words))
    captured = capfd.readouterr()
    return code, captured.out, captured.err


def raising(error: BaseException):
    def command(as_json: bool = False) -> Shown:
        raise error

    return command


def as_process(*words: str, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "halion.cli.main", *words], text=True, **options)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_takes_json(capfd, verb):
    code, out, _ = run(capfd, verb, "--help")
    assert code == 0
    assert "--json" in out
    assert f"Usage: halion {verb}" in out


def test_help_lists_every_verb_in_its_panel(capfd):
    code, out, err = run(capfd, "--help")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    for verb, (panel, _) in VERBS.items():
        assert any(line.startswith(f"│ {verb} ") for line in lines), verb
        assert any(panel in line for line in lines), panel


def test_nothing_is_the_same_as_help(capfd):
    assert run(capfd) == run(capfd, "--help")


def test_version(capfd):
    assert run(capfd, "--version") == (0, f"halion {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (("nonsense",), "nonsense", "halion --help"),
        (("enumrate", "x"), "enumrate", "halion --help"),
        (("rank",), "Missing argument", "halion rank --help"),
        (("md", "a.cif"), "Missing option", "halion md --help"),
        (("status", "x", "--frobnicate"), "--frobnicate", "halion status --help"),
        (
            ("rank", "x", "--relax-best", "many"),
            "'--relax-best': Input should be",
            "halion rank --help",
        ),
    ],
)
def test_wrong_words_are_told(capfd, words, what, fix):
    code, out, err = run(capfd, *words)
    assert (code, out) == (2, "")
    assert what in err
    assert f"next:  {fix}" in err
    assert "Traceback" not in err


KINDS = [
    (errors.CrystalError, 2),
    (errors.PhysicsRefusal, 3),
    (errors.MissingDependency, 4),
    (errors.Interrupted, 5),
    (errors.DiskFull, 5),
    (errors.EngineError, 1),
]


@pytest.mark.parametrize(("kind", "code"), KINDS)
def test_an_error_of_halion_ends_with_its_text_and_code(capfd, monkeypatch, kind, code):
    monkeypatch.setitem(VERBS, "schema", ("x", raising(kind("what happened", where="there", fix="do this"))))
    found, out, err = run(capfd, "schema")
    assert (found, out) == (code, "")
    assert err == "halion: what happened\n  where: there\n  next:  do this\n"


@pytest.mark.parametrize(("kind", "code"), KINDS)
def test_with_json_an_error_is_one_object(capfd, monkeypatch, kind, code):
    error = kind("what happened", where="there", fix="do this")

    def command(as_json: main.schema.AsJson = False) -> Shown:
        raise error

    monkeypatch.setitem(VERBS, "schema", ("x", command))
    found, out, err = run(capfd, "schema", "--json")
    told = {"kind": kind.__name__, "what": "what happened", "where": "there", "fix": "do this", "exit_code": code}
    assert json.loads(out) == {"error": told}
    assert found == code
    assert "what happened" in err


def test_what_nobody_foresaw_is_a_bug_with_its_traceback(capfd, monkeypatch):
    monkeypatch.setitem(VERBS, "schema", ("x", raising(ZeroDivisionError("by zero"))))
    code, out, err = run(capfd, "schema")
    assert (code, out) == (1, "")
    assert "Traceback" in err and "by zero" in err
    assert "this is a bug in halion" in err


def test_a_package_that_is_not_installed_is_no_bug(capfd, monkeypatch):
    missing = ModuleNotFoundError("No module named 'torch'", name="torch")
    monkeypatch.setitem(VERBS, "schema", ("x", raising(missing)))
    code, _, err = run(capfd, "schema")
    assert code == 4
    assert "the package torch is not installed" in err and "halion doctor" in err


def test_a_module_of_halion_that_is_missing_is_a_bug(capfd, monkeypatch):
    missing = ModuleNotFoundError("No module named 'halion.nowhere'", name="halion.nowhere")
    monkeypatch.setitem(VERBS, "schema", ("x", raising(missing)))
    assert run(capfd, "schema")[0] == 1


def test_ctrl_c_says_how_to_go_on(capfd, monkeypatch):
    monkeypatch.setitem(VERBS, "schema", ("x", raising(KeyboardInterrupt())))
    code, _, err = run(capfd, "schema")
    assert code == 5
    assert "to go on: halion schema" in err


def test_ctrl_c_of_a_process_is_exit_code_5(tmp_path):
    code = (
        "import sys, time\nfrom halion.cli import main\n"
        "def command(as_json: bool = False) -> main.Shown:\n"
        "    sys.stderr.write('ready'); sys.stderr.flush(); time.sleep(60)\n"
        "main.VERBS['schema'] = ('x', command)\n"
        "sys.exit(main.app(['schema']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr.read(5) == "ready"
    process.send_signal(signal.SIGINT)
    assert "to go on" in process.stderr.read()
    assert process.wait() == 5


def test_a_reader_that_had_enough_is_no_error():
    process = as_process("schema", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0


def test_a_terminal_without_greek_letters_is_no_error(tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    process = as_process("--help", stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "enumerate" in out


def test_no_color_is_honoured_by_help():
    environment = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": ""}
    process = as_process("--help", stdout=subprocess.PIPE, env=environment)
    assert "\x1b[3" not in process.communicate()[0]


def test_an_empty_command_line_never_waits_for_input():
    began = time.monotonic()
    process = as_process("run", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.communicate()[1].startswith("halion: Missing argument")
    assert process.returncode == 2
    assert time.monotonic() - began < 20
