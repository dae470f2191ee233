"""Free energy of mixing over x at one temperature, and its common tangents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.polynomial import Polynomial
from scipy.optimize import root
from scipy.special import expit, log_expit, xlogy

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.stability.hull import lower_hull
from halion.stability.mixing import MixingFit
from halion.units import BOLTZMANN_EV_PER_K

__all__ = ["FreeEnergyCurve", "FreeEnergyModel", "Gap", "common_tangents", "free_energy_curve"]

# Logits of y, even in y in the middle and in its logarithm near the ends, where tangents touch at exp(-W/kT).
# Nearer to the ends than 1e-9 differences of y lose their digits, and the touching point is left to the solver.
_INNER = np.linspace(1e-3, 1 - 1e-3, 1997)
_LOGITS = np.unique(np.concatenate([np.log(_INNER) - np.log1p(-_INNER), np.linspace(-20.7, 20.7, 331)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeEnergyModel:
    """What makes up the free energy of one temperature.

    Attributes:
        temperature_k: above zero.
        mixed_sites: sites per formula unit that both elements share.
        energies: what E(x) is of: "lowest" orderings, or "random" ones. With ideal entropy the first gives a lower
            bound of F (no ordering lies lower, no state holds more entropy), the second an upper bound
            (Gibbs-Bogoliubov).
        vibrational: phase -> harmonic free energies of both ends, eV per formula unit; linear between them. Empty:
            none.
    """

    temperature_k: float
    mixed_sites: float
    energies: Literal["lowest", "random"] = "lowest"
    vibrational: Mapping[str, tuple[float, float]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of x that falls apart into two mixtures.

    Attributes:
        x_left, x_right: contents of both.
        phase_left, phase_right: their phases: one and the same in a miscibility gap.
    """

    x_left: float
    x_right: float
    phase_left: str
    phase_right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeEnergyCurve:
    """Free energies over x at one temperature.

    Attributes:
        temperature_k: of it.
        x: (n,) contents.
        free_energy: phase -> (n,) F of mixing, eV per formula unit, above a mechanical mixture of the lowest ends.
        gaps: by x; empty: one phase mixes from end to end.
        most: x of the second end.
        verdict: the finding in words.
        notes: what F stands for.
    """

    temperature_k: float
    x: FloatArray
    free_energy: Mapping[str, FloatArray]
    gaps: tuple[Gap, ...]
    most: float
    verdict: str
    notes: tuple[str, ...]


def free_energy_curve(fits: Sequence[MixingFit], most: float, model: FreeEnergyModel) -> FreeEnergyCurve:
    """F(x, T) = E(x) + F_vib(x, T) + kT n [y ln y + (1 - y) ln(1 - y)], y = x/X, with its common tangents.

    Args:
        fits: one per phase, from `fit_mixing`.
        most: X, the x of the second end.
        model: temperature and terms.
    Raises:
        InputError: no phases, a temperature of zero or below (there the convex hull answers), no mixed sites, a
            vibrational term that a phase lacks.

    Checked by tests/stability/test_stability_free_energy.py: gaps of the regular solution, two parabolas.
    """
    _check(fits, model)
    gaps = common_tangents(fits, model)
    scaled = tuple(
        Gap(x_left=most * a, x_right=most * b, phase_left=left, phase_right=right) for a, b, left, right in gaps
    )
    base = [min(_ends(fit, model)[k] for fit in fits) for k in (0, 1)]
    y = np.linspace(0, 1, 241)
    free = {fit.phase: _free(fit, model, y) - (1 - y) * base[0] - y * base[1] for fit in fits}
    return FreeEnergyCurve(
        temperature_k=model.temperature_k,
        x=most * y,
        free_energy=free,
        gaps=scaled,
        most=most,
        verdict=_verdict(scaled, fits, model, most),
        notes=_notes(model),
    )


def common_tangents(fits: Sequence[MixingFit], model: FreeEnergyModel) -> list[tuple[float, float, str, str]]:
    """(y left, y right, phase left, phase right) of each stretch below the curves that the lower hull spans.

    The hull of a fine grid finds them; where both curves are smooth the touching points are then those of equal
    slope and one tangent, to solver precision.
    """
    y = np.tile(expit(_LOGITS), len(fits))
    phase = np.repeat(np.arange(len(fits)), len(_LOGITS))
    values = np.concatenate([_above_line(fit, fits[0], model, _LOGITS) for fit in fits])
    corners = lower_hull(y, values, tolerance=0.0)
    place = np.tile(np.arange(len(_LOGITS)), len(fits))
    found = []
    for left, right in pairwise(corners):
        if place[right] - place[left] > 2 or phase[left] != phase[right]:
            pair = fits[phase[left]], fits[phase[right]]
            a, b = _polished(pair, model, np.array([_LOGITS[place[left]], _LOGITS[place[right]]]))
            found.append((a, b, pair[0].phase, pair[1].phase))
    return found


