"""Sites of the mobile ions, found where their density peaks, and the barriers between them, F = -kT ln P."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from ase.geometry import find_mic

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, PhysicsRefusal
from halion.transport.coordination import Surroundings, shared_anions, surroundings
from halion.transport.density import IonDensity, smooth
from halion.transport.watershed import Link, PeriodicGroups, Regions, climb, join, regrouped
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["Ridge", "SiteChoices", "Sites", "find_sites"]

# Density below a tenth of what one visit in one frame leaves is the tail of a Gaussian.
_VISIT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteChoices:
    """What counts as a site.

    Attributes:
        smoothing: standard deviation of the Gaussian that the density is smoothed with, Angstrom.
        least_barrier_kt: peaks whose ridge is less than this below the lower one, in kT, are one site.
        least_distance: peaks closer than this, Angstrom, are one site.
        least_occupancy: a region with fewer ions on average is joined to the one it is most open to.
    """

    smoothing: float = 0.25
    least_barrier_kt: float = 1.0
    least_distance: float = 1.0
    least_occupancy: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """The highest density at which two sites touch, that is the lowest pass between them.

    Attributes:
        first, second: sites.
        image: cell of the second, as seen from the first.
        density: at the pass, ions per Angstrom^3.
        barrier_forward_ev, barrier_back_ev: kT ln(density at the peak / at the pass), from either side.
        n_shared: anions that both shells have in common.
    """

    first: int
    second: int
    image: tuple[int, int, int]
    density: float
    barrier_forward_ev: float
    barrier_back_ev: float
    n_shared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """Sites of one density.

    Attributes:
        density: that they were found in, smoothed.
        fractional: (n_sites, 3) peaks, in [0, 1).
        occupancy: (n_sites,) mean number of ions in the region of each.
        peak: (n_sites,) ions per Angstrom^3.
        around: (n_sites) anions around each, and octahedral, tetrahedral or other.
        labels: (n_points,) site of each grid point; -1 where there was no ion.
        images: (n_points, 3) cell of that site as seen from the point.
        ridges: between sites that touch.
    """

    density: IonDensity
    fractional: FloatArray
    occupancy: FloatArray
    peak: FloatArray
    around: tuple[Surroundings, ...]
    labels: IntArray
    images: IntArray
    ridges: tuple[Ridge, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Octahedral, tetrahedral or other, of each site."""
        return tuple(one.kind for one in self.around)

    @property
    def nearest_distance(self) -> float:
        """Mean distance of a site to the nearest other one, Angstrom; NaN for one site alone."""
        n_sites = len(self.fractional)
        if n_sites < 2:
            return math.nan
        cartesian = self.fractional @ self.density.cell
        apart = (cartesian[:, None] - cartesian[None]).reshape(-1, 3)
        distances = find_mic(apart, self.density.cell)[1].reshape(n_sites, n_sites)
        np.fill_diagonal(distances, np.inf)
        return float(distances.min(axis=1).mean())


def find_sites(density: IonDensity, choices: SiteChoices | None = None) -> Sites:
    """Sites where the smoothed density peaks, with the region around each by steepest ascent.

    Args:
        density: of the mobile ions, of a run that has a temperature.
        choices: what counts as a site.
    Raises:
        PhysicsRefusal: no peak stands out.
        InputError: the temperature is not known, so there is no free energy.
    Checked by tests/transport/test_transport_sites.py on analytic densities and close packings.
    """
    choices = choices or SiteChoices()
    if not density.temperature_k > 0:
        raise InputError(
            "the temperature of this density is not known, so heights cannot be compared in kT",
            fix="give the temperature of the run (--temperature)",
        )
    smoothed = smooth(density, choices.smoothing) if choices.smoothing else density
    visit = max(density.voxel_volume, (2 * np.pi * smoothed.smoothing**2) ** 1.5)
    regions = climb(smoothed.values, density.cell, _VISIT / (visit * density.n_frames))
    regions = _joined(regions, smoothed, choices)
    regions = _without_rare(regions, smoothed, choices.least_occupancy)
    if not len(regions.peaks):
        raise PhysicsRefusal(
            f"no site of {density.species} stands out of its density",
            fix="look at the density itself; in a melt there are no sites",
        )
    return _sites(smoothed, regions)


def _fractional(index: IntArray, shape: tuple[int, ...]) -> FloatArray:
    return np.stack(np.unravel_index(index, shape), axis=-1) / np.array(shape)


def _joined(regions: Regions, density: IonDensity, choices: SiteChoices) -> Regions:
    heights = density.values.ravel()[regions.peaks]
    places = _fractional(regions.peaks, density.values.shape)
    most = math.exp(choices.least_barrier_kt)

    def are_one(low: int, high: int, image: IntArray, ridge: float) -> bool:
        apart = np.linalg.norm((places[high] + image - places[low]) @ density.cell)
        return bool(heights[low] < most * ridge or apart < choices.least_distance)

    return join(regions, heights, are_one)


def _without_rare(regions: Regions, density: IonDensity, least: float) -> Regions:
    """The rarest region goes to the neighbour across its highest ridge, until none is too rare."""
    while True:
        occupancy = _occupancy(regions, density)
        rare = [k for k in np.argsort(occupancy) if occupancy[k] < least]
        for k in rare:
            links = {
                link: height for link, height in regions.ridges.items() if k in link[:2] and link[0] != link[1]
            }
            if links:
                first, second, image = max(links, key=links.__getitem__)
                groups = PeriodicGroups(len(regions.peaks))
                cell = np.array(image)
                groups.unite(*((second, first, cell) if first == k else (first, second, -cell)))
                regions = regrouped(regions, groups)
                break
        else:
            return _dropped(regions, rare)


def _dropped(regions: Regions, rare: list[int]) -> Regions:
    """Without regions that touch no other."""
    if not rare:
        return regions
    kept = np.setdiff1d(np.arange(len(regions.peaks)), rare)
    number = np.full(len(regions.peaks) + 1, -1)
    number[kept] = np.arange(len(kept))
    ridges = {
        (int(number[first]), int(number[second]), image): height
        for (first, second, image), height in regions.ridges.items()
        if number[first] >= 0 and number[second] >= 0
    }
    return Regions(peaks=regions.peaks[kept], labels=number[regions.labels], images=regions.images, ridges=ridges)


def _occupancy(regions: Regions, density: IonDensity) -> FloatArray:
    inside = regions.labels >= 0
    weights = density.values.ravel()[inside] * density.voxel_volume
    return np.bincount(regions.labels[inside], weights=weights, minlength=len(regions.peaks))


def _sites(density: IonDensity, regions: Regions) -> Sites:
    fractional = _fractional(regions.peaks, density.values.shape)
    peak = density.values.ravel()[regions.peaks]
    around = tuple(surroundings(density, place) for place in fractional)
    kt = BOLTZMANN_EV_PER_K * density.temperature_k

    def ridge(link: Link, height: float) -> Ridge:
        first, second, image = link
        return Ridge(
            first=first,
            second=second,
            image=image,
            density=height,
            barrier_forward_ev=kt * math.log(peak[first] / height),
            barrier_back_ev=kt * math.log(peak[second] / height),
            n_shared=shared_anions(around[first], around[second], image),
        )

    return Sites(
        density=density,
        fractional=fractional,
        occupancy=_occupancy(regions, density),
        peak=peak,
        around=around,
        labels=regions.labels,
        images=regions.images,
        ridges=tuple(ridge(link, height) for link, height in sorted(regions.ridges.items())),
    )
