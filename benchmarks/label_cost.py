"""What a DFT label costs beside a step of dynamics: the same cells, the same machine, one core each.

One hot frame of Li3YCl6 (30 atoms) and one of Li3YBr6 (20 atoms) of the labelled data: labelled anew by GPAW with
the preset, and moved by halion's engine in the ensemble of production (NVT), lists and integrator included.

    export HALION_GPAW_PYTHON=.venv-gpaw/bin/python
    python benchmarks/label_cost.py --output benchmarks/results/label_cost.md
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from cutoff import frames_of

from halion.dynamics import MdStage, run_stage
from halion.labels import Frame, GpawLabeller, label_frames
from halion.potentials import load_potential
from halion.settings_learning import LabelSettings
from halion.study.provenance import machine_description, source_commit

SHORT, LONG = 400, 2400  # steps; their difference leaves out what a run costs once


def seconds_per_step(frame: Frame) -> float:
    """Of one step of NVT at 600 K, 1 fs, storing every tenth frame."""
    potential = load_potential("chgnet", threads=1)
    seconds = []
    for n_steps in (SHORT, LONG):
        stage = MdStage(ensemble="nvt", n_steps=n_steps, timestep_fs=1.0, temperature_k=600.0, store_every_steps=10)
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            run_stage(Path(folder) / "run", frame.atoms, potential, stage)
            seconds.append(time.perf_counter() - begin)
    return (seconds[1] - seconds[0]) / (LONG - SHORT)


def seconds_per_label(frame: Frame) -> float:
    with tempfile.TemporaryDirectory() as folder:
        (done,) = label_frames([frame], GpawLabeller(LabelSettings()), Path(folder) / "L").labelled
    return done.label.provenance.wall_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, default=Path("data/LYCB-PBE/train.extxyz"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        "PBE by GPAW (350 eV, the preset) and NVT by halion's CHGNet engine, one core each. "
        f"{machine_description()['processor']}, one core; halion {source_commit()[:12]}.",
        "",
        "| cell | atoms | label, s | MD step, ms | ratio |",
        "|---|---|---|---|---|",
    ]
    for one in frames_of(options.labels):
        label, step = seconds_per_label(one.frame), seconds_per_step(one.frame)
        atoms = one.frame.atoms
        lines.append(
            f"| {atoms.get_chemical_formula()} | {len(atoms)} | {label:.0f} | {1e3 * step:.2f} "
            f"| {label / step:,.0f} |"
        )
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n"
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
