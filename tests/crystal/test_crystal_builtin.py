"""The built-in crystals: the facts they are made from, and that their files are what the script writes."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import numpy as np
import pytest
from crystal_files import REFERENCE, REPOSITORY, write

from halion.crystal import builtin_crystal, builtin_names, load_crystal, read_crystal
from halion.crystal.contacts import shortest_distance
from halion.errors import CrystalError

FACTS = {
    "Li3YCl6": ("Li9 Y3 Cl18", "P-3m1", 164, ["6h", "6g", "1a", "2d", "2d", "6i", "6i", "6i"], 21.933),
    "Li3YBr6": ("Li6 Y2 Br12", "C2/m", 12, ["2a", "4g", "4h", "8j", "8j", "4i"], 26.754),
    "Li3YCl3Br3": ("Li6 Y2 Cl6 Br6", "C2/m", 12, ["2a", "4g", "4h", "8j", "8j", "4i"], 24.74),
}


def test_names():
    assert builtin_names() == tuple(sorted(FACTS))


@pytest.mark.parametrize("name", FACTS)
def test_formula_group_and_letters(name):
    formula, symbol, number, letters, volume_per_atom = FACTS[name]
    crystal = builtin_crystal(name)
    assert (crystal.name, crystal.formula) == (name, formula)
    assert (crystal.space_group, crystal.space_group_number) == (symbol, number)
    assert [orbit.wyckoff for orbit in crystal.orbits] == letters
    # Occupancies are printed to 1e-5 and stand on up to eight sites with charges up to 3.
    assert crystal.charge == pytest.approx(0, abs=5e-4)
    assert crystal.charge_origin == "given"
    # Volumes per atom of the refinements, given to four digits.
    assert crystal.volume / crystal.n_atoms == pytest.approx(volume_per_atom, rel=3e-4)


@pytest.mark.parametrize("name", FACTS)
def test_source_and_caveat_are_carried(name):
    crystal = builtin_crystal(name)
    assert "Schlem" in crystal.source or "GEMDAT" in crystal.source
    assert crystal.notes[0].startswith(("Working model", "Coordinates as refined"))
    # Nothing had to be repaired in files of our own.
    assert len(crystal.notes) == 1


def _bond_range(crystal, cation, anion):
    """Shortest distance from each orbit with the cation to the anion, over orbits."""
    found = [
        min(
            shortest_distance(orbit.fractional[0], other.fractional, crystal.cell, 4.0)
            for other in crystal.orbits
            if anion in other.occupancy
        )
        for orbit in crystal.orbits
        if cation in orbit.occupancy
    ]
    return min(found), max(found)


@pytest.mark.parametrize(
    ("name", "cation", "anion", "low", "high"),
    [
        ("Li3YCl6", "Y", "Cl", 2.46, 2.57),
        ("Li3YCl6", "Li", "Cl", 2.44, 2.77),
        ("Li3YBr6", "Y", "Br", 2.77, 2.87),
        ("Li3YBr6", "Li", "Br", 2.31, 2.87),
        ("Li3YCl3Br3", "Y", "Br", 2.69, 2.74),
    ],
)
def test_shortest_bonds(name, cation, anion, low, high):
    shortest, longest = _bond_range(builtin_crystal(name), cation, anion)
    # Ranges of the structure file, printed to 0.01 Angstrom.
    assert low - 0.01 <= shortest <= longest <= high + 0.01


def test_known_exclusions():
    columns = builtin_crystal("Li3YCl6").close_pairs
    assert len(columns) == 1
    assert columns[0].distance == pytest.approx(2.989, abs=5e-3)  # z of the two sites is given to 1e-4 x 6 Angstrom
    assert columns[0].occupancy_sum == pytest.approx(1.0, abs=1e-6)
    assert columns[0].orbits == (3, 4)
    delft = builtin_crystal("Li3YCl3Br3").close_pairs
    assert [round(pair.distance, 2) for pair in delft] == [2.22, 2.34]


def test_operations_map_every_orbit_onto_itself():
    for name in builtin_names():
        crystal = builtin_crystal(name)
        for orbit in crystal.orbits:
            for rotation, translation in zip(crystal.rotations, crystal.translations):
                images = orbit.fractional @ rotation.T + translation
                for image in images:
                    steps = orbit.fractional - image
                    # Positions are exact under the operations; printed with six digits in a 12 Angstrom cell.
                    assert np.abs(steps - np.round(steps)).max(axis=1).min() < 1e-5


def test_group_orders_include_centrings():
    assert len(builtin_crystal("Li3YCl6").rotations) == 12
    assert len(builtin_crystal("Li3YBr6").rotations) == 8  # 4 operations of 2/m, twice for C
    assert builtin_crystal("Li3YBr6").rotations.dtype == np.int64


def test_files_are_what_the_script_writes(tmp_path):
    script = REPOSITORY / "scripts/make_builtin_crystals.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True, timeout=60)
    for name in builtin_names():
        shipped = REPOSITORY / f"src/halion/crystal/data/{name}.cif"
        assert (tmp_path / f"{name}.cif").read_text() == shipped.read_text()


def test_numbers_are_those_of_the_reference():
    path = REFERENCE / "structures.toml"
    if not path.is_file():
        pytest.skip("the reference structures are not at hand")
    stated = tomllib.loads(path.read_text())
    ours = tomllib.loads((REPOSITORY / "scripts/builtin_crystals.toml").read_text())
    assert set(ours) == set(stated)
    for name, crystal in ours.items():
        assert crystal["cell"] == list(stated[name]["cell"].values())
        assert crystal["number"] == stated[name]["number"]
        by_label = {site["label"]: site for site in stated[name]["sites"]}
        assert {site["label"]: site for site in crystal["sites"]} == by_label


def test_load_by_name_and_by_path(tmp_path):
    shipped = REPOSITORY / "src/halion/crystal/data/Li3YBr6.cif"
    copy = write(tmp_path, shipped.read_text(), "mine.cif")
    assert load_crystal("Li3YBr6").name == "Li3YBr6"
    assert load_crystal(copy).name == load_crystal(str(copy)).name == "mine"
    assert "mine.cif" in read_crystal(copy).source
    assert str(tmp_path) not in read_crystal(copy).source


def test_a_file_without_suffix_in_this_folder_is_found(tmp_path, monkeypatch):
    shipped = REPOSITORY / "src/halion/crystal/data/Li3YCl6.cif"
    write(tmp_path, shipped.read_text(), "chloride")
    monkeypatch.chdir(tmp_path)
    assert load_crystal("chloride").formula == "Li9 Y3 Cl18"


@pytest.mark.parametrize("name", ["Li3YCl", "li3ycl6", "Li3YBr66"])
def test_misspelt_name_names_the_nearest(name):
    with pytest.raises(CrystalError) as caught:
        load_crystal(name)
    assert "did you mean 'Li3Y" in caught.value.what
    assert ".cif" in caught.value.fix


def test_unknown_name_lists_what_there_is():
    with pytest.raises(CrystalError) as caught:
        builtin_crystal("quartz")
    assert all(name in caught.value.what for name in builtin_names())
    with pytest.raises(CrystalError, match="no such file"):
        load_crystal("quartz.cif")
    with pytest.raises(CrystalError):
        load_crystal("x" * 5000)
    with pytest.raises(CrystalError):
        load_crystal("a\0b")
