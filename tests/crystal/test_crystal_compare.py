"""One structure or two: origins, settings, supercells, swapped orbits, and pymatgen as another judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from crystal_files import BROMIDE, BROMIDE_CELL, cif, in_other_cell, reference, write
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from halion.crystal import DisorderedCrystal, builtin_crystal, builtin_names, compare_crystals, read_crystal

I_CENTRED = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 1]])  # C2/m -> I2/m: a' = -c, b' = b, c' = a + c
SUPERCELL = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 2]])
CHECKS = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def read(tmp_path):
    return lambda text: read_crystal(write(tmp_path, text))


def with_occupancies(crystal: DisorderedCrystal, changes: dict[str, dict[str, float]]) -> DisorderedCrystal:
    """The crystal with other occupancies on the orbits of these Wyckoff letters."""
    orbits = tuple(replace(o, occupancy=changes.get(o.wyckoff, dict(o.occupancy))) for o in crystal.orbits)
    return replace(crystal, orbits=orbits)


@pytest.mark.parametrize("name", builtin_names())
def test_a_crystal_is_itself(name):
    crystal = builtin_crystal(name)
    same = compare_crystals(crystal, crystal)
    assert same.is_same and same.has_same_sites
    # Zero to the rounding of the primitive cell's coordinates.
    assert same.rms_distance < 1e-6 and same.occupancy_difference < 1e-12
    assert same.volume_ratio == pytest.approx(1)


@CHECKS
@given(shift=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3))
@example(shift=(0.0, 0.000119, 0.0))  # spglib moves sites this near to a standard origin
def test_origin_shifts_change_nothing(tmp_path, shift):
    crystal = builtin_crystal("Li3YBr6")
    shifted = read_crystal(write(tmp_path, in_other_cell(crystal, np.eye(3, dtype=int), np.array(shift))))
    found = compare_crystals(crystal, shifted)
    assert found.is_same
    assert found.rms_distance < 1e-4  # coordinates are written with nine digits


@pytest.mark.parametrize("shift", [(0, 0, 0), (0, 0, 0.5), (0, 0.5, 0), (0.5, 0, 0.5)])
@pytest.mark.parametrize("transform", [I_CENTRED, SUPERCELL], ids=["I2/m", "supercell"])
def test_other_cells_and_origins(read, transform, shift):
    """Shifts by half a cell exchange 4g with 4h and 2a with 2d: the letters change, the structure does not."""
    crystal = builtin_crystal("Li3YBr6")
    other = read(in_other_cell(crystal, transform, np.array(shift)))
    assert other.space_group == "C2/m"
    found = compare_crystals(crystal, other)
    assert found.is_same and found.rms_distance < 1e-4
    assert compare_crystals(other, crystal).is_same


def test_swapped_letters_are_recognised(read):
    """Li3YBr6 written with its origin at (0,0,1/2): Y on 2c..2d, minor Y on 4g, by letters another crystal."""
    crystal = builtin_crystal("Li3YBr6")
    rows = [
        (f"{e}{k}", e, (o.fractional[0][0], o.fractional[0][1], o.fractional[0][2] + 0.5), n)
        for k, o in enumerate(crystal.orbits)
        for e, n in o.occupancy.items()
    ]
    shifted = read(cif(rows))
    assert compare_crystals(crystal, shifted).is_same


def test_swapped_occupancies_are_not_the_same_structure():
    """4g and 4h exchanged in place, without moving 2a: another structure on the same sites."""
    crystal = builtin_crystal("Li3YBr6")
    by_letter = {orbit.wyckoff: dict(orbit.occupancy) for orbit in crystal.orbits}
    swapped = with_occupancies(crystal, {"4g": by_letter["4h"], "4h": by_letter["4g"]})
    found = compare_crystals(crystal, swapped)
    assert not found.is_same and found.has_same_sites
    assert found.occupancy_difference == pytest.approx(0.75378 - 0.53358, abs=1e-3)
    assert "occupied differently" in found.verdict


@pytest.mark.parametrize(("change", "same"), [(0.03, True), (0.2, False)])
def test_occupancy_tolerance(change, same):
    crystal = builtin_crystal("Li3YCl6")
    other = with_occupancies(crystal, {"6h": {"Li": 0.87538 - change}, "6g": {"Li": 0.62462 + change}})
    found = compare_crystals(crystal, other)
    assert found.is_same == same
    assert found.occupancy_difference == pytest.approx(change, abs=1e-9)


@pytest.mark.parametrize(("step", "same"), [(0.05, True), (0.6, False)])
def test_displacements_are_measured(read, step, same):
    """One site of ten in the primitive cell moved along b, its image the other way: rms = step sqrt(2/10)."""
    rows = list(BROMIDE)
    rows[1] = ("Li1", "Li", (0, 0.3336 + step / BROMIDE_CELL[1], 0), 0.75)
    found = compare_crystals(read(cif()), read(cif(rows)))
    n_primitive = 1 + 2 + 2 + 4 + 2
    assert found.rms_distance == pytest.approx(step * np.sqrt(2 / n_primitive), rel=1e-6)
    assert found.largest_distance == pytest.approx(step, rel=1e-6)
    assert found.is_same  # the default limits are 0.4 rms and 0.8 for one pair
    far = list(BROMIDE)
    far[1] = ("Li1", "Li", (0, 0.3336 + 0.9 / BROMIDE_CELL[1], 0), 0.75)
    assert compare_crystals(read(cif()), read(cif(far))).is_same is False
    assert same or found.largest_distance > 0.5


def test_chloride_and_bromide_on_one_lattice(read):
    """Br replaced by Cl in a smaller cell: the same sites, not the same structure."""
    smaller = (*(0.93 * x for x in BROMIDE_CELL[:3]), *BROMIDE_CELL[3:])
    chloride = read(cif([(a, b.replace("Br", "Cl"), c, d) for a, b, c, d in BROMIDE], smaller))
    found = compare_crystals(read(cif()), chloride)
    assert found.has_same_sites and not found.is_same
    assert found.occupancy_difference == 1.0
    assert found.volume_ratio == pytest.approx(0.93**3)


def test_polymorphs_differ():
    for one, other in (("Li3YCl6", "Li3YBr6"), ("Li3YCl6", "Li3YCl3Br3")):
        found = compare_crystals(builtin_crystal(one), builtin_crystal(other))
        assert not found.is_same and not found.has_same_sites
        assert "sites in the primitive cells" in found.verdict
        assert np.isnan(found.rms_distance)


def test_the_split_site_decides():
    """Li3 of the bromide and of the mixed halide are different tetrahedra: not one structure."""
    assert not compare_crystals(builtin_crystal("Li3YBr6"), builtin_crystal("Li3YCl3Br3")).has_same_sites


def test_another_lattice_is_another_structure(read):
    sheared = read(cif(cell=(*BROMIDE_CELL[:4], 95.0, 90.0)))
    assert "lattices" in compare_crystals(read(cif()), sheared).verdict


@pytest.mark.parametrize(
    ("name", "file", "rms"),
    [
        ("Li3YBr6", "LYB_model.cif", 1e-5),
        ("Li3YCl6", "LYC_model.cif", 1e-3),
        ("Li3YCl3Br3", "LYCB_x3_Delft.cif", 1e-5),
        ("Li3YCl6", "ei3_Li3YCl6.cif", 0.15),  # free coordinates carry about 0.1 Angstrom of noise
        ("Li3YBr6", "elz_Li3YBr6.cif", 0.35),  # noise, and idealised coordinates in ours
    ],
)
def test_ours_are_those_of_the_reference(name, file, rms):
    found = compare_crystals(builtin_crystal(name), read_crystal(reference(file)))
    assert found.is_same
    assert found.rms_distance < rms
    assert found.occupancy_difference < 1e-3


def test_the_unbiased_parent_is_another_structure():
    parent = read_crystal(reference("LYB_octahedral_parent.cif"))
    assert not compare_crystals(builtin_crystal("Li3YBr6"), parent).is_same


def _pymatgen(crystal: DisorderedCrystal):
    from pymatgen.core import Structure

    occupancies = [dict(orbit.occupancy) for orbit in crystal.orbits for _ in range(orbit.n_sites)]
    return Structure(crystal.cell, occupancies, crystal.fractional)


@pytest.mark.parametrize(
    "transform", [np.eye(3, dtype=int), I_CENTRED, SUPERCELL], ids=["same", "I2/m", "supercell"]
)
def test_structure_matcher_agrees(read, transform):
    """pymatgen's StructureMatcher (primitive cells, its default tolerances) gives the same verdicts."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    crystal = read(cif())
    other = read(in_other_cell(crystal, transform, np.array([0.1, 0.2, 0.3])))
    moved = list(BROMIDE)
    moved[3] = ("Br1", "Br", (0.2692, 0.1679, 0.2410), 1)
    matcher = StructureMatcher()
    for one, two in ((crystal, other), (read(cif(moved)), other), (crystal, builtin_crystal("Li3YCl6"))):
        theirs = matcher.fit(_pymatgen(one), _pymatgen(two))
        assert compare_crystals(one, two).is_same == theirs
    ours = compare_crystals(read(cif(moved)), other).rms_distance
    rms, _ = matcher.get_rms_dist(_pymatgen(read(cif(moved))), _pymatgen(other))
    # Theirs is in units of (volume per atom)^(1/3) with partial atoms counted; ours in Angstrom.
    per_site = (other.volume / len(other.fractional)) ** (1 / 3)
    assert rms * per_site == pytest.approx(ours, rel=0.1)
