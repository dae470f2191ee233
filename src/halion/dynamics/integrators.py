"""ASE's Nose-Hoover chain (NVT) and Martyna-Tobias-Klein (NPT, flexible cell) integrators, with a state to store.

Degrees of freedom. The total momentum is zero and stays zero, so the momenta have 3N - 3 degrees of freedom; ASE's
integrators count 3N, which makes the true temperature N / (N - 1) too high (2.6 % at 40 atoms). Here thermostat
and barostat are told of N - 1 atoms: 3 (N - 1) kT drives the first link of the chain while the other links keep
kT, and 1 / (3N - 3) couples cell and momenta. That alone leaves exp(-H / kT) stationary: lowering ASE's kT
instead would cool the rest of the chain and the barostat too. Temperatures are reported with 3N - 3
(Tuckerman, Statistical Mechanics, Oxford 2010, chapter 4; LAMMPS counts the same).

Cell. ASE's cell momentum is a symmetric matrix, hence of 6 degrees of freedom, but its thermostat drives 9 kT
into it: the cell would be half as hot again. Here it is 6 (ibid., chapter 5).

Pressure. The internal pressure is sum(p p / m) / V plus the virial, with the momenta as they are (LAMMPS' way). The
centre of mass, held at rest, would add kT / V: 7 MPa for 40 atoms at 600 K and 30 Angstrom^3 per atom.

Checked by tests/dynamics/test_dynamics_integrators.py and test_dynamics_ensembles.py.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np
from ase import Atoms
from ase.md.nose_hoover_chain import MTKNPT, MTKBarostat, NoseHooverChainNVT, NoseHooverChainThermostat

from halion.arrays import FloatArray
from halion.dynamics.guards import refuse_evaluation, refuse_geometry
from halion.dynamics.layout import Frame, State
from halion.dynamics.types import MdStage
from halion.errors import PhysicsRefusal
from halion.potentials import Evaluation, Potential, PotentialCalculator
from halion.units import (
    BOLTZMANN_EV_PER_K,
    FS_PER_PS,
    pressure_from_gpa,
    pressure_to_gpa,
    time_to_ase,
)

__all__ = ["Integrator", "kinetic_temperature", "target_temperature", "thermal_momenta"]

# Where ASE 3.29 keeps what its integrators change. test_ase_keeps_its_state_where_we_look watches over it.
_STATE_NVT = {
    "positions": "_q",
    "momenta": "_p",
    "eta": "_thermostat._eta",
    "p_eta": "_thermostat._p_eta",
}
_STATE_NPT = {
    **_STATE_NVT,
    "cell": "_h",
    "p_g": "_p_g",
    "xi": "_barostat._xi",
    "p_xi": "_barostat._p_xi",
}
_CELL_DEGREES_OF_FREEDOM = 6


def kinetic_temperature(momenta: FloatArray, masses: FloatArray) -> float:
    """Kinetic temperature sum(p^2 / m) / ((3N - 3) kB), K: the total momentum is zero.

    Args:
        momenta: (n_atoms, 3) ASE units, sqrt(eV amu).
        masses: (n_atoms,) amu.
    Checked by test_thermal_momenta_are_exact.
    """
    return float(np.sum(momenta**2 / masses[:, None]) / ((3 * len(masses) - 3) * BOLTZMANN_EV_PER_K))


def thermal_momenta(masses: FloatArray, temperature_k: float, seed: int) -> FloatArray:
    """Maxwell-Boltzmann momenta with no centre-of-mass motion, scaled to the temperature exactly.

    p_i = sqrt(m_i kB T) g_i - m_i v_cm with g normal from numpy's default generator; then scaled so that the
    kinetic temperature with 3N - 3 degrees of freedom is `temperature_k`.

    Args:
        masses: (n_atoms,) amu, at least two atoms.
        temperature_k: K.
        seed: any integer >= 0; the same seed gives the same momenta.
    Returns:
        (n_atoms, 3) sqrt(eV amu), ASE's unit.
    Checked by test_thermal_momenta_are_exact.
    """
    normal = np.random.default_rng(seed).standard_normal((len(masses), 3))
    momenta = without_drift(np.sqrt(masses * BOLTZMANN_EV_PER_K * temperature_k)[:, None] * normal, masses)
    return momenta * np.sqrt(temperature_k / kinetic_temperature(momenta, masses))


def without_drift(momenta: FloatArray, masses: FloatArray) -> FloatArray:
    """The momenta, seen from the centre of mass."""
    return momenta - masses[:, None] * (momenta.sum(axis=0) / masses.sum())


def target_temperature(stage: MdStage, step: int) -> float:
    """Target of the thermostat on the way to step number `step`, K: constant, or a linear ramp over the stage."""
    if stage.start_temperature_k is None:
        return stage.temperature_k
    part = step / stage.n_steps
    return stage.start_temperature_k + (stage.temperature_k - stage.start_temperature_k) * part


class Integrator:
    """One run between two checkpoints: advance, look, export the whole state, restore it.

    Args:
        atoms: start, with momenta; copied.
        potential: gives energy, forces, stress; asked once per step.
        stage: ensemble, time step, targets and time constants.
        count_like_ase: leave ASE's counting of degrees of freedom as it is (to compare with plain ASE).
    Raises:
        PhysicsRefusal: (also from `advance`) the start or a step is beyond halion.dynamics.guards.
    """

    def __init__(self, atoms: Atoms, potential: Potential, stage: MdStage, *, count_like_ase: bool = False) -> None:
        self.stage, self.step = stage, 0
        self.atoms = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
        self.atoms.set_momenta(atoms.get_momenta())
        self.atoms.calc = PotentialCalculator(_Guarded(potential, atoms.cell.volume))
        self.masses = self.atoms.get_masses()
        self._count_like_ase = count_like_ase
        self._paths = _STATE_NVT if stage.ensemble == "nvt" else _STATE_NPT
        self._dynamics = _ase_dynamics(self.atoms, stage)
        if not count_like_ase:
            self._count_degrees_of_freedom()

    @property
    def temperature_k(self) -> float:
        """Kinetic temperature with 3N - 3 degrees of freedom, K."""
        return kinetic_temperature(self.atoms.get_momenta(), self.masses)

    def advance(self) -> None:
        """One time step, towards the target of its end."""
        if self.stage.start_temperature_k is not None:
            self._set_target(target_temperature(self.stage, self.step + 1))
        try:
            # An explosion is told by the guards, by name, not by numpy's warnings on the way there.
            with np.errstate(over="ignore", invalid="ignore"):
                self._dynamics.step()
        except np.linalg.LinAlgError as error:
            raise PhysicsRefusal(
                "the cell's momenta are no longer finite numbers: the cell has exploded",
                fix="use a smaller dynamics.timestep_fs or a longer dynamics.barostat_ps",
            ) from error
        self.step += 1

    def frame(self) -> Frame:
        """What is stored of this moment. Energies, stress and forces are those already at hand."""
        stress = self.atoms.get_stress(voigt=False, include_ideal_gas=True)
        is_conserved = self.stage.start_temperature_k is None
        return Frame(
            step=self.step,
            time_ps=self.step * self.stage.timestep_fs / FS_PER_PS,
            temperature_k=self.temperature_k,
            potential_energy_ev=float(self.atoms.get_potential_energy()),
            pressure_gpa=pressure_to_gpa(-np.trace(stress) / 3),
            conserved_energy_ev=self._dynamics.get_conserved_energy() if is_conserved else np.nan,
            cell_angstrom=self.atoms.cell.array.copy(),
            positions_angstrom=self.atoms.positions.copy(),
        )

    def state(self) -> State:
        """Everything that the next step depends on, as float64 arrays; `step` is the number of steps done."""
        arrays = {name: attrgetter(path)(self._dynamics).copy() for name, path in self._paths.items()}
        return {"cell": self.atoms.cell.array.copy(), **arrays, "step": np.array([self.step], dtype=float)}

    def restore(self, state: State) -> None:
        """Go on from a state as if the run had never stopped, bit for bit."""
        self.step = int(state["step"][0])
        if self.stage.start_temperature_k is not None:
            self._set_target(target_temperature(self.stage, self.step))
        for name, path in self._paths.items():
            owner, _, attribute = path.rpartition(".")
            holder = attrgetter(owner)(self._dynamics) if owner else self._dynamics
            setattr(holder, attribute, np.array(state[name], dtype=float))
        self.atoms.set_cell(state["cell"])
        self.atoms.set_positions(state["positions"])
        self.atoms.set_momenta(state["momenta"])

    def _count_degrees_of_freedom(self) -> None:
        dynamics, n_moving = self._dynamics, len(self.atoms) - 1
        dynamics._thermostat = NoseHooverChainThermostat(
            num_atoms_global=n_moving, masses=dynamics.masses, temperature_K=1.0, tdamp=dynamics._thermostat._tdamp
        )
        if self.stage.ensemble == "npt":
            dynamics._num_atoms_global = n_moving
            dynamics._barostat = MTKBarostat(
                num_atoms_global=n_moving, temperature_K=1.0, pdamp=dynamics._barostat._pdamp
            )
            dynamics._barostat._cell_dof = _CELL_DEGREES_OF_FREEDOM
        self._set_target(target_temperature(self.stage, 0))

    def _set_target(self, temperature_k: float) -> None:
        """Set kT and the masses that scale with it; the velocities of chain and cell stay, their momenta follow."""
        dynamics, kt = self._dynamics, BOLTZMANN_EV_PER_K * temperature_k
        thermostat = dynamics._thermostat
        thermostat._kT = kt
        old, thermostat._Q = thermostat._Q, np.full(len(thermostat._Q), kt * thermostat._tdamp**2)
        thermostat._Q[0] *= 3 * thermostat._num_atoms_global
        thermostat._p_eta *= thermostat._Q / old
        if self.stage.ensemble == "npt":
            barostat = dynamics._barostat
            barostat._kT = kt
            unit = kt * barostat._pdamp**2
            old, barostat._R = barostat._R, np.full(len(barostat._R), unit)
            barostat._R[0] *= barostat._cell_dof
            barostat._p_xi *= barostat._R / old
            old_mass, barostat._W = barostat._W, (barostat._num_atoms_global + 1) * unit
            dynamics._p_g *= barostat._W / old_mass


def _ase_dynamics(atoms: Atoms, stage: MdStage) -> Any:
    times = {
        "timestep": time_to_ase(stage.timestep_fs / FS_PER_PS),
        "tdamp": time_to_ase(stage.thermostat_ps),
        "temperature_K": target_temperature(stage, 0),
    }
    if stage.ensemble == "nvt":
        return NoseHooverChainNVT(atoms, **times)
    return MTKNPT(
        atoms, pressure_au=pressure_from_gpa(stage.pressure_gpa), pdamp=time_to_ase(stage.barostat_ps), **times
    )


class _Guarded:
    """A potential that is asked only what makes sense, and believed only if its answer does."""

    def __init__(self, potential: Potential, start_volume: float) -> None:
        self.name, self.weights_sha256 = potential.name, potential.weights_sha256
        self.elements = potential.elements
        self._potential, self._start_volume = potential, start_volume

    def evaluate(self, atoms: Atoms) -> Evaluation:
        refuse_geometry(atoms, self._start_volume)
        evaluation = self._potential.evaluate(atoms)
        refuse_evaluation(atoms, evaluation.energy, evaluation.forces)
        return evaluation

    def evaluate_batch(self, structures: list[Atoms]) -> list[Evaluation]:
        return [self.evaluate(atoms) for atoms in structures]
