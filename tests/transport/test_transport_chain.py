"""From walks at several temperatures to ln D at a colder one: how often the interval holds the truth."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from transport_walks import FRAME_PS, HOP, SETTINGS, in_framework, lattice_walk

from halion.transport import analyse_run, fit_arrhenius
from halion.transport.arrhenius import ln_diffusivity_quantiles
from halion.units import BOLTZMANN_EV_PER_K

ENERGY, RATE_AT_600 = 0.30, 0.03
TEMPERATURES = (420.0, 480.0, 540.0, 600.0)  # at the coldest, some runs are too short for a slope


def rate(kelvin: float) -> float:
    """Hops per frame."""
    return RATE_AT_600 * math.exp(-ENERGY / BOLTZMANN_EV_PER_K * (1 / kelvin - 1 / 600.0))


def exact(kelvin: float) -> float:
    return math.log(rate(kelvin) / FRAME_PS * HOP**2 / 6)


@cache
def chain(seed: int):
    """The four walks of one replica, 16 ions and 100 ps each, analysed with one choice of estimator and error."""
    walks = []
    for k, kelvin in enumerate(TEMPERATURES):
        positions = lattice_walk(10 * seed + k, n_ions=16, n_frames=1000, rate=rate(kelvin))
        walk = in_framework(positions, seed)
        walks.append(replace(walk, target_temperature_k=kelvin, temperature_k=np.full(1000, kelvin)))
    return walks


def intervals(n_replicas: int, **choice: str):
    settings = SETTINGS.model_copy(update=choice)
    lines = [fit_arrhenius([analyse_run(walk, settings) for walk in chain(seed)]) for seed in range(n_replicas)]
    return lines, [ln_diffusivity_quantiles(line, 300.0) for line in lines]


@pytest.mark.slow
def test_the_best_estimator_s_interval_at_300_k_covers_68_percent():
    lines, found = intervals(150, estimator="gls", error="covariance")
    assert any(line.bounded_k is not None for line in lines)  # bounds took part
    inside = np.mean([low < exact(300.0) < high for low, _, high, *_ in found])
    wide = np.mean([low < exact(300.0) < high for *_, low, high in found])
    assert inside == pytest.approx(0.68, abs=0.08)
    assert wide > 0.90


@pytest.mark.slow
def test_the_default_s_interval_at_300_k_covers_at_least_68_percent():
    lines, found = intervals(150)
    inside = np.mean([low < exact(300.0) < high for low, _, high, *_ in found])
    assert inside > 0.60
    energies = np.array([line.activation_energy for line in lines])
    assert np.median(energies) == pytest.approx(ENERGY, abs=3 * energies.std() / math.sqrt(150))


def test_the_best_estimator_tells_more_than_the_default():
    """On the same walks: a narrower interval that still holds the truth."""
    (_, default), (_, best) = intervals(5), intervals(5, estimator="gls", error="covariance")
    width = [np.mean([high - low for low, _, high, *_ in found]) for found in (default, best)]
    assert width[1] < 0.5 * width[0]
    assert np.mean([low < exact(300.0) < high for *_, low, high in best]) > 0.7
