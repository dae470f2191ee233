"""One activation energy or two: evidence for a change of slope in ln D against 1/T.

Both models are linear in ln D once the temperature of the change is fixed; their evidence is the likelihood
integrated over ln D (flat, the same in both), over energies uniform between 0 and 1.5 eV, and over the temperature
of the change, uniform in 1/T. Li3YCl6 changes near 420 K (Qi and coworkers, Mater. Today Phys. 21, 100463 (2021)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.transport.arrhenius import ArrheniusChoices, line_data, meant_temperature
from halion.transport.line import LineData, LinePosterior, posterior_of_line, weighted_quantiles
from halion.transport.types import RunTransport
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["Regimes", "compare_regimes", "two_regime_diffusivity"]

RegimeVerdict = Literal["two regimes", "one line", "undecided", "cannot be told"]

_LARGEST_ENERGY = 1.5  # eV; activation energies of ion conduction are below
_FEWEST_TEMPERATURES = 4
_N_CHANGES = 48
# Odds of twenty to one ("strong", Kass and Raftery, J. Am. Stat. Assoc. 90, 773 (1995)); of three to one against.
_TWO, _ONE = math.log(20.0), -math.log(3.0)
_LEVELS = (0.15865525393145707, 0.5, 0.8413447460685429)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regimes:
    """One line against two that meet.

    Attributes:
        verdict: "two regimes" (odds above 20 to 1), "one line" (3 to 1 against two), "undecided" between, "cannot
            be told" with fewer than four temperatures.
        ln_bayes_factor: ln of (evidence of two regimes / evidence of one line).
        change_k: temperature of the change, median and 68 % interval, K.
        energy_cold, energy_hot: activation energy below and above it, (median, low, high), eV.
        ln_diffusivity: at the temperature asked for with two regimes, (median, low, high).
        ln_diffusivity_one_line: the same with one line.
        range_k: coldest and hottest temperature that the change could be seen at.
        words: what that means.
    """

    verdict: RegimeVerdict
    ln_bayes_factor: float
    change_k: tuple[float, float, float]
    energy_cold: tuple[float, float, float]
    energy_hot: tuple[float, float, float]
    ln_diffusivity: tuple[float, float, float]
    ln_diffusivity_one_line: tuple[float, float, float]
    range_k: tuple[float, float]
    words: str


def two_regime_diffusivity(
    temperatures_k: FloatArray, energies: tuple[float, float], at_change: float, change_k: float
) -> FloatArray:
    """D = D_c exp(-E / kB (1/T - 1/T_c)), E the cold energy below T_c and the hot one above.

    Args:
        temperatures_k: (n,) K.
        energies: below and above the change, eV.
        at_change: D_c, any unit.
        change_k: T_c, K.
    Checked by tests/transport/test_transport_regimes.py against published values.
    """
    temperatures_k = np.asarray(temperatures_k, dtype=float)
    energy = np.where(temperatures_k < change_k, energies[0], energies[1])
    return at_change * np.exp(-energy / BOLTZMANN_EV_PER_K * (1 / temperatures_k - 1 / change_k))


def compare_regimes(
    runs: Sequence[RunTransport], temperature_k: float, *, expected_change_k: float | None = None
) -> Regimes:
    """Evidence for two activation energies against one, and what either says at a temperature.

    Two regimes are claimed only with odds of 20 to 1, and a change is looked for only where at least two measured
    temperatures lie on either side of it: what lies outside cannot be seen, and is said to be an assumption.

    Args:
        runs: as for `fit_arrhenius`; upper bounds enter.
        temperature_k: where ln D is asked for.
        expected_change_k: a change known for the material, to say whether these runs could show it.
    Raises:
        InputError: fewer than two temperatures diffused.
    Checked by tests/transport/test_transport_regimes.py on lines, on bent lines, and on the evidence by quadrature.
    """
    used = [run for run in runs if run.is_diffusive]
    bounded = [run for run in runs if run.verdict in ("upper bound", "caged") and math.isfinite(run.upper_bound)]
    meant = sorted({meant_temperature(run) for run in used})
    if len(meant) < 2:
        raise InputError(
            f"{len(meant)} temperature(s) diffused: two are a line, four can show a bent one",
            fix="run at more temperatures",
        )
    data = line_data(used, bounded, ArrheniusChoices())
    one = posterior_of_line(data)
    at = _at(one, np.array([1.0, -1.0 / (BOLTZMANN_EV_PER_K * temperature_k)]))
    if len(meant) < _FEWEST_TEMPERATURES:
        return _untold(len(meant), at, _outside(expected_change_k, None))
    changes, models = _models(data, (meant[1], meant[-2]))
    evidence = np.array([_ln_proper_evidence(model, 2) for model in models])
    factor = float(np.logaddexp.reduce(evidence) - math.log(len(models)) - _ln_proper_evidence(one, 1))
    weights = np.exp(evidence - evidence.max()) if np.isfinite(evidence.max()) else np.ones(len(models))
    mixed = _mixture(changes, models, weights, temperature_k)
    verdict = "two regimes" if factor > _TWO else "one line" if factor < _ONE else "undecided"
    note = _outside(expected_change_k, (meant[1], meant[-2]))
    return Regimes(
        verdict=verdict,
        ln_bayes_factor=factor,
        **mixed,
        ln_diffusivity_one_line=at,
        range_k=(meant[1], meant[-2]),
        words=_words(verdict, factor, mixed, at, temperature_k) + note,
    )


def _models(data: LineData, between: tuple[float, float]) -> tuple[FloatArray, list[LinePosterior]]:
    """Posteriors of (ln D_c, E_cold, E_hot) for changes evenly spaced in 1/T."""
    changes = 1.0 / np.linspace(1 / between[0], 1 / between[1], _N_CHANGES)
    models = []
    for change in changes:
        bent = LineData(
            design=_bent(data.design, change),
            values=data.values,
            std=data.std,
            bound_design=_bent(data.bound_design, change),
            bound_values=data.bound_values,
            bound_std=data.bound_std,
        )
        models.append(posterior_of_line(bent))
    return changes, models


def _bent(design: FloatArray, change_k: float) -> FloatArray:
    """(n, 3): one, and -(1/kT - 1/kT_c) in the column of its side."""
    distance = design[:, 1] + 1.0 / (BOLTZMANN_EV_PER_K * change_k)
    return np.column_stack([np.ones(len(design)), np.minimum(distance, 0.0), np.maximum(distance, 0.0)])


def _allowed(model: LinePosterior) -> FloatArray:
    """Weights of the draws whose energies are physical."""
    energies = model.draws[:, 1:]
    return model.weights * ((energies > 0) & (energies < _LARGEST_ENERGY)).all(axis=1)


def _ln_proper_evidence(model: LinePosterior, n_energies: int) -> float:
    """With energies uniform between 0 and 1.5 eV; minus infinity where none is in there."""
    inside = float(_allowed(model).sum())
    return (
        model.ln_evidence + math.log(inside) - n_energies * math.log(_LARGEST_ENERGY) if inside > 0 else -math.inf
    )


def _at(model: LinePosterior, gradient: FloatArray) -> tuple[float, float, float]:
    return tuple(float(q) for q in weighted_quantiles(model.draws @ gradient, model.weights, _LEVELS))


def _mixture(
    changes: FloatArray, models: list[LinePosterior], evidence: FloatArray, temperature_k: float
) -> dict[str, tuple[float, float, float]]:
    """Quantiles over draws of all models, each with its evidence."""
    weights = np.concatenate([weight * _allowed(model) for weight, model in zip(evidence, models, strict=True)])
    if not weights.any():
        weights = np.concatenate([model.weights for model in models])
    draws = np.concatenate([model.draws for model in models])
    repeated = np.repeat(changes, [len(model.draws) for model in models])
    apart = 1.0 / (BOLTZMANN_EV_PER_K * repeated) - 1.0 / (BOLTZMANN_EV_PER_K * temperature_k)
    there = draws[:, 0] + np.where(apart < 0, draws[:, 1], draws[:, 2]) * apart

    def quantiles(values: FloatArray) -> tuple[float, float, float]:
        return tuple(float(q) for q in weighted_quantiles(values, weights, _LEVELS))

    return {
        "change_k": quantiles(repeated),
        "energy_cold": quantiles(draws[:, 1]),
        "energy_hot": quantiles(draws[:, 2]),
        "ln_diffusivity": quantiles(there),
    }


def _untold(n_temperatures: int, at: tuple[float, float, float], note: str) -> Regimes:
    nothing = (math.nan, math.nan, math.nan)
    return Regimes(
        verdict="cannot be told",
        ln_bayes_factor=math.nan,
        change_k=nothing,
        energy_cold=nothing,
        energy_hot=nothing,
        ln_diffusivity=nothing,
        ln_diffusivity_one_line=at,
        range_k=(math.nan, math.nan),
        words=f"{n_temperatures} temperatures cannot show whether the line bends: four are the least.{note}",
    )


def _outside(expected_change_k: float | None, between: tuple[float, float] | None) -> str:
    """What is to be said of a known change that these runs cannot show."""
    if expected_change_k is None or (between and between[0] <= expected_change_k <= between[1]):
        return ""
    seen = f" (these could show one from {between[0]:.0f} to {between[1]:.0f} K)" if between else ""
    return (
        f" This material is known to change near {expected_change_k:.0f} K, which these runs cannot show{seen}: a "
        "line from hotter runs overestimates the conductivity below it when the cold energy is the larger one."
    )


def _words(
    verdict: str,
    factor: float,
    mixed: dict[str, tuple[float, float, float]],
    one_line: tuple[float, float, float],
    temperature_k: float,
) -> str:
    odds = f"ln of the Bayes factor {factor:.1f}"
    if verdict == "one line":
        return f"One line suffices ({odds})."
    cold, hot, change = (mixed[name][1] for name in ("energy_cold", "energy_hot", "change_k"))
    text = f"{cold:.2f} eV below and {hot:.2f} eV above {change:.0f} K"
    ratio = math.exp(min(mixed["ln_diffusivity"][1] - one_line[1], 50.0))
    text += f"; D at {temperature_k:g} K would be {ratio:.2g} times that of one line"
    if verdict == "two regimes":
        return f"Two regimes ({odds}): {text}."
    return f"Undecided between one line and two ({odds}): two would be {text}."
