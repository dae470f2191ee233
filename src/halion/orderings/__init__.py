"""Orderings: a disordered crystal to its distinct ordered cells, exactly counted, with multiplicities."""

from halion.orderings.candidates import candidate_supercells, pooled_elements
from halion.orderings.canonical import canonical_rows
from halion.orderings.choose import composition_for, compositions_for
from halion.orderings.composition import choose_composition
from halion.orderings.count import count_orderings
from halion.orderings.enumerate import enumerate_orderings
from halion.orderings.exclusions import exclusion_distances, exclusions_for
from halion.orderings.lattice import image_distances
from halion.orderings.pool import count_distinct_allowed
from halion.orderings.pooled import count_pooled, pooled_compositions
from halion.orderings.sampling import sample_orderings
from halion.orderings.shapes import distinct_supercells, near_cubic_supercell
from halion.orderings.sites import supercell_sites
from halion.orderings.store import load_orderings, save_orderings
from halion.orderings.stored import merge_shards, store_orderings
from halion.orderings.supercell import choose_supercell
from halion.orderings.types import (
    CandidateSupercell,
    Composition,
    OrbitComposition,
    OrderingCount,
    OrderingSet,
    PairExclusion,
    Sample,
    Supercell,
    as_supercell,
    supercell_name,
)

__all__ = [
    "CandidateSupercell",
    "Composition",
    "OrbitComposition",
    "OrderingCount",
    "OrderingSet",
    "PairExclusion",
    "Sample",
    "Supercell",
    "as_supercell",
    "candidate_supercells",
    "canonical_rows",
    "choose_composition",
    "choose_supercell",
    "composition_for",
    "compositions_for",
    "count_distinct_allowed",
    "count_orderings",
    "count_pooled",
    "distinct_supercells",
    "enumerate_orderings",
    "exclusion_distances",
    "exclusions_for",
    "image_distances",
    "load_orderings",
    "merge_shards",
    "near_cubic_supercell",
    "pooled_compositions",
    "pooled_elements",
    "sample_orderings",
    "save_orderings",
    "store_orderings",
    "supercell_name",
    "supercell_sites",
]
