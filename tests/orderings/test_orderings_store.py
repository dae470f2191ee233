"""Orderings on disk: equal after the round trip, and damage noticed."""

from __future__ import annotations

from dataclasses import fields, replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import li3ycl6

from halion.errors import InputError, RunFolderError, TornFile
from halion.orderings import (
    choose_composition,
    enumerate_orderings,
    exclusion_distances,
    load_orderings,
    save_orderings,
)


@pytest.fixture(scope="module")
def orderings():
    parent = li3ycl6()
    return enumerate_orderings(
        parent, choose_composition(parent, (1, 1, 2)), exclusions=exclusion_distances(parent, 2.5), limit=10**5
    )


def assert_equal(first, second):
    for field in fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
        else:
            assert one == other
            assert type(one) is type(other)


def test_round_trip(orderings, tmp_path):
    path = save_orderings(orderings, tmp_path / "new" / "orderings.h5")
    assert_equal(load_orderings(path), orderings)
    assert [each.name for each in path.parent.iterdir()] == ["orderings.h5"]


def test_one_byte_per_site_at_most(orderings, tmp_path):
    path = save_orderings(orderings, tmp_path / "orderings.h5")
    # multiplicities take 8 bytes each, the rest of the file is some ten kB
    assert path.stat().st_size < orderings.occupation.size + 8 * orderings.n_orderings + 30_000


def test_totals_beyond_64_bits(orderings, tmp_path):
    huge = replace(orderings, count=replace(orderings.count, total=10**40))
    assert load_orderings(save_orderings(huge, tmp_path / "a.h5")).count.total == 10**40


def test_a_newer_schema(orderings, tmp_path):
    path = save_orderings(orderings, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = 99
    with pytest.raises(RunFolderError, match="schema 99") as caught:
        load_orderings(path)
    assert "upgrade" in caught.value.fix


def test_missing(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_orderings(tmp_path / "none.h5")


def test_another_hdf5_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["positions"] = np.zeros(3)
    with pytest.raises(TornFile):
        load_orderings(tmp_path / "a.h5")


def test_multiplicities_that_do_not_add_up(orderings, tmp_path):
    path = save_orderings(replace(orderings, total_allowed=1), tmp_path / "a.h5")
    with pytest.raises(TornFile, match="do not add up"):
        load_orderings(path)


@settings(deadline=None, max_examples=60)
@given(part=st.floats(0, 0.999))
def test_torn_anywhere(orderings, tmp_path_factory, part):
    """A file cut at any place is refused as torn: nothing else comes out."""
    folder = tmp_path_factory.mktemp("torn")
    path = save_orderings(orderings, folder / "a.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(TornFile) as caught:
        load_orderings(path)
    assert str(path) in caught.value.fix
