"""The same crystal in another cell, setting or orientation has the same orderings, and no two of them are alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orderings_crystals import composed, li3ybr6, li3ycl6

from halion.crystal.types import DisorderedCrystal
from halion.orderings import (
    OrderingSet,
    choose_composition,
    count_orderings,
    enumerate_orderings,
    exclusion_distances,
)

PLENTY = 10**6
# Unimodular changes of basis, cell' = M @ cell: permuted axes, sheared cells, C2/m to I2/m.
CYCLE = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
SHEAR = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]])
I_CENTRED = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 1]])


def in_cell(parent: DisorderedCrystal, change: np.ndarray) -> DisorderedCrystal:
    """The same crystal on another basis of its lattice: x' = x M^-1, R' = M^-T R M^T, t' = t M^-1 (rows)."""
    inverse = np.linalg.inv(change)
    rotations = np.rint(inverse.T @ parent.rotations @ change.T).astype(int)
    orbits = tuple(replace(o, fractional=(o.fractional @ inverse + 1e-12) % 1.0) for o in parent.orbits)
    return replace(
        parent,
        cell=change @ parent.cell,
        orbits=orbits,
        rotations=rotations,
        translations=(parent.translations @ inverse + 1e-12) % 1.0,
    )


def as_its_own_supercell(parent: DisorderedCrystal, repeats: tuple[int, int, int]) -> DisorderedCrystal:
    """The supercell written as a crystal: every site and every operation with every lattice translation inside."""
    shifts = np.array([(i, j, k) for i in range(repeats[0]) for j in range(repeats[1]) for k in range(repeats[2])])
    scale = np.array(repeats)
    rotations = parent.rotations * scale[None, None, :] / scale[None, :, None]
    orbits = tuple(
        replace(o, fractional=((o.fractional[:, None] + shifts[None]) / scale).reshape(-1, 3) % 1.0)
        for o in parent.orbits
    )
    keep = np.abs(rotations - np.rint(rotations)).max(axis=(1, 2)) < 1e-9
    translations = ((parent.translations[keep][:, None] + shifts[None]) / scale).reshape(-1, 3) % 1.0
    return replace(
        parent,
        cell=scale[:, None] * parent.cell,
        orbits=orbits,
        rotations=np.repeat(np.rint(rotations[keep]).astype(int), len(shifts), axis=0),
        translations=translations,
    )


def orderings(parent: DisorderedCrystal, supercell: tuple[int, int, int] = (1, 1, 1)) -> OrderingSet:
    composition = choose_composition(parent, supercell)
    return enumerate_orderings(parent, composition, exclusions=exclusion_distances(parent, 2.5), limit=PLENTY)


def fingerprint(found: OrderingSet, index: int) -> tuple:
    """All distances within 5 Angstrom between each pair of elements, sorted: the same for equivalent orderings.

    It owes nothing to the permutations that the enumeration works with.
    """
    atoms = found.structure(index)
    vectors = atoms.positions[:, None] - atoms.positions[None]
    fractional = vectors @ np.linalg.inv(found.cell)
    images = np.array([(i, j, k) for i in (-2, -1, 0, 1, 2) for j in (-2, -1, 0, 1, 2) for k in (-2, -1, 0, 1, 2)])
    distances = np.linalg.norm((fractional[:, :, None] + images) @ found.cell, axis=-1)
    symbols = np.array(atoms.get_chemical_symbols())
    lists = []
    for one in sorted(set(symbols)):
        for other in sorted(set(symbols)):
            chosen = distances[np.ix_(symbols == one, symbols == other)]
            per_atom = [
                np.sort(row[(row > 1e-6) & (row < 5.0)]).round(3) for row in chosen.reshape(len(chosen), -1)
            ]
            lists.append((one, other, tuple(sorted(tuple(row.tolist()) for row in per_atom))))
    return tuple(lists)


def census(found: OrderingSet) -> Counter:
    """How many orderings, equivalent ones counted, show each fingerprint."""
    total: Counter = Counter()
    for index, multiplicity in enumerate(found.multiplicity.tolist()):
        total[fingerprint(found, index)] += multiplicity
    return total


@pytest.mark.parametrize("change", [CYCLE, SHEAR, CYCLE @ SHEAR], ids=["axes", "shear", "both"])
def test_another_basis_of_li3ycl6(change):
    parent = li3ycl6()
    one, other = orderings(parent), orderings(in_cell(parent, change))
    assert other.count == one.count
    assert other.total_allowed == one.total_allowed
    assert Counter(other.multiplicity.tolist()) == Counter(one.multiplicity.tolist())
    assert census(other) == census(one)


@pytest.mark.parametrize("change", [CYCLE, I_CENTRED, I_CENTRED @ I_CENTRED], ids=["axes", "I2/m", "twice"])
def test_another_setting_of_li3ybr6(change):
    parent = li3ybr6()
    one, other = orderings(parent), orderings(in_cell(parent, change))
    assert (other.count, other.total_allowed) == (one.count, one.total_allowed)
    assert census(other) == census(one)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_orientation_does_not_matter(seed):
    """The cell turned in space, mirror images included."""
    parent = li3ycl6()
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turned = replace(parent, cell=parent.cell @ rotation.T)
    one, other = orderings(parent), orderings(turned)
    assert np.array_equal(one.occupation, other.occupation)
    assert np.array_equal(one.multiplicity, other.multiplicity)
    assert fingerprint(one, 0) == fingerprint(other, 0)


@pytest.mark.parametrize("repeats", [(1, 1, 2), (1, 2, 1), (2, 1, 1)])
def test_a_supercell_is_its_own_crystal(repeats):
    """Li3YBr6 doubled along an axis, counted as a supercell and as a crystal of its own."""
    parent = li3ybr6()
    composition = choose_composition(parent, repeats)
    whole = as_its_own_supercell(parent, repeats)
    counts = {label: dict(part.counts) for part in composition.orbits for label in parent.orbits[part.orbit].labels}
    as_crystal = composed(whole, (1, 1, 1), counts)
    assert count_orderings(whole, as_crystal) == count_orderings(parent, composition)


@pytest.mark.parametrize("parent", [li3ycl6, li3ybr6])
def test_pymatgen_tells_all_representatives_apart(parent):
    """StructureMatcher, which knows nothing of our permutations, finds no two orderings alike."""
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.io.ase import AseAtomsAdaptor

    found = orderings(parent())
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, primitive_cell=False, scale=False)
    structures = [AseAtomsAdaptor.get_structure(found.structure(k)) for k in range(found.n_orderings)]
    assert len(matcher.group_structures(structures)) == found.n_orderings > 1


def test_exclusions_hold_in_distances():
    """No pair of cations nearer than the exclusion in any ordering, measured through the periodic border."""
    found = orderings(li3ybr6(), (1, 1, 2))
    images = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    for index in range(0, found.n_orderings, max(1, found.n_orderings // 200)):
        atoms = found.structure(index)
        cations = atoms[[symbol in ("Li", "Y") for symbol in atoms.get_chemical_symbols()]]
        vectors = cations.positions[:, None] - cations.positions[None]
        distances = np.linalg.norm(vectors[:, :, None] + images @ found.cell, axis=-1)
        assert distances[distances > 1e-6].min() >= 2.5
