"""How the frames and labels of this folder were made: parents, dynamics, furthest points, GPAW; test sets.

Every part resumes; on two cores the labels take hours. Training frames, temperature by temperature, each with the
model fine-tuned on the labels before (the first with pretrained CHGNet):

    export HALION_GPAW_PYTHON=.venv-gpaw/bin/python
    python data/LYCB-PBE/make.py train --folder build/LYCB --rounds 200,400,600

More frames of the same parents with the model of the last round, 200 and 400 K at 1 bar, 600 and 800 K at 10 kbar
(at 1 bar that model boils at 800 K):

    python data/LYCB-PBE/make.py again --folder build/LYCB --rounds 800,600,400,200 --model MODEL.pth.tar

The last round of the study's kind (halion-LYCB-800K; 132 of these frames, of `again` the first 12 of each
trajectory at 800 K):

    python data/LYCB-PBE/make.py last --folder build/LYCB

End members at rest in both phases, and mixtures that no test set holds:

    python data/LYCB-PBE/make.py rest --folder build/LYCB --model halion-LYCB-800K
    python data/LYCB-PBE/make.py mixtures --folder build/LYCB --model halion-LYCB-800K

The model of all labels (halion-LYCB):

    python data/LYCB-PBE/make.py all --folder build/LYCB

Test sets, with the model of the last round but one:

    python data/LYCB-PBE/make.py test --folder build/LYCB --model MODEL.pth.tar
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from cells import BINARIES, HALIDES, binaries, mixed, ranked

from halion.dynamics import equilibrate_batch, open_trajectory, produce_batch
from halion.errors import HalionError
from halion.labels import (
    Frame,
    GpawLabeller,
    LabelledFrame,
    SamplingChoices,
    choose_frames,
    gather_frames,
    label_frames,
    read_labels,
    write_labels,
)
from halion.potentials import Potential, load_potential
from halion.ranking import relax
from halion.settings import DynamicsSettings, RankingSettings
from halion.settings_learning import LabelSettings, TrainingSettings
from halion.training import finetune

PARENTS = {"LYC": "Li3YCl6", "LYB": "Li3YBr6"}
TRAINED_RANKS, TESTED_RANK = (1, 2), 3
FRAMES_PER_TRAJECTORY = 6
FRAMES_AGAIN = {200: 12, 400: 14, 600: 14, 800: 20}  # per trajectory
FRAMES_OF_MIXTURES = 3  # the same
FRAMES_OF_LAST = 12  # the same, at the highest temperature, that halion-LYCB-800K learned from
HELD_OUT = ("LYC-2-600K", "LYB-2-400K", "LYCB-2-500K-train", "LYCB-4-500K-train")
HOT_K, HOTTEST_K, BAR_GPA, TEN_KBAR_GPA = 600, 800, 1e-4, 1.0
TEST_TEMPERATURES_K, TESTED_TWICE_K = tuple(range(300, 701, 50)), (400, 600)
MIXED_X = (1.5, 3.0, 4.5)  # tested, never trained
TRAINED_X, TRAINED_MIXTURES_K = (1, 2, 4, 5), (300, 500, 700)


def dynamics(temperature_k: float, *, npt_ps: float, nvt_ps: float, production_ps: float) -> DynamicsSettings:
    return DynamicsSettings(
        temperatures_k=(temperature_k,),
        pressure_gpa=1e-4,
        timestep_fs=1.0,
        heating_ps=2.0 if nvt_ps else 1.0,
        nvt_ps=nvt_ps,
        npt_ps=npt_ps,
        cell_average_ps=npt_ps * (2 / 3 if nvt_ps else 1 / 2),
        production_ps=production_ps,
        store_every_steps=20 if nvt_ps else 50,
        seed=7 if nvt_ps else 11,
    )


def moved(
    folder: Path, starts: dict[str, tuple[Atoms, float]], potential: Potential, settings: DynamicsSettings
) -> dict[str, Path]:
    """NPT and NVT of every start; the folders of those that came to their end."""
    names = list(starts)
    cells = equilibrate_batch([(folder / n / "eq", *starts[n]) for n in names], potential, settings)
    sound = [(n, c) for n, c in zip(names, cells, strict=True) if not isinstance(c, HalionError)]
    for name, cell in zip(names, cells, strict=True):
        print(name, cell if isinstance(cell, HalionError) else f"{cell.volume_per_atom:.2f} Angstrom^3/atom")
    ended = produce_batch([(folder / n / "nvt", c, settings.production_ps) for n, c in sound], potential, settings)
    return {n: folder / n / "nvt" for (n, _), error in zip(sound, ended, strict=True) if error is None}


def furthest(path: Path, group: str, temperature_k: float, n: int = FRAMES_PER_TRAJECTORY) -> list[Frame]:
    frames = gather_frames([open_trajectory(path)])
    framework = tuple(sorted(set(frames.symbols) - {"Li"}))
    try:
        chosen = choose_frames(frames, n + 3, SamplingChoices(framework=framework))
    except HalionError as error:  # layers slid past each other: no translation of a frame is defined
        print(group, error.what)
        chosen = choose_frames(frames, n + 3, SamplingChoices(method="random"))
    found = []
    for k in chosen.indices:
        atoms = frames.atoms(int(k))
        atoms.wrap()
        found.append(Frame(atoms=atoms, group=group, temperature_k=temperature_k))
    return found[:n]


def train(folder: Path, temperatures_k: list[float], labeller: GpawLabeller) -> None:
    references = list(label_frames(binaries(), labeller, folder / "L" / "binaries").labelled)
    cells = {f"{n}-{r}": ranked(name)[r - 1] for n, name in PARENTS.items() for r in TRAINED_RANKS}
    model, labels = "chgnet", []
    for temperature in temperatures_k:
        starts = {name: (atoms, temperature) for name, atoms in cells.items()}
        settings = dynamics(temperature, npt_ps=12, nvt_ps=2, production_ps=12)
        runs = moved(folder / "md" / f"{temperature:g}", starts, load_potential(model), settings)
        frames = [f for n, run in runs.items() for f in furthest(run, f"{n}-{temperature:g}K", temperature)]
        labels += label_frames(frames, labeller, folder / "L" / f"{temperature:g}", at_once=2).labelled
        held_out = {f"{n}-{TRAINED_RANKS[-1]}-{temperature:g}K" for n in PARENTS}
        done = finetune(
            [one for one in labels if one.frame.group not in held_out],
            [one for one in labels if one.frame.group in held_out],
            folder / "T" / f"{temperature:g}",
            TrainingSettings(epochs=60, patience=25),
            references=references,
        )
        model = str(done.checkpoint)
        print(f"{temperature:g} K", done.best, done.references)
    write_labels(folder / "train.extxyz", [*references, *labels])


def again(folder: Path, temperatures_k: list[float], model: str, labeller: GpawLabeller) -> None:
    """The hottest frames that come first end in train.extxyz, all others in more.extxyz."""
    cells = {f"{n}-{r}": ranked(name)[r - 1] for n, name in PARENTS.items() for r in TRAINED_RANKS}
    for temperature in temperatures_k:
        settings = dynamics(temperature, npt_ps=8, nvt_ps=0, production_ps=10).model_copy(
            update={
                "pressure_gpa": TEN_KBAR_GPA if temperature >= HOT_K else BAR_GPA,
                "heating_ps": 2.0,
                "cell_average_ps": 5.0,
                "store_every_steps": 20,
                "seed": 107,
            }
        )
        starts = {name: (atoms, temperature) for name, atoms in cells.items()}
        runs = moved(folder / "md-again" / f"{temperature:g}", starts, load_potential(model), settings)
        n = FRAMES_AGAIN[round(temperature)]
        each = [furthest(run, f"{name}-{temperature:g}K-2", temperature, n) for name, run in runs.items()]
        frames = [frame for of_one in zip(*each, strict=True) for frame in of_one]
        labels = label_frames(frames, labeller, folder / "L" / f"{temperature:g}-again").labelled
        first = FRAMES_OF_LAST * len(each) if temperature == HOTTEST_K else 0
        add(folder / "train.extxyz", labels[:first])
        add(folder / "more.extxyz", labels[first:])


def mixtures(folder: Path, model: str, labeller: GpawLabeller) -> None:
    """C2/m at x that no test set holds, and two cells of P-3m1."""
    chloride, bromide = ranked(PARENTS["LYC"])[0], ranked(PARENTS["LYB"])[0]
    starts = {
        f"LYCB-{x}-{t}K-train": (mixed(bromide, x, 500 + x), float(t))
        for t in TRAINED_MIXTURES_K
        for x in TRAINED_X
    }
    starts |= {f"LYCB-t{x}-500K-train": (mixed(chloride, x, 600 + x), 500.0) for x in (2, 4)}
    settings = dynamics(300.0, npt_ps=4, nvt_ps=0, production_ps=3)
    settings = settings.model_copy(update={"store_every_steps": 20, "seed": 211})
    runs = moved(folder / "md-mixtures", starts, load_potential(model), settings)
    each = [furthest(run, n, starts[n][1], FRAMES_OF_MIXTURES) for n, run in runs.items()]
    frames = [frame for of_one in zip(*each, strict=True) for frame in of_one]
    add(folder / "more.extxyz", label_frames(frames, labeller, folder / "L" / "mixtures").labelled)


def add(path: Path, labelled: Sequence[LabelledFrame]) -> None:
    if labelled:
        write_labels(path, [*(read_labels(path) if path.exists() else ()), *labelled])


def learn(folder: Path, name: str, files: Sequence[str]) -> None:
    """All blocks free; the weights of the loss were chosen by the errors on 30 held-out frames."""
    every = [one for file in files for one in read_labels(folder / file)]
    references = [one for one in every if one.frame.group.split("-")[0] in BINARIES]
    labels = [one for one in every if one not in references]
    done = finetune(
        [one for one in labels if one.frame.group not in HELD_OUT],
        [one for one in labels if one.frame.group in HELD_OUT],
        folder / "T" / name,
        TrainingSettings(
            epochs=30, patience=30, learning_rate=2e-3, forces_weight=6.0, stress_weight=0.4, frozen=()
        ),
        references=references,
    )
    print(done.checkpoint, done.best)


def test(folder: Path, model: str, labeller: GpawLabeller) -> None:
    potential = load_potential(model)
    chloride, bromide = ranked(PARENTS["LYC"]), ranked(PARENTS["LYB"])
    starts: dict[str, dict[str, tuple[Atoms, float]]] = {"mixed": {}, "ends": {}}
    for k, t in enumerate(TEST_TEMPERATURES_K):
        starts["ends"][f"LYC-3-{t}K"] = chloride[TESTED_RANK - 1 if k % 2 else TESTED_RANK], float(t)
        starts["ends"][f"LYB-3-{t}K"] = bromide[TESTED_RANK - 1], float(t)
        for x in MIXED_X:
            base = bromide[TESTED_RANK - 1 if k % 2 else TESTED_RANK - 2]
            starts["mixed"][f"LYCB-{x:g}-{t}K"] = mixed(base, x, 100 + k), float(t)
    settings = dynamics(300.0, npt_ps=6, nvt_ps=0, production_ps=3)
    for name, ours in starts.items():
        frames = []
        for run, path in moved(folder / "test" / name, ours, potential, settings).items():
            frames.append(one_frame(path, 1.0, run, ours[run][1]))
            if name == "ends" and ours[run][1] in TESTED_TWICE_K:
                frames.append(one_frame(path.parent / "eq" / "npt", 2 / 3, run, ours[run][1]))
        publish(folder, name, label_frames(frames, labeller, folder / "L" / f"test-{name}", at_once=2).labelled)
    frames = [rest(bromide[1 if k % 2 else 2], k / 2, 200 + k, "C2/m", potential) for k in range(13)]
    frames += [rest(chloride[TESTED_RANK - 1], k, 300 + k, "P-3m1", potential) for k in range(7)]
    found = label_frames(frames, labeller, folder / "L" / "test-equilibrium", at_once=2)
    publish(folder, "equilibrium", found.labelled)


def one_frame(path: Path, share: float, group: str, temperature_k: float) -> Frame:
    """The frame at this share of a trajectory."""
    frames = gather_frames([open_trajectory(path)])
    atoms = frames.atoms(min(int(frames.n_frames * share), frames.n_frames - 1))
    atoms.wrap()
    return Frame(atoms=atoms, group=group, temperature_k=temperature_k)


def rest(base: Atoms, x: float, seed: int, phase: str, potential: Potential) -> Frame:
    relaxed = relax(mixed(base, x, seed), potential, RankingSettings(max_steps=400)).atoms
    return Frame(atoms=relaxed, group=f"{phase}-x{x:g}")


def at_rest(folder: Path, model: str, labeller: GpawLabeller) -> None:
    """Both end members in both phases, relaxed; C2/m also 4 % smaller and 5 % larger."""
    potential, frames = load_potential(model), []
    chloride, bromide = ranked(PARENTS["LYC"]), ranked(PARENTS["LYB"])
    bases = [("C2/m", bromide[0], (1.0, 0.96, 1.05)), *(("P-3m1", chloride[k], (1.0,)) for k in (0, 1, 3, 4))]
    for k, (phase, base, scales) in enumerate(bases):
        for halide in HALIDES:
            atoms = base.copy()
            if halide not in base.symbols:
                atoms.symbols = [halide if symbol in HALIDES else symbol for symbol in base.symbols]
                atoms.set_cell(atoms.cell * (1.05 if halide == "Br" else 0.95), scale_atoms=True)
            relaxed = relax(atoms, potential, RankingSettings(max_steps=400)).atoms
            for scale in scales:
                one = relaxed.copy()
                one.set_cell(one.cell * scale ** (1 / 3), scale_atoms=True)
                frames.append(Frame(atoms=one, group=f"{phase}-Li3Y{halide}6-rest-{k}"))
    add(folder / "more.extxyz", label_frames(frames, labeller, folder / "L" / "rest").labelled)


def publish(folder: Path, name: str, labelled: tuple[LabelledFrame, ...]) -> None:
    write_labels(folder / f"test-{name}.extxyz", labelled)
    print(name, len(read_labels(folder / f"test-{name}.extxyz")), "labels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "again", "last", "rest", "mixtures", "all", "test"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", default="200,400,600")
    parser.add_argument("--model", default="halion-LYCB-600K")
    options = parser.parse_args()
    folder, model, labeller = options.folder, options.model, GpawLabeller(LabelSettings())
    rounds = [float(word) for word in options.rounds.split(",")]
    steps = {
        "train": lambda: train(folder, rounds, labeller),
        "again": lambda: again(folder, rounds, model, labeller),
        "last": lambda: learn(folder, "last", ["train.extxyz"]),
        "rest": lambda: at_rest(folder, model, labeller),
        "mixtures": lambda: mixtures(folder, model, labeller),
        "all": lambda: learn(folder, "all", ["train.extxyz", "more.extxyz"]),
        "test": lambda: test(folder, model, labeller),
    }
    steps[options.what]()


if __name__ == "__main__":
    main()
