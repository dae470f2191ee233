"""Frameworks told apart in any cell, and slid layers found."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.stability.frameworks import FrameworkRules, contact_stretch, find_transformed, fingerprint

RULES = FrameworkRules(mixed=("Cl", "Br"))


def packed(stacking: str, spacing: float = 3.8, guests: int = 0) -> Atoms:
    """Close-packed chlorine layers, stacked as the letters say, with lithium between them."""
    shift = {"A": 0.0, "B": 1 / 3, "C": 2 / 3}
    height = spacing * np.sqrt(2 / 3)
    cell = [[spacing, 0, 0], [-spacing / 2, spacing * np.sqrt(3) / 2, 0], [0, 0, height * len(stacking)]]
    layers = [(shift[letter], 2 * shift[letter] % 1, k / len(stacking)) for k, letter in enumerate(stacking)]
    lithium = [(0.1, 0.1, (k + 0.5) / len(stacking)) for k in range(len(stacking))]
    symbols = ["Br"] * guests + ["Cl"] * (len(stacking) - guests) + ["Li"] * len(stacking)
    return Atoms(symbols, scaled_positions=layers + lithium, cell=cell, pbc=True)


def turned(atoms: Atoms, seed: int) -> Atoms:
    """The same crystal in another supercell, turned and with its atoms in another order."""
    rng = np.random.default_rng(seed)
    while True:
        matrix = rng.integers(-1, 3, (3, 3))
        if 0 < np.linalg.det(matrix) <= 3.1:
            break
    made = make_supercell(atoms, matrix)
    made.rotate(float(rng.uniform(0, 180)), rng.normal(size=3), rotate_cell=True)
    return made[rng.permutation(len(made)).tolist()]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.8, 1.3))
def test_a_fingerprint_is_that_of_the_crystal(seed, scale):
    one = packed("ABC")
    other = turned(one, seed)
    other.set_cell(other.cell.array * scale, scale_atoms=True)
    # Rounding of distances of some tens of Angstrom.
    assert np.allclose(fingerprint(one, RULES), fingerprint(other, RULES), atol=1e-9)


def test_neither_mobile_ions_nor_the_arrangement_count():
    plain, mixed = packed("AB"), packed("AB", guests=1)
    mixed.positions[2:] += 0.7
    assert np.allclose(fingerprint(plain, RULES), fingerprint(mixed, RULES), atol=1e-12)


def test_a_cubic_packing_is_that_of_ase():
    cubic = bulk("Cl", "fcc", a=5.0, cubic=True)
    assert np.allclose(fingerprint(cubic, RULES), fingerprint(packed("ABC"), RULES), atol=1e-9)
    hexagonal = bulk("Cl", "hcp", a=3.8, c=3.8 * np.sqrt(8 / 3))
    assert np.allclose(fingerprint(hexagonal, RULES), fingerprint(packed("AB"), RULES), atol=1e-9)


def rattled(atoms: Atoms, seed: int, amplitude: float = 0.1) -> Atoms:
    made = atoms * (2, 2, 1)
    made.positions += np.random.default_rng(seed).normal(0, amplitude, made.positions.shape)
    return made


def test_what_became_the_other_phase_is_named():
    hexagonal = [rattled(packed("AB"), k) for k in range(3)]
    cubic = [rattled(packed("ABC"), k) for k in range(3)]
    cells = [*hexagonal, turned(packed("ABC"), 1), *cubic]
    found = find_transformed(["T"] * 4 + ["M"] * 3, [None] * 7, cells, RULES)
    assert [each.nearest for each in found] == ["T", "T", "T", "M", "M", "M", "M"]
    assert [bool(each.reason) for each in found] == [False, False, False, True, False, False, False]
    assert "its framework is nearest to that of M" in found[3].reason
    # Rattling smears shells; between the packings remains twice what it makes.
    assert found[3].nearest_distance < 0.6 * found[3].own


def slid(atoms: Atoms, by_cell: bool) -> Atoms:
    """The upper half of the layers of a hexagonal packing moved to the other hollows, or the cell sheared so."""
    made = atoms.copy()
    step = np.array([[0.0, 3.8 / np.sqrt(3), 0.0]])
    if by_cell:
        cell = made.cell.array
        cell[2] += step[0]
        made.set_cell(cell, scale_atoms=True)
    else:
        upper = made.get_scaled_positions()[:, 2] > 0.4
        made.positions[upper] += step
    return made


@pytest.mark.parametrize("by_cell", [False, True])
def test_slid_layers_are_found_although_no_phase_has_them(by_cell):
    start = packed("AB")
    found = find_transformed(["T"], [start], [slid(start, by_cell)], RULES)[0]
    assert found.nearest == "T" and found.stretch > 1.25
    assert "a contact of its framework grew by a factor of" in found.reason


def test_swelling_and_hopping_break_nothing():
    start = packed("ABC")
    end = start.copy()
    end.set_cell(1.08 * start.cell.array, scale_atoms=True)
    end.positions[3:] += 1.5  # lithium alone
    assert contact_stretch(start, end, RULES) == pytest.approx(1.0, abs=1e-12)
    assert find_transformed(["M"], [start], [end], RULES)[0].reason == ""
    strained = start.copy()
    strained.set_cell(start.cell.array @ np.diag([1.06, 1.0, 1.0]), scale_atoms=True)
    wanted = 1.06 / 1.06 ** (1 / 3)  # the contact along the strain
    assert contact_stretch(start, strained, RULES) == pytest.approx(wanted, rel=1e-9)


def test_without_a_start_the_fingerprint_is_all():
    found = find_transformed(["M"], [None], [packed("ABC")], RULES)[0]
    assert np.isnan(found.stretch) and found.reason == ""
