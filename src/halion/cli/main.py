"""The entry point: which verbs there are, and how every ending becomes a text and an exit code.

No verb imports a room, numpy or pydantic before it is called, so that `halion --help` answers at once
(tests/house/test_import_time.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import IO, Annotated

import typer

from halion import __version__
from halion.cli import (
    cite,
    compare,
    doctor,
    enumerate,
    evaluate,
    finetune,
    init,
    label,
    loop,
    md,
    plan,
    rank,
    relax,
    report,
    reproduce,
    run,
    schema,
    series,
    stability,
    status,
    transport,
)
from halion.cli.terminal import Shown, only_json_on_stdout, say, write
from halion.errors import EXIT_BUG, EXIT_DONE, HalionError, Interrupted, MissingDependency, SettingsError

__all__ = ["VERBS", "app"]

POTENTIALS = "A better potential"
STUDY, ROOMS, ABOUT = "A study, from crystal to report", "One step alone, on files", "About this halion"

VERBS: dict[str, tuple[str, Callable[..., Shown]]] = {
    "init": (STUDY, init.command),
    "plan": (STUDY, plan.command),
    "run": (STUDY, run.command),
    "status": (STUDY, status.command),
    "report": (STUDY, report.command),
    "compare": (STUDY, compare.command),
    "reproduce": (STUDY, reproduce.command),
    "enumerate": (ROOMS, enumerate.command),
    "rank": (ROOMS, rank.command),
    "series": (ROOMS, series.command),
    "stability": (ROOMS, stability.command),
    "relax": (ROOMS, relax.command),
    "md": (ROOMS, md.command),
    "transport": (ROOMS, transport.command),
    "label": (POTENTIALS, label.command),
    "finetune": (POTENTIALS, finetune.command),
    "evaluate": (POTENTIALS, evaluate.command),
    "loop": (POTENTIALS, loop.command),
    "doctor": (ABOUT, doctor.command),
    "cite": (ABOUT, cite.command),
    "schema": (ABOUT, schema.command),
}

# What typer makes of a KeyboardInterrupt; no exit code of halion is so high.
_TYPER_CTRL_C = 130

EPILOG = (
    "Start with: halion run Li3YBr6\n\n"
    "Exit codes: 0 done, 1 a bug in halion, 2 input that cannot be used, 3 refused on physics, "
    "4 something is not installed, 5 interrupted (the same command again goes on).\n\n"
    "With --json every verb prints exactly one JSON object on standard output."
)


class Bug(HalionError):
    """An exception that nobody foresaw."""

    exit_code = EXIT_BUG


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"halion {__version__}")
        raise typer.Exit


def _describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """From a refined, disordered crystal to its ionic conductivity, with error bars."""


def _build() -> typer.Typer:
    built = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        epilog=EPILOG,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    built.callback()(_describe)
    for name, (panel, command) in VERBS.items():
        built.command(name, rich_help_panel=panel)(command)
    return built


def app(words: Sequence[str] | None = None) -> int:
    """Run one command of the command line.

    Args:
        words: what follows `halion`; None: the words that this process was started with.
    Returns:
        the exit code.
    """
    words = list(sys.argv[1:] if words is None else words) or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a terminal without Greek letters is no reason to fail
    as_json = "--json" in words
    with only_json_on_stdout() if as_json else contextlib.nullcontext(sys.stdout) as out:
        try:
            return _run(words, out)
        except BrokenPipeError:  # `halion schema | head`: the reader had enough
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (Python flushes it at exit)
            return EXIT_DONE
        except (Exception, KeyboardInterrupt) as error:
            told = _told(error, words)
            say(f"halion: {told}")
            if as_json:
                out.write(json.dumps(_error_record(told), indent=1) + "\n")
            return told.exit_code


def _run(words: list[str], out: IO[str]) -> int:
    answer = _build()(words, prog_name="halion", standalone_mode=False)
    if answer == _TYPER_CTRL_C:
        raise KeyboardInterrupt
    if isinstance(answer, Shown):
        write(answer, out)
        return answer.exit_code
    return answer or EXIT_DONE  # --help and --version give their exit code


def _told(error: BaseException, words: list[str]) -> HalionError:
    """Any exception as an error with its remedy; what nobody foresaw is a bug, shown with its traceback."""
    if isinstance(error, HalionError):
        return error
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "halion"
        return SettingsError(error.format_message(), fix=f"{command} --help   (shows what there is)")
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Interrupted(
            "interrupted; no file was left half written", fix=f"to go on: halion {shlex.join(words)}"
        )
    if isinstance(error, ModuleNotFoundError) and not (error.name or "halion").startswith("halion"):
        return MissingDependency(
            f"the package {error.name} is not installed", fix="halion doctor   (says what is missing)"
        )
    say("".join(traceback.format_exception(error)))
    return Bug(
        f"this is a bug in halion ({type(error).__name__}: {error})",
        fix="report it with the lines above and the output of: halion doctor",
    )


def _error_record(error: HalionError) -> dict[str, dict[str, str | int]]:
    kind = type(error).__name__
    fields = {"what": error.what, "where": error.where, "fix": error.fix, "exit_code": error.exit_code}
    return {"error": {"kind": kind, **fields}}


if __name__ == "__main__":
    sys.exit(app())
