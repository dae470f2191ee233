"""Sites, barriers and paths of analytic densities; polyhedra of close packings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import processes
import pytest

from halion.errors import InputError, PhysicsRefusal
from halion.transport import IonDensity, SiteChoices, find_sites, free_energy_path, ion_density
from halion.transport.coordination import shared_anions, sharing, surroundings
from halion.units import BOLTZMANN_EV_PER_K

TRICLINIC = np.array([[6.0, 0.0, 0.0], [-2.0, 5.5, 0.0], [1.0, 1.0, 7.0]])
KT = BOLTZMANN_EV_PER_K * 600.0
AS_IT_IS = SiteChoices(smoothing=0.0)


def density_of(energy_kt, cell, framework=((), ()), n_ions=4.0):
    """exp(-U) of an energy on a grid, in kT."""
    values = np.exp(-energy_kt)
    values *= n_ions / (values.sum() * abs(np.linalg.det(cell)) / values.size)
    return IonDensity(
        species="Li",
        values=values,
        cell=cell,
        framework_symbols=tuple(framework[0]),
        framework_fractional=np.reshape(np.asarray(framework[1], dtype=float), (-1, 3)),
        n_ions=n_ions,
        n_frames=10**12,
        temperature_k=600.0,
    )


def egg_box(heights, shape=(40, 36, 48), cell=TRICLINIC):
    """Two minima along each axis, and passes of the given heights (kT) between them along that axis."""
    axes = np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij")
    return density_of(sum(0.5 * h * (1 - np.cos(4 * np.pi * x)) for h, x in zip(heights, axes)), cell)


def test_egg_box_has_its_minima_as_sites_and_its_passes_as_barriers():
    heights = (3.0, 5.0, 4.0)
    sites = find_sites(egg_box(heights), AS_IT_IS)
    assert len(sites.fractional) == 8
    np.testing.assert_allclose(np.sort(sites.fractional, axis=0)[[0, -1]], [[0] * 3, [0.5] * 3], atol=1e-9)
    # Grid points on the tops, exp(-12) of the density, lie between regions and fall to one of them.
    np.testing.assert_allclose(sites.occupancy, 0.5, rtol=1e-5)
    assert sites.occupancy.sum() == pytest.approx(4.0, rel=1e-9)
    seen = [set(), set(), set()]
    for ridge in sites.ridges:
        apart = sites.fractional[ridge.second] + ridge.image - sites.fractional[ridge.first]
        axes = np.flatnonzero(np.abs(apart) > 1e-9)
        if len(axes) == 1:  # grids of a multiple of four points meet every pass
            seen[axes[0]].add(round(ridge.barrier_forward_ev / KT, 9))
            assert ridge.barrier_back_ev == pytest.approx(ridge.barrier_forward_ev)
    assert seen == [{3.0}, {5.0}, {4.0}]


def test_path_between_two_minima_is_straight_and_as_high_as_the_pass():
    sites = find_sites(egg_box((3.0, 5.0, 4.0)), AS_IT_IS)
    ridge = next(
        one
        for one in sites.ridges
        if np.allclose(np.abs(sites.fractional[one.second] + one.image - sites.fractional[one.first]), [0, 0, 0.5])
    )
    path = free_energy_path(sites, ridge)
    assert path.free_energy[0] == 0.0 and path.free_energy[-1] == pytest.approx(0.0, abs=1e-12)
    assert path.free_energy.max() == pytest.approx(4.0 * KT)
    assert path.lengths[-1] == pytest.approx(0.5 * np.linalg.norm(TRICLINIC[2]))
    ends = sites.fractional[[ridge.first, ridge.second]] + [[0, 0, 0], ridge.image]
    np.testing.assert_allclose(path.fractional[[0, -1]], ends, atol=1e-12)
    assert (np.diff(path.lengths) > 0).all()
    x = path.fractional[:, 2]
    np.testing.assert_allclose(path.free_energy, KT * 2.0 * (1 - np.cos(4 * np.pi * x)), atol=1e-9)


def test_shallow_wells_are_one_site():
    density, lower = egg_box((0.8, 5.0, 4.0)), SiteChoices(smoothing=0.0, least_barrier_kt=0.5)
    assert len(find_sites(density, AS_IT_IS).fractional) == 4
    assert len(find_sites(density, lower).fractional) == 8


def test_what_is_rare_is_no_site_of_its_own():
    shape = (32, 32, 32)
    x = np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij")
    wells = sum(4.0 * (1 - np.cos(2 * np.pi * one)) for one in x)
    rare = 6.0 + sum(4.0 * (1 + np.cos(2 * np.pi * one)) for one in x)
    density = density_of(-np.logaddexp(-wells, -rare), 6 * np.eye(3), n_ions=1.0)
    share = math.exp(-6.0) / (1 + math.exp(-6.0))
    both = find_sites(density, SiteChoices(smoothing=0.0, least_occupancy=0.5 * share))
    np.testing.assert_allclose(np.sort(both.occupancy), [share, 1 - share], rtol=0.05)
    one = find_sites(density, SiteChoices(smoothing=0.0, least_occupancy=2 * share))
    np.testing.assert_allclose(one.occupancy, [1.0], rtol=1e-9)


def test_sites_of_a_walk_are_where_it_hopped():
    cell = 9.0 * np.eye(3) + 0.4
    walk = processes.walk_on_sites(0, cell=cell)
    sites = find_sites(ion_density(walk.trajectory))
    assert len(sites.fractional) == 27
    exact = np.array(list(itertools.product((1 / 6, 3 / 6, 5 / 6), repeat=3)))
    apart = np.abs(sites.fractional[:, None] - exact).max(axis=2)
    # The grid has 0.2 Angstrom; the mean of some hundred vibrations of 0.3 Angstrom is known to 0.03.
    assert (apart.min(axis=1) * 9 < 0.3).all() and len(set(apart.argmin(axis=1))) == 27
    assert sites.occupancy.sum() == pytest.approx(8.0, rel=0.01)
    assert sites.nearest_distance == pytest.approx(np.linalg.norm(cell[0] / 3), rel=0.15)


def test_without_peaks_or_temperature_it_is_refused():
    flat = density_of(np.zeros((12, 12, 12)), TRICLINIC)
    assert len(find_sites(flat, AS_IT_IS).fractional) == 1  # one region that touches its own images
    empty = density_of(np.zeros((12, 12, 12)), TRICLINIC)
    with pytest.raises(PhysicsRefusal, match="no site"):
        find_sites(IonDensity(**{**fields(empty), "n_frames": 1, "values": empty.values * 1e-9}), AS_IT_IS)
    with pytest.raises(InputError, match="temperature"):
        find_sites(IonDensity(**{**fields(empty), "temperature_k": math.nan}), AS_IT_IS)


def fields(density):
    return {name: getattr(density, name) for name in density.__slots__}


def fcc():
    """Anions of rock salt, four in the cube of 5.6 Angstrom."""
    anions = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return density_of(np.zeros((4, 4, 4)), 5.6 * np.eye(3), (("Cl",) * 4, anions))


def hcp():
    """Two anions in the ideal hexagonal cell of a = 4 Angstrom."""
    a, c = 4.0, 4.0 * math.sqrt(8 / 3)
    cell = np.array([[a, 0, 0], [-a / 2, a * math.sqrt(3) / 2, 0], [0, 0, c]])
    return density_of(np.zeros((4, 4, 4)), cell, (("Br", "Br"), [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]))


def around(density, place):
    return surroundings(density, np.array(place, dtype=float))


def test_cubic_close_packing_octahedra_share_edges_and_tetrahedra_share_faces_with_them():
    density = fcc()
    octahedron, next_one = around(density, [0.5, 0.5, 0.5]), around(density, [0.5, 0.0, 0.0])
    tetrahedron = around(density, [0.25, 0.25, 0.25])
    assert (octahedron.kind, len(octahedron.anions)) == ("octahedral", 6)
    assert (tetrahedron.kind, len(tetrahedron.anions)) == ("tetrahedral", 4)
    np.testing.assert_allclose(octahedron.distances, 2.8)
    np.testing.assert_allclose(tetrahedron.distances, 5.6 * math.sqrt(3) / 4)
    assert shared_anions(octahedron, next_one, (0, 0, 0)) == 2
    assert shared_anions(octahedron, next_one, (0, 1, 1)) == 2
    assert shared_anions(octahedron, next_one, (1, 1, 1)) == 0
    assert shared_anions(octahedron, tetrahedron, (0, 0, 0)) == 3
    assert shared_anions(octahedron, octahedron, (1, 0, 0)) == 1  # opposite corners along an axis
    assert shared_anions(octahedron, octahedron, (1, 1, 0)) == 0


def test_hexagonal_close_packing_octahedra_share_faces_along_c_and_edges_across():
    density = hcp()
    low, high = around(density, [0, 0, 0]), around(density, [0, 0, 0.5])
    assert low.kind == high.kind == "octahedral"
    assert shared_anions(low, high, (0, 0, 0)) == 3 and shared_anions(low, high, (0, 0, -1)) == 3
    assert [shared_anions(low, low, image) for image in ((1, 0, 0), (0, 1, 0), (1, 1, 0))] == [2, 2, 2]
    assert [sharing(n) for n in (0, 1, 2, 3, 4)] == ["no", "corner", "edge", "face", "face"]


def test_sharing_is_the_same_seen_from_either_side():
    density = hcp()
    one, other = around(density, [0.02, -0.01, 0.01]), around(density, [1 / 3, 2 / 3, 0.25 + 3 / 8])
    assert other.kind == "tetrahedral"
    for image in itertools.product((-1, 0, 1), repeat=3):
        turned = tuple(-k for k in image)
        assert shared_anions(one, other, image) == shared_anions(other, one, turned)


def test_which_cell_a_site_is_given_in_does_not_matter():
    density = hcp()
    here, there = around(density, [0.1, 0.0, 0.02]), around(density, [3.1, -2.0, 1.02])
    np.testing.assert_allclose(here.distances, there.distances)
    assert shared_anions(here, there, (-3, 2, -1)) == 6


def test_without_anions_there_are_no_polyhedra():
    density = density_of(np.zeros((4, 4, 4)), 6 * np.eye(3), (("Y",), [[0, 0, 0]]))
    found = around(density, [0.5, 0.5, 0.5])
    assert found.kind == "other" and found.anions == ()
