"""Whether the diffusivity depends on the size of the cell: the same temperatures in two cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from halion.errors import InputError
from halion.transport.arrhenius import meant_temperature
from halion.transport.types import RunTransport

__all__ = ["SizeComparison", "compare_sizes", "smallest_against_largest"]

# Two sizes agree by less than two standard deviations; more than a factor of two of uncertainty tells nothing.
_DISAGREE, _TOO_WIDE = 2.0, math.log(2.0)
_LARGER = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeComparison:
    """D of a large cell over D of a small one, at the same temperatures.

    Attributes:
        temperatures_k: common to both.
        ratios: (D_large / D_small at each).
        ratio: of all of them, weighted; low and high its 68 % interval.
        low, high: see `ratio`.
        verdict: "agree", "differ", or "cannot be told" where the interval is wider than a factor of two either way.
        words: what that means.
    """

    temperatures_k: tuple[float, ...]
    ratios: tuple[float, ...]
    ratio: float
    low: float
    high: float
    verdict: Literal["agree", "differ", "cannot be told"]
    words: str


def compare_sizes(small: Sequence[RunTransport], large: Sequence[RunTransport]) -> SizeComparison:
    """Finite-size check: ln(D_large / D_small) averaged over common temperatures with its errors as weights.

    Small cells of Li3YCl6 miss its change of mechanism near 420 K, so this check is worth its time there.

    Args:
        small: runs in the small cell, several at one temperature allowed; those that did not diffuse are left out.
        large: runs in a cell with at least 20 % more mobile ions.
    Raises:
        InputError: no common temperature at which both diffused, or cells of one size.
    Checked by tests/transport/test_transport_planning.py.
    """
    small, large = ([run for run in runs if run.is_diffusive] for runs in (small, large))
    common = sorted({meant_temperature(run) for run in small} & {meant_temperature(run) for run in large})
    if not common:
        raise InputError(
            "there is no temperature at which both cells diffused",
            fix="run the large cell at a temperature of the small one",
        )
    sizes = [min(run.n_ions for run in large), max(run.n_ions for run in small)]
    if sizes[0] < _LARGER * sizes[1]:
        raise InputError(
            f"the large cell has {sizes[0]} mobile ions and the small one {sizes[1]}: these are one size",
            fix="double a repeat of the cell",
        )
    pairs = [(_mean(large, kelvin), _mean(small, kelvin)) for kelvin in common]
    logs = np.array([a[0] - b[0] for a, b in pairs])
    std = np.array([math.hypot(a[1], b[1]) for a, b in pairs])
    mean, spread = float(np.average(logs, weights=std**-2.0)), float(np.sum(std**-2.0) ** -0.5)
    if spread > _TOO_WIDE:
        verdict, words = "cannot be told", "the errors are too large to tell whether the cell is large enough"
    elif abs(mean) > _DISAGREE * spread:
        verdict, words = "differ", "the small cell is too small: trust none of its values"
    else:
        verdict, words = "agree", "no dependence on the size of the cell is resolved"
    ratio, low, high = (math.exp(mean + step * spread) for step in (0.0, -1.0, 1.0))
    return SizeComparison(
        temperatures_k=tuple(common),
        ratios=tuple(float(value) for value in np.exp(logs)),
        ratio=ratio,
        low=low,
        high=high,
        verdict=verdict,
        words=f"D of {sizes[0]} ions over D of {sizes[1]}: {ratio:.2g} (68 %: {low:.2g} to {high:.2g}); {words}.",
    )


def smallest_against_largest(runs: Sequence[RunTransport]) -> SizeComparison | None:
    """The check for runs as they come: the smallest cell against the largest; None where they cannot be compared.

    Args:
        runs: of one material.
    Checked by tests/transport/test_transport_summary.py.
    """
    moved = [run for run in runs if run.is_diffusive]
    counts = [run.n_ions for run in moved]
    if not counts or max(counts) < _LARGER * min(counts):
        return None
    small, large = ([run for run in moved if run.n_ions == count] for count in (min(counts), max(counts)))
    if not {meant_temperature(run) for run in small} & {meant_temperature(run) for run in large}:
        return None
    return compare_sizes(small, large)


def _mean(runs: Sequence[RunTransport], kelvin: float) -> tuple[float, float]:
    """Weighted mean of ln D at a temperature and its standard deviation."""
    same = [run for run in runs if meant_temperature(run) == kelvin]
    weights = np.array([(run.diffusivity / run.diffusivity_std) ** 2 for run in same])
    logs = np.log([run.diffusivity for run in same])
    return float(np.average(logs, weights=weights)), float(weights.sum() ** -0.5)
