"""What experimenters write, and the note that each repair leaves."""

from __future__ import annotations

import numpy as np
import pytest
from crystal_files import BROMIDE, FIXTURES, cif, contents, write

from halion.crystal import builtin_crystal, read_crystal
from halion.errors import CrystalError


def has_note(crystal, *words):
    """Whether one note holds all these words."""
    return any(all(word in note for word in words) for note in crystal.notes)


@pytest.fixture
def read(tmp_path):
    return lambda text: read_crystal(write(tmp_path, text))


def test_the_dirty_fixture_is_the_clean_crystal():
    dirty, clean = read_crystal(FIXTURES / "dirty.cif"), builtin_crystal("Li3YCl3Br3")
    assert dirty.space_group == "C2/m"
    assert [orbit.wyckoff for orbit in dirty.orbits] == ["2a", "4g", "4h", "8j", "8j", "4i"]
    assert sorted(dirty.formula.split()) == sorted(clean.formula.split())
    for ours, known in zip(dirty.orbits, clean.orbits):
        # Halogens were scaled from 0.5001 and 0.4999.
        assert ours.occupancy == pytest.approx(known.occupancy, abs=1e-4)
    assert dirty.charge_origin == "given"
    assert dirty.charges == {"Y": 3, "Li": 1, "Br": -1, "Cl": -1}


def test_every_repair_of_the_dirty_fixture_is_noted():
    dirty = read_crystal(FIXTURES / "dirty.cif")
    assert has_note(dirty, "label Y1", "several rows")
    assert has_note(dirty, "Li4", "occupancy 0")
    assert has_note(dirty, "Br1, Cl1", "sum to 1.0001", "scaled to one")
    assert has_note(dirty, "Br2, Cl2", "sum to 0.9999", "scaled to one")
    assert has_note(dirty, "Li1", "moved by 0.001", "special position")
    assert not has_note(dirty, "formula")  # in proportion
    # 0.33364 and 0.3336 of 11.66 Angstrom are 0.0005 Angstrom apart: one site, not worth a note.
    assert dirty.orbits[1].labels == ("Y1_2", "Li2")


def test_symbol_only_fixture():
    crystal = read_crystal(FIXTURES / "symbol_only.cif")
    assert crystal.formula == "Li6 Y2 Br12"
    assert [orbit.wyckoff for orbit in crystal.orbits] == ["2a", "4g", "4h", "8j", "4i"]
    assert has_note(crystal, "no symmetry operations", "C2/m")
    assert has_note(crystal, "labels")
    assert has_note(crystal, "2 of 5 occupancies")


def test_no_occupancy_column_means_full(read):
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
    rows = [("Na", "Na", (0, 0, 0), 1), ("Cl", "Cl", (0.5, 0, 0), 1)]
    crystal = read(cif(rows, (5.64, 5.64, 5.64, 90, 90, 90), "F m -3 m", columns=columns))
    assert crystal.formula == "Na4 Cl4"
    assert all(orbit.is_ordered for orbit in crystal.orbits)
    assert has_note(crystal, "no occupancies")


@pytest.mark.parametrize(
    ("value", "expected"), [("0.5659(3)", 0.5659), (".5", 0.5), ("5e-1", 0.5), ("0.75(12)", 0.75)]
)
def test_uncertainties_are_dropped(read, value, expected):
    rows = [("Li1", "Li", (0, "0.3336(2)", 0), value), ("Cl1", "Cl", (0.25, 0.17, 0.24), expected / 2)]
    crystal = read(cif(rows))
    assert crystal.orbits[0].occupancy == {"Li": pytest.approx(expected)}
    assert crystal.orbits[0].fractional[0] == pytest.approx([0, 0.3336, 0])


