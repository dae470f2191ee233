"""What the house tests look at: rooms in their order, source files, functions."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "halion"

# Data goes one way: a room may import those before it, never one behind it. Rooms that are not built yet stand
# here already, so that their place is settled.
ROOMS = (
    "crystal",
    "orderings",
    "potentials",
    "ranking",
    "dynamics",
    "labels",
    "training",
    "transport",
    "stability",
    "report",
    "study",
    "cli",
)
ROOT_MODULES = (
    "arrays",
    "cores",
    "errors",
    "extxyz",
    "files",
    "plain_yaml",
    "progress",
    "records",
    "settings",
    "settings_campaign",
    "settings_learning",
    "settings_site",
    "study_file",
    "units",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_files() -> list[Path]:
    """Every Python file of the package."""
    return sorted(SOURCE.rglob("*.py"))


def rooms_present() -> list[str]:
    """Rooms whose folder holds Python files."""
    return [room for room in ROOMS if any((SOURCE / room).glob("*.py"))]


def shown(path: Path) -> str:
    """A path as a reader knows it."""
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """(full name, line) of everything that a file imports, inside functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def functions(path: Path) -> Iterator[tuple[str, Function, bool]]:
    """(qualified name, function, is it public) of every function and method of a file."""

    def walk(node: ast.AST, prefix: str, is_public: bool) -> Iterator[tuple[str, Function, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                public = is_public and not child.name.startswith("_")
                yield f"{prefix}{child.name}", child, public
                yield from walk(child, f"{prefix}{child.name}.", False)
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.", is_public and not child.name.startswith("_"))
            else:
                yield from walk(child, prefix, is_public)

    yield from walk(tree(path), "", True)


def tracked_files() -> list[Path]:
    """Text files that belong to the project; an export without git has what lies in its source folders."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    folders = ("src", "tests", "docs", "scripts", "benchmarks")
    return [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
