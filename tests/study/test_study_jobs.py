"""Jobs of one step and of several: a batch ends in the bits of each alone, and in the refusal of each alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from halion.dynamics import open_trajectory
from halion.errors import InputError, PhysicsRefusal
from halion.records import to_record
from halion.settings import DynamicsSettings, RankingSettings
from halion.study.jobs import dynamics_job, read_progress, relax_job
from halion.study.step import Step


def salt(lattice: float = 5.1):
    return bulk("LiCl", "rocksalt", a=lattice, cubic=True)


def dynamics_steps(folder: Path, temperatures: list[float], lattice: float = 5.1) -> list[Step]:
    settings = DynamicsSettings(
        timestep_fs=2.0,
        heating_ps=0.02,
        nvt_ps=0.02,
        npt_ps=0.04,
        cell_average_ps=0.04,
        production_ps=0.04,
        store_every_steps=5,
    )
    return [
        Step(
            folder / f"{temperature:g}K",
            {
                "atoms": to_record(salt(lattice)),
                "settings": settings.model_dump(mode="json"),
                "temperature_k": temperature,
                "device": "cpu",
            },
        ).begin()
        for temperature in temperatures
    ]


def names(steps: list[Step]) -> list[str]:
    return [str(step.folder) for step in steps]


def test_a_batch_of_temperatures_is_each_of_them_alone(tmp_path):
    together, alone = (dynamics_steps(tmp_path / name, [300.0, 500.0]) for name in ("together", "alone"))
    dynamics_job(*names(together))
    for step in alone:
        dynamics_job(str(step.folder))
    for one, other in zip(together, alone, strict=True):
        assert one.value() == other.value()
        first, second = (open_trajectory(step.folder / step.value()["trajectory"]) for step in (one, other))
        assert np.array_equal(first.positions, second.positions)
        assert (one.folder / "equilibration.json").read_text() == (other.folder / "equilibration.json").read_text()
        assert read_progress(one.folder)["phase"] == "production"


def test_one_that_is_refused_does_not_stop_the_others(tmp_path):
    """Atoms 1.1 Angstrom apart; beside it one that does not, in the same batch."""
    bad, good = dynamics_steps(tmp_path / "bad", [500.0], lattice=2.2), dynamics_steps(tmp_path / "good", [500.0])
    dynamics_job(*names(bad), *names(good))
    with pytest.raises(PhysicsRefusal, match="after step"):
        bad[0].value()
    assert good[0].value()["trajectory"] == "production/trajectory.h5"


def test_an_error_that_is_no_result_is_raised(tmp_path):
    steps = dynamics_steps(tmp_path, [300.0])
    inputs = steps[0].inputs | {"settings": steps[0].inputs["settings"] | {"cell_average_ps": 0.01}}
    short = Step(tmp_path / "short", inputs).begin()
    with pytest.raises(InputError, match="it needs two"):
        dynamics_job(str(short.folder))
    assert not short.is_done


def test_a_batch_of_relaxations_is_each_of_them_alone(tmp_path):
    inputs = [
        {
            "atoms": to_record(salt(a)),
            "settings": RankingSettings(max_steps=40).model_dump(mode="json"),
            "device": "cpu",
        }
        for a in (5.0, 5.3)
    ]
    together, alone = (
        [Step(tmp_path / name / f"{k}", each).begin() for k, each in enumerate(inputs)]
        for name in ("together", "alone")
    )
    relax_job(*names(together))
    for step in alone:
        relax_job(str(step.folder))
    assert [step.value() for step in together] == [step.value() for step in alone]
