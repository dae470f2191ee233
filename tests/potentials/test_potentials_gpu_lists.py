"""The device's neighbour list against a loop over all images, and the graph of edges, bonds and angles from it."""

import itertools

import numpy as np
import pytest
import torch
from gpu_setup import DEVICE, small_batch

from halion.errors import InputError
from halion.potentials.gpu.lists import Capacity, DeviceGraph

ROOM = Capacity(slots=128, edges=800, bonds=80, angles=400)


def graph_of(positions, cells, counts, room=ROOM, skin=0.5) -> DeviceGraph:
    graph = DeviceGraph(list(counts), torch.device(DEVICE), room, skin)
    graph.update(on_device(positions), on_device(cells))
    return graph


def on_device(array) -> torch.Tensor:
    return torch.tensor(np.ascontiguousarray(array), dtype=torch.float64, device=DEVICE)


def naive_pairs(positions, cell, radius) -> list[tuple[int, ...]]:
    """(centre, neighbour, shift) of all pairs: every image that could matter, one after the other."""
    inverse = np.linalg.inv(cell)
    fractional = positions @ inverse
    reach = np.ceil(radius * np.linalg.norm(inverse, axis=0) + np.ptp(fractional, axis=0)).astype(int)
    shifts = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    found = []
    for i, j in itertools.product(range(len(positions)), repeat=2):
        lengths = np.linalg.norm(positions[i] - positions[j] - shifts @ cell, axis=1)
        found += [(i, j, *map(int, s)) for s in shifts[(lengths < radius) & ((i != j) | shifts.any(axis=1))]]
    return sorted(found)


def naive_batch(positions, cells, counts, radius) -> list[tuple[int, ...]]:
    found, first = [], 0
    for cell, count in zip(cells, counts):
        pairs = naive_pairs(positions[first : first + count], cell, radius)
        found += [(i + first, j + first, *shift) for i, j, *shift in pairs]
        first += count
    return found


def edges_of(graph: DeviceGraph, positions, cells) -> list[tuple[int, ...]]:
    """(centre, neighbour, shift) of the edges, the shift from their vectors."""
    n = int(graph.n_edges)
    centre, neighbour = graph.edges[0, :n].cpu().numpy(), graph.edges[1, :n].cpu().numpy()
    structure = graph.structure_of.cpu().numpy()[centre]
    offset = positions[centre] - positions[neighbour] - graph.vectors[:n].cpu().numpy()
    shift = np.einsum("ei,eij->ej", offset, np.linalg.inv(cells)[structure])
    assert np.abs(shift - np.rint(shift)).max() < 1e-9  # float64 and positions of about 10 Angstrom
    return list(zip(centre.tolist(), neighbour.tolist(), *np.rint(shift).astype(int).T.tolist()))


@pytest.fixture(scope="module")
def batch():
    _, positions, cells, counts = small_batch()
    return positions, cells, counts


@pytest.fixture(scope="module")
def graph(batch) -> DeviceGraph:
    return graph_of(*batch)


def test_edges_are_those_of_a_loop_in_canonical_order(graph, batch):
    positions, cells, counts = batch
    assert edges_of(graph, positions, cells) == naive_batch(positions, cells, counts, 6.0)


def test_list_covers_the_skin(graph, batch):
    assert int(graph.row_counts.sum()) == len(naive_batch(*batch, 6.5))


def test_reverse_edges_are_exact_negatives(graph):
    n = int(graph.n_edges)
    reverse = graph.edges[2, :n].long()
    assert torch.equal(reverse[reverse], torch.arange(n, device=DEVICE))
    assert torch.equal(graph.vectors[:n][reverse], -graph.vectors[:n])
    assert torch.equal(graph.edges[0, :n], graph.edges[1, :n][reverse])


def test_bonds_are_the_short_edges(graph):
    n, n_bonds = int(graph.n_edges), int(graph.n_bonds)
    short = torch.nonzero(graph.lengths[:n] < 3.0)[:, 0]
    assert n_bonds > 10 and torch.equal(graph.bonds[1, :n_bonds].long(), short)
    assert torch.equal(graph.edges[3, :n][short], torch.arange(n_bonds, device=DEVICE, dtype=torch.int32))
    assert int((graph.edges[3, :n] >= 0).sum()) == n_bonds
    reverse = graph.bonds[2, :n_bonds].long()
    assert torch.equal(graph.units[:n_bonds][reverse], -graph.units[:n_bonds])
    assert torch.equal(graph.bonds[0, :n_bonds].long(), graph.edges[0, :n][short].long())


