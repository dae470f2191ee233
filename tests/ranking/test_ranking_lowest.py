"""The lowest of a stream against a sort of all energies, ties against the draw written out in memory."""

import dataclasses
import tracemalloc
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.ranking import electrostatic_energies
from halion.ranking.lowest import TIE_EV_PER_ATOM, lowest_orderings

CUBE = np.stack(np.meshgrid([0.0, 0.5], [0.0, 0.5], [0.0, 0.5], indexing="ij"), axis=-1).reshape(-1, 3)
IONS = {"Mg": 2.0, "Cl": -1.0, "Br": -1.0}


def in_memory(ordering_set, n):
    """(orderings, members of the tie): everything sorted, and the draw as it is defined."""
    energies = electrostatic_energies(ordering_set)
    n = min(n, len(energies))
    order = np.lexsort((np.arange(len(energies)), energies))
    cut = energies[order[n - 1]]
    below = order[energies[order] < cut - TIE_EV_PER_ATOM]
    tied = np.flatnonzero((energies >= cut - TIE_EV_PER_ATOM) & (energies <= cut + TIE_EV_PER_ATOM))
    return [*below, *spread(tied, ordering_set.multiplicity[tied], n - len(below))], tied


def spread(members, multiplicity, n):
    if n >= len(members):
        return members
    upper = np.cumsum(multiplicity)
    marks = (np.arange(n) + 0.5) * upper[-1] / n
    chosen = np.unique(np.searchsorted(upper, marks, side="right"))
    rest = np.setdiff1d(np.arange(len(members)), chosen)
    fullest = rest[np.argsort(-multiplicity[rest], kind="stable")]
    return members[np.sort(np.concatenate([chosen, fullest[: n - len(chosen)]]))]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_orderings=st.integers(1, 60),
    n=st.integers(1, 70),
    rows=st.sampled_from([1, 3, 16, 2048]),
)
def test_a_stream_gives_what_a_sort_gives(ordering_set, seed, n_orderings, n, rows):
    """Ions on a cube: a handful of energies, so nearly every cut falls inside a tie."""
    rng = np.random.default_rng(seed)
    occupation = [rng.permutation([1, 1, 2, 2, 3, 3, 0, 0]) for _ in range(n_orderings)]
    found = ordering_set(np.eye(3) * 8, CUBE, IONS, occupation, rng.integers(1, 25, n_orderings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("halion.ranking.electrostatics._ROWS_PER_BATCH", rows)
        lowest = lowest_orderings(found, n)
        expected, tied = in_memory(found, n)
        energies = electrostatic_energies(found)
    assert lowest.orderings.tolist() == expected
    assert lowest.n_tied == len(tied)
    assert lowest.n_left_out == len(set(tied) - set(expected))
    np.testing.assert_array_equal(lowest.energies, energies[expected])
    assert lowest.spread == np.ptp(energies)


def test_energies_fall_along_the_stream(ordering_set):
    """The worst order for who keeps the best so far: every ordering enters."""
    rng = np.random.default_rng(1)
    fractional = np.concatenate([[(0, 0, 0)], rng.uniform(size=(40, 3))])
    occupation = np.zeros((40, 41), dtype=int)
    occupation[:, 0] = 2
    occupation[np.arange(40), np.arange(1, 41)] = 1
    found = ordering_set(np.eye(3) * 9, fractional, {"Li": 1.0, "Cl": -1.0}, occupation)
    order = np.argsort(-electrostatic_energies(found))
    falling = dataclasses.replace(found, occupation=found.occupation[order])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("halion.ranking.electrostatics._ROWS_PER_BATCH", 4)
        assert lowest_orderings(falling, 7).orderings.tolist() == [39, 38, 37, 36, 35, 34, 33]


def test_the_draw_follows_multiplicity(ordering_set):
    """Half of the multiplicity sits in the first tenth of a tie: half of the draw does, too."""
    occupation = [[1, 0, 2, 3]] * 100
    fractional = [(0, 0, 0), (0.5, 0.5, 0.5), (0.1, 0.2, 0.3), (0.7, 0.1, 0.4)]
    found = ordering_set(np.eye(3) * 8, fractional, IONS, occupation, [9] * 10 + [1] * 90)
    lowest = lowest_orderings(found, 10)
    assert (lowest.orderings < 10).sum() == 5
    assert (lowest.n_tied, lowest.n_left_out) == (100, 90)


def test_a_tie_of_millions_is_not_held(ordering_set, tmp_path):
    """All orderings of Cl and Br over 22 sites tie: 705 432 of them, read from a memory map.

    The energies alone would take 5.6 MB, an index of the tie as much again; what may stay is the energies of a
    batch, its charges (2048 rows of 8 B per site) and one number per batch.
    """
    n_sites, n_cl = 23, 11
    n = comb(n_sites - 1, n_cl)
    bits = np.arange(2 ** (n_sites - 1), dtype=np.uint32)
    bits = bits[np.bitwise_count(bits) == n_cl]
    assert len(bits) == n
    stored = np.lib.format.open_memmap(tmp_path / "rows.npy", mode="w+", dtype=np.uint8, shape=(n, n_sites))
    stored[:, 0] = 1
    for k in range(n_sites - 1):
        stored[:, k + 1] = 2 + (bits >> k & 1)
    stored.flush()
    del bits
    rng = np.random.default_rng(0)
    charges = {"M": n_sites - 1.0, "Cl": -1.0, "Br": -1.0}
    small = ordering_set(np.eye(3) * 12, rng.uniform(size=(n_sites, 3)), charges, stored[:1])
    found = dataclasses.replace(
        small,
        occupation=np.load(tmp_path / "rows.npy", mmap_mode="r"),
        multiplicity=np.ones(n, dtype=np.int64),
    )
    tracemalloc.start()
    lowest = lowest_orderings(found, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (lowest.n_tied, lowest.n_left_out) == (n, n - 5)
    # Equal multiplicities: the middles of five equal parts.
    assert lowest.orderings.tolist() == [int((k + 0.5) * n / 5) for k in range(5)]
    assert peak < 3e6
