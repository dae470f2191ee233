"""Where the mobile ions were: the picture of their density, and its files beside the page."""

from __future__ import annotations

import base64
import html
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from halion.arrays import FloatArray
from halion.report.figure import GREEN, ORANGE, PURPLE, SKY, VERMILION
from halion.report.text import fixed
from halion.report.types import StudyResults
from halion.transport.density import IonDensity, write_chgcar, write_cube

__all__ = ["density_block", "density_record", "shown_density", "write_densities"]

# Surfaces that hold these parts of the ions: where they mostly are, and all that they pass through.
_HELD = (0.5, 0.9)
_LEVELS = 255
# An opaque surface is drawn first, so that the pale one does not hide it.
_LOOKS = ((1.0, VERMILION), (0.4, ORANGE))


def shown_density(results: StudyResults) -> IonDensity | None:
    """That of the hottest run that diffused in its framework; of the hottest run where none did."""
    pairs = list(zip(results.runs, results.densities, strict=False))
    moved = [pair for pair in pairs if pair[0].is_diffusive]
    return max(moved or pairs, key=lambda pair: pair[0].temperature_k)[1] if pairs else None


def surface_level(values: FloatArray, share: float) -> float:
    """The density above which so large a part of the ions lies."""
    ordered = np.sort(values, axis=None)[::-1]
    part = np.cumsum(ordered) / ordered.sum()
    return float(ordered[int(np.searchsorted(part, share))])


def density_record(results: StudyResults) -> dict[str, Any] | None:
    """Plain values for the page's script: framework, cell, and the density as one byte per grid point.

    Lengths in Angstrom, centred on the cell's middle; the byte 255 is the largest density.
    """
    density = shown_density(results)
    if density is None:
        return None
    cell, middle = density.cell, density.cell.sum(axis=0) / 2
    largest = float(density.values.max())
    grid = np.rint(_LEVELS * density.values / largest).astype(np.uint8)
    charges = results.crystal.charges
    elements = sorted(set(density.framework_symbols))
    anions = [element for element in elements if charges.get(element, 0.0) < 0]
    colours = {
        element: GREEN if element in anions[:1] else PURPLE if element in anions else SKY for element in elements
    }
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    return {
        "atoms": [
            {"element": symbol, "position": _rounded(place @ cell - middle)}
            for symbol, place in zip(density.framework_symbols, density.framework_fractional, strict=True)
        ],
        "edges": [
            [_rounded(a @ cell - middle), _rounded(b @ cell - middle)]
            for a, b in itertools.combinations(corners, 2)
            if np.abs(a - b).sum() == 1
        ],
        "axes": [_rounded(axis) for axis in cell],
        "origin": _rounded(-middle),
        "colours": colours,
        "radii": {element: 0.45 if element in anions else 0.35 for element in elements},
        "shape": list(grid.shape),
        "grid": base64.b64encode(grid.tobytes()).decode(),
        "surfaces": [
            {
                "level": round(_LEVELS * surface_level(density.values, share) / largest, 3),
                "opacity": opacity,
                "colour": c,
            }
            for share, (opacity, c) in zip(_HELD, _LOOKS, strict=True)
        ],
    }


def _rounded(vector: FloatArray) -> list[float]:
    return [round(float(value), 3) for value in vector]


def density_block(results: StudyResults) -> str:
    """The 3-D view of the density; nothing where no run has ended."""
    density = shown_density(results)
    if density is None:
        return ""
    species = html.escape(density.species)
    buttons = "".join(
        f'<button type="button" data-density-view="{k}">along {name}</button>' for k, name in enumerate("abc")
    )
    return f"""<h3>Where {species} was, at {fixed(density.temperature_k, 0)} K</h3>
<div class="structure"><div class="tools">{buttons}</div>
<div id="density-viewer" class="viewer"></div>
<p id="density-message" role="status"></p></div>
<p class="caption">The dark surface holds half of the {species} density, the pale one 90 %: sites, and the paths
between them. Framework atoms at their mean positions. The densities of all runs lie in <code>density/</code> beside
the report, as Gaussian cube and CHGCAR files.</p>"""


def write_densities(results: StudyResults, folder: Path) -> None:
    """Each run's density as cube and CHGCAR."""
    for run, density in zip(results.runs, results.densities, strict=False):
        name = f"{density.species}-{run.target_temperature_k:g}K"
        write_cube(density, folder / f"{name}.cube")
        write_chgcar(density, folder / f"{name}.CHGCAR")
