"""Write the report: one offline page, and beside it figures, tables, results, citations and the study file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from halion.files import write_json, write_text
from halion.records import to_record
from halion.report.citations import bibtex, citations_for
from halion.report.density import density_record, write_densities
from halion.report.draw_matplotlib import figure_svg
from halion.report.figure import figure_csv
from halion.report.figures import figures_of
from halion.report.method import study_yaml
from halion.report.page import Material, page_html
from halion.report.scene import scene_of, scene_record, scene_svg
from halion.report.sections import answer_section, page_top, trust_section
from halion.report.sections_end import (
    arrhenius_section,
    comparison_section,
    method_section,
    motion_section,
    provenance_section,
)
from halion.report.sections_structure import (
    crystal_section,
    orderings_section,
    structure_section,
    volume_section,
)
from halion.report.table import table_csv
from halion.report.tables import tables_of
from halion.report.types import StudyResults

__all__ = ["write_report"]


def write_report(results: StudyResults, folder: Path) -> Path:
    """Write the report of a study, complete or as far as it got.

    Args:
        results: of the study.
        folder: created if absent; files of an earlier report are replaced.
    Returns:
        `folder/report.html`, one file that needs nothing beside it and no network. Beside it lie
        `figures/*.svg`, `tables/*.csv` (each figure's data as `figure-*.csv`), `results.json`, `citations.bib`
        and `study.yaml`, and `density/` with each run's density of mobile ions. The page is written last.
    Raises:
        DiskFull: the disk is full; each file is whole or as it was.

    Checked by tests/report/: every number appears, nothing is loaded from outside, hostile texts are inert.
    """
    folder = Path(folder)
    figures, scene = figures_of(results), scene_of(results)
    pictures = {figure.name: figure_svg(figure) for figure in figures}
    still = scene_svg(scene)
    material = Material(
        figures={figure.name: figure for figure in figures}, pictures=pictures, tables=tables_of(results)
    )
    for name, picture in (*pictures.items(), ("structure", still)):
        write_text(folder / "figures" / f"{name}.svg", picture)
    for figure in figures:
        write_text(folder / "tables" / f"figure-{figure.name}.csv", figure_csv(figure))
    for table in material.tables.values():
        write_text(folder / "tables" / f"{table.name}.csv", table_csv(table))
    write_json(folder / "results.json", to_record(replace(results, densities=())))
    write_densities(results, folder / "density")
    write_text(folder / "citations.bib", bibtex(citations_for(results)))
    if results.settings:
        write_text(folder / "study.yaml", study_yaml(results))
    sections = (
        answer_section(results),
        trust_section(results, material),
        crystal_section(results, material),
        orderings_section(results, material),
        volume_section(results, material),
        motion_section(results, material),
        arrhenius_section(results, material),
        comparison_section(results, material),
        structure_section(scene, still),
        method_section(results),
        provenance_section(results),
    )
    views = {"scene": scene_record(scene), "density": density_record(results)}
    page = page_html(f"{results.title} · halion report", sections, page_top(results), figures, views)
    return write_text(folder / "report.html", page)
