"""Samples under three measures: against the enumeration, reproducible, extended by more draws, refused in words."""

from __future__ import annotations

import math
import time
from collections import Counter

import numpy as np
import pytest
from orderings_crystals import composed, crystal, li3ybr6, li3ycl3br3, li3ycl6
from scipy.stats import chi2

from halion.errors import Interrupted, OrderingError
from halion.orderings import compositions_for, enumerate_orderings, exclusions_for, sampling
from halion.orderings import pool as pool_module
from halion.orderings.canonical import canonical_rows
from halion.orderings.count import count_orderings
from halion.orderings.pool import Pool, count_distinct_allowed
from halion.orderings.sampling import sample_orderings
from halion.orderings.sites import site_permutations, supercell_sites
from halion.orderings.store import load_orderings, save_orderings
from halion.orderings.stream import Question
from halion.ranking.electrostatics import ewald_matrix
from halion.settings import OrderingSettings

SIGNIFICANCE = 1e-4
MEASURES = ("colourings", "orderings", "low-energy")


def asked(**values):
    return OrderingSettings(**{"supercell": (1, 1, 1), "sample": "orderings", **values})


def sampled(parent, settings, **values):
    """A sample of what the settings ask for, with the Ewald matrix."""
    compositions = compositions_for(parent, settings)
    sites = supercell_sites(parent, compositions[0].supercell)
    return sample_orderings(
        parent,
        compositions,
        exclusions=exclusions_for(parent, settings),
        settings=settings,
        matrix=ewald_matrix(sites.cell, sites.fractional),
        **values,
    )


def listed(parent, settings):
    return enumerate_orderings(
        parent, compositions_for(parent, settings), exclusions=exclusions_for(parent, settings), limit=10**6
    )


def images(parent, found):
    """{canonical row of all sites: multiplicity} of a set."""
    supercell = found.compositions[0].supercell
    group = site_permutations(parent, supercell, range(len(parent.orbits)))
    rows, _ = canonical_rows(group, np.asarray(found.occupation))
    return {row.tobytes(): int(n) for row, n in zip(rows, found.multiplicity)}


POOLED = {"pool": ("Li", "Y")}


@pytest.mark.parametrize(
    ("parent", "values"),
    [
        (li3ycl6(), {"sample": "colourings", "closest_cations_angstrom": 0}),
        (li3ycl6(), {"sample": "orderings", **POOLED}),
        (li3ycl6(), {"sample": "colourings", **POOLED}),
        (li3ycl6(), {"sample": "low-energy", **POOLED}),
        (li3ybr6(), {"sample": "orderings", "supercell": (1, 1, 2)}),
        (li3ybr6(), {"sample": "low-energy", "closest_cations_angstrom": 0}),
    ],
)
def test_everything_is_found_where_there_is_little(parent, values):
    """Many draws of few orderings: the sample is the enumeration, with its multiplicities and counts."""
    settings = asked(sample_size=8000, **values)
    found, all_of_them = sampled(parent, settings), listed(parent, settings)
    assert all_of_them.n_orderings < 500
    assert images(parent, found) == images(parent, all_of_them)
    assert found.sample.n_distinct == all_of_them.n_orderings == found.n_orderings
    assert found.sample.coverage == 1.0
    assert found.total_allowed == all_of_them.total_allowed == sum(found.multiplicity.tolist())
    assert (found.count, found.species) == (all_of_them.count, all_of_them.species)
    assert found.compositions == all_of_them.compositions and found.exclusions == all_of_them.exclusions
    assert np.array_equal(found.charges, all_of_them.charges)
    assert np.array_equal(found.fractional, all_of_them.fractional)


@pytest.mark.parametrize(
    ("measure", "parent", "values"),
    [
        ("colourings", li3ybr6(), {"supercell": (1, 1, 2)}),
        ("orderings", li3ycl6(), {"supercell": (1, 1, 2)}),
        ("orderings", li3ybr6(), {"pool": ("Li",), "window": 1}),
        ("low-energy", li3ycl6(), POOLED),
    ],
)
def test_more_draws_extend_the_sample(measure, parent, values):
    """The rows of the smaller sample come first in the larger one, and the same seed gives the same sample."""
    small = sampled(parent, asked(sample=measure, sample_size=20, seed=5, **values))
    large = sampled(parent, asked(sample=measure, sample_size=1500, seed=5, **values))
    assert 10 < small.n_orderings <= 20 < large.n_orderings <= 1500
    assert np.array_equal(large.occupation[: small.n_orderings], small.occupation)
    assert np.array_equal(large.multiplicity[: small.n_orderings], small.multiplicity)
    again = sampled(parent, asked(sample=measure, sample_size=20, seed=5, **values))
    assert np.array_equal(again.occupation, small.occupation)
    assert str(again.sample) == str(small.sample)
    if measure != "low-energy":
        other = sampled(parent, asked(sample=measure, sample_size=20, seed=6, **values))
        assert not np.array_equal(other.occupation[:10], small.occupation[:10])


