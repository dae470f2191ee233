"""A campaign: each member a study, resumed wherever it stopped, replicas added, refusals told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from halion.errors import Interrupted, PhysicsRefusal, RunFolderError
from halion.ranking import read_series
from halion.settings_campaign import resolve_campaign
from halion.study import campaign as campaign_module
from halion.study import plan_campaign, run_campaign
from halion.study.campaign_results import collect_campaign

SMALL = {
    "parents": {"LYB": "Li3YBr6"},
    "phases": ["LYB"],
    "series": {"steps": [0, 6], "evaluate_at_most": 10, "energies": "static"},
    "orderings": {"supercell": [1, 1, 1]},
    "ranking": {"relax_best": 1, "control": 0, "relax_most": 1, "force_tolerance_ev_per_angstrom": 99},
    "dynamics": {
        "temperatures_k": [600.0],
        "smallest_image_angstrom": None,
        "heating_ps": 0.02,
        "nvt_ps": 0.02,
        "npt_ps": 0.04,
        "cell_average_ps": 0.03,
        "production_ps": 0.16,
        "store_every_steps": 2,
        "checkpoint_ps": 0.02,
    },
    "machine": {"workers": 1},
}
SETTINGS = resolve_campaign(SMALL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign") / "whole"
    return folder, run_campaign(SETTINGS, folder)


def record(folder: Path) -> dict[str, object]:
    found = json.loads((folder / "report" / "campaign.json").read_text())
    return {"members": found["members"], "stability": found["stability"]}


def test_every_member_is_a_study_of_its_structure(whole):
    folder, found = whole
    assert [member.name for member in found.members] == ["LYB0", "LYB6"]
    entries = read_series(folder / "series")
    for member in found.members:
        assert len(member.runs) == 1 and member.studies == (f"studies/{member.name}",)
        assert (folder / "studies" / member.name / "report" / "report.html").is_file()
        assert member.above == 0  # one phase is the lowest
        relaxed = entries[member.name].relaxation
        assert member.volume_per_atom == relaxed.volume_per_atom
        for run in member.runs:
            assert member.mean_volumes[run.target_temperature_k] == pytest.approx(run.volume / 20)
            assert run.source.startswith(f"{member.name}/")
    assert found.stability is not None and found.title == "Li3YCl6 to Li3YBr6"
    assert (folder / "report" / "report.html").is_file()


def test_the_same_call_again_runs_nothing(whole):
    folder, _ = whole
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("trajectory.h5")}
    assert len(stamps) >= 2
    run_campaign(SETTINGS, folder)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("series/LYB0.cif", marks=pytest.mark.slow),
        pytest.param("studies/LYB0/steps/4-ranking", marks=pytest.mark.slow),
        "studies/LYB6/study.json",
    ],
)
def test_stopped_anywhere_it_goes_on_to_the_same_end(whole, tmp_path, where):
    with pytest.raises(Interrupted):
        run_campaign(SETTINGS, tmp_path, stop=lambda: (tmp_path / where).exists())
    assert not (tmp_path / "report" / "report.html").exists()
    run_campaign(SETTINGS, tmp_path)
    assert record(tmp_path) == record(whole[0])


@pytest.mark.slow
def test_more_replicas_add_to_what_is_there(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "more")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "more").rglob("trajectory.h5")}
    found = run_campaign(SETTINGS.model_copy(update={"replicas": 2}), tmp_path / "more")
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    first = found.members[0]
    assert first.studies == ("studies/LYB0", "studies/LYB0-2") and len(first.runs) == 2
    ours, other = first.runs
    assert not np.array_equal(ours.msd, other.msd)  # other velocities


def test_another_campaign_in_the_folder_is_refused(whole):
    other = resolve_campaign(SMALL | {"series": SMALL["series"] | {"steps": [0, 3, 6]}})
    with pytest.raises(RunFolderError, match="other inputs"):
        run_campaign(other, whole[0])


def test_a_member_that_physics_refuses_is_told_and_the_others_go_on(whole, tmp_path, monkeypatch):
    """Kept: the refusal is a result, which a second call does not try again."""
    asked = []
    run_study = campaign_module.run_study

    def refusing(settings, folder, **rest):
        asked.append(folder.name)
        if folder.name == "LYB0":
            raise PhysicsRefusal("nothing relaxed", where="here", fix="another potential")
        return run_study(settings, folder, **rest)

    shutil.copytree(whole[0], tmp_path / "refused", ignore=shutil.ignore_patterns("LYB0"))
    monkeypatch.setattr(campaign_module, "run_study", refusing)
    for _ in range(2):
        found = run_campaign(SETTINGS, tmp_path / "refused")
    assert asked.count("LYB0") == 1
    refused, other = found.members
    assert [one.message for one in refused.failures] == ["nothing relaxed"] and refused.summary is None
    assert len(other.runs) == 1
    assert "nothing relaxed" in (tmp_path / "refused" / "report" / "report.html").read_text()


def test_an_unfinished_campaign_shows_what_it_has(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "studies" / "LYB6" / "steps" / "4-ranking")
    found = collect_campaign(SETTINGS, tmp_path / "part")
    assert [member.name for member in found.members] == ["LYB0"] and found.waiting == ("LYB6",)


@pytest.mark.slow
def test_without_an_end_member_stability_says_why(tmp_path):
    folder = tmp_path / "middle"
    half = resolve_campaign(SMALL | {"series": {"steps": [3], "evaluate_at_most": 10, "energies": "static"}})
    found = run_campaign(half, folder)
    assert found.stability is None and any("Stability was not assessed" in note for note in found.notes)
    assert found.members[0].x == 3


def test_the_plan_is_the_sum_by_hand():
    two = resolve_campaign(SMALL | {"replicas": 3})
    plan = plan_campaign(two)
    parent = plan.parents["LYB"]
    assert (plan.n_compositions, plan.n_evaluated, plan.n_studies) == (2, 20, 6)
    assert plan.dynamics_hours == pytest.approx(6 * parent.dynamics_hours)
    # one parent with one relaxed ordering, and twenty arrangements at most
    assert plan.series_hours[0] == pytest.approx(21 * parent.relaxation_hours[0])
