"""The activation energy: a straight line through ln D against 1/T, with its full covariance.

With flat priors on ln D0 and Ea the posterior of the line through measured diffusivities is that of weighted least
squares. Runs that gave an upper bound enter by the probability that they would have shown no more than they did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.transport.fit import rsd_he
from halion.transport.line import LineData, posterior_of_line, weighted_quantiles
from halion.transport.types import Arrhenius, RunTransport
from halion.units import BOLTZMANN_EV_PER_K

__all__ = [
    "ArrheniusChoices",
    "Influence",
    "fit_arrhenius",
    "fit_ln_diffusivity",
    "leave_one_out",
    "line_data",
    "ln_diffusivity_quantiles",
    "meant_temperature",
]

# Kinetic temperatures of two short runs at one target differ by this much by chance.
_SAME_TEMPERATURE = 0.01
_QUANTILE_95 = 1.6449  # one-sided
_LEVELS = (0.15865525393145707, 0.5, 0.8413447460685429, 0.025, 0.975)
_NORMAL = (-1.0, 0.0, 1.0, -1.959963984540054, 1.959963984540054)
_INFLUENTIAL = 1.0
_FEWEST_REPLICAS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrheniusChoices:
    """How a line is drawn.

    Attributes:
        weights: "errors": each ln D with its own error; "equal": all alike.
        covariance: "absolute": errors are taken as they are; "residuals": scaled so that chi^2 per degree of
            freedom is one, as `curve_fit` does without errors. Equal weights need "residuals".
        bounds: whether runs that gave an upper bound enter.
        he_errors: take He's rule as the error, whatever error the runs carry.
        replicas: where four or more runs at one temperature (other seeds, other orderings) scatter by more than
            their errors say, raise their errors to the scatter.
    """

    weights: Literal["errors", "equal"] = "errors"
    covariance: Literal["absolute", "residuals"] = "absolute"
    bounds: bool = True
    he_errors: bool = False
    replicas: bool = True


def fit_arrhenius(runs: Sequence[RunTransport], choices: ArrheniusChoices | None = None) -> Arrhenius | None:
    """ln D = ln D0 - Ea / (kB T) through the runs that diffused; None when fewer than two temperatures did.

    Weights are 1 / (std/D)^2, taken as absolute errors: the covariance is (X^T W X)^-1, not rescaled by chi^2.
    Runs meant to have one temperature count as one, whatever their kinetic temperatures came out as. A run with an
    upper bound B (95 %) enters with the likelihood Phi((ln B - 1.645 s - ln D) / s), s the relative error that B
    was made with: 5 % where the line runs through B, one half where it runs through what the run showed.

    Args:
        runs: any verdicts; melted and ballistic ones are left out.
        choices: weights, scale of the errors, bounds; None: as above.
    Raises:
        InputError: equal weights with absolute errors, or two points whose scatter should give the errors.
    Checked by tests/transport/test_transport_arrhenius.py and test_transport_conductivity.py.
    """
    choices = choices or ArrheniusChoices()
    used = [run for run in runs if run.is_diffusive]
    meant = np.array([meant_temperature(run) for run in used])
    if not len(used) or np.ptp(meant) < _SAME_TEMPERATURE * meant.mean():
        return None
    _refuse(choices, len(used))
    bounded = [run for run in runs if choices.bounds and _is_bound(run)]
    data = line_data(used, bounded, choices)
    found = posterior_of_line(data)
    dof = len(used) - 2
    chi2_per_dof = found.chi2 / dof if dof else math.nan
    covariance = found.covariance * (chi2_per_dof if choices.covariance == "residuals" else 1.0)
    entered = {id(run) for run in (*used, *bounded)}
    return Arrhenius(
        activation_energy=float(found.mean[1]),
        activation_energy_std=float(np.sqrt(covariance[1, 1])),
        ln_prefactor=float(found.mean[0]),
        covariance=covariance,
        temperatures_k=np.array([run.temperature_k for run in used]),
        diffusivity=np.array([run.diffusivity for run in used]),
        diffusivity_std=data.std * np.array([run.diffusivity for run in used]),
        chi2_per_dof=chi2_per_dof,
        left_out_k=np.array([meant_temperature(run) for run in runs if id(run) not in entered]),
        bounded_k=np.array([run.temperature_k for run in bounded]) if bounded else None,
        draws=found.draws if bounded else None,
        draw_weights=found.weights if bounded else None,
    )


def _refuse(choices: ArrheniusChoices, n_runs: int) -> None:
    if choices.weights == "equal" and choices.covariance == "absolute":
        raise InputError(
            "equal weights leave the errors of the runs out, so there is nothing to make an absolute error from",
            fix='take covariance="residuals"',
        )
    if choices.covariance == "residuals" and (n_runs < 3 or choices.bounds):
        raise InputError(
            f"{n_runs} runs{' and upper bounds' if choices.bounds else ''}: the scatter about the line gives an "
            "error for three or more measured runs, and none for bounds",
            fix='take covariance="absolute", or bounds=False and more temperatures',
        )


def _is_bound(run: RunTransport) -> bool:
    return run.verdict in ("upper bound", "caged") and math.isfinite(run.upper_bound) and run.upper_bound > 0


def meant_temperature(run: RunTransport) -> float:
    """The temperature that a run was meant to have, or its kinetic one where that is unknown, K."""
    return run.target_temperature_k if np.isfinite(run.target_temperature_k) else run.temperature_k


def line_data(used: Sequence[RunTransport], bounded: Sequence[RunTransport], choices: ArrheniusChoices) -> LineData:
    """Runs as a linear model of ln D in (ln D0, Ea)."""
    diffusivity = np.array([run.diffusivity for run in used])
    std = np.array([run.rsd_he if choices.he_errors else run.diffusivity_std / run.diffusivity for run in used])
    if choices.weights == "equal":
        std = np.ones(len(used))
    elif choices.replicas:
        std = std * _excess_scatter(np.array([meant_temperature(run) for run in used]), np.log(diffusivity), std)
    spread = np.array([_bound_spread(run) for run in bounded])
    bounds = np.array([math.log(run.upper_bound) for run in bounded])
    return LineData(
        design=_design(np.array([run.temperature_k for run in used])),
        values=np.log(diffusivity),
        std=std,
        bound_design=_design(np.array([run.temperature_k for run in bounded])),
        bound_values=bounds - _QUANTILE_95 * spread,
        bound_std=spread,
    )


def _excess_scatter(temperatures_k: FloatArray, values: FloatArray, std: FloatArray) -> FloatArray:
    """(n,) by how much the replicas at a temperature scatter more than their errors; 1 for fewer than four.

    Birge's ratio, sqrt(chi^2 / (n - 1)) about their weighted mean.
    """
    factor = np.ones(len(values))
    for temperature in np.unique(temperatures_k):
        same = np.abs(temperatures_k - temperature) < 1e-9 * temperature
        if same.sum() >= _FEWEST_REPLICAS:
            mean = np.average(values[same], weights=std[same] ** -2.0)
            chi2 = float(np.sum(((values[same] - mean) / std[same]) ** 2))
            factor[same] = max(1.0, math.sqrt(chi2 / (same.sum() - 1)))
    return factor


def _bound_spread(run: RunTransport) -> float:
    """Standard deviation of ln D that goes with the 95 % bound, (1 + 1.645 r) times what was seen."""
    relative = rsd_he(max(run.n_eff, 0.5 * run.n_ions))
    return math.log1p(_QUANTILE_95 * relative) / _QUANTILE_95


def _design(temperatures_k: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(temperatures_k)), -1.0 / (BOLTZMANN_EV_PER_K * temperatures_k)])


def fit_ln_diffusivity(
    temperatures_k: FloatArray, diffusivity: FloatArray, diffusivity_std: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """(ln D0, Ea), their covariance, and chi^2 of the weighted fit."""
    none = np.empty(0)
    found = posterior_of_line(
        LineData(
            design=_design(temperatures_k),
            values=np.log(diffusivity),
            std=diffusivity_std / diffusivity,
            bound_design=np.empty((0, 2)),
            bound_values=none,
            bound_std=none,
        )
    )
    return found.mean, found.covariance, found.chi2


def ln_diffusivity_quantiles(
    line: Arrhenius, temperature_k: float, *, with_covariance: bool = True
) -> tuple[float, float, float, float, float]:
    """ln D at a temperature: lower end of the 68 % interval, median, its upper end, and both ends of 95 %.

    Normal, with variance v00 - 2 v01 / kT + v11 / (kT)^2, where only measured values entered; the quantiles of the
    posterior where bounds did, which is asymmetric.

    Args:
        line: the fit.
        temperature_k: K.
        with_covariance: False leaves the covariance of ln D0 and Ea out, as He 2018 does.
    Checked by tests/transport/test_transport_arrhenius.py.
    """
    gradient = np.array([1.0, -1.0 / (BOLTZMANN_EV_PER_K * temperature_k)])
    if line.draws is not None and line.draw_weights is not None and with_covariance:
        return tuple(float(q) for q in weighted_quantiles(line.draws @ gradient, line.draw_weights, _LEVELS))
    covariance = line.covariance if with_covariance else np.diag(np.diag(line.covariance))
    middle = float(gradient @ [line.ln_prefactor, line.activation_energy])
    spread = math.sqrt(float(gradient @ covariance @ gradient))
    return tuple(middle + step * spread for step in _NORMAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """What the answer would be without the runs at one temperature.

    Attributes:
        temperature_k: left out.
        activation_energy: without it, eV; NaN where the rest is no line.
        ln_diffusivity: at the temperature asked for, without it.
        shift: change of ln D there, in standard deviations of the full fit.
        is_influential: the shift is more than one of them, or without it there is no line.
    """

    temperature_k: float
    activation_energy: float
    ln_diffusivity: float
    shift: float
    is_influential: bool


def leave_one_out(
    runs: Sequence[RunTransport], temperature_k: float, choices: ArrheniusChoices | None = None
) -> tuple[Influence, ...]:
    """The line without each temperature in turn.

    Args:
        runs: as for `fit_arrhenius`.
        temperature_k: where ln D is asked for.
        choices: of the fit.
    Raises:
        InputError: there is no line to leave anything out of.
    Checked by tests/transport/test_transport_arrhenius.py on He's published points and on an outlier.
    """
    whole = fit_arrhenius(runs, choices)
    if whole is None:
        raise InputError(
            "fewer than two temperatures diffused: there is no line to leave a temperature out of",
            fix="run at more temperatures, or longer",
        )
    low, middle, high, *_ = ln_diffusivity_quantiles(whole, temperature_k)
    found = []
    for temperature in sorted({meant_temperature(run) for run in runs if run.is_diffusive or _is_bound(run)}):
        rest = fit_arrhenius([run for run in runs if meant_temperature(run) != temperature], choices)
        one = Influence(
            temperature_k=temperature,
            activation_energy=math.nan,
            ln_diffusivity=math.nan,
            shift=math.nan,
            is_influential=True,
        )
        if rest is not None:
            there = ln_diffusivity_quantiles(rest, temperature_k)[1]
            shift = (there - middle) / (0.5 * (high - low))
            one = replace(
                one,
                activation_energy=rest.activation_energy,
                ln_diffusivity=there,
                shift=shift,
                is_influential=abs(shift) > _INFLUENTIAL,
            )
        found.append(one)
    return tuple(found)
