"""What to tell a user whose orderings are too many, or none, or too hard to find; each with what to do next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from halion.errors import OrderingError
from halion.orderings.feasible import has_ordering
from halion.orderings.problem import describe
from halion.orderings.stream import Question
from halion.orderings.types import PairExclusion, supercell_name

__all__ = [
    "gave_up",
    "hopeless_rejection",
    "impossible",
    "no_matrix",
    "no_measure",
    "none_met",
    "too_large_sample",
    "too_many",
]

_TRIED = 5  # compositions, the nearest ones, in which a relaxed exclusion is tried


def too_many(question: Question, limit: int, n_distinct: int | None = None) -> OrderingError:
    """More orderings than the limit: how many, how large, and how to draw from them instead.

    `n_distinct` is their exact number under the exclusions, where it is known.
    """
    count, first = question.count, question.compositions[0]
    listed = count.distinct if n_distinct is None else n_distinct
    mib = listed * sum(orbit.n_sites for orbit in first.orbits) / 2**20
    several = f" over {len(question.compositions)} compositions" if len(question.compositions) > 1 else ""
    allowed = f"{n_distinct} under the exclusions, " if n_distinct is not None and question.exclusions else ""
    return OrderingError(
        f"the {supercell_name(first.supercell)} supercell {first.formula} has more than {limit} distinct orderings "
        f"({allowed}{count.distinct} of {count.total}{several} before exclusions; {mib:.3g} MiB)",
        where=question.crystal.name,
        fix="orderings: {sample: orderings}   (draws from them, each equally likely); or lower orderings.max_atoms "
        f"(this cell has {first.n_atoms}), choose a smaller orderings.supercell, or raise orderings.limit",
    )


def gave_up(question: Question, n_found: int) -> OrderingError:
    """Nearly all of the work led to no ordering."""
    return OrderingError(
        f"the search was given up: {n_found} orderings in which no sites are too close were found "
        f"among {question.count.distinct}, and nearly all of its work led to none",
        where=_where(question),
        fix="a smaller orderings.supercell, or a smaller orderings.closest_cations_angstrom",
    )


def no_measure(question: Question) -> OrderingError:
    """A sample without a measure."""
    return OrderingError(
        "the settings name no measure to sample under",
        where=question.crystal.name,
        fix="orderings: {sample: orderings}   (or colourings, or low-energy)",
    )


def too_large_sample(question: Question, n_rows: int, n_sites: int, most_bytes: int) -> OrderingError:
    """More rows than memory should hold."""
    return OrderingError(
        f"a sample of {n_rows} orderings of {n_sites} sites would take {n_rows * n_sites / 2**30:.3g} GiB "
        f"(at most {most_bytes / 2**30:g})",
        where=_where(question),
        fix=f"orderings: {{sample_size: {most_bytes // n_sites}}}",
    )


def no_matrix(question: Question, n_sites: int, shape: tuple[int, ...] | None) -> OrderingError:
    """Low energies without the interaction of all sites."""
    given = "none" if shape is None else "one of " + " x ".join(map(str, shape))
    return OrderingError(
        f'a "low-energy" sample needs the {n_sites} x {n_sites} matrix of the interaction of the sites, and '
        f"{given} is given",
        where=_where(question),
        fix="matrix=ewald_matrix(cell, fractional), of halion.ranking.electrostatics and halion.orderings.sites",
    )


def hopeless_rejection(question: Question, n_allowed: int, n_tried: int) -> OrderingError:
    """Exclusions that leave too little to hit at random and are too wide to count."""
    return OrderingError(
        f"the exclusions allow {n_allowed} of {n_tried} random orderings ({n_allowed / n_tried:.2g}): too few to "
        "draw from by rejection, and too many of their sites depend on each other to count the allowed ones",
        where=_where(question),
        fix="orderings: {sample: low-energy}   (finds allowed ones, without a measure); or a smaller "
        "orderings.supercell, or smaller distances of exclusion",
    )


def none_met(question: Question) -> OrderingError:
    """Replica exchange met only forbidden orderings."""
    return OrderingError(
        "replica exchange met no ordering that the exclusions allow, though there are some",
        where=_where(question),
        fix="a smaller orderings.supercell, or smaller distances of exclusion",
    )


def impossible(question: Question) -> OrderingError:
    """No ordering: the pairs of elements in the way, and the largest distances that leave an ordering.

    A pair of elements is in the way if a smaller distance for it alone leaves an ordering; where no single one
    does, all pairs are named.
    """
    crystal = question.crystal
    pairs = sorted({_pair(each) for each in question.exclusions})
    relaxed = {
        pair: below for pair in pairs if (below := _largest(question, lambda each, p=pair: _pair(each) == p))
    }
    named = [each for each in question.exclusions if not relaxed or _pair(each) in relaxed]
    fixes = [f"orderings: {{exclude: {{{'-'.join(pair)}: {below:g}}}}}" for pair, below in relaxed.items()]
    closest = _largest(question, lambda each: each.reason == "closest cations")
    if closest:
        fixes.append(f"orderings: {{closest_cations_angstrom: {closest:g}}}")
    leaves = "each leaves orderings" if len(fixes) > 1 else "leaves orderings"
    lines = "; ".join(describe(crystal, each) for each in named)
    return OrderingError(
        f"two sites are too close in every ordering of {question.compositions[0].formula}; "
        f"pairs never filled together: {lines}",
        where=_where(question),
        fix=f"{' or '.join(fixes)}   ({leaves}); or a larger supercell"
        if fixes
        else "a larger orderings.supercell, or smaller distances for several pairs at once",
    )


def _pair(exclusion: PairExclusion) -> tuple[str, ...]:
    return tuple(sorted(exclusion.elements))


def _largest(question: Question, concerns: Callable[[PairExclusion], bool]) -> float | None:
    """The largest distance for the exclusions concerned that leaves an ordering, Angstrom; None: no one.

    To 0.01 Angstrom, by bisection: a smaller distance excludes less.
    """
    ours = [each for each in question.exclusions if concerns(each)]
    if not ours:
        return None
    least = int(np.floor(min(each.distance for each in ours) * 100))
    most = int(np.ceil(max(each.below for each in ours) * 100))
    if not _has_ordering_below(question, concerns, least / 100):
        return None
    while most - least > 1:
        middle = (least + most) // 2
        if _has_ordering_below(question, concerns, middle / 100):
            least = middle
        else:
            most = middle
    return least / 100


def _has_ordering_below(question: Question, concerns: Callable[[PairExclusion], bool], below: float) -> bool:
    kept = tuple(
        replace(each, below=min(each.below, below)) if concerns(each) else each
        for each in question.exclusions
        if not concerns(each) or each.distance < below
    )
    return any(has_ordering(question.crystal, each, kept) for each in question.compositions[:_TRIED])


def _where(question: Question) -> str:
    return f"{question.crystal.name}, supercell {supercell_name(question.compositions[0].supercell)}"
