"""Labels by workers elsewhere: the same labels, and none made twice. With Slurm: test_study_slurm.py."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk

from halion.errors import LabelError, SettingsError
from halion.labels import Frame, label_frames, labeller_of
from halion.settings_learning import LabelSettings
from halion.settings_site import PoolSettings, SiteSettings
from halion.study.cluster_labels import ClusterLabeller

pytest.importorskip("parsl", reason='no Parsl here: pip install "halion[cluster]"')

SITE = SiteSettings(labels=PoolSettings(workers_per_node=1))
CHGNET = LabelSettings(code="potential", potential="chgnet")


def frames(n):
    rng = np.random.default_rng(5)
    made = []
    for k in range(n):
        atoms = bulk("LiCl", "rocksalt", a=5.13)
        atoms.rattle(0.05, rng=rng)
        made.append(Frame(atoms=atoms, group=f"LiCl-{k}"))
    return made


def test_labels_are_those_of_the_code_itself_and_none_is_made_twice(tmp_path):
    here = label_frames(frames(3), labeller_of(CHGNET), tmp_path / "here")
    folder = tmp_path / "there"
    # One was finished by a worker whose driver was killed before it could take it: told apart by its wall time.
    answer = folder / "jobs" / f"{here.labelled[1].frame.key}.json"
    answer.parent.mkdir(parents=True)
    with ClusterLabeller(CHGNET, SITE, folder / "cluster") as labeller:
        assert labeller.method == here.labelled[0].label.provenance.method
        first = label_frames(frames(1), labeller, folder)
        record = json.loads((folder / "jobs" / f"{here.labelled[0].frame.key}.json").read_text())
        record["energy"] = 17.0
        answer.write_text(json.dumps(record))
        there = label_frames(frames(3), labeller, folder, at_once=labeller.at_once)
    assert [one.frame.key for one in there.labelled] == [one.frame.key for one in here.labelled]
    assert there.labelled[0].label.energy == first.labelled[0].label.energy
    assert there.labelled[1].label.energy == 17.0
    for k in (0, 2):
        assert there.labelled[k].label.energy == pytest.approx(here.labelled[k].label.energy, abs=1e-6)
        np.testing.assert_allclose(there.labelled[k].label.forces, here.labelled[k].label.forces, atol=1e-6)
        np.testing.assert_allclose(there.labelled[k].label.stress, here.labelled[k].label.stress, atol=1e-8)
    assert not list((folder / "jobs").glob("*.json"))


def test_what_fails_there_is_told_here(tmp_path):
    far = bulk("LiCl", "rocksalt", a=5.13)
    far.positions[1] = far.positions[0] + 0.3  # atoms on top of each other: refused before it is sent
    with ClusterLabeller(CHGNET, SITE, tmp_path / "cluster") as labeller:
        found = label_frames([*frames(1), Frame(atoms=far, group="close")], labeller, tmp_path)
    assert len(found.labelled) == 1
    assert "close" in next(iter(found.failed.values()))


def test_a_site_without_a_pool_for_labels_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no pool for labels"):
        ClusterLabeller(CHGNET, SiteSettings(), tmp_path)


def test_an_error_of_the_code_crosses_over(tmp_path):
    settings = LabelSettings(code="gpaw", command=str(tmp_path / "python"))
    (tmp_path / "python").write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\necho broken >&2\nexit 3\n')
    (tmp_path / "python").chmod(0o755)
    with (
        ClusterLabeller(settings, SITE, tmp_path / "cluster") as labeller,
        pytest.raises(LabelError, match="broken"),
    ):
        labeller.label(frames(1)[0].atoms, tmp_path / "job")
