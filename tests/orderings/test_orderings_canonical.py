"""Canonical rows and multiplicities against trying all images, and against the enumeration."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, crystal, li3ycl6
from test_orderings_count import groups, listed

from halion.orderings import canonical as room
from halion.orderings import choose_composition, enumerate_orderings, exclusion_distances
from halion.orderings.canonical import canonical_rows
from halion.orderings.count import disordered_orbits
from halion.orderings.sites import site_permutations


def tried(permutations, row):
    """(smallest image, number of different images) of one row."""
    images = {tuple(row[p]) for p in permutations}
    return min(images), len(images)


@settings(deadline=None)
@given(groups(), st.integers(0, 2**32 - 1))
def test_every_colouring_of_a_group(case, seed):
    """All colourings of random groups: canonical form and multiplicity by trial, and equal for each image."""
    permutations, blocks = case
    rows = np.array(listed(blocks), dtype=np.uint8)
    canonical, multiplicity = canonical_rows(permutations, rows)
    expected = [tried(permutations, row) for row in rows]
    assert [tuple(row) for row in canonical] == [row for row, _ in expected]
    assert multiplicity.tolist() == [n for _, n in expected]
    chosen = np.random.default_rng(seed).integers(len(permutations), size=len(rows))
    images = np.take_along_axis(rows, permutations[chosen], axis=1)
    again, same = canonical_rows(permutations, images)
    assert np.array_equal(again, canonical)
    assert np.array_equal(same, multiplicity)


def rocksalt():
    return crystal(
        "F m -3 m",
        (6, 6, 6, 90, 90, 90),
        [("M", (0, 0, 0), {"Pb": 0.5, "Sn": 0.5}), ("X", (0.5, 0.5, 0.5), {"Te": 1.0})],
    )


@pytest.mark.parametrize("n_species", [2, 3, 7])
def test_rows_of_several_words(n_species):
    """32 sites under 1536 operations, some rows of high symmetry: more words than one, and ties in the first."""
    permutations = site_permutations(rocksalt(), (2, 2, 2), [0])
    assert permutations.shape == (1536, 32)
    rng = np.random.default_rng(1)
    rows = rng.integers(n_species, size=(40, 32)).astype(np.uint8)
    rows[:5] = 0
    rows[1, 7], rows[2, :16], rows[3, ::2], rows[4] = 1, 1, 1, n_species - 1
    canonical, multiplicity = canonical_rows(permutations, rows)
    expected = [tried(permutations, row) for row in rows]
    assert [tuple(row) for row in canonical] == [row for row, _ in expected]
    assert multiplicity.tolist() == [n for _, n in expected]
    assert multiplicity[0] == 1 and multiplicity[1] == 32


def test_wide_rows_need_several_words():
    """Translations of a ring of 130 sites: rows equal in their first 53 digits and different far behind."""
    n = 130
    ring = np.array([np.roll(np.arange(n), -k) for k in range(n)], dtype=np.int32)
    rows = np.zeros((3, n), dtype=np.uint8)
    rows[0, [0, 65]], rows[1, [3, 69]], rows[2, [5, 71]] = 1, 1, 1
    canonical, multiplicity = canonical_rows(ring, rows)
    assert [tuple(row) for row in canonical] == [tried(ring, row)[0] for row in rows]
    assert multiplicity.tolist() == [65, 130, 130]
    assert np.array_equal(canonical[1], canonical[2])


@pytest.mark.parametrize(("closest", "n"), [(0.0, 49_668), (2.5, 2775)])
def test_the_enumerated_orderings_stay_distinct(closest, n):
    """Li3YCl6 in 60 atoms: as many canonical rows as orderings, with the multiplicities of the search."""
    parent = li3ycl6()
    counts = {"Li1": {"Li": 10}, "Li2": {"Li": 8}, "Y2": {"Y": 2}, "Y3": {"Y": 2}}
    composition = composed(parent, (1, 1, 2), counts)
    found = enumerate_orderings(parent, composition, exclusions=exclusion_distances(parent, closest), limit=50_000)
    orbits = disordered_orbits(composition)
    sites = np.concatenate([np.flatnonzero(found.site_orbit == k) for k in orbits])
    permutations = site_permutations(parent, (1, 1, 2), orbits)
    rows = found.occupation[:, sites]
    canonical, multiplicity = canonical_rows(permutations, rows)
    assert len(np.unique(canonical, axis=0)) == len(rows) == n
    assert np.array_equal(multiplicity, found.multiplicity)
    moved = rows[:, permutations[len(permutations) // 2]]
    assert np.array_equal(canonical_rows(permutations, moved)[0], canonical)


def test_chunks_make_no_difference(monkeypatch):
    permutations = site_permutations(li3ycl6(), (1, 1, 2), [3, 4])
    rows = np.random.default_rng(0).integers(3, size=(100, 24)).astype(np.uint8)
    whole = canonical_rows(permutations, rows)
    monkeypatch.setattr(room, "_IMAGES_AT_ONCE", 100)
    assert all(np.array_equal(a, b) for a, b in zip(whole, canonical_rows(permutations, rows)))


def test_nothing_to_permute():
    identity = np.arange(4, dtype=np.int32)[None]
    rows = np.array([[1, 0, 1, 0]], dtype=np.uint8)
    assert canonical_rows(identity, rows)[0].tolist() == rows.tolist()
    empty = np.zeros((3, 0), dtype=np.uint8)
    assert canonical_rows(np.zeros((1, 0), dtype=np.int32), empty)[1].tolist() == [1, 1, 1]
    assert canonical_rows(identity, rows[:0])[0].shape == (0, 4)


def test_what_is_no_group_is_noticed():
    wrong = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0]], dtype=np.int32)
    with pytest.raises(AssertionError, match="not a group"):
        canonical_rows(wrong, np.array([[0, 0, 1]], dtype=np.uint8))


def test_the_rows_given_are_not_changed():
    permutations = site_permutations(li3ycl6(), (1, 1, 1), [3])
    rows = np.array([[1, 0, 0, 1, 0, 1]], dtype=np.uint8)
    before = rows.copy()
    canonical_rows(permutations, rows)
    assert np.array_equal(rows, before)


@pytest.mark.slow
def test_speed():
    """1e5 rows of 128 sites under 96 operations, 1e3 under 1536: measured at 0.15 and 0.01 s.

    Seconds are left for a busy machine.
    """
    parent = li3ycl6()
    composition = choose_composition(parent, (2, 2, 2))
    orbits = disordered_orbits(composition)
    permutations = site_permutations(parent, (2, 2, 2), orbits)
    assert permutations.shape == (96, 128)
    rows = np.random.default_rng(0).integers(2, size=(100_000, 128)).astype(np.uint8)
    start = time.perf_counter()
    canonical_rows(permutations, rows)
    assert time.perf_counter() - start < 4
    large = site_permutations(rocksalt(), (2, 2, 2), [0, 1])
    start = time.perf_counter()
    canonical_rows(large, rows[:1000, :64])
    assert time.perf_counter() - start < 1
