"""MP2020 corrections against the published values, and where they enter an imported label."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from halion.labels.corrections import mp2020_ev, with_mp2020
from halion.labels.types import Frame, Label, LabelledFrame, Provenance

# Wang et al., Sci. Rep. 11, 15496 (2021), table 1: eV per anion.
PUBLISHED = {"Cl": -0.614, "Br": -0.534, "S": -0.503, "F": -0.462, "I": -0.379}


@pytest.mark.parametrize(("element", "value"), PUBLISHED.items())
def test_anions_have_their_published_values(element, value):
    assert mp2020_ev(f"Li{'2' if element == 'S' else ''}{element}") == pytest.approx(value, abs=1e-9)


def test_it_is_a_sum_over_the_cell():
    assert mp2020_ev("Li9Y3Cl9Br9") == pytest.approx(9 * (PUBLISHED["Cl"] + PUBLISHED["Br"]))
    assert mp2020_ev("Li18Y6Cl36") == pytest.approx(6 * mp2020_ev("Li3YCl6"))
    assert mp2020_ev("Li") == 0.0


def test_only_the_energy_and_the_name_change():
    atoms = Atoms("LiCl", positions=[(0, 0, 0), (2.5, 0, 0)], cell=[5, 5, 5], pbc=True)
    label = Label(
        energy=-7.0,
        forces=np.ones((2, 3)),
        stress=np.eye(3),
        provenance=Provenance(method="VASP PBE 520 eV", code="VASP 6"),
    )
    found = with_mp2020(LabelledFrame(frame=Frame(atoms=atoms, group="a"), label=label)).label
    assert found.energy == pytest.approx(-7.614)
    assert found.forces is label.forces and found.stress is label.stress
    assert found.provenance.method == "VASP PBE 520 eV + MP2020"  # never mixed with plain labels
