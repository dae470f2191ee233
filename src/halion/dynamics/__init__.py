"""Molecular dynamics that survives a kill: equilibrated cells and trajectories on disk.

What integrates loads on first use: reading a trajectory must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from halion.dynamics.trajectory import last_state, open_trajectory
from halion.dynamics.types import Equilibration, MdStage, Trajectory

if TYPE_CHECKING:
    from halion.dynamics.equilibration import equilibrate, produce, repeated
    from halion.dynamics.integrators import Integrator, kinetic_temperature, thermal_momenta
    from halion.dynamics.run import run_stage

__all__ = [
    "Equilibration",
    "Integrator",
    "MdStage",
    "Trajectory",
    "equilibrate",
    "kinetic_temperature",
    "last_state",
    "open_trajectory",
    "produce",
    "repeated",
    "run_stage",
    "thermal_momenta",
]

_HOMES = {
    "Integrator": "integrators",
    "equilibrate": "equilibration",
    "kinetic_temperature": "integrators",
    "produce": "equilibration",
    "repeated": "equilibration",
    "run_stage": "run",
    "thermal_momenta": "integrators",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'halion.dynamics' has no attribute '{name}'")
    return getattr(import_module(f"halion.dynamics.{_HOMES[name]}"), name)
