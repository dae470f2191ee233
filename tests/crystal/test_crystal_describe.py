"""A crystal in words: everything that a reader has to know is on the screen."""

from __future__ import annotations

from crystal_files import FIXTURES

from halion.crystal import builtin_crystal, builtin_names, describe, orbit_table, read_crystal
from halion.records import from_record, to_record


def test_everything_is_said():
    for crystal in (*map(builtin_crystal, builtin_names()), read_crystal(FIXTURES / "dirty.cif")):
        text = describe(crystal)
        for word in (crystal.formula, crystal.space_group, crystal.source, crystal.charge_origin, *crystal.notes):
            assert word in text
        for orbit in crystal.orbits:
            assert ", ".join(orbit.labels) in text and orbit.wyckoff in text
        assert text.count("occupancies sum to") >= len(crystal.close_pairs)
        assert "-0.000 e" not in text


def test_table_has_one_row_per_orbit():
    crystal = builtin_crystal("Li3YBr6")
    header, *rows = orbit_table(crystal)
    assert header[:3] == ("labels", "Wyckoff", "sites")
    assert len(rows) == len(crystal.orbits)
    assert all(len(row) == len(header) for row in rows)
    assert rows[0][1:5] == ("2a", "2", "Y 0.7613 Li 0.0456", "0.1931")
    assert rows[-1][4] == "-"


def test_cell_is_printed_as_it_was_read():
    assert "6.9188, 11.9742, 6.8635 Angstrom; angles 90.000, 109.780, 90.000" in describe(
        builtin_crystal("Li3YBr6")
    )


def test_crystals_survive_as_records():
    crystal = builtin_crystal("Li3YBr6")
    copy = from_record(type(crystal), to_record(crystal))
    assert to_record(copy) == to_record(crystal)
    assert describe(copy) == describe(crystal)
