"""Dispersion beside a potential: Grimme's D3 with Becke-Johnson damping, parameters of PBE, two-body terms.

E = - sum over pairs (i, j, lattice vector T) of s6 C6 / (r^6 + f^6) + s8 C8 / (r^8 + f^8), each pair once, with
C8 = 3 C6 q_i q_j, f = a1 sqrt(C8 / C6) + a2 and C6 interpolated between reference molecules by the coordination
numbers of both atoms. PBE lacks this attraction, and so does every potential fitted to it: layered halides come out
9 to 11 % too large. Added at run time, it belongs to potentials fitted to labels without dispersion alone.

Sources: Grimme, Antony, Ehrlich, Krieg, J. Chem. Phys. 132, 154104 (2010), doi:10.1063/1.3382344; damping and the
parameters of PBE: Grimme, Ehrlich, Goerigk, J. Comput. Chem. 32, 1456 (2011), doi:10.1002/jcc.21759.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ase import Atoms

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError
from halion.potentials.engine_types import EngineResult
from halion.potentials.from_ase import join_arrays
from halion.potentials.types import Evaluation, LastLayer, Potential

__all__ = [
    "DEFAULT_RANGE",
    "PBE_D3BJ",
    "D3Range",
    "Dispersion",
    "DispersionParameters",
    "WithDispersion",
    "add_dispersion",
    "mentions_dispersion",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispersionParameters:
    """Damping of D3(BJ) for one density functional.

    Attributes:
        s6, s8: scales of the two terms.
        a1: of the critical radius sqrt(C8 / C6).
        a2: added to it, Bohr.
    """

    s6: float
    s8: float
    a1: float
    a2: float


# Grimme, Ehrlich, Goerigk 2011, Table 2.
PBE_D3BJ = DispersionParameters(s6=1.0, s8=0.7875, a1=0.4289, a2=4.4407)


@dataclass(frozen=True, slots=True, kw_only=True)
class D3Range:
    """How far D3 reaches, Bohr: the cutoffs of s-dftd3, with a smooth end.

    Over the last `width` below a cutoff the terms fade as 1 - 10 x^3 + 15 x^4 - 6 x^5, x from 0 to 1: the energy
    has two continuous derivatives, and dynamics conserves it. A width of 0 cuts sharply.

    Attributes:
        pairs: cutoff of the energy between two atoms.
        pairs_width: over which it fades.
        coordination: cutoff of the coordination numbers.
        coordination_width: over which they fade; s-dftd3 cuts them sharply.
    """

    pairs: float = 60.0
    pairs_width: float = 4.0
    coordination: float = 40.0
    coordination_width: float = 4.0


DEFAULT_RANGE = D3Range()


class Dispersion(Protocol):
    """Something that computes the dispersion of a batch of structures.

    Attributes:
        name: what a potential's name gets behind its "+".
        digest: of the parameters and reference values, for provenance.
    """

    name: str
    digest: str

    def evaluate(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """Energies (eV), forces and virials, arguments as in `Potential.evaluate_arrays`."""
        ...


class WithDispersion:
    """A potential with dispersion added to its energy, forces and stress.

    Args:
        base: the potential without dispersion.
        dispersion: what is added.
    Attributes:
        name: that of the base with "+" and that of the dispersion.
        weights_sha256: digest over that of the base and that of the dispersion.
        elements: those of the base.
    Errors are those of the base, which sees each structure first.

    Checked by tests/potentials/test_potentials_dispersion.py.
    """

    def __init__(self, base: Potential, dispersion: Dispersion) -> None:
        self.base, self.dispersion = base, dispersion
        self.name = f"{base.name}+{dispersion.name}"
        self.weights_sha256 = _joint_digest(base.weights_sha256, dispersion.digest)
        self.elements = base.elements

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Energy, forces and stress of one structure."""
        return self.evaluate_batch([atoms])[0]

    def evaluate_batch(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """The same for many structures, in their order."""
        found = self.base.evaluate_batch(structures)
        numbers, positions, cells, counts = join_arrays(structures)
        added = self.dispersion.evaluate(numbers, positions, cells, counts)
        stresses = added.virials / np.abs(np.linalg.det(cells))[:, None, None]
        ends = np.cumsum(counts)
        return [
            Evaluation(
                energy=one.energy + float(added.energies[k]),
                forces=one.forces + added.forces[ends[k] - counts[k] : ends[k]],
                stress=one.stress + stresses[k],
            )
            for k, one in enumerate(found)
        ]

    def evaluate_arrays(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> EngineResult:
        """The same for many structures given as arrays, see `Potential`."""
        found = self.base.evaluate_arrays(numbers, positions, cells, counts)
        added = self.dispersion.evaluate(numbers, positions, cells, counts)
        return EngineResult(
            energies=found.energies + added.energies,
            forces=found.forces + added.forces,
            virials=found.virials + added.virials,
        )


class WithDispersionAndFeatures(WithDispersion):
    """The same for a potential that gives its last layer (`LastLayer`): dispersion knows no doubt of its own."""

    base: LastLayer

    def last_layer_features(
        self, numbers: IntArray, positions: FloatArray, cells: FloatArray, counts: IntArray
    ) -> FloatArray:
        """Those of the base, (n_atoms_total, n_features)."""
        return self.base.last_layer_features(numbers, positions, cells, counts)


def add_dispersion(base: Potential, dispersion: Dispersion, *, labels: str = "") -> Potential:
    """The potential with dispersion; it gives its last layer where the base does.

    Args:
        base: a potential fitted to PBE without dispersion.
        dispersion: what is added.
        labels: method of the labels that the base was fitted to; "" if nobody knows.
    Raises:
        InputError: the base has dispersion already, added or learned; it was fitted to r2SCAN.
    """
    learned = mentions_dispersion(labels)
    if learned or mentions_dispersion(base.name):
        raise InputError(
            f"{base.name} has dispersion already{f', learned from its labels ({labels})' if learned else ''}: "
            "it would count twice",
            fix=f"use it as it is, without +{dispersion.name}",
        )
    if "r2scan" in base.name.lower():
        raise InputError(
            f"{base.name} was fitted to r2SCAN, and the dispersion is that which PBE lacks",
            fix=f"use it without +{dispersion.name}, or a potential fitted to PBE",
        )
    kind = WithDispersionAndFeatures if isinstance(base, LastLayer) else WithDispersion
    return kind(base, dispersion)


def mentions_dispersion(method: str) -> bool:
    """Whether the name of a potential, or of a method of labels, has dispersion in it: "+d3", "+D3(BJ)", "+vdW"."""
    return re.search(r"\+(d[234]|vdw)", method.lower()) is not None


def _joint_digest(*digests: str) -> str:
    return hashlib.sha256("+".join(digests).encode()).hexdigest()