def test_rows_on_one_site_are_merged_and_split_sites_are_not(read):
    """0.04 Angstrom apart is one site, 0.4 Angstrom apart is split."""
    for step, n_orbits in ((0.04 / 11.9742, 5), (0.4 / 11.9742, 6)):
        rows = [row for row in BROMIDE if row[0] != "Li1"]
        rows += [("LiA", "Li", (0, 0.33, 0), 0.5), ("LiB", "Li", (0, 0.33 + step, 0), 0.25)]
        crystal = read(cif(rows))
        assert len(crystal.orbits) == n_orbits
        assert has_note(crystal, "LiA and LiB", "one site") == (n_orbits == 5)
        assert any(pair.distance < 0.5 for pair in crystal.close_pairs) == (n_orbits == 6)
        assert crystal.formula == "Li6 Y2 Br12"


@pytest.mark.parametrize("slip", [0.0, 0.00001, -0.0004, 0.003])
def test_atoms_slightly_off_special_positions_are_not_doubled(read, slip):
    rows = [("Y1", "Y", (slip, -slip, slip), 1), *BROMIDE[1:]]
    crystal = read(cif(rows))
    assert crystal.orbits[0].n_sites == 2
    assert np.allclose(crystal.orbits[0].fractional, [[0, 0, 0], [0.5, 0.5, 0]], atol=1e-9)
    assert has_note(crystal, "special position") == (abs(slip) > 1e-4)


def test_thirds_with_three_digits(read):
    rows = [("Li1", "Li", (0.333, 0.667, 0.0), 1), ("Cl1", "Cl", (0.333, 0.667, 0.5), 1)]
    crystal = read(cif(rows, (4.0, 4.0, 5.2, 90, 90, 120), "P -3 m 1"))
    assert [orbit.n_sites for orbit in crystal.orbits] == [2, 2]
    assert crystal.orbits[0].fractional[0] == pytest.approx([1 / 3, 2 / 3, 0], abs=1e-12)


def test_three_thirds_fill_a_site(read):
    rows = [*BROMIDE[:3], *((f"{e}1", e, (0.2492, 0.1679, 0.2410), 0.333) for e in ("Br", "Cl", "I")), BROMIDE[4]]
    crystal = read(cif(rows))
    assert crystal.orbits[3].vacancy == pytest.approx(0, abs=1e-12)
    assert has_note(crystal, "Br1, Cl1, I1", "0.999")


def test_single_occupancy_rounded_above_one(read):
    crystal = read(cif([("Y1", "Y", (0, 0, 0), "1.004(5)"), *BROMIDE[1:]]))
    assert crystal.orbits[0].occupancy == {"Y": 1.0}
    assert has_note(crystal, "Y1", "1.004")


def test_multiplicity_that_disagrees_is_noted(read):
    text = cif().replace("_atom_site_fract_x", "_atom_site_symmetry_multiplicity\n_atom_site_fract_x")
    for label, _, number in (
        ("Y1", "Y", 2),
        ("Li1", "Li", 4),
        ("Li2", "Li", 8),
        ("Br1", "Br", 8),
        ("Br2", "Br", 4),
    ):
        text = text.replace(f"\n{label} {label[:-1]} ", f"\n{label} {label[:-1]} {number} ")
    crystal = read(text)
    assert [note for note in crystal.notes if "multiplicity" in note] == [
        "Li2 has 4 sites in the cell; the file states multiplicity 8."
    ]


def test_stated_wyckoff_letters_that_differ_are_noted(read):
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
    letters = dict(zip(("Y1", "Li1", "Li2", "Br1", "Br2"), ("a", "h", "h", "j", "4i")))
    text = cif(columns=columns).replace("_atom_site_occupancy", "_atom_site_occupancy\n_atom_site_Wyckoff_symbol")
    lines = [
        f"{line} {letters[line.split()[0]]}" if line.split()[:1] and line.split()[0] in letters else line
        for line in text.splitlines()
    ]
    crystal = read("\n".join(lines) + "\n")
    assert has_note(crystal, "Wyckoff", "Li1 h (here 4g)")
    assert not has_note(crystal, "Y1 a")


