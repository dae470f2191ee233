"""Bad input: one refusal each, saying what, where and what to do next."""

from __future__ import annotations

import os

import pytest
from crystal_files import BROMIDE, BROMIDE_CELL, FIXTURES, cif, write

from halion.crystal import read_crystal
from halion.errors import CrystalError, HalionError


def refusal(path) -> CrystalError:
    """The refusal of a file, complete."""
    with pytest.raises(CrystalError) as caught:
        read_crystal(path)
    assert isinstance(caught.value, HalionError)
    assert caught.value.what and caught.value.where and caught.value.fix
    return caught.value


def test_missing_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "absent.cif").what


def test_folder(tmp_path):
    assert "folder" in refusal(tmp_path).what


def test_empty_and_blank(tmp_path):
    for text in ("", " \n\n"):
        assert "empty" in refusal(write(tmp_path, text)).what


def test_binary_garbage(tmp_path):
    path = tmp_path / "noise.cif"
    path.write_bytes(bytes(range(256)) * 20)
    assert "binary" in refusal(path).what
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\xff" * 100)
    refusal(path)


def test_a_device_is_no_cif():
    assert "no CIF" in refusal("/dev/null").what


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path):
    path = write(tmp_path, cif())
    path.chmod(0)
    assert "cannot be read" in refusal(path).what


@pytest.mark.parametrize("text", ["Direct\n 1 2 3\n", "<html></html>", "LiCl\n1.0\n5 0 0\n", "# only a comment\n"])
def test_other_formats(tmp_path, text):
    assert "CIF" in refusal(write(tmp_path, text)).what or "no atoms" in refusal(write(tmp_path, text)).what


def test_syntax_error_names_the_line(tmp_path):
    text = cif().replace("Li2 Li 0 0.167 0.5 0.75", "Li2 Li 0 0.167 0.5")
    assert text != cif()
    assert "line" in refusal(write(tmp_path, text)).what


@pytest.mark.parametrize("part", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_cut_in_the_middle(tmp_path, part):
    text = cif()
    refusal(write(tmp_path, text[: int(len(text) * part)]))


def test_cut_anywhere_is_refused_or_noted(tmp_path):
    """Every cut of a whole file: refused, or a note says that the end or a row is missing."""
    text = cif(extra="_chemical_formula_sum 'Li3 Y Br6'")
    for end in range(len(text) - 1):
        path = write(tmp_path, text[:end])
        try:
            crystal = read_crystal(path)
        except CrystalError:
            continue
        assert any("middle of a line" in note or "row may be missing" in note for note in crystal.notes), text[:end]


@pytest.mark.parametrize("value", [1.5, 2, 1.02, 75])
def test_occupancy_above_one(tmp_path, value):
    error = refusal(write(tmp_path, cif([("Y1", "Y", (0, 0, 0), value), *BROMIDE[1:]])))
    assert "above one" in error.what
    assert "Y1" in error.where


@pytest.mark.parametrize("value", [-0.1, "-0.002(5)"])
def test_negative_occupancy(tmp_path, value):
    assert "negative" in refusal(write(tmp_path, cif([("Y1", "Y", (0, 0, 0), value), *BROMIDE[1:]]))).what


def test_occupancies_of_one_site_above_one(tmp_path):
    rows = [("Y1", "Y", (0, 0, 0), 0.8), ("Li9", "Li", (0, 0, 0), 0.3), *BROMIDE[1:]]
    error = refusal(write(tmp_path, cif(rows)))
    assert "Y1, Li9" in error.what and "1.1" in error.what


def test_no_symmetry(tmp_path):
    error = refusal(write(tmp_path, cif(symmetry=[])))
    assert "no symmetry operations" in error.what
    assert "_space_group_symop_operation_xyz" in error.fix


@pytest.mark.parametrize("symbol", ["Q 7/z", "???"])
def test_unknown_symbol(tmp_path, symbol):
    error = refusal(write(tmp_path, cif(symmetry=[], extra=f"_space_group_name_H-M_alt '{symbol}'")))
    assert symbol in error.what


@pytest.mark.parametrize("operation", ["x,y", "x,y,q", "2x,y,z", "x,x,z", "0,y,z", "x+1/7,y,z"])
def test_bad_operation(tmp_path, operation):
    assert operation in refusal(write(tmp_path, cif(symmetry=["x,y,z", operation]))).what


def test_operations_that_do_not_fit_the_cell(tmp_path):
    error = refusal(write(tmp_path, cif(symmetry=["x,y,z", "y,x,z"])))
    assert "do not fit the cell" in error.what


def test_operations_that_are_no_group(tmp_path):
    operations = ["x,y,z", "x-y,x+1/24,z+1/24", "y,z,x+1/24", "-x+1/24,y,z", "x,-y,z"]
    assert "no space group" in refusal(write(tmp_path, cif(symmetry=operations))).what


def test_huge_number_of_operations(tmp_path):
    operations = [f"x+{k}/24,y+{m}/24,z" for k in range(24) for m in range(24)]
    assert "576 symmetry operations" in refusal(write(tmp_path, cif(symmetry=operations))).what


@pytest.mark.parametrize(
    "cell",
    [
        (0, 11.9, 6.8, 90, 109, 90),
        (6.9, 11.9, 6.8, 90, 180, 90),
        (6.9, 11.9, 6.8, 30, 120, 30),
        (-6.9, 11.9, 6.8, 90, 109, 90),
        (6.9, 11.9, 1e5, 90, 109, 90),
        (6.9, 11.9, 6.8, 90, 0, 90),
        (0.5, 0.5, 0.5, 90, 90, 90),
        (6.9, 11.9, 6.8, 120, 120, 120.0),
    ],
)
def test_degenerate_cell(tmp_path, cell):
    error = refusal(write(tmp_path, cif(cell=cell, symmetry=["x,y,z"])))
    assert "degenerate" in error.what or "flat" in error.what


@pytest.mark.parametrize("value", ["?", ".", "wide", "nan"])
def test_cell_without_a_number(tmp_path, value):
    assert "_cell_length_a" in refusal(write(tmp_path, cif(cell=(value, *BROMIDE_CELL[1:])))).what


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "?", ".", "0,25", "1e999", "x", "1/3", "'0.2 0.3'", "500"])
def test_coordinates_that_are_none(tmp_path, value):
    error = refusal(write(tmp_path, cif([("Y1", "Y", (value, 0, 0), 1), *BROMIDE[1:]])))
    assert "fract_x of Y1" in error.what


