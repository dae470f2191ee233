"""Settings of a fine-tuning, searched with Optuna on the first iteration: the labels at 200 K.

18 labels of two trajectories are learned, 18 of two others choose; batch size, epochs, learning rate and frozen
blocks vary, the weights of the loss are the defaults. Trials in --folder are kept: a killed search goes on.

    python benchmarks/search.py --folder build/search --output benchmarks/results/search.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from halion.files import write_text
from halion.labels import read_labels
from halion.settings_learning import TrainingSettings
from halion.study.provenance import machine_description, source_commit
from halion.training import SearchTrial, search_settings

FIRST_K, HELD_OUT, MOST_EPOCHS = 200.0, ("LYC-2-200K", "LYB-2-200K"), 40


def row(one: SearchTrial) -> str:
    """A line of the table."""
    chosen = (str(one.number), str(one.batch_size), str(one.epochs), f"{one.learning_rate:.2g}")
    frozen = " ".join(one.frozen) or "none"
    if one.training is None:
        return f"| {' | '.join(chosen)} | {frozen} | | | | |"
    e = one.training.best.validation
    found = (
        f"{e.energy_mev_per_atom:.1f} | {e.forces_mev_per_angstrom:.1f} | {e.stress_mpa:.0f} | {1e3 * one.loss:.2f}"
    )
    return f"| {' | '.join(chosen)} | {frozen} | {found} |"


def main() -> None:
    """Search and print, best first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/LYCB-PBE/train.extxyz"))
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    every = read_labels(options.data)
    first = [one for one in every if one.frame.temperature_k == FIRST_K]
    found = search_settings(
        (
            [one for one in first if one.frame.group not in HELD_OUT],
            [one for one in first if one.frame.group in HELD_OUT],
        ),
        options.folder,
        TrainingSettings(epochs=MOST_EPOCHS),
        options.trials,
        references=[one for one in every if one.frame.temperature_k is None],
    )
    lines = [
        f"{machine_description()['processor']}; halion {source_commit()[:12]}.",
        "",
        "# Settings of a fine-tuning, first iteration",
        "",
        "Errors on the 18 held-out frames that choose the epoch; 18 are learned. The loss in thousandths.",
        "",
        "| trial | batch size | epochs | learning rate | frozen | meV/atom | meV/Å | MPa | loss |",
        "|---|---|---|---|---|---|---|---|---|",
        *(row(one) for one in sorted(found, key=lambda one: one.loss)),
    ]
    print("\n".join(lines))
    if options.output:
        write_text(options.output, "\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
