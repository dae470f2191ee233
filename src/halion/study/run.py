"""A whole study: from the disordered crystal to the report, resumed wherever it stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from halion.crystal import DisorderedCrystal, load_crystal
from halion.dynamics import dynamics_cell
from halion.errors import HalionError, Interrupted, RunFolderError
from halion.files import read_json
from halion.orderings import load_orderings
from halion.progress import Stop, never
from halion.ranking import Ranking
from halion.records import from_record
from halion.report import Failure, StudyResults, write_report
from halion.settings import StudySettings
from halion.study import extension, motion, structures
from halion.study.caveats import caveats_of, known_change_k
from halion.study.context import Context, refusal_of
from halion.study.engine import EngineMaker, local_engine
from halion.study.inputs import crystal_of
from halion.study.observe import Observer, StatusBoard, unobserved
from halion.study.provenance import record_session
from halion.study.run_folder import RunFolder
from halion.study.step import Step
from halion.transport import summarise_runs

__all__ = ["collect_results", "report_study", "run_study"]


def run_study(
    settings: StudySettings,
    folder: Path | str,
    *,
    observe: Observer = unobserved,
    stop: Stop = never,
    engine: EngineMaker = local_engine,
) -> StudyResults:
    """Run a study, or go on with it: finished steps are read back, trajectories continue where they stopped.

    Args:
        settings: the resolved settings.
        folder: the run folder; created if absent.
        observe: told the progress of each stage.
        stop: asked about twice a second; True stops cleanly.
        engine: what relaxations and dynamics run on: processes of this machine, or `cluster_engine`.
    Returns:
        the results; the report lies in `folder/report/report.html`.
    Raises:
        RunFolderError: the folder is in use, belongs to another study, or has a newer schema.
        Interrupted: `stop` said so.
        HalionError: what the rooms raise.
    """
    began = time.time()
    run_folder = RunFolder(folder)
    crystal = crystal_of(settings)
    with run_folder.locked():
        run_folder.begin(settings)
        board = StatusBoard(run_folder, observe)
        context = Context(folder=run_folder, settings=settings, crystal=crystal, board=board, stop=stop)
        with _ending_told(board):
            potentials = _run_stages(context, engine)
            record_session(run_folder, settings, began=began, potentials=potentials)
            results = collect_results(run_folder)
            write_report(results, run_folder.path / "report")
    return results


@contextmanager
def _ending_told(board: StatusBoard) -> Iterator[None]:
    """Write into `status.json` how the run ended, whichever way it does."""
    board.write("running")
    try:
        yield
    except Interrupted as error:
        board.write("interrupted", error.what)
        raise
    except HalionError as error:
        board.write("failed", str(error))
        raise
    except BaseException as error:
        board.write("failed", repr(error))
        raise
    board.write("done")


def _run_stages(context: Context, make_engine: EngineMaker) -> dict[str, str]:
    with make_engine(context.settings.machine, context.folder.path) as engine:
        found = structures.orderings(context)
        relaxed = structures.relaxations(context, engine, found)
        table = structures.ranking(context, found, relaxed)
        moved = motion.dynamics(context, engine, table)
        motion.transport(context.folder, context.settings, moved, context.board.progress("transport"))
        extension.extend(context, engine, moved)
    return _potentials([*(step for _, step in relaxed), *moved.values()])


def _potentials(steps: list[Step]) -> dict[str, str]:
    values = [read_json(step.folder / "result.json").get("value", {}) for step in steps if step.is_done]
    return {value["potential"]["name"]: value["potential"]["weights_sha256"] for value in values if value}


def collect_results(folder: RunFolder) -> StudyResults:
    """The results that a run folder holds, complete or as far as they got (the ranking at least).

    Raises:
        RunFolderError: the folder holds no study, or one that has not got to its ranking.
    """
    settings = folder.settings()
    if not (folder.step_folder("4-ranking") / "result.json").exists():
        raise RunFolderError(
            "this study has not ranked its orderings yet; there is nothing to report",
            where=str(folder.path),
            fix=f"halion status {folder.path}   (shows how far it is), or type its halion run command again",
        )
    crystal = load_crystal(folder.crystal_source(), primitive=settings.orderings.primitive)
    found = load_orderings(folder.step_folder("1-orderings") / "orderings.h5")
    table = from_record(Ranking, Step(folder.step_folder("4-ranking"), {}).value())
    steps = motion.dynamics_steps(folder, settings, table)
    equilibrations = [motion.read_equilibration(step) for step in steps.values()]
    provenance = folder.path / "provenance.json"
    n_atoms = len(dynamics_cell(table.best.relaxation.atoms, settings.dynamics))
    return StudyResults(
        title=crystal.name,
        crystal=crystal,
        composition=found.composition,
        count=found.count,
        n_after_exclusions=found.n_orderings,
        excluded_below=found.excluded_below,
        ranking=table,
        equilibrations=tuple(one for one in equilibrations if one is not None),
        **_transport(folder, settings, crystal, {kelvin: step for kelvin, step in steps.items() if step.is_done}),
        failures=_failures(folder, settings, steps),
        settings=settings.model_dump(mode="json"),
        provenance=read_json(provenance) if provenance.exists() else {},
        caveats=caveats_of(settings, crystal, found.composition, n_atoms=n_atoms),
    )


def _transport(
    folder: RunFolder, settings: StudySettings, crystal: DisorderedCrystal, steps: dict[float, Step]
) -> dict[str, Any]:
    """What the productions give, as long as they are now: the fields of the results that come from them."""
    current = extension.latest(folder, settings, steps)
    runs = motion.transport(folder, settings, current)
    charge = crystal.charges[settings.transport.mobile_species]
    ratios = motion.haven(folder, settings, current)
    summary = summarise_runs(
        runs, settings.transport, charge=charge, haven=ratios, expected_change_k=known_change_k(crystal)
    )
    return {
        "runs": runs,
        "arrhenius": summary.arrhenius,
        "conductivity": summary.conductivity,
        "summary": summary if runs else None,
        "densities": motion.densities(folder, settings, current),
        "mechanisms": motion.mechanisms(folder, settings, current),
        "extension": extension.word_of_extension(folder, settings, steps),
    }


def _failures(folder: RunFolder, settings: StudySettings, steps: dict[float, Step]) -> tuple[Failure, ...]:
    named = [(f"relaxation of {step.name}", step) for _, step in structures.begun_relaxations(folder, settings)]
    named += [(f"dynamics at {temperature_k:g} K", step) for temperature_k, step in steps.items()]
    return tuple(
        Failure(step=name, message=text) for name, step in named if step.is_done and (text := refusal_of(step))
    )


def report_study(folder: Path | str) -> Path:
    """Write the report of a run folder again, from what it holds, finished or not.

    Raises:
        RunFolderError: no study, or one that has not got to its ranking.
    """
    run_folder = RunFolder(folder)
    return write_report(collect_results(run_folder), run_folder.path / "report")
