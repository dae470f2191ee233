"""Sections on structure: the crystal, its orderings, volumes, and the 3-D view."""

from __future__ import annotations

import html

from halion.orderings.types import supercell_name
from halion.report.page import Material, Section, figure_block, paragraphs, table_block
from halion.report.scene import Scene
from halion.report.text import fixed, short
from halion.report.types import StudyResults

__all__ = ["crystal_section", "orderings_section", "structure_section", "volume_section"]


def crystal_section(results: StudyResults, material: Material) -> Section:
    """The refined crystal: cell, orbits, charges, and every repair or assumption."""
    crystal = results.crystal
    facts = _facts(
        ("Space group", f"{crystal.space_group} (No. {crystal.space_group_number})"),
        ("Contents of the cell", crystal.formula),
        (
            "Volume",
            f"{fixed(crystal.volume, 2, 'Å³')}, {fixed(crystal.volume / crystal.n_atoms, 3, 'Å³ per atom')}",
        ),
        ("Cell", _cell_text(results)),
        ("Formal charges", _charges(results)),
        ("Source", crystal.source),
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in crystal.notes)
    close = "".join(
        f"<li>Sites {_labels(results, pair.orbits[0])} and {_labels(results, pair.orbits[1])} "
        f"come within {fixed(pair.distance, 2)} Å; their occupancies sum to {fixed(pair.occupancy_sum, 3)}.</li>"
        for pair in crystal.close_pairs
    )
    remarks = (
        f'<h3>Repairs, assumptions, caveats</h3><ul class="notes">{notes}{close}</ul>' if notes + close else ""
    )
    body = (
        facts
        + table_block(material, "orbits", "Sites as refined; errors of the occupancies are not carried.")
        + remarks
    )
    return Section(anchor="crystal", name="Crystal", heading="The refined crystal", body=body)


def _labels(results: StudyResults, orbit: int) -> str:
    return html.escape(", ".join(results.crystal.orbits[orbit].labels))


def _charges(results: StudyResults) -> str:
    charges = ", ".join(f"{element} {charge:+g} e" for element, charge in results.crystal.charges.items())
    return f"{charges} ({results.crystal.charge_origin})".replace("-", "−")


def _cell_text(results: StudyResults) -> str:
    # ASE's cell parameters: lengths in Angstrom, angles in degrees.
    from ase.cell import Cell

    a, b, c, alpha, beta, gamma = Cell(results.crystal.cell).cellpar()
    return f"{a:.4f} × {b:.4f} × {c:.4f} Å; {alpha:.2f}°, {beta:.2f}°, {gamma:.2f}°"


def orderings_section(results: StudyResults, material: Material) -> Section:
    """Funnel from all orderings to the different relaxed ones, composition, ranked table."""
    composition, ranking = results.composition, results.ranking
    others = "composition lies" if composition.ties == 1 else "compositions lie"
    ties = f" {composition.ties} other neutral {others} equally near." if composition.ties else ""
    cell = supercell_name(composition.supercell).replace("x", "×")
    text = (
        f"Supercell {cell}: {composition.formula}, {composition.n_atoms} atoms, "
        f"charge {fixed(composition.charge, 2)} e; "
        f"largest deviation from a refined occupancy {fixed(composition.deviation, 3)}.{ties}"
    )
    body = "\n".join(
        (
            _funnel(results),
            paragraphs(text),
            table_block(material, "composition", "Whole atoms per site, beside the refinement."),
            '<div class="grid">' + figure_block(material, "ranking") + _best(results) + "</div>",
            table_block(
                material,
                "ranking",
                f"Ranked by {ranking.potential}; click a header to sort. Energies are the potential's, without "
                "errors; force and displacement are the largest of the relaxation.",
            ),
            _worth(results, material),
        )
    )
    return Section(anchor="orderings", name="Orderings", heading="From disorder to one ordering", body=body)


def _worth(results: StudyResults, material: Material) -> str:
    """What the choice by electrostatic energy missed, and what the relaxed orderings say of the refinement."""
    ranking = results.ranking
    texts = [*ranking.notes, *([ranking.quality.note] if ranking.quality else [])]
    if ranking.back_check:
        texts.append(ranking.back_check.note)
    if not texts:
        return ""
    occupancies = table_block(
        material, "occupancies", "Occupancies of the relaxed orderings beside the refinement; no errors are known."
    )
    return "<h3>What this ranking is worth</h3>" + paragraphs(*texts) + occupancies


