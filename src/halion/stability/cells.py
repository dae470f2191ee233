"""Structure over x: volume and cell of each phase in one setting, and their deviation from Vegard's law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.geometry import cell_to_cellpar

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError
from halion.stability.types import PhasePoint, SeriesEnergies

__all__ = ["CellPoint", "StructureOverX", "structure_over_x"]

# One crystal over x: lengths differ by the size of the elements (Cl to Br: 7 %), angles by a few degrees.
_MOST_LENGTH_RATIO, _MOST_ANGLE = 1.25, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPoint:
    """One relaxed cell.

    Attributes:
        phase, x: which point.
        volume: Angstrom^3/atom.
        lengths: (3,) a, b, c in the phase's setting, Angstrom; NaN where the cell is not known in it.
        angles: (3,) alpha, beta, gamma, degrees.
        volume_vegard: volume above the line between the phase's ends, Angstrom^3/atom; NaN without both.
        lengths_vegard: (3,) the same of the lengths, Angstrom.
        left_out: why it is no point of its phase's curve.
    """

    phase: str
    x: float
    volume: float
    lengths: FloatArray
    angles: FloatArray
    volume_vegard: float
    lengths_vegard: FloatArray
    left_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureOverX:
    """Cells of all phases over x.

    Attributes:
        points: by phase and x.
        settings: phase -> (3, 3) whole numbers: rows of the setting in vectors of the parent's ordered cell.
    """

    points: tuple[CellPoint, ...]
    settings: dict[str, IntArray]


def structure_over_x(series: SeriesEnergies, settings: dict[str, IntArray] | None = None) -> StructureOverX:
    """Volume per atom, cell parameters, and what they lie above the straight line between the ends (Vegard).

    Supercells differ with x, so each cell is taken back to the parent's ordered cell that it is made of, S^-1 C for
    the supercell S of `halion series`, and from there to one setting for all x: the same whole-number matrix at
    every x, so that no reduction swaps axes from one x to the next.

    Args:
        series: with `atoms`, and `parent_cell` where lengths are asked for.
        settings: phase -> matrix from the parent's ordered cell to the setting wanted; without one, the ordered
            cell itself.
    Raises:
        InputError: a setting of no phase or that is singular, or cells of one phase that are no one crystal in one
            setting.

    Source: Vegard, Z. Phys. 5, 17 (1921). Checked by tests/stability/test_stability_cells.py: supercells in any
    shape and turn, linear cells without deviation.
    """
    settings = settings or {}
    unknown = set(settings) - set(series.phases)
    if unknown:
        raise InputError(
            f"a setting is given for {', '.join(sorted(unknown))}, which is no phase of the series",
            fix=f"the phases are {', '.join(series.phases)}",
        )
    taken = {phase: _matrix(settings.get(phase), phase) for phase in series.phases}
    points: list[CellPoint] = []
    for phase in series.phases:
        members = [point for point in series.points if point.phase == phase and point.atoms is not None]
        cells = {id(point): _parameters(point, taken[phase]) for point in members}
        _check_one_crystal(phase, [p for p in members if not p.left_out], cells)
        ends = _ends(series, phase, cells)
        points += [_cell_point(series, point, cells[id(point)], ends) for point in members]
    return StructureOverX(points=tuple(points), settings=taken)


def _matrix(given: IntArray | None, phase: str) -> IntArray:
    matrix = np.eye(3, dtype=np.int64) if given is None else np.asarray(given)
    if matrix.shape != (3, 3) or abs(np.linalg.det(matrix)) < 1e-9:
        raise InputError(
            f"the setting of {phase} is no invertible 3 x 3 matrix", fix="give three rows of three whole numbers"
        )
    return matrix


def _parameters(point: PhasePoint, matrix: IntArray) -> FloatArray:
    """(7,) volume per atom, a, b, c, alpha, beta, gamma."""
    volume = point.atoms.get_volume() / len(point.atoms)
    if point.parent_cell is None:
        return np.array([volume, *[np.nan] * 6])
    return np.array([volume, *cell_to_cellpar(matrix @ point.parent_cell)])


def _ends(series: SeriesEnergies, phase: str, cells: dict[int, FloatArray]) -> FloatArray | None:
    """(2, 7) parameters of both ends; None where one is missing."""
    found = []
    for x in (0.0, series.most):
        at = [p for p in series.curve(phase) if np.isclose(p.x, x, atol=1e-9) and id(p) in cells]
        if not at:
            return None
        found.append(cells[id(at[0])])
    return np.stack(found)


def _cell_point(series: SeriesEnergies, point: PhasePoint, cell: FloatArray, ends: FloatArray | None) -> CellPoint:
    share = point.x / series.most
    above = np.full(7, np.nan) if ends is None else cell - (1 - share) * ends[0] - share * ends[1]
    return CellPoint(
        phase=point.phase,
        x=point.x,
        volume=float(cell[0]),
        lengths=cell[1:4],
        angles=cell[4:],
        volume_vegard=float(above[0]),
        lengths_vegard=above[1:4],
        left_out=point.left_out,
    )


def _check_one_crystal(phase: str, points: list[PhasePoint], cells: dict[int, FloatArray]) -> None:
    known = np.array([cells[id(p)][1:] for p in points if p.parent_cell is not None])
    if len(known) < 2:
        return
    ratio = known[:, :3].max(axis=0) / known[:, :3].min(axis=0)
    spread = np.ptp(known[:, 3:], axis=0)
    if ratio.max() > _MOST_LENGTH_RATIO or spread.max() > _MOST_ANGLE:
        raise InputError(
            f"cells of {phase} differ by a factor of {ratio.max():.2f} in length and {spread.max():.0f} degrees "
            "over x: they are not in one setting",
            fix="compare series that were made from one ordered cell of the parent",
        )
