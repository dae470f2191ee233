"""D3 by s-dftd3, the reference program of its authors: the oracle of halion's own.

Source: Ehlert, J. Open Source Softw. 9, 7169 (2024), doi:10.21105/joss.07169; Python package dftd3 (LGPL, extra
`dispersion`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import astuple

import numpy as np
from ase import units

from halion.arrays import FloatArray, IntArray
from halion.errors import MissingDependency
from halion.potentials.dispersion import DEFAULT_RANGE, PBE_D3BJ, D3Range, DispersionParameters
from halion.potentials.engine_types import EngineResult
from halion.potentials.from_ase import refuse_mismatched_arrays

__all__ = ["LibraryDispersion"]


class LibraryDispersion:
    """D3(BJ) of s-dftd3 as a `Dispersion`, without three-body terms.

    Args:
        parameters: of the damping.
        reach: cutoffs. s-dftd3 cuts coordination numbers sharply: their width is not used.
    Raises:
        MissingDependency: the package dftd3 is not installed.
    Checked by tests/potentials/test_potentials_dispersion_library.py.
    """

    name = "d3-reference"

    def __init__(self, parameters: DispersionParameters = PBE_D3BJ, reach: D3Range = DEFAULT_RANGE) -> None:
        if importlib.util.find_spec("dftd3") is None:
            raise MissingDependency(
                "dispersion by s-dftd3 needs the package dftd3, which is not installed",
                fix='pip install "halion[dispersion]", or take the built-in one: +d3',
            )
        from dftd3.interface import RationalDampingParam

        self._damping = RationalDampingParam(
            s6=parameters.s6, s8=parameters.s8, s9=0.0, a1=parameters.a1, a2=parameters.a2
        )
        self._reach = reach
        said = f"dftd3 {importlib.metadata.version('dftd3')} {astuple(parameters)} {astuple(reach)}"
        self.digest = hashlib.sha256(said.encode()).hexdigest()

    def evaluate(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """Energies, forces and virials of structures one after another, see `Dispersion`."""
        refuse_mismatched_arrays(numbers, positions, cells, counts)
        energies, forces = np.empty(len(counts)), np.empty((len(numbers), 3))
        virials = np.empty((len(counts), 3, 3))
        for k, (count, end) in enumerate(zip(counts, np.cumsum(counts), strict=True)):
            atoms = slice(end - count, end)
            energies[k], forces[atoms], virials[k] = self._one(numbers[atoms], positions[atoms], cells[k])
        return EngineResult(energies=energies, forces=forces, virials=virials)

    def _one(
        self, numbers: IntArray, positions: FloatArray, cell: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        from dftd3.interface import DispersionModel

        model = DispersionModel(
            np.asarray(numbers), positions / units.Bohr, cell / units.Bohr, np.array([True, True, True])
        )
        reach = self._reach
        # The third cutoff is that of three-body terms, which are off.
        model.set_realspace_cutoff(reach.pairs, reach.coordination, reach.coordination, reach.pairs_width, 0.0)
        found = model.get_dispersion(self._damping, grad=True)
        return (
            float(found["energy"]) * units.Hartree,
            -found["gradient"] * (units.Hartree / units.Bohr),
            found["virial"] * units.Hartree,
        )
