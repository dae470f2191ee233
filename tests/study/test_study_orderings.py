"""From settings to orderings: listed, stored, in shards, drawn; each way the same orderings."""

from __future__ import annotations

import numpy as np
import pytest

from halion.crystal import builtin_crystal
from halion.errors import InputError, OrderingError
from halion.orderings import load_orderings
from halion.settings import OrderingSettings
from halion.study import make_orderings
from halion.study.orderings import shard_path

POOLED = OrderingSettings(supercell=(1, 1, 1), pool=("Li", "Y"))


@pytest.fixture(scope="module")
def crystal():
    return builtin_crystal("Li3YCl6")


def test_stored_orderings_are_those_of_memory(crystal, tmp_path):
    held = make_orderings(crystal, POOLED)
    stored = make_orderings(crystal, POOLED, tmp_path / "lyc.h5")
    assert held.n_orderings == 86  # 124 without exclusions
    assert np.array_equal(held.occupation, stored.occupation)
    assert np.array_equal(held.multiplicity, stored.multiplicity)
    assert stored.compositions == held.compositions
    assert np.array_equal(load_orderings(tmp_path / "lyc.h5").occupation, held.occupation)


def test_the_last_shard_joins_them(crystal, tmp_path):
    path = tmp_path / "lyc.h5"
    parts = [make_orderings(crystal, POOLED, path, shard=(k, 3)) for k in (2, 0)]
    assert not path.exists() and all(part.n_orderings < 86 for part in parts)
    whole = make_orderings(crystal, POOLED, path, shard=(1, 3))
    assert shard_path(path, (1, 3)).name == "lyc.1-of-3.h5"

    def rows(found):
        return {row.tobytes() for row in found.occupation}

    assert path.exists() and rows(whole) == rows(make_orderings(crystal, POOLED))
    assert sum(whole.multiplicity) == whole.total_allowed


def test_a_shard_needs_a_file_and_a_listing(crystal, tmp_path):
    with pytest.raises(InputError, match="stored"):
        make_orderings(crystal, POOLED, shard=(0, 2))
    drawn = POOLED.model_copy(update={"sample": "orderings"})
    with pytest.raises(InputError, match="stored"):
        make_orderings(crystal, drawn, tmp_path / "a.h5", shard=(0, 2))


@pytest.mark.parametrize("measure", ["colourings", "orderings", "low-energy"])
def test_a_sample_holds_orderings_of_the_list(crystal, measure, tmp_path):
    """All of 86 in 2000 draws, but for the biased one; stored and read back."""
    settings = POOLED.model_copy(update={"sample": measure, "sample_size": 2000 if measure != "low-energy" else 5})
    found = make_orderings(crystal, settings, tmp_path / "drawn.h5")
    assert found.sample.measure == measure
    assert found.n_orderings == (86 if measure != "low-energy" else 5)
    again = load_orderings(tmp_path / "drawn.h5")
    assert again.sample == found.sample and np.array_equal(again.occupation, found.occupation)


def test_a_limit_is_not_crossed_in_silence(crystal):
    with pytest.raises(OrderingError, match="sample"):
        make_orderings(crystal, POOLED.model_copy(update={"limit": 80}))