def _polished(pair: tuple[MixingFit, MixingFit], model: FreeEnergyModel, start: FloatArray) -> tuple[float, float]:
    """Touching points of one tangent; those of the grid where the solver finds none beside them."""
    kt = BOLTZMANN_EV_PER_K * model.temperature_k * model.mixed_sites

    def residual(logits: FloatArray) -> FloatArray:
        left, right = logits[:1], logits[1:]
        slopes = _slope(pair[0], pair[0], model, left), _slope(pair[1], pair[0], model, right)
        rise = _above_line(pair[1], pair[0], model, right) - _above_line(pair[0], pair[0], model, left)
        run = expit(right) - expit(left)
        return np.concatenate([slopes[1] - slopes[0], rise - slopes[0] * run]) / kt

    with np.errstate(all="ignore"):
        found = root(residual, start, tol=1e-13)
    (a, b), (left, right) = expit(found.x).tolist(), expit(start).tolist()
    step = 2e-3  # a few steps of the grid
    is_near = np.abs(residual(found.x)).max() < 1e-9 and abs(a - left) < step and abs(b - right) < step and a < b
    return (a, b) if is_near else (left, right)


def _ends(fit: MixingFit, model: FreeEnergyModel) -> FloatArray:
    vibrational = (model.vibrational or {}).get(fit.phase, (0.0, 0.0))
    return fit.ends + np.array(vibrational)


def _above_line(fit: MixingFit, other: MixingFit, model: FreeEnergyModel, logits: FloatArray) -> FloatArray:
    """F above the line between the ends of another phase: the line changes no tangent, and without it the digits
    of small y last."""
    kt = BOLTZMANN_EV_PER_K * model.temperature_k * model.mixed_sites
    y, rest = expit(logits), expit(-logits)
    first, last = _ends(fit, model) - _ends(other, model)
    entropy = y * log_expit(logits) + rest * log_expit(-logits)
    return rest * first + y * last + y * rest * _inner(fit)(y) + kt * entropy


def _slope(fit: MixingFit, other: MixingFit, model: FreeEnergyModel, logits: FloatArray) -> FloatArray:
    """Derivative of the same to y: that of the entropy is the logit itself."""
    kt = BOLTZMANN_EV_PER_K * model.temperature_k * model.mixed_sites
    first, last = _ends(fit, model) - _ends(other, model)
    return last - first + fit.excess.deriv()(expit(logits)) + kt * logits


def _inner(fit: MixingFit) -> Polynomial:
    """sum_k L_k (1 - 2y)^k."""
    return sum(
        (value * Polynomial([1.0, -2.0]) ** k for k, value in enumerate(fit.coefficients)), Polynomial([0.0])
    )


def _free(fit: MixingFit, model: FreeEnergyModel, y: FloatArray) -> FloatArray:
    kt = BOLTZMANN_EV_PER_K * model.temperature_k * model.mixed_sites
    first, last = _ends(fit, model)
    return (1 - y) * first + y * last + fit.excess(y) + kt * (xlogy(y, y) + xlogy(1 - y, 1 - y))


def _check(fits: Sequence[MixingFit], model: FreeEnergyModel) -> None:
    if not fits:
        raise InputError("a free energy needs at least one phase with mixtures", fix="fit_mixing for each phase")
    if not (math.isfinite(model.temperature_k) and model.temperature_k > 0):
        raise InputError(
            f"{model.temperature_k} K is no temperature of mixing",
            fix="give kelvin above zero; at zero: convex_hull",
        )
    if not (math.isfinite(model.mixed_sites) and model.mixed_sites > 0):
        raise InputError(
            f"{model.mixed_sites} mixed sites hold no mixture", fix="give the sites that both elements share"
        )
    if model.vibrational is not None:
        lacking = [fit.phase for fit in fits if fit.phase not in model.vibrational]
        if lacking or not np.isfinite(list(model.vibrational.values())).all():
            raise InputError(
                f"vibrational free energies are missing for {', '.join(lacking) or 'an end'}",
                fix="give both ends of every phase, or none at all",
            )


def _verdict(gaps: tuple[Gap, ...], fits: Sequence[MixingFit], model: FreeEnergyModel, most: float) -> str:
    kelvin = f"At {model.temperature_k:g} K"
    if not gaps:
        middle = {fit.phase: float(_free(fit, model, np.array([0.5]))[0]) for fit in fits}
        return f"{kelvin} {min(middle, key=middle.__getitem__)} is a solid solution from x = 0 to {most:g}."
    told = []
    for gap in gaps:
        stretch = f"x = {gap.x_left:.3g} to {gap.x_right:.3g}"
        if gap.phase_left == gap.phase_right:
            told.append(f"a miscibility gap of {gap.phase_left} from {stretch}")
        else:
            told.append(f"{gap.phase_left} and {gap.phase_right} beside each other from {stretch}")
    return f"{kelvin} there is {'; '.join(told)}."


def _notes(model: FreeEnergyModel) -> tuple[str, ...]:
    bound = {
        "lowest": "Energies of the lowest orderings with ideal entropy: F of mixtures is a lower bound, for no "
        "arrangement has both.",
        "random": "Energies of random arrangements with ideal entropy: F of mixtures is an upper bound, for order "
        "could lower it.",
    }[model.energies]
    vibrations = (
        "Vibrations are left out." if model.vibrational is None else "Harmonic vibrations, linear between the ends."
    )
    return bound, vibrations