@pytest.mark.parametrize("measure", ["colourings", "orderings"])
@pytest.mark.parametrize("closest", [0.0, 2.5])
def test_each_measure_is_what_it_says(measure, closest):
    """Li3YCl6 in 30 atoms, lithium and yttrium pooled: multiplicities 3 to 12, chi-square over all orbits."""
    parent = li3ycl6()
    settings = asked(pool=("Li", "Y"), closest_cations_angstrom=closest, sample=measure)
    compositions, exclusions = compositions_for(parent, settings), exclusions_for(parent, settings)
    known = enumerate_orderings(parent, compositions, exclusions=exclusions, limit=10**4)
    assert len(set(known.multiplicity.tolist())) > 1
    weights = images(parent, known)
    if measure == "orderings":
        weights = dict.fromkeys(weights, 1)
    pool = Pool.of(Question.of(parent, compositions, exclusions))
    drawing = sampling._Drawing(pool, replace_settings(settings, sample_size=200 * len(weights), seed=2))
    drawing.result(lambda *_: None, lambda: False)
    group = site_permutations(parent, compositions[0].supercell, range(len(parent.orbits)))
    seen = Counter()
    for text, n in drawing.times.items():
        row = pool.problem.row.copy()
        row[pool.problem.row_site] = np.frombuffer(text, dtype=np.uint8)
        seen[canonical_rows(group, row[None])[0].tobytes()] += n
    n_draws, total = sum(seen.values()), sum(weights.values())
    expected = {row: n_draws * weight / total for row, weight in weights.items()}
    assert set(seen) <= set(expected)
    statistic = sum((seen[row] - e) ** 2 / e for row, e in expected.items())
    assert statistic < chi2.isf(SIGNIFICANCE, len(expected) - 1)


def replace_settings(settings, **values):
    return OrderingSettings(**{**settings.model_dump(), **values})


@pytest.mark.parametrize("measure", ["colourings", "orderings"])
def test_rejection_gives_the_same_measure(monkeypatch, measure):
    """Without the transfer-matrix count: the same allowed orderings, and a lower bound for the coverage."""
    parent, settings = li3ycl6(), asked(sample=measure, sample_size=4000)
    exact = sampled(parent, settings)
    monkeypatch.setattr(pool_module, "_MOST_STATES", 1)
    rejected = sampled(parent, settings)
    assert rejected.sample.n_distinct is None and exact.sample.n_distinct == 15
    assert images(parent, rejected) == images(parent, exact)
    assert rejected.sample.coverage == 15 / 30
    small = sampled(parent, replace_settings(settings, sample_size=10))
    assert np.array_equal(rejected.occupation[: small.n_orderings], small.occupation)


def test_hopeless_rejection_is_refused_with_its_acceptance(monkeypatch):
    parent = li3ybr6()
    settings = asked(supercell=(1, 1, 2), sample_size=1000, closest_cations_angstrom=3.2)
    monkeypatch.setattr(pool_module, "_MOST_STATES", 1)
    monkeypatch.setattr(sampling, "_PILOT", 2000)
    monkeypatch.setattr(sampling, "_LEAST_ACCEPTANCE", 0.5)
    with pytest.raises(OrderingError, match=r"allow \d+ of \d+ random orderings") as error:
        sampled(parent, settings)
    assert "low-energy" in error.value.fix


def test_coverage_and_unseen_mass():
    """More draws of 2775 orderings: coverage as expected of uniform draws, unseen mass near the true one."""
    found = sampled(li3ycl6(), asked(supercell=(1, 1, 2), sample_size=2775, seed=1, pool=()))
    sample = found.sample
    n = sample.n_distinct
    expected = 1 - (1 - 1 / n) ** sample.n_draws
    # Sampling error of a coverage near 1 - 1/e from so many draws is below sqrt(0.24 / n) = 0.01.
    assert sample.coverage == found.n_orderings / n == pytest.approx(expected, abs=0.04)
    assert sample.unseen_mass == sample.n_once / sample.n_draws == pytest.approx(1 - sample.coverage, abs=0.05)


