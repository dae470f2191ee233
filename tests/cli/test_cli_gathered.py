"""halion md --correlate-every and halion transport --gathered, as a user calls them."""

from __future__ import annotations

import csv

import pytest
from ase.build import bulk
from ase.io import write
from cli_verbs import answer, refusal, text

from halion.files import distinct_names
from halion.settings import TransportSettings
from halion.transport import analyse_correlated

MD = ("--temperature", "800", "--length-ps", "0.4", "--timestep-fs", "2", "--store-every", "50")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from halion.cli.main import app

    folder = tmp_path_factory.mktemp("gathered")
    write(folder / "licl.vasp", bulk("LiCl", "rocksalt", a=5.2, cubic=True))
    words = ("md", folder / "licl.vasp", *MD, "--correlate-every", "5", "--folder", folder / "md")
    assert app([*map(str, words)]) == 0
    return folder / "md"


def test_the_answer_is_that_of_the_library(capfd, run, tmp_path):
    words = ("transport", run / "trajectory.h5", "--gathered", "--hop-length", "0.2", "--folder", tmp_path / "out")
    (found,) = answer(capfd, *words)["runs"]
    settings = TransportSettings(hop_length_angstrom=0.2)
    expected = analyse_correlated(run / "trajectory.h5", settings)
    assert found["diffusivity"] == pytest.approx(expected.diffusivity)
    with open(tmp_path / "out" / "msd-1-trajectory.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["msd_Li"]) for row in rows] == pytest.approx(expected.msd.tolist())
    assert [float(row["msd_Cl"]) for row in rows] == pytest.approx(expected.framework_msd["Cl"].tolist())


def test_the_table_names_the_run(capfd, run):
    said = text(capfd, "transport", run / "trajectory.h5", "--gathered", "--hop-length", "0.2")
    assert "trajectory.h5" in said and "800" in said


def test_a_run_that_gathered_nothing_is_refused(capfd, run, tmp_path):
    words = ("md", run.parent / "licl.vasp", *MD[:3], "0.02", "--folder", tmp_path / "md")
    answer(capfd, *words)
    assert "correlate_every_steps" in refusal(
        capfd, 2, "transport", tmp_path / "md" / "trajectory.h5", "--gathered"
    )


def test_names_are_as_long_as_they_must_be():
    paths = ["a/500K/production/t.h5", "a/600K/production/t.h5", "b/other.h5"]
    assert list(distinct_names(paths).values()) == ["500K/production/t.h5", "600K/production/t.h5", "other.h5"]
    assert distinct_names(["x/t.h5"]) == {"x/t.h5": "t.h5"}
