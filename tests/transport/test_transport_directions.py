"""Diffusivity along crystal axes: known values in turned cells, coverage, invariance, and what is said of them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_walks import SETTINGS, in_framework, lattice_walk, walk

from halion.errors import InputError
from halion.transport import analyse_run, anisotropy
from halion.transport.directions import Motion, along_axes, diffusivity_along, tensor_with_errors
from halion.transport.independence import ion_moments, ion_statistics
from halion.transport.msd import msd_tensor

# Rows a, b, c: c stands on the ab plane, which is hexagonal; all of it turned.
TURN = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
HEXAGONAL = np.array([[12.0, 0, 0], [-6.0, 6.0 * math.sqrt(3), 0], [0, 0, 13.0]]) @ TURN
ALONG_C, IN_PLANE = 0.25, 0.01  # variance per frame and direction, Angstrom^2
N_REPLICAS = 150


def motion(positions: np.ndarray, first: int = 20) -> Motion:
    lags = np.arange(first, len(positions) // 2 + 1)
    return Motion(
        lags=lags,
        tensor=msd_tensor(positions, len(positions) // 2 + 1)[lags],
        n_frames=len(positions),
        frame_ps=0.5,
        n_ions=positions.shape[1],
        ions=ion_statistics(positions, first, 3.0),
        moments=ion_moments(positions, first),
        hop_length=3.0,
    )


@cache
def replica(seed: int) -> Motion:
    """12 ions, 25 times faster along c than in the ab plane."""
    steps = np.random.default_rng(seed).normal(size=(1200, 12, 3)) * np.sqrt([IN_PLANE, IN_PLANE, ALONG_C])
    return motion(np.cumsum(steps, axis=0) @ TURN)


EXACT = dict.fromkeys(("a", "b", "ab"), IN_PLANE) | {"c": ALONG_C, "c*": ALONG_C}


@pytest.mark.parametrize("name", EXACT)
def test_each_direction_has_its_diffusivity_and_covers_68_percent(name):
    found = [
        next(one for one in along_axes(replica(seed), HEXAGONAL) if one.name == name) for seed in range(N_REPLICAS)
    ]
    exact = EXACT[name] / (2 * 0.5)
    values = np.array([one.diffusivity for one in found])
    assert values.mean() == pytest.approx(exact, abs=3 * values.std() / math.sqrt(N_REPLICAS))
    by_covariance = np.mean([abs(one.diffusivity - exact) < one.rsd_covariance * one.diffusivity for one in found])
    assert by_covariance == pytest.approx(0.68, abs=0.08)
    by_gls = np.mean([abs(one.diffusivity_gls - exact) < one.diffusivity_gls_std for one in found])
    assert by_gls == pytest.approx(0.68, abs=0.08)
    assert np.mean([abs(one.diffusivity - exact) < one.diffusivity_std for one in found]) > 0.60


def test_a_plane_is_known_better_than_its_directions():
    found = np.array([[one.rsd_covariance for one in along_axes(replica(seed), HEXAGONAL)] for seed in range(60)])
    a, _, _, ab, _ = np.median(found, axis=0)
    # Two directions that are independent of each other; medians of 60 relative errors are known to 5 %.
    assert ab == pytest.approx(a / math.sqrt(2), rel=0.15)


def test_the_tensor_and_its_errors_scatter_as_they_say():
    pairs = [tensor_with_errors(replica(seed)) for seed in range(N_REPLICAS)]
    tensors, stds = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
    exact = TURN.T @ np.diag([IN_PLANE, IN_PLANE, ALONG_C]) @ TURN / (2 * 0.5)
    assert np.allclose(tensors, tensors.transpose(0, 2, 1)) and np.allclose(stds, stds.transpose(0, 2, 1))
    scatter = tensors.std(axis=0)
    assert tensors.mean(axis=0) == pytest.approx(exact, abs=3 * scatter.max() / math.sqrt(N_REPLICAS))
    # The larger of two errors, so that it covers 68 % or more, off the diagonal too.
    covered = (np.abs(tensors - exact) < stds).mean(axis=0)
    assert covered.min() > 0.60
    # He's rule counts the slow directions' few hops, so it is up to three times too wide there.
    assert ((np.median(stds, axis=0) > 0.8 * scatter) & (np.median(stds, axis=0) < 3.5 * scatter)).all()


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_turning_everything_changes_nothing(seed):
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    positions = lattice_walk(seed, n_ions=10, n_frames=300, rate=0.1)
    plain, turned = motion(positions), motion(positions @ turn)
    for one, other in zip(along_axes(plain, HEXAGONAL), along_axes(turned, HEXAGONAL @ turn), strict=True):
        assert other.diffusivity == pytest.approx(one.diffusivity, rel=1e-9)
        assert other.diffusivity_std == pytest.approx(one.diffusivity_std, rel=1e-6)


@settings(deadline=None, max_examples=15)
@given(scale=st.floats(0.01, 100.0))
def test_the_length_of_a_direction_does_not_matter(scale):
    plain = diffusivity_along(replica(2), "c", HEXAGONAL[2])
    assert diffusivity_along(replica(2), "c", scale * HEXAGONAL[2]).diffusivity == pytest.approx(plain.diffusivity)


def test_the_directions_of_a_run_add_up_to_its_tensor():
    run = analyse_run(walk(0), SETTINGS)
    parts = {one.name: one.diffusivity for one in run.along}
    assert (2 * parts["ab"] + parts["c*"]) / 3 == pytest.approx(run.diffusivity)
    assert parts["a"] == pytest.approx(run.diffusivity_tensor[0, 0])  # a cube along x, y, z
    assert [one.diffusivity_std for one in run.along[:3]] == pytest.approx(
        list(np.diag(run.diffusivity_tensor_std))
    )


def columns(seed: int, fast: float) -> object:
    positions = lattice_walk(seed, n_ions=24, n_frames=1200, rate=0.05)
    return analyse_run(in_framework(positions * [1.0, 1.0, fast], seed), SETTINGS)


def test_anisotropy_of_several_runs():
    fast = anisotropy([columns(seed, 2.0) for seed in range(4)])
    assert fast.low < 4.0 < fast.high * 1.3
    assert fast.low > 1 and fast.n_runs == 4
    assert "faster along c*" in fast.verdict
    one = anisotropy([columns(0, 2.0)])
    assert one.high / one.low > fast.high / fast.low
    slow = anisotropy([columns(seed, 0.5) for seed in range(4)])
    assert "faster in the ab plane" in slow.verdict


def test_isotropic_walks_are_rarely_called_anisotropic():
    rng, called = np.random.default_rng(0), 0
    for _ in range(60):
        steps = np.cumsum(rng.normal(0, 0.4, (600, 16, 3)), axis=0)
        along = along_axes(motion(steps, 15), np.eye(3) * 12)
        run = replace(TEMPLATE, along=along, verdict="diffusive")
        called += "no anisotropy is resolved" not in anisotropy([run]).verdict
    assert called <= 6  # 5 % by two standard deviations of the largest errors, which are wider


TEMPLATE = analyse_run(walk(0), SETTINGS)


def test_what_did_not_diffuse_has_no_anisotropy():
    with pytest.raises(InputError, match="no run diffused"):
        anisotropy([replace(TEMPLATE, verdict="caged")])
    still = [replace(one, diffusivity=-1e-3) if one.name == "c*" else one for one in TEMPLATE.along]
    unknown = anisotropy([replace(TEMPLATE, along=tuple(still))])
    assert math.isnan(unknown.ratio) and "did not diffuse" in unknown.verdict
