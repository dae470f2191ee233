"""From this step's graph to the bases that the network takes, and from their gradients to forces and virials."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from halion.potentials.gpu.basis_kernels import (
    angle_rows,
    angle_slopes,
    bond_gradients,
    forces_and_virials,
    radial_rows,
    radial_slopes,
    sum_structures,
)
from halion.potentials.gpu.launch import launch, tiles
from halion.potentials.gpu.lists import DeviceGraph
from halion.potentials.gpu.rows import Rows
from halion.potentials.gpu.weights import NetworkWeights

__all__ = ["TOTALS", "Bases", "compute_bases", "forces_from_gradients", "sum_rows_of_structures"]

# Numbers per atom that are summed over a structure: virial (9), energy, and room for what others sum.
TOTALS = 16
_COLUMNS, _LANES = 32, 64
# CHGNet's guard against an infinite slope of the arc cosine.
_SHRINK = 1.0 - 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bases:
    """Bases, or the energy's gradients at them; the network's type.

    Attributes:
        edges: (n_edges, 32) radial basis of 6 Angstrom.
        bonds6, bonds3: (n_bonds, 32) radial bases of 6 and 3 Angstrom.
        angles: (n_angles, 32) angular basis.
    """

    edges: torch.Tensor
    bonds6: torch.Tensor
    bonds3: torch.Tensor
    angles: torch.Tensor


def _rows(graph: DeviceGraph) -> tuple[Rows, Rows, Rows]:
    room = graph.capacity
    return Rows(graph.n_edges, room.edges), Rows(graph.n_bonds, room.bonds), Rows(graph.n_angles, room.angles)


def compute_bases(graph: DeviceGraph, weights: NetworkWeights, dtype: torch.dtype) -> tuple[Bases, torch.Tensor]:
    """Bases of all edges, bonds and angles, and the angles (capacity,) in radians."""
    edges, bonds, angles = _rows(graph)

    def radial(rows: Rows, lengths: torch.Tensor, frequencies: torch.Tensor, radius: float) -> torch.Tensor:
        basis = torch.empty(rows.capacity, _COLUMNS, dtype=dtype, device=lengths.device)
        grid, room = (tiles(rows.capacity, _LANES),), {"CAPACITY": rows.capacity, "BLOCK": _LANES}
        launch(radial_rows, grid, (rows.limit, lengths, frequencies, basis), {"RADIUS": radius, **room})
        return basis

    first, second = graph.angles[0].long(), graph.angles[1].long()
    thetas = torch.acos((graph.units[first] * graph.units[second]).sum(dim=1) * _SHRINK)
    angular = torch.empty(angles.capacity, _COLUMNS, dtype=dtype, device=thetas.device)
    launch(
        angle_rows,
        (tiles(angles.capacity, _LANES),),
        (angles.limit, thetas, weights.waves, angular),
        {"CAPACITY": angles.capacity, "BLOCK": _LANES},
    )
    bases = Bases(
        edges=radial(edges, graph.lengths, weights.frequencies6, 6.0),
        bonds6=radial(bonds, graph.bond_lengths, weights.frequencies6, 6.0),
        bonds3=radial(bonds, graph.bond_lengths, weights.frequencies3, 3.0),
        angles=angular,
    )
    return bases, thetas


def _bond_pulls(
    graph: DeviceGraph, weights: NetworkWeights, thetas: torch.Tensor, gradients: Bases
) -> torch.Tensor:
    """dE/dvec of each bond beyond what it has as an edge, (n_bonds, 3)."""
    _, bonds, angles = _rows(graph)
    real = {"dtype": torch.float64, "device": thetas.device}
    slopes, angular = torch.empty(bonds.capacity, **real), torch.empty(angles.capacity, **real)
    grid, room = (tiles(bonds.capacity, _LANES),), {"CAPACITY": bonds.capacity, "BLOCK": _LANES}
    lengths = (bonds.limit, graph.bond_lengths)
    launch(
        radial_slopes,
        grid,
        (*lengths, weights.frequencies6, gradients.bonds6, slopes),
        {"RADIUS": 6.0, "ADD": False, **room},
    )
    launch(
        radial_slopes,
        grid,
        (*lengths, weights.frequencies3, gradients.bonds3, slopes),
        {"RADIUS": 3.0, "ADD": True, **room},
    )
    launch(
        angle_slopes,
        (tiles(angles.capacity, _LANES),),
        (angles.limit, thetas, weights.waves, gradients.angles, angular),
        {"CAPACITY": angles.capacity, "BLOCK": _LANES},
    )
    pulls = torch.empty(bonds.capacity, 3, **real)
    links = (graph.first_angles, graph.angles, graph.units, graph.bond_lengths)
    launch(
        bond_gradients,
        grid,
        (bonds.limit, *links, slopes, angular, pulls),
        {"BONDS": bonds.capacity, "ANGLES": angles.capacity, "BLOCK": _LANES},
    )
    return pulls


def forces_from_gradients(
    graph: DeviceGraph,
    weights: NetworkWeights,
    thetas: torch.Tensor,
    gradients: Bases,
    sites: tuple[torch.Tensor, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Energies (n_structures,), forces (n_atoms, 3) and virials (n_structures, 3, 3), float64.

    Args:
        sites: energy of each atom from the network, and the reference energy of its element (float64).
    """
    edges, _, _ = _rows(graph)
    real = {"dtype": torch.float64, "device": thetas.device}
    slopes = torch.empty(edges.capacity, **real)
    launch(
        radial_slopes,
        (tiles(edges.capacity, _LANES),),
        (edges.limit, graph.lengths, weights.frequencies6, gradients.edges, slopes),
        {"CAPACITY": edges.capacity, "RADIUS": 6.0, "ADD": False, "BLOCK": _LANES},
    )
    pulls = _bond_pulls(graph, weights, thetas, gradients)
    forces, totals = torch.empty(graph.n_atoms, 3, **real), torch.empty(graph.n_atoms, TOTALS, **real)
    pairs = (graph.edge_starts, graph.edges, graph.vectors, graph.lengths, slopes, pulls)
    launch(
        forces_and_virials,
        (graph.n_atoms,),
        (*pairs, *sites, forces, totals),
        {"EDGES": edges.capacity, "BLOCK": _LANES},
    )
    sums = sum_rows_of_structures(graph, totals)
    return sums[:, 9].clone(), forces, sums[:, :9].reshape(-1, 3, 3).clone()


def sum_rows_of_structures(graph: DeviceGraph, rows: torch.Tensor) -> torch.Tensor:
    """Sums (n_structures, 16) of rows (n_atoms, 16) over the atoms of each structure, float64."""
    sums = torch.empty(graph.n_structures, TOTALS, dtype=rows.dtype, device=rows.device)
    launch(sum_structures, (graph.n_structures,), (rows, graph.starts, sums), {"BLOCK": _LANES})
    return sums
