"""Run folders read for a comparison: each a row, whatever became of it."""

from __future__ import annotations

import pytest

from halion.errors import InputError
from halion.study import RunFolder, read_studies
from halion.study_file import resolve


def begun(path):
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.begin(resolve({"crystal": "Li3YBr6"}))
    return path


def test_what_cannot_be_shown_says_why(tmp_path):
    (tmp_path / "empty").mkdir()
    found = read_studies([begun(tmp_path / "a" / "run"), begun(tmp_path / "b" / "run"), tmp_path / "empty"])
    assert [one.name for one in found] == ["a/run", "b/run", "empty"]
    assert "not ranked its orderings" in found[0].state
    assert "no study in this folder" in found[2].state
    assert all(one.results is None for one in found)


def test_a_series_is_all_of_its_members(tmp_path):
    (tmp_path / "campaign.json").write_text("{}")
    for name in ("LYB0", "LYB3"):
        begun(tmp_path / "studies" / name)
    assert [one.name for one in read_studies([tmp_path])] == ["LYB0", "LYB3"]


def test_one_study_is_nothing_to_compare(tmp_path):
    with pytest.raises(InputError, match="1 study to compare"):
        read_studies([begun(tmp_path / "run")])
    with pytest.raises(InputError, match="no such folder"):
        read_studies([tmp_path / "nowhere", tmp_path / "run"])
