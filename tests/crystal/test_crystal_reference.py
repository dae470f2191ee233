"""Refined crystals of other people: taken with the right notes."""

from __future__ import annotations

import numpy as np
import pytest
from crystal_files import reference, reference_crystals

from halion.crystal import read_crystal

# file -> formula, space group, Wyckoff letters in the order of the file, number of operations
FACTS = {
    "ei3_Li3YCl6": ("Li9 Y3 Cl18", "P-3m1", "6h 6g 2d 2d 1a 6i 6i 6i", 12),
    "LYC_model": ("Li9 Y3 Cl18", "P-3m1", "1a 2d 2d 6h 6g 6i 6i 6i", 12),
    "elz_Li3YBr6": ("Li6 Y2 Br12", "C2/m", "8j 4g 4h 2a 8j 4i", 8),
    "LYB_model": ("Li6 Y2 Br12", "C2/m", "2a 4h 4g 8j 8j 4i", 8),
    "LYB_octahedral_parent": ("Li6 Y2 Br12", "C2/m", "2a 4g 4h 2d 8j 4i", 8),
    "LYCB_x3_Delft": ("Li6 Y2 Br6 Cl6", "C2/m", "2a 4g 4h 8j 8j 4i", 8),
    "de5_Li3InCl6": ("Li6 In2.03 Cl12", "C2/m", "4h 2d 4g 2a 8j 4i", 8),
    "122_Li6PS5Cl_Kraft2017": ("Li24 P4 S20 Cl4", "F-43m", "48h 4b 16e 4a 4d", 96),
    "7w5_Li6.75La3Zr1.75Ta0.25O12": ("Li54 La24 Zr14 Ta2 O96", "Ia-3d", "96h 24d 24c 16a 96h", 96),
    "j8q_Li10GeP2S12_ICSD188887": ("Li20.056 Ge2 P4 S24", "P4_2/nmc", "16h 8f 4c 4d 4d 2b 8g 8g 8g", 16),
    "nhq_Li3PS4_beta": ("Li12 P4 S16", "Pnma", "8d 4b 4c 4c 8d 4c 4c", 8),
}
CHARGES = {"de5_Li3InCl6": 0.09, "j8q_Li10GeP2S12_ICSD188887": 0.056}


@pytest.mark.parametrize("name", FACTS)
def test_formula_group_letters(name):
    formula, symbol, letters, order = FACTS[name]
    crystal = read_crystal(reference(f"{name}.cif"))
    assert crystal.formula == formula
    assert crystal.space_group == symbol
    assert [orbit.wyckoff for orbit in crystal.orbits] == letters.split()
    assert len(crystal.rotations) == len(crystal.translations) == order
    # In these conventional cells the Wyckoff multiplicity is the number of sites.
    assert all(orbit.wyckoff[:-1] == str(orbit.n_sites) for orbit in crystal.orbits)


@pytest.mark.parametrize("name", FACTS)
def test_charge_and_its_note(name):
    crystal = read_crystal(reference(f"{name}.cif"))
    assert crystal.charge_origin == "assigned"
    assert any("assigned from common oxidation states" in note for note in crystal.notes)
    # elz's Y occupancies sum to 1.99998 atoms: 6e-5 e.
    assert crystal.charge == pytest.approx(CHARGES.get(name, 0.0), abs=2e-4)
    assert any("net charge" in note for note in crystal.notes) == (name in CHARGES)


def test_no_reference_crystal_is_forgotten():
    found = {path.stem for path in reference_crystals()}
    if not found:
        pytest.skip("the reference crystals are not at hand")
    assert found == set(FACTS)


def test_li3ps4_contradicts_itself_openly():
    crystal = read_crystal(reference("nhq_Li3PS4_beta.cif"))
    contradiction = [note for note in crystal.notes if "contradicts itself" in note]
    assert len(contradiction) == 1
    assert contradiction[0].startswith("Li2 and S6 stand 1.4")
    assert [pair.occupancy_sum for pair in crystal.close_pairs] == pytest.approx([1.3])


def test_bromide_exclusions_are_those_known():
    crystal = read_crystal(reference("elz_Li3YBr6.cif"))
    labels = [tuple(crystal.orbits[k].labels[0] for k in pair.orbits) for pair in crystal.close_pairs]
    assert labels == [("Li0", "Li1"), ("Li0", "Li2"), ("Li0", "Li0"), ("Li0", "Y4")]
    # Distances and occupancy sums found with pymatgen and spglib, printed to 0.01 and 0.001.
    assert [pair.distance for pair in crystal.close_pairs] == pytest.approx([2.15, 2.31, 2.44, 2.85], abs=6e-3)
    assert [pair.occupancy_sum for pair in crystal.close_pairs] == pytest.approx(
        [0.629, 0.968, 0.190, 0.902], abs=6e-4
    )


@pytest.mark.parametrize("name", FACTS)
def test_sites_and_occupancies_are_those_of_pymatgen(name):
    """Another parser expands the same file to the same sites (pymatgen, CifParser, its defaults)."""
    from pymatgen.core import Structure

    path = reference(f"{name}.cif")
    theirs = Structure.from_file(path)
    ours = read_crystal(path)
    assert len(theirs) == len(ours.fractional)
    occupancies = [orbit.occupancy for orbit in ours.orbits for _ in range(orbit.n_sites)]
    for fractional, occupancy in zip(ours.fractional, occupancies):
        steps = theirs.frac_coords - fractional
        nearest = np.argmin(np.linalg.norm(steps - np.round(steps), axis=1))
        step = steps[nearest] - np.round(steps[nearest])
        assert np.abs(step).max() < 1e-5  # coordinates are printed with eight digits, models with four
        stated = {e.symbol: x for e, x in theirs[nearest].species.items()}
        assert stated == pytest.approx(occupancy, abs=1e-6)


def test_shortest_contact_is_that_of_pymatgen():
    from pymatgen.core import Structure

    path = reference("nhq_Li3PS4_beta.cif")
    matrix = Structure.from_file(path).distance_matrix
    shortest = matrix[~np.eye(len(matrix), dtype=bool)].min()
    assert read_crystal(path).close_pairs[0].distance == pytest.approx(shortest, abs=1e-6)
