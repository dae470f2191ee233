"""Relaxations against ASE run by hand, against their own end states, and what physics refuses."""

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from scipy.spatial.transform import Rotation

from halion.errors import Interrupted, PhysicsRefusal
from halion.potentials import EngineResult, Evaluation, PotentialFromAse
from halion.potentials.from_ase import split_arrays, stack_evaluations
from halion.ranking import Relaxation, relax
from halion.ranking.outcome import _max_displacement
from halion.records import from_record, to_record
from halion.settings import RankingSettings

SETTINGS = RankingSettings()
TIGHT = RankingSettings(force_tolerance_ev_per_angstrom=1e-4)


def alloy(seed: int = 0) -> Atoms:
    """Cu3Au, strained, sheared and rattled."""
    atoms = bulk("Cu", cubic=True, a=3.9)
    atoms.symbols[0] = "Au"
    atoms.rattle(0.1, seed=seed)
    strain = np.array([[0.02, 0.03, 0], [0, -0.03, 0], [0, 0.01, 0]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def test_reaches_the_minimum_that_ase_reaches(emt):
    """Another optimiser, driven by hand, to a hundredth of the tolerance: L1_2 Cu3Au."""
    relaxed = relax(alloy(), emt, TIGHT)
    by_hand = alloy()
    by_hand.calc = EMT()
    BFGS(FrechetCellFilter(by_hand), logfile=None).run(fmax=1e-6, steps=500)
    # Second order in the gradient that is left: (1e-4 eV/A)^2 / (1 eV/A^2) = 1e-8 eV.
    assert relaxed.energy == pytest.approx(by_hand.get_potential_energy() / 4, abs=1e-7)
    np.testing.assert_allclose(relaxed.atoms.cell.cellpar(), by_hand.cell.cellpar(), rtol=1e-3)
    assert relaxed.space_group_after == "Pm-3m"
    assert relaxed.space_group_before == "P1"


def test_description_is_of_the_end_state(emt):
    start = alloy()
    before = start.copy()
    relaxed = relax(start, emt, SETTINGS)
    assert start == before
    again = emt.evaluate(relaxed.atoms)
    assert relaxed.is_converged
    assert relaxed.energy == pytest.approx(again.energy / 4, abs=1e-12)
    assert relaxed.max_force == pytest.approx(np.linalg.norm(again.forces, axis=1).max(), abs=1e-12)
    assert relaxed.max_stress == pytest.approx(np.abs(again.stress).max(), abs=1e-12)
    assert relaxed.max_force < SETTINGS.force_tolerance_ev_per_angstrom
    # The cell's gradient per atom is stress * volume / atoms.
    gradient = np.linalg.norm(again.stress, axis=1).max() * relaxed.atoms.get_volume() / 4
    assert gradient < 1.2 * SETTINGS.force_tolerance_ev_per_angstrom
    assert relaxed.volume_change == pytest.approx(relaxed.atoms.get_volume() / start.get_volume() - 1)
    assert relaxed.n_steps > 10
    assert to_record(from_record(Relaxation, to_record(relaxed))) == to_record(relaxed)


def test_displacement_leaves_out_strain_and_drift(emt):
    """A crystal at its minimum, one atom moved by a known vector, wrapped far away: it comes back by that much."""
    minimum = relax(bulk("Cu", cubic=True), emt, TIGHT).atoms.repeat(2)
    moved = minimum.copy()
    vector = np.array([0.3, -0.2, 0.1])
    moved.positions[5] += vector
    moved.set_cell(moved.cell.array * 1.02, scale_atoms=True)
    moved.positions[3] += 4 * moved.cell.array[1]
    relaxed = relax(moved, emt, TIGHT)
    # Mean displacement removed: 31/32 of the vector is left to the atom, in the relaxed cell's lengths.
    assert relaxed.max_displacement == pytest.approx(np.linalg.norm(vector) * 31 / 32, rel=5e-3)
    assert relaxed.volume_change == pytest.approx(1.02**-3 - 1, abs=2e-3)


def test_a_common_shift_is_no_displacement():
    """The origin drifts by what is left of the net force in single precision; that is no motion."""
    start = alloy()
    end = start.copy()
    end.set_cell(end.cell.array * 1.1, scale_atoms=True)
    end.positions += (0.7, -0.4, 2.0)
    assert _max_displacement(start, end) == pytest.approx(0, abs=1e-12)
    end.positions[2] += (0.4, 0, 0)
    assert _max_displacement(start, end) == pytest.approx(0.4 * 3 / 4, abs=1e-12)


def test_a_minimum_stays(emt):
    minimum = relax(bulk("Cu", cubic=True), emt, TIGHT)
    again = relax(minimum.atoms, emt, SETTINGS)
    assert again.n_steps == 0
    assert again.is_converged
    assert again.max_displacement == pytest.approx(0, abs=1e-12)
    assert again.space_group_before == again.space_group_after == "Fm-3m"


def test_orientation_and_supercell_do_not_matter(emt):
    rotation = Rotation.random(random_state=1).as_matrix()
    start = alloy()
    turned = Atoms(start.numbers, positions=start.positions @ rotation, cell=start.cell.array @ rotation, pbc=True)
    one, other, many = (relax(atoms, emt, TIGHT) for atoms in (start, turned, start.repeat((2, 1, 1))))
    for result in (other, many):
        assert result.energy == pytest.approx(one.energy, abs=1e-6)
        assert result.volume_change == pytest.approx(one.volume_change, abs=1e-4)
        assert result.space_group_after == one.space_group_after


def test_nothing_is_printed_and_nothing_warned(emt, capfd):
    """Forty atoms: ASE takes the logarithm of forty times the deformation, and scipy warns at every step."""
    atoms = alloy().repeat((2, 5, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        relax(atoms, emt, RankingSettings(max_steps=5))
    assert capfd.readouterr() == ("", "")


def test_too_few_steps_are_told(emt):
    relaxed = relax(alloy(), emt, RankingSettings(max_steps=5))
    assert not relaxed.is_converged
    assert relaxed.n_steps == 5
    assert relaxed.max_force > SETTINGS.force_tolerance_ev_per_angstrom
    longer = relax(alloy(), emt, RankingSettings(max_steps=15))
    assert longer.energy < relaxed.energy


def test_progress_and_stop(emt):
    told = []
    relax(alloy(), emt, SETTINGS, progress=lambda done, total, state="": told.append((done, total, state)))
    assert told[0][:2] == (0, SETTINGS.max_steps)
    assert told[-1][0] == told[-1][1]
    assert "converged" in told[-1][2]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)

    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Interrupted, match="after 3 steps") as caught:
        relax(alloy(), emt, SETTINGS, stop=stop)
    assert "same command" in caught.value.fix


def test_explosion_is_refused():
    """A Lennard-Jones gas compressed tenfold: it expands without end."""
    potential = PotentialFromAse(LennardJones(sigma=2.5, epsilon=1.0, rc=7.0), name="lj", elements=["Ar"])
    atoms = Atoms("Ar4", scaled_positions=[(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)], cell=[2.4] * 3)
    atoms.pbc = True
    with pytest.raises(PhysicsRefusal, match="exploded"):
        relax(atoms, potential, SETTINGS)


class _Attraction:
    """E = sum k r^2 / 2 over one pair of a fixed cell: nothing keeps the two atoms apart."""

    name, weights_sha256, elements = "attraction", "", frozenset({"Li", "Cl"})

    def evaluate(self, atoms: Atoms) -> Evaluation:
        bond = atoms.positions[1] - atoms.positions[0]
        return Evaluation(energy=float(bond @ bond) / 2, forces=np.array([bond, -bond]), stress=np.zeros((3, 3)))

    def evaluate_arrays(self, numbers, positions, cells, counts) -> EngineResult:
        structures = split_arrays(numbers, positions, cells, counts)
        return stack_evaluations([self.evaluate(atoms) for atoms in structures], cells)


def test_fused_atoms_are_refused():
    atoms = Atoms("LiCl", positions=[(0, 0, 0), (1.5, 0.5, 0)], cell=[6, 6, 6], pbc=True)
    with pytest.raises(PhysicsRefusal, match=r"Li0 and Cl1 relaxed to 0\.0"):
        relax(atoms, _Attraction(), SETTINGS)


class _Broken(_Attraction):
    def evaluate(self, atoms: Atoms) -> Evaluation:
        good = super().evaluate(atoms)
        return Evaluation(energy=good.energy, forces=good.forces * np.nan, stress=good.stress)


def test_forces_that_are_not_finite_are_refused():
    atoms = Atoms("LiCl", positions=[(0, 0, 0), (1.5, 0.5, 0)], cell=[6, 6, 6], pbc=True)
    with pytest.raises(PhysicsRefusal, match="exploded"):
        relax(atoms, _Broken(), SETTINGS)


def test_chgnet_relaxes_rock_salt(chgnet):
    """LiCl: experiment 5.14 Angstrom at 300 K (CRC Handbook); PBE-trained potentials within 2 %."""
    atoms = bulk("LiCl", "rocksalt", a=5.6)
    atoms.rattle(0.1, seed=0)
    relaxed = relax(atoms, chgnet, SETTINGS)
    assert relaxed.is_converged
    assert relaxed.space_group_after == "Fm-3m"
    assert np.cbrt(4 * relaxed.atoms.get_volume()) == pytest.approx(5.14, rel=0.02)
    again = chgnet.evaluate(relaxed.atoms)
    assert again.energy / 2 == pytest.approx(relaxed.energy, abs=1e-9)
    assert np.linalg.norm(again.forces, axis=1).max() < SETTINGS.force_tolerance_ev_per_angstrom
