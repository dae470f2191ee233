"""Words: remedies in errors, one version, no trace of anybody's machine, help for every verb."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import halion
from halion import errors
from house import ROOT, shown, source_files, tracked_files, tree

ERRORS = {name for name in errors.__all__ if name[0].isupper()}


def constructions() -> list[tuple[str, ast.Call]]:
    """Every place where an error of halion is made."""
    return [
        (f"{shown(path)}:{node.lineno}", node)
        for path in source_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and (getattr(node.func, "id", "") or getattr(node.func, "attr", "")) in ERRORS
    ]


def test_there_are_errors_to_look_at():
    assert len(constructions()) > 20


def test_every_error_says_what_to_do_next():
    wrong = [place for place, call in constructions() if "fix" not in {keyword.arg for keyword in call.keywords}]
    assert not wrong


def test_no_remedy_is_empty():
    wrong = [
        place
        for place, call in constructions()
        for keyword in call.keywords
        if keyword.arg == "fix" and isinstance(keyword.value, ast.Constant) and not str(keyword.value.value).strip()
    ]
    assert not wrong


def caught_in(path: Path) -> set[str]:
    """Names of the exceptions that a file or its room catches, to turn them into errors of halion."""
    room = path.parent.glob("*.py") if path.parent.name != "halion" else [path]
    nodes = [node for one in room for node in ast.walk(tree(one))]
    tuples = {
        target.id: names_in(node.value)
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    caught = {
        name for node in nodes if isinstance(node, ast.ExceptHandler) and node.type for name in names_in(node.type)
    }
    return caught.union(*(tuples.get(name, set()) for name in caught))


def names_in(node: ast.AST) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def test_rooms_raise_errors_of_halion():
    """No bare ValueError or RuntimeError reaches a user; what only a programming slip can raise may."""
    allowed = {
        "AssertionError",  # a check of halion on itself
        "AttributeError",  # module __getattr__
        "KeyboardInterrupt",
        "NotImplementedError",
        "TypeError",
    }
    wrong = []
    for path in source_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = getattr(node.exc.func, "id", "") or getattr(node.exc.func, "attr", "")
                is_builtin = name.endswith("Error") and hasattr(__import__("builtins"), name)
                is_caught = name in caught_in(path) or path.name.startswith("settings")  # there, by pydantic
                if is_builtin and name not in allowed and not is_caught:
                    wrong.append(f"{shown(path)}:{node.lineno} raises {name}")
    assert not wrong, "\n".join(wrong)


def test_there_is_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert "version" in project["dynamic"]  # see test_packaging.py
    # A build adds to it which commit it is.
    assert re.match(rf"{re.escape(str(citation['version']))}($|\.dev|\+)", halion.__version__)


def test_the_changelog_knows_this_version():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{halion.__version__.split('.dev')[0]}]" in text or "## [Unreleased]" in text


def test_nobody_s_machine_is_in_the_files():
    # Homes and work folders; system folders such as /usr and /proc are the same everywhere.
    path = re.compile(r"(?<![\w./~-])/(?:home|Users|root|work|mnt|scratch|tmp|opt|data)/\w")
    wrong = []
    for file in tracked_files():
        if file.suffix in (".h5", ".png", ".gz", ".so") or file.name.endswith(".min.js") or file == ROOT / __file__:
            continue
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        wrong += [f"{shown(file)}:{k}: {line[:120]}" for k, line in enumerate(lines, 1) if path.search(line)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["conventions.md"])
def test_a_page_is_one_page(name):
    assert len((ROOT / "docs" / name).read_text().splitlines()) <= 90


def test_contributing_is_one_page():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_is_short_and_says_its_price(path):
    text = path.read_text()
    assert len([line for line in text.splitlines() if line.strip()]) <= 15
    assert re.match(rf"# {path.name[:4]} ", text)
    assert all(f"**{part}" in text for part in ("Question", "Choice", "Cost", "What would reverse it"))


def test_every_exit_code_is_documented():
    text = (ROOT / "docs" / "conventions.md").read_text()
    from halion.cli.main import EPILOG

    for code in range(6):
        assert re.search(rf"^\| {code} \|", text, re.MULTILINE), code
        assert re.search(rf"\b{code} \w", EPILOG), code
