"""The page of a reproduction: offline, every number in it and in its other forms, hostile texts inert."""

import csv
import html
import io
import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import reproduction_sample as given_sample
from page_reader import assert_offline, read

from halion.errors import InputError
from halion.report.reproduction import ReproductionInputs, compare_study, published_study, write_reproduction
from halion.report.reproduction.figures import figures_of_exhibit
from halion.report.reproduction.tables import exhibit_tables
from halion.report.table import Table, table_markdown, word
from halion.report.text import plus_minus

ATTACK = "</script><img src=x onerror=alert(1)>|`*_[a](https://x.org)\n# run"


def hostile() -> ReproductionInputs:
    base = given_sample.run(ATTACK)
    model = replace(base.model, name=ATTACK)
    return ReproductionInputs(runs=(replace(base, model=model, ordering=ATTACK),))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Name -> the folder of a page, written once."""
    folder = tmp_path_factory.mktemp("reproductions")
    states = {"everything": given_sample.everything(), "nothing": ReproductionInputs(), "hostile": hostile()}
    for name, inputs in states.items():
        write_reproduction(inputs, folder / name, notes=("x was not used: torn",))
    return {name: folder / name for name in states}


@pytest.mark.parametrize("state", ["everything", "nothing", "hostile"])
def test_the_page_is_whole_and_loads_nothing(folders, state):
    reader = read(folders[state] / "reproduction.html")
    assert reader.open == []
    assert_offline(reader)
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    sections = [attrs["id"] for tag, attrs in reader.elements if tag == "section"]
    assert sections == ["overview", *(one.key for one in published_study().exhibits), "causes", "sources"]
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(reader.text))


def test_every_number_stands_on_the_page(folders):
    words = " ".join(" ".join(read(folders["everything"] / "reproduction.html").text).split())
    found = compare_study(given_sample.everything())
    for exhibit in found.exhibits:
        assert f"{exhibit.name}: {exhibit.title}" in words
        for line in exhibit.lines:
            assert line.quantity in words and line.source in words and line.why in words
            assert line.condition in words or line.state == "by others"
            if line.published > 1e-3:
                assert f"{line.published:.4g}" in words
            for one in line.computed:
                if math.isnan(one.value) and math.isnan(one.upper_bound):
                    continue
                assert f"{one.run}, {one.model}" in words and one.words.removesuffix(".") in words
    assert plus_minus(27.31, 0.07) in words
    assert "x was not used: torn" in words
    for name, causes in found.causes.items():
        assert name in words and all(one.here in words and one.there in words for one in causes)


def test_the_record_and_the_table_hold_the_exact_numbers(folders):
    found = compare_study(given_sample.everything())
    record = json.loads((folders["everything"] / "reproduction.json").read_text())
    rows = list(csv.DictReader(io.StringIO((folders["everything"] / "tables" / "reproduction.csv").read_text())))
    assert {source["name"] for source in record["sources"]} == set(found.causes)
    lines = [(exhibit, line) for exhibit in found.exhibits for line in exhibit.lines]
    plain = [line for exhibit in record["exhibits"] for line in exhibit["lines"]]
    assert len(lines) == len(plain)
    for (_, line), one in zip(lines, plain, strict=True):
        assert one["state"] == line.state
        for answer, written in zip(line.computed, one["computed"], strict=True):
            assert written["value"] == (answer.value if math.isfinite(answer.value) else None)
            difference = line.difference(answer)
            assert written["difference"] == (difference if math.isfinite(difference) else None)
    answers = [(line, one) for _, line in lines for one in line.computed or (None,)]
    for row, (line, one) in zip(rows, answers, strict=True):
        assert (row["state"], row["published_by"]) == (line.state, line.source)
        assert row["published"] == (repr(float(line.published)) if math.isfinite(line.published) else "")
        if one is not None and math.isfinite(one.value):
            assert float(row["value"]) == one.value


def test_every_figure_is_drawn_beside_its_data(folders):
    folder = folders["everything"]
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert "volume-Li3YCl6" not in names, "nothing was computed for it"
    assert {"volume-Li3YBr6", "difference", "parity-forces", "conductivity-over-x"} <= names
    assert {"diffusivity-Li3YBr6", "diffusivity-x3", "volume-over-x"} <= names
    page = (folder / "reproduction.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    assert set(data["figures"]) == set(re.findall(r'data-figure="([\w-]+)"', page)) == names
    text = (folder / "reproduction.md").read_text()
    assert set(re.findall(r"\(figures/(.+?)\.svg\)", text)) == names


def test_points_of_a_figure_are_the_numbers_of_its_lines():
    inputs, study = given_sample.everything(), published_study()
    found = compare_study(inputs, study)
    for key, name, pattern in (
        ("table-3", "difference", r"x = "),
        ("figure-5", "conductivity-over-x", r"conductivity"),
    ):
        exhibit = next(one for one in found.exhibits if one.key == key)
        (figure,) = [one for one in figures_of_exhibit(exhibit, study, inputs) if one.name == name]
        drawn = {float(y) for series in figure.series if series.style == "points" for y in series.y}
        lines = [line for line in exhibit.lines if re.search(pattern, line.quantity)]
        wanted = {one.value for line in lines for one in line.computed if math.isfinite(one.value)}
        wanted |= {line.published for line in lines if math.isfinite(line.published)}
        assert drawn == wanted


def test_errors_over_temperature_are_those_of_the_sets_that_were_not_learned():
    learned = given_sample.evaluation(kind="training", name="learned")
    inputs = replace(given_sample.everything(), evaluations=(given_sample.evaluation(), learned))
    study = published_study()
    exhibit = next(one for one in compare_study(inputs, study).exhibits if one.key == "figure-2")
    energy, forces, stress = (
        one for one in figures_of_exhibit(exhibit, study, inputs) if one.name.startswith("errors-")
    )
    (points,) = [series for series in energy.series if series.style == "points"]
    assert (points.x.tolist(), points.y.tolist()) == ([300.0, 700.0], pytest.approx([2.1, 2.9]))
    assert [float(series.y[0]) for series in energy.series if series.style != "points"] == [2.0, 3.5]
    assert [float(series.y[0]) for series in forces.series if series.style != "points"] == [50.0, 50.0]
    assert [float(series.y[0]) for series in stress.series if series.style != "points"] == [60.0, 85.0]


def test_the_grid_has_each_answer_once_and_no_bound_beside_a_value(folders):
    """Runs of the sample: 27.31 twice at 300 K and 10 kbar; a conductivity twice, differing."""
    study = published_study()
    bound = replace(given_sample.run("cold"), conductivity=given_sample.sample.upper_bound())
    inputs = ReproductionInputs(runs=(*given_sample.everything().runs, bound))
    exhibit = next(one for one in compare_study(inputs, study).exhibits if one.key == "table-2")
    grid = exhibit_tables(exhibit)[0]
    row = next(row for row in grid.rows if row[0].text == "CHGNet fine-tuned, 10 kbar")
    cells = dict(zip(grid.columns, (cell.text for cell in row), strict=True))
    assert cells["volume at 300 K (Å³/atom)"] == f"{plus_minus(27.31, 0.07)} [27]"
    assert cells["volume at 200 K (Å³/atom)"] == "[26.6]" and cells["volume at 0 K (Å³/atom)"] == "–"
    assert cells["conductivity at 300 K (mS/cm)"].count("to") == 2
    assert "<" not in cells["conductivity at 300 K (mS/cm)"]


def test_the_study_s_line_goes_through_its_conductivity():
    inputs, study = given_sample.everything(), published_study()
    exhibit = next(one for one in compare_study(inputs, study).exhibits if one.key == "figure-5")
    figure = next(one for one in figures_of_exhibit(exhibit, study, inputs) if one.name == "diffusivity-Li3YBr6")
    (line,) = [one for one in figure.series if one.label == "study: CHGNet fine-tuned, 10 kbar"]
    slope = np.polyfit(line.x / 1000, np.log(line.y), 1)[0]
    assert -slope * 8.617333262145179e-5 == pytest.approx(0.36, rel=1e-6)


def test_hostile_texts_are_inert(folders):
    page = (folders["hostile"] / "reproduction.html").read_text(encoding="utf-8")
    assert ATTACK not in page and ATTACK in html.unescape(page)
    reader = read(folders["hostile"] / "reproduction.html")
    assert not any("onerror" in attrs for _, attrs in reader.elements)
    assert sum(tag == "script" for tag, _ in reader.elements) == 4  # class, data, plotly, page.js
    text = (folders["hostile"] / "reproduction.md").read_text()
    assert "<img" not in text.replace("\\<img", "") and "\n# run" not in text
    rows = [line for line in text.splitlines() if line.startswith("| volume at 300 K") and "font" not in line]
    bars = [len(re.findall(r"(?<!\\)\|", row)) for row in rows if "alert" in row]
    assert bars == [8], "seven cells, whatever the texts hold"


def test_markdown_keeps_signs_as_signs():
    table = Table(name="t", columns=("a|b", "c"), rows=((word("1 | 2\n3"), word("*x* <b>")),))
    assert table_markdown(table) == "| a\\|b | c |\n| --- | --- |\n| 1 \\| 2 3 | \\*x\\* \\<b\\> |"


def test_a_second_call_leaves_nothing_stale_and_deletes_nothing_else(tmp_path, folders):
    folder = tmp_path / "a" / "b"
    shutil.copytree(folders["nothing"], folder)
    record = json.loads((folder / "reproduction.json").read_text())
    tampered = ["../../out.txt", str(tmp_path / "out.txt"), "figures/../../out.txt", "tables/..", "mine.txt", 3]
    record["files"] += ["figures/of-an-earlier-call.svg", *tampered]
    (folder / "reproduction.json").write_text(json.dumps(record))
    (folder / "figures").mkdir()
    (folder / "figures" / "of-an-earlier-call.svg").write_text("<svg/>")
    victims = [folder / "mine.txt", tmp_path / "out.txt", tmp_path / "a" / "out.txt"]
    for victim in victims:
        victim.write_text("mine")
    write_reproduction(ReproductionInputs(), folder, notes=("x was not used: torn",))
    assert not (folder / "figures" / "of-an-earlier-call.svg").exists()
    assert all(victim.read_text() == "mine" for victim in victims)
    for path in folders["nothing"].rglob("*"):
        if path.is_file():
            assert (folder / path.relative_to(folders["nothing"])).read_bytes() == path.read_bytes()


def test_a_folder_of_anything_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="no reproduction"):
        write_reproduction(ReproductionInputs(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
