"""The method of a study in one paragraph, from its settings and results alone, ready to paste into a paper."""

from __future__ import annotations

import yaml

import halion
from halion.dynamics import dynamics_cell
from halion.orderings.types import supercell_name
from halion.report.text import plus_minus, short
from halion.report.types import StudyResults
from halion.settings import StudySettings
from halion.study_file import resolve

__all__ = ["method_paragraph", "repeat_command", "study_yaml"]


def method_paragraph(results: StudyResults) -> str:
    """Plain text; every number in it was used in this study."""
    if not results.settings:
        return "The settings of this study are missing; no method can be stated."
    settings = resolve(dict(results.settings))
    return " ".join(
        (
            _structures(results, settings),
            _ranked(results, settings),
            _dynamics(results, settings),
            _transport(results, settings),
        )
    )


def _structures(results: StudyResults, settings: StudySettings) -> str:
    composition, count = results.composition, results.count
    cell = supercell_name(composition.supercell).replace("x", " × ")
    text = (
        f"Orderings of the refined crystal {results.crystal.name} (space group {results.crystal.space_group}) were "
        f"enumerated with halion {halion.__version__} in a {cell} supercell of {composition.n_atoms} atoms "
        f"({composition.formula}), with whole atoms per orbit nearest to the refined occupancies (largest "
        f"deviation {composition.deviation:.3f}) and zero charge: {count.total} orderings, of which "
        f"{count.distinct} are distinct by symmetry."
    )
    if results.excluded_below > 0:
        text += (
            f" Orderings with two cations closer than {results.excluded_below:g} Å were left out, "
            f"which kept {results.n_after_exclusions}."
        )
    return text


def _ranked(results: StudyResults, settings: StudySettings) -> str:
    wanted, quality = settings.ranking, results.ranking.quality
    n_control = quality.n_control if quality else 0
    control = f" and {n_control} drawn at random from the others" if n_control else ""
    return (
        f"The {results.ranking.n_relaxed - n_control} lowest in electrostatic energy (Ewald sum of formal charges)"
        f"{control} were relaxed with {results.ranking.potential} by FIRE, atoms and cell free, until all forces "
        f"fell below {wanted.force_tolerance_ev_per_angstrom:g} eV/Å (at most {wanted.max_steps} steps); "
        f"{len(results.ranking.rows)} different structures remained, and the one lowest in energy was used."
    )


def _dynamics(results: StudyResults, settings: StudySettings) -> str:
    wanted = settings.dynamics
    atoms = len(dynamics_cell(results.ranking.best.relaxation.atoms, wanted))
    temperatures = ", ".join(f"{kelvin:g}" for kelvin in wanted.temperatures_k)
    return (
        f"Molecular dynamics of {atoms} atoms with {wanted.potential} and a time step of {wanted.timestep_fs:g} fs "
        f"at {temperatures} K: velocities drawn at {wanted.initial_temperature_k:g} K (seed {wanted.seed}), "
        f"heating over {wanted.heating_ps:g} ps, {wanted.nvt_ps:g} ps in the NVT ensemble (Nosé-Hoover chains, "
        f"time constant {wanted.thermostat_ps:g} ps), {wanted.npt_ps:g} ps in the NPT ensemble at "
        f"{wanted.pressure_gpa:g} GPa (Martyna-Tobias-Klein, flexible cell, {wanted.barostat_ps:g} ps), and "
        f"{wanted.production_ps:g} ps of NVT production in the mean cell of the last "
        f"{wanted.cell_average_ps:g} ps of the NPT stage."
    )


_ERRORS = {
    "largest": "the largest of the rule of He et al. 2018{length}, the covariance of the fitted lags, and the "
    "scatter between parts of the run",
    "he2018": "that of the rule of He et al. 2018{length}",
    "covariance": "that of the covariance of the fitted lags",
    "block": "that of the scatter between parts of the run",
}


def _transport(results: StudyResults, settings: StudySettings) -> str:
    wanted = settings.transport
    hops = sorted({short(run.hop_length, 3) for run in results.runs})
    length = f" (hop length {' to '.join(dict.fromkeys((hops[0], hops[-1])))} Å)" if hops else ""
    generalised = " by generalised least squares" if wanted.estimator == "gls" else ""
    text = (
        f"The mean squared displacement of {wanted.mobile_species}, with the drift of the framework removed, was "
        f"averaged over all time origins and fitted by a straight line with free intercept{generalised} up to lags "
        f"of {wanted.longest_lag_ps:g} ps and at most {100 * wanted.longest_lag_fraction:g} % of the run; the "
        f"error of the diffusivity is {_ERRORS[wanted.error].format(length=length)}."
    )
    fit = results.arrhenius
    if fit is not None:
        kelvins = ", ".join(f"{kelvin:.0f}" for kelvin in fit.temperatures_k)
        energy = plus_minus(fit.activation_energy, fit.activation_energy_std, "eV")
        text += (
            f" A weighted Arrhenius fit of ln D at {kelvins} K gave the activation energy {energy}, and the "
            f"Nernst-Einstein relation the conductivity at {wanted.report_temperature_k:g} K, with the full "
            "covariance of the fit and the Haven ratio taken as one."
        )
    return f"{text} {results.extension}".rstrip()


def study_yaml(results: StudyResults) -> str:
    """The resolved settings as a study file that makes this study again."""
    return yaml.safe_dump(dict(results.settings), sort_keys=False, allow_unicode=True)


def repeat_command(results: StudyResults) -> str:
    """The command that makes the study again from the study file beside the report."""
    return "halion run study.yaml"
