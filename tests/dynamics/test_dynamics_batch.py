"""Batches: runs of any size and kind side by side end in the bits of each alone; bad ones leave, others go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from dynamics_cases import Driven, OneByOne, copper, crystal, emt, heating, same_bits, stage
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dynamics_equilibration import SHORT, fields_of
from test_dynamics_run import StopAfter, assert_same, assert_same_state

from halion.dynamics import (
    MdRun,
    equilibrate,
    equilibrate_batch,
    open_trajectory,
    run_batch,
    run_stage,
    thermal_momenta,
)
from halion.dynamics.segments import SegmentStore, segment_paths
from halion.errors import DiskFull, InputError, Interrupted, PhysicsRefusal, RunFolderError
from halion.potentials import EngineResult, Evaluation

# Different sizes, ensembles, targets, time steps, lengths and seeds.
KINDS = [
    (copper(), stage("npt", n_steps=30, pressure_gpa=1.0)),
    (copper((1, 1, 1)), stage("nvt", n_steps=55, temperature_k=500.0, seed=3)),
    (copper((2, 2, 1)), heating(n_steps=25, timestep_fs=1.0)),
    (copper(), stage("nve", n_steps=12, timestep_fs=3.0, store_every_steps=4, checkpoint_every_steps=8)),
    (copper((1, 1, 1)), stage("npt_isotropic", n_steps=40, pressure_gpa=-1.0)),
    (copper(), stage("npt", n_steps=20, temperature_k=150.0, seed=8)),
]


def runs_in(folder: Path, kinds: Sequence[tuple[Atoms, object]] = KINDS) -> list[MdRun]:
    return [MdRun(folder=folder / f"{k}", atoms=atoms, stage=wanted) for k, (atoms, wanted) in enumerate(kinds)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every run by itself."""
    folder = tmp_path_factory.mktemp("alone")
    for run in runs_in(folder):
        run_stage(run.folder, run.atoms, emt(), run.stage)
    return folder


def assert_as_alone(folder: Path, alone: Path, which: Sequence[int] = range(len(KINDS))) -> None:
    for k in which:
        assert_same(open_trajectory(folder / f"{k}"), open_trajectory(alone / f"{k}"))
        assert_same_state(folder / f"{k}", alone / f"{k}")
        assert [path.name for path in (folder / f"{k}").iterdir()] == ["trajectory.h5"]


@pytest.mark.parametrize("at_once", [1, 2, 6])
def test_each_run_ends_in_the_bits_of_itself_alone(at_once: int, alone: Path, tmp_path: Path) -> None:
    """With two at once, finished ones are replaced four times."""
    told = []
    outcomes = run_batch(runs_in(tmp_path), emt(), at_once=at_once, progress=lambda *words: told.append(words))
    assert outcomes == [None] * 6
    assert_as_alone(tmp_path, alone)
    assert told[-1][:2] == (182, 182)
    assert [done for done, *_ in told] == sorted(done for done, *_ in told)


class Watched(OneByOne):
    """EMT that notes the sizes of the batches, and spoils those with a structure that has an atom too many."""

    name, weights_sha256, elements = "emt", "", frozenset({"Cu"})

    def __init__(self, refused: int = 0) -> None:
        self.batches, self.refused, self.potential = [], refused, emt()

    def evaluate(self, atoms: Atoms) -> Evaluation:
        if len(atoms) == self.refused:
            raise PhysicsRefusal("an atom has no neighbours", fix="look at it")
        return self.potential.evaluate(atoms)

    def evaluate_arrays(self, numbers, positions, cells, counts) -> EngineResult:
        self.batches.append(tuple(counts))
        return super().evaluate_arrays(numbers, positions, cells, counts)


def test_places_are_refilled(tmp_path: Path) -> None:
    watched = Watched()
    run_batch(runs_in(tmp_path), watched, at_once=2)
    sizes = [len(batch) for batch in watched.batches]
    assert max(sizes) == 2
    # Six runs of 182 steps in all, each evaluated once when it joins; two at a time nearly always.
    assert sum(sizes) == 182 + 6
    assert sizes.count(2) >= 70


