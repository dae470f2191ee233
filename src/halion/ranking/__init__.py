"""Orderings relaxed, told apart and ranked."""

from halion.ranking.assess import assess
from halion.ranking.correlation import spearman
from halion.ranking.electrostatics import electrostatic_energies, ewald_matrix, write_electrostatic_energies
from halion.ranking.rank import boltzmann_weights, rank, rank_orderings
from halion.ranking.relax import relax, relax_batch, relax_each
from halion.ranking.rounds import measure_prefilter, plan_round
from halion.ranking.select import select_candidates
from halion.ranking.sublattice import Sublattice, find_sublattice
from halion.ranking.substitution import count_substitutions, guest_rows, mirrored, substitutions
from halion.ranking.table import back_check_table, quality_table, ranking_table, relaxed_table, write_structures
from halion.ranking.types import (
    BackCheck,
    Candidate,
    MergedOrdering,
    OrbitOccupancy,
    PrefilterQuality,
    RankedOrdering,
    Ranking,
    RefusedOrdering,
    Relaxation,
    Selection,
)

__all__ = [
    "BackCheck",
    "Candidate",
    "MergedOrdering",
    "OrbitOccupancy",
    "PrefilterQuality",
    "RankedOrdering",
    "Ranking",
    "RefusedOrdering",
    "Relaxation",
    "Selection",
    "Sublattice",
    "assess",
    "back_check_table",
    "boltzmann_weights",
    "count_substitutions",
    "electrostatic_energies",
    "ewald_matrix",
    "find_sublattice",
    "guest_rows",
    "measure_prefilter",
    "mirrored",
    "plan_round",
    "quality_table",
    "rank",
    "rank_orderings",
    "ranking_table",
    "relax",
    "relax_batch",
    "relax_each",
    "relaxed_table",
    "select_candidates",
    "spearman",
    "substitutions",
    "write_electrostatic_energies",
    "write_structures",
]
