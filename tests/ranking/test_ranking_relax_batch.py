"""Many structures relaxed together: each as it would alone, the bad ones alone in their misfortune."""

from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from halion.errors import InputError, Interrupted, PhysicsRefusal
from halion.potentials import EngineResult, PotentialCalculator, PotentialFromAse
from halion.ranking import Relaxation, relax, relax_batch, relax_each
from halion.records import to_record
from halion.settings import RankingSettings

SETTINGS = RankingSettings()


def alloys(n: int) -> list[Atoms]:
    """Copper with gold, 4 or 8 atoms, strained and rattled."""
    made = []
    for seed in range(n):
        atoms = bulk("Cu", cubic=True, a=3.8 + 0.1 * (seed % 3)).repeat((1, 1, 1 + seed % 2))
        atoms.symbols[seed % len(atoms)] = "Au"
        atoms.rattle(0.08, seed=seed)
        made.append(atoms)
    return made


def test_each_relaxes_as_alone(emt):
    """To the last bit: EMT does not know of batches, and neither does FIRE."""
    structures = alloys(4)
    before = [atoms.copy() for atoms in structures]
    together = relax_batch(structures, emt, SETTINGS)
    assert structures == before
    for atoms, outcome in zip(structures, together, strict=True):
        assert to_record(outcome) == to_record(relax(atoms, emt, SETTINGS))
    assert len({outcome.n_steps for outcome in together}) > 1


def test_the_energy_before_relaxation_is_kept(emt):
    """Also of one that joins when another has left, and of one that takes no step at all."""
    structures = alloys(4)
    relaxed = dict(relax_each(structures, emt, SETTINGS, atoms_at_once=9))
    for k, atoms in enumerate(structures):
        assert relaxed[k].static_energy == pytest.approx(emt.evaluate(atoms).energy / len(atoms), abs=1e-12)
        assert relaxed[k].static_energy > relaxed[k].energy
    again = relax(relaxed[0].atoms, emt, SETTINGS)
    assert (again.n_steps, again.static_energy) == (0, again.energy)


def by_ase(atoms: Atoms, potential) -> tuple[Atoms, int]:
    """ASE's FIRE and cell filter, as a user would run them."""
    relaxed = atoms.copy()
    relaxed.calc = PotentialCalculator(potential)
    optimizer = FIRE(FrechetCellFilter(relaxed), logfile=None)
    optimizer.run(fmax=SETTINGS.force_tolerance_ev_per_angstrom, steps=SETTINGS.max_steps)
    return relaxed, optimizer.nsteps


def test_same_minima_as_ase_in_as_many_steps(emt):
    structures = alloys(4)
    for atoms, outcome in zip(structures, relax_batch(structures, emt, SETTINGS), strict=True):
        relaxed, n_steps = by_ase(atoms, emt)
        assert outcome.n_steps == n_steps
        assert outcome.energy == pytest.approx(relaxed.get_potential_energy() / len(atoms), abs=1e-10)
        np.testing.assert_allclose(outcome.atoms.positions, relaxed.positions, atol=1e-9)
        np.testing.assert_allclose(outcome.atoms.cell.array, relaxed.cell.array, atol=1e-9)


def test_same_minima_as_ase_with_chgnet(chgnet):
    """Forces rounded to single precision part the paths after some tens of steps; 0.1 meV/atom is the bound."""
    structures = []
    for name, length in (("LiCl", 5.4), ("LiBr", 5.6)):
        atoms = bulk(name, "rocksalt", a=length)
        atoms.rattle(0.1, seed=0)
        structures.append(atoms)
    for atoms, outcome in zip(structures, relax_batch(structures, chgnet, SETTINGS), strict=True):
        relaxed, _ = by_ase(atoms, chgnet)
        assert outcome.is_converged
        assert outcome.energy == pytest.approx(relaxed.get_potential_energy() / 2, abs=1e-4)
        assert outcome.atoms.get_volume() == pytest.approx(relaxed.get_volume(), rel=1e-3)


def test_partners_do_not_matter_with_the_compiled_engine(lithium_yttrium_halide, chgnet):
    """The engine keeps neighbour lists by place in the batch; places change as structures leave, results do not."""
    structures = [lithium_yttrium_halide.structure(k) for k in range(4)]
    structures[1] = relax(structures[1], chgnet, RankingSettings(max_steps=40)).atoms  # leaves before the others
    few = RankingSettings(max_steps=25, force_tolerance_ev_per_angstrom=0.15)
    alone = [relax(atoms, chgnet, few) for atoms in structures]
    assert len({outcome.n_steps for outcome in alone}) > 1
    for atoms_at_once in (20, 100):
        for k, outcome in relax_each(structures, chgnet, few, atoms_at_once=atoms_at_once):
            assert to_record(outcome) == to_record(alone[k])


@pytest.mark.slow
def test_same_minima_as_ase_for_orderings(lithium_yttrium_halide, chgnet):
    """Li3YBr6, the vacancy on each of four Li sites: soft modes, hundreds of steps."""
    structures = [lithium_yttrium_halide.structure(k) for k in range(4)]
    for atoms, outcome in zip(structures, relax_batch(structures, chgnet, SETTINGS), strict=True):
        relaxed, _ = by_ase(atoms, chgnet)
        assert outcome.is_converged
        assert outcome.energy == pytest.approx(relaxed.get_potential_energy() / len(atoms), abs=1e-4)


