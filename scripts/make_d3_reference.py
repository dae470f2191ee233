"""Write the reference values of D3 that halion ships, from the Python package tad-dftd3 of D3's authors.

pip install tad-dftd3==0.7.0
python scripts/make_d3_reference.py            writes src/halion/potentials/d3/reference.npz
python scripts/make_d3_reference.py FILE       writes it elsewhere
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from tad_dftd3.data import R4R2
from tad_dftd3.reference import Reference
from tad_mctc.data import COV_D3

TARGET = Path(__file__).resolve().parents[1] / "src" / "halion" / "potentials" / "d3" / "reference.npz"


def main(target: Path) -> None:
    """Rows are elements by atomic number minus one; the package's row 0 stands for no element."""
    reference = Reference(dtype=torch.double)
    c6 = reference.c6[1:, 1:].numpy()
    first, second = np.tril_indices(len(c6))
    np.testing.assert_array_equal(c6, c6.transpose(1, 0, 3, 2))
    np.testing.assert_allclose(c6 * 1e4, np.round(c6 * 1e4), atol=1e-6)  # they are given to four decimals
    np.savez_compressed(
        target,
        radius=COV_D3(dtype=torch.double)[1 : len(c6) + 1].numpy(),
        root=R4R2(dtype=torch.double)[1 : len(c6) + 1].numpy(),
        coordination=reference.cn[1:].numpy(),
        c6_per_10000=np.round(c6[first, second] * 1e4).astype(np.int32),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
