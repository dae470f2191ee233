"""CHGNet 0.3.0 and its fine-tuned descendants: energy, forces and stress from halion's own engines.

chgnet's own calculator builds its graph in Python and asks autograd for forces and for stress one after the other,
each with a graph that could be differentiated again, as training needs. The engines (see `backends`) compute the
same function from folded weights, with geometry and sums in double precision and one backward pass.

Method: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, PhysicsRefusal
from halion.potentials.backends import Backend, device_steps, make_engine
from halion.potentials.chgnet_model import load_model, weights_sha256
from halion.potentials.engine_types import DeviceSteps, EngineResult
from halion.potentials.folded import fold
from halion.potentials.from_ase import join_arrays, refuse_mismatched_arrays, refuse_unknown_elements
from halion.potentials.torch_engine import TorchEngine
from halion.potentials.torch_graph import ATOM_CUTOFF, list_bonds
from halion.potentials.types import Evaluation

__all__ = ["CHGNET_ELEMENTS", "ChgnetPotential"]

# MPtrj, the training set, holds 89 elements: hydrogen to plutonium without these five (Deng et al. 2023,
# Fig. 2). The weights agree: only these five embeddings kept the norm of their initialisation (7.5 to 8.7,
# the square root of 64; the others have 12 and more), see test_untrained_elements_are_those_refused.
_UNTRAINED = {"Po", "At", "Rn", "Fr", "Ra"}
CHGNET_ELEMENTS = frozenset(chemical_symbols[1:95]) - _UNTRAINED
_IS_TRAINED = np.array([symbol in CHGNET_ELEMENTS for symbol in chemical_symbols])

# Atoms of one call of an engine: at most 2 GB of features.
_ATOMS_PER_CALL = 16_384
# Diamond, the densest arrangement of atoms at ordinary pressure, has 5.7 Angstrom^3 per atom.
_SMALLEST_VOLUME_PER_ATOM = 1.5


class ChgnetPotential:
    """CHGNet as a `Potential`: total energy in eV with the composition reference, forces, stress.

    E = sum_i (E_i(graph) + E_ref(Z_i)); forces -dE/dr in eV/Angstrom; stress (1/V) dE/dstrain, symmetrised, in
    eV/Angstrom^3, tension positive. Positions may be wrapped or not. The same structure gives the same bits on
    one thread of a CPU, whatever was evaluated before.

    Args:
        checkpoint: file of a fine-tuned CHGNet as its trainer writes it; None for the pretrained 0.3.0.
        backend: "fast", "torch" (single precision) or "float64" (double precision: the oracle).
        device: "cpu" or "cuda".
        threads: processor threads; None leaves it to the environment.
    Attributes:
        engine: what computes, in words.
    Raises:
        InputError: no such file, not a CHGNet checkpoint, or another architecture than that of 0.3.0.
        MissingDependency: "cuda" on a machine without it, or the compiled engine is not there.
    Checked by tests/potentials/test_potentials_chgnet.py, and against double precision in
    benchmarks/results/engine_accuracy.md.
    """

    def __init__(
        self,
        checkpoint: Path | str | None = None,
        *,
        backend: Backend = "fast",
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        model = load_model(checkpoint)
        self._weights, self._device = fold(model), device
        self._engine, self.engine = make_engine(backend, self._weights, device=device, threads=threads)
        name = "chgnet-0.3.0" if checkpoint is None else _name_of(Path(checkpoint))
        self.name = name if backend == "fast" else f"{name}-{backend}"
        self.weights_sha256 = weights_sha256(model)
        self.elements = CHGNET_ELEMENTS

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Energy, forces and stress of one periodic structure.

        Raises:
            InputError: an element outside the training set, no three-dimensional cell, no atoms.
            PhysicsRefusal: an atom without neighbours within 6 Angstrom, a collapsed cell, a result that is
                not finite.
        """
        return self.evaluate_batch([atoms])[0]

    def evaluate_batch(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """The same for many structures, in batches of bounded memory.

        Equal to `evaluate` one by one up to rounding in single precision (about 1e-6 eV per atom).
        """
        for atoms in structures:
            self._refuse_aperiodic(atoms)
        numbers, positions, cells, counts = join_arrays(structures)
        result = self.evaluate_arrays(numbers, positions, cells, counts)
        stresses = (result.virials + result.virials.transpose(0, 2, 1)) / (2 * _volumes(cells)[:, None, None])
        return [
            Evaluation(energy=float(energy), forces=result.forces[end - count : end], stress=stress)
            for energy, stress, count, end in zip(result.energies, stresses, counts, np.cumsum(counts), strict=True)
        ]

    def evaluate_arrays(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """The same for many structures given as arrays, see `Potential`. One bad structure refuses them all."""
        refuse_mismatched_arrays(numbers, positions, cells, counts)
        batch = _Batch(numbers, positions, cells, counts)
        self._refuse_unusable(batch)
        results = [self._engine.evaluate(*part) for part in batch.parts()]
        result = EngineResult(
            energies=np.concatenate([np.empty(0), *(part.energies for part in results)]),
            forces=np.concatenate([np.empty((0, 3)), *(part.forces for part in results)]),
            virials=np.concatenate([np.empty((0, 3, 3)), *(part.virials for part in results)]),
        )
        self._refuse_not_finite(batch, result)
        _refuse_isolated(batch, result.forces)
        return result

    def last_layer_features(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> FloatArray:
        """Last hidden layer of the readout of every atom, (n_atoms_total, 64), see `LastLayer`.

        The torch engine computes them, for every backend: the faster engines keep no hidden layers. They hold no
        guard against isolated atoms, which `evaluate_arrays` has.
        Checked by tests/potentials/test_potentials_last_layer.py.
        """
        refuse_mismatched_arrays(numbers, positions, cells, counts)
        batch = _Batch(numbers, positions, cells, counts)
        self._refuse_unusable(batch)
        is_torch = isinstance(self._engine, TorchEngine)
        engine = self._engine if is_torch else TorchEngine(self._weights, device=self._device)
        features = engine.last_layer_features(batch.numbers, batch.positions, batch.cells, batch.counts)
        is_finite = batch.of_structures(np.isfinite(features).all(axis=1))
        for k in np.flatnonzero(~is_finite)[:1]:
            raise PhysicsRefusal(
                f"{self.name} gives no finite features for {batch.name(k)}: two atoms lie on one point",
                fix="look at the structure",
            )
        return features

    def steps_on_device(self, numbers: IntArray, counts: IntArray) -> DeviceSteps | None:
        """Whole time steps of these structures on the device, see `OnDevice`."""
        return device_steps(self._engine, numbers, counts)

    def _refuse_aperiodic(self, atoms: Atoms) -> None:
        refuse_unknown_elements(atoms, self.elements, self.name)
        if not len(atoms):
            raise InputError("the structure holds no atoms", fix="pass a structure with atoms")
        if atoms.cell.rank < 3 or not atoms.pbc.all():
            raise InputError(
                f"{self.name} takes structures that are periodic in three dimensions "
                f"(pbc={list(map(bool, atoms.pbc))}, {atoms.cell.rank} cell vectors)",
                where=atoms.get_chemical_formula(),
                fix="set a cell and pbc=True",
            )

    def _refuse_unusable(self, batch: _Batch) -> None:
        if not batch.counts.all():
            raise InputError("a structure holds no atoms", fix="pass structures with atoms")
        if not _IS_TRAINED[np.clip(batch.numbers, 0, len(_IS_TRAINED) - 1)].all():
            refuse_unknown_elements(Atoms(batch.numbers), self.elements, self.name)
        is_finite = batch.of_structures(np.isfinite(batch.positions).all(axis=1))
        for k in np.flatnonzero(~(is_finite & np.isfinite(batch.cells).all(axis=(1, 2))))[:1]:
            raise PhysicsRefusal(
                "a position or the cell is not a finite number: the structure has exploded",
                where=batch.name(k),
                fix="start from a relaxed structure, or take a smaller timestep",
            )
        volumes = _volumes(batch.cells) / batch.counts
        for k in np.flatnonzero(volumes < _SMALLEST_VOLUME_PER_ATOM)[:1]:
            raise PhysicsRefusal(
                f"the cell has collapsed to {volumes[k]:.3g} Angstrom^3 per atom",
                where=batch.name(k),
                fix="check the starting structure and its cell, which must be in Angstrom",
            )

    def _refuse_not_finite(self, batch: _Batch, result: EngineResult) -> None:
        is_finite = np.isfinite(result.energies) & np.isfinite(result.virials).all(axis=(1, 2))
        for k in np.flatnonzero(~(is_finite & batch.of_structures(np.isfinite(result.forces).all(axis=1))))[:1]:
            raise PhysicsRefusal(
                f"{self.name} gives no finite energy, forces or stress for {batch.name(k)}: two "
                "atoms lie on one point, or the structure has exploded",
                fix="look at the structure; a smaller timestep or another starting ordering may help",
            )


def _name_of(checkpoint: Path) -> str:
    name = checkpoint.name.split(".")[0]
    return name if name.startswith("halion-") else f"chgnet-{name}"


class _Batch:
    """The arrays of many structures, with what guards ask of them."""

    def __init__(self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray) -> None:
        self.numbers = np.ascontiguousarray(numbers, dtype=np.int64)
        self.positions = np.ascontiguousarray(positions, dtype=np.float64)
        self.cells = np.ascontiguousarray(cells, dtype=np.float64)
        self.counts = np.ascontiguousarray(counts, dtype=np.int64)
        self.starts = np.cumsum(self.counts) - self.counts

    def parts(self) -> list[tuple[IntArray, FloatArray, FloatArray, IntArray]]:
        """The structures in their order, cut where a part would exceed the atoms of one call."""
        cuts, first = [], 0
        for k, end in enumerate(self.starts + self.counts):
            if k > first and end - self.starts[first] > _ATOMS_PER_CALL:
                cuts.append(slice(first, k))
                first = k
        cuts += [slice(first, len(self.counts))] if len(self.counts) else []
        return [(*self._atoms(cut), self.cells[cut], self.counts[cut]) for cut in cuts]

    def _atoms(self, cut: slice) -> tuple[IntArray, FloatArray]:
        first, last = self.starts[cut][0], self.starts[cut][-1] + self.counts[cut][-1]
        return self.numbers[first:last], self.positions[first:last]

    def of_structures(self, of_atoms: np.ndarray) -> np.ndarray:
        """Whether something holds for all atoms of each structure."""
        return np.logical_and.reduceat(of_atoms, self.starts) if len(of_atoms) else np.ones(0, dtype=bool)

    def name(self, k: int) -> str:
        """Formula of structure k, and its place in the batch."""
        formula = Atoms(self._atoms(slice(k, k + 1))[0]).get_chemical_formula()
        return formula if len(self.counts) == 1 else f"{formula}, structure {k} of {len(self.counts)} from 0"

    def without_neighbours(self, atoms: IntArray) -> IntArray:
        """Those of these atoms that have no bond within the cutoff."""
        alone = []
        for k in np.unique(np.searchsorted(self.starts, atoms, side="right") - 1):
            centres, neighbours, _ = list_bonds(self._atoms(slice(k, k + 1))[1], self.cells[k])
            bonded = self.starts[k] + np.concatenate([centres, neighbours])
            here = atoms[(atoms >= self.starts[k]) & (atoms < self.starts[k] + self.counts[k])]
            alone.append(np.setdiff1d(here, bonded))
        return np.concatenate(alone)


def _refuse_isolated(batch: _Batch, forces: FloatArray) -> None:
    # Without neighbours there is no force, to the last bit; only such atoms need their neighbours listed here.
    at_rest = np.flatnonzero(~forces.any(axis=1))
    alone = batch.without_neighbours(at_rest) if len(at_rest) else at_rest
    if len(alone):
        k = int(np.searchsorted(batch.starts, alone[0], side="right")) - 1
        alone = alone[alone < batch.starts[k] + batch.counts[k]]
        symbols = ", ".join(f"{chemical_symbols[batch.numbers[i]]}{i - batch.starts[k]}" for i in alone[:5])
        raise PhysicsRefusal(
            f"{len(alone)} atom(s) have no neighbour within {ATOM_CUTOFF:g} Angstrom ({symbols}); CHGNet knows no "
            "isolated atoms",
            where=batch.name(k),
            fix="check the cell, or stop the run before the structure evaporates (lower temperature)",
        )


def _volumes(cells: FloatArray) -> FloatArray:
    return np.abs(np.linalg.det(cells))
