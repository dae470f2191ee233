"""Halion's own D3: the numbers of s-dftd3, the papers' sums, derivatives, symmetries."""

import importlib.util

import numpy as np
import pytest
from ase import Atoms, units
from dispersion_oracles import LIKE_LIBRARY, cases, committed, dimer, naive_energy
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import InputError, PhysicsRefusal
from halion.potentials import EngineResult, _dispersion
from halion.potentials.dispersion import PBE_D3BJ, D3Range
from halion.potentials.dispersion_engine import CompiledDispersion
from halion.potentials.dispersion_library import LibraryDispersion
from halion.potentials.from_ase import join_arrays

CASES = cases()
SHORT = D3Range(pairs=18.0, pairs_width=4.0, coordination=12.0, coordination_width=3.0)
D3 = CompiledDispersion()


def evaluate(atoms: Atoms, dispersion: CompiledDispersion = D3) -> EngineResult:
    return dispersion.evaluate(*join_arrays([atoms]))


def assert_close(one: EngineResult, other: EngineResult, tolerance: float) -> None:
    for key in ("energies", "forces", "virials"):
        np.testing.assert_allclose(getattr(one, key), getattr(other, key), rtol=0, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("kernels", _dispersion.usable_kernels())
@pytest.mark.parametrize("name", CASES)
def test_every_build_gives_the_numbers_of_s_dftd3(name, kernels):
    """Committed from s-dftd3 1.7.0, see `dispersion_oracles`. 1e-9: units of 2018 there."""
    assert_close(
        evaluate(CASES[name], CompiledDispersion(reach=LIKE_LIBRARY, kernels=kernels)), committed()[name], 1e-9
    )


def test_every_element_has_its_reference_values():
    """Dimers of elements 1 to 103 against s-dftd3; between references the tenth digit of a radius counts more."""
    found = D3.evaluate(*join_arrays([dimer(number) for number in range(1, 104)]))
    np.testing.assert_allclose(found.energies, committed()["dimers"], rtol=0, atol=1e-7)


@pytest.mark.skipif(importlib.util.find_spec("dftd3") is None, reason="dftd3 is not installed (extra dispersion)")
@pytest.mark.parametrize("name", CASES)
def test_s_dftd3_itself_says_so(name):
    assert_close(evaluate(CASES[name], LibraryDispersion(reach=LIKE_LIBRARY)), committed()[name], 1e-11)


@pytest.mark.parametrize(("name", "largest"), [("Li3YCl6", 1e-8), ("Li3YBr6", 1e-8), ("many elements", 1e-4)])
def test_the_smooth_end_of_coordination_numbers_changes_little(name, largest):
    """Halides lie beyond their last reference, where C6 is constant; other crystals feel 1e-3 of a neighbour."""
    assert_close(evaluate(CASES[name]), committed()[name], largest)


@pytest.mark.parametrize("name", CASES)
def test_energy_is_the_sum_of_the_papers(name):
    """Double precision: 1e-12 of energies of some eV."""
    fast = evaluate(CASES[name], CompiledDispersion(reach=SHORT)).energies[0]
    assert fast == pytest.approx(naive_energy(CASES[name], SHORT), abs=1e-12)


@pytest.mark.parametrize("distance", [3.0, 5.0, 9.0])
def test_two_argon_atoms_are_the_closed_form(distance):
    """C6 = 64.6462 a.u. (Grimme 2010), the only reference of argon; <r^4>/<r^2> = 5.6004."""
    found = evaluate(Atoms("Ar2", positions=[[0, 0, 0], [distance, 0, 0]], cell=[60] * 3, pbc=True))
    r, q, c6 = distance / units.Bohr, np.sqrt(0.5 * 5.6004 * np.sqrt(18)), 64.6462
    f = PBE_D3BJ.a1 * np.sqrt(3) * q + PBE_D3BJ.a2
    terms = np.array([c6, 3 * PBE_D3BJ.s8 * c6 * q**2])
    powers = np.array([6, 8])
    assert found.energies[0] == pytest.approx(-units.Hartree * (terms / (r**powers + f**powers)).sum(), rel=1e-8)
    slope = units.Hartree / units.Bohr * (terms * powers * r ** (powers - 1) / (r**powers + f**powers) ** 2).sum()
    np.testing.assert_allclose(found.forces, [[slope, 0, 0], [-slope, 0, 0]], rtol=1e-8, atol=1e-15)


@pytest.mark.parametrize("reach", [D3Range(), SHORT], ids=["default", "short"])
@pytest.mark.parametrize("name", ["Li3YCl3Br3", "small and skewed", "many elements"])
def test_forces_and_stress_are_derivatives(name, reach):
    """All forces and all strains by differences of fourth order: steps of 1e-3 leave some 1e-9 eV/Angstrom."""
    numbers, positions, cells, counts = join_arrays([CASES[name]])
    dispersion = CompiledDispersion(reach=reach)
    result = dispersion.evaluate(numbers, positions, cells, counts)

    def slope(moves: np.ndarray, strain: np.ndarray) -> float:
        steps = 1e-3 * np.array([-2.0, -1.0, 1.0, 2.0])
        bent = [np.eye(3) + step * strain for step in steps]
        places = [(positions + step * moves) @ b for step, b in zip(steps, bent)]
        energies = dispersion.evaluate(
            np.tile(numbers, 4),
            np.concatenate(places),
            np.concatenate([cells @ b for b in bent]),
            np.tile(counts, 4),
        ).energies
        return energies @ np.array([1, -8, 8, -1]) / 12e-3

    rest = np.zeros((3, 3))
    forces = [[-slope(np.outer(row, axis), rest) for axis in np.eye(3)] for row in np.eye(len(numbers))]
    np.testing.assert_allclose(result.forces, forces, rtol=0, atol=1e-8)
    for a, b in [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]:
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5
        strain[b, a] += 0.5
        assert result.virials[0, a, b] == pytest.approx(slope(0 * positions, strain), abs=1e-7)
    np.testing.assert_array_equal(result.virials[0], result.virials[0].T)
    np.testing.assert_allclose(result.forces.sum(axis=0), 0, atol=1e-12)


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    turned = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        turned = turned @ np.roll([[1, 0, 0], [0, c, -s], [0, s, c]], axis, axis=(0, 1))
    return turned


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["Li3YCl3Br3", "small and skewed", "sheared"]),
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    shift=st.tuples(*[st.floats(-30, 30)] * 3),
    seed=st.integers(0, 1000),
)
def test_results_turn_move_and_sort_with_the_atoms(name, angles, shift, seed):
    """Rotation, translation, order of atoms, images of atoms, another choice of lattice vectors."""
    atoms, rng, turned = CASES[name], np.random.default_rng(seed), rotation(angles)
    order = rng.permutation(len(atoms))
    wraps = rng.integers(-3, 4, size=(len(atoms), 3)) @ atoms.cell.array
    other_vectors = np.array([[1, 0, 0], [rng.integers(-2, 3), 1, 0], rng.integers(-2, 3, size=3)])
    other_vectors[2, 2] = 1
    moved = Atoms(
        atoms.numbers[order],
        positions=((atoms.positions + wraps + shift) @ turned)[order],
        cell=other_vectors @ atoms.cell.array @ turned,
        pbc=True,
    )
    one, other = evaluate(atoms), evaluate(moved)
    assert other.energies[0] == pytest.approx(one.energies[0], abs=1e-11)
    np.testing.assert_allclose(other.forces, (one.forces @ turned)[order], atol=1e-11)
    np.testing.assert_allclose(other.virials[0], turned.T @ one.virials[0] @ turned, atol=1e-10)


