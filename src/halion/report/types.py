"""What the report room takes: all results of a study, complete or as far as it got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from halion.crystal.types import DisorderedCrystal
from halion.dynamics.types import Equilibration
from halion.orderings.types import Composition, OrderingCount
from halion.ranking.types import Ranking
from halion.transport.density import IonDensity
from halion.transport.mechanism import MechanismSummary
from halion.transport.summary import TransportSummary
from halion.transport.types import Arrhenius, Conductivity, RunTransport

__all__ = ["Failure", "StudyResults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A step that refused or failed, and what it said: the report shows it, nothing hides it."""

    step: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResults:
    """Everything that a report shows.

    Attributes:
        title: e.g. "Li3YBr6".
        crystal: the disordered crystal.
        composition: whole atoms per orbit in the supercell.
        count: exact counts before exclusions.
        n_after_exclusions: distinct orderings left by the pair exclusions.
        excluded_below: distance of the exclusions, Angstrom.
        ranking: ranked orderings.
        equilibrations: one per temperature reached.
        runs: one per temperature reached.
        arrhenius: None when fewer than two runs diffused.
        conductivity: at the report temperature; with an upper bound where there is no value.
        failures: steps that refused, e.g. a melted framework.
        settings: the resolved settings of the study.
        provenance: versions, commit, hashes, seeds, machine, times.
        summary: what the runs say together; None before any has ended.
        densities: of the mobile ions, one per run in the same order; shown and kept as files, not in results.json.
        mechanisms: sites, hops and ways through the crystal of the runs whose ions have sites.
        extension: which runs were made longer, and whether it was enough; empty where nothing was asked for.
        caveats: what a reader must know first (e.g. what a quick preset costs in certainty).
    """

    title: str
    crystal: DisorderedCrystal
    composition: Composition
    count: OrderingCount
    n_after_exclusions: int
    excluded_below: float
    ranking: Ranking
    equilibrations: tuple[Equilibration, ...]
    runs: tuple[RunTransport, ...]
    arrhenius: Arrhenius | None
    conductivity: Conductivity | None
    failures: tuple[Failure, ...]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    caveats: tuple[str, ...]
    summary: TransportSummary | None = None
    densities: tuple[IonDensity, ...] = ()
    mechanisms: tuple[MechanismSummary, ...] = ()
    extension: str = ""
