"""The network of hops: rates of its edges, and along which axes, at what level, it leads through the crystal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.transport.coordination import shared_anions, sharing
from halion.transport.jumps import Hops
from halion.transport.sites import Sites
from halion.transport.watershed import Link, PeriodicGroups, canonical
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["HopEdge", "HopNetwork", "Percolation", "hop_network", "percolation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Percolation:
    """At which strength of its links a network first leads through the crystal.

    Links are added from the strongest to the weakest. When a loop closes that does not come back to its own cell,
    the way it leads is one more dimension, at the strength of its weakest link.

    Attributes:
        strength: (d,) strengths, falling, at which it became 1-, 2-, ... d-dimensional.
        directions: (d, 3) cell vectors (whole numbers) of the loops that did it.
        along: (3,) strength at which some loop leads along a, b, c; zero where none does.
    """

    strength: tuple[float, ...]
    directions: tuple[tuple[int, int, int], ...]
    along: tuple[float, float, float]

    @property
    def dimension(self) -> int:
        """0 to 3."""
        return len(self.strength)


def percolation(links: Mapping[Link, float], n_nodes: int) -> Percolation:
    """Dimensions in which a periodic network leads through the crystal, from its strongest link on.

    Args:
        links: strength of each link; those of zero strength are none.
        n_nodes: nodes of the network.
    Checked by tests/transport/test_transport_network.py on chains, layers and lattices.
    """
    groups = PeriodicGroups(n_nodes)
    loops: dict[int, list[IntArray]] = {}
    found: list[tuple[float, IntArray]] = []
    along = [0.0, 0.0, 0.0]
    for (first, second, image), strength in sorted(links.items(), key=lambda item: -item[1]):
        if strength <= 0:
            break
        one, from_first = groups.find(first)
        other, from_second = groups.find(second)
        loop = np.array(image) + from_second - from_first
        if one != other:
            groups.unite(other, one, loop)
            loops[other] = loops.pop(one, []) + loops.get(other, [])
        elif loop.any():
            loops.setdefault(one, []).append(loop)
        group = loops.get(groups.find(first)[0], [])
        rank = int(np.linalg.matrix_rank(np.array(group))) if group else 0
        if group and rank > len(found):
            new = loop if one == other else group[-1]
            found += [(strength, new)] * (rank - len(found))
        for axis in range(3):
            if not along[axis] and any(way[axis] for way in group):
                along[axis] = strength
    return Percolation(
        strength=tuple(strength for strength, _ in found),
        directions=tuple(tuple(int(k) for k in way) for _, way in found),
        along=tuple(along),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HopEdge:
    """Hops between two sites.

    Attributes:
        first, second: sites.
        image: cell of the second, as seen from the first.
        vector: (3,) from the first to the second, Angstrom.
        n_forward, n_back: hops that were seen.
        rate_forward, rate_back: hops per ps that an ion spends on the site it leaves.
        rate_forward_std, rate_back_std: rate / sqrt(n) of independent hops; hops that return at once are not, so it
            is the least that the error can be.
        barrier_ev: kT ln(density at the higher peak / at the pass); NaN where the two regions do not touch.
        barrier_std_ev: kT / sqrt(n_forward + n_back), as far as passages are independent.
        kind: kinds of the two sites and what their polyhedra share, e.g. "octahedral-octahedral face".
    """

    first: int
    second: int
    image: tuple[int, int, int]
    vector: FloatArray
    n_forward: int
    n_back: int
    rate_forward: float
    rate_back: float
    rate_forward_std: float
    rate_back_std: float
    barrier_ev: float
    barrier_std_ev: float
    kind: str

    @property
    def length(self) -> float:
        """Angstrom."""
        return float(np.linalg.norm(self.vector))


@dataclass(frozen=True, slots=True, kw_only=True)
class HopNetwork:
    """All edges on which hops were seen.

    Attributes:
        edges: with most hops first.
        by_hops: where hops lead through the crystal; strengths are numbers of hops of the weakest edge.
        by_density: where the density does; strengths are densities at passes.
        barrier_ev: kT ln(highest peak / density at the highest pass) at which the density becomes 1-, 2-,
            3-dimensional.
        barrier_along_ev: the same along a, b, c; infinite where nothing leads through.
        by_kind: kind of edge -> hops per ps and ion.
        hop_diffusivity: (3, 3) sum over hops of d d^T / (2 N t), Angstrom^2/ps: what the diffusivity would be if
            each hop were independent of the last.
        kind_diffusivity: kind of edge -> its part of that tensor.
    """

    edges: tuple[HopEdge, ...]
    by_hops: Percolation
    by_density: Percolation
    barrier_ev: tuple[float, ...]
    barrier_along_ev: tuple[float, float, float]
    by_kind: Mapping[str, float]
    hop_diffusivity: FloatArray
    kind_diffusivity: Mapping[str, FloatArray]


def hop_network(sites: Sites, hops: Hops) -> HopNetwork:
    """Edges with their rates and barriers, and the ways through the crystal.

    Args:
        sites: of the density.
        hops: between them.
    Checked by tests/transport/test_transport_network.py on walks of known rates.
    """
    counts = _directed(hops)
    edges = sorted(_edges(sites, hops, counts), key=lambda edge: -(edge.n_forward + edge.n_back))
    links = {(edge.first, edge.second, edge.image): float(edge.n_forward + edge.n_back) for edge in edges}
    passes = {(ridge.first, ridge.second, ridge.image): ridge.density for ridge in sites.ridges}
    by_density = percolation(passes, len(sites.peak))
    kt, highest = BOLTZMANN_EV_PER_K * sites.density.temperature_k, float(sites.peak.max())
    time = hops.n_ions * hops.n_frames * hops.frame_ps
    kinds = sorted({edge.kind for edge in edges})
    parts = {
        kind: sum(
            (edge.n_forward + edge.n_back) * np.outer(edge.vector, edge.vector)
            for edge in edges
            if edge.kind == kind
        )
        / (2 * time)
        for kind in kinds
    }
    return HopNetwork(
        edges=tuple(edges),
        by_hops=percolation(links, len(sites.peak)),
        by_density=by_density,
        barrier_ev=tuple(kt * math.log(highest / strength) for strength in by_density.strength),
        barrier_along_ev=tuple(kt * math.log(highest / one) if one else math.inf for one in by_density.along),
        by_kind={
            kind: sum(edge.n_forward + edge.n_back for edge in edges if edge.kind == kind) / time for kind in kinds
        },
        hop_diffusivity=sum(parts.values(), np.zeros((3, 3))),
        kind_diffusivity=parts,
    )


def _directed(hops: Hops) -> dict[Link, list[int]]:
    """Hops there and back along each link."""
    counts: dict[Link, list[int]] = {}
    for first, second, image in zip(hops.first.tolist(), hops.second.tolist(), hops.image.tolist()):
        link = canonical(first, second, image)
        forward = link == (first, second, tuple(image))
        counts.setdefault(link, [0, 0])[0 if forward else 1] += 1
    return counts


def _edges(sites: Sites, hops: Hops, counts: Mapping[Link, list[int]]) -> list[HopEdge]:
    passes = {(ridge.first, ridge.second, ridge.image): ridge.density for ridge in sites.ridges}
    kt = BOLTZMANN_EV_PER_K * sites.density.temperature_k
    spent = hops.site_frames * hops.frame_ps
    edges = []
    for link, (forward, back) in counts.items():
        first, second, image = link
        higher = max(sites.peak[first], sites.peak[second])
        shared = sharing(shared_anions(sites.around[first], sites.around[second], image))
        edges.append(
            HopEdge(
                first=first,
                second=second,
                image=image,
                vector=(sites.fractional[second] + image - sites.fractional[first]) @ sites.density.cell,
                n_forward=forward,
                n_back=back,
                rate_forward=forward / spent[first],
                rate_back=back / spent[second],
                rate_forward_std=math.sqrt(forward) / spent[first],
                rate_back_std=math.sqrt(back) / spent[second],
                barrier_ev=kt * math.log(higher / passes[link]) if link in passes else math.nan,
                barrier_std_ev=kt / math.sqrt(forward + back) if link in passes else math.nan,
                kind=f"{'-'.join(sorted((sites.kinds[first], sites.kinds[second])))} {shared}",
            )
        )
    return edges
