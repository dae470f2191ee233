"""Replicas of known processes: how often one standard deviation holds the true diffusivity.

150 replicas each. A share of 0.68 has a binomial standard deviation of 0.038 there, so 0.08 is two of those.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from transport_walks import lattice_walk

from halion.errors import InputError
from halion.transport.msd import msd_tensor
from halion.transport.run_fit import Displacements, error_in_words, fit_run
from halion.transport.uncertainty import DiffusivityErrors, rsd_block, rsd_replica
from halion.transport.verdict import fit_window, log_slope

HOP, N_REPLICAS, SHARE, ROOM = 3.0, 150, 0.68, 0.08


def hopping(seed, n_ions=12, n_frames=1200, rate=0.02):
    return lattice_walk(seed, n_ions=n_ions, n_frames=n_frames, rate=rate), rate * HOP**2 / 6


def vibrating(seed):
    positions, exact = hopping(seed)
    return positions + np.random.default_rng(seed + 10**6).normal(0, 0.4, positions.shape), exact


def brownian(seed):
    return np.cumsum(np.random.default_rng(seed).normal(0, 0.3, (1200, 12, 3)), axis=0), 0.09 / 2


def anisotropic(seed):
    """Sixteen times faster along one axis of a turned cell."""
    rotation = np.linalg.qr(np.random.default_rng(99).normal(size=(3, 3)))[0]
    moves = np.random.default_rng(seed).normal(size=(1200, 12, 3)) * [0.1, 0.1, 0.4]
    return np.cumsum(moves @ rotation, axis=0), (0.01 + 0.01 + 0.16) / 6


def one_ion(seed):
    return hopping(seed, n_ions=1, n_frames=4000, rate=0.05)


def in_pairs(seed):
    positions, exact = hopping(seed, n_ions=6, rate=0.04)
    return np.concatenate([positions, positions], axis=1), exact


def all_together(seed):
    positions, exact = one_ion(seed)
    return np.repeat(positions, 12, axis=1), exact


def half_at_rest(seed):
    positions, exact = hopping(seed, n_ions=6, rate=0.04)
    return np.concatenate([positions, 0 * positions], axis=1), exact / 2


PROCESSES = (hopping, vibrating, brownian, anisotropic, one_ion, in_pairs, all_together, half_at_rest)


def displacements(positions):
    n_lags = len(positions) // 2 + 1
    return Displacements(
        positions=positions, tensor=msd_tensor(positions, n_lags), frame_ps=1.0, cell=np.eye(3) * 15
    )


@cache
def replicas(process):
    """(fit, exact diffusivity, log-log slope) of each."""
    found = []
    for seed in range(N_REPLICAS):
        positions, exact = process(seed)
        seen = displacements(positions)
        msd, lags = np.trace(seen.tensor, axis1=1, axis2=2), np.arange(len(seen.tensor), dtype=float)
        window = fit_window(lags, msd, lags[-1], HOP)
        chosen = slice(window.first, window.last + 1)
        found.append((fit_run(seen, window, HOP), exact, log_slope(lags[chosen], msd[chosen])))
    return found


def share(process, inside):
    return np.mean([inside(fit, exact) for fit, exact, _ in replicas(process)])


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.__name__)
def test_the_covariance_s_error_covers_68_percent(process):
    covered = share(
        process, lambda fit, exact: abs(fit.diffusivity - exact) < fit.errors.covariance * fit.diffusivity
    )
    assert covered == pytest.approx(SHARE, abs=ROOM)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.__name__)
def test_generalised_least_squares_covers_68_percent_with_a_smaller_error(process):
    covered = share(process, lambda fit, exact: abs(fit.diffusivity_gls - exact) < fit.diffusivity_gls_std)
    assert covered == pytest.approx(SHARE, abs=ROOM)
    fits = [fit for fit, *_ in replicas(process)]
    scatter = {
        name: np.std([getattr(fit, name) for fit in fits]) / replicas(process)[0][1]
        for name in ("diffusivity", "diffusivity_gls")
    }
    assert scatter["diffusivity_gls"] < 0.6 * scatter["diffusivity"]


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.__name__)
def test_both_estimators_are_unbiased(process):
    exact = replicas(process)[0][1]
    for name in ("diffusivity", "diffusivity_gls"):
        values = np.array([getattr(fit, name) for fit, *_ in replicas(process)])
        # Generalised least squares weighs with its own slope, which leans by a part of its variance: 1 % of room.
        assert values.mean() == pytest.approx(exact, abs=3 * values.std() / math.sqrt(N_REPLICAS) + 0.01 * exact)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.__name__)
def test_the_largest_error_covers_at_least_68_percent(process):
    """The largest of several errors is larger than a good one: the share may be more, never less."""
    covered = share(process, lambda fit, exact: abs(fit.diffusivity - exact) < fit.diffusivity_std)
    assert covered > SHARE - ROOM


@pytest.mark.parametrize("process", [one_ion, all_together], ids=lambda process: process.__name__)
def test_he_s_rule_alone_would_be_far_too_small_for_one_moving_body(process):
    """It counts hops of all ions as if each were news: ten times too small where 12 ions move as one."""
    covered = share(process, lambda fit, exact: abs(fit.diffusivity - exact) < fit.errors.he2018 * fit.diffusivity)
    assert covered < SHARE - ROOM
    assert "move as if they were 1." in error_in_words(replicas(all_together)[0][0], 12)


@pytest.mark.parametrize("process", [hopping, brownian, in_pairs], ids=lambda process: process.__name__)
def test_the_scatter_between_parts_tells_the_error_of_the_whole(process):
    errors = np.array([fit.errors.block for fit, *_ in replicas(process)])
    values = np.array([fit.diffusivity for fit, *_ in replicas(process)])
    # Each from eight parts, known to 27 %; their mean square to 3 %, the scatter of 150 values to 6 %.
    assert math.sqrt(np.mean(errors**2)) == pytest.approx(values.std() / values.mean(), rel=0.15)


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.__name__)
def test_the_band_of_the_log_log_slope_holds_nearly_all(process):
    """99 % by construction; skewness of few ions costs some."""
    inside = [
        fit.log_slope_band[0] <= slope <= fit.log_slope_band[1]
        for fit, _, slope in replicas(process)
        if np.isfinite(slope)
    ]
    assert np.mean(inside) > 0.93


def test_the_two_estimators_rarely_disagree_on_diffusion():
    agree = [fit.fits.agree for process in PROCESSES for fit, *_ in replicas(process)]
    assert np.mean(agree) > 0.96  # 99 % by construction


@pytest.mark.parametrize(("n", "expected"), [(4, 0.5), (16, 0.25)])
def test_replicas_of_known_scatter(n, expected):
    values = np.tile([0.0, 2.0], n // 2)
    assert rsd_replica(values) == pytest.approx(expected * math.sqrt(n / (n - 1)))


def test_the_scatter_of_replicas_covers_the_truth():
    """Mean of six runs with its own scatter: Student's t with five degrees of freedom is inside 63.7 %."""
    rng, inside = np.random.default_rng(2), 0
    for _ in range(1000):
        values = rng.normal(1.0, 0.2, 6)
        inside += abs(values.mean() - 1.0) < rsd_replica(values) * values.mean()
    assert inside / 1000 == pytest.approx(0.637, abs=0.045)


def test_too_few_replicas_or_parts_have_no_scatter():
    assert math.isnan(rsd_replica([1.0, 1.1, 0.9]))
    fit = replicas(hopping)[0][0]
    assert math.isnan(rsd_block(np.zeros((40, 3, 3)), np.arange(10, 20), fit.ions))


def test_the_error_in_use_can_be_chosen():
    errors = DiffusivityErrors(
        he2018=0.3, covariance=0.2, block=math.nan, replica=math.nan, used=0.3, method="he2018"
    )
    assert (errors.by("largest").used, errors.by("largest").method) == (0.3, "he2018")
    assert (errors.by("covariance").used, errors.by("covariance").method) == (0.2, "covariance")
    for missing in ("block", "replica"):
        with pytest.raises(InputError, match=f"no {missing} error") as caught:
            errors.by(missing)
        assert "he2018, covariance" in str(caught.value)
