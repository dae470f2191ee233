"""Calls of the command line as a user makes them, in this process."""

from __future__ import annotations

import json

from halion.cli.main import app


def answer(capfd, *words: object) -> dict:
    """The JSON object of a verb that ends well."""
    code = app([*map(str, words), "--json"])
    captured = capfd.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def text(capfd, *words: object) -> str:
    """The text of a verb that ends well."""
    code = app(list(map(str, words)))
    captured = capfd.readouterr()
    assert code == 0, captured.err
    return captured.out


def refusal(capfd, code: int, *words: object) -> str:
    """What a verb says on standard error when it ends with this code."""
    assert app(list(map(str, words))) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err