class FailsLate(OneByOne):
    """EMT that gives one size of structure a wrong answer from some step on."""

    name, weights_sha256, elements = "emt", "", frozenset({"Cu"})

    def __init__(self, size: int, after: int, how: str) -> None:
        self.size, self.left, self.how, self.potential = size, after, how, emt()

    def evaluate(self, atoms: Atoms) -> Evaluation:
        right = self.potential.evaluate(atoms)
        if len(atoms) != self.size:
            return right
        self.left -= 1
        if self.left >= 0:
            return right
        if self.how == "refusal":
            raise PhysicsRefusal("an atom has no neighbours", fix="look at it")
        if self.how == "energy":
            return replace(right, energy=np.nan)
        if self.how == "push":
            # Under the limit of forces, but far too much: the run heats up.
            return replace(
                right, forces=right.forces + 40.0 * np.sign(atoms.positions - atoms.positions.mean(axis=0))
            )
        return replace(right, forces=1e3 * (right.forces + 1.0))


@pytest.mark.parametrize("how", ["refusal", "energy", "forces", "push"])
def test_one_bad_run_stops_alone(how: str, alone: Path, tmp_path: Path) -> None:
    """The run of 16 atoms goes wrong at step 12 or soon after; the others end in the bits they have alone."""
    outcomes = run_batch(runs_in(tmp_path), FailsLate(16, 13, how), at_once=4)
    (bad,) = [k for k, outcome in enumerate(outcomes) if outcome is not None]
    assert bad == 2
    assert isinstance(outcomes[2], PhysicsRefusal) and str(tmp_path / "2") == outcomes[2].where
    assert "sound state, step 10, is stored" in outcomes[2].what
    assert_as_alone(tmp_path, alone, [0, 1, 3, 4, 5])
    assert open_trajectory(tmp_path / "2").steps.tolist() == [0, 5, 10]
    # Once the cause is mended, it goes on from there.
    assert run_batch(runs_in(tmp_path), emt(), at_once=4) == [None] * 6
    assert_as_alone(tmp_path, alone)


def test_a_start_without_sense_is_told_by_name(alone: Path, tmp_path: Path) -> None:
    fused = copper()
    fused.positions[1] = fused.positions[0] + [0.4, 0, 0]
    lithium = Atoms("LiCu", [[0, 0, 0], [0, 0, 2.5]], cell=[5, 5, 5], pbc=True)
    kinds = [*KINDS, (fused, stage()), (lithium, stage()), (copper(), stage(n_steps=0))]
    outcomes = run_batch(runs_in(tmp_path, kinds), emt(), at_once=3)
    assert outcomes[:6] == [None] * 6
    assert "the start itself" in outcomes[6].what and outcomes[6].where == str(tmp_path / "6")
    assert "does not know Li" in outcomes[7].what and "n_steps" in outcomes[8].what
    assert_as_alone(tmp_path, alone)


def test_stopped_batches_go_on(alone: Path, tmp_path: Path) -> None:
    for n_steps in (0, 7, 30, 1):
        with pytest.raises(Interrupted, match="of 6 runs had ended"):
            run_batch(runs_in(tmp_path), emt(), at_once=3, stop=StopAfter(n_steps))
    # ... also with other neighbours.
    assert run_batch(runs_in(tmp_path), emt(), at_once=2) == [None] * 6
    assert_as_alone(tmp_path, alone)


def test_killed_batches_go_on(alone: Path, tmp_path: Path) -> None:
    """kill -9 at random moments."""
    rng, n_kills = np.random.default_rng(5), 0
    while True:
        child = multiprocessing.get_context("fork").Process(
            target=run_batch, args=(runs_in(tmp_path), emt()), kwargs={"at_once": 3}
        )
        child.start()
        child.join(timeout=rng.uniform(0.05, 0.5) + 0.1 * n_kills)
        if child.exitcode is not None:
            break
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        n_kills += 1
    assert child.exitcode == 0
    assert n_kills >= 2
    assert_as_alone(tmp_path, alone)


