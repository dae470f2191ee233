"""Runs of different size and kind packed into one set of arrays; they join, move together, and leave.

Segment sums and everything else treat each run apart: what a run computes does not depend on its neighbours, as
far as the potential's evaluation of a batch does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from halion.arrays import FloatArray, IntArray
from halion.dynamics.integrators import (
    CHAIN_LENGTH,
    Conditions,
    Motion,
    after_forces,
    before_forces,
    conserved_energies,
    kinetic_tensors,
    twice_kinetic_energies,
    volumes_of,
)
from halion.dynamics.layout import Frame, State
from halion.dynamics.types import MdStage
from halion.potentials.engine_types import EngineResult
from halion.units import BOLTZMANN_EV_PER_K, FS_PER_PS, pressure_from_gpa, pressure_to_gpa, time_to_ase

__all__ = ["Member", "RunBatch", "start_state"]

_CELL_FREEDOM = {"nve": 6, "nvt": 6, "npt": 6, "npt_isotropic": 1}


@dataclass(slots=True, kw_only=True)
class Member:
    """One run as it enters a batch: its stage, its structure's numbers and masses, and its state with forces.

    Attributes:
        state: see `start_state`.
        energy, forces, virial: of the potential at the state's positions and cell; eV, eV/Angstrom, eV.
    """

    stage: MdStage
    numbers: IntArray
    masses: FloatArray
    state: State
    energy: float
    forces: FloatArray
    virial: FloatArray


def start_state(atoms: Atoms) -> State:
    """The state of a run that begins: momenta as they are, cell and chains at rest.

    positions, momenta, cell, strain_rate (3, 3), chain and chain_rates of the atoms (3,), cell_chain and
    cell_chain_rates (3,), step (1,): everything that the next step depends on; Angstrom, eV, amu, ASE time.
    """
    rest = {name: np.zeros(CHAIN_LENGTH) for name in _CHAINS}
    return {
        "positions": atoms.positions.copy(),
        "momenta": atoms.get_momenta(),
        "cell": atoms.cell.array.copy(),
        "strain_rate": np.zeros((3, 3)),
        **rest,
        "step": np.zeros(1),
    }


# Name in the state -> (array of `Motion`, atoms (0) or cell (1)).
_CHAINS = {
    "chain": ("chain", 0),
    "chain_rates": ("chain_rates", 0),
    "cell_chain": ("chain", 1),
    "cell_chain_rates": ("chain_rates", 1),
}


@dataclass(slots=True)
class RunBatch:
    """Runs that move together. Index k everywhere is the run's place, which changes when others leave.

    Attributes:
        stages: of each run.
        numbers: (n_atoms_total,) atomic numbers.
        counts, starts: (n_runs,) atoms of each run, and its first one.
        steps: (n_runs,) steps done.
        packing: goes up whenever a run joins or leaves.
    """

    stages: list[MdStage] = field(default_factory=list)
    numbers: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    counts: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    starts: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    steps: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    energies: FloatArray = field(default_factory=lambda: np.empty(0))
    forces: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    virials: FloatArray = field(default_factory=lambda: np.empty((0, 3, 3)))
    motion: Motion | None = None
    conditions: Conditions | None = None
    packing: int = 0
    _ramps: tuple[FloatArray, FloatArray, FloatArray] | None = None

    def __len__(self) -> int:
        return len(self.stages)

    def own(self, k: int) -> slice:
        """The atoms of run k."""
        return slice(int(self.starts[k]), int(self.starts[k] + self.counts[k]))

    def add(self, member: Member) -> None:
        """Let a run join, behind all others."""
        self._pack([*(self.member(k) for k in range(len(self))), member])

    def keep(self, mask: list[bool]) -> None:
        """Let the runs leave for which the mask is False."""
        self._pack([self.member(k) for k in range(len(self)) if mask[k]])

    def first_half(self) -> None:
        """Up to the new positions and cells, towards the targets of the step's end."""
        self._follow_ramps(self.steps + 1)
        before_forces(self.motion, self.conditions, self.forces, self.virials)

    def second_half(self, result: EngineResult) -> None:
        """From the potential's answer at the new positions to the end of the step."""
        self._follow_ramps(self.steps + 1)  # again: when a run has left meanwhile, all was packed anew
        self.energies, self.forces, self.virials = result.energies, result.forces, result.virials
        after_forces(self.motion, self.conditions, self.forces, self.virials)
        self.steps = self.steps + 1

    def moved(self, motion: Motion, steps: IntArray, answer: tuple[FloatArray, FloatArray, FloatArray]) -> None:
        """Take over a state that was reached elsewhere, with (energies, forces, virials) at its positions."""
        self.motion, self.steps = motion, steps
        self.energies, self.forces, self.virials = answer
        self._follow_ramps(self.steps)

    @property
    def ramps(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(n_runs,) each: where the target temperature begins, its rise, K, and the steps that it takes."""
        return self._ramps

    def temperatures(self) -> FloatArray:
        """Kinetic temperatures with 3N - 3 degrees of freedom, (n_runs,), K."""
        twice = twice_kinetic_energies(self.motion, self.conditions)
        return twice / (self.conditions.degrees_of_freedom[0] * BOLTZMANN_EV_PER_K)

    def volumes(self) -> FloatArray:
        """(n_runs,) Angstrom^3."""
        return volumes_of(self.motion.cells)

    def atoms(self, k: int) -> Atoms:
        """The structure of run k."""
        own = self.own(k)
        return Atoms(self.numbers[own], positions=self.motion.positions[own], cell=self.motion.cells[k], pbc=True)

    def frames(self, due: IntArray) -> list[Frame]:
        """What is stored of this moment of some runs. Pressure: (sum p^2 / m - tr dE/dstrain) / 3V."""
        temperatures = self.temperatures()
        tensors = kinetic_tensors(self.motion, self.conditions) - self.virials
        pressures = pressure_to_gpa(np.trace(tensors, axis1=1, axis2=2) / (3 * self.volumes()))
        conserved = conserved_energies(self.motion, self.conditions, self.energies)
        return [
            Frame(
                step=int(self.steps[k]),
                time_ps=int(self.steps[k]) * self.stages[k].timestep_fs / FS_PER_PS,
                temperature_k=float(temperatures[k]),
                potential_energy_ev=float(self.energies[k]),
                pressure_gpa=float(pressures[k]),
                conserved_energy_ev=float(conserved[k]) if self.stages[k].start_temperature_k is None else np.nan,
                cell_angstrom=self.motion.cells[k].copy(),
                positions_angstrom=self.motion.positions[self.own(k)].copy(),
            )
            for k in due
        ]

    def state(self, k: int) -> State:
        """Everything that the next step of run k depends on, see `start_state`."""
        motion, own = self.motion, self.own(k)
        chains = {
            name: np.array([link[part, k] for link in getattr(motion, array)])
            for name, (array, part) in _CHAINS.items()
        }
        return {
            "positions": motion.positions[own].copy(),
            "momenta": motion.momenta[own].copy(),
            "cell": motion.cells[k].copy(),
            "strain_rate": motion.strain_rates[k].copy(),
            **chains,
            "step": np.array([self.steps[k]], dtype=float),
        }

    def member(self, k: int) -> Member:
        """Run k as it would enter another batch."""
        own = self.own(k)
        return Member(
            stage=self.stages[k],
            numbers=self.numbers[own],
            masses=self.conditions.masses[own, 0],
            state=self.state(k),
            energy=float(self.energies[k]),
            forces=self.forces[own],
            virial=self.virials[k],
        )

    def _pack(self, members: list[Member]) -> None:
        self.packing += 1
        self.stages = [member.stage for member in members]
        self.counts = np.array([len(member.numbers) for member in members], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]]).astype(np.int64)[: len(members)]
        if not members:
            self.motion = self.conditions = None
            return
        states = [member.state for member in members]
        self.numbers = np.concatenate([member.numbers for member in members])
        self.steps = np.array([int(state["step"][0]) for state in states])
        self.energies = np.array([member.energy for member in members])
        self.forces = np.concatenate([member.forces for member in members])
        self.virials = np.stack([member.virial for member in members])
        self.motion = _motion(states)
        self.conditions = _conditions(
            self.stages, np.concatenate([member.masses for member in members]), self.counts
        )
        self._set_ramps()

    def _set_ramps(self) -> None:
        """Remember where the targets of heating runs begin and end; they are followed step by step."""
        begin = [stage.temperature_k if (t := stage.start_temperature_k) is None else t for stage in self.stages]
        end = np.array([stage.temperature_k for stage in self.stages])
        lengths = np.array([float(stage.n_steps) for stage in self.stages])
        self._ramps = (np.array(begin), end - np.array(begin), lengths)
        self._follow_ramps(self.steps, is_first=True)

    def _follow_ramps(self, steps: IntArray, *, is_first: bool = False) -> None:
        begin, rise, lengths = self._ramps
        if is_first or rise.any():
            self.conditions.thermal_energy = BOLTZMANN_EV_PER_K * (begin + rise * (steps / lengths))


def _motion(states: list[State]) -> Motion:
    chains: dict[str, list[FloatArray]] = {"chain": [], "chain_rates": []}
    for link in range(CHAIN_LENGTH):
        for array, both in chains.items():
            names = [name for name, (which, _) in _CHAINS.items() if which == array]  # atoms, cell
            both.append(np.array([[state[name][link] for state in states] for name in names]))
    return Motion(
        positions=np.concatenate([state["positions"] for state in states]),
        momenta=np.concatenate([state["momenta"] for state in states]),
        cells=np.stack([state["cell"] for state in states]),
        strain_rates=np.stack([state["strain_rate"] for state in states]),
        chain=tuple(chains["chain"]),
        chain_rates=tuple(chains["chain_rates"]),
    )


def _conditions(stages: list[MdStage], masses: FloatArray, counts: IntArray) -> Conditions:
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    has_thermostat = np.array([stage.ensemble != "nve" for stage in stages])
    has_barostat = np.array([stage.ensemble.startswith("npt") for stage in stages])
    frequencies = [
        has_thermostat / np.array([time_to_ase(stage.thermostat_ps) for stage in stages]),
        has_barostat / np.array([time_to_ase(stage.barostat_ps) for stage in stages]),
    ]
    freedom = [3.0 * counts - 3.0, [float(_CELL_FREEDOM[stage.ensemble]) for stage in stages]]
    timestep = np.array([time_to_ase(stage.timestep_fs / FS_PER_PS) for stage in stages])
    return Conditions(
        xp=np,
        sum_over_runs=lambda values: np.add.reduceat(values, starts, axis=0),
        run_of_atom=np.repeat(np.arange(len(stages)), counts),
        masses=masses[:, None],
        n_atoms=counts.astype(float),
        degrees_of_freedom=np.array(freedom),
        timestep=timestep,
        timestep_of_atom=np.repeat(timestep, counts)[:, None],
        thermal_energy=np.empty(len(stages)),
        frequencies=np.array(frequencies),
        pressure=np.array([pressure_from_gpa(stage.pressure_gpa) for stage in stages]) * has_barostat,
        is_isotropic=np.array([stage.ensemble == "npt_isotropic" for stage in stages])[:, None, None],
        has_cell=bool(has_barostat.any()),
        identity=np.eye(3),
    )