def _funnel(results: StudyResults) -> str:
    below = (
        f"no cations closer than {results.excluded_below:g} Å" if results.excluded_below > 0 else "no exclusions"
    )
    steps = (
        (results.count.total, "orderings", "at this composition"),
        (results.count.distinct, "distinct", f"under {results.count.group_order} symmetry operations"),
        (results.n_after_exclusions, "possible", below),
        (results.ranking.n_relaxed, "relaxed", _choice(results)),
        (len(results.ranking.rows), "different", "after duplicates were merged"),
    )
    items = "".join(
        f'<li><span class="amount">{_grouped(amount)}</span><b>{html.escape(name)}</b>'
        f"<small>{html.escape(why)}</small></li>"
        for amount, name, why in steps
    )
    return f'<ol class="funnel">{items}</ol>'


def _choice(results: StudyResults) -> str:
    quality = results.ranking.quality
    n_control = quality.n_control if quality else 0
    return "lowest in electrostatic energy" + (f", and {n_control} at random" if n_control else "")


def _grouped(amount: int) -> str:
    """Digits in groups of three; beyond a billion three digits and a power of ten are enough to read."""
    # Space that does not break, as the SI brochure groups digits.
    return f"{amount:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if amount < 10**9 else short(float(amount), 3)


def _best(results: StudyResults) -> str:
    best = results.ranking.best
    relaxed = best.relaxation
    facts = _facts(
        ("Ordering", f"{best.ordering}, multiplicity {best.multiplicity}"),
        ("Energy", f"{fixed(relaxed.energy, 4)} eV/atom ({results.ranking.potential}, no error known)"),
        ("Space group", f"{relaxed.space_group_before} → {relaxed.space_group_after}"),
        ("Relaxation", _relaxation(results)),
        ("Volume change", f"{fixed(100 * relaxed.volume_change, 1)} %"),
        ("Weight", f"{fixed(100 * best.boltzmann_weight, 1)} % at {results.ranking.temperature_k:g} K"),
    )
    return f'<div class="card"><h3>Taken into the dynamics</h3>{facts}</div>'


def _relaxation(results: StudyResults) -> str:
    relaxed = results.ranking.best.relaxation
    state = "converged" if relaxed.is_converged else "NOT converged"
    return f"{state} after {relaxed.n_steps} steps, largest force {fixed(relaxed.max_force, 4)} eV/Å"


def volume_section(results: StudyResults, material: Material) -> Section:
    """Volume against temperature beside the study's and experimental points."""
    parts = [
        figure_block(material, "volume"),
        table_block(material, "volumes", "Mean cells that production ran in; ± is the error of the mean."),
    ]
    if not results.equilibrations:
        parts.insert(0, paragraphs("No temperature has been equilibrated yet."))
    return Section(anchor="volume", name="Volume", heading="Volume and temperature", body="\n".join(parts))


def structure_section(scene: Scene, picture: str) -> Section:
    """The 3-D view, with a still picture for print and for browsers without WebGL."""
    legend = " ".join(
        f'<span><i style="background:{scene.colours[element]}"></i>{html.escape(element)} ({n})</span>'
        for element, n in scene.counts.items()
    )
    buttons = "".join(
        f'<button type="button" data-view="{k}">along {name}</button>' for k, name in enumerate("abc")
    )
    body = f"""<div class="structure">
<div class="tools">{buttons}<button type="button" data-view="polyhedra" aria-pressed="true">polyhedra</button></div>
<div id="viewer"></div>
<p id="viewer-message" role="status"></p>
<div class="still-structure">{picture}</div>
<p class="legend">{legend}</p>
</div>
<p class="caption">The ordering lowest in energy, relaxed. Drag to turn, scroll to zoom.
Atoms on a face are repeated on the opposite one; polyhedra are shown whole.</p>"""
    return Section(anchor="structure", name="Structure", heading="The structure", body=body)


def _facts(*pairs: tuple[str, str]) -> str:
    items = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in pairs)
    return f'<dl class="facts">{items}</dl>'
