"""Symmetry from lists and symbols, and where spglib differs from the file."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
from crystal_files import BROMIDE, BROMIDE_CELL, cif, contents, write
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.crystal import read_crystal
from halion.crystal.cif_cell import cell_matrix
from halion.crystal.cif_file import read_block
from halion.crystal.cif_symmetry import read_operations
from halion.errors import CrystalError


@pytest.fixture
def read(tmp_path):
    return lambda text: read_crystal(write(tmp_path, text))


@pytest.mark.parametrize(
    "tag",
    [
        "_space_group_name_H-M_alt 'C 2/m'",
        "_symmetry_space_group_name_H-M C2/m",
        "_symmetry_space_group_name_H-M 'C 1 2/m 1'",
        "_space_group.name_H-M_alt 'C 1 2/m 1'",
        "_space_group_name_H-M_full 'C 1 2/m 1'",
        "_space_group_name_Hall '-C 2y'",
        "_symmetry_space_group_name_Hall '-C 2y'",
        "_space_group_name_Hall 'wrong'\n_symmetry_space_group_name_H-M 'C 2/m'",
        "_space_group_IT_number 12",
        "_symmetry_Int_Tables_number 12",
        "_SYMMETRY_INT_TABLES_NUMBER 12",
        "_symmetry_space_group_name_H-M ?\n_symmetry_Int_Tables_number 12",
    ],
)
def test_symbol_in_every_spelling_gives_the_listed_operations(read, tag):
    listed, named = read(cif()), read(cif(symmetry=[], extra=tag))
    assert contents(named) == contents(listed)
    assert named.space_group_number == 12
    assert any("lists no symmetry operations" in note for note in named.notes)


@pytest.mark.parametrize("list_tag", ["_symmetry_equiv_pos_as_xyz", "_space_group_symop.operation_xyz"])
def test_list_tags(read, list_tag):
    assert contents(read(cif().replace("_space_group_symop_operation_xyz", list_tag))) == contents(read(cif()))


@pytest.mark.parametrize(
    ("symbol", "plain"),
    [
        ("P2_1/c", "P 1 21/c 1"), ("P 21/c", "P 1 21/c 1"), ("P6(3)/mmc", "P 63/m m c"), ("Pnma", "P n m a"),
        ("Fd-3mZ", "F d -3 m:2"), ("F d -3 m S", "F d -3 m:1"), ("F d -3 m :2", "F d -3 m:2"),
        ("R -3 m H", "R -3 m:H"), ("R-3m:R", "R -3 m:R"), ("I 1 2/m 1", "I 1 2/m 1"), ("A2/m", "A 1 2/m 1"),
        ("F m 3 m", "F m -3 m"), ("P4_2/nmc:2", "P 42/n m c:2"),
    ],
)  # fmt: skip
def test_spellings_of_symbols(tmp_path, symbol, plain):
    rhombohedral = plain.endswith(":R")
    cell = np.array(cell_matrix([6.0] * 3, [75.0] * 3)) if rhombohedral else _cell_of(plain)
    block = read_block(write(tmp_path, cif(symmetry=[], extra=f"_space_group_name_H-M_alt '{symbol}'")))
    found = read_operations(block, cell)
    expected = {op.triplet() for op in gemmi.SpaceGroup(plain).operations()}
    triplets = {
        _triplet(rotation, translation) for rotation, translation in zip(found.rotations, found.translations)
    }
    assert triplets == expected


def _cell_of(symbol: str) -> np.ndarray:
    group = gemmi.SpaceGroup(symbol)
    system = group.crystal_system_str()
    lengths = {"cubic": [6.0] * 3, "monoclinic": [5.0, 6.0, 7.0], "orthorhombic": [5.0, 6.0, 7.0]}
    angles = {"monoclinic": [90.0, 105.0, 90.0], "hexagonal": [90.0, 90.0, 120.0], "trigonal": [90.0, 90.0, 120.0]}
    return cell_matrix(lengths.get(system, [6.0, 6.0, 9.0]), angles.get(system, [90.0] * 3))


def _triplet(rotation: np.ndarray, translation: np.ndarray) -> str:
    operation = gemmi.Op("x,y,z")
    operation.rot = (rotation * gemmi.Op.DEN).tolist()
    operation.tran = np.round(translation * gemmi.Op.DEN).astype(int).tolist()
    return operation.wrap().triplet()


@pytest.mark.parametrize("symbol", ["F d -3 m", "Fd-3m", "P4_2/nmc", "P 42/n m c"])
def test_two_origins_are_not_guessed(tmp_path, symbol):
    with pytest.raises(CrystalError, match="two customary origins") as caught:
        read_crystal(write(tmp_path, cif(symmetry=[], extra=f"_symmetry_space_group_name_H-M '{symbol}'")))
    assert ":2" in caught.value.fix


def test_every_symbol_of_the_table_is_read_with_its_own_operations(tmp_path):
    """All 564 settings: the extended symbol gives exactly that setting's operations."""
    for group in gemmi.spacegroup_table():
        symbol = group.xhm()
        cell = cell_matrix([6.0] * 3, [75.0] * 3) if group.ext == "R" else _general_cell(group)
        block = read_block(write(tmp_path, cif(symmetry=[], extra=f"_space_group_name_H-M_alt '{symbol}'")))
        found = read_operations(block, cell)
        ours = {_triplet(r, t) for r, t in zip(found.rotations, found.translations)}
        assert ours == {op.wrap().triplet() for op in group.operations()}, symbol


