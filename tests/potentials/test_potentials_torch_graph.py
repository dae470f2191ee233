"""The graph against loops over images, against chgnet's own, and its numbering."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from potential_oracles import LIMNO2

from halion.potentials.chgnet_model import load_model
from halion.potentials.torch_graph import BOND_CUTOFF, build_graph, join_graphs, list_bonds


def naive_directed(positions, cell, cutoff):
    """Every directed bond by loops over atoms and over more images than can matter."""
    inverse = np.linalg.inv(cell)
    spread = np.abs(positions @ inverse).max(axis=0)
    # No bond reaches farther than this many cells: cutoff times the reciprocal vector, and the atoms' own spread.
    most = np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + 2 * spread).astype(int)
    found = []
    for i, j in itertools.product(range(len(positions)), repeat=2):
        for shift in itertools.product(*[range(-n, n + 1) for n in most]):
            vector = positions[i] - positions[j] - np.array(shift) @ cell
            if np.linalg.norm(vector) < cutoff and (i != j or any(shift)):
                found.append((i, j, *vector))
    return np.array(found).reshape(-1, 5)


def in_order(directed):
    """Rows sorted by their values, rounded so that noise does not decide."""
    return directed[np.lexsort(np.round(directed, 6).T[::-1])]


def directed_of(centres, neighbours, vectors):
    forward = np.column_stack([centres, neighbours, vectors])
    backward = np.column_stack([neighbours, centres, -vectors])
    return np.concatenate([forward, backward])


@st.composite
def cells(draw):
    """Cells from 2 to 9 Angstrom, skewed up to angles of 40 degrees and less, left-handed ones too."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    n_atoms = draw(st.integers(1, 4))
    cell = np.diag(rng.uniform(2.5, 8, size=3)) + np.tril(rng.normal(scale=2.5, size=(3, 3)), -1)
    cell = cell[rng.permutation(3)] * rng.choice([-1, 1], size=(3, 1))
    return rng.uniform(-1, 2, size=(n_atoms, 3)) @ cell, cell


@settings(max_examples=25, deadline=None)
@given(structure=cells(), cutoff=st.sampled_from([3.0, 4.5]))
def test_bonds_are_those_that_loops_find(structure, cutoff):
    positions, cell = structure
    naive = naive_directed(positions, cell, cutoff)
    lengths = np.linalg.norm(naive[:, 2:], axis=1)
    assume(not (np.abs(lengths - cutoff) < 1e-9).any())  # there rounding decides
    ours = directed_of(*list_bonds(positions, cell, cutoff))
    assert len(ours) == len(naive)
    np.testing.assert_allclose(in_order(ours), in_order(naive), atol=1e-9)


def test_a_very_flat_cell():
    """Angles of 10 degrees: images twelve cells away lie within the cutoff."""
    cell = np.array([[4.0, 0, 0], [40.0, 7.0, 0], [1.0, 2.0, 5.0]])
    positions = np.array([[0.1, 0.2, 0.3], [2.0, 3.0, 1.0]])
    naive, ours = naive_directed(positions, cell, 6.0), directed_of(*list_bonds(positions, cell))
    np.testing.assert_allclose(in_order(ours), in_order(naive), atol=1e-9)
    reduced = cell - [[0, 0, 0], 10 * cell[0], [0, 0, 0]]  # the same lattice
    np.testing.assert_allclose(in_order(directed_of(*list_bonds(positions, reduced))), in_order(naive), atol=1e-9)


def test_counts_of_limno2():
    """tests/test_crystal_graph.py of chgnet 0.4.2, cutoffs 5 and 3: 384 directed edges, 48 per atom, 744 angles."""
    centres, neighbours, _ = list_bonds(LIMNO2.positions, LIMNO2.cell.array, 5.0)
    assert len(centres) == 192
    assert set(np.bincount(np.concatenate([centres, neighbours]))) == {48}
    graph = build_graph(LIMNO2.numbers, LIMNO2.positions, LIMNO2.cell.array)
    assert len(graph.first) == 744
    atom_of_end = np.concatenate([graph.centres[graph.short], graph.neighbours[graph.short]])
    assert np.bincount(atom_of_end[graph.first])[0] == 72


@pytest.mark.parametrize("name", ["hot bromide", "sheared", "two atoms that see their own images"])
def test_counts_of_chgnets_converter(structures, name):
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms = structures[name]
    theirs = load_model().graph_converter(AseAtomsAdaptor.get_structure(atoms))
    ours = build_graph(atoms.numbers, atoms.positions, atoms.cell.array)
    assert (2 * len(ours.centres), len(ours.first)) == (len(theirs.atom_graph), len(theirs.bond_graph))


@settings(max_examples=25, deadline=None)
@given(structure=cells())
def test_angles_are_all_ordered_pairs_of_ends_at_an_atom(structure):
    positions, cell = structure
    graph = build_graph(np.full(len(positions), 17), positions, cell)
    centres, neighbours = graph.centres[graph.short], graph.neighbours[graph.short]
    ends = [*enumerate(centres), *((len(centres) + k, atom) for k, atom in enumerate(neighbours))]
    wanted = {(a, b) for (a, one), (b, other) in itertools.product(ends, ends) if a != b and one == other}
    assert len(graph.first) == len(wanted)
    assert set(zip(graph.first, graph.second, strict=True)) == wanted
    assert (np.linalg.norm(graph.vectors[graph.short], axis=1) < BOND_CUTOFF).all()


def test_graphs_joined_keep_their_bonds_and_angles(structures):
    """Vectors at the two ends of every angle, structure by structure, before and after."""
    graphs = [build_graph(atoms.numbers, atoms.positions, atoms.cell.array) for atoms in structures.values()]
    joined = join_graphs(graphs)

    def ends(graph):
        vectors = graph.vectors[graph.short]
        atoms = np.concatenate([graph.centres[graph.short], graph.neighbours[graph.short]])
        return atoms, np.concatenate([-vectors, vectors])

    assert len(joined.numbers) == sum(len(graph.numbers) for graph in graphs)
    bond, angle, atom = 0, 0, 0
    all_atoms, all_vectors = ends(joined)
    for k, graph in enumerate(graphs):
        n_bonds, n_angles, n_atoms = len(graph.centres), len(graph.first), len(graph.numbers)
        assert (joined.structures[atom : atom + n_atoms] == k).all()
        np.testing.assert_array_equal(joined.centres[bond : bond + n_bonds], graph.centres + atom)
        np.testing.assert_array_equal(joined.neighbours[bond : bond + n_bonds], graph.neighbours + atom)
        np.testing.assert_array_equal(joined.vectors[bond : bond + n_bonds], graph.vectors)
        atoms, vectors = ends(graph)
        for of in ("first", "second"):
            here, there = getattr(graph, of), getattr(joined, of)[angle : angle + n_angles]
            np.testing.assert_array_equal(all_atoms[there], atoms[here] + atom)
            np.testing.assert_array_equal(all_vectors[there], vectors[here])
        bond, angle, atom = bond + n_bonds, angle + n_angles, atom + n_atoms