@pytest.mark.parametrize("symbol", ["Qq", "X", "Va", "Wat", "M", "Li1", "Y3", "Li++", "1"])
def test_unknown_or_dummy_element(tmp_path, symbol):
    assert "no chemical element" in refusal(write(tmp_path, cif([("A1", symbol, (0, 0, 0), 1), *BROMIDE[1:]]))).what


def test_dummy_flag(tmp_path):
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
    text = cif(columns=columns).replace("_atom_site_occupancy\n", "_atom_site_occupancy\n_atom_site_calc_flag\n")
    text = "\n".join(
        f"{line} dum" if line.startswith("Y1 ") else f"{line} d" if line[:2] in ("Li", "Br") else line
        for line in text.splitlines()
    )
    assert "dummy" in refusal(write(tmp_path, text + "\n")).what


def test_no_atoms(tmp_path):
    assert "no atoms" in refusal(write(tmp_path, cif([]))).what
    assert "occupancies are zero" in refusal(write(tmp_path, cif([("Li1", "Li", (0, 0, 0), 0)]))).what
    assert "no atoms" in refusal(write(tmp_path, "data_a\n_cell_length_a 3\n")).what


def test_full_sites_too_close(tmp_path):
    error = refusal(write(tmp_path, cif([*BROMIDE, ("Br3", "Br", (0.7504, 0, 0.35), 1)])))
    # An extra anion charges the cell first; with its cation the contact is what is wrong.
    assert "charged" in error.what or "neutral" in error.what
    salt = [("Na", "Na", (0, 0, 0), 1), ("Cl", "Cl", (0.5, 0, 0), 1)]
    error = refusal(write(tmp_path, cif(salt, (2.9, 2.9, 2.9, 90, 90, 90), "F m -3 m")))
    assert "1.45 Angstrom apart, closer than atoms can be" in error.what
    assert "Na" in error.what and "Cl" in error.what


def test_metal():
    error = refusal(FIXTURES / "copper.cif")
    assert "metal" in error.what and "ionic conductor" in error.what


@pytest.mark.parametrize("elements", [("Cu", "Au"), ("Y", "Cl"), ("Li", "Br")])
def test_alloys_and_wrong_stoichiometry(tmp_path, elements):
    """CuAu3 has no anions; YCl3 with three quarters missing and LiBr3 have no neutral assignment."""
    rows = [("A", elements[0], (0, 0, 0), 1), ("B", elements[1], (0.5, 0.5, 0), 0.9)]
    error = refusal(write(tmp_path, cif(rows, (3.98, 3.98, 3.98, 90, 90, 90), "P m -3 m")))
    assert "ionic conductor" in error.what or "charged" in error.what


def test_only_anions_given(tmp_path):
    rows = [("Cl", "Cl1-", (0, 0, 0), 1), ("Br", "Br1-", (0.5, 0, 0), 1)]
    assert "no cations" in refusal(write(tmp_path, cif(rows, (6.0, 6.0, 6.0, 90, 90, 90), "F m -3 m"))).what


def test_charged_cell_shows_its_sum(tmp_path):
    rows = [(a, kind + {"Y": "3+", "Li": "+", "Br": "-"}[kind], x, o) for a, kind, x, o in BROMIDE]
    rows[0] = ("Y1", "Y3+", (0, 0, 0), 0.5)
    error = refusal(write(tmp_path, cif(rows)))
    assert "charged: -3 e" in error.what and "Y+3 x 1" in error.what


def test_huge_multiplicity(tmp_path):
    """Every row general in Fm-3m: 192 sites each; refused at two thousand, long before anything slow."""
    rows = [(f"Li{k}", "Li", (0.013 * k + 0.011, 0.021 * k + 0.03, 0.11), 0.01) for k in range(40)]
    error = refusal(write(tmp_path, cif(rows, (30.0, 30.0, 30.0, 90, 90, 90), "F m -3 m")))
    assert "more than 2000 sites" in error.what


def test_too_many_rows(tmp_path):
    rows = [(f"Li{k}", "Li", (k / 1500, 0, 0), 0.01) for k in range(1100)]
    assert "1100 atoms" in refusal(write(tmp_path, cif(rows))).what


def test_columns_of_two_loops(tmp_path):
    text = cif() + "loop_\n_atom_site_type_symbol2\nLi\n"
    read_crystal(write(tmp_path, text))
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
    text = cif(columns=columns) + "loop_\n_atom_site_occupancy\n1\n0.75\n"
    assert "2 values for 5 atoms" in refusal(write(tmp_path, text)).what
