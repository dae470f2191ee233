"""What halion made is read back; what it did not make is refused by name."""

import csv
import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path += [str(Path(__file__).parents[1] / room) for room in ("report", "stability")]

import report_sample as sample
from stability_folder import write_folder

from halion.errors import HalionError, InputError, RunFolderError, TornFile
from halion.files import write_json
from halion.records import to_record
from halion.report.reproduction import compare_study
from halion.stability import assess_stability, read_series_energies
from halion.study import read_reproduction_inputs
from halion.study.reproduction_runs import composition_x, model_named, without_paths
from halion.study_file import resolve

PHASES = {"LYC": lambda x: -4.6 + 0.07 * x, "LYB": lambda x: -4.59 + 0.065 * x}
ROW = {
    "potential": "halion-LYCB-800K",
    "set": "LYCB-PBE/test-ends",
    "n_frames": 18,
    "energy_mae": 2.8,
    "force_mae": 43.0,
    "stress_mae": 81.0,
    "force_slope": 0.98,
}


def results_file(folder: Path, **changes) -> Path:
    """A report's record in this folder."""
    results = replace(sample.complete(), densities=(), **changes)
    write_json(folder / "results.json", to_record(results))
    return folder


def study_folder(folder: Path, state: str = "done", potential: str = "halion-LYCB-800K") -> Path:
    """A run folder with a report, without the steps."""
    settings = resolve({"crystal": "Li3YBr6", "dynamics": {"potential": potential}}).model_dump(mode="json")
    stages = {"dynamics": {"done": 40.0 if state != "done" else 100.0, "total": 100.0, "state": ""}}
    write_json(folder / "study.json", {"schema": 1, "crystal_sha256": None, "settings": settings})
    write_json(folder / "status.json", {"schema": 1, "state": state, "stages": stages, "message": ""})
    command = "halion run Li3YBr6 --folder /" + "home/somebody/runs/Li3YBr6"
    sessions = [{"started": f"2026-11-23T10:00:00 {folder.name}", "wall_s": 512.3, "command": command}]
    provenance = sample.provenance() | {"sessions": sessions}
    write_json(folder / "provenance.json", provenance)
    results_file(folder / "report", settings=settings, provenance=provenance)
    return folder


def only(paths, notes=()):
    inputs, told = read_reproduction_inputs([paths] if isinstance(paths, Path) else paths)
    assert told == notes
    return inputs


def test_a_finished_study_is_its_report(tmp_path):
    (run,) = only(study_folder(tmp_path / "LYB")).runs
    results = sample.complete()
    assert (run.origin.name, run.origin.state, run.origin.machine) == ("LYB", "", "AMD EPYC, 2 cores")
    assert run.origin.command == "halion run Li3YBr6 --folder Li3YBr6", "without the way to it"
    assert (run.material, run.x, run.space_group, run.n_atoms) == ("Li3YBr6", 6.0, "C2/m", 40)
    assert (run.model.kind, run.model.trained_to_k) == ("fine-tuned", 800.0) and "GPAW PBE" in run.model.labels
    assert run.conductivity.conductivity_ms_per_cm == results.conductivity.conductivity_ms_per_cm
    assert [one.diffusivity for one in run.runs] == [one.diffusivity for one in results.runs]
    relaxed = results.ranking.best.relaxation.atoms
    points = {one.temperature_k: one for one in run.volumes}
    assert points[0.0].volume == pytest.approx(relaxed.get_volume() / len(relaxed))
    assert points[0.0].model.kind == "pretrained", "the ranking's own potential"
    assert points[450.0].volume == results.equilibrations[0].volume_per_atom
    assert len(run.mechanisms) == 4


def test_a_report_and_its_run_folder_are_one_thing(tmp_path):
    folder = study_folder(tmp_path / "LYB")
    assert len(only([folder, folder / "report", folder / "report" / "results.json"]).runs) == 1
    for copy in ("copied", "elsewhere/report"):
        shutil.copytree(folder / "report", tmp_path / copy)
    inputs, notes = read_reproduction_inputs([folder, tmp_path / "copied", tmp_path / "elsewhere"])
    told = tuple(f"{name} is a copy of LYB and counts once." for name in ("copied", "elsewhere"))
    assert len(inputs.runs) == 1 and notes == told


def test_two_runs_with_one_name_are_told_apart(tmp_path):
    for place in ("a", "b"):
        study_folder(tmp_path / place / "LYB")
    provenance = json.loads((tmp_path / "b" / "LYB" / "provenance.json").read_text())
    provenance["sessions"][0]["started"] = "another moment"
    write_json(tmp_path / "b" / "LYB" / "provenance.json", provenance)
    found = only(tmp_path)
    assert [run.origin.name for run in found.runs] == ["a/LYB", "b/LYB"]


