"""halion rank --validate: a ranking checked by an electronic-structure code, or by another potential."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.label_options import section
from halion.cli.options import given, new_file
from halion.cli.terminal import Shown, Table, Watcher, stop_on_signal
from halion.errors import InputError, SettingsError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from halion.labels import Labeller
    from halion.ranking import Ranking
    from halion.settings import OrderingSettings, RankingSettings
    from halion.study import CheckedOrdering, OrderComparison, RankingCheck

__all__ = [
    "Limits",
    "Static",
    "Validate",
    "ValidateSteps",
    "ValidateTop",
    "Validation",
    "ValidationCutoff",
    "asked",
]

Validate = Annotated[
    str | None,
    typer.Option(
        metavar="gpaw|vasp|espresso|POTENTIAL",
        help="Relax the best again with this code, and compare; the same command again goes on.",
    ),
]
Static = Annotated[bool, typer.Option("--static", help="With --validate: label, do not relax.")]
ValidateTop = Annotated[
    int | None, typer.Option("--validate-top", metavar="N", help="The best so many. (otherwise: as --top)", min=1)
]
ValidateSteps = Annotated[
    int | None, typer.Option("--validate-steps", metavar="N", help="Most steps of a relaxation by it.", min=1)
]
ValidationCutoff = Annotated[
    float | None,
    typer.Option("--cutoff", metavar="EV", help="Its plane-wave cutoff. (otherwise: 520, with --static 350)"),
]

_CODES = ("gpaw", "vasp", "espresso")
_ASKED, _RANKING = "asked.json", "ranking.json"


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of a validation; None: the default of its room."""

    cutoff_ev: float | None
    top: int
    steps: int | None
    force_tolerance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What --validate and the options beside it ask for."""

    code: str
    options: dict[str, Any]
    limits: Limits
    static: bool
    arrange: str | None

    def run(
        self,
        source: str,
        folder: Path | None,
        make: Callable[[Path], Shown],
        asked: dict[str, Any],
        *,
        as_json: bool,
    ) -> Shown:
        """Rank where there is no ranking yet, then check it; the code is looked for before anything is relaxed."""
        if self.arrange:
            raise SettingsError(
                "--validate checks a ranking of orderings, and --arrange goes on beyond it",
                fix="halion rank ... --validate without --arrange",
            )
        labeller = self._labeller()
        place = _ranked_folder(source, folder, make, asked)
        return self._check(place, labeller, as_json=as_json)

    def _labeller(self) -> Labeller:
        from halion.labels import labeller_of
        from halion.settings_learning import LabelSettings

        is_code = self.code in _CODES
        cutoff = "cutoff_ev" if self.static else "relaxation_cutoff_ev"
        values = given(
            **{cutoff: self.limits.cutoff_ev},
            code=self.code if is_code else "potential",
            potential=None if is_code else self.code,
        )
        return labeller_of(section(LabelSettings, self.options | values, "rank"))

    def _check(self, place: Path, labeller: Labeller, *, as_json: bool) -> Shown:
        from halion.labels import RelaxationLimits
        from halion.records import to_record
        from halion.study import CheckChoices, check_ranking, write_check

        limits = given(force_tolerance=self.limits.force_tolerance, max_steps=self.limits.steps)
        choices = CheckChoices(top=self.limits.top, relaxes=not self.static, limits=RelaxationLimits(**limits))
        folder = place / f"validation-{Path(self.code).name}"
        with Watcher() as watcher, stop_on_signal() as stop:
            found = check_ranking(
                _read(place), labeller, folder, choices, progress=watcher.stage("validation"), stop=stop
            )
        files = write_check(found, folder)
        record = to_record(found) | {"files": [str(path) for path in files]}
        return Shown(record=record, text=_text(found, folder), as_json=as_json)


def asked(source: str, ranking: RankingSettings, orderings: OrderingSettings) -> dict[str, Any]:
    """What a ranking was asked for, to know it again: the source, a file's content too, and the settings."""
    from halion.files import file_sha256

    def plain(one: BaseModel) -> dict[str, Any]:
        return one.model_dump(mode="json")

    content = file_sha256(source) if Path(source).is_file() else ""
    return {"source": source, "content": content, "ranking": plain(ranking), "orderings": plain(orderings)}


