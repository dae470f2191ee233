"""A search over settings: trials are kept, a stop changes nothing, and the table says what was found."""

from __future__ import annotations

import csv
import math
import sys

import pytest
import torch
from training_cases import labelled, salt

from halion.errors import Interrupted, MissingDependency, RunFolderError
from halion.labels import LabelledFrame
from halion.settings_learning import TrainingSettings
from halion.training import search_settings

torch.set_num_threads(1)
QUICK = TrainingSettings(epochs=3, patience=50)


def salts(n: int) -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    frames = labelled([salt(k, anion="Br") for k in range(n)])
    return frames[:-2], frames[-2:]


def needs_optuna() -> None:
    pytest.importorskip("optuna", reason="optuna is not installed: pip install 'halion[search]'")


def test_a_stopped_search_ends_as_one_that_was_not(tmp_path):
    needs_optuna()
    frames, seen = salts(5), []
    whole = search_settings(frames, tmp_path / "whole", QUICK, 3)
    with pytest.raises(Interrupted):
        search_settings(
            frames,
            tmp_path / "cut",
            QUICK,
            3,
            progress=lambda done, total, state="": seen.append(done),
            # Once within the second trial's training, which leaves a trial that runs in the journal.
            stop=lambda: (tmp_path / "cut" / "trial-001" / "state.pt").exists(),
        )
    assert seen == [0, 1]
    # A killed process tells its journal nothing; what it leaves is a trial that seems to run.
    resumed = search_settings(frames, tmp_path / "cut", QUICK, 3)
    settings = [(t.batch_size, t.epochs, t.learning_rate, t.frozen, t.loss) for t in whole]
    assert [(t.batch_size, t.epochs, t.learning_rate, t.frozen, t.loss) for t in resumed] == settings
    assert len({one[:4] for one in settings}) > 1
    with (tmp_path / "cut" / "search.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [float(row["loss"]) for row in rows] == pytest.approx([one.loss for one in whole], rel=1e-5)
    assert all(1 <= int(row["epochs"]) <= 3 and 1e-4 <= float(row["learning_rate"]) <= 5e-3 for row in rows)
    # More trials go on from these; other frames do not.
    more = search_settings(frames, tmp_path / "cut", QUICK, 4)
    assert [one.loss for one in more[:3]] == [one.loss for one in whole]
    with pytest.raises(RunFolderError, match="a search on other frames"):
        search_settings((frames[0][:2], frames[1]), tmp_path / "cut", QUICK, 3)


def test_a_trial_that_explodes_is_counted_and_the_search_goes_on(tmp_path):
    """A weight beyond the largest number of single precision: the first step's loss is none."""
    needs_optuna()
    found = search_settings(salts(4), tmp_path, TrainingSettings(epochs=1, forces_weight=1e60), 2)
    assert [one.loss for one in found] == [math.inf, math.inf] and found[0].training is None
    assert "inf" in (tmp_path / "search.csv").read_text()


def test_without_optuna_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependency, match="needs the package optuna") as refused:
        search_settings(salts(4), tmp_path, QUICK, 2)
    assert "halion[search]" in refused.value.fix