@pytest.mark.parametrize("atoms_at_once", [1, 14, 1000])
def test_places_are_refilled(emt, atoms_at_once):
    structures = alloys(5)
    sizes = []

    class Watched:
        name, weights_sha256, elements = "watched", "", emt.elements

        def evaluate_arrays(self, numbers, positions, cells, counts) -> EngineResult:
            sizes.append(list(counts))
            return emt.evaluate_arrays(numbers, positions, cells, counts)

    found = list(relax_each(structures, Watched(), SETTINGS, atoms_at_once=atoms_at_once))
    assert sorted(k for k, _ in found) == list(range(5))
    alone = relax_batch(structures, emt, SETTINGS)
    assert all(to_record(outcome) == to_record(alone[k]) for k, outcome in found)
    assert all(len(counts) == 1 or sum(counts) <= atoms_at_once for counts in sizes)
    if atoms_at_once == 14:  # sizes 4, 8, 4, 8, 4: two fit, then whoever fits beside those that stay
        assert sizes[0] == [4, 8]
        assert sum(one != other for one, other in pairwise(sizes)) >= 3
    if atoms_at_once == 1000:
        assert sizes[0] == [len(atoms) for atoms in structures]
        # In the order in which they finish, not in that of their places.
        assert [outcome.n_steps for _, outcome in found] == sorted(outcome.n_steps for _, outcome in found)


def argon(length: float) -> Atoms:
    sites = [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]
    return Atoms("Ar4", scaled_positions=sites, cell=[length] * 3, pbc=True)


def test_an_explosion_stays_alone():
    """A Lennard-Jones crystal and one compressed tenfold, which expands without end."""
    potential = PotentialFromAse(
        LennardJones(sigma=2.5, epsilon=0.1, rc=7.0, smooth=True), name="lj", elements=["Ar"]
    )
    good, bad = argon(3.8), argon(2.4)
    first, exploded, second = relax_batch([good, bad, good], potential, SETTINGS)
    assert isinstance(exploded, PhysicsRefusal)
    assert "exploded" in exploded.what
    assert to_record(first) == to_record(second) == to_record(relax(good, potential, SETTINGS))
    assert first.is_converged


class _Picky:
    """Refuses the whole batch, as potentials do, when a structure with silver in it is too small."""

    name, weights_sha256, elements = "picky", "", frozenset({"Cu", "Au", "Ag"})

    def __init__(self, emt, smallest_volume: float, as_nan: bool = False) -> None:
        self.emt, self.smallest, self.as_nan = emt, smallest_volume, as_nan

    def evaluate_arrays(self, numbers, positions, cells, counts) -> EngineResult:
        result = self.emt.evaluate_arrays(numbers, positions, cells, counts)
        has_silver = np.array([(one == 47).any() for one in np.split(numbers, np.cumsum(counts)[:-1])])
        small = has_silver & (np.linalg.det(cells) / counts < self.smallest)
        if small.any() and not self.as_nan:
            raise PhysicsRefusal(f"{small.sum()} too small", fix="nothing")
        virials = np.where(small[:, None, None], np.nan, result.virials)
        return EngineResult(energies=result.energies, forces=result.forces, virials=virials)


@pytest.mark.parametrize("as_nan", [False, True])
def test_a_refusal_stays_alone(emt, as_nan):
    """Whether the potential refuses it or gives numbers that are none, at the start or under way."""
    structures = alloys(4)
    for k, scale in ((1, 0.9), (3, 1.03)):  # too small from the start; shrinking below the bound under way
        structures[k].symbols[0] = "Ag"
        structures[k].set_cell(structures[k].cell.array * scale, scale_atoms=True)
    bound = 1.01 * relax(structures[3], emt, SETTINGS).atoms.get_volume() / len(structures[3])
    picky = _Picky(emt, bound, as_nan)
    outcomes = relax_batch(structures, picky, SETTINGS)
    for atoms, outcome in zip(structures, outcomes, strict=True):
        try:
            alone = relax(atoms, picky, SETTINGS)
        except PhysicsRefusal as refusal:
            assert isinstance(outcome, PhysicsRefusal)
            assert outcome.what == refusal.what
        else:
            assert to_record(outcome) == to_record(alone)
    assert [isinstance(outcome, Relaxation) for outcome in outcomes] == [True, False, True, False]


def test_an_unknown_element_is_bad_input_for_all(emt):
    with pytest.raises(InputError, match="Xe"):
        relax_batch([bulk("Cu"), bulk("Xe", "fcc", a=6.0)], emt, SETTINGS)


def test_nothing_to_relax(emt):
    assert relax_batch([], emt, SETTINGS) == []


def test_progress_counts_structures(emt):
    told = []
    outcomes = relax_batch(
        alloys(3), emt, SETTINGS, progress=lambda done, total, state="": told.append((done, total, state))
    )
    assert all(total == 3 for _, total, _ in told)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[0][0] == 0
    assert told[-1][0] == 3
    assert len(told) == max(outcome.n_steps for outcome in outcomes) + 1
    assert "largest force" in told[0][2]


def test_stop_tells_how_many_were_left(emt):
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 5

    with pytest.raises(Interrupted, match="3 of 3 relaxations") as caught:
        relax_batch(alloys(3), emt, SETTINGS, stop=stop)
    assert "same command" in caught.value.fix


def test_what_is_finished_is_given_before_the_stop(emt):
    """Whoever writes results as they come loses none of them."""
    given = []
    with pytest.raises(Interrupted, match="2 of 3 relaxations"):
        for k, outcome in relax_each(alloys(3), emt, SETTINGS, stop=lambda: bool(given)):
            given.append((k, outcome))
    assert len(given) == 1


def test_steps_run_out_for_each(emt):
    outcomes = relax_batch(alloys(3), emt, RankingSettings(max_steps=4))
    assert [(one.n_steps, one.is_converged) for one in outcomes] == [(4, False)] * 3
