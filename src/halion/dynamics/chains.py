"""Nose-Hoover chains of three links, for the atoms and cells of many runs at once.

In rates r_k = p_k / Q_k and with x = (twice the kinetic energy) / (n kT tau^2), n the degrees of freedom:

    dr_1/dt = x - 1/tau^2 - r_2 r_1,   dr_2/dt = n r_1^2 - 1/tau^2 - r_3 r_2,   dr_3/dt = r_2^2 - 1/tau^2

so that neither kT nor the masses Q_1 = n kT tau^2, Q_k = kT tau^2 appear, and 1/tau = 0 means that there is none.
Source: Martyna, Klein and Tuckerman, J. Chem. Phys. 97, 2635 (1992), doi:10.1063/1.463940; splitting: Martyna,
Tuckerman, Tobias and Klein, Mol. Phys. 87, 1117 (1996), doi:10.1080/00268979600100761.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from halion.arrays import FloatArray

# One array (..., n_runs) per link.
Chain = tuple[FloatArray, FloatArray, FloatArray]

__all__ = ["CHAIN_LENGTH", "Chain", "ChainTurn", "chain_energies", "turn_chains"]

CHAIN_LENGTH = 3


class ChainTurn(NamedTuple):
    """How chains are turned.

    Attributes:
        freedom: (..., n_runs) degrees of freedom n.
        squared: (..., n_runs) 1 / tau^2.
        time: (n_runs,) by how much.
    """

    freedom: FloatArray
    squared: FloatArray
    time: FloatArray


def turn_chains(
    xp: ModuleType, heat: FloatArray, chain: Chain, rates: Chain, turn: ChainTurn
) -> tuple[FloatArray, Chain, Chain]:
    """Move chains and say by how much they scale the momenta that they rub on.

    Args:
        xp: namespace of the arrays.
        heat: (..., n_runs) x above.
        chain, rates: positions and velocities of the links.
    Returns:
        scales (..., n_runs), chain, rates.
    Checked by test_step_by_step_as_ase_has_it.
    """
    freedom, squared, time = turn
    half, quarter = time / 2, time / 4
    first, second, third = rates
    third = third + half * (second * second - squared)
    slow = xp.exp(-quarter * third)
    second = (second * slow + half * (freedom * first * first - squared)) * slow
    rub = xp.exp(-quarter * second)
    first = (first * rub + half * (heat - squared)) * rub
    chain = (chain[0] + time * first, chain[1] + time * second, chain[2] + time * third)
    scales = xp.exp(-time * first)
    first = (first * rub + half * (heat * scales * scales - squared)) * rub
    second = (second * slow + half * (freedom * first * first - squared)) * slow
    third = third + half * (second * second - squared)
    return scales, chain, (first, second, third)


def chain_energies(
    chain: Chain, rates: Chain, freedom: FloatArray, thermal_energy: FloatArray, frequencies: FloatArray
) -> FloatArray:
    """Energy in the chains of atoms and cells together, (n_runs,), eV; 0 where there is none.

    sum over links of n_k kT (tau^2 r_k^2 / 2 + chain_k), n_k = n, 1, 1.
    """
    is_there = frequencies > 0
    tau_squared = is_there / (frequencies * frequencies + ~is_there)
    links = [tau_squared * rate * rate / 2 + is_there * place for place, rate in zip(chain, rates, strict=True)]
    return thermal_energy * (freedom * links[0] + links[1] + links[2]).sum(0)
