"""Orderings relaxed, told apart and ranked."""

from halion.ranking.electrostatics import electrostatic_energies, ewald_matrix
from halion.ranking.rank import boltzmann_weights, rank, rank_orderings, spearman
from halion.ranking.relax import relax, relax_batch, relax_each
from halion.ranking.select import select_candidates
from halion.ranking.table import ranking_table, write_structures
from halion.ranking.types import Candidate, RankedOrdering, Ranking, RefusedOrdering, Relaxation, Selection

__all__ = [
    "Candidate",
    "RankedOrdering",
    "Ranking",
    "RefusedOrdering",
    "Relaxation",
    "Selection",
    "boltzmann_weights",
    "electrostatic_energies",
    "ewald_matrix",
    "rank",
    "rank_orderings",
    "ranking_table",
    "relax",
    "relax_batch",
    "relax_each",
    "select_candidates",
    "spearman",
    "write_structures",
]
