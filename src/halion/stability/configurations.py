"""The partition function over distinct orderings, and entropies of mixing: ideal, counted and computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import gammaln, logsumexp, xlogy

from halion.arrays import FloatArray
from halion.errors import InputError
from halion.ranking.types import Ranking
from halion.units import BOLTZMANN_EV_PER_K

__all__ = [
    "ConfigurationalState",
    "Configurations",
    "configurational_state",
    "counted_entropy",
    "ideal_entropy",
    "ranking_configurations",
]

Known = Literal["all", "random", "lowest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configurations:
    """Distinct orderings of one composition in one cell.

    Attributes:
        formula_units: in the cell.
        energies: (n,) of the cells, eV.
        multiplicities: (n,) orderings equivalent to each.
        total: orderings in all, equivalent ones counted; 0: not known.
        known: which of them these are: "all"; "random", drawn alike among the distinct ones; "lowest", found by a
            search for low energies.
    """

    formula_units: int
    energies: FloatArray
    multiplicities: FloatArray
    total: float
    known: Known


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationalState:
    """What the orderings say at one temperature, per formula unit.

    Attributes:
        temperature_k: of it.
        free_energy: F = -kT ln Z, eV: exact for "all", an estimate for "random", an upper bound for "lowest".
        free_energy_low: lower bound of F; equal to it for "all"; NaN where there is none.
        energy: mean energy of those known, eV.
        entropy: (E - F) / T, eV/K.
        entropy_most: k ln(total), eV/K: of all orderings alike, T -> infinity; NaN where the total is not known.
        coverage: part of all orderings, equivalent ones counted, that is known; NaN where the total is not known.
        lowest_weight: weight of the lowest ordering with its equivalents among those known.
        note: what F stands for, in words.
    """

    temperature_k: float
    free_energy: float
    free_energy_low: float
    energy: float
    entropy: float
    entropy_most: float
    coverage: float
    lowest_weight: float
    note: str


def configurational_state(configurations: Configurations, temperature_k: float) -> ConfigurationalState:
    """F = -kT ln sum_i g_i exp(-E_i / kT) of a cell, divided by its formula units.

    Sums run over logarithms, so that cells of thousands of eV do no harm. Of a random sample each ordering stands
    for total / sum(g) of them. Of the lowest orderings the sum is a lower bound of Z; were none of the rest below
    the highest of them, Z stays below sum + rest * exp(-E_highest / kT), which bounds F from below.

    Args:
        configurations: energies of cells and multiplicities.
        temperature_k: above zero.
    Raises:
        InputError: no orderings, a NaN, a multiplicity below one, more orderings than there are, fewer where all
            are said to be known, a sample whose total is not known, or a temperature that is none.

    Source: van de Walle, Ceder, Rev. Mod. Phys. 74, 11 (2002), Eq. 1. Checked by
    tests/stability/test_stability_configurations.py: a two-level system, every arrangement of a small cell, limits
    of T.
    """
    _check(configurations, temperature_k)
    kt = BOLTZMANN_EV_PER_K * temperature_k
    energies, weights = configurations.energies, configurations.multiplicities
    known = float(weights.sum())
    total = configurations.total or math.nan
    log_terms = np.log(weights) - energies / kt
    log_sum = float(logsumexp(log_terms))
    share = np.exp(log_terms - log_sum)
    log_z = log_sum + (math.log(total / known) if configurations.known == "random" else 0.0)
    low = _log_z_most(configurations, log_sum, kt)
    units = configurations.formula_units
    mean = float(share @ energies)
    return ConfigurationalState(
        temperature_k=temperature_k,
        free_energy=-kt * log_z / units,
        free_energy_low=-kt * low / units,
        energy=mean / units,
        entropy=(mean + kt * log_z) / temperature_k / units,
        entropy_most=BOLTZMANN_EV_PER_K * math.log(total) / units,
        coverage=known / total,
        lowest_weight=float(share[energies <= energies.min()].sum()),
        note=_note(configurations, known / total),
    )


def ideal_entropy(sites: Sequence[tuple[float, Mapping[str, float]]]) -> float:
    """S = -k sum_sites n sum_a c_a ln c_a, eV/K: all arrangements alike in an infinite crystal.

    Args:
        sites: (sites per formula unit, occupancy of each element, vacancies among them) of each mixed sublattice.
    Raises:
        InputError: occupancies outside 0 to 1, or whose sum is not one.

    Checked by tests/stability/test_stability_configurations.py: the limit of counted entropies.
    """
    entropy = 0.0
    for n, occupancies in sites:
        shares = np.array(list(occupancies.values()), float)
        if n < 0 or not ((shares >= 0) & (shares <= 1)).all() or abs(shares.sum() - 1) > 1e-9:
            raise InputError(
                f"occupancies of a sublattice lie between 0 and 1 and sum to one; got {dict(occupancies)}",
                fix="count vacancies as an element of their own",
            )
        entropy -= n * float(xlogy(shares, shares).sum())
    return BOLTZMANN_EV_PER_K * entropy


def counted_entropy(counts: Sequence[Sequence[int]]) -> float:
    """S = k sum_sites ln( N! / prod_a n_a! ), eV/K per cell: of all arrangements of a finite cell, exactly.

    Args:
        counts: atoms of each element on each mixed sublattice, vacancies among them.
    Raises:
        InputError: a negative count.

    Checked by tests/stability/test_stability_configurations.py: logarithms of whole numbers.
    """
    numbers = [np.array(each, float) for each in counts]
    if any((each < 0).any() for each in numbers):
        raise InputError("atoms on a sublattice cannot be fewer than none", fix="check the counts")
    return BOLTZMANN_EV_PER_K * float(sum(gammaln(n.sum() + 1) - gammaln(n + 1).sum() for n in numbers))


def ranking_configurations(ranking: Ranking, total: float = 0.0) -> Configurations:
    """The relaxed orderings of a ranked table; merged ones are in the multiplicity of their row.

    Args:
        ranking: from `rank_orderings`.
        total: orderings in all, equivalent ones counted (`OrderingSet.total_allowed`); 0: not known. Where it is
            the sum of multiplicities, all are known.
    """
    rows = ranking.rows
    weights = np.array([row.multiplicity for row in rows], float)
    atoms = rows[0].relaxation.atoms
    units = math.gcd(*np.unique(atoms.numbers, return_counts=True)[1].tolist())
    return Configurations(
        formula_units=units,
        energies=np.array([row.relaxation.energy * len(row.relaxation.atoms) for row in rows]),
        multiplicities=weights,
        total=total,
        known="all" if weights.sum() == total else "lowest",
    )


def _log_z_most(configurations: Configurations, log_sum: float, kt: float) -> float:
    if configurations.known == "all":
        return log_sum
    if configurations.known == "random" or not configurations.total:
        return math.nan
    rest = configurations.total - float(configurations.multiplicities.sum())
    if rest <= 0:
        return log_sum
    return float(np.logaddexp(log_sum, math.log(rest) - configurations.energies.max() / kt))


def _check(configurations: Configurations, temperature_k: float) -> None:
    energies, weights = configurations.energies, configurations.multiplicities
    if not (math.isfinite(temperature_k) and temperature_k > 0):
        raise InputError(
            f"a temperature of {temperature_k} K gives no partition function",
            fix="give kelvin above zero; at zero the lowest ordering is all there is",
        )
    if len(energies) == 0 or energies.shape != weights.shape or configurations.formula_units < 1:
        raise InputError(
            f"{len(energies)} energies and {len(weights)} multiplicities of cells with "
            f"{configurations.formula_units} formula units make no ensemble",
            fix="give one multiplicity per energy",
        )
    if not np.isfinite(energies).all() or not (weights >= 1).all():
        raise InputError(
            "energies must be numbers, and multiplicities one or more",
            fix="leave out what was refused, and count it in the total",
        )
    known, total = float(weights.sum()), configurations.total
    if total and known > total * (1 + 1e-12):
        raise InputError(
            f"{known:g} orderings are known, but there are {total:g} in all", fix="check multiplicities and total"
        )
    if configurations.known == "all" and abs(known - total) > 1e-9 * known:
        raise InputError(
            f"{known:g} of {total:g} orderings are known: that is not all of them",
            fix="say how they were chosen: random or lowest",
        )
    if configurations.known == "random" and not total:
        raise InputError(
            "of a random sample nothing follows without the number of orderings in all",
            fix="give the total, equivalent orderings counted",
        )


def _note(configurations: Configurations, coverage: float) -> str:
    told = {
        "all": "All orderings are known: F is exact for this cell.",
        "random": f"A random sample stands for all orderings ({coverage:.2g} of them known): F is an estimate.",
        "lowest": "Only orderings found low in energy are known"
        + (f" ({coverage:.2g} of all)" if math.isfinite(coverage) else "")
        + ": F is an upper bound.",
    }
    return told[configurations.known]
