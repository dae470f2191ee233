"""`halion enumerate`, `rank` and `series` on real input: what they print, what they write, what they refuse."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from cli_verbs import answer, refusal, text

from halion.orderings import load_orderings

# enumerate


def test_the_orderings_of_li3ycl6_are_those_of_the_literature(capfd):
    # 30-atom cell with the refined occupancies kept per orbit: 6!/(5!1!) 6!/(4!2!) 2 2 = 360, 30 distinct.
    found = answer(capfd, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--count-only")
    assert (found["total"], found["distinct"]) == (360, 30)
    assert found["supercell"] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert found["composition"] == "Li9 Y3 Cl18"
    assert found["distinct_after_exclusions"] == 15  # counted, not listed
    assert 0 < found["deviation"] < 0.1


def test_without_exclusions_all_distinct_orderings_are_listed(capfd):
    found = answer(capfd, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--closest-cations", "0")
    assert found["distinct_after_exclusions"] == found["distinct"] == 30
    assert found["total_after_exclusions"] == found["total"] == 360
    assert found["exclusions"] == []


def test_exclusions_are_named(capfd, tmp_path):
    stored = tmp_path / "orderings.h5"
    found = answer(capfd, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--output", stored)
    assert found["distinct_after_exclusions"] < 30
    assert {pair["reason"] for pair in found["exclusions"]} == {"shared face"}
    orderings = load_orderings(stored)
    assert orderings.n_orderings == found["distinct_after_exclusions"]
    assert orderings.multiplicity.sum() == found["total_after_exclusions"]


def test_enumerate_for_a_reader(capfd):
    out = text(capfd, "enumerate", "Li3YCl6", "--supercell", "1,1,1")
    assert "Li3YCl6  P-3m1  1x1x1 cell: Li9 Y3 Cl18, 30 atoms" in out
    assert "360" in out and "30   (12 operations)" in out
    assert "Y-Y at 2.99 Angstrom" in out
    assert "note: " in out


def test_enumerate_refuses_before_it_works(capfd, tmp_path):
    there = tmp_path / "there.h5"
    there.write_text("x")
    assert "never overwrites" in refusal(capfd, 2, "enumerate", "Li3YCl6", "--output", there)
    assert "no orderings to store" in refusal(
        capfd, 2, "enumerate", "Li3YCl6", "--count-only", "--output", tmp_path / "a.h5"
    )
    assert "Li3YBr6" in refusal(capfd, 2, "enumerate", "Li3YBr7")
    assert "next:" in refusal(capfd, 2, "enumerate", tmp_path / "missing.cif")
    assert "three positive whole numbers" in refusal(capfd, 2, "enumerate", "Li3YCl6", "--supercell", "1")
    assert there.read_text() == "x"


# rank, relax


def test_rank_writes_a_table_and_cells(capfd, tmp_path):
    stored, folder = tmp_path / "orderings.h5", tmp_path / "ranked"
    answer(capfd, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--output", stored)
    found = answer(
        capfd, "rank", stored, "--relax-best", "2", "--control", "0", "--max-steps", "2", "--folder", folder
    )
    assert found["potential"] == "chgnet-0.3.0"
    assert found["n_relaxed"] == 2
    assert [row["rank"] for row in found["rows"]] == [1, 2]
    assert found["rows"][0]["energy_above_best_ev_per_atom"] == 0
    assert sum(row["boltzmann_weight"] for row in found["rows"]) == pytest.approx(1)
    assert not any(row["is_converged"] for row in found["rows"])  # two steps are too few
    assert found["spearman"] is None  # of two there is none
    assert found["quality"]["recall"] is None
    assert "no control group" in found["quality"]["note"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        name.rsplit("/", 1)[1] for name in found["files"]
    )
    header = (folder / "ranking.csv").read_text().splitlines()[0]
    assert header.startswith("rank,ordering,multiplicity")
    assert "never overwrites" in refusal(capfd, 2, "rank", stored, "--folder", folder)


def test_rank_refuses_what_is_no_set_of_orderings(capfd, tmp_path):
    torn = tmp_path / "orderings.h5"
    torn.write_bytes(b"\x89HDF\r\n\x1a\n torn")
    assert str(torn) in refusal(capfd, 2, "rank", torn)
    assert "potential" in refusal(capfd, 2, "rank", "Li3YCl6", "--supercell", "1,1,1", "--potential", "chgnett")


# ways to choose what is enumerated


def test_candidates_with_both_counts_and_costs(capfd):
    found = answer(capfd, "enumerate", "Li3YCl6", "--candidates", "--max-atoms", "60")["candidates"]
    by_size = {one["n_atoms"]: one for one in found}
    assert set(by_size) == {30, 60}
    assert (by_size[30]["refined"]["total"], by_size[30]["refined"]["distinct"]) == (360, 30)
    assert all(one["pooled"]["total"] > one["refined"]["total"] for one in found)
    deviations = [one["composition"]["deviation"] for one in found]
    assert deviations == sorted(deviations)
    out = text(capfd, "enumerate", "Li3YCl6", "--candidates", "--max-atoms", "60")
    assert "pooled Li" in out and "images A" in out


def test_pooled_cations_and_an_exclusion_of_one_s_own(capfd):
    found = answer(capfd, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--pool", "Li,Y", "--exclude", "Y-Y:3.5")
    # 12 sites for 9 Li: 220; one Y at the origin and one on each of two columns of the 2d sites, or both on one
    # of them: 4 sites for 2 Y, 6 ways. 220 * 6 = 1320; two of the 6 put both Y on one column, 2.99 Angstrom apart.
    assert (found["total"], found["total_after_exclusions"]) == (1320, 220 * 4)
    assert (found["distinct"], found["distinct_after_exclusions"]) == (124, 86)
    assert found["refined"] == {"total": 360, "distinct": 30}
    assert found["pool"] == ["Li", "Y"]
    assert {(*pair["elements"], pair["reason"]) for pair in found["exclusions"]} == {("Y", "Y", "excluded pair")}
    lifted = answer(capfd, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--exclude", "Y-Y:0")
    assert lifted["distinct_after_exclusions"] == 30
    assert lifted["exclusions"] == []


def test_parts_are_joined_by_the_one_that_ends_last(capfd, tmp_path):
    path = tmp_path / "lyc.h5"
    words = ("enumerate", "Li3YCl6", "--supercell", "1,1,1", "--pool", "Li,Y", "--output", path)
    first = answer(capfd, *words, "--shard", "1/2")
    assert first["part"] == [1, 2] and first["distinct_after_exclusions"] == 86
    assert not path.exists()
    assert load_orderings(first["output"]).n_orderings == first["n_orderings"] < 86
    out = text(capfd, *words, "--shard", "0/2")
    assert "stored in " + str(path) in out
    joined = load_orderings(path)
    assert joined.n_orderings == 86
    assert joined.multiplicity.sum() == 880


def test_a_part_says_that_others_are_missing(capfd, tmp_path):
    path = tmp_path / "lyc.h5"
    out = text(capfd, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--output", path, "--shard", "0/3")
    assert "in part 0 of 3" in out and "lyc.0-of-3.h5" in out
    assert "15" in out.partition("distinct after exclusions")[2].splitlines()[0]
    for wrong in ("3/3", "a/b", "1", "-1/2"):
        assert "shard" in refusal(
            capfd, 2, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--output", path, f"--shard={wrong}"
        )


@pytest.mark.parametrize("measure", ["orderings", "colourings", "low-energy"])
def test_samples_say_what_they_are(capfd, tmp_path, measure):
    path = tmp_path / "sample.h5"
    words = (
        "enumerate",
        "Li3YCl6",
        "--supercell",
        "1,1,2",
        "--sample",
        measure,
        "--sample-size",
        "40",
        "--seed",
        "3",
    )
    found = answer(capfd, *words, "--output", path)
    assert found["sample"]["measure"] == measure
    assert found["sample"]["seed"] == 3
    assert found["distinct_after_exclusions"] == 792  # counted exactly, not listed
    drawn = load_orderings(path)
    assert drawn.sample.measure == measure and drawn.n_orderings == found["n_orderings"] <= 40
    assert len(np.unique(drawn.occupation, axis=0)) == drawn.n_orderings
    again = answer(capfd, *words, "--output", tmp_path / "again.h5")
    assert again["n_orderings"] == found["n_orderings"]
    assert np.array_equal(load_orderings(tmp_path / "again.h5").occupation, drawn.occupation)
    told = {
        "orderings": "every distinct ordering",
        "colourings": "every ordering",
        "low-energy": "not to be averaged",
    }
    assert told[measure] in text(capfd, *words)


def test_a_larger_sample_holds_the_smaller_one(capfd, tmp_path):
    rows = []
    for size in ("20", "60"):
        path = tmp_path / f"{size}.h5"
        words = ("enumerate", "Li3YCl6", "--supercell", "1,1,2", "--sample", "orderings", "--sample-size", size)
        answer(capfd, *words, "--output", path)
        rows.append({row.tobytes() for row in np.asarray(load_orderings(path).occupation)})
    assert rows[0] < rows[1]


def test_a_limit_is_never_crossed_silently(capfd, tmp_path):
    path = tmp_path / "a.h5"
    words = ("enumerate", "Li3YCl6", "--supercell", "1,1,1", "--output", path)
    told = refusal(capfd, 2, *words, "--limit", "10")
    assert (
        "more than 10 distinct orderings (15 under the exclusions, 30 of 360" in told
        and "sample" in told
        and "next:" in told
    )
    assert not path.exists()


def test_exclusions_that_leave_nothing_name_the_pair(capfd):
    told = refusal(capfd, 2, "enumerate", "Li3YCl6", "--supercell", "1,1,1", "--exclude", "Y-Y:9")
    assert "Y on Y1 (1a) and Y on Y1 (1a), 6.05 Angstrom" in told and "Y-Y: 6.04" in told


# a ranking that says what it missed, halides last, series


def test_a_control_group_measures_the_choice(capfd, tmp_path):
    words = ("rank", "Li3YCl6", "--supercell", "1,1,1", "--top", "3", "--control", "4", "--max-steps", "2")
    found = answer(capfd, *words, "--folder", tmp_path / "ranked")
    quality = found["quality"]
    assert quality["n_chosen"] >= 3  # more where many seem to be missed
    assert len(quality["control"]) == min(4, quality["n_rest"])
    assert 0 <= quality["recall_low"] <= quality["recall"] <= quality["recall_high"] <= 1
    table = list(csv.DictReader((tmp_path / "ranked" / "prefilter.csv").open()))
    assert float(table[0]["recall"]) == pytest.approx(quality["recall"])
    assert "probably missed" in text(capfd, *words)


@pytest.fixture(scope="module")
def arranged(tmp_path_factory):
    return tmp_path_factory.mktemp("arranged") / "ranked"


def test_cations_first_and_then_the_halides(capfd, arranged):
    found = answer(
        capfd,
        *("rank", "Li3YCl3Br3", "--supercell", "1,1,1", "--arrange", "Cl,Br", "--top", "1", "--control", "0"),
        *("--max-steps", "2", "--folder", arranged),
    )
    arrangement = found["arrangement"]
    assert arrangement["x"] == 3
    assert "distinct arrangements" in arrangement["evidence"]
    assert str(arranged / "Li3YCl3Br3-x3.cif") in found["files"]
    (row,) = json.loads((arranged / "series.json").read_text())["entries"]
    assert row["plan"]["x"] == 3


def test_what_cannot_be_arranged_is_refused(capfd, tmp_path):
    assert "--arrange takes two elements" in refusal(capfd, 2, "rank", "Li3YCl3Br3", "--arrange", "Cl")
    told = refusal(capfd, 2, "rank", "Li3YCl6", "--supercell", "1,1,1", "--arrange", "Cl,Br")
    assert "there is no Br to arrange" in told and "next:" in told


def test_a_series_from_the_command_line(capfd, tmp_path):
    words = ("series", "LYB=Li3YBr6", "--steps", "0,6", "--max-atoms", "20", "--top", "1", "--evaluate", "10")
    found = answer(capfd, *words, "--max-steps", "2", "--folder", tmp_path / "series")
    assert [(row["name"], row["x"]) for row in found["series"]] == [("LYB0", 0), ("LYB6", 6)]
    assert (tmp_path / "series" / "LYB6.cif").is_file()
    assert "--steps" in refusal(capfd, 2, "series", "LYB=Li3YBr6", "--steps", "a", "--folder", tmp_path / "b")
    assert "next:" in refusal(capfd, 2, "series", "Li3YBr7", "--folder", tmp_path / "b")
