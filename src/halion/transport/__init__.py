"""From trajectories to diffusivity, activation energy and conductivity, each with its error."""

from halion.transport.arrhenius import ArrheniusChoices, Influence, fit_arrhenius, leave_one_out
from halion.transport.collective import HavenRatio, charge_msd, haven_ratio, pool_haven
from halion.transport.conductivity import conductivity_at, nernst_einstein, paper_compat, sigma_t
from halion.transport.correlation import CorrelatedTransport, analyse_correlated, fit_correlation
from halion.transport.density import (
    IonDensity,
    count_ions,
    fold,
    grid_shape,
    ion_density,
    smooth,
    write_chgcar,
    write_cube,
)
from halion.transport.directions import Anisotropy, anisotropy
from halion.transport.extension import Extension, extend_runs
from halion.transport.fit import brownian_covariance, rsd_brownian, rsd_he
from halion.transport.frames import MobileIons, mobile_ions
from halion.transport.hops import hop_length
from halion.transport.jumps import Hops, count_hops
from halion.transport.mechanism import Mechanism, MechanismSummary, SiteSummary, analyse_mechanism
from halion.transport.msd import msd_tensor
from halion.transport.network import HopEdge, HopNetwork, Percolation, hop_network, percolation
from halion.transport.paths import FreeEnergyPath, free_energy_path
from halion.transport.planning import PlanGoal, PlannedRun, RunPlan, plan_runs
from halion.transport.readers import read_trajectory
from halion.transport.regimes import Regimes, compare_regimes
from halion.transport.replicas import with_replica_scatter
from halion.transport.run import analyse_run, analyse_trajectories
from halion.transport.sites import Ridge, SiteChoices, Sites, find_sites
from halion.transport.sizes import SizeComparison, compare_sizes, smallest_against_largest
from halion.transport.summary import TransportSummary, summarise_runs
from halion.transport.tables import run_rows, summary_rows
from halion.transport.types import Arrhenius, Conductivity, DirectionDiffusivity, RunTransport, Verdict

__all__ = [
    "Anisotropy",
    "Arrhenius",
    "ArrheniusChoices",
    "Conductivity",
    "CorrelatedTransport",
    "DirectionDiffusivity",
    "Extension",
    "FreeEnergyPath",
    "HavenRatio",
    "HopEdge",
    "HopNetwork",
    "Hops",
    "Influence",
    "IonDensity",
    "Mechanism",
    "MechanismSummary",
    "MobileIons",
    "Percolation",
    "PlanGoal",
    "PlannedRun",
    "Regimes",
    "Ridge",
    "RunPlan",
    "RunTransport",
    "SiteChoices",
    "SiteSummary",
    "Sites",
    "SizeComparison",
    "TransportSummary",
    "Verdict",
    "analyse_correlated",
    "analyse_mechanism",
    "analyse_run",
    "analyse_trajectories",
    "anisotropy",
    "brownian_covariance",
    "charge_msd",
    "compare_regimes",
    "compare_sizes",
    "conductivity_at",
    "count_hops",
    "count_ions",
    "extend_runs",
    "find_sites",
    "fit_arrhenius",
    "fit_correlation",
    "fold",
    "free_energy_path",
    "grid_shape",
    "haven_ratio",
    "hop_length",
    "hop_network",
    "ion_density",
    "leave_one_out",
    "mobile_ions",
    "msd_tensor",
    "nernst_einstein",
    "paper_compat",
    "percolation",
    "plan_runs",
    "pool_haven",
    "read_trajectory",
    "rsd_brownian",
    "rsd_he",
    "run_rows",
    "sigma_t",
    "smallest_against_largest",
    "smooth",
    "summarise_runs",
    "summary_rows",
    "with_replica_scatter",
    "write_chgcar",
    "write_cube",
]
