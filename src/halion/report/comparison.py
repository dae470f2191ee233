"""Many studies beside each other: one page with a table to sort, an overlay of their lines, and what differs."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from halion.files import write_json, write_text
from halion.report.draw_matplotlib import figure_svg
from halion.report.figure import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, Axis, Figure, Series, figure_csv
from halion.report.page import Material, Section, figure_block, page_html, paragraphs, table_block
from halion.report.table import Cell, Table, number, table_csv, word
from halion.report.text import between, short
from halion.report.types import StudyResults
from halion.transport import RunTransport
from halion.units import BOLTZMANN_EV_PER_K, diffusivity_to_cm2_per_s

__all__ = ["ComparedStudy", "comparison_text", "differing_settings", "write_comparison"]

_COLOURS = (VERMILION, BLUE, GREEN, PURPLE, ORANGE, SKY, INK)
# What a study is about, and what changes no result: neither is a difference of method.
_NO_METHOD = ("crystal", "machine", "preset", "dynamics.seed", "ranking.seed", "orderings.seed", "extension")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedStudy:
    """One study of a comparison.

    Attributes:
        name: of its row, unlike all others.
        folder: of the run.
        results: as far as it got; None where there is nothing to show.
        state: "done", "interrupted", "running", or why it cannot be read.
    """

    name: str
    folder: str
    results: StudyResults | None
    state: str


def write_comparison(studies: Sequence[ComparedStudy], folder: Path | str) -> Path:
    """Write the page of a comparison.

    Args:
        studies: in the order of the rows; each gets one, whatever became of it.
        folder: created if absent; files of an earlier comparison are replaced.
    Returns:
        `folder/comparison.html`, one file that needs no network. Beside it `comparison.csv`, `comparison.json`,
        `arrhenius.svg` and `arrhenius.csv`.
    Raises:
        DiskFull: each file is whole or as it was.
    Checked by tests/report/test_report_comparison.py.
    """
    folder = Path(folder)
    table, drawn = comparison_table(studies), arrhenius_overlay(studies)
    material = Material(
        figures={drawn.name: drawn}, pictures={drawn.name: figure_svg(drawn)}, tables={table.name: table}
    )
    write_text(folder / "comparison.csv", table_csv(table))
    write_text(folder / "arrhenius.svg", material.pictures[drawn.name])
    write_text(folder / "arrhenius.csv", figure_csv(drawn))
    differing = differing_settings(studies)
    record = [
        {column: _plain(cell.value) for column, cell in zip(table.columns, row, strict=True)} for row in table.rows
    ]
    write_json(folder / "comparison.json", {"studies": record, "differing_settings": differing})
    sections = (
        Section(
            anchor="studies",
            name="Studies",
            heading="Side by side",
            body=table_block(material, table.name, "A click, or Enter, on a heading sorts. Intervals: 68 %.")
            + _links(studies, folder),
        ),
        Section(anchor="lines", name="Lines", heading="Diffusivity", body=figure_block(material, drawn.name)),
        Section(
            anchor="method",
            name="Method",
            heading="What differs in the method",
            body=paragraphs(*_told(differing)),
        ),
    )
    top = f"<header><h1>{len(studies)} studies</h1></header>"
    return write_text(
        folder / "comparison.html", page_html("Studies compared · halion", sections, top, (drawn,), {})
    )


def comparison_table(studies: Sequence[ComparedStudy]) -> Table:
    """One row per study; studies without results have empty cells and their reason."""
    columns = (
        "study",
        "state",
        "material",
        "σ (mS/cm)",
        "σ low (mS/cm)",
        "σ high (mS/cm)",
        "σ upper bound (mS/cm)",
        "at (K)",
        "Ea (eV)",
        "Ea error (eV)",
        "D0 (cm²/s)",
        "diffusive runs",
        "potential",
        "atoms",
        "temperatures (K)",
        "time each (ps)",
        "pressure (GPa)",
        "volume (Å³/atom)",
        "compute (h)",
        "halion",
    )
    rows = tuple(_row(study) for study in studies)
    return Table(name="comparison", columns=columns, rows=rows, is_sortable=True)


def _row(study: ComparedStudy) -> tuple[Cell, ...]:
    found = study.results
    if found is None:
        return (word(study.name), word(study.state), *(word("") for _ in range(18)))
    dynamics = found.settings["dynamics"]
    volumes = [one.volume_per_atom for one in found.equilibrations]
    n_atoms = len(found.equilibrations[0].atoms) if found.equilibrations else 0
    moved = sum(run.is_diffusive for run in found.runs)
    temperatures = " ".join(f"{one:g}" for one in dynamics["temperatures_k"])
    lengths = [run.length_ps for run in found.runs]
    hours = sum(one.get("wall_s", 0.0) for one in found.provenance.get("sessions", ())) / 3600
    return (
        word(study.name),
        word(study.state),
        word(found.title),
        *_answer(found),
        number(moved, f"{moved} of {len(found.runs)}"),
        word(str(dynamics["potential"])),
        number(n_atoms, str(n_atoms) if n_atoms else ""),
        word(temperatures),
        _number(min(lengths, default=math.nan), ".0f"),
        _number(float(dynamics["pressure_gpa"]), "g"),
        _number(float(np.mean(volumes)) if volumes else math.nan, ".2f"),
        number(hours, f"{hours:.1f}"),
        word(str(found.provenance.get("halion", ""))),
    )


def _answer(found: StudyResults) -> tuple[Cell, ...]:
    """Conductivity with its interval, its bound, its temperature; activation energy with its error; prefactor."""
    sigma, line = found.conductivity, found.arrhenius
    cells = [_number(math.nan)] * 8
    if sigma is not None:
        values = (
            sigma.conductivity_ms_per_cm,
            sigma.low_ms_per_cm,
            sigma.high_ms_per_cm,
            sigma.upper_bound_ms_per_cm,
        )
        cells[:5] = [*map(_number, values), _number(sigma.temperature_k, "g")]
    if line is not None:
        cells[5] = _number(line.activation_energy, ".2f")
        cells[6] = _number(line.activation_energy_std, ".2f")
        cells[7] = _number(diffusivity_to_cm2_per_s(math.exp(line.ln_prefactor)))
    return tuple(cells)


def _number(value: float, form: str = "") -> Cell:
    if not math.isfinite(value):
        return number(value, "")
    return number(value, f"{value:{form}}" if form else short(value, 2))


def arrhenius_overlay(studies: Sequence[ComparedStudy]) -> Figure:
    """Diffusive runs of all studies, and the line of each."""
    return Figure(
        name="arrhenius",
        title="Diffusivity against temperature",
        caption="Points: diffusive runs, with one standard deviation. Lines: the fit of each study, which may rest "
        "on upper bounds too.",
        x=Axis(title="1000 / T", unit="1/K"),
        y=Axis(title="D", unit="cm²/s", is_log=True),
        series=tuple(_lines(studies)),
    )


def _lines(studies: Sequence[ComparedStudy]) -> Iterator[Series]:
    shown = [study for study in studies if study.results is not None and study.results.runs]
    for study, colour in zip(shown, cycle(_COLOURS)):
        assert study.results is not None
        runs = [run for run in study.results.runs if run.is_diffusive]
        yield _points(study.name, runs, colour)
        line = study.results.arrhenius
        if line is None:
            continue
        kelvin = np.array([run.temperature_k for run in study.results.runs])
        ends = np.array([kelvin.min(), kelvin.max()])
        values = np.exp(line.ln_prefactor - line.activation_energy / (BOLTZMANN_EV_PER_K * ends))
        yield Series(
            label=study.name,
            x=1000 / ends,
            y=diffusivity_to_cm2_per_s(values),
            style="line",
            colour=colour,
        )


def _points(name: str, runs: Sequence[RunTransport], colour: str) -> Series:
    value = np.array([run.diffusivity for run in runs], dtype=float)
    error = np.array([run.diffusivity_std for run in runs], dtype=float)
    return Series(
        label=name,
        x=np.array([1000 / run.temperature_k for run in runs], dtype=float),
        y=diffusivity_to_cm2_per_s(value),
        y_low=diffusivity_to_cm2_per_s(np.maximum(value - error, 0.05 * value)),
        y_high=diffusivity_to_cm2_per_s(value + error),
        style="points",
        colour=colour,
    )


def differing_settings(studies: Sequence[ComparedStudy]) -> dict[str, list[str]]:
    """Setting -> its values, where the studies' methods are not the same; weights of the potentials among them."""
    found: dict[str, dict[str, None]] = {}
    with_results = [study.results for study in studies if study.results is not None]
    for results in with_results:
        flat = dict(_flat(results.settings)) | {
            f"weights of {name}": digest[:12]
            for name, digest in results.provenance.get("potentials_sha256", {}).items()
        }
        for key, value in flat.items():
            found.setdefault(key, {})[str(value)] = None
    return {key: list(values) for key, values in sorted(found.items()) if len(values) > 1}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if any(name == one or name.startswith(f"{one}.") for one in _NO_METHOD):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _told(differing: Mapping[str, Sequence[str]]) -> list[str]:
    if not differing:
        return ["All studies were made by one method: the same potential, protocol and analysis."]
    head = "These rows were not made by one method, and what differs between them may be that:"
    return [head, *(f"{key}: {'; '.join(values)}" for key, values in differing.items())]


