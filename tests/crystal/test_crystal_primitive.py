"""The primitive cell is the same crystal: sites, neighbours, symmetry, orderings."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from scipy.spatial import cKDTree

from halion.crystal import load_crystal, primitive_crystal, read_crystal
from halion.crystal.primitive import centrings
from halion.crystal.symmetry import site_types
from halion.errors import OrderingError
from halion.orderings import choose_composition, compositions_for, count_orderings
from halion.settings import OrderingSettings

# Argyrodite: F-centred, 52 atoms in the refined cell, its Li on half of 48h. Cell and coordinates rounded.
ARGYRODITE = """data_Li6PS5Cl
_cell_length_a 9.85
_cell_length_b 9.85
_cell_length_c 9.85
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F -4 3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Li1 Li 0.183 0.183 0.024 0.5
P1 P 0 0 0.5 1
S1 S 0.1182 0.8818 0.6182 1
S2 S 0.25 0.25 0.75 0.5
Cl2 Cl 0.25 0.25 0.75 0.5
S3 S 0 0 0 0.5
Cl3 Cl 0 0 0 0.5
"""


@pytest.fixture(scope="module")
def argyrodite(tmp_path_factory):
    path = tmp_path_factory.mktemp("argyrodite") / "Li6PS5Cl.cif"
    path.write_text(ARGYRODITE)
    return read_crystal(path)


def test_the_centrings_of_f_and_c(argyrodite):
    halves = {(0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)}
    assert {tuple(row) for row in centrings(argyrodite).tolist()} == halves
    assert len(centrings(load_crystal("Li3YBr6"))) == 2


def test_a_crystal_that_is_not_centred_is_left_alone():
    crystal = load_crystal("Li3YCl6")
    assert primitive_crystal(crystal) is crystal


@pytest.mark.parametrize(("name", "n_centrings"), [("Li3YBr6", 2), ("argyrodite", 4)])
def test_it_is_the_same_crystal(name, n_centrings, argyrodite):
    crystal = argyrodite if name == "argyrodite" else load_crystal(name)
    small = primitive_crystal(crystal)
    assert small.n_atoms == pytest.approx(crystal.n_atoms / n_centrings)
    assert small.volume == pytest.approx(crystal.volume / n_centrings)
    assert np.linalg.det(small.cell) > 0
    assert [o.n_sites * n_centrings for o in small.orbits] == [o.n_sites for o in crystal.orbits]
    assert len(small.rotations) * n_centrings == len(crystal.rotations)
    assert len(centrings(small)) == 1
    # Every site sees the same neighbours at the same distances, orbit by orbit.
    for mine, theirs in zip(surroundings(small), surroundings(crystal), strict=True):
        assert mine == theirs
    # Operations are isometries that map the sites, occupancies included, onto themselves.
    metric = small.cell @ small.cell.T
    for rotation, translation in zip(small.rotations, small.translations, strict=True):
        np.testing.assert_allclose(rotation.T @ metric @ rotation, metric, atol=1e-6)
        for orbit in small.orbits:
            moved = orbit.fractional @ rotation.T + translation
            gap = moved[:, None] - orbit.fractional[None]
            assert np.abs(gap - np.round(gap)).max(axis=2).min(axis=1).max() < 1e-3


def test_spglib_agrees_on_the_cell_and_the_group(argyrodite):
    small = primitive_crystal(argyrodite)
    kinds = site_types([dict(orbit.occupancy) for orbit in small.orbits])[small.site_orbit]
    found = spglib.get_symmetry_dataset((small.cell, small.fractional, kinds), symprec=0.01)
    assert (found.number, len(found.rotations)) == (216, len(small.rotations))


@pytest.mark.parametrize("name", ["Li3YBr6", "argyrodite"])
def test_the_same_supercell_has_the_same_orderings(name, argyrodite):
    """The refined cell, told as a supercell of the primitive one: as many orderings, and as many distinct ones."""
    crystal = argyrodite if name == "argyrodite" else load_crystal(name)
    small = primitive_crystal(crystal)
    matrix = np.round(crystal.cell @ np.linalg.inv(small.cell)).astype(int)
    np.testing.assert_allclose(matrix @ small.cell, crystal.cell, atol=1e-6)
    one = count_orderings(crystal, choose_composition(crystal, (1, 1, 1)))
    other = count_orderings(small, choose_composition(small, tuple(map(tuple, matrix.tolist()))))
    assert (one.total, one.distinct) == (other.total, other.distinct)


def test_cells_that_only_the_primitive_one_makes(argyrodite):
    with pytest.raises(OrderingError, match="holds 52 atoms") as caught:
        compositions_for(argyrodite, OrderingSettings(max_atoms=40))
    assert "cell: primitive" in caught.value.fix and "13 atoms" in caught.value.fix
    small = primitive_crystal(argyrodite)
    with pytest.raises(OrderingError, match="too close in every ordering") as caught:
        compositions_for(small, OrderingSettings(max_atoms=30))
    face = np.sqrt(2) * (0.183 - 0.024) * 9.85  # the next neighbours in a cage, 2.215 Angstrom
    assert f"closest_cations_angstrom: {np.floor(face * 100) / 100:g}" in caught.value.fix
    (chosen,) = compositions_for(small, OrderingSettings(max_atoms=30, limit=10**9, closest_cations_angstrom=1.5))
    assert round(abs(np.linalg.det(chosen.supercell))) in (1, 2)


def surroundings(crystal) -> list[set]:
    """Of one site of each orbit: (orbit, distance, how many) within 5 Angstrom."""
    reach = range(-3, 4)
    shifts = np.array([(i, j, k) for i in reach for j in reach for k in reach], dtype=float)
    every = (crystal.fractional[None] + shifts[:, None]).reshape(-1, 3) @ crystal.cell
    owner = np.tile(crystal.site_orbit, len(shifts))
    tree = cKDTree(every)
    seen = []
    for orbit in crystal.orbits:
        centre = orbit.fractional[0] @ crystal.cell
        near = tree.query_ball_point(centre, 5.0)
        pairs = [(int(owner[i]), round(float(np.linalg.norm(every[i] - centre)), 3)) for i in near]
        seen.append({(*pair, pairs.count(pair)) for pair in pairs})
    return seen
