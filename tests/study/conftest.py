"""The small study that several tests run: every step is the real one, a hundredth as long."""

from __future__ import annotations

import pytest
import yaml

SMALL = {
    "crystal": "Li3YBr6",
    "preset": "quick",
    "orderings": {"supercell": [1, 1, 1]},
    "ranking": {"relax_best": 2, "max_steps": 8},
    "dynamics": {
        "temperatures_k": [500.0, 600.0],
        "timestep_fs": 2.0,
        "heating_ps": 0.02,
        "nvt_ps": 0.02,
        "npt_ps": 0.04,
        "cell_average_ps": 0.03,
        "production_ps": 0.12,
        "store_every_steps": 2,
        "checkpoint_ps": 0.02,
    },
    "machine": {"workers": 2},
}


@pytest.fixture
def small_study(tmp_path):
    """A study file of the small study."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path