@pytest.mark.parametrize("measure", MEASURES)
def test_one_ordering(measure):
    """A crystal without disorder: found in every draw."""
    parent = crystal(
        "P m -3 m", (4, 4, 4, 90, 90, 90), [("A", (0, 0, 0), {"Na": 1.0}), ("B", (0.5,) * 3, {"Cl": 1.0})]
    )
    found = sampled(parent, asked(sample=measure, sample_size=10))
    assert (found.n_orderings, found.multiplicity.tolist(), found.sample.coverage) == (1, [1], 1.0)
    assert found.sample.n_once == 0 and found.species == ("", "Cl", "Na")


@pytest.mark.parametrize("measure", ["orderings", "low-energy"])
def test_impossible_exclusions(measure):
    """As the enumeration says it, with the distance that leaves an ordering."""
    parent = li3ycl6()
    settings = asked(sample=measure, exclude={"Li-Li": 4.0})
    with pytest.raises(OrderingError, match="too close in every ordering"):
        listed(parent, settings)
    with pytest.raises(OrderingError, match="too close in every ordering"):
        sampled(parent, settings)


def test_refusals():
    parent = li3ycl6()
    with pytest.raises(OrderingError, match="no measure"):
        sampled(parent, asked(sample=None))
    with pytest.raises(OrderingError, match="GiB") as error:
        sampled(parent, asked(sample_size=10**9))
    assert "sample_size" in error.value.fix
    settings = asked(sample="low-energy")
    for matrix in (None, np.zeros((2, 2))):
        with pytest.raises(OrderingError, match="35 x 35") as error:
            sample_orderings(parent, compositions_for(parent, settings), settings=settings, matrix=matrix)
        assert "ewald_matrix" in error.value.fix


@pytest.mark.parametrize("measure", MEASURES)
def test_stopped(measure):
    with pytest.raises(Interrupted):
        sampled(li3ycl6(), asked(sample=measure), stop=lambda: True)


def test_progress_is_told():
    told = []
    sampled(li3ycl6(), asked(sample_size=3000), progress=lambda done, total, text="": told.append((done, total)))
    assert told == [(1024, 3000), (2048, 3000), (3000, 3000)]


def test_a_sample_is_stored_and_read(tmp_path):
    for measure in ("orderings", "low-energy"):
        found = sampled(li3ycl6(), asked(sample=measure, sample_size=20))
        read = load_orderings(save_orderings(found, tmp_path / f"{measure}.h5"))
        assert np.array_equal(read.occupation, found.occupation)
        assert str(read.sample) == str(found.sample)  # NaN is not equal to itself
        assert math.isnan(read.sample.unseen_mass) == (measure == "low-energy")


@pytest.mark.parametrize("measure", ["colourings", "orderings"])
def test_too_many_to_list(measure):
    """Li3YCl6 2x2x1 (3.8e13) and FeSbO4 3x3x3 (4.5e12 distinct): a second each, measured at 0.1 s."""
    parent = li3ycl6()
    counts = {"Li1": {"Li": 20}, "Li2": {"Li": 16}, "Y2": {"Y": 4}, "Y3": {"Y": 4}}
    rutile = crystal("P 42/m n m", (4.6, 4.6, 3.1, 90, 90, 90), [("M", (0, 0, 0), {"Fe": 0.5, "Sb": 0.5})])
    for one, composition, group in (
        (parent, composed(parent, (2, 2, 1), counts), 48),
        (rutile, composed(rutile, (3, 3, 3), {"M": {"Fe": 27, "Sb": 27}}), 432),
    ):
        start = time.perf_counter()
        found = sample_orderings(one, composition, settings=asked(sample=measure, sample_size=2000))
        assert time.perf_counter() - start < 5  # a busy machine
        assert found.n_orderings == found.sample.n_once == 2000
        assert found.sample.unseen_mass == 1.0
        assert found.count.distinct == found.sample.n_distinct == count_orderings(one, composition).distinct
        # Nearly all orderings have no symmetry.
        assert np.mean(found.multiplicity == group) > 0.99
        for orbit in composition.orbits:
            sites = found.occupation[:, found.site_orbit == orbit.orbit]
            for element, n in orbit.counts.items():
                assert np.all(np.count_nonzero(sites == found.species.index(element), axis=1) == n)


@pytest.mark.parametrize(
    ("parent", "values"), [(li3ycl6(), {"supercell": (1, 1, 2)}), (li3ycl3br3(), {"pool": ("Li",)})]
)
def test_distinct_orderings_under_exclusions_are_counted(parent, values):
    """Burnside's count of allowed colourings equals the search."""
    settings = asked(**values)
    compositions, exclusions = compositions_for(parent, settings)[:40], exclusions_for(parent, settings)
    expected = enumerate_orderings(parent, compositions, exclusions=exclusions, limit=10**6).n_orderings
    assert count_distinct_allowed(parent, compositions, exclusions) == expected > 100