def test_angles_are_ordered_pairs_of_bonds_of_one_centre(graph):
    n_bonds, n_angles = int(graph.n_bonds), int(graph.n_angles)
    centres = graph.bonds[0, :n_bonds].tolist()
    pairs = [(a, b) for a in range(n_bonds) for b in range(n_bonds) if a != b and centres[a] == centres[b]]
    first, second, centre, exchanged = (row.tolist() for row in graph.angles[:, :n_angles])
    assert list(zip(first, second)) == pairs and n_angles > 20
    assert centre == [centres[a] for a in first]
    assert all((first[x], second[x]) == (b, a) for x, (a, b) in zip(exchanged, pairs))
    starts = graph.first_angles[: n_bonds + 1].tolist()
    assert all(starts[a] <= k < starts[a + 1] for k, a in enumerate(first))


def test_small_moves_keep_the_list_and_large_ones_rebuild_that_structure(batch):
    positions, cells, counts = batch
    graph = graph_of(*batch)
    random = np.random.default_rng(1)
    near = positions + random.uniform(-0.14, 0.14, size=positions.shape)  # |u| < 0.2425 < 0.5 / 2
    graph.update(on_device(near), on_device(cells))
    assert graph.stale.tolist() == [0, 0]
    assert edges_of(graph, near, cells) == naive_batch(near, cells, counts, 6.0)
    far = near.copy()
    far[3] += [0.4, 0.0, 0.0]
    graph.update(on_device(far), on_device(cells))
    assert graph.stale.tolist() == [0, 1]
    assert edges_of(graph, far, cells) == naive_batch(far, cells, counts, 6.0)


def test_the_cell_can_make_a_list_stale(batch):
    positions, cells, counts = batch
    graph = graph_of(*batch)
    for strain, stale in ((0.01, 0), (0.09, 1)):  # 6.5 (1 - 0.01) > 6 > 6.5 (1 - 0.09)
        shear = np.eye(3)
        shear[0, 1] = strain
        graph.update(on_device(positions @ shear), on_device(cells @ shear))
        assert graph.stale.tolist() == [stale, stale]
        assert edges_of(graph, positions @ shear, cells @ shear) == naive_batch(
            positions @ shear, cells @ shear, counts, 6.0
        )


def test_atoms_may_be_anywhere(graph, batch):
    """Moved by whole cells, unevenly: the same vectors."""
    positions, cells, counts = batch
    moved = positions.copy()
    moved[1] += np.array([3, -5, 40]) @ cells[0]
    moved[4] += np.array([-7, 1, 0]) @ cells[1]
    other = graph_of(moved, cells, counts)
    n = int(graph.n_edges)
    assert edges_of(other, moved, cells) == naive_batch(moved, cells, counts, 6.0)
    lengths = [np.sort(one.lengths[:n].cpu().numpy()) for one in (graph, other)]
    assert np.abs(lengths[0] - lengths[1]).max() < 1e-12  # rounding of positions of 200 Angstrom


@pytest.mark.parametrize("small", ["slots", "bonds"])
def test_what_does_not_fit_is_told(batch, small):
    room = {"slots": 128, "edges": 800, "bonds": 80, "angles": 400}
    graph = graph_of(*batch, room=Capacity(**(room | {small: 16})))
    wanted = graph.look()
    assert getattr(wanted, small) > 16
    wider = graph_of(*batch, room=wanted)
    assert wider.look() is None and int(wider.n_angles) == int(graph_of(*batch).n_angles)


def test_needs_are_remembered_until_looked_at(batch):
    positions, cells, counts = batch
    graph = graph_of(positions, cells, counts, room=Capacity(slots=128, edges=800, bonds=10, angles=400))
    spread = cells * 3.0
    graph.update(on_device(positions), on_device(spread))
    assert int(graph.n_bonds) < 10  # this one fits
    assert graph.look().bonds > 10
    graph.update(on_device(positions), on_device(spread))
    assert graph.look() is None


def test_a_thin_cell_is_refused():
    graph = graph_of(np.zeros((1, 3)), np.diag([0.4, 20.0, 20.0])[None], [1])
    with pytest.raises(InputError, match="so thin"):
        graph.look()


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_an_exploded_run_has_no_neighbours_and_harms_no_other(batch):
    positions, cells, counts = batch
    broken = positions.copy()
    broken[0] = np.nan
    graph = graph_of(broken, cells, counts)
    centres = graph.edges[0, : int(graph.n_edges)]
    assert 0 not in centres.tolist()
    n = int(graph.n_edges)
    assert [e for e in edges_of(graph, np.nan_to_num(broken), cells) if e[0] >= 2] == [
        e for e in naive_batch(positions, cells, counts, 6.0) if e[0] >= 2
    ]
    assert n > 0
    graph.update(on_device(broken), on_device(cells))
    assert graph.stale.tolist() == [1, 0]


def test_an_atom_alone_has_no_edge():
    graph = graph_of(np.zeros((1, 3)), np.diag([20.0, 20.0, 20.0])[None], [1])
    assert [int(graph.n_edges), int(graph.n_bonds), int(graph.n_angles)] == [0, 0, 0]
