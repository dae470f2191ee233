"""Ewald energies against Madelung constants, against pymatgen, and against their symmetries."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Structure

from halion.crystal import builtin_crystal
from halion.errors import InputError, OrderingError
from halion.orderings import choose_composition
from halion.orderings.sites import supercell_sites
from halion.orderings.types import OrderingCount, OrderingSet
from halion.ranking import electrostatic_energies, ewald_matrix
from halion.ranking.electrostatics import OrderingEnergies, write_electrostatic_energies
from halion.units import COULOMB_EV_ANGSTROM

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


@pytest.mark.parametrize(
    ("name", "cell", "anion", "distance", "madelung"),
    [
        # Nearest-neighbour Madelung constants, OEIS A085469, A181152, A182566 (Sakamoto 1958).
        ("NaCl", FCC, (0.5, 0.5, 0.5), 0.5, 1.74756459463318),
        ("CsCl", np.eye(3), (0.5, 0.5, 0.5), np.sqrt(3) / 2, 1.76267477307099),
        ("ZnS", FCC, (0.25, 0.25, 0.25), np.sqrt(3) / 4, 1.63805505338879),
    ],
)
@pytest.mark.parametrize("lattice_constant", [1.0, 5.6, 40.0])
def test_madelung_constants(name, cell, anion, distance, madelung, lattice_constant):
    matrix = ewald_matrix(cell * lattice_constant, np.array([(0, 0, 0), anion]))
    charges = np.array([1.0, -1.0])
    energy = charges @ matrix @ charges / 2
    expected = -madelung * COULOMB_EV_ANGSTROM / (distance * lattice_constant)
    assert energy == pytest.approx(expected, rel=1e-12)


def random_cell(rng: np.random.Generator) -> np.ndarray:
    return np.diag(rng.uniform(4, 9, 3)) + rng.uniform(-1.5, 1.5, (3, 3))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_equals_pymatgen_for_every_ordering(ordering_set, seed):
    """Triclinic cells, sites 0.3 Angstrom apart that are never filled together, vacancies, several species."""
    rng = np.random.default_rng(seed)
    cell, n_pairs = random_cell(rng), 5
    sites = rng.uniform(size=(n_pairs, 3))
    split = sites + rng.uniform(-0.03, 0.03, (n_pairs, 3))
    fractional = np.concatenate([sites, split])
    charges = {"Li": 1.0, "Y": 3.0, "Br": -1.0, "O": -2.0}
    occupation = []
    for _ in range(3):
        row = np.zeros(2 * n_pairs, dtype=int)
        for pair, species in enumerate(rng.permutation([1, 2, 3, 3, 4])):
            row[pair + n_pairs * rng.integers(2)] = species
        occupation.append(row)
    found = ordering_set(cell, fractional, charges, occupation)
    for index, energy in enumerate(electrostatic_energies(found)):
        atoms = found.structure(index)
        structure = Structure(
            cell,
            atoms.get_chemical_symbols(),
            atoms.get_scaled_positions(),
            site_properties={"charge": [charges[symbol] for symbol in atoms.get_chemical_symbols()]},
        )
        structure.add_oxidation_state_by_site([charges[symbol] for symbol in atoms.get_chemical_symbols()])
        expected = EwaldSummation(structure, acc_factor=15).total_energy
        # Tens of eV; pymatgen's constant of nature and its own cutoffs agree to 1e-9 relative.
        assert energy * len(atoms) == pytest.approx(expected, abs=1e-6)


def test_supercell_and_origin_do_not_matter(ordering_set, lithium_yttrium_halide):
    one = lithium_yttrium_halide
    expected = electrostatic_energies(one)
    shifts = [(i, 0, k) for i in range(2) for k in range(3)]
    origin = np.array([0.3, -7.2, 0.1])
    fractional = np.concatenate([(one.fractional + shift) / (2, 1, 3) + origin for shift in shifts])
    charges = dict(zip(one.species[1:], one.charges[1:], strict=True))
    many = ordering_set(one.cell * np.array([[2], [1], [3]]), fractional, charges, np.tile(one.occupation, (1, 6)))
    np.testing.assert_allclose(electrostatic_energies(many), expected, atol=1e-10)


def test_order_of_sites_does_not_matter(ordering_set, lithium_yttrium_halide):
    one = lithium_yttrium_halide
    order = np.random.default_rng(0).permutation(len(one.fractional))
    charges = dict(zip(one.species[1:], one.charges[1:], strict=True))
    shuffled = ordering_set(one.cell, one.fractional[order], charges, one.occupation[:, order])
    np.testing.assert_allclose(electrostatic_energies(shuffled), electrostatic_energies(one), atol=1e-12)


def test_many_batches_equal_one_by_one(ordering_set, lithium_yttrium_halide, monkeypatch):
    """More rows than one matrix product holds, progress told to the end."""
    expected = electrostatic_energies(lithium_yttrium_halide)
    monkeypatch.setattr("halion.ranking.electrostatics._ROWS_PER_BATCH", 3)
    told = []
    energies = electrostatic_energies(
        lithium_yttrium_halide, lambda done, total, state="": told.append((done, total))
    )
    np.testing.assert_allclose(energies, expected, atol=1e-13)
    assert told == [(3, 4), (4, 4)]


def test_scaling_law(lithium_yttrium_halide):
    """Coulomb energies scale as one over length."""
    one = lithium_yttrium_halide
    np.testing.assert_allclose(
        ewald_matrix(one.cell * 2.5, one.fractional) * 2.5, ewald_matrix(one.cell, one.fractional), atol=1e-10
    )


def test_charged_ordering_is_refused(ordering_set):
    charged = ordering_set(np.eye(3) * 5, [(0, 0, 0), (0.5, 0.5, 0.5)], {"Li": 1.0, "O": -2.0}, [[1, 2]])
    with pytest.raises(InputError, match=r"ordering 0 carries a charge of -1 e"):
        electrostatic_energies(charged)


def test_sites_on_one_point(ordering_set):
    """Told apart by occupation: never filled together, they are harmless; filled together, refused."""
    fractional = [(0, 0, 0), (1.0, 0, 1e-5), (0.5, 0.5, 0.5)]
    alone = ordering_set(np.eye(3) * 5, fractional, {"Li": 1.0, "Cl": -1.0}, [[1, 0, 2], [0, 1, 2]])
    energies = electrostatic_energies(alone)
    assert np.isfinite(energies).all()
    # 1e-5 of a symmetric position: second order.
    assert energies[0] == pytest.approx(energies[1], abs=1e-8)
    both = ordering_set(np.eye(3) * 5, fractional, {"Li": 0.5, "Cl": -1.0}, [[1, 1, 2]])
    with pytest.raises(OrderingError, match="fills sites 0 and 1"):
        electrostatic_energies(both)


def test_energies_are_written_as_they_come(ordering_set, lithium_yttrium_halide, tmp_path, monkeypatch):
    monkeypatch.setattr("halion.ranking.electrostatics._ROWS_PER_BATCH", 3)
    path = write_electrostatic_energies(lithium_yttrium_halide, tmp_path / "energies.csv")
    lines = path.read_text().splitlines()
    assert lines[0] == "ordering,multiplicity,electrostatic_energy_ev_per_atom"
    columns = list(zip(*(line.split(",") for line in lines[1:]), strict=True))
    assert columns[0] == ("0", "1", "2", "3")
    assert columns[1] == ("1",) * 4
    # The shortest form that reads back the same: bit for bit.
    assert [float(text) for text in columns[2]] == electrostatic_energies(lithium_yttrium_halide).tolist()


def madelung_oracle(found, index) -> float:
    """pymatgen's EwaldSummation of one ordering, eV per cell."""
    atoms = found.structure(index)
    charge_of = dict(zip(found.species, found.charges, strict=True))
    structure = Structure(found.cell, atoms.get_chemical_symbols(), atoms.get_scaled_positions())
    structure.add_oxidation_state_by_site([charge_of[symbol] for symbol in atoms.get_chemical_symbols()])
    return EwaldSummation(structure, acc_factor=15).total_energy


