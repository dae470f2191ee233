"""halion loop: dynamics, labels and fine-tuning in turn, at rising temperature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halion.cli.label_options import (
    AtOnce,
    Code,
    CodeCommand,
    Cutoff,
    Epochs,
    LabelFolder,
    Processes,
    Pseudopotentials,
    Teacher,
    TrainingDevice,
    labelling,
    section,
    words,
)
from halion.cli.options import AsJson, Site, given, numbers
from halion.cli.structures import read_ordered
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal

if TYPE_CHECKING:
    from halion.labels import Labeller
    from halion.settings_learning import LoopSettings, TrainingSettings
    from halion.study import LoopRound, LoopStudy

__all__ = ["command"]


def command(
    parents: Annotated[
        list[Path], typer.Argument(metavar="STRUCTURE...", help="Ordered cells, as `halion rank` writes them.")
    ],
    folder: LabelFolder,
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the models: halion-NAME-200K.")] = "model",
    temperatures: Annotated[
        str | None, typer.Option("--rounds", metavar="K,K,...", help="One round each. (otherwise: 200 ... 800)")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="N", help="Labels of each trajectory in each round. (default: 20)")
    ] = None,
    trajectories: Annotated[
        int | None, typer.Option(metavar="N", help="Trajectories of each structure. (default: 2)")
    ] = None,
    npt_ps: Annotated[float | None, typer.Option(metavar="PS", help="NPT before sampling. (default: 20)")] = None,
    sampling_ps: Annotated[float | None, typer.Option(metavar="PS", help="NVT sampled. (default: 20)")] = None,
    binaries: Annotated[
        list[Path] | None,
        typer.Option(metavar="STRUCTURE", help="Structures labelled first, for the references of the elements."),
    ] = None,
    mobile: Annotated[
        str | None, typer.Option("--mobile-ions", metavar="ELEMENT,...", help="What travels. (default: Li)")
    ] = None,
    epochs: Epochs = None,
    code: Code = None,
    potential: Teacher = None,
    cutoff: Cutoff = None,
    code_command: CodeCommand = None,
    pseudopotentials: Pseudopotentials = None,
    processes: Processes = None,
    at_once: AtOnce = None,
    site: Site = None,
    device: TrainingDevice = None,
    as_json: AsJson = False,
) -> Shown:
    """Make a fine-tuned potential from ordered cells; the same command again goes on after a kill."""
    from halion.settings_learning import LabelSettings, LoopSettings, TrainingSettings

    labels = section(
        LabelSettings,
        given(
            code=code,
            potential=potential,
            cutoff_ev=cutoff,
            command=code_command,
            pseudopotentials=pseudopotentials,
            processes=processes,
            at_once=at_once,
        ),
        "loop",
    )
    rounds = given(
        temperatures_k=numbers(temperatures, "--rounds", "K"),
        frames_per_trajectory=frames,
        trajectories_per_parent=trajectories,
        npt_ps=npt_ps,
        sampling_ps=sampling_ps,
    )
    cells = _Cells(parents, binaries or [], words(mobile) or ("Li",))
    wanted = (
        section(LoopSettings, rounds, "loop"),
        section(TrainingSettings, given(epochs=epochs, device=device), "loop"),
    )

    from halion.records import to_record
    from halion.study import run_loop

    with Watcher() as watcher, stop_on_signal() as stop, labelling(labels, site, folder, stop) as where:
        done = run_loop(cells.study(name, where, *wanted), folder, observe=watcher, stop=stop)
    return Shown(record={"rounds": to_record(done)}, text=_text(done), as_json=as_json)


class _Cells:
    """What the options say of structures, read before any code is looked for."""

    def __init__(self, parents: list[Path], binaries: list[Path], mobile: tuple[str, ...]) -> None:
        from halion.labels import Frame

        self.parents = {path.stem: read_ordered(path) for path in parents}
        self.references = [Frame(atoms=read_ordered(path), group=path.stem) for path in binaries]
        self.mobile = mobile

    def study(
        self, name: str, labelling: tuple[Labeller, int], loop: LoopSettings, training: TrainingSettings
    ) -> LoopStudy:
        from halion.study import LoopStudy

        return LoopStudy(
            name=name,
            parents=self.parents,
            labeller=labelling[0],
            loop=loop,
            training=training,
            references=self.references,
            mobile=self.mobile,
            at_once=labelling[1],
        )


def _text(rounds: list[LoopRound]) -> list[str | Table]:
    lines: list[str | Table] = []
    for one in rounds:
        rows = tuple(
            (name, *(f"{old:.1f} -> {new:.1f}" for old, new in _pairs(*pair))) for name, pair in one.errors.items()
        )
        title = f"{one.temperature_k:g} K: {one.n_labels} labels, {one.n_failed} failed; {one.verdict}"
        headings = ("held out", "meV/atom, shifted", "meV/Angstrom", "MPa")
        lines.append(Table(headings=headings, rows=rows, title=title))
        lines += [f"lost: {trajectory}: {why.splitlines()[0]}" for trajectory, why in one.lost.items()]
    return [*lines, f"the current potential is {rounds[-1].model}"]


def _pairs(old: object, new: object) -> list[tuple[float, float]]:
    return [(getattr(old, key), getattr(new, key)) for key in ("energy_shifted_mae", "force_mae", "stress_mae")]
