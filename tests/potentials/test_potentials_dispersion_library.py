"""Dispersion by s-dftd3: signs, units, and what is said where it is missing."""

import importlib.util

import numpy as np
import pytest
from ase import Atoms, units

from halion.errors import MissingDependency
from halion.potentials import load_potential
from halion.potentials.dispersion import PBE_D3BJ
from halion.potentials.dispersion_library import LibraryDispersion
from halion.potentials.from_ase import join_arrays

HAS_LIBRARY = importlib.util.find_spec("dftd3") is not None
needs_library = pytest.mark.skipif(not HAS_LIBRARY, reason="dftd3 is not installed (extra dispersion)")


@needs_library
def test_two_argon_atoms_far_apart_are_the_closed_form():
    """C6 = 64.6462 a.u. between two argon atoms (Grimme 2010); one reference, so no interpolation."""
    distance = 5.0
    arrays = join_arrays([Atoms("Ar2", positions=[[0, 0, 0], [distance, 0, 0]], cell=[60] * 3, pbc=True)])
    r, q = distance / units.Bohr, 0.5 * 5.6004 * np.sqrt(18)
    c6 = 64.6462
    c8, radius = 3 * c6 * q, PBE_D3BJ.a1 * np.sqrt(3 * q) + PBE_D3BJ.a2
    energy = -c6 / (r**6 + radius**6) - PBE_D3BJ.s8 * c8 / (r**8 + radius**8)
    assert LibraryDispersion().evaluate(*arrays).energies[0] == pytest.approx(energy * units.Hartree, rel=1e-5)


@needs_library
def test_forces_and_virial_are_derivatives_of_the_energy(structures):
    numbers, positions, cells, counts = join_arrays([structures["mixed halide"]])
    library, step = LibraryDispersion(), 1e-3
    result = library.evaluate(numbers, positions, cells, counts)

    def slope(change: np.ndarray, strain: np.ndarray) -> float:
        ends = []
        for sign in (1, -1):
            moved = np.eye(3) + sign * step * strain
            ends.append(
                library.evaluate(
                    numbers, (positions + sign * step * change) @ moved, cells @ moved, counts
                ).energies[0]
            )
        return (ends[0] - ends[1]) / (2 * step)

    change = np.zeros_like(positions)
    change[3, 1] = 1.0
    # Second-order differences of eV energies with steps of 1e-3: 1e-6 of third derivatives below 1.
    assert -slope(change, np.zeros((3, 3))) == pytest.approx(result.forces[3, 1], abs=1e-6)
    shear = np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 1.0]])
    wanted = float((shear * result.virials[0]).sum())
    assert slope(0 * change, shear) == pytest.approx(wanted, abs=1e-4)


@needs_library
def test_a_name_with_it(structures, chgnet):
    potential = load_potential("chgnet+d3-reference", threads=1)
    assert potential.name == "chgnet-0.3.0+d3-reference"
    assert potential.weights_sha256 != chgnet.weights_sha256
    atoms = structures["sheared"]
    added = LibraryDispersion().evaluate(*join_arrays([atoms]))
    whole, plain = potential.evaluate(atoms), chgnet.evaluate(atoms)
    assert whole.energy == pytest.approx(plain.energy + added.energies[0], abs=1e-5)
    np.testing.assert_allclose(whole.stress - plain.stress, added.virials[0] / atoms.get_volume(), atol=1e-6)


@pytest.mark.skipif(HAS_LIBRARY, reason="dftd3 is installed")
def test_without_the_library_the_extra_is_named():
    with pytest.raises(MissingDependency, match=r"halion\[dispersion\]"):
        load_potential("chgnet+d3-reference")
