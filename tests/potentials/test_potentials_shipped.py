"""The fine-tuned potentials that come with halion."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from chgnet.model import CHGNet
from pymatgen.io.ase import AseAtomsAdaptor

from halion.errors import TornFile
from halion.potentials import SHIPPED, ase_calculator, load_potential, shipped_for
from halion.potentials.shipped import shipped_path


@pytest.mark.parametrize("name", SHIPPED)
def test_every_one_loads_by_name_and_in_chgnet_alike(name, structures):
    potential = load_potential(name)
    assert potential.name.lower() == name
    atoms = structures["hot bromide"]
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = CHGNet.from_file(str(shipped_path(name)))
    said, mine = (
        theirs.predict_structure(AseAtomsAdaptor.get_structure(atoms), task="efs"),
        potential.evaluate(atoms),
    )
    # chgnet's own single precision, see benchmarks/results/engine_accuracy.md.
    assert float(said["e"]) == pytest.approx(mine.energy / len(atoms), abs=3e-6)
    assert np.abs(said["f"] - mine.forces).max() < 1e-3


def test_names_know_no_case():
    name = list(SHIPPED)[-1]
    assert load_potential(name.upper()).weights_sha256 == load_potential(name).weights_sha256
    assert ase_calculator(name.upper()) is not None


def test_they_are_for_their_material_alone():
    best = list(SHIPPED)[-1]
    for elements in ({"Li", "Y", "Cl"}, {"Li", "Y", "Br"}, {"Li", "Y", "Cl", "Br"}):
        assert shipped_for(elements) == best
    for elements in ({"Li", "Cl"}, {"Li", "Y"}, {"Li", "Y", "Cl", "O"}, {"Li", "In", "Cl"}):
        assert shipped_for(elements) is None


def test_other_bytes_under_the_name_are_refused(monkeypatch):
    name = list(SHIPPED)[-1]
    monkeypatch.setitem(SHIPPED, name, replace(SHIPPED[name], sha256="0" * 64))
    with pytest.raises(TornFile, match="not those that came with halion"):
        load_potential(name)
