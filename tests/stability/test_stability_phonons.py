"""Harmonic vibrations against other codes; what needs phonopy skips where it is not installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.phonons import Phonons

from halion.errors import InputError, MissingDependency
from halion.potentials import PotentialFromAse
from halion.stability import PhononSettings, harmonic_free_energy, harmonic_state
from halion.units import BOLTZMANN_EV_PER_K as K
from halion.units import PLANCK_EV_PER_THZ

EMT_POTENTIAL = PotentialFromAse(EMT(), name="emt", elements=["Cu", "Ag", "Au"])
LATTICE = 3.59  # Angstrom, near EMT's minimum of copper
SETTINGS = PhononSettings(supercell=(4, 4, 4), mesh=(4, 4, 4))


@pytest.fixture(scope="module")
def copper():
    pytest.importorskip("phonopy", reason="phonopy is not installed: pip install 'halion[phonons]'")
    return harmonic_state(bulk("Cu", "fcc", a=LATTICE), EMT_POTENTIAL, (0.0, 300.0, 2000.0), SETTINGS)


@pytest.mark.parametrize("thz", [0.3, 3.0, 20.0])
@pytest.mark.parametrize("kelvin", [30.0, 300.0, 1500.0])
def test_one_oscillator_is_the_sum_over_its_levels(thz, kelvin):
    levels = PLANCK_EV_PER_THZ * thz * (np.arange(20_000) + 0.5)
    wanted = -K * kelvin * np.log(np.exp(-(levels - levels[0]) / (K * kelvin)).sum()) + levels[0]
    found = harmonic_free_energy(np.array([thz]), np.ones(1), kelvin)
    assert found == pytest.approx(wanted, rel=1e-9)


def test_cold_and_classical_limits():
    thz = np.array([1.0, 2.0, 5.0])
    assert harmonic_free_energy(thz, np.ones(3), 0.0) == pytest.approx(PLANCK_EV_PER_THZ * 4.0)
    assert harmonic_free_energy(thz, np.ones(3), 1.0) == pytest.approx(PLANCK_EV_PER_THZ * 4.0, rel=1e-9)
    kelvin = 1e5
    classical = K * kelvin * np.log(PLANCK_EV_PER_THZ * thz / (K * kelvin)).sum()
    # The next term is (h nu)^2 / 24 kT: 1e-6 of it here.
    assert harmonic_free_energy(thz, np.ones(3), kelvin) == pytest.approx(classical, rel=1e-6)


def test_frequencies_are_those_of_ase(copper, tmp_path):
    """ASE's phonons share no line with phonopy; both displace by 0.01 Angstrom in 4 x 4 x 4 cells."""
    phonons = Phonons(
        bulk("Cu", "fcc", a=LATTICE), EMT(), supercell=(4, 4, 4), delta=0.01, name=str(tmp_path / "ph")
    )
    phonons.run()
    phonons.read(acoustic=True)
    energies = np.array([phonons.band_structure([q])[0] for q in copper.q_points])
    # Central differences in ASE, one-sided and symmetrised ones in phonopy: they differ by the third order of the
    # potential, some 0.01 THz; images at half the supercell are shared out differently off its commensurate points,
    # which the 4 x 4 x 4 mesh has alone.
    assert np.allclose(np.sort(energies / PLANCK_EV_PER_THZ), np.sort(copper.frequencies_thz), atol=0.05)
    assert copper.imaginary == () and copper.note.startswith("No vibration is imaginary")


def test_free_energy_is_that_of_phonopy(copper):
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    atoms = bulk("Cu", "fcc", a=LATTICE)
    cell = PhonopyAtoms(symbols=["Cu"], cell=atoms.cell.array, scaled_positions=[[0, 0, 0]])
    phonons = Phonopy(cell, supercell_matrix=np.diag([4, 4, 4]), primitive_matrix=np.eye(3))
    phonons.generate_displacements(distance=0.01)
    from ase import Atoms

    phonons.forces = np.stack(
        [
            EMT_POTENTIAL.evaluate(Atoms(c.symbols, cell=c.cell, positions=c.positions, pbc=True)).forces
            for c in phonons.supercells_with_displacements
        ]
    )
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants()
    phonons.run_mesh((4, 4, 4), is_gamma_center=True)
    phonons.run_thermal_properties(temperatures=[0.0, 300.0, 2000.0], cutoff_frequency=0.05)
    wanted = np.array(phonons.thermal_properties.free_energy) / 96.48533  # kJ/mol
    # phonopy drops the translations by its cutoff; the residual forces of a perfect crystal are rounding.
    assert np.allclose(copper.free_energy, wanted, atol=1e-6)
    assert copper.zero_point == pytest.approx(copper.free_energy[0], rel=1e-12)


def test_the_cell_does_not_matter():
    pytest.importorskip("phonopy", reason="phonopy is not installed: pip install 'halion[phonons]'")
    small = PhononSettings(supercell=(4, 4, 4), mesh=(4, 4, 4))
    large = PhononSettings(supercell=(2, 2, 2), mesh=(2, 2, 2))
    one = harmonic_state(bulk("Cu", "fcc", a=LATTICE), EMT_POTENTIAL, (300.0,), small)
    eight = harmonic_state(bulk("Cu", "fcc", a=LATTICE) * (2, 2, 2), EMT_POTENTIAL, (300.0,), large)
    # The same 64 atoms and the same q-points folded.
    assert eight.free_energy[0] / 8 == pytest.approx(one.free_energy[0], abs=1e-6)
    assert eight.n_atoms == 8


def test_an_unstable_crystal_is_named_and_has_no_free_energy():
    pytest.importorskip("phonopy", reason="phonopy is not installed: pip install 'halion[phonons]'")
    found = harmonic_state(bulk("Cu", "sc", a=2.4), EMT_POTENTIAL, (300.0,), PhononSettings(supercell=(4, 4, 4)))
    assert found.imaginary and np.isnan(found.free_energy).all()
    assert np.isfinite(found.free_energy_real).all()
    assert found.imaginary[0][1] == pytest.approx(found.frequencies_thz.min())
    assert "imaginary, the lowest -" in found.note and "no minimum" in found.note


def test_without_phonopy_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "phonopy", None)
    with pytest.raises(MissingDependency, match="need phonopy") as error:
        harmonic_state(bulk("Cu"), EMT_POTENTIAL, (300.0,))
    assert "halion[phonons]" in error.value.fix


@pytest.mark.parametrize(
    ("kelvin", "settings", "said"),
    [
        ((), PhononSettings(), "no temperatures"),
        ((-1.0,), PhononSettings(), "no temperatures"),
        ((300.0,), PhononSettings(mesh=(0, 1, 1)), "make no phonons"),
        ((300.0,), PhononSettings(displacement=0.0), "make no phonons"),
    ],
)
def test_what_makes_no_phonons(kelvin, settings, said):
    with pytest.raises(InputError, match=said):
        harmonic_state(bulk("Cu"), EMT_POTENTIAL, kelvin, settings)
