"""Sites too close, against a plain search over images."""

from __future__ import annotations

import itertools

import gemmi
import numpy as np
import pytest
from crystal_files import BROMIDE, cif, write
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.crystal import Orbit, builtin_crystal, read_crystal
from halion.crystal.cif_cell import cell_matrix
from halion.crystal.contacts import find_close_pairs, shortest_distance
from halion.errors import CrystalError

coordinate = st.floats(0, 0.999)


def naive_distance(point, others, cell, reach=6):
    """Every image in 13 x 13 x 13 cells."""
    shifts = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)))
    distances = np.linalg.norm((np.array(others)[:, None, :] - point + shifts) @ cell, axis=2)
    return distances[distances > 1e-6].min()


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.tuples(*[st.floats(2.5, 12)] * 3),
    angles=st.tuples(*[st.floats(65, 115)] * 3),
    points=st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=1, max_size=5),
)
def test_shortest_distance_is_that_of_a_plain_search(lengths, angles, points):
    cell = cell_matrix(list(lengths), list(angles))
    if np.isnan(cell).any() or np.linalg.det(cell) < 0.3 * np.prod(lengths):
        return
    point, others = np.array(points[0]), np.array(points)
    expected = naive_distance(point, others, cell)
    found = shortest_distance(point, others, cell, 4.0)
    # Sums of products of coordinates in double precision; near the radius either answer is right.
    assert found == pytest.approx(expected, abs=1e-9) or (np.isinf(found) and expected > 4.0 - 1e-9)


@pytest.mark.parametrize("name", ["Li3YCl6", "Li3YBr6", "Li3YCl3Br3"])
def test_pairs_are_those_of_a_plain_search(name):
    """All pairs of sites of like charge nearer than their radii, by brute force over every site."""
    crystal = builtin_crystal(name)
    expected = {}
    for (i, one), (j, other) in itertools.combinations_with_replacement(enumerate(crystal.orbits), 2):
        distance = min(naive_distance(x, other.fractional, crystal.cell, 2) for x in one.fractional)
        alike = [
            gemmi.Element(a).covalent_r + gemmi.Element(b).covalent_r
            for a in one.occupancy
            for b in other.occupancy
            if crystal.charges[a] * crystal.charges[b] > 0
        ]
        total = sum(one.occupancy.values()) + sum(other.occupancy.values())
        if alike and distance < max(alike) and total <= 1.02:
            expected[i, j] = (distance, total)
    assert {pair.orbits for pair in crystal.close_pairs} == set(expected)
    for pair in crystal.close_pairs:
        assert (pair.distance, pair.occupancy_sum) == pytest.approx(expected[pair.orbits], abs=1e-9)


def _pair(distance: float, occupancies: tuple[float, float], elements: tuple[str, str] = ("Li", "Li")):
    cell = np.diag([12.0, 12.0, 12.0])
    orbits = [
        Orbit(labels=(f"A{k}",), wyckoff="1a", fractional=np.array([[x, 0.0, 0.0]]), occupancy={e: n})
        for k, (x, e, n) in enumerate(zip((0.0, distance / 12.0), elements, occupancies))
    ]
    return find_close_pairs(orbits, cell, {"Li": 1.0, "Y": 3.0, "S": -2.0, "Cl": -1.0}, "here")


@pytest.mark.parametrize(
    ("distance", "occupancies", "elements", "listed"),
    [
        (2.5, (0.5, 0.5), ("Li", "Li"), True),  # Li-Li 2.56
        (2.6, (0.5, 0.5), ("Li", "Li"), False),
        (3.1, (0.5, 0.5), ("Li", "Y"), True),  # Li-Y 3.18
        (3.7, (0.5, 0.5), ("Y", "Y"), True),  # Y-Y 3.80
        (2.3, (1.0, 1.0), ("Li", "Li"), False),  # Li2O has such pairs, always full
        (2.4, (0.5, 0.5), ("Li", "S"), False),  # a bond
        (1.4, (0.5, 0.5), ("Li", "S"), True),
        (1.4, (1.0, 0.5), ("Li", "S"), True),
    ],
)
def test_limits(distance, occupancies, elements, listed):
    pairs, notes = _pair(distance, occupancies, elements)
    assert bool(pairs) == listed
    if listed:
        assert pairs[0].orbits == (0, 1)
        assert pairs[0].distance == pytest.approx(distance)
        assert pairs[0].occupancy_sum == pytest.approx(sum(occupancies))
    assert bool(notes) == (listed and sum(occupancies) > 1.02)


@pytest.mark.parametrize("elements", [("Li", "S"), ("Li", "Li"), ("Y", "Cl")])
def test_two_full_sites_too_close_are_refused(elements):
    with pytest.raises(CrystalError, match=r"0\.90 Angstrom apart, closer than atoms can be"):
        _pair(0.9, (1.0, 1.0), elements)


def test_pairs_come_nearest_first():
    pairs = builtin_crystal("Li3YBr6").close_pairs
    assert len(pairs) == 3
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)


def test_an_orbit_with_itself(tmp_path):
    """A site 0.3 Angstrom off the mirror, half filled, excludes its image."""
    y = 0.3 / 11.9742
    rows = [("Y1", "Y", (0, 0, 0), 1), ("Li1", "Li", (0.5, y, 0.5), 0.5), *BROMIDE[2:]]
    rows[2] = ("Li2", "Li", (0, 0.3336, 0), 1)
    crystal = read_crystal(write(tmp_path, cif(rows)))
    own = [pair for pair in crystal.close_pairs if pair.orbits[0] == pair.orbits[1]]
    assert [round(pair.distance, 3) for pair in own] == [0.6]
    assert own[0].occupancy_sum == 1.0


def test_known_bonds_are_never_refused(tmp_path):
    """The shortest bonds of common anions stay above the limit: P-S, P-O, S-O, C-O, O-H, B-H, N-H, Cl-O."""
    bonds = {("P", "S"): 2.0, ("P", "O"): 1.48, ("S", "O"): 1.44, ("C", "O"): 1.2, ("O", "H"): 0.85,
             ("B", "H"): 1.1, ("N", "H"): 0.95, ("Cl", "O"): 1.4, ("C", "N"): 1.13, ("P", "P"): 2.2,
             ("S", "S"): 2.0, ("O", "O"): 1.3}  # fmt: skip
    for (one, other), distance in bonds.items():
        radii = gemmi.Element(one).covalent_r + gemmi.Element(other).covalent_r
        assert distance > 0.65 * radii, (one, other)
