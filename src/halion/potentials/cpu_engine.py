"""CHGNet on CPUs: the compiled engine, from folded weights.

C++ with vector instructions chosen when it runs (AVX-512, AVX2, or what the compiler makes of plain vectors), a
hand-written backward pass, geometry and sums in double precision and the network in single precision. Neighbour
lists carry a skin and are filtered by the exact distance at every step, so results do not depend on a list's age,
to the bit; nor do they depend on the number of threads or on what else is in the batch.

Method: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3. How the engine is built:
engine/tables.hpp and the files beside it.
"""

from __future__ import annotations

import os

import numpy as np

from halion.arrays import FloatArray, IntArray
from halion.cores import usable_cores
from halion.errors import InputError
from halion.potentials import _engine
from halion.potentials.engine_types import EngineResult
from halion.potentials.folded import BondLayer, FoldedWeights, Normalised
from halion.potentials.from_ase import refuse_mismatched_arrays

__all__ = ["CpuEngine", "neighbour_list"]

_N_BASIS = 32


class CpuEngine:
    """An `Engine` for CPUs.

    Args:
        weights: of the pretrained or a fine-tuned CHGNet.
        threads: of one evaluation; None takes OMP_NUM_THREADS, else every core that this process may use.
        skin: Angstrom that neighbour lists reach beyond 6 Angstrom; 0 builds them anew at every evaluation.
        kernels: "avx512", "avx2" or "portable"; None for the fastest that this machine has.
    Attributes:
        kernels: what computes.
    Raises:
        InputError: no thread, a negative skin, or kernels that this machine does not have.
    Structures of a batch are known by their place: in a run of evaluations keep their order. Evaluations release
    Python's lock; threads that share an engine wait for each other, those with engines of their own do not.

    Checked by tests/potentials/test_potentials_cpu_engine.py and test_potentials_neighbours.py.
    """

    def __init__(
        self, weights: FoldedWeights, *, threads: int | None = None, skin: float = 0.5, kernels: str | None = None
    ) -> None:
        threads = _default_threads() if threads is None else threads
        if threads < 1 or skin < 0:
            raise InputError(
                f"an engine with {threads} threads and a skin of {skin} Angstrom", fix="ask for threads=1, skin=0.5"
            )
        if kernels is not None and kernels not in _engine.usable_kernels():
            raise InputError(
                f"this machine has no '{kernels}' kernels", fix=f"use one of {', '.join(_engine.usable_kernels())}"
            )
        self._engine = _engine.Engine(_named_weights(weights), threads, float(skin), kernels or "")
        self._n_elements = len(weights.reference_energy)
        self.kernels: str = self._engine.kernels

    @property
    def threads(self) -> int:
        """Threads of one evaluation."""
        return self._engine.n_threads

    @property
    def n_bytes(self) -> int:
        """Memory that the engine holds for its graph and features; it grows to the largest batch seen."""
        return self._engine.n_bytes

    @property
    def n_list_builds(self) -> int:
        """How often a neighbour list was built since the engine was made."""
        return self._engine.n_list_builds

    def evaluate(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """Energies, forces and virials of structures whose atoms follow each other, see `Engine`.

        A structure that cannot be evaluated has results that are not numbers, and the others are not affected:
        positions or a cell that are not finite or absurd, a singular cell, less than 1 Angstrom^3 per atom, two
        atoms on one point. An atom without neighbours within 6 Angstrom has a force of exactly zero.

        Raises:
            InputError: arrays whose shapes do not fit together, or an element that CHGNet has no weights for.
        """
        numbers, counts = (np.ascontiguousarray(array, dtype=np.int64) for array in (numbers, counts))
        positions, cells = (np.ascontiguousarray(array, dtype=np.float64) for array in (positions, cells))
        refuse_mismatched_arrays(numbers, positions, cells, counts)
        n_atoms, n_structures = len(numbers), len(counts)
        if n_atoms and not 1 <= numbers.min() <= numbers.max() <= self._n_elements:
            raise InputError(
                f"atomic numbers run from {numbers.min()} to {numbers.max()}",
                fix=f"CHGNet has weights for 1 to {self._n_elements}",
            )
        result = EngineResult(
            energies=np.empty(n_structures), forces=np.empty((n_atoms, 3)), virials=np.empty((n_structures, 3, 3))
        )
        self._engine.evaluate(numbers, positions, cells, counts, result.energies, result.forces, result.virials)
        return result


def neighbour_list(positions: FloatArray, cell: FloatArray, cutoff: float) -> tuple[IntArray, IntArray, IntArray]:
    """Every directed pair of atoms closer than the cutoff, in any lattice: all images that are within it.

    vector = positions[centre] - (positions[neighbour] + shift @ cell), |vector| < cutoff; the positions are taken
    as they are given, wrapped or not. An atom pairs with its own images.

    Args:
        positions: (n_atoms, 3) Angstrom.
        cell: (3, 3) row vectors, Angstrom, not singular.
        cutoff: Angstrom.
    Returns:
        centres (n_pairs,), neighbours (n_pairs,), shifts (n_pairs, 3), ordered by centre, neighbour, shift.
    Raises:
        InputError: values that are not finite, a singular cell, or a cutoff that is not positive.

    Checked by tests/potentials/test_potentials_neighbours.py.
    """
    positions = np.ascontiguousarray(positions, dtype=np.float64).reshape(-1, 3)
    cell = np.ascontiguousarray(cell, dtype=np.float64).reshape(3, 3)
    if not (np.isfinite(positions).all() and np.isfinite(cell).all() and 0 < cutoff < np.inf):
        raise InputError(
            "positions, cell and cutoff must be finite, the cutoff positive", fix="check the structure"
        )
    if abs(np.linalg.det(cell)) <= 1e-6 * np.prod(np.linalg.norm(cell, axis=1)):
        raise InputError("the cell is singular", where=str(cell.tolist()), fix="pass three independent vectors")
    return _engine.neighbour_list(positions, cell, float(cutoff))


def _default_threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return usable_cores()


def _named_weights(weights: FoldedWeights) -> dict[str, FloatArray]:
    """What engine/packed.cpp asks for: matrices as (inputs, outputs), ".back" their transposes."""
    named = {
        "embedding": weights.atom_embedding,
        "reference_energy": weights.reference_energy,
        "frequencies6": _padded(weights.frequencies6[None]),
        "frequencies3": _padded(weights.frequencies3[None]),
        "angle_frequencies": _padded(weights.angle_frequencies[None]),
        "atom_weight": _padded(weights.atom_weight).T,
        "bond_weight": _padded(weights.bond_weight).T,
        "bond_embedding": _padded(weights.bond_embedding).T,
        "angle_embedding": _padded(weights.angle_embedding).T,
        **_readout(weights),
    }
    for k in range(len(weights.atom_layers)):
        named |= _atom_layer(weights, k)
    for k in range(len(weights.bond_layers)):
        named |= _bond_layer(weights, k)
    for k, layer in enumerate(weights.angle_layers):
        block = f"angle{k}"
        named |= _both_ways(f"{block}.angle", layer.angle)
        named[f"{block}.centre.back"] = layer.centre
        named |= _norm(block, layer.norm)
    return {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in named.items()}


def _atom_layer(weights: FoldedWeights, k: int) -> dict[str, FloatArray]:
    layer = weights.atom_layers[k]
    block, inputs = f"atom{k}", f"atom_inputs{k}"
    both = np.concatenate([layer.centre, layer.neighbour])
    named = {
        f"{block}.edge_basis": _padded(layer.edge_basis).T,
        **_both_ways(f"{block}.edge", layer.edge),
        **_both_ways(f"{block}.out", layer.out),
        **_second(block, layer.weight2, layer.bias2),
        **_norm(block, layer.norm),
    }
    bias = np.concatenate([layer.bias1, np.zeros_like(layer.bias1)])
    if k == 0:
        return named | {"element_inputs": weights.atom_embedding @ both.T + bias}
    before = [weights.bond_layers[k - 1], *weights.angle_layers[k - 1 : k]]
    biases = [layer.bias1 if isinstance(layer, BondLayer) else layer.bias for layer in before]
    return named | {
        inputs: np.concatenate([both, *(layer.centre for layer in before)]).T,
        f"{inputs}.bias": np.concatenate([bias, *biases]),
        f"{inputs}.back": both,
    }


def _bond_layer(weights: FoldedWeights, k: int) -> dict[str, FloatArray]:
    layer = weights.bond_layers[k]
    block = f"bond{k}"
    before = weights.angle_layers[k - 1 : k] if k else ()
    inputs = np.concatenate([part for one in (layer, *before) for part in (one.first, one.second)])
    return {
        **_both_ways(f"{block}.angle", layer.angle),
        f"{block}.centre.back": layer.centre,
        **_both_ways(f"{block}.out", layer.out),
        **_second(block, layer.weight2, layer.bias2),
        **_norm(block, layer.norm),
        **_both_ways(f"bond_inputs{k}", inputs),
    }


def _readout(weights: FoldedWeights) -> dict[str, FloatArray]:
    *hidden, (last, last_bias) = weights.readout
    named = {
        "readout_scale": weights.readout_scale,
        "readout_shift": weights.readout_shift,
        "last": last,
        "last_bias": last_bias,
    }
    for k, (weight, bias) in enumerate(hidden):
        named |= _both_ways(f"readout{k}", weight) | {f"readout{k}.bias": bias}
    return named


def _both_ways(name: str, weight: FloatArray) -> dict[str, FloatArray]:
    """y = weight x, and the way back: grad_x = weight^T grad_y."""
    return {name: weight.T, f"{name}.back": weight}


def _second(block: str, weight: FloatArray, bias: FloatArray) -> dict[str, FloatArray]:
    named = {f"{block}.bias2": bias}
    for head, name in enumerate(("core", "gate")):
        named |= _both_ways(f"{block}.{name}", weight[head])
    return named


def _norm(block: str, norm: Normalised) -> dict[str, FloatArray]:
    return {f"{block}.scale": norm.scale, f"{block}.shift": norm.shift}


def _padded(columns: FloatArray) -> FloatArray:
    """(n, 31 or 15) with columns of zeros up to the 32 that the kernels work with."""
    return np.pad(columns, ((0, 0), (0, _N_BASIS - columns.shape[1])))