def test_a_write_error_reaches_its_run(alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full for one run, another may not write; each is told, nothing more of it is written."""
    write = SegmentStore.write

    def failing(store: SegmentStore, frames: object, state: dict) -> None:
        if store.folder.name == "1" and state["step"][0] >= 20:
            raise DiskFull("the disk is full", where=str(store.folder), fix="free some space")
        if store.folder.name == "4":
            raise PermissionError("not yours")
        write(store, frames, state)

    monkeypatch.setattr(SegmentStore, "write", failing)
    outcomes = run_batch(runs_in(tmp_path), emt(), at_once=6)
    assert isinstance(outcomes[1], DiskFull) and outcomes[1].where == str(tmp_path / "1")
    assert isinstance(outcomes[4], RunFolderError) and outcomes[4].where == str(tmp_path / "4")
    assert "not yours" in outcomes[4].what
    assert [outcomes[k] for k in (0, 2, 3, 5)] == [None] * 4
    assert len(segment_paths(tmp_path / "1")) == 1 and not segment_paths(tmp_path / "4")
    monkeypatch.undo()
    assert run_batch(runs_in(tmp_path), emt(), at_once=6) == [None] * 6
    assert_as_alone(tmp_path, alone)


def test_the_next_step_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, n_slow = SegmentStore.write, 3

    def slow(store: SegmentStore, frames: object, state: dict) -> None:
        time.sleep(0.5)
        write(store, frames, state)

    monkeypatch.setattr(SegmentStore, "write", slow)
    moments: list[float] = []

    class Clocked(Watched):
        def evaluate(self, atoms: Atoms) -> Evaluation:
            moments.append(time.monotonic())
            return super().evaluate(atoms)

    start = time.monotonic()
    run_stage(tmp_path, copper((1, 1, 1)), Clocked(), stage(n_steps=10 * n_slow))
    assert time.monotonic() - start > 0.5 * n_slow
    # A step that waited would follow its predecessor half a second later (a busy machine may pause by half of it).
    assert np.diff(moments).max() < 0.45


def test_folders_and_places_without_sense(tmp_path: Path) -> None:
    run = runs_in(tmp_path)[0]
    with pytest.raises(InputError, match="one folder"):
        run_batch([run, replace(run, folder=tmp_path / "x" / ".." / "0")], emt())
    with pytest.raises(InputError, match="at_once"):
        run_batch([run], emt(), at_once=0)
    assert run_batch([], emt()) == []


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(4)), seed=st.integers(0, 1000))
def test_neighbours_have_no_say(order: list[int], seed: int) -> None:
    """Every sum and product of a run is its own: any neighbours in any order, the same bits."""
    kinds = [("nve", (2, 2, 2)), ("npt", (3, 2, 1)), ("npt_isotropic", (4, 4, 2)), ("nvt", (5, 1, 1))]
    starts = []
    for ensemble, size in kinds:
        atoms = crystal(size)
        atoms.set_momenta(thermal_momenta(atoms.get_masses(), 300.0, seed))
        starts.append((atoms, stage(ensemble, pressure_gpa=0.3)))
    together = Driven(*starts[order[0]][:1], Pulled(), starts[order[0]][1])
    for k in order[1:]:
        together.join(*starts[k])
    together.advance(8)
    for place, k in enumerate(order):
        single = Driven(starts[k][0], Pulled(), starts[k][1])
        single.advance(8)
        mine, theirs = single.state(), together.state(place)
        for name in mine:
            assert same_bits(mine[name], theirs[name]), (name, kinds[k])
        assert single.frame().pressure_gpa == together.frame(place).pressure_gpa


class Pulled(OneByOne):
    """Atoms tied to where fractional coordinates of 1/7 multiples lie: cheap, anharmonic, of any size."""

    name, weights_sha256, elements = "pulled", "", frozenset({"Cu"})

    def evaluate(self, atoms: Atoms) -> Evaluation:
        scaled = 14 * np.pi * atoms.get_scaled_positions(wrap=False)
        waves = np.sin(scaled) @ np.linalg.inv(atoms.cell.array).T
        # d/dr of -0.1/(14 pi) sum cos: the energy does not depend on the strain at fixed fractions.
        return Evaluation(
            energy=float(-0.1 / (14 * np.pi) * np.cos(scaled).sum()),
            forces=-0.1 * waves + 0.1 * waves.mean(axis=0),
            stress=np.full((3, 3), 1e-3),
        )


def test_equilibrations_share_a_batch(tmp_path: Path) -> None:
    """Several temperatures at once give what each gives alone, also after a stop."""
    starts = [(tmp_path / f"{t:g}", copper(), t) for t in (300.0, 350.0, 400.0)]
    with pytest.raises(Interrupted):
        equilibrate_batch(starts, emt(), SHORT, at_once=2, stop=StopAfter(60))
    found = equilibrate_batch(starts, emt(), SHORT, at_once=2)
    for (_, atoms, temperature_k), one in zip(starts, found, strict=True):
        own = equilibrate(tmp_path / f"alone-{temperature_k:g}", atoms, emt(), SHORT, temperature_k)
        assert fields_of(own) == fields_of(one)
