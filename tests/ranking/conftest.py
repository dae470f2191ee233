"""Ordering sets made by hand, and fast potentials."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase.calculators.emt import EMT

from halion.orderings.types import Composition, OrderingCount, OrderingSet, as_supercell
from halion.potentials import ChgnetPotential, PotentialFromAse

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def emt() -> PotentialFromAse:
    """Copper, silver and gold in a microsecond: a real potential with real minima."""
    return PotentialFromAse(EMT(), name="emt", elements=["Cu", "Ag", "Au", "Al", "Ni", "Pd", "Pt"])


@pytest.fixture(scope="session")
def chgnet() -> ChgnetPotential:
    return ChgnetPotential()


def _ordering_set(cell, fractional, charges, occupation, multiplicity=None) -> OrderingSet:
    """`charges`: species -> charge, in the order of the indices 1, 2, ... of `occupation`."""
    occupation = np.array(occupation, dtype=np.uint8)
    multiplicity = np.ones(len(occupation), dtype=np.int64) if multiplicity is None else np.array(multiplicity)
    total = int(multiplicity.sum())
    return OrderingSet(
        crystal_name="by hand",
        compositions=(
            Composition(
                supercell=as_supercell((1, 1, 1)), orbits=(), formula="by hand", charge=0.0, deviation=0.0, ties=0
            ),
        ),
        count=OrderingCount(total=total, distinct=len(occupation), group_order=1),
        exclusions=(),
        total_allowed=total,
        cell=np.array(cell, dtype=float),
        fractional=np.array(fractional, dtype=float),
        site_orbit=np.zeros(len(fractional), dtype=np.int64),
        species=("", *charges),
        charges=np.array([0.0, *charges.values()]),
        occupation=occupation,
        multiplicity=multiplicity,
    )


@pytest.fixture(scope="session")
def ordering_set() -> Callable[..., OrderingSet]:
    return _ordering_set


@pytest.fixture(scope="session")
def lithium_yttrium_halide(ordering_set) -> OrderingSet:
    """Li3YBr6, primitive C2/m cell: the vacancy on each of the four octahedral Li sites. Not reduced."""
    cell = np.array([[3.46, -5.99, 0.0], [3.46, 5.99, 0.0], [-2.32, 0.0, 6.46]])
    octahedral = [(0.3336, 0.3336, 0), (0.6664, 0.6664, 0), (0.167, 0.167, 0.5), (0.833, 0.833, 0.5)]
    anions = [
        (0.0813, 0.4171, 0.241),
        (0.4171, 0.0813, 0.241),
        (0.9187, 0.5829, 0.759),
        (0.5829, 0.9187, 0.759),
        (0.7504, 0.7504, 0.2417),
        (0.2496, 0.2496, 0.7583),
    ]
    occupation = [[2, *(int(k != vacancy) for k in range(4)), *([3] * 6)] for vacancy in range(4)]
    charges = {"Li": 1.0, "Y": 3.0, "Br": -1.0}
    return ordering_set(cell, [(0, 0, 0), *octahedral, *anions], charges, occupation)
