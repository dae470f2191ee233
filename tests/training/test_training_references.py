"""Shifts of the elements' references, recovered from energies that are made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import InputError
from halion.training import fit_references


def compositions() -> dict[str, np.ndarray]:
    return {
        "Li3YCl6": np.array([3] * 3 + [39] + [17] * 6),
        "Li3YBr6": np.array([3] * 3 + [39] + [35] * 6),
        "mixed": np.array([3] * 3 + [39] + [17] * 2 + [35] * 4),
        "LiCl": np.array([3, 17]),
        "LiBr": np.array([3, 35]),
        "YCl3": np.array([39, 17, 17, 17]),
        "YBr3": np.array([39, 35, 35, 35]),
    }


@settings(deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_shifts_explain_the_energies_of_all_neutral_salts(values):
    """Rank 2 of Li3YX6 alone, 3 with binaries; the free direction is the charge, which no neutral salt feels."""
    shifts = dict(zip((3, 17, 35, 39), values, strict=True))
    energy = {name: sum(shifts[int(z)] for z in numbers) for name, numbers in compositions().items()}
    ternary = ["Li3YCl6", "Li3YBr6", "mixed"]
    energies = np.array([energy[n] for n in ternary])
    found = fit_references([compositions()[n] for n in ternary], energies, np.zeros(3))
    assert found.rank == 2 and found.residual_mev_per_atom < 1e-6
    names = list(compositions())
    found = fit_references([compositions()[n] for n in names], np.array([energy[n] for n in names]), np.zeros(7))
    assert found.rank == 3 and found.residual_mev_per_atom < 1e-6
    symbols = {3: "Li", 17: "Cl", 35: "Br", 39: "Y"}
    for numbers in ([3, 3, 39] + [35] * 5, *compositions().values()):
        expected = sum(shifts[int(z)] for z in numbers)
        assert sum(found.shifts_ev[symbols[int(z)]] for z in numbers) == pytest.approx(expected, abs=1e-7)
    assert found.before_mev_per_atom >= found.residual_mev_per_atom


def test_references_need_finite_frames():
    with pytest.raises(InputError, match="at least one frame"):
        fit_references([], np.array([]), np.array([]))
    with pytest.raises(InputError, match="finite"):
        fit_references([np.array([3, 17])], np.array([np.nan]), np.array([0.0]))