def _general_cell(group: gemmi.SpaceGroup) -> np.ndarray:
    """A cell that any setting's operations fit: made symmetric by averaging the metric over the group."""
    metric = np.diag([25.0, 36.0, 49.0]) + 3.0
    rotations = [np.array(op.rot) / gemmi.Op.DEN for op in group.operations()]
    return np.linalg.cholesky(np.mean([r.T @ metric @ r for r in rotations], axis=0))


def test_an_incomplete_list_is_completed(read):
    crystal = read(cif(symmetry=["x,y,z", "-x,y,-z", "-x,-y,-z", "x+1/2,y+1/2,z"]))
    assert contents(crystal) == contents(read(cif()))
    assert any("which generate 8" in note for note in crystal.notes)


def test_numbered_and_decimal_operations(read):
    operations = ["1 x,y,z", "2 -x,y,-z", "3 -x,-y,-z", "4 x,-y,z", "5 0.5+x,0.5+y,z", "X+1/2, -Y+1/2, Z"]
    assert contents(read(cif(symmetry=operations))) == contents(read(cif()))


def test_fewer_operations_than_the_sites_have(read):
    """C2 listed where the sites have C2/m: the orbits are those of C2/m and the difference is noted."""
    mirrored = [(label + "b", kind, (x, -y, z), occupancy) for label, kind, (x, y, z), occupancy in BROMIDE[1:4]]
    rows = [*BROMIDE[:4], *mirrored, BROMIDE[4]]
    crystal = read(cif(rows, symmetry="C 1 2 1"))
    assert crystal.space_group == "C2/m"
    assert any("8 operations" in note and "more than the file's 4" in note for note in crystal.notes)
    assert contents(crystal) == contents(read(cif()))


def test_occupancies_are_told_apart(read):
    """Two Li sites exchanged by a pseudo-translation are one orbit only if their occupancies are equal."""
    rows = [("Li1", "Li", (0, 0, 0), 0.8), ("Li2", "Li", (0.5, 0.5, 0.5), 0.2), ("S1", "S", (0.5, 0.5, 0), 0.25),
            ("S2", "S", (0, 0, 0.5), 0.25)]  # fmt: skip
    cell = (6.0, 6.0, 6.0, 90, 90, 90)
    unequal = read(cif(rows, cell, "P 4/m m m"))
    equal = read(cif([(a, b, c, 0.5 if b == "Li" else d * 2) for a, b, c, d in rows], cell, "P 4/m m m"))
    assert len(unequal.rotations) == 16 and len(equal.rotations) == 32
    assert [orbit.n_sites for orbit in unequal.orbits] == [1, 1, 1, 1]
    assert [orbit.n_sites for orbit in equal.orbits] == [2, 2]


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.tuples(*[st.floats(2, 30)] * 3),
    angles=st.tuples(*[st.floats(60, 119)] * 3),
)
def test_cell_matrix_has_the_metric_of_its_parameters(lengths, angles):
    cell = cell_matrix(list(lengths), list(angles))
    if np.isnan(cell).any():
        assert sum(angles) > 340  # three angles near 120 degrees span no cell
        return
    cosines = np.cos(np.radians(angles))
    a, b, c = lengths
    expected = np.array(
        [
            [a * a, a * b * cosines[2], a * c * cosines[1]],
            [a * b * cosines[2], b * b, b * c * cosines[0]],
            [a * c * cosines[1], b * c * cosines[0], c * c],
        ]
    )
    # Squares of 30 Angstrom in double precision.
    assert np.allclose(cell @ cell.T, expected, atol=1e-9)
    assert cell[0, 1] == cell[0, 2] == cell[1, 2] == 0


def test_right_angles_are_exact():
    assert np.array_equal(cell_matrix([3.0, 4.0, 5.0], [90.0] * 3), np.diag([3.0, 4.0, 5.0]))


def test_cell_volume_is_that_of_gemmi(read):
    crystal = read(cif())
    assert crystal.volume == pytest.approx(gemmi.UnitCell(*BROMIDE_CELL).volume, rel=1e-12)
