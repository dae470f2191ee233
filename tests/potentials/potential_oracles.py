"""What the tests of this room compare with, and how they hand batches over."""

import numpy as np
import pytest
import torch
from ase import Atoms
from chgnet.graph import converter, crystalgraph
from chgnet.model import CHGNet
from chgnet.model import model as chgnet_model
from pymatgen.core import Structure

from halion.potentials import EngineResult

# mp-18767 at the cell and coordinates of the Materials Project, the crystal of chgnet's own tests.
LIMNO2 = Atoms(
    "Li2Mn2O4",
    scaled_positions=[
        (0.5, 0.5, 0.3797505),
        (0, 0, 0.6202495),
        (0.5, 0.5, 0.863252),
        (0, 0, 0.136748),
        (0.5, 0, 0.360824),
        (0, 0.5, 0.098514),
        (0.5, 0, 0.901486),
        (0, 0.5, 0.639176),
    ],
    cell=[2.868779, 4.634475, 5.832507],
    pbc=True,
)


def as_arrays(structures: list[Atoms]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A batch as engines take it."""
    return (
        np.concatenate([atoms.numbers for atoms in structures]),
        np.concatenate([atoms.positions for atoms in structures]),
        np.array([atoms.cell.array for atoms in structures]),
        np.array([len(atoms) for atoms in structures]),
    )


def chgnet_in_double_precision(model: CHGNet, atoms: Atoms) -> EngineResult:
    """chgnet's own model, graph and derivatives, every tensor of them in double precision.

    The composition reference, which chgnet computes in single precision whatever the model is, is added here.
    """
    model = CHGNet.from_dict(model.as_dict()).double()
    reference = model.composition_model.fc.weight[0].double().detach().numpy()[atoms.numbers - 1].sum()
    model.composition_model = None
    with pytest.MonkeyPatch.context() as patch:
        for module in (converter, crystalgraph, chgnet_model):
            patch.setattr(module, "TORCH_DTYPE", torch.float64)
        structure = Structure(atoms.cell.array, atoms.numbers, atoms.positions, coords_are_cartesian=True)
        prediction = model.predict_structure(structure, task="efs")
    assert prediction["f"].dtype == np.float64
    return EngineResult(
        energies=np.array([prediction["e"] * len(atoms) + reference]),
        forces=prediction["f"],
        virials=prediction["s"][None] * atoms.get_volume() / 160.21766208,
    )