def test_a_study_that_has_not_ranked_is_said_to_be_unfinished(tmp_path):
    folder = study_folder(tmp_path / "LYB", state="running")
    shutil.rmtree(folder / "report")
    (run,) = only(folder).runs
    assert "interrupted" in run.origin.state and "dynamics 40 %" in run.origin.state
    assert run.volumes == run.runs == () and run.material == "Li3YBr6" and run.x == 6.0
    found = compare_study(only(folder))
    line = next(
        one
        for one in found.exhibits[1].lines
        if one.quantity == "conductivity at 300 K" and one.condition == "CHGNet fine-tuned, 10 kbar"
    )
    assert "unfinished, interrupted" in line.why
    assert any("LYB is unfinished" in note for note in found.notes)


def test_an_unfinished_study_without_its_steps_is_its_report(tmp_path):
    folder = study_folder(tmp_path / "LYB", state="interrupted")
    (run,) = only(folder).runs
    assert run.origin.state == "interrupted, dynamics 40 %" and len(run.runs) == 4
    assert math.isnan(run.simulated_ps), "nobody knows what its wall time paid for"


@pytest.mark.parametrize(("name", "group"), [("LYB0", "C2/m"), ("LYC4.5", "P-3m1"), ("mine", "P1")])
def test_an_ordered_cell_of_a_series_is_in_the_phase_of_its_name(tmp_path, name, group):
    """So the monoclinic Li3YCl6 of a series does not answer for the trigonal one of Table 1."""
    results_file(tmp_path / name, crystal=replace(sample.crystal(name), space_group="P1"))
    (run,) = only(tmp_path / name).runs
    assert run.space_group == group


def test_a_report_of_an_unfinished_study_says_so(tmp_path):
    results = sample.complete()
    kelvins = {"dynamics": results.settings["dynamics"] | {"temperatures_k": [*sample.TEMPERATURES, 700.0]}}
    results_file(tmp_path / "half", settings=results.settings | kelvins)
    (run,) = only(tmp_path / "half").runs
    assert run.origin.state == "1 of 5 temperatures have not ended"


def test_a_series_is_read_as_stability_reads_it(tmp_path):
    folder = write_folder(tmp_path / "series", PHASES, (0.0, 3.0, 6.0))
    record = json.loads((folder / "inputs.json").read_text())
    record["series"]["steps"] = [0.0, 3.0, 6.0]
    record["parents"] = {"LYC": {}, "LYB": {}}
    write_json(folder / "inputs.json", record)
    (series,) = only(folder).series
    for point in series.points:
        assert point.difference == pytest.approx(PHASES["LYC"](point.x) - PHASES["LYB"](point.x))
    assert series.transitions == pytest.approx((2.0,))
    assert series.origin.state == "" and series.model.name == "halion-LYCB-600K"
    assert (series.n_atoms, series.n_evaluated) == ((20, 20), (10, 10))
    energies, _ = read_series_energies([folder])
    write_json(tmp_path / "stability" / "stability.json", to_record(assess_stability(energies)))
    (again,) = only(tmp_path / "stability").series
    assert again.points == series.points or np.allclose(
        [one.difference for one in again.points], [one.difference for one in series.points]
    )


CELLS = {"hexagonal": (90.3, 89.4, 119.2), "monoclinic": (90.1, 109.8, 89.9), "primitive": (73.2, 106.9, 119.8)}


@pytest.mark.parametrize("other", ["monoclinic", "primitive"])
def test_phases_are_told_by_their_cells_then_by_their_names(tmp_path, other):
    energies, _ = read_series_energies([write_folder(tmp_path / "series", PHASES, (0.0, 3.0, 6.0))])
    found = assess_stability(energies)
    for kinds, sign in (({"LYC": "hexagonal", "LYB": other}, 1), ({"LYC": other, "LYB": "hexagonal"}, -1)):
        points = tuple(replace(one, angles=np.array(CELLS[kinds[one.phase]])) for one in found.structure.points)
        told = replace(found, structure=replace(found.structure, points=points))
        write_json(tmp_path / "stability" / "stability.json", to_record(told))
        (series,) = only(tmp_path / "stability").series
        first = PHASES["LYC"](0.0) - PHASES["LYB"](0.0)
        assert series.points[0].difference == pytest.approx(sign * first)
    unnamed = replace(found, phases=("A", "B"), differences=(), left_out=())
    points = tuple(replace(one, phase={"LYC": "A", "LYB": "B"}[one.phase]) for one in found.structure.points)
    unnamed = replace(unnamed, structure=replace(found.structure, points=points))
    write_json(tmp_path / "stability" / "stability.json", to_record(unnamed))
    with pytest.raises(InputError, match="two are trigonal"):
        read_reproduction_inputs([tmp_path / "stability"])


