"""The cell of a CIF as row vectors, a along x and b in the xy plane."""

from __future__ import annotations

import math

import numpy as np

from halion.arrays import FloatArray
from halion.crystal.cif_file import CifBlock
from halion.crystal.cif_values import is_unknown, read_number
from halion.errors import CrystalError

__all__ = ["cell_matrix", "read_cell"]

_LENGTHS = ("a", "b", "c")
_ANGLES = ("alpha", "beta", "gamma")
# No lattice of atoms has planes nearer than 1 Angstrom in its cell's directions; cells of 200 Angstrom are
# proteins. The bounds keep the search of neighbours finite.
_SHORTEST, _LONGEST = 1.0, 200.0


def read_cell(cif: CifBlock) -> FloatArray:
    """(3, 3) Angstrom, rows a, b, c.

    Raises:
        CrystalError: a missing value, or values that span no cell.
    """
    values = []
    for tag, names in (("_cell_length_", _LENGTHS), ("_cell_angle_", _ANGLES)):
        for name in names:
            text = cif.text(tag + name)
            if is_unknown(text):
                raise CrystalError(
                    f"the cell is not complete: {tag}{name} is missing",
                    where=cif.where(),
                    fix=f"add a line such as: {tag}{name} {'6.9188' if name in _LENGTHS else '90'}",
                )
            values.append(read_number(text, tag + name, cif.where()))
    return _checked(values, cif)


def _checked(values: list[float], cif: CifBlock) -> FloatArray:
    lengths, angles = values[:3], values[3:]
    told = "a, b, c = {:g}, {:g}, {:g} Angstrom, angles {:g}, {:g}, {:g} degrees".format(*values)
    fix = "check the _cell_length_ and _cell_angle_ lines; lengths are in Angstrom, angles in degrees"
    if not all(_SHORTEST <= length <= _LONGEST for length in lengths) or not all(
        5 < angle < 175 for angle in angles
    ):
        raise CrystalError(f"the cell is degenerate: {told}", where=cif.where(), fix=fix)
    cell = cell_matrix(lengths, angles)
    if not np.all(np.isfinite(cell)) or np.min(1 / np.linalg.norm(np.linalg.inv(cell), axis=0)) < _SHORTEST:
        raise CrystalError(f"the cell is flat: {told}", where=cif.where(), fix=fix)
    return cell


def cell_matrix(lengths: list[float], angles: list[float]) -> FloatArray:
    """(3, 3) row vectors of a cell from its lengths (Angstrom) and angles (degrees); NaN if they span none.

    a lies along x and b in the xy plane. Checked by tests/crystal/test_crystal_cell.py against the metric tensor.
    """
    alpha, beta, gamma = (_cosine(angle) for angle in angles)
    sine = math.sqrt(1 - gamma**2)
    c_y = (alpha - beta * gamma) / sine
    c_z2 = 1 - beta**2 - c_y**2
    if c_z2 <= 1e-8:
        return np.full((3, 3), np.nan)
    rows = np.array([[1.0, 0.0, 0.0], [gamma, sine, 0.0], [beta, c_y, math.sqrt(c_z2)]])
    return rows * np.array(lengths)[:, None]


def _cosine(degrees: float) -> float:
    # cos(pi/2) is 6e-17 in floating point; right angles give exact zeros.
    return 0.0 if degrees == 90.0 else math.cos(math.radians(degrees))
