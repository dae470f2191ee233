"""D3 with Becke-Johnson damping, compiled: the sum over every image within the cutoff, without neighbour lists.

All images of a pair of atoms share C6 and the damping radius, so energy, forces and stress come from a few sums
over lattice vectors per pair (d3/kernels.cpp), vectorised along the vectors. Nothing is kept between calls: a
structure's result depends on nothing that came before.

Sources: Grimme et al. 2010 and 2011 as in `dispersion`; reference values from tad-dftd3 0.7.0, Apache-2.0, by the
authors of s-dftd3 (d3/LICENSE-tad-dftd3.txt, scripts/make_d3_reference.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from pathlib import Path

import numpy as np
from ase import Atoms, units

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, PhysicsRefusal
from halion.potentials import _dispersion
from halion.potentials.dispersion import DEFAULT_RANGE, PBE_D3BJ, D3Range, DispersionParameters
from halion.potentials.engine_types import EngineResult
from halion.potentials.from_ase import refuse_mismatched_arrays

__all__ = ["CompiledDispersion"]

_REFERENCE = Path(__file__).parent / "d3" / "reference.npz"


class CompiledDispersion:
    """D3(BJ) as a `Dispersion`: two-body terms, on one thread of a processor.

    Energy in eV, forces in eV/Angstrom, virials in eV. Against s-dftd3 with the same sharp end of the coordination
    numbers: equal to 1e-9 eV per atom; with their smooth end: to 1e-5 (benchmarks/results/dispersion.md).

    Args:
        parameters: of the damping.
        reach: cutoffs and how the terms end.
        kernels: "avx512", "avx2" or "portable"; None for the fastest that this machine has.
    Attributes:
        kernels: what computes.
    Raises:
        InputError: kernels that this machine does not have.
    Checked by tests/potentials/test_potentials_dispersion.py.
    """

    name = "d3"

    def __init__(
        self,
        parameters: DispersionParameters = PBE_D3BJ,
        reach: D3Range = DEFAULT_RANGE,
        *,
        kernels: str | None = None,
    ) -> None:
        usable = _dispersion.usable_kernels()
        if kernels is not None and kernels not in usable:
            raise InputError(f"this machine has no '{kernels}' kernels", fix=f"use one of {', '.join(usable)}")
        tables = _tables()
        settings = np.array([*astuple(parameters), *astuple(reach)], dtype=np.float64)
        self._engine = _dispersion.Dispersion(**tables, settings=settings, kernels=kernels or "")
        self._n_elements = len(tables["radius"])
        self.kernels: str = self._engine.kernels
        content = b"".join(table.tobytes() for table in tables.values()) + settings.tobytes()
        self.digest = hashlib.sha256(content).hexdigest()

    def evaluate(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """Energies, forces and virials of structures one after another, see `Dispersion`.

        Raises:
            InputError: arrays whose shapes do not fit together, an element without reference values.
            PhysicsRefusal: positions or a cell that are not finite, less than 1 Angstrom^3 per atom, two atoms on
                one point.
        """
        numbers, counts = (np.ascontiguousarray(array, dtype=np.int64) for array in (numbers, counts))
        refuse_mismatched_arrays(numbers, positions, cells, counts)
        if len(numbers) and not 1 <= numbers.min() <= numbers.max() <= self._n_elements:
            raise InputError(
                f"atomic numbers run from {numbers.min()} to {numbers.max()}",
                fix=f"D3 has reference values for 1 to {self._n_elements}",
            )
        energies, forces = np.empty(len(counts)), np.empty((len(numbers), 3))
        virials = np.empty((len(counts), 3, 3))
        positions, cells = (
            np.ascontiguousarray(array, dtype=np.float64) / units.Bohr for array in (positions, cells)
        )
        self._engine.evaluate(numbers, positions, cells, counts, energies, forces, virials)
        _refuse_not_finite(numbers, counts, energies)
        return EngineResult(
            energies=energies * units.Hartree,
            forces=forces * (units.Hartree / units.Bohr),
            virials=virials * units.Hartree,
        )


def _refuse_not_finite(numbers: IntArray, counts: IntArray, energies: FloatArray) -> None:
    for k in np.flatnonzero(~np.isfinite(energies))[:1]:
        end = int(np.sum(counts[: k + 1]))
        raise PhysicsRefusal(
            "dispersion has no finite energy: positions or cell are not finite, the cell has collapsed, or two "
            "atoms lie on one point",
            where=f"{Atoms(numbers[end - counts[k] : end]).get_chemical_formula()}, structure {k} from 0",
            fix="look at the structure; a smaller timestep or another start may help",
        )


def _tables() -> dict[str, FloatArray]:
    """Radii (times 4/3, Bohr), q = sqrt(Q / 2), reference coordination numbers and C6 (atomic units), by Z - 1."""
    with np.load(_REFERENCE) as saved:
        tables = {"radius": saved["radius"], "root": saved["root"], "reference": saved["coordination"]}
        packed = saved["c6_per_10000"] / 1e4
    n = len(tables["radius"])
    first, second = np.tril_indices(n)
    c6 = np.empty((n, n, *packed.shape[1:]))
    c6[first, second] = packed
    c6[second, first] = packed.transpose(0, 2, 1)
    return tables | {"c6": c6}
