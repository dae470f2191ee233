"""Small real systems for the dynamics tests: crystals of springs, EMT copper, and a potential that counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list

from halion.arrays import FloatArray, IntArray
from halion.dynamics.batch import Member, RunBatch, start_state
from halion.dynamics.layout import Frame, State
from halion.dynamics.types import MdStage
from halion.potentials import EngineResult, Evaluation, Potential, PotentialFromAse
from halion.potentials.from_ase import split_arrays, stack_evaluations

# Bonds between nearest neighbours: length in Angstrom, eV/Angstrom^2, eV/Angstrom^4. At 300 K the quartic part
# dominates: with harmonic springs alone a Nose-Hoover chain keeps ringing, and the kinetic energy's variance is 2.5
# times the canonical one after 60 ps.
BOND, STIFFNESS, QUARTIC = 2.8, 0.5, 100.0


class OneByOne:
    """A potential that evaluates a batch structure by structure."""

    def evaluate_batch(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        return [self.evaluate(atoms) for atoms in structures]

    def evaluate_arrays(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        structures = split_arrays(numbers, positions, cells, counts)
        return stack_evaluations(self.evaluate_batch(structures), cells)


class SpringCrystal(OneByOne):
    """Atoms tied to the neighbours that they have in a reference crystal.

    E = sum over bonds of k/2 s^2 + g/4 s^4, s = |d| - d0. The bonds are kept, so no atom leaves its site; they are
    far from harmonic, so the modes exchange energy and a thermostat samples them all.
    """

    name, weights_sha256, elements = "springs", "k=0.5, g=100", frozenset({"Cu", "Al"})

    def __init__(self, reference: Atoms) -> None:
        i, j, image = neighbor_list("ijS", reference, 1.2 * BOND)
        once = (i < j) | ((i == j) & (image @ [9, 3, 1] > 0))
        self.first, self.second, self.image = i[once], j[once], image[once]

    def evaluate(self, atoms: Atoms) -> Evaluation:
        cell = atoms.cell.array
        bond = atoms.positions[self.second] - atoms.positions[self.first] + self.image @ cell
        length = np.linalg.norm(bond, axis=1)
        stretch = length - BOND
        pull = ((STIFFNESS * stretch + QUARTIC * stretch**3) / length)[:, None] * bond
        forces = np.zeros_like(atoms.positions)
        np.add.at(forces, self.first, pull)
        np.add.at(forces, self.second, -pull)
        return Evaluation(
            energy=float(np.sum(STIFFNESS / 2 * stretch**2 + QUARTIC / 4 * stretch**4)),
            forces=forces,
            stress=bond.T @ pull / atoms.cell.volume,
        )


class Counted(OneByOne):
    """A potential that counts how often it is asked."""

    def __init__(self, potential: Potential) -> None:
        self.potential, self.asked = potential, 0
        self.name, self.weights_sha256, self.elements = (
            potential.name,
            potential.weights_sha256,
            potential.elements,
        )

    def evaluate(self, atoms: Atoms) -> Evaluation:
        self.asked += 1
        return self.potential.evaluate(atoms)


class Driven:
    """A batch moved by hand, without files and guards; what is asked without an index is of its first run."""

    def __init__(self, atoms: Atoms, potential: Potential, stage: MdStage, state: State | None = None) -> None:
        self.potential, self.batch = potential, RunBatch()
        self.join(atoms, stage, state)

    def join(self, atoms: Atoms, stage: MdStage, state: State | None = None) -> None:
        state = start_state(atoms) if state is None else state
        result = self.potential.evaluate_arrays(
            atoms.numbers, state["positions"], state["cell"][None], np.array([len(atoms)])
        )
        member = Member(
            stage=stage,
            numbers=atoms.numbers,
            masses=atoms.get_masses(),
            state=state,
            energy=float(result.energies[0]),
            forces=result.forces,
            virial=result.virials[0],
        )
        self.batch.add(member)

    def advance(self, n_steps: int = 1) -> None:
        batch = self.batch
        for _ in range(n_steps):
            batch.first_half()
            motion = batch.motion
            batch.second_half(
                self.potential.evaluate_arrays(batch.numbers, motion.positions, motion.cells, batch.counts)
            )

    @property
    def positions(self) -> FloatArray:
        return self.batch.motion.positions[self.batch.own(0)]

    @property
    def momenta(self) -> FloatArray:
        return self.batch.motion.momenta[self.batch.own(0)]

    @property
    def cell(self) -> FloatArray:
        return self.batch.motion.cells[0]

    @property
    def temperature_k(self) -> float:
        return float(self.batch.temperatures()[0])

    def frame(self, k: int = 0) -> Frame:
        return self.batch.frames([k])[0]

    def state(self, k: int = 0) -> State:
        return self.batch.state(k)


def crystal(repeat: tuple[int, int, int] = (2, 2, 2), symbol: str = "Cu") -> Atoms:
    """fcc with nearest neighbours at the length of the springs, primitive cells."""
    return bulk(symbol, "fcc", a=BOND * np.sqrt(2)).repeat(repeat)


def copper(repeat: tuple[int, int, int] = (2, 1, 1)) -> Atoms:
    """fcc copper at EMT's lattice constant, four atoms per cubic cell."""
    return bulk("Cu", "fcc", a=3.6, cubic=True).repeat(repeat)


def emt() -> Potential:
    return PotentialFromAse(EMT(), name="emt", elements=["Cu", "Al", "Ni"])


def stage(ensemble: str = "nvt", n_steps: int = 40, **changes: object) -> MdStage:
    """A short stage with fast thermostat and barostat, so that little is needed to see them work."""
    values = {
        "ensemble": ensemble,
        "n_steps": n_steps,
        "timestep_fs": 2.0,
        "temperature_k": 300.0,
        "thermostat_ps": 0.05,
        "barostat_ps": 0.2,
        "store_every_steps": 5,
        "checkpoint_every_steps": 10,
        "seed": 1,
    }
    return MdStage(**{**values, **changes})


def heating(**changes: object) -> MdStage:
    return stage("nvt", **{"start_temperature_k": 100.0, **changes})


def same_bits(one: FloatArray, other: FloatArray) -> bool:
    """Equal bit for bit, NaN included."""
    return one.shape == other.shape and one.tobytes() == other.tobytes()
