"""Energies of unrelaxed cells in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from halion.arrays import FloatArray
from halion.errors import PhysicsRefusal
from halion.potentials import Potential

__all__ = ["static_energies"]


def static_energies(structures: Sequence[Atoms], potential: Potential) -> FloatArray:
    """Energies of cells as they are, eV/atom; NaN where physics refuses one, the others unharmed.

    Args:
        structures: periodic cells.
        potential: evaluates them in one call; one by one where the batch is refused.

    Checked by tests/ranking/test_ranking_framework.py.
    """
    counts = np.array([len(atoms) for atoms in structures], dtype=np.int64)
    try:
        result = potential.evaluate_arrays(
            np.concatenate([atoms.numbers for atoms in structures]),
            np.concatenate([atoms.positions for atoms in structures]),
            np.stack([atoms.cell.array for atoms in structures]),
            counts,
        )
    except PhysicsRefusal:
        if len(structures) == 1:
            return np.array([np.nan])
        return np.concatenate([static_energies([atoms], potential) for atoms in structures])
    return result.energies / counts
