"""Why a structure of the series was chosen, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from halion.ranking.arrange import SurrogateQuality
from halion.ranking.series_types import SeriesEntry

__all__ = ["evidence", "weakest"]

_STRENGTH = ("budget", "settled", "exhausted")


def weakest(verdicts: Iterable[str]) -> str:
    """The verdict of several searches that says least."""
    return min(verdicts, key=_STRENGTH.index)


def evidence(entry: SeriesEntry) -> SeriesEntry:
    """The entry with its evidence written out.

    Checked by tests/ranking/test_ranking_series.py.
    """
    distinct, total = sum(count.distinct for count in entry.counts), sum(count.total for count in entry.counts)
    n_cations = len(entry.counts)
    parts = [
        f"Lowest of {entry.n_evaluated} evaluated of {distinct} distinct arrangements ({total} in all)"
        + (f" on {n_cations} cation orderings" if n_cations > 1 else "")
        + "."
    ]
    if distinct == n_cations == 1:
        parts = ["The only arrangement."]
    elif entry.verdict == "exhausted":
        parts[0] = f"Lowest of all {distinct} distinct arrangements ({total} in all)" + (
            f" on {n_cations} cation orderings." if n_cations > 1 else "."
        )
    elif entry.verdict == "settled":
        parts.append("All that the surrogate predicts lowest were evaluated.")
    else:
        parts.append("The budget ended before all that the surrogate predicts lowest were evaluated.")
    if entry.surrogate is not None:
        parts.append(_of_surrogate(entry.surrogate))
    if not entry.plan.is_listed:
        parts.append("Too many to list: the lowest predicted were looked for by exchanges of two sites.")
    if math.isfinite(entry.runner_up):
        parts.append(f"The second lowest lies {entry.runner_up * 1000:.2f} meV/atom higher.")
    if entry.n_refused:
        parts.append(f"{entry.n_refused} were refused.")
    relaxation = entry.relaxation
    if not relaxation.is_converged:
        parts.append(f"Its relaxation did not converge in {relaxation.n_steps} steps.")
    parts.append(
        f"Relaxed from {relaxation.space_group_before} to {relaxation.space_group_after}, volume "
        f"{relaxation.volume_change:+.1%}, largest displacement {relaxation.max_displacement:.2f} Angstrom."
    )
    return replace(entry, evidence=" ".join(parts))


def _of_surrogate(quality: SurrogateQuality) -> str:
    text = (
        f"Surrogate: leave-one-out error {quality.cv_error * 1000:.2f} meV/atom, rank correlation "
        f"{quality.cv_spearman:.2f}"
    )
    if quality.n_random:
        text += f"; error on {quality.n_random} random ones {quality.random_error * 1000:.2f} meV/atom"
    if math.isfinite(quality.expected_missed):
        text += f"; {quality.expected_missed:.1f} unevaluated ones expected below the lowest"
    return text + "."
