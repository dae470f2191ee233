"""What a campaign found: the members of a series, their transport, and the stability of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from halion.report.types import Failure
from halion.stability import Stability
from halion.transport import RunTransport, TransportSummary

__all__ = ["CampaignMember", "CampaignResults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignMember:
    """One structure of the series whose ions were set in motion.

    Attributes:
        name: parent and x, e.g. "LYB3".
        phase: name of the parent.
        x: guests per formula unit.
        n_atoms: of the moving cell.
        above: energy above the lowest phase at this x, eV/atom; 0 for the lowest itself.
        volume_per_atom: of the relaxed cell, Angstrom^3.
        evidence: why this structure, in words.
        studies: folders of its studies beside the page, one per replica.
        runs: transport of all temperatures of all replicas, those that did not diffuse included.
        summary: what all runs say together; None where there is no run yet.
        mean_volumes: temperature (K) -> volume per atom over the replicas' production, Angstrom^3.
        failures: steps that physics refused.
        caveats: of its studies.
    """

    name: str
    phase: str
    x: float
    n_atoms: int
    above: float
    volume_per_atom: float
    evidence: str
    studies: tuple[str, ...]
    runs: tuple[RunTransport, ...]
    summary: TransportSummary | None
    mean_volumes: Mapping[float, float]
    failures: tuple[Failure, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignResults:
    """A campaign, finished or as far as it got.

    Attributes:
        title: e.g. "Li3YCl6 to Li3YBr6".
        potential: that relaxed and moved everything.
        preset: of the studies.
        members: by x, then phase.
        waiting: names of structures whose studies have not begun or not got to their ranking.
        stability: of the series; None where it could not be assessed, with the reason in `notes`.
        notes: what a reader must know first.
        settings: of the campaign, as plain values.
    """

    title: str
    potential: str
    preset: str
    members: tuple[CampaignMember, ...]
    waiting: tuple[str, ...]
    stability: Stability | None
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
