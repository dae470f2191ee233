"""CHGNet 0.3.0 and its fine-tuned descendants: energy, forces and stress from one first-order backward pass.

chgnet's own calculator asks autograd for forces and for stress one after the other, each with a graph that
could be differentiated again, as training needs. Here one backward pass without such a graph gives both: the
same numbers 1.9 times faster (benchmarks/chgnet_step.py). Site energies are summed in double precision, so that
the total energy of a large cell is not rounded to 1e-4 eV. The network itself stays chgnet's, in single precision.

Method: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from chgnet.graph import CrystalGraph
from chgnet.model.model import BatchedGraph
from pymatgen.optimization.neighbors import find_points_in_spheres

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, MissingDependency, PhysicsRefusal
from halion.potentials.chgnet_model import load_model, weights_sha256
from halion.potentials.engine_types import EngineResult
from halion.potentials.from_ase import refuse_unknown_elements, split_arrays, stack_evaluations
from halion.potentials.types import Evaluation

__all__ = ["CHGNET_ELEMENTS", "ChgnetPotential"]

# MPtrj, the training set, holds 89 elements: hydrogen to plutonium without these five (Deng et al. 2023,
# Fig. 2). The weights agree: only these five embeddings kept the norm of their initialisation (7.5 to 8.7,
# the square root of 64; the others have 12 and more), see test_untrained_elements_are_those_refused.
_UNTRAINED = {"Po", "At", "Rn", "Fr", "Ra"}
CHGNET_ELEMENTS = frozenset(chemical_symbols[1:95]) - _UNTRAINED

# Atoms of one graph batch: 2 MiB each at 40 neighbours within 6 Angstrom, so about half a GiB.
_ATOMS_PER_BATCH = 256
# Diamond, the densest arrangement of atoms at ordinary pressure, has 5.7 Angstrom^3 per atom.
_SMALLEST_VOLUME_PER_ATOM = 1.5


class ChgnetPotential:
    """CHGNet as a `Potential`: total energy in eV with the composition reference, forces, stress.

    E = sum_i (E_i(graph) + E_ref(Z_i)); forces -dE/dr in eV/Angstrom; stress (1/V) dE/dstrain, symmetrised, in
    eV/Angstrom^3, tension positive. Positions are wrapped into the cell first, because chgnet holds fractional
    coordinates in single precision: far-unwrapped atoms would lose digits. The same structure gives the same
    bits on one thread, whatever was evaluated before.

    Args:
        checkpoint: file of a fine-tuned CHGNet as its trainer writes it; None for the pretrained 0.3.0.
        device: "cpu" or "cuda".
    Raises:
        InputError: no such file, not a CHGNet checkpoint, or another architecture than that of 0.3.0.
        MissingDependency: "cuda" on a machine without it.
    Checked by tests/potentials/test_potentials_chgnet.py.
    """

    def __init__(self, checkpoint: Path | str | None = None, *, device: str = "cpu") -> None:
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise MissingDependency(
                f"device '{device}' was asked for, and torch {torch.__version__} sees no CUDA device",
                fix="set machine.device to cpu, or install a CUDA build of torch",
            )
        model = load_model(checkpoint)
        self._device = device
        self._model = model.to(device).eval().requires_grad_(False)
        self._reference = model.composition_model.fc.weight[0].double().cpu().numpy()
        self.name = "chgnet-0.3.0" if checkpoint is None else f"chgnet-{Path(checkpoint).name.split('.')[0]}"
        self.weights_sha256 = weights_sha256(model)
        self.elements = CHGNET_ELEMENTS

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Energy, forces and stress of one periodic structure.

        Raises:
            InputError: an element outside the training set, no three-dimensional cell, no atoms.
            PhysicsRefusal: an atom without neighbours within 6 Angstrom, a collapsed cell, a result that is
                not finite.
        """
        return self._evaluate([atoms])[0]

    def evaluate_batch(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """The same for many structures, as disjoint graphs in batches of bounded memory.

        Equal to `evaluate` one by one up to rounding in single precision (about 1e-6 eV per atom).
        """
        evaluations: list[Evaluation] = []
        batch: list[Atoms] = []
        for atoms in structures:
            if batch and sum(map(len, batch)) + len(atoms) > _ATOMS_PER_BATCH:
                evaluations += self._evaluate(batch)
                batch = []
            batch.append(atoms)
        return evaluations + (self._evaluate(batch) if batch else [])

    def evaluate_arrays(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """The same for many structures given as arrays, see `Potential`."""
        return stack_evaluations(self.evaluate_batch(split_arrays(numbers, positions, cells, counts)), cells)

    def _evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        model = self._model
        graphs = [self._graph(atoms).to(self._device) for atoms in structures]
        with warnings.catch_warnings():
            # from_graphs reads volumes, which we do not use, out of tensors that carry gradients.
            warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad")
            batch = BatchedGraph.from_graphs(
                graphs,
                bond_basis_expansion=model.bond_basis_expansion,
                angle_basis_expansion=model.angle_basis_expansion,
                compute_stress=True,
            )
        site_energies = model._compute(batch, return_site_energies=True)["site_energies"]
        gradients = torch.autograd.grad(torch.cat(site_energies).sum(), [*batch.atom_positions, *batch.strains])
        arrays = [tensor.detach().cpu().numpy().astype(float) for tensor in (*site_energies, *gradients)]
        n = len(structures)
        return [
            self._evaluation(*parts) for parts in zip(structures, arrays[:n], arrays[n : 2 * n], arrays[2 * n :])
        ]

    def _evaluation(
        self, atoms: Atoms, site_energies: FloatArray, gradient: FloatArray, virial: FloatArray
    ) -> Evaluation:
        energy = float(site_energies.sum() + self._reference[atoms.numbers - 1].sum())
        if not (np.isfinite(energy) and np.isfinite(gradient).all() and np.isfinite(virial).all()):
            raise PhysicsRefusal(
                f"{self.name} gives no finite energy, forces or stress for {atoms.get_chemical_formula()}: two "
                "atoms lie on one point, or the structure has exploded",
                fix="look at the structure; a smaller timestep or another starting ordering may help",
            )
        stress = (virial + virial.T) / (2 * atoms.get_volume())
        return Evaluation(energy=energy, forces=-gradient, stress=stress)

    def _graph(self, atoms: Atoms) -> CrystalGraph:
        """The graph that chgnet's converter builds from a pymatgen structure, without that detour."""
        _refuse_unusable(atoms, self.elements, self.name)
        converter = self._model.graph_converter
        cell = np.ascontiguousarray(atoms.cell.array)
        fractional = np.linalg.solve(cell.T, atoms.positions.T).T
        fractional -= np.floor(fractional)
        positions = np.ascontiguousarray(fractional @ cell)
        radius, tolerance = float(converter.atom_graph_cutoff), 1e-8
        periodic = np.ones(3, dtype=np.int64)
        centres, neighbours, images, distances = find_points_in_spheres(
            positions, positions, r=radius, pbc=periodic, lattice=cell, tol=tolerance
        )
        others = (centres != neighbours) | (distances > tolerance)
        centres, neighbours, images, distances = (
            array[others] for array in (centres, neighbours, images, distances)
        )
        _refuse_isolated(atoms, centres, radius)
        graph = converter.create_graph(len(atoms), centres, neighbours, images, distances)
        atom_graph, directed2undirected = graph.adjacency_list()
        bond_graph, undirected2directed = graph.line_graph_adjacency_list(cutoff=converter.bond_graph_cutoff)
        return CrystalGraph(
            atomic_number=torch.tensor(atoms.numbers, dtype=torch.int32),
            atom_frac_coord=torch.tensor(fractional, dtype=torch.float32, requires_grad=True),
            atom_graph=torch.tensor(np.array(atom_graph), dtype=torch.int32),
            atom_graph_cutoff=converter.atom_graph_cutoff,
            neighbor_image=torch.tensor(images, dtype=torch.float32),
            directed2undirected=torch.tensor(np.array(directed2undirected), dtype=torch.int32),
            undirected2directed=torch.tensor(np.array(undirected2directed), dtype=torch.int32),
            bond_graph=torch.tensor(np.array(bond_graph), dtype=torch.int32),
            bond_graph_cutoff=converter.bond_graph_cutoff,
            lattice=torch.tensor(cell, dtype=torch.float32, requires_grad=True),
        )


def _refuse_unusable(atoms: Atoms, elements: frozenset[str], name: str) -> None:
    refuse_unknown_elements(atoms, elements, name)
    if not len(atoms):
        raise InputError("the structure holds no atoms", fix="pass a structure with atoms")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise PhysicsRefusal(
            "a position or the cell is not a finite number: the structure has exploded",
            where=atoms.get_chemical_formula(),
            fix="start from a relaxed structure, or take a smaller timestep",
        )
    if atoms.cell.rank < 3 or not atoms.pbc.all():
        raise InputError(
            f"{name} takes structures that are periodic in three dimensions (pbc={list(map(bool, atoms.pbc))}, "
            f"{atoms.cell.rank} cell vectors)",
            where=atoms.get_chemical_formula(),
            fix="set a cell and pbc=True",
        )
    if atoms.get_volume() < _SMALLEST_VOLUME_PER_ATOM * len(atoms):
        raise PhysicsRefusal(
            f"the cell has collapsed to {atoms.get_volume() / len(atoms):.3g} Angstrom^3 per atom",
            where=atoms.get_chemical_formula(),
            fix="check the starting structure and its cell, which must be in Angstrom",
        )


def _refuse_isolated(atoms: Atoms, centres: np.ndarray, radius: float) -> None:
    alone = np.setdiff1d(np.arange(len(atoms)), centres)
    if len(alone):
        symbols = ", ".join(f"{atoms.symbols[k]}{k}" for k in alone[:5])
        raise PhysicsRefusal(
            f"{len(alone)} atom(s) have no neighbour within {radius:g} Angstrom ({symbols}); CHGNet knows no "
            "isolated atoms",
            where=atoms.get_chemical_formula(),
            fix="check the cell, or stop the run before the structure evaporates (lower temperature)",
        )