@pytest.mark.parametrize("times", [(2, 1, 1), (1, 3, 2)])
@pytest.mark.parametrize("name", ["Li3YBr6", "small and skewed"])
def test_a_supercell_is_so_many_cells(name, times):
    one, many = evaluate(CASES[name]), evaluate(CASES[name] * times)
    n = np.prod(times)
    assert many.energies[0] / n == pytest.approx(one.energies[0], abs=1e-12)
    np.testing.assert_allclose(many.forces, np.tile(one.forces, (n, 1)), atol=1e-12)
    np.testing.assert_allclose(many.virials / n, one.virials, atol=1e-11)


def test_a_batch_is_its_structures_to_the_last_bit():
    together = D3.evaluate(*join_arrays(list(CASES.values())))
    alone = [evaluate(atoms) for atoms in reversed(CASES.values())][::-1]
    np.testing.assert_array_equal(together.energies, np.concatenate([one.energies for one in alone]))
    np.testing.assert_array_equal(together.forces, np.concatenate([one.forces for one in alone]))
    np.testing.assert_array_equal(together.virials, np.concatenate([one.virials for one in alone]))


def test_the_energy_has_no_step_where_terms_end():
    """Two atoms drawn apart past the end: the energy is the work, which is not so where it is cut sharply."""
    apart = np.linspace(17.5, 18.5, 1001) * units.Bohr
    dispersion = CompiledDispersion(reach=SHORT)
    pairs = [Atoms("Cs2", positions=[[0, 0, 0], [0, 0, r]], cell=[40] * 3, pbc=True) for r in apart]
    found = dispersion.evaluate(*join_arrays(pairs))
    forces = found.forces.reshape(-1, 2, 3)[:, 1, 2]
    work = np.cumsum((forces[1:] + forces[:-1]) / 2 * np.diff(apart))
    np.testing.assert_allclose(found.energies[0] - found.energies[1:], work, atol=1e-9)
    assert found.energies[-1] == 0


def test_what_cannot_be_evaluated_is_refused():
    atoms = CASES["Li3YBr6"]
    met, collapsed, lost = atoms.copy(), atoms.copy(), atoms.copy()
    met.positions[3] = met.positions[4] + met.cell.array[0]
    collapsed.set_cell(atoms.cell.array * 0.3, scale_atoms=True)
    lost.positions[0, 0] = np.nan
    for bad in (met, collapsed, lost):
        with pytest.raises(PhysicsRefusal, match="structure 1 from 0"):
            D3.evaluate(*join_arrays([atoms, bad]))
    with pytest.raises(InputError, match="reference values for 1 to 103"):
        evaluate(Atoms([104], cell=[5] * 3, pbc=True))
    with pytest.raises(InputError, match="kernels"):
        CompiledDispersion(kernels="sse9")
