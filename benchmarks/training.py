"""The time of an epoch of fine-tuning: `finetune` against chgnet's own Trainer, on the same frames and settings.

Frames of Li3YCl6 (30 atoms) and Li3YBr6 (20 atoms), displaced as at 600 K and strained, with the labels of the
r2SCAN CHGNet that chgnet brings along: this is about time, not about what is learned. Both start from CHGNet 0.3.0
and train in single precision with Adam on chgnet's Huber loss on energy, forces and stress, with the same blocks
frozen. An epoch is training, validation and the checkpoint. The first epoch, in which chgnet makes its graphs,
does not count, nor does the time before halion's first. Both take turns; the shortest epoch counts. On a machine
with other work the processor time tells more than the time on the clock.

That both do the same work is checked first: the loss of one batch and its gradient, by both.

    OMP_NUM_THREADS=1 python benchmarks/training.py [--output benchmarks/results/training.md]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from chgnet.data.dataset import StructureData, collate_graphs
from chgnet.model import CHGNet
from chgnet.trainer import Trainer
from engine_accuracy import hot, ordered_cell
from pymatgen.io.ase import AseAtomsAdaptor
from torch.utils.data import DataLoader

from halion.labels import Frame, Label, LabelledFrame, Provenance
from halion.potentials.chgnet_model import load_model
from halion.settings_learning import TrainingSettings
from halion.study.provenance import machine_description, source_commit
from halion.training import finetune
from halion.training.blocks import BLOCKS, trainable_names
from halion.training.loss import loss_of
from halion.training.network import TrainableNetwork, graphed
from halion.units import GPA_PER_EV_ANGSTROM3

# chgnet's example of fine-tuning trains the last convolution, the weights of messages and the readout.
CASES = {
    "all weights": (),
    "all but embeddings and bases (halion's choice)": ("embeddings", "bases"),
    "last convolution and readout": tuple(b for b in BLOCKS if b not in ("message_weights", "atoms4", "readout")),
}
Stamp = tuple[float, float]  # clock, processor


def stamp() -> Stamp:
    """Seconds on the clock and of the processor."""
    return time.perf_counter(), time.process_time()


def structures(n: int) -> list[Atoms]:
    """Li3YCl6 and Li3YBr6 in turn."""
    cells, made = [ordered_cell("Li3YCl6"), ordered_cell("Li3YBr6")], []
    for k in range(n):
        atoms = hot(cells[k % 2], 600, seed=k)
        strain = np.random.default_rng(k).normal(scale=0.01, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        made.append(atoms)
    return made


def labelled(frames: Sequence[Atoms]) -> list[LabelledFrame]:
    """With the labels of the r2SCAN CHGNet."""
    with contextlib.redirect_stdout(io.StringIO()):
        other = CHGNet.load(model_name="r2scan", use_device="cpu")
    found = []
    for k, atoms in enumerate(frames):
        said = other.predict_structure(AseAtomsAdaptor.get_structure(atoms), task="efs")
        stress = np.asarray(said["s"], float)
        label = Label(
            energy=float(said["e"]) * len(atoms),
            forces=np.asarray(said["f"], float),
            stress=(stress + stress.T) / 2 / GPA_PER_EV_ANGSTROM3,
            provenance=Provenance(method="CHGNet r2SCAN", code="chgnet"),
        )
        found.append(LabelledFrame(frame=Frame(atoms=atoms, group=f"run-{k}"), label=label))
    return found


def loader(frames: Sequence[LabelledFrame], batch_size: int, *, shuffle: bool) -> DataLoader:
    """The frames as chgnet wants them: eV/atom, eV/Angstrom, and VASP's kbar with VASP's sign."""
    data = StructureData(
        structures=[AseAtomsAdaptor.get_structure(one.frame.atoms) for one in frames],
        energies=[one.label.energy / len(one.frame.atoms) for one in frames],
        forces=[one.label.forces for one in frames],
        stresses=[-10 * GPA_PER_EV_ANGSTROM3 * one.label.stress for one in frames],
        shuffle=False,
    )
    return DataLoader(data, batch_size=batch_size, shuffle=shuffle, collate_fn=collate_graphs)


class TimedTrainer(Trainer):
    """chgnet's, which notes when an epoch ended."""

    def save_checkpoint(self, epoch: int, mae_error: dict, save_dir: str) -> None:
        super().save_checkpoint(epoch, mae_error, save_dir)
        self.stamps.append(stamp())


