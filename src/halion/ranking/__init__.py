"""Orderings relaxed, told apart and ranked."""

from halion.ranking.electrostatics import electrostatic_energies, ewald_matrix
from halion.ranking.rank import boltzmann_weights, rank, rank_orderings, spearman
from halion.ranking.relax import relax, relax_batch, relax_each
from halion.ranking.select import select_candidates
from halion.ranking.table import ranking_table, write_structures
from halion.ranking.sublattice import Sublattice, find_sublattice
from halion.ranking.substitution import count_substitutions, guest_rows, mirrored, substitutions
from halion.ranking.types import Candidate, RankedOrdering, Ranking, RefusedOrdering, Relaxation, Selection

__all__ = [
    "Candidate",
    "RankedOrdering",
    "Ranking",
    "RefusedOrdering",
    "Relaxation",
    "Selection",
    "Sublattice",
    "boltzmann_weights",
    "count_substitutions",
    "electrostatic_energies",
    "ewald_matrix",
    "find_sublattice",
    "guest_rows",
    "mirrored",
    "rank",
    "rank_orderings",
    "ranking_table",
    "relax",
    "relax_batch",
    "relax_each",
    "select_candidates",
    "spearman",
    "substitutions",
    "write_structures",
]
