"""Molecular dynamics that survives a kill: equilibrated cells and trajectories on disk.

What integrates loads on first use: reading a trajectory must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from halion.dynamics.correlator import Correlation, Correlator
from halion.dynamics.trajectory import last_state, open_trajectory, read_correlation
from halion.dynamics.types import Equilibration, MdRun, MdStage, ThermalExpansion, Trajectory

if TYPE_CHECKING:
    from halion.dynamics.cell import dynamics_cell
    from halion.dynamics.equilibration import equilibrate, equilibrate_batch, produce, produce_batch
    from halion.dynamics.expansion import thermal_expansion
    from halion.dynamics.kinetics import kinetic_temperature, thermal_momenta
    from halion.dynamics.run import run_batch, run_stage

__all__ = [
    "Correlation",
    "Correlator",
    "Equilibration",
    "MdRun",
    "MdStage",
    "ThermalExpansion",
    "Trajectory",
    "dynamics_cell",
    "equilibrate",
    "equilibrate_batch",
    "kinetic_temperature",
    "last_state",
    "open_trajectory",
    "produce",
    "produce_batch",
    "read_correlation",
    "run_batch",
    "run_stage",
    "thermal_expansion",
    "thermal_momenta",
]

_HOMES = {
    "dynamics_cell": "cell",
    "equilibrate": "equilibration",
    "equilibrate_batch": "equilibration",
    "kinetic_temperature": "kinetics",
    "produce": "equilibration",
    "produce_batch": "equilibration",
    "run_batch": "run",
    "run_stage": "run",
    "thermal_expansion": "expansion",
    "thermal_momenta": "kinetics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'halion.dynamics' has no attribute '{name}'")
    return getattr(import_module(f"halion.dynamics.{_HOMES[name]}"), name)
