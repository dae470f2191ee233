"""halion label, finetune, evaluate and loop as a user types them, with EMT-fast frames and CHGNet as the code."""

from __future__ import annotations

from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from ase.io import read, write
from ase.spacegroup import crystal
from cli_verbs import answer, refusal, text

from halion.errors import EXIT_INPUT, EXIT_MISSING
from halion.potentials.chgnet_model import load_model
from halion.training.checkpoint import save_checkpoint

torch.set_num_threads(1)
VASPRUN = Path(ase.__file__).parent / "test" / "testdata" / "vasp" / "vasprun_pstress.xml"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    model = load_model()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["mlp.layers.4.weight"] *= 1.1
    return save_checkpoint(tmp_path_factory.mktemp("teacher") / "teacher.pth.tar", model, state, {})


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> Path:
    """Eight hot cells of rock salt, of four groups."""
    rng, found = np.random.default_rng(0), []
    for k in range(8):
        anion, a = (("Cl", 5.13), ("Br", 5.50))[k % 2]
        atoms = crystal(["Li", anion], [(0, 0, 0), (0.5, 0.5, 0.5)], spacegroup=225, cellpar=[a] * 3 + [90] * 3)
        atoms.set_cell(atoms.cell.array * (1 + rng.normal(0, 0.02)), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
        atoms.info = {"group": f"run-{k // 2}"}
        found.append(atoms)
    path = tmp_path_factory.mktemp("frames") / "frames.extxyz"
    write(path, found)
    return path


@pytest.fixture(scope="module")
def labels(frames, teacher, tmp_path_factory):
    from halion.cli.main import app

    folder = tmp_path_factory.mktemp("labels") / "set"
    assert (
        app(["label", str(frames), "--folder", str(folder), "--code", "potential", "--potential", str(teacher)])
        == 0
    )
    return folder / "labels.extxyz"


def test_label_says_what_it_was_made_with_and_goes_on(labels, frames, teacher, capfd):
    words = ("label", frames, "--folder", labels.parent, "--code", "potential", "--potential", teacher)
    record = answer(capfd, *words)
    assert record["labels"] == 8 and record["failed"] == []
    assert record["method"].startswith("potential chgnet-teacher (")
    assert read(labels, index=0).info["method"] == record["method"]


def test_labels_of_another_code_are_refused_in_the_folder(labels, frames, capfd):
    said = refusal(
        capfd,
        EXIT_INPUT,
        "label",
        frames,
        "--folder",
        labels.parent,
        "--code",
        "potential",
        "--potential",
        "chgnet",
    )
    assert "mixed labels would be learned as physics" in said


def test_no_gpaw_says_how_to_get_it(frames, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("HALION_GPAW_PYTHON", "/nowhere/python")
    assert "scripts/gpaw.sh" in refusal(capfd, EXIT_MISSING, "label", frames, "--folder", tmp_path / "new")


def test_vasp_files_are_imported(tmp_path, capfd):
    record = answer(capfd, "label", "import", VASPRUN, "--folder", tmp_path / "vasp")
    assert record["method"] == "VASP LDA PW 400 eV C"
    assert len(read(record["output"], index=":")) == record["labels"] > 0
    assert "there already" in refusal(capfd, EXIT_INPUT, "label", "import", VASPRUN, "--folder", tmp_path / "vasp")


def test_finetune_then_evaluate(labels, teacher, tmp_path, capfd):
    words = ("finetune", labels, "--folder", tmp_path / "run", "--epochs", 4, "--batch-size", 2)
    record = answer(capfd, *words)
    history = record["history"]
    assert len(history) == 5 and (tmp_path / "run" / "history.csv").exists()
    assert record["best"]["validation"]["loss"] < history[0]["validation"]["loss"]
    assert "held out; labels of potential chgnet-teacher" in text(capfd, *words)  # again: it is read, not repeated
    found = answer(
        capfd,
        "evaluate",
        labels,
        "--potential",
        "chgnet",
        "--potential",
        record["checkpoint"],
        "--folder",
        tmp_path / "e",
    )["errors"]
    assert [row["potential"] for row in found] == ["chgnet-0.3.0", "chgnet-model"]
    assert found[1]["force_mae"] < found[0]["force_mae"]
    assert {path.name for path in (tmp_path / "e").iterdir()} >= {
        "errors.csv",
        "errors.json",
        "parity-00-forces.csv",
    }
    shown = text(capfd, "evaluate", labels, "--potential", str(teacher), "--by", "group")
    assert "run-3" in shown and "force slope" in shown
    assert {path.name for path in (tmp_path / "e" / "figures").iterdir()} == {
        f"parity-{quantity}-00.svg" for quantity in ("energy", "forces", "stress")
    }
    shown = text(capfd, "evaluate", labels, "--potential", str(teacher), "--by", "composition")
    assert "LiCl" in shown and "LiBr" in shown
    assert "no frame says its temperature" in text(capfd, "evaluate", labels, "--by", "temperature")
    assert "--by group|temperature" in refusal(capfd, EXIT_INPUT, "evaluate", labels, "--by", "heat")


def test_labels_as_other_packages_write_them_need_a_method(labels, tmp_path, capfd):
    """Three keys and nothing else: refused until somebody says what they are; stress in kbar is refused still."""
    found = read(labels, index=":")
    for atoms in found:
        del atoms.info["method"]
    write(tmp_path / "theirs.extxyz", found)
    words = ("finetune", tmp_path / "theirs.extxyz", "--epochs", 1, "--folder")
    said = refusal(capfd, EXIT_INPUT, *words, tmp_path / "a")
    assert "do not name their method" in said and "--method 'VASP" in said
    assert "VASP LDA" in text(capfd, *words, tmp_path / "b", "--method", "VASP LDA")
    assert "labels of a method that they do not name" in text(capfd, "evaluate", tmp_path / "theirs.extxyz")
    for atoms in found:
        atoms.info |= {"method": "VASP", "REF_stress": -1602.1766 * np.array(atoms.info["REF_stress"])}
    write(tmp_path / "kbar.extxyz", found)
    said = refusal(capfd, EXIT_INPUT, "finetune", tmp_path / "kbar.extxyz", "--folder", tmp_path / "c")
    assert "another sign" in said and "multiply by -0.1/160.2177" in said


def test_finetune_makes_committees_and_searches(labels, frames, tmp_path, capfd):
    words = ("finetune", labels, "--epochs", 3, "--batch-size", 2, "--folder")
    made = answer(capfd, *words, tmp_path / "committee", "--committee", 2)
    assert [Path(path).exists() for path in made["checkpoints"]] == [True, True]
    assert all(row["force_std_ev_per_angstrom"] > 0 for row in made["validation"])
    assert "meV/Angstrom in the mean over" in text(capfd, *words, tmp_path / "committee", "--committee", 2)
    said = refusal(capfd, EXIT_INPUT, *words, tmp_path / "x", "--committee", 2, "--search", 2)
    assert "each a training of its own kind" in said
    write(tmp_path / "salt.vasp", read(frames, index=0))
    options = ("--replay", tmp_path / "salt.vasp", "--batch-atoms", 16)
    assert answer(capfd, *words, tmp_path / "replay", *options)["n_training"] == 6
    pytest.importorskip("optuna", reason="optuna is not installed: pip install 'halion[search]'")
    found = answer(capfd, *words, tmp_path / "search", "--search", 2)
    assert len(found["trials"]) == 2 and Path(found["checkpoint"]).exists()
    assert "Trials by validation loss" in text(capfd, *words, tmp_path / "search", "--search", 2)


def test_bad_options_name_their_key(labels, tmp_path, capfd):
    said = refusal(capfd, EXIT_INPUT, "finetune", labels, "--folder", tmp_path / "a", "--epochs", 0)
    assert "epochs: Input should be greater than 0 (got 0)" in said
    said = refusal(capfd, EXIT_INPUT, "finetune", labels, "--folder", tmp_path / "a", "--frozen", "embedings")
    assert "did you mean 'embeddings'" in said


def test_loop_makes_a_model(teacher, tmp_path, capfd):
    paths = []
    for anion, a in (("Cl", 5.13), ("Br", 5.50)):
        atoms = crystal(["Li", anion], [(0, 0, 0), (0.5, 0.5, 0.5)], spacegroup=225, cellpar=[a] * 3 + [90] * 3)
        paths.append(tmp_path / f"Li{anion}.vasp")
        write(paths[-1], atoms)
    words = [
        *paths,
        "--folder",
        tmp_path / "loop",
        "--name",
        "salts",
        "--rounds",
        "300",
        "--frames",
        2,
        "--trajectories",
        1,
    ]
    words += ["--npt-ps", 0.1, "--sampling-ps", 0.3, "--epochs", 2, "--code", "potential", "--potential", teacher]
    said = refusal(capfd, EXIT_INPUT, "loop", *words)
    assert "one trajectory alone holds Br, Cl" in said and "--binaries" in said
    words += ["--binaries", paths[0], "--binaries", paths[1]]
    (one,) = answer(capfd, "loop", *words)["rounds"]
    assert one["n_labels"] == 4 and one["temperature_k"] == 300.0
    assert "300 K: 4 labels, 0 failed;" in text(capfd, "loop", *words)
    said = refusal(capfd, EXIT_INPUT, "loop", *paths, "--folder", tmp_path / "x", "--rounds", "400,200")
    assert "must be positive and rise" in said
