"""Gamma-centred k-points from a spacing."""

from __future__ import annotations

import numpy as np

from halion.arrays import FloatArray

__all__ = ["gamma_centred"]


def gamma_centred(cell: FloatArray, spacing: float) -> tuple[int, int, int]:
    """Numbers of k-points along the reciprocal vectors: n_i = max(1, ceil(|b_i| / spacing)).

    Args:
        cell: (3, 3) row vectors, Angstrom.
        spacing: largest distance between neighbouring k-points, 1/Angstrom, with the factor 2 pi (VASP's KSPACING).
    Checked by tests/labels/test_labels_kpoints.py.
    """
    reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    # A length that fits to rounding must not tip to one point more.
    n = np.maximum(1, np.ceil(reciprocal / spacing - 1e-9)).astype(int)
    return int(n[0]), int(n[1]), int(n[2])
