"""Dispersion added to labels: the same function as beside a potential, said in the method, never twice."""

import numpy as np
import pytest
from ase import Atoms
from label_cases import emt_labeller, frames, hot_cells

from halion.errors import InputError
from halion.labels import PotentialLabeller, label_frames, labeller_of, read_labels
from halion.labels.dispersion import LabellerWithDispersion
from halion.potentials import PotentialFromAse
from halion.potentials.dispersion import add_dispersion, mentions_dispersion
from halion.potentials.dispersion_engine import CompiledDispersion
from halion.settings_learning import LabelSettings


@pytest.fixture
def labeller() -> LabellerWithDispersion:
    return LabellerWithDispersion(emt_labeller())


def test_a_label_is_that_of_the_potential_with_dispersion(labeller, tmp_path):
    (atoms,) = hot_cells(1)
    base: PotentialFromAse = emt_labeller()._potential
    truth, label = add_dispersion(base, CompiledDispersion()).evaluate(atoms), labeller.label(atoms, tmp_path)
    assert label.energy == pytest.approx(truth.energy, abs=1e-12)
    np.testing.assert_allclose(label.forces, truth.forces, atol=1e-12)
    np.testing.assert_allclose(label.stress, truth.stress, atol=1e-12)
    plain = emt_labeller().label(atoms, tmp_path)
    assert label.energy < plain.energy - 0.1  # four metal atoms attract each other by more


def test_the_method_is_carried_into_files_and_keeps_labels_apart(labeller, tmp_path):
    label_frames(frames(2), labeller, tmp_path)
    (method,) = {one.label.provenance.method for one in read_labels(tmp_path / "labels.extxyz")}
    assert method == labeller.method == f"{emt_labeller().method} +D3(BJ)"
    assert mentions_dispersion(method)
    with pytest.raises(InputError, match="labels were made with"):
        label_frames(frames(2), emt_labeller(), tmp_path)


def test_dispersion_is_never_added_twice(labeller):
    with pytest.raises(InputError, match="count twice"):
        LabellerWithDispersion(labeller)
    potential = add_dispersion(emt_labeller()._potential, CompiledDispersion())
    with pytest.raises(InputError, match="count twice"):
        LabellerWithDispersion(PotentialLabeller(potential))


def test_a_relaxation_without_it_is_refused(labeller, tmp_path):
    with pytest.raises(InputError, match="relaxes without the dispersion"):
        labeller.relax(Atoms("Cu", cell=[3] * 3, pbc=True), tmp_path, force_tolerance=0.01, max_steps=10)


@pytest.mark.parametrize(("dispersion", "ending"), [("none", ")"), ("d3bj", " +D3(BJ)")])
def test_settings_ask_for_it(dispersion, ending):
    settings = LabelSettings(code="potential", potential="chgnet", dispersion=dispersion)
    assert labeller_of(settings).method.endswith(ending)
    assert LabelSettings().dispersion == "none"