def test_a_series_in_work_is_unfinished(tmp_path):
    folder = write_folder(tmp_path / "series", PHASES, (0.0, 6.0))
    record = json.loads((folder / "inputs.json").read_text()) | {"parents": {"LYC": {}, "LYB": {}}}
    write_json(folder / "inputs.json", record)
    (series,) = only(folder).series
    assert series.origin.state == "4 of 26 compositions"


def evaluated(folder: Path, rows) -> Path:
    write_json(folder / "errors.json", rows)
    write_json(folder / "parity-00.json", {"potential": ROW["potential"], "set": ROW["set"]})
    with (folder / "parity-00-forces.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("label", "predicted"), (0.5, 0.49), (-1.0, -0.98)])
    return folder


def test_an_evaluation_is_read_with_its_parity_and_unknown_keys(tmp_path):
    rows = [ROW | {"by_temperature": {"300": 1.0}}, ROW | {"potential": "chgnet-0.3.0", "set": "x/test-mixed 300K"}]
    folder = evaluated(tmp_path / "e", rows)
    write_json(folder / "errors-by-temperature.json", [ROW | {"temperature_k": 300.0, "energy_shifted_mae": 2.2}])
    first, second = only(folder).evaluations
    assert first.over_temperature == ((300.0, 2.2, 43.0, 81.0),) and second.over_temperature == ()
    assert (first.kind, second.kind, second.model.kind) == ("ends", "mixed", "pretrained")
    assert first.errors.energy_mae == 2.8 and math.isnan(first.errors.energy_rmse)
    assert first.parity["forces"].tolist() == [[0.5, 0.49], [-1.0, -0.98]] and second.parity == {}
    printed = tmp_path / "printed.json"
    write_json(printed, {"errors": rows})
    assert [one.errors.n_frames for one in only(printed).evaluations] == [18, 18]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("LYCB-PBE/test-ends", "ends"),
        ("LYCB-PBE/test-mixed", "mixed"),
        ("LYCB-PBE/train", "training"),
        ("a/relaxed-structures", "rest"),
        ("a/trends", "other"),
    ],
)
def test_sets_are_known_by_whole_words(tmp_path, name, kind):
    (one,) = only(evaluated(tmp_path / "e", [ROW | {"set": name}])).evaluations
    assert one.kind == kind


def test_a_ranking_gives_the_volume_at_rest(tmp_path):
    write_json(tmp_path / "ranked" / "ranking.json", to_record(sample.ranking()))
    (run,) = only(tmp_path / "ranked").runs
    assert [one.temperature_k for one in run.volumes] == [0.0] and run.temperatures_k == ()
    assert run.condition == "CHGNet pretrained, 1 bar"


def test_a_benchmark_gives_its_costs(tmp_path):
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "engine.md"
    if not path.exists():
        pytest.skip("a source without benchmarks, as an sdist is")
    found = only(path).benchmarks
    text = path.read_text()
    assert len(found) == 4 and all(f"{one.s_per_atom_ps:.4f}" in text for one in found)
    assert {"320 atoms"} == {one.what.rsplit(", ", 1)[1] for one in found}
    assert found[0].origin.machine.startswith("AMD EPYC")


def test_a_benchmark_of_labels_gives_orders_of_magnitude(tmp_path):
    """As benchmarks/label_cost.py writes it."""
    path = tmp_path / "label_cost.md"
    path.write_text(
        "PBE by GPAW and NVT by halion, one core each. x\n\n| cell | atoms | label, s | MD step, ms | ratio |\n"
        "|---|---|---|---|---|\n| Li6Br12Y2 | 20 | 62 | 1.55 | 40,000 |\n"
    )
    inputs = only(path)
    (one,) = inputs.benchmarks
    assert one.label_over_step == 40_000 and math.isnan(one.s_per_atom_ps)
    exhibit = next(each for each in compare_study(inputs).exhibits if each.key == "figure-1")
    cost, below = exhibit.lines
    assert cost.state == "not reached"
    assert below.computed[0].value == pytest.approx(math.log10(4e4)) and below.published == 4.0


