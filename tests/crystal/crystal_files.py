"""CIFs for the tests of the crystal room: a writer, changes of setting, and where the reference crystals lie."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest

from halion.crystal import DisorderedCrystal

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURES = REPOSITORY / "tests/data/crystals"
REFERENCE = (REPOSITORY / "../shared/reference").resolve()

Row = tuple[str, str, tuple[float | str, float | str, float | str], float | str]  # label, type, xyz, occupancy

BROMIDE_CELL = (6.9188, 11.9742, 6.8635, 90.0, 109.78, 90.0)
# Li3YBr6 with Y ordered: the smallest realistic crystal of the family.
BROMIDE: list[Row] = [
    ("Y1", "Y", (0, 0, 0), 1),
    ("Li1", "Li", (0, 0.3336, 0), 0.75),
    ("Li2", "Li", (0, 0.1670, 0.5), 0.75),
    ("Br1", "Br", (0.2492, 0.1679, 0.2410), 1),
    ("Br2", "Br", (0.7504, 0, 0.2417), 1),
]


def reference_crystals() -> list[Path]:
    """The reference CIFs; empty where they are not at hand."""
    return sorted((REFERENCE / "crystals").glob("*.cif"))


def reference(name: str) -> Path:
    """One reference CIF; the test is skipped, saying so, where it is absent."""
    path = REFERENCE / "crystals" / name
    if not path.is_file():
        pytest.skip(f"the reference crystal {name} is not at hand")
    return path


def cif(
    rows: list[Row] = BROMIDE,
    cell: tuple[float | str, ...] = BROMIDE_CELL,
    symmetry: str | list[str] = "C 1 2/m 1",
    extra: str = "",
    columns: tuple[str, ...] = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"),
) -> str:
    """A CIF. A symbol as `symmetry` becomes its list of operations; a list is written as it is."""
    operations = (
        [op.triplet() for op in gemmi.SpaceGroup(symmetry).operations()] if isinstance(symmetry, str) else symmetry
    )
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_test", *(f"_cell_{name} {value}" for name, value in zip(names, cell)), extra]
    if operations:
        lines += ["loop_", "_space_group_symop_operation_xyz", *(f"'{xyz}'" for xyz in operations)]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns)]
    for label, kind, xyz, occupancy in rows:
        values = {"label": label, "type_symbol": kind, "occupancy": occupancy}
        values |= dict(zip(("fract_x", "fract_y", "fract_z"), xyz))
        lines.append(" ".join(str(values[column]) for column in columns))
    return "\n".join(lines) + "\n"


def write(folder: Path, text: str, name: str = "crystal.cif") -> Path:
    """The text as a file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def in_other_cell(crystal: DisorderedCrystal, transform: np.ndarray, shift: np.ndarray) -> str:
    """A crystal listed in P1 in the cell transform @ cell, its origin moved by `shift` (fractions of the old cell).

    The integer matrix may enlarge the cell (supercells) or change its setting.
    """
    cell = transform @ crystal.cell
    inverse = np.linalg.inv(transform)
    reach = int(np.abs(transform).sum()) + 1
    shifts = np.array(
        [
            (i, j, k)
            for i in range(-reach, reach + 1)
            for j in range(-reach, reach + 1)
            for k in range(-reach, reach + 1)
        ]
    )
    rows: list[Row] = []
    for index, orbit in enumerate(crystal.orbits):
        images = ((orbit.fractional + shift)[:, None, :] + shifts).reshape(-1, 3) @ inverse
        inside = images[np.all((images >= -1e-9) & (images < 1 - 1e-9), axis=1)]
        for number, xyz in enumerate(inside):
            for element, occupancy in orbit.occupancy.items():
                rows.append(
                    (f"{element}{index}_{number}", element, tuple(f"{x:.9f}" for x in xyz), f"{occupancy:.7f}")
                )
    return cif(rows, cell_parameters(cell), ["x,y,z"])


def cell_parameters(cell: np.ndarray) -> tuple[float, ...]:
    """Lengths and angles of row vectors."""
    lengths = np.linalg.norm(cell, axis=1)
    unit = cell / lengths[:, None]
    angles = [np.degrees(np.arccos(unit[i] @ unit[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
    return (*(float(f"{x:.9f}") for x in lengths), *(float(f"{x:.9f}") for x in angles))


def contents(crystal: DisorderedCrystal, *, per: str = "cell") -> list[tuple]:
    """Orbits without labels, order, origin and letters: occupancies and sites per cell or per formula, sorted."""
    scale = {"cell": 1.0, "volume": crystal.volume}[per]
    return sorted(
        (tuple(sorted((e, round(x, 5)) for e, x in orbit.occupancy.items())), round(orbit.n_sites / scale, 6))
        for orbit in crystal.orbits
    )