def trainer(settings: TrainingSettings) -> TimedTrainer:
    """chgnet's trainer with the same settings as halion's."""
    model = CHGNet.from_dict(load_model().as_dict())
    trained = set(trainable_names([name for name, _ in model.named_parameters()], settings.frozen))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in trained
    made = TimedTrainer(
        model=model,
        targets="efs",
        energy_loss_ratio=settings.energy_weight,
        force_loss_ratio=settings.forces_weight,
        stress_loss_ratio=settings.stress_weight,
        criterion="Huber",
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        torch_seed=settings.seed,
        use_device="cpu",
    )
    made.stamps = []
    return made


def theirs(frames: list[LabelledFrame], n_held_out: int, settings: TrainingSettings) -> list[Stamp]:
    """When each epoch of chgnet's Trainer ended."""
    random.seed(0)
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        made = trainer(settings)
        made.train(
            loader(frames[n_held_out:], settings.batch_size, shuffle=True),
            loader(frames[:n_held_out], settings.batch_size, shuffle=False),
            save_dir=folder,
        )
    return made.stamps


def ours(frames: list[LabelledFrame], n_held_out: int, settings: TrainingSettings) -> list[Stamp]:
    """When each epoch of `finetune` ended."""
    stamps: list[Stamp] = []
    with tempfile.TemporaryDirectory() as folder:
        finetune(
            frames[n_held_out:],
            frames[:n_held_out],
            folder,
            settings,
            progress=lambda done, total, state="": stamps.append(stamp()),
        )
    return stamps


def shortest(stamps: list[Stamp]) -> np.ndarray:
    """Seconds of the shortest epoch: clock, processor."""
    return np.diff(np.array(stamps), axis=0).min(axis=0)


def same_work(frames: list[LabelledFrame], settings: TrainingSettings) -> tuple[float, float]:
    """Relative difference of the loss of a batch, and of its gradient's norm."""
    with contextlib.redirect_stdout(io.StringIO()):
        made = trainer(settings)
        graphs, targets = next(iter(loader(frames, len(frames), shuffle=False)))
    for graph in graphs:
        graph.atom_frac_coord.requires_grad = True
    expected = made.criterion(targets, made.model(graphs, task="efs"))["loss"]
    expected.backward()
    network, batch = TrainableNetwork(load_model(), frozen=settings.frozen), graphed(frames)
    loss = loss_of(network(batch), batch, settings)
    gradients = dict(zip(network.trained, torch.autograd.grad(loss, network.parameters()), strict=True))
    wanted = {name: p.grad for name, p in made.model.named_parameters() if name in gradients}
    apart = sum(float((gradients[name] - wanted[name]).square().sum()) for name in gradients)
    whole = sum(float(one.square().sum()) for one in wanted.values())
    return abs(float(loss.detach()) / float(expected.detach()) - 1), float(np.sqrt(apart / whole))


def rows(frames: list[LabelledFrame], n_held_out: int, options: argparse.Namespace) -> list[str]:
    """One line for each choice of frozen blocks and batch size, and whether both did the same work."""
    made, worst = [], np.zeros(2)
    for name, frozen in CASES.items():
        for batch_size in options.batch_sizes:
            settings = TrainingSettings(epochs=options.epochs, batch_size=batch_size, frozen=frozen)
            worst = np.maximum(worst, same_work(frames[:batch_size], settings))
            found: dict[str, list[np.ndarray]] = {"theirs": [], "ours": []}
            for _ in range(options.turns):
                found["theirs"].append(shortest(theirs(frames, n_held_out, settings)))
                found["ours"].append(shortest(ours(frames, n_held_out, settings)))
            stock, fast = np.min(found["theirs"], axis=0), np.min(found["ours"], axis=0)
            made.append(
                f"| {name} | {batch_size} | {stock[0]:.2f} | {fast[0]:.2f} | {stock[0] / fast[0]:.1f} | "
                f"{stock[1]:.2f} | {fast[1]:.2f} | {stock[1] / fast[1]:.1f} |"
            )
            print(made[-1], flush=True)
    return [
        *made,
        "",
        f"Of one batch, both in single precision, the losses differ by {worst[0]:.1e} and the gradients by "
        f"{worst[1]:.1e} at most, relative.",
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24, help="for training")
    parser.add_argument("--held-out", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    frames = labelled(structures(options.frames + options.held_out))
    lines = [
        f"Epochs of {options.frames} training and {options.held_out} validation frames of Li3YCl6 (30 atoms) and "
        f"Li3YBr6 (20 atoms). {machine_description()['processor']}, {options.threads} thread(s), "
        f"halion {source_commit()[:12]}.",
        "",
        "| trained | frames per step | chgnet's Trainer, s | halion, s | ratio | chgnet, processor s | "
        "halion, processor s | ratio |",
        "|---|---|---|---|---|---|---|---|",
        *rows(frames, options.held_out, options),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
