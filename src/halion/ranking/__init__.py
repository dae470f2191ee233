"""Orderings relaxed, told apart and ranked."""

from halion.ranking.arrange import ArrangementSearch, SurrogateQuality, recall_of_lowest, search_arrangements
from halion.ranking.arrangements import ListedArrangements, UnlistedArrangements
from halion.ranking.assess import assess
from halion.ranking.clusters import cluster_blocks
from halion.ranking.correlation import spearman
from halion.ranking.electrostatics import electrostatic_energies, ewald_matrix, write_electrostatic_energies
from halion.ranking.framework import (
    Framework,
    FrameworkEnds,
    ParentPhase,
    best_supercell,
    build_framework,
    parent_phase,
    relax_ends,
)
from halion.ranking.mixed import MixedRanking, rank_mixed
from halion.ranking.rank import boltzmann_weights, rank, rank_orderings
from halion.ranking.relax import relax, relax_batch, relax_each
from halion.ranking.rounds import measure_prefilter, plan_round
from halion.ranking.select import select_candidates
from halion.ranking.series import Representatives, build_entry, build_series
from halion.ranking.series_files import read_series, series_table, write_series
from halion.ranking.series_plan import plan_series
from halion.ranking.series_types import PlannedComposition, SeriesEntry
from halion.ranking.sublattice import Sublattice, find_sublattice
from halion.ranking.substitution import as_one_element, count_substitutions, guest_rows, mirrored, substitutions
from halion.ranking.surrogate import Surrogate, fit_surrogate
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
    "ArrangementSearch",
    "BackCheck",
    "Candidate",
    "Framework",
    "FrameworkEnds",
    "ListedArrangements",
    "MergedOrdering",
    "MixedRanking",
    "OrbitOccupancy",
    "ParentPhase",
    "PlannedComposition",
    "PrefilterQuality",
    "RankedOrdering",
    "Ranking",
    "RefusedOrdering",
    "Relaxation",
    "Representatives",
    "Selection",
    "SeriesEntry",
    "Sublattice",
    "Surrogate",
    "SurrogateQuality",
    "UnlistedArrangements",
    "as_one_element",
    "assess",
    "back_check_table",
    "best_supercell",
    "boltzmann_weights",
    "build_entry",
    "build_framework",
    "build_series",
    "cluster_blocks",
    "count_substitutions",
    "electrostatic_energies",
    "ewald_matrix",
    "find_sublattice",
    "fit_surrogate",
    "guest_rows",
    "measure_prefilter",
    "mirrored",
    "parent_phase",
    "plan_round",
    "plan_series",
    "quality_table",
    "rank",
    "rank_mixed",
    "rank_orderings",
    "ranking_table",
    "read_series",
    "recall_of_lowest",
    "relax",
    "relax_batch",
    "relax_each",
    "relax_ends",
    "relaxed_table",
    "search_arrangements",
    "select_candidates",
    "series_table",
    "spearman",
    "substitutions",
    "write_electrostatic_energies",
    "write_series",
    "write_structures",
]
