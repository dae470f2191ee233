"""The cell that moves: the ordered one repeated, or as many as keep periodic images apart."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from halion.errors import InputError
from halion.orderings import as_supercell, image_distances, near_cubic_supercell
from halion.settings import DynamicsSettings

__all__ = ["dynamics_cell"]

_MOST_CELLS = 64  # of the ordered one


def dynamics_cell(atoms: Atoms, settings: DynamicsSettings) -> Atoms:
    """The supercell that moves: symbols, positions and cell alone, periodic, cell after cell.

    The ordered cell repeated by `repeat`; or, with `smallest_image_angstrom`, the smallest supercell of any shape
    whose periodic images are that far apart (`near_cubic_supercell`).

    Raises:
        InputError: no supercell of at most `_MOST_CELLS` ordered cells is large enough.
    Checked by tests/dynamics/test_dynamics_equilibration.py.
    """
    bare = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    wanted = settings.smallest_image_angstrom
    if wanted is None:
        matrix = as_supercell(settings.repeat)
    else:
        matrix = near_cubic_supercell(atoms.cell.array, max_cells=_MOST_CELLS, min_image_angstrom=wanted)
        reached = float(image_distances((np.array(matrix) @ atoms.cell.array)[None])[0])
        if reached < wanted:
            raise InputError(
                f"{_MOST_CELLS} ordered cells keep periodic images {reached:.1f} Angstrom apart, not {wanted:g}",
                where="dynamics.smallest_image_angstrom",
                fix=f"dynamics: {{smallest_image_angstrom: {np.floor(reached):g}}}",
            )
    return make_supercell(bare, np.array(matrix), wrap=False, order="cell-major")