def drawn_orderings(name: str, supercell: tuple[tuple[int, int, int], ...], n: int) -> OrderingSet:
    """The atoms of a built-in crystal's composition on random sites of their orbits."""
    crystal = builtin_crystal(name)
    composition, sites = choose_composition(crystal, supercell), supercell_sites(crystal, supercell)
    species, rng = ("", *crystal.charges), np.random.default_rng(3)
    occupation = np.zeros((n, len(sites.site_orbit)), dtype=np.uint8)
    for orbit in composition.orbits:
        held = [species.index(element) for element, count in orbit.counts.items() for _ in range(count)]
        for row in occupation:
            row[rng.permutation(np.flatnonzero(sites.site_orbit == orbit.orbit))[: len(held)]] = held
    return OrderingSet(
        crystal_name=crystal.name,
        compositions=(composition,),
        count=OrderingCount(total=n, distinct=n, group_order=1),
        exclusions=(),
        total_allowed=n,
        cell=sites.cell,
        fractional=sites.fractional,
        site_orbit=sites.site_orbit,
        species=species,
        charges=np.array([0.0, *crystal.charges.values()]),
        occupation=occupation,
        multiplicity=np.ones(n, dtype=np.int64),
    )


@pytest.mark.parametrize(
    ("name", "supercell"),
    [
        ("Li3YCl3Br3", ((1, 0, 0), (0, 1, 0), (0, 0, 2))),
        ("Li3YCl3Br3", ((1, 0, 0), (0, 1, 0), (1, 0, 2))),
        ("Li3YBr6", ((1, 0, 0), (1, 2, 0), (0, 1, 1))),
        ("Li3YCl6", ((1, 0, 0), (1, 1, 0), (0, 1, 1))),
    ],
)
def test_only_the_sites_that_vary_are_summed(name, supercell):
    """Anions full or mixed are one charge, cations alone vary; skewed cells too are those of pymatgen."""
    found = drawn_orderings(name, supercell, 3)
    assert 0 < OrderingEnergies(found)._varies.sum() < len(found.fractional)
    energies = electrostatic_energies(found)
    for index in range(3):
        n_atoms = len(found.structure(index))
        assert energies[index] * n_atoms == pytest.approx(madelung_oracle(found, index), abs=1e-6)
    # The whole matrix, nothing left out: double precision on hundreds of eV.
    charges = found.charges[found.occupation]
    whole = np.einsum("ij,jk,ik->i", charges, ewald_matrix(found.cell, found.fractional), charges) / 2
    np.testing.assert_allclose(energies, whole / (found.occupation > 0).sum(axis=1), atol=1e-10)
    moved = dataclasses.replace(found, occupation=found.occupation.copy())
    full = np.flatnonzero(~OrderingEnergies(found)._varies)[0]
    moved.occupation[2, full] = 0
    with pytest.raises(OrderingError, match="ordering 2 changes the charge of a site"):
        electrostatic_energies(moved)
