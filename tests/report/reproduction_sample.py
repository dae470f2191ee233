"""What somebody may have computed: made by hand around the results of an imaginary study."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import report_sample as sample

from halion.report.reproduction import (
    Benchmark,
    ComputedRun,
    ComputedSeries,
    Evaluation,
    Model,
    Origin,
    ReproductionInputs,
    SeriesPoint,
    VolumePoint,
)
from halion.training import PotentialErrors

TUNED = Model(name="halion-LYCB-800K", kind="fine-tuned", trained_to_k=800.0, labels="GPAW PBE PW 350 eV")
PRETRAINED = Model(name="chgnet-0.3.0", kind="pretrained")
KELVINS = (300.0, 400.0, 600.0)


def volume(kelvin: float, value: float, model: Model = TUNED, pressure: float = 1.0) -> VolumePoint:
    std = math.nan if kelvin == 0 else 0.07
    return VolumePoint(temperature_k=kelvin, pressure_gpa=pressure, volume=value, std=std, model=model)


def run(name: str = "LYB-10kbar", **changes) -> ComputedRun:
    """A finished study of Li3YBr6 at 10 kbar; fields as asked."""
    results = sample.complete()
    fields = {
        "origin": Origin(
            name=name,
            what="study",
            command="halion run Li3YBr6",
            wall_s=2120.2,
            machine="AMD EPYC, 2 cores",
            commit="9d73c3db89b5",
        ),
        "material": "Li3YBr6",
        "x": 6.0,
        "model": TUNED,
        "pressure_gpa": 1.0,
        "n_atoms": 40,
        "ordering": "best of 40 relaxed of 511 by halion-LYCB-800K",
        "space_group": "C2/m",
        "timestep_fs": 2.0,
        "npt_ps": 8.0,
        "production_ps": 200.0,
        "temperatures_k": sample.TEMPERATURES,
        "simulated_ps": 835.2,
        "volumes": (
            volume(0.0, 27.9, pressure=0.0),
            volume(300.0, 27.31),
            volume(450.0, 28.1),
            volume(600.0, 28.9),
        ),
        "runs": results.runs,
        "arrhenius": results.arrhenius,
        "conductivity": results.conductivity,
        "mechanisms": results.mechanisms,
        "anisotropy": (1.04, 0.64, 1.7),
    }
    return ComputedRun(**fields | changes)


def bounded(name: str = "cold") -> ComputedRun:
    """A study of Li3YCl6 in which nothing moved, and one run melted."""
    caged = sample.run(450.0, verdict="upper bound")
    melted = replace(sample.run(600.0), verdict="melted", upper_bound=0.3)
    return run(
        name,
        material="Li3YCl6",
        x=0.0,
        space_group="P-3m1",
        runs=(caged, melted),
        arrhenius=None,
        conductivity=sample.upper_bound(),
        mechanisms=(),
        volumes=(),
    )


def series(name: str = "series", sign: float = 1.0) -> ComputedSeries:
    points = tuple(
        SeriesPoint(
            x=x,
            volumes=(22.5 + 0.8 * x, math.nan if x == 3 else 23.7 + 0.6 * x),
            difference=math.nan if x == 3 else sign * 0.001 * (x - 2),
            std=0.0005,
            left_out="monoclinic: it left the framework of its phase" if x == 3 else "",
        )
        for x in (0.0, 1.0, 3.0, 6.0)
    )
    return ComputedSeries(
        origin=Origin(name=name, what="series"),
        model=TUNED,
        points=points,
        transitions=(2.0,),
        verdict="LYC below x = 2, LYB above.",
        n_atoms=(20, 30),
        n_evaluated=(1, 12),
    )


def evaluation(model: Model = TUNED, kind: str = "ends", name: str = "evaluated", **numbers: float) -> Evaluation:
    rng = np.random.default_rng(7)
    label = rng.normal(size=400)
    values = {
        "n_frames": 18,
        "energy_mae": 2.8,
        "energy_rmse": 3.3,
        "energy_shifted_mae": 2.1,
        "energy_shifted_rmse": 2.6,
        "force_mae": 43.0,
        "force_rmse": 60.0,
        "force_max": 400.0,
        "stress_mae": 81.0,
        "stress_rmse": 99.0,
        "force_slope": 0.98,
    }
    return Evaluation(
        origin=Origin(name=name, what="evaluation"),
        model=model,
        set_name=f"LYCB-PBE/test-{kind}",
        kind=kind,
        errors=PotentialErrors(**values | numbers),
        parity={"forces": np.stack([label, 0.98 * label], axis=1)},
        over_temperature=tuple((kelvin, 1.5 + kelvin / 500, 0.1 * kelvin, 81.0) for kelvin in (300.0, 700.0)),
    )


def everything() -> ReproductionInputs:
    """Two runs of one line, a bounded one, one at 1 bar with dispersion, one of x = 3, and all else."""
    d3 = Model(name="halion-LYCB-800K+d3", kind="fine-tuned", dispersion=True, trained_to_k=800.0)
    still = {"runs": (), "arrhenius": None, "conductivity": None, "mechanisms": ()}
    still["volumes"] = (volume(300.0, 26.36, d3, 0.0001),)
    return ReproductionInputs(
        runs=(
            run(),
            run("again", conductivity=replace(sample.complete().conductivity, conductivity_ms_per_cm=0.5)),
            bounded(),
            run("d3", model=d3, pressure_gpa=0.0001, **still),
            run("mixed", material="Li3YCl3Br3", x=3.0, volumes=()),
        ),
        series=(series(),),
        evaluations=(evaluation(), evaluation(PRETRAINED, "mixed", energy_mae=560.0, energy_shifted_mae=6.8)),
        benchmarks=(
            Benchmark(
                origin=Origin(name="engine.md", what="benchmark", machine="AMD EPYC"),
                what="halion, Li3YBr6",
                s_per_atom_ps=0.0424,
            ),
        ),
    )
