"""Settings of labels, fine-tuning and the loop: defaults are the study's, nonsense is refused by its key."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from halion.settings_learning import LabelSettings, LoopSettings, TrainingSettings


def test_defaults_are_those_of_the_study():
    assert (LabelSettings().cutoff_ev, LabelSettings().relaxation_cutoff_ev) == (350.0, 520.0)
    assert LoopSettings().temperatures_k == (200.0, 400.0, 600.0, 800.0)
    assert LoopSettings().pressure_gpa == 1e-4  # 1 bar
    # Forty labels of each structure in each round.
    assert LoopSettings().trajectories_per_parent * LoopSettings().frames_per_trajectory == 40


@pytest.mark.parametrize(
    ("kind", "values", "key"),
    [
        (LabelSettings, {"code": "castep"}, "code"),
        (LabelSettings, {"cutoff": 350}, "cutoff"),
        (LabelSettings, {"k_spacing_per_angstrom": 0}, "k_spacing_per_angstrom"),
        (LoopSettings, {"temperatures_k": ()}, "temperatures_k"),
        (LoopSettings, {"temperatures_k": (400.0, 200.0)}, "temperatures_k"),
        (LoopSettings, {"temperatures_k": (200.0, 200.0)}, "temperatures_k"),
        (LoopSettings, {"temperatures_k": (-200.0, 200.0)}, "temperatures_k"),
        (TrainingSettings, {"validation_fraction": 1.0}, "validation_fraction"),
        (TrainingSettings, {"learning_rate": float("nan")}, "learning_rate"),
    ],
)
def test_nonsense_is_refused_by_its_key(kind, values, key):
    with pytest.raises(ValidationError, match=key):
        kind(**values)
