"""halion cite: the literature behind what was computed, as BibTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from halion.cli.options import AsJson
from halion.cli.study_options import StudyOverrides, study_settings
from halion.cli.terminal import Shown

if TYPE_CHECKING:
    from halion.report import Citation

__all__ = ["command"]


def command(
    source: Annotated[
        str | None,
        typer.Argument(metavar="STUDY", help="A run folder or a study file; not given: everything halion can use."),
    ] = None,
    as_json: AsJson = False,
) -> Shown:
    """Print BibTeX of the methods and data used."""
    from halion.report import bibtex, citations_for

    used = citations_for(study_settings(source, StudyOverrides())) if source else _all()
    entries = [{"key": one.key, "reason": one.reason, "text": one.text, "bibtex": one.bibtex} for one in used]
    return Shown(record={"citations": entries}, text=[bibtex(used)], as_json=as_json)


def _all() -> tuple[Citation, ...]:
    """What any of the built-in materials with any of the known potentials would cite, each once."""
    from halion.crystal import builtin_names
    from halion.potentials import KNOWN_POTENTIALS
    from halion.report import citations_for

    cited = {
        one.key: one
        for crystal in builtin_names()
        for potential in (*KNOWN_POTENTIALS, "chgnet+d3-reference")
        for one in citations_for(study_settings(crystal, StudyOverrides(potential=potential)))
    }
    return tuple(cited.values())
