"""How the ions of one run move: their density, sites, hops and the network of these, in one call."""

from __future__ import annotations

from dataclasses import dataclass

from halion.dynamics.types import Trajectory
from halion.transport.density import IonDensity, ion_density
from halion.transport.jumps import Hops, count_hops
from halion.transport.network import HopNetwork, hop_network
from halion.transport.sites import SiteChoices, Sites, find_sites

__all__ = ["Mechanism", "analyse_mechanism"]


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