def test_deuterium_is_hydrogen(read):
    rows = [("Li1", "Li", (0, 0, 0), 1), ("D1", "D", (0.5, 0, 0), 0.5), ("H1", "H-", (0.5, 0, 0), 0.5)]
    crystal = read(cif(rows, (4.08, 4.08, 4.08, 90, 90, 90), "F m -3 m"))
    assert crystal.formula == "Li4 H4"
    assert has_note(crystal, "Deuterium")


def test_two_rows_of_one_element_on_one_site_add_up(read):
    rows = [("Y1", "Y", (0, 0, 0), 0.6), ("Y1", "Y", (0, 0, 0), 0.4), *BROMIDE[1:]]
    crystal = read(cif(rows))
    assert crystal.orbits[0].labels == ("Y1", "Y1_2")
    assert crystal.orbits[0].occupancy == {"Y": pytest.approx(1.0)}


def test_wrong_formula_sum_is_noted(read):
    assert has_note(read(cif(extra="_chemical_formula_sum 'Li3 Y Br7'")), "formula", "missing")
    assert not has_note(read(cif(extra="_chemical_formula_sum 'Li3.0 Y1 Br6'")), "formula")
    assert not has_note(read(cif(extra="_chemical_formula_sum '?'")), "formula")


def test_wrong_group_number_is_noted(read):
    assert has_note(read(cif(extra="_space_group_IT_number 10")), "number 10", "number 12")
    assert has_note(read(cif(extra="_symmetry_space_group_name_H-M 'P 2/m'")), "number 10", "number 12")
    assert not has_note(read(cif(extra="_symmetry_space_group_name_H-M 'C 2/m'")), "number")


def test_a_file_in_p1_has_the_orbits_of_its_symmetry(read):
    crystal = builtin_crystal("Li3YBr6")
    rows = [
        (f"{element}{i}", element, tuple(f"{x:.6f}" for x in xyz), occupancy)
        for i, (orbit, xyz) in enumerate((orbit, xyz) for orbit in crystal.orbits for xyz in orbit.fractional)
        for element, occupancy in orbit.occupancy.items()
    ]
    listed = read(cif(rows, symmetry=["x,y,z"]))
    assert contents(listed) == contents(crystal)
    assert listed.space_group == "C2/m"
    assert len(listed.rotations) == 8
    assert has_note(listed, "more than the file's 1")
    assert sum(len(orbit.labels) for orbit in listed.orbits) == len(rows)


def test_a_file_without_its_last_line_end_is_noted(read):
    assert has_note(read(cif()[:-1]), "middle of a line")
    assert not has_note(read(cif()), "middle of a line")


def test_latin1_and_byte_order_mark(tmp_path):
    path = tmp_path / "old.cif"
    path.write_bytes("# Angström\n".encode("latin-1") + cif().encode())
    assert read_crystal(path).formula == "Li6 Y2 Br12"
    path.write_bytes(b"\xef\xbb\xbf" + cif().replace("\n", "\r\n").encode())
    assert read_crystal(path).formula == "Li6 Y2 Br12"


def test_tags_of_other_dialects(read):
    dotted = cif().replace("_cell_length_", "_cell.length_").replace("_atom_site_", "_atom_site.")
    assert read(dotted).formula == "Li6 Y2 Br12"
    assert read(cif().replace("_atom_site_label", "_ATOM_SITE_LABEL")).formula == "Li6 Y2 Br12"


def test_source_names_the_paper(read):
    extra = "_publ_section_title 'On bromides'\n_journal_year 2021"
    assert read(cif(extra=extra)).source == "crystal.cif, On bromides, 2021"


def test_block_without_atoms_is_passed_over(read):
    assert read("data_global\n_journal_year 2020\n" + cif()).formula == "Li6 Y2 Br12"


def test_two_crystals_are_not_chosen_between(read):
    with pytest.raises(CrystalError, match="2 crystals") as caught:
        read(cif() + cif().replace("data_test", "data_other"))
    assert "data_test" in caught.value.what
    assert "data_other" in caught.value.what