def _links(studies: Sequence[ComparedStudy], folder: Path) -> str:
    pages = [(study.name, Path(study.folder).resolve() / "report" / "report.html") for study in studies]
    links = [
        f'<a href="{html.escape(page.as_uri())}">{html.escape(name)}</a>' for name, page in pages if page.exists()
    ]
    return f"<p>Reports: {', '.join(links)}.</p>" if links else ""


def _plain(value: float | int | str) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def comparison_text(studies: Sequence[ComparedStudy]) -> str:
    """The table for a terminal, a line per study."""
    lines = []
    width = max((len(study.name) for study in studies), default=0)
    for study in studies:
        sigma = study.results.conductivity if study.results else None
        if sigma is None:
            said = study.state if study.results is None else f"no value yet ({study.state})"
        elif math.isfinite(sigma.conductivity_ms_per_cm):
            spread = between(sigma.low_ms_per_cm, sigma.high_ms_per_cm)
            said = f"σ({sigma.temperature_k:g} K) = {short(sigma.conductivity_ms_per_cm, 2)} mS/cm (68 %: {spread})"
        else:
            said = f"σ({sigma.temperature_k:g} K) < {short(sigma.upper_bound_ms_per_cm, 2)} mS/cm"
        lines.append(f"{study.name:{width}}  {said}")
    differing = differing_settings(studies)
    if differing:
        lines.append(f"not one method: they differ in {', '.join(differing)}")
    return "\n".join(lines)
