"""halion label: energy, forces and stress of frames from an electronic-structure code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halion.cli.label_options import (
    AtOnce,
    Code,
    CodeCommand,
    Cutoff,
    LabelFolder,
    Processes,
    Pseudopotentials,
    Teacher,
    labelling,
    section,
    words,
)
from halion.cli.options import AsJson, Site, given, new_file
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal
from halion.errors import InputError

if TYPE_CHECKING:
    from halion.labels import Frame, LabelledFrame

__all__ = ["command"]


def command(
    frames: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Structures (any format of ASE, all frames) or halion trajectories. After the word 'import': "
            "vasprun.xml and OUTCAR files that exist.",
        ),
    ],
    folder: LabelFolder,
    choose: Annotated[
        int | None, typer.Option(metavar="N", help="Of each trajectory only so many, the furthest points.")
    ] = None,
    mobile: Annotated[
        str | None,
        typer.Option("--mobile-ions", metavar="ELEMENT,...", help="What travels. (default: Li)"),
    ] = None,
    code: Code = None,
    potential: Teacher = None,
    cutoff: Cutoff = None,
    code_command: CodeCommand = None,
    pseudopotentials: Pseudopotentials = None,
    processes: Processes = None,
    at_once: AtOnce = None,
    site: Site = None,
    mp2020: Annotated[
        bool, typer.Option("--mp2020", help="Of import: energies with the Materials Project's corrections of 2020.")
    ] = False,
    as_json: AsJson = False,
) -> Shown:
    """Label frames; writes labels.extxyz, one label at a time; the same command again goes on."""
    from halion.settings_learning import LabelSettings

    values = given(
        code=code,
        potential=potential,
        cutoff_ev=cutoff,
        command=code_command,
        pseudopotentials=pseudopotentials,
        processes=processes,
        at_once=at_once,
    )
    settings = section(LabelSettings, values, "label")
    if frames[0] == "import":
        return _imported([Path(name) for name in frames[1:]], folder, mp2020, as_json)
    if mp2020:
        raise InputError("--mp2020 is for labels that are imported", fix="leave it out (or: halion label import)")
    wanted = _read([Path(name) for name in frames], choose, words(mobile) or ("Li",))

    from halion.labels import label_frames

    with Watcher() as watcher, stop_on_signal() as stop, labelling(settings, site, folder, stop) as where:
        labeller, at_once = where
        found = label_frames(wanted, labeller, folder, at_once=at_once, progress=watcher.stage("labels"), stop=stop)
    text: list[str | Table] = [
        f"{len(found.labelled)} of {len(wanted)} frames have a label of {labeller.method}",
        *(f"failed: {why}" for why in found.failed.values()),
        f"written to {found.path}",
    ]
    record = {
        "method": labeller.method,
        "labels": len(found.labelled),
        "failed": list(found.failed.values()),
        "output": str(found.path),
    }
    return Shown(record=record, text=text, as_json=as_json)


def _read(paths: list[Path], choose: int | None, mobile: tuple[str, ...]) -> list[Frame]:
    frames: list[Frame] = []
    for path in paths:
        is_trajectory = path.is_dir() or path.suffix in (".h5", ".hdf5")
        frames += _of_trajectory(path, choose, mobile) if is_trajectory else _of_file(path)
    return frames


def _of_trajectory(path: Path, choose: int | None, mobile: tuple[str, ...]) -> list[Frame]:
    from halion.dynamics import open_trajectory
    from halion.labels import Frame, SamplingChoices, choose_frames, gather_frames

    trajectory = open_trajectory(path)
    found = gather_frames([trajectory])
    indices = range(found.n_frames)
    if choose is not None:
        framework = tuple(sorted(set(found.symbols) - set(mobile)))
        indices = choose_frames(found, choose, SamplingChoices(framework=framework)).indices.tolist()
    group = f"{path.resolve().parent.name}-{path.stem}"
    temperature = trajectory.target_temperature_k
    known = temperature if temperature == temperature else None  # NaN where unknown
    return [Frame(atoms=found.atoms(int(k)), group=group, temperature_k=known) for k in indices]


def _of_file(path: Path) -> list[Frame]:
    import ase.io

    from halion.labels import Frame

    if not path.is_file():
        raise InputError("there is no such file", where=str(path), fix="check the name; `ls` shows what is there")
    try:
        found = ase.io.read(path, index=":")
    except Exception as error:  # ASE's readers raise whatever their parsers do
        raise InputError(
            f"no structure can be read from this file ({type(error).__name__}: {error})",
            where=str(path),
            fix="give extended XYZ, CIF, POSCAR or another format that ASE reads",
        ) from error
    for k, atoms in enumerate(found):
        if abs(atoms.cell.volume) < 1e-6:
            raise InputError("this frame has no periodic cell", where=f"{path}, frame {k} from 0", fix="add a cell")
        atoms.pbc = True
    return [Frame(atoms=atoms, group=str(atoms.info.get("group", path.stem))) for atoms in found]


def _imported(paths: list[Path], folder: Path, mp2020: bool, as_json: bool) -> Shown:
    from halion.labels import write_labels
    from halion.labels.corrections import with_mp2020
    from halion.labels.imports import read_vasp

    if not paths:
        raise InputError("no file to import is given", fix="halion label import runs/*/vasprun.xml --folder labels")
    target = new_file(folder / "labels.extxyz")
    labelled: list[LabelledFrame] = [one for path in paths for one in read_vasp(path)]
    if mp2020:
        labelled = [with_mp2020(one) for one in labelled]
    methods = sorted({one.label.provenance.method for one in labelled})
    if len(methods) > 1:
        raise InputError(
            f"these files are of {len(methods)} methods ({'; '.join(methods)}), and mixed labels would be "
            "learned as physics",
            fix="import them into a folder each",
        )
    write_labels(target, labelled)
    record = {"method": methods[0], "labels": len(labelled), "failed": [], "output": str(target)}
    text = [f"{len(labelled)} labels of {methods[0]} from {len(paths)} files", f"written to {target}"]
    return Shown(record=record, text=text, as_json=as_json)