def _ranked_folder(source: str, folder: Path | None, make: Callable[[Path], Shown], asked: dict[str, Any]) -> Path:
    """The folder of the ranking: the source itself, one that the same command made, or a new one."""
    from halion.files import read_json, write_json

    if Path(source).is_dir():
        return Path(source)
    if folder is None:
        raise SettingsError(
            "--validate needs a folder: labels take hours, and are kept there",
            fix="halion rank ... --validate gpaw --folder ranked",
        )
    if (folder / _RANKING).exists():
        if (folder / _ASKED).exists() and read_json(folder / _ASKED) == asked:
            return folder
        raise InputError(
            "this folder holds a ranking that was asked for otherwise",
            where=str(folder),
            fix=f"halion rank {folder} --validate ...   (checks that one), or choose another --folder",
        )
    make(new_file(folder))
    write_json(folder / _ASKED, asked)
    return folder


def _read(folder: Path) -> Ranking:
    from halion.files import read_json
    from halion.ranking import Ranking
    from halion.records import from_record

    if not (folder / _RANKING).exists():
        raise InputError(
            f"this folder holds no ranking ({_RANKING})",
            where=str(folder),
            fix="halion rank CRYSTAL --folder FOLDER   (writes one)",
        )
    return from_record(Ranking, read_json(folder / _RANKING))


def _text(check: RankingCheck, folder: Path) -> list[str | Table]:
    headings = ("rank", "by code", "ordering", "meV/atom", "by code", "volume", "moved A", "space group", "")
    how = "relaxed" if check.is_relaxed else "labelled"
    known = [row for row in check.rows if not row.failure]
    text: list[str | Table] = [
        f"{len(known)} of {len(check.rows)} orderings ranked with {check.potential}, {how} with {check.method}",
        Table(headings=headings, rows=tuple(_row(row) for row in known)),
        *_correlations(check.order),
    ]
    if check.start_order:
        text.append(f"without relaxation by the code: Spearman {check.start_order.spearman:.2f}")
    text += [f"failed: {row.failure}" for row in check.rows if row.failure]
    return [*text, check.order.verdict, f"written to {folder}"]


def _correlations(order: OrderComparison) -> list[str]:
    interval = ""
    if math.isfinite(order.spearman_low):
        interval = f" (95 %: {order.spearman_low:.2f} to {order.spearman_high:.2f})"
    best = "The best is the same."
    if not order.is_best_same:
        best = (
            f"The potential's best is number {order.best_rank} by the code, "
            f"{1000 * order.best_above:.2f} meV/atom above its best."
        )
    return [
        f"Spearman {order.spearman:.2f}{interval}, Kendall {order.kendall:.2f} (p = {order.kendall_p:.2g}), mean "
        f"absolute error of the relative energies {1000 * order.mean_absolute_error:.2f} meV/atom",
        best,
    ]


def _row(row: CheckedOrdering) -> tuple[str, ...]:
    is_relaxed = bool(row.space_group_after)
    groups = dict.fromkeys((row.space_group_before, row.space_group_after))
    remarks = [*(["left its structure"] if row.is_transformed else []), row.coordination_change]
    if not is_relaxed:
        remarks = [f"force {row.start_force:.2f} eV/A, {row.start_pressure_gpa:+.2f} GPa"]
    return (
        str(row.rank),
        str(row.code_rank),
        str(row.ordering),
        f"{1000 * row.potential_above_best:.2f}",
        f"{1000 * row.above_best:.2f}",
        f"{100 * row.volume_change:+.1f} %" if is_relaxed else "",
        f"{row.max_displacement:.2f}" if is_relaxed else "",
        " -> ".join(groups) if is_relaxed else "",
        "; ".join(filter(None, remarks)),
    )
