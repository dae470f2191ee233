"""Hops of ions between sites, from frame to frame.

An ion belongs to the site whose core it was in last, so that one that looks over a pass and returns has not hopped.
The core of a site is where the free energy is below half its lowest barrier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.dynamics.types import Trajectory
from halion.errors import InputError
from halion.transport.density import voxel_index
from halion.transport.frames import mobile_ions
from halion.transport.sites import Sites

__all__ = ["Hops", "count_hops"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hops:
    """Hops of one run, ordered by ion and time.

    Attributes:
        ion: (n_hops,) which mobile ion.
        frame: (n_hops,) frame in which it was first in the core of its new site.
        first, second: (n_hops,) sites it left and reached.
        image: (n_hops, 3) cell of the second as seen from the first.
        site_frames: (n_sites,) frames times ions that each site held.
        n_ions, n_frames: mobile ions and frames.
        n_unplaced: ions that were never in a core.
        frame_ps: time between frames.
    """

    ion: IntArray
    frame: IntArray
    first: IntArray
    second: IntArray
    image: IntArray
    site_frames: IntArray
    n_ions: int
    n_frames: int
    n_unplaced: int
    frame_ps: float

    @property
    def rate_per_ps(self) -> float:
        """Hops of one ion per ps."""
        return len(self.ion) / (self.n_ions * self.n_frames * self.frame_ps)

    @property
    def returned(self) -> float:
        """Part of hops after which the ion's next one led straight back; NaN without a second hop."""
        same = self.ion[1:] == self.ion[:-1]
        if not same.any():
            return float("nan")
        back = (self.second[1:] == self.first[:-1]) & (self.image[1:] == -self.image[:-1]).all(axis=1)
        return float(back[same].mean())


def cores(sites: Sites) -> IntArray:
    """(n_points,) site whose core each grid point is in, -1 outside: P above sqrt(P at the peak x at its pass)."""
    highest = np.full(len(sites.peak), sites.density.values[sites.density.values > 0].min())
    for ridge in sites.ridges:
        for site in (ridge.first, ridge.second):
            highest[site] = max(highest[site], ridge.density)
    bound = np.append(np.sqrt(sites.peak * highest), np.inf)
    return np.where(sites.density.values.ravel() >= bound[sites.labels], sites.labels, -1)


def count_hops(trajectory: Trajectory, sites: Sites) -> Hops:
    """Hops between the sites of its density.

    Args:
        trajectory: the run that the density came from, or another of the same cell.
        sites: of that density.
    Raises:
        InputError: the cells differ by more than 5 %.
    Checked by tests/transport/test_transport_network.py on walks whose hops are known one by one.
    """
    species = sites.density.species
    cell = trajectory.cells.mean(axis=0)
    apart = np.abs(cell - sites.density.cell).max() / np.linalg.norm(cell, axis=1).max()
    if apart > 0.05:
        raise InputError(
            f"the cell of this run differs by {100 * apart:.0f} % from that of the sites",
            where=trajectory.source,
            fix="find the sites in the density of this run, or of another of the same cell",
        )
    paths, inverse = mobile_ions(trajectory, species).positions, np.linalg.inv(cell)
    core = cores(sites)
    found = [_of_one_ion(paths[:, ion] @ inverse, sites, core) for ion in range(paths.shape[1])]
    site_frames = sum((one[4] for one in found), np.zeros(len(sites.peak), dtype=int))
    return Hops(
        ion=np.repeat(np.arange(len(found)), [len(one[0]) for one in found]),
        frame=np.concatenate([one[0] for one in found]),
        first=np.concatenate([one[1] for one in found]),
        second=np.concatenate([one[2] for one in found]),
        image=np.concatenate([one[3] for one in found]),
        site_frames=site_frames,
        n_ions=len(found),
        n_frames=len(paths),
        n_unplaced=sum(not one[4].any() for one in found),
        frame_ps=float(np.diff(trajectory.time_ps).mean()),
    )


def _of_one_ion(
    fractional: FloatArray, sites: Sites, core: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Frames, sites left and reached, cells between them, and frames spent on each site."""
    shape = sites.density.values.shape
    voxel = voxel_index(fractional, shape)
    seen = core[voxel]
    inside = np.flatnonzero(seen >= 0)
    n_sites = len(sites.peak)
    if not len(inside):
        nothing = np.empty(0, dtype=int)
        return nothing, nothing, nothing, np.empty((0, 3), dtype=int), np.zeros(n_sites, dtype=int)
    last = np.zeros(len(seen), dtype=int)
    last[inside] = inside
    last = np.maximum.accumulate(last)
    last[: inside[0]] = inside[0]
    site = seen[last]
    own_cell = np.rint(fractional * shape).astype(int) // np.array(shape)
    cell = (own_cell + sites.images[voxel])[last]
    moved = np.flatnonzero((np.diff(site) != 0) | np.diff(cell, axis=0).any(axis=1)) + 1
    spent = np.bincount(site, minlength=n_sites)
    return moved, site[moved - 1], site[moved], cell[moved] - cell[moved - 1], spent
