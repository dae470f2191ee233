"""The ranked table: relaxed cells told apart, weighted, and compared with their electrostatic energies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError, PhysicsRefusal
from halion.orderings.types import OrderingSet
from halion.potentials import Potential
from halion.progress import Progress, Stop, never, silent
from halion.ranking.assess import assess
from halion.ranking.compare import is_same_structure
from halion.ranking.correlation import spearman
from halion.ranking.relax import relax_batch
from halion.ranking.rounds import plan_round
from halion.ranking.types import Candidate, MergedOrdering, RankedOrdering, Ranking, RefusedOrdering, Relaxation
from halion.settings import RankingSettings
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["SAME_ENERGY_EV_PER_ATOM", "boltzmann_weights", "rank", "rank_orderings"]

# Relaxations into one minimum agree to better than this (0.01 eV/Angstrom left over 0.1 Angstrom).
SAME_ENERGY_EV_PER_ATOM = 1e-3

Relaxed = tuple[Candidate, Relaxation]


def rank(
    relaxed: Sequence[Relaxed],
    *,
    potential: str,
    n_orderings: int,
    temperature_k: float,
    refused: Sequence[RefusedOrdering] = (),
) -> Ranking:
    """Rank relaxed orderings by energy, merging those that relaxed into one structure.

    Converged orderings within 1 meV/atom whose structures match (`is_same_structure`) are one row, that of the
    lowest energy, with their multiplicities summed. Unconverged ones are never merged: where they would end is
    not known; their rows say `relaxation.is_converged=False`. Weights: w = g exp(-(E - E_0)/kT) / sum, with E
    the total energy of the cell and g the multiplicity.

    Args:
        relaxed: candidates with their relaxations, in any order; all of one composition.
        potential: its name, for the record.
        n_orderings: distinct orderings there were.
        temperature_k: temperature of the weights.
        refused: orderings whose relaxation physics refused, for the record.
    Raises:
        InputError: nothing to rank, an ordering twice, or cells of different composition.
    Checked by tests/ranking/test_ranking_rank.py.
    """
    _refuse_mixture(relaxed)
    ordered = sorted(relaxed, key=lambda pair: (pair[1].energy, pair[0].ordering))
    groups = _merge(ordered)
    multiplicity = np.array([sum(candidate.multiplicity for candidate, _ in group) for group in groups])
    energies = np.array([group[0][1].energy for group in groups])
    weights = boltzmann_weights(energies * len(ordered[0][1].atoms), multiplicity, temperature_k)
    return Ranking(
        potential=potential,
        temperature_k=temperature_k,
        n_orderings=n_orderings,
        n_relaxed=len(ordered),
        spearman=spearman(
            np.array([candidate.electrostatic_energy for candidate, _ in ordered]),
            np.array([relaxation.energy for _, relaxation in ordered]),
        ),
        rows=tuple(
            RankedOrdering(
                rank=place + 1,
                ordering=group[0][0].ordering,
                multiplicity=int(multiplicity[place]),
                electrostatic_energy=group[0][0].electrostatic_energy,
                energy_above_best=float(energies[place] - energies[0]),
                boltzmann_weight=float(weights[place]),
                duplicates=tuple(sorted(candidate.ordering for candidate, _ in group[1:])),
                relaxation=group[0][1],
                is_control=group[0][0].is_control,
                split=group[0][0].split,
            )
            for place, group in enumerate(groups)
        ),
        refused=tuple(sorted(refused, key=lambda one: one.ordering)),
        merged=tuple(
            _merged(candidate, relaxation, group[0][0].ordering)
            for group in groups
            for candidate, relaxation in group[1:]
        ),
    )


def _merged(candidate: Candidate, relaxation: Relaxation, collapsed_to: int) -> MergedOrdering:
    return MergedOrdering(
        ordering=candidate.ordering,
        collapsed_to=collapsed_to,
        multiplicity=candidate.multiplicity,
        electrostatic_energy=candidate.electrostatic_energy,
        static_energy=relaxation.static_energy,
        energy=relaxation.energy,
        is_control=candidate.is_control,
        split=candidate.split,
    )


def _merge(ordered: Sequence[Relaxed]) -> list[list[Relaxed]]:
    """Groups of one structure each, lowest energy first, as their first members are."""
    groups: list[list[Relaxed]] = []
    for pair in ordered:
        home = next((group for group in reversed(groups) if is_duplicate(group[0][1], pair[1])), None)
        if home is None:
            groups.append([pair])
        else:
            home.append(pair)
    return groups


def is_duplicate(one: Relaxation, other: Relaxation) -> bool:
    """Whether two relaxations converged to one structure: 1 meV/atom, and every site within 0.3 Angstrom."""
    return (
        one.is_converged
        and other.is_converged
        and abs(one.energy - other.energy) < SAME_ENERGY_EV_PER_ATOM
        and is_same_structure(one.atoms, other.atoms)
    )


def _refuse_mixture(relaxed: Sequence[Relaxed]) -> None:
    if not relaxed:
        raise InputError("there is no relaxed ordering to rank", fix="relax at least one ordering")
    formulas = sorted({relaxation.atoms.get_chemical_formula() for _, relaxation in relaxed})
    if len(formulas) > 1:
        raise InputError(
            f"energies of different cells cannot be ranked together: {', '.join(formulas)}",
            fix="rank orderings of one composition in one supercell",
        )
    orderings = [candidate.ordering for candidate, _ in relaxed]
    if len(set(orderings)) < len(orderings):
        raise InputError("an ordering was given twice", fix="pass every ordering once: multiplicities are summed")


def boltzmann_weights(energies: FloatArray, multiplicity: FloatArray, temperature_k: float) -> FloatArray:
    """w_i = g_i exp(-E_i/kT) / sum_j g_j exp(-E_j/kT) of cells with total energies E (eV) and multiplicities g."""
    exponents = -(energies - energies.min()) / (BOLTZMANN_EV_PER_K * temperature_k)
    weights = multiplicity * np.exp(exponents)
    return weights / weights.sum()


def rank_orderings(
    ordering_set: OrderingSet,
    potential: Potential,
    settings: RankingSettings,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> Ranking:
    """Select, relax, rank and assess: from the distinct orderings to the ranked table, in this process.

    The lowest in electrostatic energy and a control group are relaxed, and more in further rounds while too many
    of the best were missed (`plan_round`). An ordering whose relaxation physics refuses is left out of the rows
    and told in `refused`.

    Args:
        ordering_set: the distinct orderings.
        potential: relaxes them.
        settings: how many, how far, at which temperature.
        progress: told the relaxations done, fractions included.
        stop: asked between steps.
    Raises:
        PhysicsRefusal: every relaxation was refused.
        Interrupted: `stop` said so.
    """
    relaxed: list[Relaxed] = []
    refused: list[RefusedOrdering] = []
    done: dict[int, float] = {}
    while (chosen := plan_round(ordering_set, done, settings)) is not None:
        candidates = chosen.candidates

        def tell(n: float, total: float, state: str = "", /, before: int = len(done)) -> None:
            progress(before + n, before + total, state)

        outcomes = relax_batch([one.atoms for one in candidates], potential, settings, progress=tell, stop=stop)
        for one, outcome in zip(candidates, outcomes, strict=True):
            if isinstance(outcome, PhysicsRefusal):
                refused.append(_refused(one, outcome.what))
                done[one.ordering] = math.inf
            else:
                relaxed.append((one, outcome))
                done[one.ordering] = outcome.energy
    if not relaxed:
        raise PhysicsRefusal(
            f"none of the {len(refused)} orderings could be relaxed; the first said: {refused[0].reason}",
            where=ordering_set.crystal_name,
            fix="choose another potential, or check the crystal's sites",
        )
    found = rank(
        relaxed,
        potential=potential.name,
        n_orderings=ordering_set.n_orderings,
        temperature_k=settings.temperature_k,
        refused=refused,
    )
    return assess(found, ordering_set, settings)


def _refused(candidate: Candidate, reason: str) -> RefusedOrdering:
    return RefusedOrdering(
        ordering=candidate.ordering,
        multiplicity=candidate.multiplicity,
        electrostatic_energy=candidate.electrostatic_energy,
        reason=reason,
    )
