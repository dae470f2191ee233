"""Options of the verbs that label and fine-tune, and the sections of settings that they fill."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from halion.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from halion.labels import Labeller
    from halion.progress import Stop
    from halion.settings_learning import LabelSettings


__all__ = [
    "AtOnce",
    "BatchSize",
    "Code",
    "CodeCommand",
    "Cutoff",
    "Epochs",
    "Frozen",
    "LabelFolder",
    "LearningRate",
    "Processes",
    "Pseudopotentials",
    "Teacher",
    "TrainingDevice",
    "labelling",
    "section",
    "words",
]

LabelFolder = Annotated[Path, typer.Option(metavar="FOLDER", help="Where it is made, and gone on with.")]
Code = Annotated[
    str | None, typer.Option(metavar="CODE", help="gpaw, vasp, espresso or potential. (default: gpaw)")
]
Teacher = Annotated[
    str | None,
    typer.Option(metavar="NAME|PATH", help="The potential of --code potential. (default: 7net-0)"),
]
Cutoff = Annotated[float | None, typer.Option("--cutoff", metavar="EV", help="Plane-wave cutoff. (default: 350)")]
CodeCommand = Annotated[
    str | None, typer.Option("--command", metavar="COMMAND", help="GPAW's python, 'mpirun -n 8 vasp_std', pw.x.")
]
Pseudopotentials = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="Folder of POTCARs or UPF files (VASP, Quantum ESPRESSO).")
]
Processes = Annotated[int | None, typer.Option(metavar="N", help="MPI processes of one label. (default: 1)")]
AtOnce = Annotated[int | None, typer.Option("--at-once", metavar="N", help="Labels at once. (default: 1)")]
Epochs = Annotated[int | None, typer.Option(metavar="N", help="Passes over the training frames. (default: 100)")]
BatchSize = Annotated[int | None, typer.Option(metavar="N", help="Frames per step. (default: 4)")]
LearningRate = Annotated[
    float | None, typer.Option(metavar="X", help="Of Adam at the first step. (default: 0.001)")
]
Frozen = Annotated[
    str | None,
    typer.Option(metavar="BLOCK,...", help="Blocks that stay as they are. (default: embeddings,bases)"),
]
TrainingDevice = Annotated[
    str | None, typer.Option("--device", metavar="cpu|cuda", help="Where the network runs. (default: cpu)")
]

S = TypeVar("S", bound="BaseModel")


def section(kind: type[S], values: dict[str, Any], verb: str) -> S:
    """One section of settings from options that were given.

    Raises:
        SettingsError: a value out of range, named by its key.
    """
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        text = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{key}: {text} (got {first['input']!r})", fix=f"halion {verb} --help") from error


def words(text: str | None) -> tuple[str, ...] | None:
    """Words between commas; None stays None."""
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


@contextmanager
def labelling(
    settings: LabelSettings, site: Path | None, folder: Path, stop: Stop
) -> Iterator[tuple[Labeller, int]]:
    """The code that labels, here or on the machines of a site, and how many labels at once.

    Raises:
        SettingsError: the site file cannot be used, or names no pool for labels.
        MissingDependency, InputError: the code is not there, or lacks what it needs.
    """
    if site is None:
        from halion.labels import labeller_of

        yield labeller_of(settings), settings.at_once
        return
    from halion.settings_site import read_site
    from halion.study import ClusterLabeller

    with ClusterLabeller(settings, read_site(site), folder / "cluster", stop) as labeller:
        yield labeller, labeller.at_once
