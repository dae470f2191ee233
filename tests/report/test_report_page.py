"""The page: every number is there, nothing from outside is loaded, hostile texts stay texts."""

import csv
import html
import io
import json
import re

import pytest
import report_sample as sample
from page_reader import assert_offline, read

from halion.records import from_record
from halion.report import StudyResults, write_report
from halion.report.table import table_csv
from halion.report.tables import tables_of
from halion.report.text import between, fixed, plus_minus, short

STATES = ("complete", "without_value", "failures_only", "one_temperature", "hostile")
SECTIONS = [
    "answer",
    "trust",
    "crystal",
    "orderings",
    "volume",
    "motion",
    "arrhenius",
    "comparison",
    "structure",
    "method",
    "provenance",
]


@pytest.fixture(scope="module")
def words(pages) -> dict[str, str]:
    return {state: " ".join(" ".join(read(path).text).split()) for state, path in pages.items()}


@pytest.mark.parametrize("state", STATES)
def test_sections_come_in_order_and_every_element_is_closed(pages, state):
    reader = read(pages[state])
    assert reader.open == []
    assert [attrs["id"] for tag, attrs in reader.elements if tag == "section"] == SECTIONS
    ids = [attrs["id"] for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    anchors = [
        attrs["href"] for tag, attrs in reader.elements if tag == "a" and attrs.get("href", "").startswith("#")
    ]
    assert anchors == [f"#{name}" for name in SECTIONS]


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_loaded_from_outside(pages, state):
    assert_offline(read(pages[state]))


@pytest.mark.parametrize("state", STATES)
def test_no_number_is_silently_missing(words, state):
    assert not re.search(r"\b(nan|inf|None)\b", words[state])


def test_caveats_come_before_everything(words):
    text = words["complete"].split("Provenance", 1)[1]
    assert text.strip().startswith("Know this first This is a quick run: 12 ps")
    assert text.index("order of magnitude") < text.index("σ(300 K), ionic conductivity")
    assert "Know this first" not in words["failures_only"]


def test_every_number_of_the_answer_and_the_runs_appears(words):
    results, text = sample.complete(), words["complete"]
    sigma, fit = results.conductivity, results.arrhenius
    for value in (sigma.conductivity_ms_per_cm, sigma.low_ms_per_cm, sigma.high_ms_per_cm, sigma.low95_ms_per_cm):
        assert short(value, 2) in text
    assert short(sigma.high95_ms_per_cm, 2) in text
    assert plus_minus(fit.activation_energy, fit.activation_energy_std, "eV") in text
    assert sigma.verdict in text
    for run in results.runs:
        for number in (
            f"{run.target_temperature_k:g} K",
            fixed(run.temperature_k, 1),
            plus_minus(100 * run.diffusivity, 100 * run.diffusivity_std),
            short(run.n_eff),
            fixed(100 * run.hopped_fraction, 0, "%"),
            fixed(100 * run.rsd_he, 0),
            fixed(run.log_slope, 2),
            short(run.drift, 2, "Å"),
            fixed(run.volume, 1),
        ):
            assert number in text, number
        assert all(reason in text for reason in run.reasons)


def test_what_the_runs_say_together_appears(words):
    results, text = sample.complete(), words["complete"]
    summary = results.summary
    assert summary.regimes.words in text
    assert summary.plan.words in text
    assert summary.anisotropy.verdict in text
    line, sigma = summary.published
    energy = plus_minus(line.activation_energy, line.activation_energy_std, "eV")
    assert f"Ea {energy}, conductivity at 300 K" in text
    assert between(sigma.low_ms_per_cm, sigma.high_ms_per_cm) in text
    assert len(summary.influence) == 4
    for one in summary.influence:
        assert fixed(one.activation_energy, 3) in text and fixed(one.shift, 2) in text
    for run in results.runs:
        for one in run.along:
            assert plus_minus(100 * one.diffusivity, 100 * one.diffusivity_std) in text
        assert plus_minus(100 * run.diffusivity_gls, 100 * run.diffusivity_gls_std) in text
        component = run.diffusivity_tensor[0, 0], run.diffusivity_tensor_std[0, 0]
        assert plus_minus(100 * component[0], 100 * component[1]) in text
    for one in summary.haven:
        assert one.verdict in text
        assert plus_minus(100 * one.measured.charge, 100 * one.measured.charge_std) in text
    sigma = summary.with_haven
    assert f"would be {short(sigma.conductivity_ms_per_cm, 2)} mS/cm" in text
    for percent in ("21", "33", "44"):
        assert percent in text
    assert results.extension in text
    assert "One activation energy or two?" not in words["failures_only"]


def test_every_number_of_the_mechanism_appears(words, pages):
    text = words["complete"]
    for one in sample.complete().mechanisms:
        assert one.verdict in text
        assert fixed(one.temperature_k, 0) in text
    for number in ("0.217", "13.3", "0.871"[:4], "2.77", "octahedral-octahedral face", "37"):
        assert number in text, number
    table = (pages["complete"].parent / "tables" / "hops.csv").read_text().splitlines()
    assert len(table) == 1 + len(sample.TEMPERATURES)
    assert "0 0 1" in table[1] and "0.061" in table[1] and "0.022" in table[1]
    assert "From site to site" not in words["failures_only"]


def test_every_number_of_crystal_orderings_and_ranking_appears(words):
    results, text = sample.complete(), words["complete"]
    for amount in ("1\u202f411\u202f200", "179\u202f208", "6\u202f412"):
        assert " ".join(amount.split()) in text  # the text above has its white space made plain
    for orbit in results.crystal.orbits:
        assert orbit.wyckoff in text
        assert all(f"{element} {occupancy:g}" in text for element, occupancy in orbit.occupancy.items())
    for part in results.composition.orbits:
        assert fixed(part.deviation, 3) in text
    ranking = results.ranking
    assert all(note in text for note in (*ranking.notes, ranking.quality.note, ranking.back_check.note))
    assert "0.861" in text and "and 1 at random" in text
    for row in results.ranking.rows:
        for number in (fixed(1000 * row.energy_above_best, 1), fixed(row.relaxation.energy, 4), str(row.ordering)):
            assert number in text
    for one in results.equilibrations:
        assert plus_minus(one.volume_per_atom, one.volume_per_atom_std) in text
    assert all(note in text for note in results.crystal.notes)
    assert "Sites Li1 and Li3 come within 2.27 Å" in text
    assert "NOT converged" not in text, "the best ordering did converge"


def test_failures_and_bounds_are_said(words):
    for failure in sample.failures_only().failures:
        assert failure.step in words["failures_only"]
        assert failure.message in words["failures_only"]
    assert "No answer, because dynamics at 450 K refused" in words["failures_only"]
    assert "< 3.8 mS/cm" in words["without_value"]
    assert "0 of 2 runs diffused" in words["without_value"]
    assert "1 of 1 runs diffused" in words["one_temperature"]
    assert "No provenance was recorded" in words["failures_only"]


def test_provenance_and_the_command_appear(words):
    text = words["complete"]
    for expected in ("halion run study.yaml", "ab" * 32, "cd" * 32, "AMD EPYC", "commit not recorded", "512.3"):
        assert expected in text


def test_hostile_texts_are_inert(pages, words):
    page = pages["hostile"].read_text(encoding="utf-8")
    attack = sample.hostile().title
    assert attack not in page
    assert attack in html.unescape(page)
    reader = read(pages["hostile"])
    assert not any("onerror" in attrs for _, attrs in reader.elements)
    # Our own scripts: the class on the root, data, two libraries, page.js.
    assert sum(tag == "script" for tag, _ in reader.elements) == 5
    assert "window.broken=1" in words["hostile"], "it is shown as text"


def test_data_for_the_scripts_is_whole(pages):
    for path in pages.values():
        page = path.read_text(encoding="utf-8")
        record = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
        assert record["scene"]["atoms"]
        drawn = re.findall(r'data-figure="([\w-]+)"', page)
        assert sorted(drawn) == sorted(record["figures"]), "every figure has its place, every place its figure"


@pytest.mark.parametrize("state", STATES)
def test_tables_beside_the_page_hold_the_exact_numbers(pages, state):
    for name, table in tables_of(getattr(sample, state)()).items():
        text = (pages[state].parent / "tables" / f"{name}.csv").read_text(encoding="utf-8")
        assert text == table_csv(table)
        rows = list(csv.reader(io.StringIO(text)))
        assert tuple(rows[0]) == table.columns
        for row, cells in zip(rows[1:], table.rows, strict=True):
            for written, cell in zip(row, cells, strict=True):
                if isinstance(cell.value, float) and written:
                    assert float(written) == cell.value


def test_results_file_gives_the_results_back(pages):
    record = json.loads((pages["complete"].parent / "results.json").read_text())
    again, results = from_record(StudyResults, record), sample.complete()
    assert again.conductivity.conductivity_ms_per_cm == results.conductivity.conductivity_ms_per_cm
    assert [run.diffusivity for run in again.runs] == [run.diffusivity for run in results.runs]
    assert (again.runs[0].msd == results.runs[0].msd).all()
    assert again.composition == results.composition


def test_a_second_report_is_the_same_bytes(pages, tmp_path):
    again = write_report(sample.complete(), tmp_path)
    assert again == tmp_path / "report.html"
    assert again.read_bytes() == pages["complete"].read_bytes()
    names = sorted(path.name for path in pages["complete"].parent.iterdir())
    assert names == ["citations.bib", "density", "figures", "report.html", "results.json", "study.yaml", "tables"]