def test_a_folder_of_folders_stands_for_what_is_in_it(tmp_path):
    study_folder(tmp_path / "place" / "runs" / "LYB")
    evaluated(tmp_path / "place" / "errors", [ROW])
    (tmp_path / "place" / "notes").mkdir()
    torn = tmp_path / "place" / "torn"
    torn.mkdir()
    (torn / "series.json").write_text('{"entries": [')
    inputs, notes = read_reproduction_inputs([tmp_path / "place"])
    assert len(inputs.runs) == len(inputs.evaluations) == 1
    assert len(notes) == 1 and notes[0].startswith("torn was not used: this file is not whole JSON")


def test_a_campaign_gives_what_is_in_it_too(tmp_path):
    """A folder that is something by itself and holds runs; its own record may be of a kind that is not known."""
    top = write_folder(tmp_path / "LYCB", PHASES, (0.0, 3.0, 6.0))
    study_folder(top / "runs" / "LYB6")
    inputs = only(top)
    assert len(inputs.series) == len(inputs.runs) == 1
    (top / "series.json").unlink()
    write_json(top / "study.json", {"schema": 1, "kind": "of another time", "settings": {"series": "LYCB"}})
    inputs, notes = read_reproduction_inputs([top])
    assert [run.origin.name for run in inputs.runs] == ["LYB6"]
    assert len(notes) == 1 and notes[0].startswith("LYCB was not used")


CONTENTS = ["", "{}", "[]", "null", "3", '{"entries": 3}', '{"title": 1}', '[{"potential": 1}]']


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(
    "name", ["results.json", "series.json", "stability.json", "errors.json", "ranking.json", "study.json", "x.json"]
)
def test_records_of_any_content_are_refused_or_empty_never_a_crash(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    place = tmp_path / name if name == "x.json" else tmp_path
    try:
        inputs, _ = read_reproduction_inputs([place])
    except HalionError as error:
        assert error.fix
    else:
        assert inputs.origins == (), "nothing is in it, and nothing was made of it"


def test_what_halion_did_not_make_is_refused_by_name(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(InputError, match="halion did not make this") as caught:
        read_reproduction_inputs([tmp_path / "photos"])
    assert "photos" in caught.value.where and "halion run" in caught.value.fix
    with pytest.raises(InputError, match="nothing here"):
        read_reproduction_inputs([tmp_path / "absent"])
    (tmp_path / "text.md").write_text("| a | b |\n| --- | --- |\n| 1 | 2 |\n")
    with pytest.raises(InputError, match="s/atom/ps"):
        read_reproduction_inputs([tmp_path / "text.md"])
    (tmp_path / "newer").mkdir()
    write_json(tmp_path / "newer" / "study.json", {"schema": 99, "settings": {}})
    with pytest.raises(RunFolderError, match="schema 99"):
        read_reproduction_inputs([tmp_path / "newer"])
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "ranking.json").write_text('{"rows": [')
    with pytest.raises(TornFile):
        read_reproduction_inputs([tmp_path / "torn"])


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("chgnet", "pretrained", "chgnet-0.3.0"),
        ("chgnet+d3", "pretrained", "chgnet-0.3.0+d3"),
        ("halion-lycb-600k", "fine-tuned", "halion-LYCB-600K"),
        ("/" + "work/x/model.pth.tar", "fine-tuned", "chgnet-model"),
        ("halion-LYCB-600K+d3-reference", "fine-tuned", "halion-LYCB-600K+d3"),
        ("7net-0", "other", "7net-0"),
        ("checkpoint_sevennet_mf_ompa@mpa", "other", "checkpoint_sevennet_mf_ompa@mpa"),
    ],
)
def test_models_by_name(name, kind, shown):
    model = model_named(name)
    assert (model.kind, model.name, model.dispersion) == (kind, shown, "+d3" in name)
    if "ompa" in name:
        assert model.label == "SevenNet-MF-ompa", "as the study's rows have it"


def test_compositions_of_the_series_and_of_nothing_else():
    assert composition_x({"Li": 12, "Y": 4, "Br": 24}) == 6.0
    assert composition_x({"Li": 6, "Y": 2, "Cl": 6, "Br": 6}) == 3.0
    for other in ({"Li": 3, "In": 1, "Cl": 6}, {"Li": 1, "Cl": 1}, {"Li": 2, "Y": 1, "Cl": 6}, {}):
        assert math.isnan(composition_x(other))


def test_texts_lose_the_way_to_files():
    text = "where: /" + "home/a/b c, then x/y and /" + "work/q.h5: 3 of 4, 1/2 and/or"
    assert without_paths(text) == "where: b c, then x/y and q.h5: 3 of 4, 1/2 and/or"
