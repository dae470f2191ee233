"""Runs that explode are refused, by name and number, and what was sound stays on the disk."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.data import covalent_radii
from dynamics_cases import OneByOne, SpringCrystal, copper, crystal, emt, stage
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dynamics_run import StopAfter

from halion.dynamics import open_trajectory, run_stage
from halion.dynamics.guards import (
    Limits,
    refuse_close_atoms,
    refuse_evaluation,
    refuse_geometry,
    refuse_temperature,
)
from halion.dynamics.segments import read_segment, segment_paths
from halion.errors import Interrupted, PhysicsRefusal
from halion.potentials import Evaluation


def closest_naive(atoms: Atoms) -> float:
    """Shortest distance over the sum of covalent radii, with every image out to the second cell."""
    best = np.inf
    shifts = np.array(list(itertools.product(range(-2, 3), repeat=3))) @ atoms.cell.array
    for i in range(len(atoms)):
        for j in range(len(atoms)):
            distances = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shifts, axis=1)
            distances = distances[distances > 1e-9] if i == j else distances
            radii = covalent_radii[atoms.numbers[[i, j]]].sum()
            best = min(best, distances.min() / radii)
    return float(best)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_close_atoms_are_those_of_a_naive_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Skewed cells, also ones shorter than the limit, atoms far outside the cell.
    cell = np.diag(rng.uniform(2.5, 6.0, 3)) + rng.uniform(-0.6, 0.6, (3, 3))
    atoms = Atoms(
        rng.choice(["Li", "Cl", "Y"], 4), scaled_positions=rng.uniform(-3, 3, (4, 3)), cell=cell, pbc=True
    )
    wrapped = atoms.copy()
    wrapped.wrap()
    closest = closest_naive(wrapped)
    try:
        refuse_close_atoms(atoms)
    except PhysicsRefusal as refusal:
        assert closest < 0.6
        assert f"{closest:.2f} of the sum" in refusal.what
    else:
        assert closest >= 0.6


def test_close_pair_is_named() -> None:
    atoms = Atoms("LiYCl", [[0, 0, 0], [5, 5, 5], [9.3, 0, 0]], cell=[10, 10, 10], pbc=True)
    with pytest.raises(
        PhysicsRefusal, match=r"atoms . \((Li|Cl)\) and . \((Li|Cl)\) are 0\.70 Angstrom apart, 0\.30 of"
    ):
        refuse_close_atoms(atoms)


def test_volume_limits() -> None:
    atoms = copper()
    volume = atoms.cell.volume
    for factor in (0.61, 1.0, 1.59):
        atoms.set_cell(copper().cell * factor ** (1 / 3))
        refuse_geometry(atoms, volume)
    for factor, word in ((0.59, "shrank to 0.59"), (1.61, "grew to 1.61")):
        atoms.set_cell(copper().cell * factor ** (1 / 3))
        with pytest.raises(PhysicsRefusal, match=word) as caught:
            refuse_geometry(atoms, volume)
        assert "dynamics.pressure_gpa" in caught.value.fix


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none(value: float) -> None:
    atoms = copper()
    atoms.positions[3, 1] = value
    with pytest.raises(PhysicsRefusal, match="finite"):
        refuse_geometry(atoms, atoms.cell.volume)
    stretched = copper()
    stretched.cell[0, 0] = value
    with pytest.raises(PhysicsRefusal, match="finite"):
        refuse_geometry(stretched, 300.0)
    forces = np.zeros((8, 3))
    with pytest.raises(PhysicsRefusal, match="finite"):
        refuse_evaluation(copper(), value, forces)
    forces[0, 0] = value
    with pytest.raises(PhysicsRefusal, match="finite"):
        refuse_evaluation(copper(), 0.0, forces)
    with pytest.raises(PhysicsRefusal, match="kinetic temperature"):
        refuse_temperature(value, 300.0, 8)


def test_largest_force_names_its_atom() -> None:
    forces = np.zeros((8, 3))
    forces[7] = [0, 30.0, 41.0]
    with pytest.raises(PhysicsRefusal, match=r"atom 7 \(Cu\) is 50.8 eV"):
        refuse_evaluation(copper(), 0.0, forces)
    refuse_evaluation(copper(), 0.0, 0.98 * forces)


def test_temperature_limit_leaves_room_for_few_atoms() -> None:
    limits = Limits()
    assert limits.highest_temperature(300.0, 40) == 900.0
    # Two atoms: 3 degrees of freedom, sigma = 0.816 of the mean; eight of them.
    assert limits.highest_temperature(300.0, 2) == pytest.approx(300.0 * (1 + 8 * np.sqrt(2 / 3)))
    refuse_temperature(899.0, 300.0, 40)
    with pytest.raises(PhysicsRefusal, match="901 K at a target of 300 K"):
        refuse_temperature(901.0, 300.0, 40)


@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
@pytest.mark.parametrize("timestep_fs", [60.0, 150.0])
def test_a_far_too_large_time_step_is_refused(ensemble: str, timestep_fs: float, tmp_path: Path) -> None:
    """Real explosions of EMT copper (its fastest vibration takes about 130 fs)."""
    wanted = stage(ensemble, n_steps=3000, timestep_fs=timestep_fs, store_every_steps=1, thermostat_ps=2.0)
    with pytest.raises(PhysicsRefusal, match="after step") as caught:
        run_stage(tmp_path, copper((2, 2, 1)), emt(), wanted)
    refusal = caught.value
    assert "is stored" in refusal.what and str(tmp_path) in refusal.where
    assert "time step" in refusal.fix or "timestep_fs" in refusal.fix
    kept = read_segment(segment_paths(tmp_path)[-1])
    assert f"step {kept.end_step}, is stored" in refusal.what
    trajectory = open_trajectory(tmp_path)
    assert trajectory.steps[-1] == kept.end_step
    assert all(np.isfinite(array).all() for array in kept.state.values())
    assert trajectory.temperature_k.max() < 900.0
    # The same command meets the same refusal, and adds nothing.
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(PhysicsRefusal) as again:
        run_stage(tmp_path, copper((2, 2, 1)), emt(), wanted)
    assert again.value.what == refusal.what
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_cell_that_boils_is_refused(tmp_path: Path) -> None:
    """Copper under 20 GPa of tension comes apart."""
    with pytest.raises(PhysicsRefusal, match=r"grew to 1\.6") as caught:
        run_stage(tmp_path, copper(), emt(), stage("npt", n_steps=2000, pressure_gpa=-20.0))
    assert "higher pressure" in caught.value.fix


def test_a_cell_that_collapses_is_refused(tmp_path: Path) -> None:
    start = crystal((3, 3, 3))
    with pytest.raises(PhysicsRefusal, match=r"shrank to 0\.[0-5]"):
        run_stage(tmp_path, start, SpringCrystal(start), stage("npt", n_steps=3000, pressure_gpa=1500.0))


def test_a_start_without_sense_is_refused(tmp_path: Path) -> None:
    fused = copper()
    fused.positions[1] = fused.positions[0] + [0.4, 0, 0]
    with pytest.raises(PhysicsRefusal, match=r"after step 0 .*atoms 0 \(Cu\) and 1 \(Cu\).*the start itself"):
        run_stage(tmp_path, fused, emt(), stage())
    assert not list(tmp_path.iterdir())


class Refusing(OneByOne):
    """EMT that is at its end after some evaluations, as CHGNet is when an atom has lost its neighbours."""

    name, weights_sha256, elements = "emt", "", frozenset({"Cu"})

    def __init__(self, after: int) -> None:
        self.left, self.potential = after, emt()

    def evaluate(self, atoms: Atoms) -> Evaluation:
        self.left -= 1
        if self.left < 0:
            raise PhysicsRefusal("an atom has no neighbours", fix="look at it")
        return self.potential.evaluate(atoms)


def test_what_the_potential_refuses_names_the_step(tmp_path: Path) -> None:
    with pytest.raises(
        PhysicsRefusal, match=r"after step 12 \(0.024 ps\) an atom has no .* sound state, step 10, is"
    ):
        run_stage(tmp_path, copper(), Refusing(13), stage())
    with pytest.raises(Interrupted):
        run_stage(tmp_path, copper(), emt(), stage(), stop=StopAfter(5))
    assert open_trajectory(tmp_path).steps.tolist() == [0, 5, 10, 15]
