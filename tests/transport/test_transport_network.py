"""Hops one by one, rates, and the ways through the crystal."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import processes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import InputError
from halion.transport import (
    analyse_mechanism,
    count_hops,
    find_sites,
    hop_network,
    ion_density,
    percolation,
)

CELL = np.array([[9.6, 0.0, 0.0], [-1.5, 9.0, 0.0], [0.5, 1.0, 10.2]])


@pytest.fixture(scope="module")
def walk():
    return processes.walk_on_sites(1, cell=CELL, rates=(0.01, 0.004, 0.02), vibration=0.25)


@pytest.fixture(scope="module")
def mechanism(walk):
    return analyse_mechanism(walk.trajectory)


def test_every_hop_is_found_and_no_other(walk, mechanism):
    hops, sites = mechanism.hops, mechanism.sites
    assert len(sites.peak) == 27
    vectors = sites.fractional[hops.second] + hops.image - sites.fractional[hops.first]
    seen = {(i, f): vector for i, f, vector in zip(hops.ion.tolist(), hops.frame.tolist(), vectors)}
    n_alone = n_late = 0
    for ion in range(8):
        hopped = np.flatnonzero(np.any(np.diff(walk.places[:, ion], axis=0) != 0, axis=1)) + 1
        for frame, before, after in zip(hopped, [-99, *hopped], [*hopped[1:], 10**6]):
            # An ion that goes on before it was in the core hops once, from the first site to the third.
            if min(frame - before, after - frame) < 8 or frame > 3990:
                continue
            late = next(k for k in range(8) if (ion, frame + k) in seen)
            moved = walk.places[frame, ion] - walk.places[frame - 1, ion]
            # Peaks are on a grid of 0.2 of 9 Angstrom.
            np.testing.assert_allclose(seen[ion, frame + late], moved / 3, atol=0.05)
            n_alone, n_late = n_alone + 1, n_late + (late > 0)
    # Most hops are alone; few end outside the core at first, and fewer are followed by the next one there.
    assert n_alone > 0.5 * walk.n_hops and n_late < 0.1 * n_alone
    assert 0.99 * walk.n_hops <= len(hops.ion) <= walk.n_hops
    assert hops.n_unplaced == 0
    assert hops.site_frames.sum() == 8 * 4000


def test_rates_along_the_axes_are_those_of_the_walk(mechanism):
    """Poisson counts: within four standard deviations."""
    hops, network = mechanism.hops, mechanism.network
    time = hops.n_ions * hops.n_frames
    for axis, rate in enumerate((0.01, 0.004, 0.02)):
        seen = sum(
            edge.n_forward + edge.n_back
            for edge in network.edges
            if np.argmax(np.abs(edge.vector @ np.linalg.inv(CELL))) == axis
        )
        assert abs(seen - rate * time) < 4 * math.sqrt(rate * time)
    assert hops.rate_per_ps == pytest.approx(len(hops.ion) / (time * 0.1))
    assert sum(network.by_kind.values()) == pytest.approx(hops.rate_per_ps)
    # Each way back is one of six, weighted with the squares of the rates: (sum of (r/2)^2 x 2) / (sum r)^2.
    rates = np.array([0.01, 0.004, 0.02])
    back = 0.5 * np.sum(rates**2) / rates.sum() ** 2
    assert abs(hops.returned - back) < 4 * math.sqrt(back * (1 - back) / len(hops.ion))


def test_edge_rates_are_hops_over_time_on_the_site(mechanism):
    hops = mechanism.hops
    for edge in mechanism.network.edges:
        there = (hops.first == edge.first) & (hops.second == edge.second) & (hops.image == edge.image).all(axis=1)
        if (edge.first, edge.image) != (edge.second, (0, 0, 0)):
            assert there.sum() == edge.n_forward
        spent = hops.site_frames[edge.first] * hops.frame_ps
        assert edge.rate_forward == pytest.approx(edge.n_forward / spent)
        assert edge.rate_forward_std == pytest.approx(math.sqrt(edge.n_forward) / spent)
    assert sum(edge.n_forward + edge.n_back for edge in mechanism.network.edges) == len(hops.ion)


def test_diffusivity_of_independent_hops_is_that_of_the_walk(mechanism):
    exact = sum(rate * np.outer(vector, vector) / (2 * 0.1) for rate, vector in zip((0.01, 0.004, 0.02), CELL / 3))
    # 1000 hops: 3 %, and peaks that are off by half a grid step.
    np.testing.assert_allclose(mechanism.network.hop_diffusivity, exact, atol=0.12 * exact.max())
    total = sum(mechanism.network.kind_diffusivity.values())
    np.testing.assert_allclose(total, mechanism.network.hop_diffusivity)


def test_where_ions_hop_along_one_axis_only_there_is_one_dimension():
    walk = processes.walk_on_sites(2, cell=CELL, rates=(0.0, 0.0, 0.03), n_ions=9, n_frames=2000, vibration=0.25)
    found = analyse_mechanism(walk.trajectory).network.by_hops
    assert found.dimension == 1
    assert found.directions[0][:2] == (0, 0) and abs(found.directions[0][2]) == 1
    assert found.along[:2] == (0.0, 0.0) and found.along[2] > 0


def test_anisotropic_hops_open_the_fast_axis_first():
    walk = processes.walk_on_sites(3, cell=CELL, rates=(0.002, 0.002, 0.03), n_ions=20, vibration=0.25)
    mechanism = analyse_mechanism(walk.trajectory)
    found = mechanism.network.by_hops
    assert found.dimension == 3 and found.strength[0] > 4 * found.strength[1]
    assert found.along[2] == found.strength[0] > found.along[0]
    assert "3 dimension(s)" in mechanism.verdict


def test_ions_that_rest_have_no_network():
    walk = processes.walk_on_sites(4, cell=CELL, rates=(0, 0, 0), n_frames=500)
    found = analyse_mechanism(walk.trajectory)
    assert found.network.edges == () and found.network.by_hops.dimension == 0
    assert not found.network.hop_diffusivity.any()
    assert "nothing moved" in found.verdict
    assert math.isnan(found.hops.returned)


def test_wrapping_does_not_matter(walk, mechanism):
    images = np.random.default_rng(0).integers(-2, 3, walk.trajectory.positions.shape[1:])
    moved = replace(walk.trajectory, positions=walk.trajectory.positions + images @ CELL)
    found = count_hops(moved, mechanism.sites)
    np.testing.assert_array_equal(found.frame, mechanism.hops.frame)
    np.testing.assert_array_equal(found.image, mechanism.hops.image)


def test_an_ion_that_looks_over_the_pass_and_returns_has_not_hopped():
    """A run on two sites that are 3 Angstrom apart; one excursion to the pass, then a hop."""
    rng = np.random.default_rng(0)
    line = np.concatenate([np.zeros(300), [0.7, 1.2, 1.5, 1.6, 1.2, 0.5], np.zeros(300), [1.5], np.full(400, 3.0)])
    positions = np.zeros((len(line), 2, 3))
    positions[:, 0] = 3.0 + rng.normal(0, 0.2, (len(line), 3))
    positions[:, 0, 0] += line
    trajectory = processes.as_trajectory(positions, ("Li", "Cl"), 9 * np.eye(3))
    sites = find_sites(ion_density(trajectory))
    hops = count_hops(trajectory, sites)
    assert len(sites.peak) == 2 and len(hops.ion) == 1
    assert 606 <= hops.frame[0] <= 609


def test_sites_of_another_cell_are_refused(walk, mechanism):
    larger = replace(walk.trajectory, cells=walk.trajectory.cells * 1.2, positions=walk.trajectory.positions * 1.2)
    with pytest.raises(InputError, match="differs by"):
        count_hops(larger, mechanism.sites)


def lattice(axes):
    """One node; a link to its own image along each axis."""
    images = {0: (1, 0, 0), 1: (0, 1, 0), 2: (0, 0, 1)}
    return {(0, 0, images[axis]): strength for axis, strength in axes.items()}


@pytest.mark.parametrize(
    ("axes", "strength", "along"),
    [
        ({}, (), (0, 0, 0)),
        ({2: 5.0}, (5.0,), (0, 0, 5)),
        ({0: 1.0, 2: 5.0}, (5.0, 1.0), (1, 0, 5)),
        ({0: 1.0, 1: 3.0, 2: 5.0}, (5.0, 3.0, 1.0), (1, 3, 5)),
    ],
)
def test_percolation_of_chains_layers_and_lattices(axes, strength, along):
    found = percolation(lattice(axes), 1)
    assert (found.dimension, found.strength, found.along) == (len(axes), strength, along)


def test_a_way_is_as_strong_as_its_weakest_link():
    """Two sites in a chain along c, linked strongly within the cell and weakly across; a side arm leads nowhere."""
    links = {(0, 1, (0, 0, 0)): 9.0, (0, 1, (0, 0, -1)): 2.0, (1, 2, (0, 0, 0)): 7.0}
    found = percolation(links, 3)
    assert found.strength == (2.0,) and found.along == (0.0, 0.0, 2.0)
    assert percolation({link: s for link, s in links.items() if s > 2}, 3).dimension == 0


def test_separate_chains_in_two_directions_are_one_dimensional():
    links = {(0, 0, (1, 0, 0)): 3.0, (1, 1, (0, 1, 0)): 2.0}
    found = percolation(links, 2)
    assert found.strength == (3.0,) and found.along == (3.0, 2.0, 0.0)
    joined = percolation({**links, (0, 1, (0, 0, 0)): 1.0}, 2)
    assert joined.strength == (3.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_percolation_against_walking_from_image_to_image(seed):
    """Oracle: copies of the cell in a box; from a node, which of its own images can be walked to?"""
    rng = np.random.default_rng(seed)
    n_nodes = int(rng.integers(1, 4))
    links = {}
    for _ in range(int(rng.integers(1, 6))):
        first, second = sorted(int(k) for k in rng.integers(0, n_nodes, 2))
        image = tuple(int(k) for k in rng.integers(-1, 2, 3))
        if first != second or any(image):
            links[(first, second, image)] = float(rng.integers(1, 5))
    found = percolation(links, n_nodes)
    for level in (1.0, 2.0, 3.0, 4.0):
        kept = [link for link, strength in links.items() if strength >= level]
        best = max((walked_rank(kept, node) for node in range(n_nodes)), default=0)
        assert sum(strength >= level for strength in found.strength) == best


def walked_rank(links, start, reach=6):
    seen, todo = {(start, (0, 0, 0))}, [(start, (0, 0, 0))]
    while todo:
        node, cell = todo.pop()
        for first, second, image in links:
            ends = []
            if first == node:
                ends.append((second, tuple(a + b for a, b in zip(cell, image))))
            if second == node:
                ends.append((first, tuple(a - b for a, b in zip(cell, image))))
            for end in ends:
                if end not in seen and max(map(abs, end[1])) <= reach:
                    seen.add(end)
                    todo.append(end)
    own = np.array([cell for node, cell in seen if node == start])
    return int(np.linalg.matrix_rank(own)) if len(own) > 1 else 0


def test_network_of_no_hops_is_built_from_the_sites_alone(mechanism):
    empty = replace(
        mechanism.hops,
        ion=np.empty(0, int),
        frame=np.empty(0, int),
        first=np.empty(0, int),
        second=np.empty(0, int),
        image=np.empty((0, 3), int),
    )
    network = hop_network(mechanism.sites, empty)
    assert network.edges == () and network.by_density == mechanism.network.by_density
