"""From trajectories to diffusivity, activation energy and conductivity, each with its error."""

from halion.transport.arrhenius import fit_arrhenius
from halion.transport.conductivity import conductivity_at, nernst_einstein
from halion.transport.fit import brownian_covariance, rsd_brownian, rsd_he
from halion.transport.hops import hop_length
from halion.transport.msd import msd_tensor
from halion.transport.readers import read_trajectory
from halion.transport.run import analyse_run, analyse_trajectories
from halion.transport.tables import run_rows, summary_rows
from halion.transport.types import Arrhenius, Conductivity, RunTransport, Verdict

__all__ = [
    "Arrhenius",
    "Conductivity",
    "RunTransport",
    "Verdict",
    "analyse_run",
    "analyse_trajectories",
    "brownian_covariance",
    "conductivity_at",
    "fit_arrhenius",
    "hop_length",
    "msd_tensor",
    "nernst_einstein",
    "read_trajectory",
    "rsd_brownian",
    "rsd_he",
    "run_rows",
    "summary_rows",
]
