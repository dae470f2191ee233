"""An energy model of arrangements, fitted on the fly to some hundred energies of a potential.

E(row) = c + sum over blocks b, functions f of  J_bf phi_bf(row): a cluster expansion whose coefficients have normal
priors, one variance per block. The variances and that of the noise are those under which the energies seen are
likeliest (the evidence; MacKay, Neural Comput. 4, 415 (1992)), so that blocks which explain nothing are switched
off and more coefficients than energies do no harm. All is one Gaussian process with a linear kernel; errors of
leaving each energy out in turn have a closed form (Rasmussen and Williams, Gaussian Processes for Machine Learning,
2006, eqs. 5.8 to 5.12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.ranking.clusters import Block, values

__all__ = ["Surrogate", "fit_surrogate"]

# Logarithms of variances in units of that of the energies. The noise is what clusters cannot express; energies that
# they express exactly would have it vanish, and with it the sense of the numbers. exp(-18.4) = 1e-8: a
# ten-thousandth of the spread of the energies, finer than relaxations converge.
_LARGEST_LOG, _SMALLEST_LOG = 4.0, -18.4
_CONSTANT = 1.0
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """A fitted energy model; energies per atom, eV.

    Attributes:
        blocks: its cluster functions.
        coefficients: per block, eV/atom each.
        constant: eV/atom.
        log_variances: logarithms of the variances of the blocks and, last, of the noise, in units of that of the
            energies: where the next fit may start.
        left_out: (n_energies,) what each energy is predicted to be by all others, eV/atom.
        cv_error: root mean square of the errors of `left_out`, eV/atom.
        explained: block name -> its share of the variance of the fitted energies.
    """

    blocks: tuple[Block, ...]
    coefficients: tuple[FloatArray, ...]
    constant: float
    log_variances: FloatArray
    left_out: FloatArray
    cv_error: float
    explained: dict[str, float]

    def predict(self, rows: NDArray[np.uint8]) -> FloatArray:
        """(n_rows,) predicted energies, eV/atom."""
        predicted = np.full(len(rows), self.constant)
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(begin, begin + _ROWS_AT_ONCE)
            for block, coefficients in zip(self.blocks, self.coefficients):
                members = block.weights @ coefficients
                predicted[part] += _sum_of_products(block, members, rows[part])
        return predicted


def _sum_of_products(block: Block, strengths: FloatArray, rows: NDArray[np.uint8]) -> FloatArray:
    """sum over clusters of strength times the product of spins; pairs as a quadratic form."""
    signs = 2.0 * rows - 1.0
    if block.members.shape[1] == 2:
        matrix = np.zeros((rows.shape[1], rows.shape[1]))
        matrix[block.members[:, 0], block.members[:, 1]] = strengths
        return np.einsum("ri,ri->r", signs @ matrix, signs)
    return signs[:, block.members].prod(axis=2) @ strengths


def fit_surrogate(
    blocks: Sequence[Block],
    rows: NDArray[np.uint8],
    energies: FloatArray,
    *,
    start: FloatArray | None = None,
) -> Surrogate:
    """Fit the model to energies.

    Args:
        blocks: cluster functions, from `cluster_blocks`.
        rows: (n, n_sites) arrangements whose energies are known.
        energies: (n,) eV/atom.
        start: `log_variances` of an earlier fit with the same blocks.
    Raises:
        InputError: fewer than three energies, or one that is not finite.

    Checked by tests/ranking/test_ranking_surrogate.py: exact where energies are sums of pairs; errors left out
    against fitting anew; invariance under symmetry and under exchange of the elements.
    """
    if len(energies) < 3 or not np.isfinite(energies).all():
        raise InputError(
            f"a surrogate needs at least three finite energies, not {int(np.isfinite(energies).sum())} of "
            f"{len(energies)}",
            fix="evaluate more arrangements, or leave out the refused ones",
        )
    mean, spread = float(energies.mean()), float(energies.std())
    unit = spread if spread > 0 else 1.0
    features = [values(block, rows) for block in blocks]
    # Each block's kernel has a mean variance of one, so that its variance is its share of the energies'.
    scales = [max(float((phi - phi.mean(axis=0)).var(axis=0).sum()), 1e-300) ** 0.5 for phi in features]
    scaled = [(phi - phi.mean(axis=0)) / scale for phi, scale in zip(features, scales)]
    kernels = [phi @ phi.T for phi in scaled]
    target = (energies - mean) / unit
    logs = _likeliest(kernels, target, start)
    variances = np.exp(logs)
    inverse, alpha = _solved(kernels, variances, target)
    left_out = target - alpha / np.diag(inverse)
    coefficients, explained, constant = [], {}, _CONSTANT * alpha.sum()
    for block, phi, scale, variance, raw in zip(blocks, scaled, scales, variances, features):
        weights = variance * (phi.T @ alpha)
        explained[block.name] = float((phi @ weights).var())
        coefficients.append(unit * weights / scale)
        constant -= float(raw.mean(axis=0) @ weights) / scale
    total = sum(explained.values()) or 1.0
    return Surrogate(
        blocks=tuple(blocks),
        coefficients=tuple(coefficients),
        constant=mean + unit * constant,
        log_variances=logs,
        left_out=mean + unit * left_out,
        cv_error=float(unit * np.sqrt(np.mean((left_out - target) ** 2))),
        explained={name: share / total for name, share in explained.items()},
    )


def _solved(kernels: list[FloatArray], variances: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverse of the covariance of the energies, and its product with them."""
    covariance = sum(v * kernel for v, kernel in zip(variances, kernels)) + _CONSTANT
    covariance[np.diag_indices(len(target))] += variances[-1]
    factor = cho_factor(covariance, lower=True)
    inverse = cho_solve(factor, np.eye(len(target)))
    return inverse, inverse @ target


def _likeliest(kernels: list[FloatArray], target: FloatArray, start: FloatArray | None) -> FloatArray:
    """Logarithms of the variances of greatest evidence, found from one or two starts with its gradient."""

    def cost(logs: FloatArray) -> tuple[float, FloatArray]:
        variances = np.exp(logs)
        covariance = sum(v * kernel for v, kernel in zip(variances, kernels)) + _CONSTANT
        covariance[np.diag_indices(len(target))] += variances[-1]
        factor, lower = cho_factor(covariance, lower=True)
        alpha = cho_solve((factor, lower), target)
        inverse = cho_solve((factor, lower), np.eye(len(target)))
        value = 0.5 * target @ alpha + np.log(np.diag(factor)).sum()
        slopes = [
            0.5 * v * (np.einsum("ij,ij->", inverse, kernel) - alpha @ kernel @ alpha)
            for v, kernel in zip(variances, kernels)
        ]
        slopes.append(0.5 * variances[-1] * (np.trace(inverse) - alpha @ alpha))
        return float(value), np.array(slopes)

    n = len(kernels)
    starts = [np.append(np.full(n, np.log(1.0 / max(n, 1))), np.log(0.1))] if start is None else [start]
    best = min(
        (
            minimize(cost, logs, jac=True, method="L-BFGS-B", bounds=[(_SMALLEST_LOG, _LARGEST_LOG)] * (n + 1))
            for logs in starts
        ),
        key=lambda result: result.fun,
    )
    return best.x
