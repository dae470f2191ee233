"""What a crystal is does not depend on origin, setting, supercell or the order of rows."""

from __future__ import annotations

import numpy as np
import pytest
from crystal_files import BROMIDE, cif, contents, in_other_cell, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halion.crystal import builtin_crystal, builtin_names, read_crystal

CHECKS = settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
fraction = st.floats(0, 1, exclude_max=True)
ONE = np.eye(3, dtype=int)


@CHECKS
@given(name=st.sampled_from(builtin_names()), shift=st.tuples(fraction, fraction, fraction))
def test_origin_shift(tmp_path, name, shift):
    """Orbits, occupancies, group, close pairs and charge; letters up to the choice of origin."""
    crystal = builtin_crystal(name)
    shifted = read_crystal(write(tmp_path, in_other_cell(crystal, ONE, np.array(shift))))
    assert contents(shifted) == contents(crystal)
    assert shifted.space_group_number == crystal.space_group_number
    assert len(shifted.rotations) == len(crystal.rotations)
    assert sorted(o.wyckoff[:-1] for o in shifted.orbits) == sorted(o.wyckoff[:-1] for o in crystal.orbits)
    distances = [pair.distance for pair in crystal.close_pairs]
    assert [pair.distance for pair in shifted.close_pairs] == pytest.approx(distances, abs=1e-6)
    assert shifted.composition == pytest.approx(crystal.composition, abs=1e-5)


@pytest.mark.parametrize("name", builtin_names())
@pytest.mark.parametrize("repeats", [(2, 1, 1), (1, 1, 2), (1, 2, 1)])
def test_supercells(tmp_path, name, repeats):
    """Composition per volume, group number and Wyckoff letters' multiplicities are those of the unit cell."""
    crystal = builtin_crystal(name)
    larger = read_crystal(write(tmp_path, in_other_cell(crystal, np.diag(repeats), np.zeros(3))))
    size = int(np.prod(repeats))
    assert larger.volume == pytest.approx(size * crystal.volume, rel=1e-8)
    expected = {element: size * amount for element, amount in crystal.composition.items()}
    assert larger.composition == pytest.approx(expected, abs=1e-4)
    assert larger.charge == pytest.approx(size * crystal.charge, abs=1e-4)
    assert larger.space_group_number == crystal.space_group_number
    assert sorted(o.wyckoff[:-1] for o in larger.orbits) == sorted(o.wyckoff[:-1] for o in crystal.orbits)
    assert contents(larger, per="volume") == contents(crystal, per="volume")


@pytest.mark.parametrize(
    "transform",
    [
        np.array([[0, 0, -1], [0, 1, 0], [1, 0, 1]]),  # I2/m: a = a' + c'
        np.array([[-1, 0, -1], [0, 1, 0], [1, 0, 0]]),  # A2/m: a = c'
        np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]),  # axes renamed: unique axis c
    ],
    ids=["I2/m", "A2/m", "unique axis c"],
)
def test_settings(tmp_path, transform):
    crystal = builtin_crystal("Li3YBr6")
    other = read_crystal(write(tmp_path, in_other_cell(crystal, transform, np.zeros(3))))
    assert contents(other) == contents(crystal)
    assert other.space_group == "C2/m"
    assert [o.wyckoff[:-1] for o in other.orbits] == [o.wyckoff[:-1] for o in crystal.orbits]


def test_setting_by_symbol_is_the_setting_by_list(tmp_path):
    """I 1 2/m 1 with coordinates of that setting, by symbol alone."""
    transform = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 1]])
    crystal = read_crystal(write(tmp_path, cif()))
    listed = read_crystal(write(tmp_path, in_other_cell(crystal, transform, np.zeros(3))))
    inverse = np.linalg.inv(transform)
    rows = [(label, kind, tuple(np.array(xyz, float) @ inverse), n) for label, kind, xyz, n in BROMIDE]
    cell = [float(line.split()[1]) for line in in_other_cell(crystal, transform, np.zeros(3)).splitlines()[1:7]]
    named = read_crystal(write(tmp_path, cif(rows, tuple(cell), [], "_space_group_name_H-M_alt 'I 1 2/m 1'")))
    assert contents(named) == contents(listed)
    assert np.allclose(sorted(named.fractional.tolist()), sorted(listed.fractional.tolist()), atol=1e-6)


def test_primitive_cell_keeps_the_multiplicity_of_the_standard_cell(tmp_path):
    text = cif([("Li", "Li", (0, 0, 0), 0.9), ("Cl", "Cl", (0.5, 0.5, 0.5), 0.9)],
               (3.63, 3.63, 3.63, 60, 60, 60), ["x,y,z"])  # fmt: skip
    crystal = read_crystal(write(tmp_path, text))
    assert crystal.space_group == "Fm-3m"
    assert [orbit.n_sites for orbit in crystal.orbits] == [1, 1]
    assert [orbit.wyckoff[:-1] for orbit in crystal.orbits] == ["4", "4"]
    assert len(crystal.rotations) == 48


@CHECKS
@given(order=st.permutations(range(len(BROMIDE))))
def test_order_of_rows(tmp_path, order):
    crystal = read_crystal(write(tmp_path, cif([BROMIDE[k] for k in order])))
    assert [orbit.labels for orbit in crystal.orbits] == [(BROMIDE[k][0],) for k in order]
    assert crystal.formula == "Li6 Y2 Br12"
    assert crystal.space_group == "C2/m"


@CHECKS
@given(data=st.data())
def test_any_image_of_a_row_gives_the_same_orbit(tmp_path, data):
    """Rows may state any of their equivalent positions, in any cell."""
    crystal = builtin_crystal("Li3YBr6")
    rows = []
    for k, orbit in enumerate(crystal.orbits):
        image = orbit.fractional[data.draw(st.integers(0, orbit.n_sites - 1))]
        image = image + data.draw(st.tuples(*[st.integers(-2, 2)] * 3))
        rows += [(f"{e}{k}", e, tuple(image), f"{n:.6f}") for e, n in orbit.occupancy.items()]
    found = read_crystal(write(tmp_path, cif(rows)))
    assert contents(found) == contents(crystal)
    for one, other in zip(found.orbits, crystal.orbits):
        steps = one.fractional[:, None, :] - other.fractional
        assert np.abs(steps - np.round(steps)).max(axis=2).min(axis=1).max() < 1e-5


def test_reading_twice_gives_the_same(tmp_path):
    path = write(tmp_path, cif())
    one, other = read_crystal(path), read_crystal(path)
    assert np.array_equal(one.fractional, other.fractional)
    assert np.array_equal(one.translations, other.translations)
    assert one.notes == other.notes
