"""Decomposition into binaries, against every mixture tried and against pymatgen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from stability_series import made

from halion.errors import InputError
from halion.stability import Compound, EnergyError, decompositions

BINARIES = ("LiCl", "LiBr", "YCl3", "YBr3")


def salts(seed: int) -> list[Compound]:
    rng = np.random.default_rng(seed)
    return [Compound(formula=formula, energy=-4 + rng.normal(0, 0.3)) for formula in BINARIES]


def by_hand(x: float, energies: dict[str, float]) -> float:
    """Lowest energy per formula unit of Li3YCl6-xBrx: b bromides in LiBr and the rest in YBr3, b on a fine scale.

    The energy is linear in b, so an end of its range is lowest; the scale holds both ends.
    """
    values = []
    for b in np.linspace(max(0.0, x - 3), min(3.0, x), 101):
        rest = (x - b) / 3
        per_unit = (
            (3 - b) * 2 * energies["LiCl"]
            + b * 2 * energies["LiBr"]
            + (1 - rest) * 4 * energies["YCl3"]
            + rest * 4 * energies["YBr3"]
        )
        values.append(per_unit)
    return min(values)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_every_mixture_tried(seed):
    series = made({"T": lambda x: -4.0 - 0.01 * x})
    compounds = salts(seed)
    energies = {one.formula: one.energy for one in compounds}
    for found in decompositions(series, compounds):
        lowest = by_hand(found.x, energies)
        # The solver's own tolerance, 1e-7 of amounts times energies of 10 eV, over ten atoms.
        assert found.energy == pytest.approx(-4.0 - 0.01 * found.x - lowest / 10, abs=1e-7)
        assert found.is_stable == (found.energy <= 0)
        total = dict.fromkeys(("Li", "Y", "Cl", "Br"), 0.0)
        for formula, amount in found.products:
            for element, n in Composition(formula).items():
                total[element.symbol] += amount * n
        assert total == pytest.approx({"Li": 3, "Y": 1, "Cl": 6 - found.x, "Br": found.x}, abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_against_pymatgen(seed):
    compounds = salts(seed)
    series = made({"T": lambda x: -4.0})
    elements = [PDEntry(Composition(symbol), 0.0) for symbol in ("Li", "Y", "Cl", "Br")]
    entries = [
        PDEntry(Composition(one.formula), one.energy * Composition(one.formula).num_atoms) for one in compounds
    ]
    diagram = PhaseDiagram([*entries, *elements])
    for found in decompositions(series, compounds):
        wanted = Composition({"Li": 3, "Y": 1, "Cl": 6 - found.x, "Br": found.x})
        hull = diagram.get_hull_energy_per_atom(wanted)
        assert found.energy == pytest.approx(-4.0 - hull, abs=1e-7)


def test_the_reaction_is_written_out():
    energies = {"LiCl": -3.0, "LiBr": -3.0, "YCl3": -4.0, "YBr3": -4.5}
    compounds = [Compound(formula=formula, energy=energy) for formula, energy in energies.items()]
    found = decompositions(made({"T": lambda x: -4.0}), compounds)
    assert found[0].reaction == "Li3YCl6 (T) -> 3 LiCl + YCl3"
    assert found[0].products == (("LiCl", 3.0), ("YCl3", 1.0))
    assert found[3].reaction == "Li3YCl3Br3 (T) -> 3 LiCl + YBr3"
    assert found[0].energy == pytest.approx(-4.0 - (3 * 2 * -3.0 + 4 * -4.0) / 10, abs=1e-9)
    assert found[0].is_stable


def test_neither_order_nor_energy_zero_matters():
    compounds = salts(7)
    series = made({"T": lambda x: -4.0})
    before = [one.energy for one in decompositions(series, compounds)]
    for order in itertools.islice(itertools.permutations(compounds), 0, 24, 7):
        assert [one.energy for one in decompositions(series, order)] == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize(
    ("compounds", "said"),
    [
        ([], "no compounds"),
        ([Compound(formula="LiCl", energy=np.nan)], "must be a number"),
        ([Compound(formula="Li?", energy=-1)], "no chemical formula"),
        ([Compound(formula="LiCl", energy=-1), Compound(formula="Li2Cl2", energy=-2)], "given twice"),
        ([Compound(formula="LiCl", energy=-1, provenance="gpaw")], "do not compare"),
        ([Compound(formula=f, energy=-1) for f in ("LiCl", "YCl3")], "no mixture of LiCl, YCl3 has the atoms"),
    ],
)
def test_compounds_that_are_none(compounds, said):
    with pytest.raises(InputError, match=said):
        decompositions(made({"T": lambda x: -4.0}), compounds)


def test_the_band_is_that_of_drawn_errors():
    """Products held: E - sum_k w_k E_k with w_k the atoms of product k per atom of the mixture."""
    compounds, error = salts(3), EnergyError(std=0.002)
    found = decompositions(made({"T": lambda x: -4.0}), compounds, error)[2]
    atoms = {"LiCl": 2, "LiBr": 2, "YCl3": 4, "YBr3": 4}
    weights = np.array([1.0, *(-amount * atoms[formula] / 10 for formula, amount in found.products)])
    draws = np.random.default_rng(0).normal(0, error.std, (40_000, len(weights))) @ weights
    assert found.std == pytest.approx(draws.std(), rel=0.02)  # 40,000 draws: 0.35 %
    assert np.isnan(decompositions(made({"T": lambda x: -4.0}), compounds)[2].std)
