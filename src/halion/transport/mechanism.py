"""How the ions of one run move: their density, sites, hops and the network of these, in one call."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray
from halion.dynamics.types import Trajectory
from halion.transport.density import IonDensity, ion_density
from halion.transport.jumps import Hops, count_hops
from halion.transport.network import HopNetwork, hop_network
from halion.transport.sites import SiteChoices, Sites, find_sites

__all__ = ["Mechanism", "MechanismSummary", "SiteSummary", "analyse_mechanism"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSummary:
    """One site.

    Attributes:
        fractional: (3,) of the run's cell.
        occupancy: mean number of ions.
        kind: octahedral, tetrahedral or other.
        anion_distance: mean distance of the anions around it, Angstrom; NaN without any.
    """

    fractional: FloatArray
    occupancy: float
    kind: str
    anion_distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MechanismSummary:
    """A mechanism without its grids.

    Attributes:
        source: trajectory file.
        temperature_k: of the run.
        verdict: in one or two sentences.
        sites: the most occupied first.
        network: of the hops.
        n_hops: hops seen.
        rate_per_ps: hops of one ion per ps.
        returned: part of hops that led straight back next; NaN where no ion made two.
    """

    source: str
    temperature_k: float
    verdict: str
    sites: tuple[SiteSummary, ...]
    network: HopNetwork
    n_hops: int
    rate_per_ps: float
    returned: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """Mechanism of one run.

    Attributes:
        density: of the mobile ions, as counted.
        sites: where it peaks.
        hops: between them.
        network: of the hops.
    """

    density: IonDensity
    sites: Sites
    hops: Hops
    network: HopNetwork

    def summary(self, source: str = "") -> MechanismSummary:
        """What can be told in tables.

        Checked by tests/transport/test_transport_summary.py.
        """
        sites = self.sites
        rows = [
            SiteSummary(
                fractional=sites.fractional[k],
                occupancy=float(sites.occupancy[k]),
                kind=sites.kinds[k],
                anion_distance=float(sites.around[k].distances.mean())
                if len(sites.around[k].distances)
                else math.nan,
            )
            for k in np.argsort(-sites.occupancy, kind="stable")
        ]
        return MechanismSummary(
            source=source,
            temperature_k=self.density.temperature_k,
            verdict=self.verdict,
            sites=tuple(rows),
            network=self.network,
            n_hops=len(self.hops.ion),
            rate_per_ps=self.hops.rate_per_ps,
            returned=self.hops.returned,
        )

    @property
    def verdict(self) -> str:
        """Dimensions and barriers in one or two sentences."""
        hops, network = self.hops, self.network
        text = f"{len(hops.ion)} hops of {hops.n_ions} ions between {len(self.sites.peak)} sites"
        if len(hops.ion) == 0:
            return f"{text}: nothing moved."
        kinds = ", ".join(
            f"{100 * rate / hops.rate_per_ps:.0f} % {kind}" for kind, rate in _most_first(network.by_kind)[:3]
        )
        ways = network.by_hops
        if not ways.dimension:
            return f"{text} ({kinds}); none leads through the crystal."
        fewest = f"{ways.strength[-1]:.0f} hop" + ("s" if ways.strength[-1] != 1 else "")
        through = f"they lead through the crystal in {ways.dimension} dimension(s)"
        return f"{text} ({kinds}); {through}, the weakest link by {fewest}."


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _most_first(rates: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(rates.items(), key=lambda item: -item[1])


def analyse_mechanism(
    trajectory: Trajectory, species: str = "Li", choices: SiteChoices | None = None, *, spacing: float = 0.2
) -> Mechanism:
    """Density, sites, hops and network of one run.

    Args:
        trajectory: unwrapped frames, stored more often than ions hop (0.1 ps or less).
        species: mobile element.
        choices: what counts as a site.
        spacing: of the grid, Angstrom.
    Raises:
        TrajectoryError, InputError, PhysicsRefusal: what `ion_density` and `find_sites` refuse.
    Checked by tests/transport/test_transport_network.py on a walk of known hops.
    """
    density = ion_density(trajectory, species, spacing=spacing)
    sites = find_sites(density, choices)
    hops = count_hops(trajectory, sites)
    return Mechanism(density=density, sites=sites, hops=hops, network=hop_network(sites, hops))
