"""Citations, method text and study file follow the settings."""

import re

import pytest
import report_sample as sample
import yaml

from halion.report import bibtex, citations_for
from halion.report.method import method_paragraph, study_yaml
from halion.report.study_rows import reduced_formula, study_rows
from halion.study_file import resolve


def keys(source) -> set[str]:
    return {citation.key for citation in citations_for(source)}


def test_only_what_was_used_is_cited():
    assert {"halion", "Deng2023", "He2018", "Bohm2025", "Schlem2021"} <= keys(sample.complete())
    assert not {"Park2024", "Chen2022", "Qi2021"} & keys(sample.complete())


def test_settings_alone_are_enough():
    sevenn = resolve(
        {"crystal": "some.cif", "dynamics": {"potential": "7net-0"}, "ranking": {"potential": "7net-0"}}
    )
    assert "Park2024" in keys(sevenn)
    assert not {"Deng2023", "Schlem2021"} & keys(sevenn)
    assert {"Qi2021", "Schlem2021"} <= keys(resolve({"crystal": "Li3YCl6"}))


@pytest.mark.parametrize(
    ("potential", "cited"),
    [
        ("halion-LYCB-600K", set()),
        ("halion-LYCB-600K+d3", {"Grimme2010", "Grimme2011"}),
        ("CHGNet+D3-reference", {"Grimme2010", "Grimme2011", "Ehlert2024"}),
    ],
)
def test_dispersion_is_cited_where_it_was_added(potential, cited):
    found = keys(resolve({"crystal": "some.cif", "dynamics": {"potential": potential}}))
    assert "Deng2023" in found
    assert found & {"Grimme2010", "Grimme2011", "Ehlert2024"} == cited


def test_bibtex_is_balanced_and_keys_are_unique():
    text = bibtex(citations_for(sample.complete()))
    assert text.count("{") == text.count("}")
    found = re.findall(r"@\w+\{(\w+),", text)
    assert len(found) == len(set(found)) == len(citations_for(sample.complete()))
    assert re.search(r"doi = \{10\.1038/s41524-018-0074-y\}", text)


def test_method_states_the_numbers_of_this_study():
    text = method_paragraph(sample.complete())
    settings = resolve({"crystal": "Li3YBr6"})
    numbers = (
        "1411200",
        "179208",
        "6412",
        "Li12 Y4 Br24",
        f"{settings.dynamics.timestep_fs:g} fs",
        f"{settings.dynamics.production_ps:g} ps",
        f"{settings.dynamics.npt_ps:g} ps",
        "1 GPa",
        "chgnet-0.3.0",
        "451, 501, 551, 601 K",
    )
    assert [number for number in numbers if number not in text] == []
    assert "nan" not in text


def test_method_promises_nothing_that_was_not_done():
    assert "Arrhenius" not in method_paragraph(sample.without_value())
    assert "hop length" not in method_paragraph(sample.failures_only())


def test_study_file_gives_the_same_settings_again():
    results = sample.complete()
    assert resolve(yaml.safe_load(study_yaml(results))).model_dump(mode="json") == results.settings


def test_study_rows_are_those_of_the_paper():
    rows = {row.label: row for row in study_rows("Li3YBr6")}
    assert len(rows) == 11
    assert len(study_rows("Li3YCl6")) == 12
    tuned = rows["CHGNet fine-tuned to 600 K, 1 GPa"]
    assert (tuned.activation_energy_ev, tuned.conductivity_ms_per_cm) == (0.36, 0.58)
    assert dict(rows["CHGNet pretrained, 1 bar"].volume)[300.0] == 34.5
    assert dict(rows["Schlem 2021, neutrons, sample 1"].volume)[300.0] == 26.8
    assert study_rows("Na3YBr6") == ()


@pytest.mark.parametrize(
    ("amounts", "formula"),
    [
        ({"Y": 1.99998, "Li": 6.0, "Br": 12.0}, "Li3YBr6"),
        ({"Li": 9.0, "Y": 3.0, "Cl": 18.0}, "Li3YCl6"),
        ({"Br": 6.0, "Cl": 6.0, "Li": 6.0, "Y": 2.0}, "Li3YCl3Br3"),
        ({}, ""),
    ],
)
def test_reduced_formula(amounts, formula):
    assert reduced_formula(amounts) == formula
