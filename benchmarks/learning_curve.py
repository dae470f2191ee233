"""Errors on the committed test sets against the number of labels that a fine-tuning learns from.

The labels of data/LYCB-PBE, nested subsets drawn evenly from all trajectories; two trajectories of end members and
two of mixtures choose the epoch, the binaries fix the references, the settings are those of halion-LYCB, and every
point takes about as many steps, whatever its labels. Trainings that are in --folder go on or are read; the
table is written again after every point.

    python benchmarks/learning_curve.py --output benchmarks/results/learning_curve.md
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch

from halion.files import write_text
from halion.labels import LabelledFrame, read_labels
from halion.potentials import load_potential
from halion.settings_learning import TrainingSettings
from halion.study.provenance import machine_description, source_commit
from halion.training import compare, errors, finetune

BINARIES = ("LiCl", "LiBr", "YCl3", "YBr3")
# As data/LYCB-PBE/make.py held out for halion-LYCB.
HELD_OUT = {"LYC-2-600K", "LYB-2-400K", "LYCB-2-500K-train", "LYCB-4-500K-train"}
POINTS = (10, 20, 40, 80, 160, 320)


def evenly(labelled: list[LabelledFrame], seed: int) -> list[LabelledFrame]:
    """Frames in an order whose every beginning holds as many of each trajectory, as far as they go round."""
    rng = np.random.default_rng(seed)
    groups: dict[str, list[LabelledFrame]] = {}
    for one in labelled:
        groups.setdefault(one.frame.group, []).append(one)
    columns = [[own[k] for k in rng.permutation(len(own))] for own in groups.values()]
    found: list[LabelledFrame] = []
    for k in range(max(map(len, columns))):
        column = [own[k] for own in columns if k < len(own)]
        found += [column[j] for j in rng.permutation(len(column))]
    return found


def settings_of(n: int, steps: int, seed: int) -> TrainingSettings:
    """Those of halion-LYCB, with as many epochs as the steps make of n frames."""
    epochs = max(1, round(steps / math.ceil(n / 4)))
    return TrainingSettings(
        epochs=epochs,
        patience=epochs,
        learning_rate=2e-3,
        forces_weight=6.0,
        stress_weight=0.4,
        frozen=(),
        seed=seed,
    )


def rows_of(name: str, sets: dict[str, list[LabelledFrame]], potential: str, seconds: str) -> list[str]:
    loaded, rows = load_potential(potential), []
    for of, frames in sets.items():
        e = errors(compare(frames, loaded))
        rows.append(
            f"| {name} | {of} | {e.energy_mae:.1f} | {e.energy_shifted_mae:.1f} | {e.force_mae:.0f} "
            f"| {e.stress_mae:.0f} | {e.force_slope:.2f} | {seconds} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/LYCB-PBE"))
    parser.add_argument("--folder", type=Path, default=Path("build/learning_curve"))
    parser.add_argument("--points", default=",".join(map(str, POINTS)))
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--seed", type=int, default=0, help="of the subsets and of the order of frames")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    every = [one for name in ("train", "more") for one in read_labels(options.data / f"{name}.extxyz")]
    references = [one for one in every if one.frame.group.split("-")[0] in BINARIES]
    moving = [one for one in every if one not in references]
    validation = [one for one in moving if one.frame.group in HELD_OUT]
    order = evenly([one for one in moving if one.frame.group not in HELD_OUT], options.seed)
    sets = {path.stem: read_labels(path) for path in sorted(options.data.glob("test-*.extxyz"))}
    machine = machine_description()
    lines = [
        f"# Learning curve ({machine['processor']}, {torch.get_num_threads()} thread(s); commit {source_commit()})",
        "",
        f"Mean absolute errors on frames that were never seen, after about {options.steps} steps of 4 frames, seed",
        f"{options.seed}. s: of the training, of this call.",
        "",
        "| labels | set | meV/atom | shifted | meV/Angstrom | MPa | force slope | s |",
        "|---|---|---|---|---|---|---|---|",
        *rows_of("0 (pretrained)", sets, "chgnet", ""),
    ]
    for n in map(int, options.points.split(",")):
        if n > len(order):
            parser.error(f"--points: there are {len(order)} labels to learn from, not {n}")
        start = time.perf_counter()
        place = options.folder / f"{n}-{options.steps}-{options.seed}"
        wanted = settings_of(n, options.steps, options.seed)
        done = finetune(order[:n], validation, place, wanted, references=references)
        lines += rows_of(str(n), sets, str(done.checkpoint), f"{time.perf_counter() - start:.0f}")
        print("\n".join(lines[-len(sets) :]), flush=True)
        if options.output:
            write_text(options.output, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
