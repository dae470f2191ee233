"""A parent's cation framework with one halide, with the other, and with both in between: cells to start from.

Both ends of a framework are relaxed with the potential. A mixture starts from the cell and the sites interpolated
between them at its content x (Vegard's law for the cell and for each site), which has the symmetry that both share:
unrelaxed sites of the wrong size would cost more energy than arrangements differ by. Measured with CHGNet on
30-atom Li3YCl3Br3, the ranks of unrelaxed and of relaxed energies correlate by 0.5 only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from numpy.typing import NDArray

from halion.arrays import FloatArray
from halion.errors import InputError, PhysicsRefusal
from halion.orderings.lattice import image_distances, is_diagonal
from halion.orderings.shapes import hermite_forms, reduced_supercell
from halion.orderings.types import Supercell
from halion.potentials import Potential
from halion.progress import Progress, Stop, never, silent
from halion.ranking.relax import relax_batch
from halion.ranking.sublattice import Sublattice, find_sublattice
from halion.ranking.types import Ranking, Relaxation
from halion.settings import RankingSettings, SeriesSettings

__all__ = [
    "Framework",
    "FrameworkEnds",
    "ParentPhase",
    "best_supercell",
    "build_framework",
    "formula_units",
    "parent_phase",
    "relax_ends",
]


_SAME_DISTANCE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentPhase:
    """A parent of the series, ordered.

    Attributes:
        name: begins the names of its compositions, e.g. "LYC".
        structures: its ordered cells, the lowest in energy first: the cation orderings that take part. Their shared
            sites may hold either element.
    """

    name: str
    structures: tuple[Atoms, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkEnds:
    """One cation ordering of a parent, relaxed with each of the two elements alone.

    Attributes:
        parent: name of the parent.
        cations: which of its structures, from 0.
        host: relaxed with the host on all shared sites.
        guest: relaxed with the guest on all shared sites; atoms in the same order.
    """

    parent: str
    cations: int
    host: Relaxation
    guest: Relaxation


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A cation ordering in the cell of one composition.

    Attributes:
        sublattice: the shared sites and their symmetry.
        cells: (2, 3, 3) cells of the ends, Angstrom.
        fractional: (2, n_atoms, 3) fractional coordinates of the ends, unwrapped.
    """

    sublattice: Sublattice
    cells: FloatArray
    fractional: FloatArray

    def start(self, row: NDArray[np.uint8]) -> Atoms:
        """The unrelaxed cell of an arrangement: sites and cell between the ends, by its share of guests."""
        share = float(row.mean())
        atoms = self.sublattice.decorated(row)
        cell = (1 - share) * self.cells[0] + share * self.cells[1]
        fractional = (1 - share) * self.fractional[0] + share * self.fractional[1]
        atoms.set_cell(cell)
        atoms.positions = fractional @ cell
        return atoms


def parent_phase(name: str, ranking: Ranking, n_cations: int = 1) -> ParentPhase:
    """A parent from a ranking of its orderings: the relaxed cells of its first rows.

    Args:
        name: begins the names of its compositions.
        ranking: of the parent's orderings, by the potential that evaluates the series.
        n_cations: rows taken; `SeriesSettings.cation_orderings`.
    """
    return ParentPhase(name=name, structures=tuple(row.relaxation.atoms for row in ranking.rows[:n_cations]))


def relax_ends(
    parent: ParentPhase,
    potential: Potential,
    settings: SeriesSettings,
    ranking: RankingSettings,
    *,
    progress: Progress = silent,
    stop: Stop = never,
) -> tuple[FrameworkEnds, ...]:
    """Relax each cation ordering of a parent with one element alone and with the other.

    Args:
        parent: its ordered cells; `settings.cation_orderings` of them are used.
        potential: relaxes them.
        settings: elements and symmetry tolerance.
        ranking: force tolerance and most steps.
        progress: told the relaxations done.
        stop: asked between steps.
    Raises:
        InputError: a structure without the elements.
        PhysicsRefusal: an end that cannot be relaxed; without it there is no framework.
        Interrupted: `stop` said so.

    Checked by tests/ranking/test_ranking_framework.py.
    """
    starts: list[Atoms] = []
    for structure in parent.structures[: settings.cation_orderings]:
        sublattice = find_sublattice(structure, settings.elements, symprec=settings.symmetry_tolerance_angstrom)
        for k in (0, 1):
            start = sublattice.decorated(np.full(sublattice.n_sites, k, dtype=np.uint8))
            start.set_scaled_positions(sublattice.symmetric)  # to rounding: relaxation then keeps the symmetry
            starts.append(start)
    outcomes = relax_batch(starts, potential, ranking, progress=progress, stop=stop)
    for outcome in outcomes:
        if isinstance(outcome, PhysicsRefusal):
            raise PhysicsRefusal(
                f"an end of the series of {parent.name} cannot be relaxed: {outcome.what}",
                where=outcome.where,
                fix=outcome.fix,
            )
    return tuple(
        FrameworkEnds(parent=parent.name, cations=k // 2, host=outcomes[k], guest=outcomes[k + 1])
        for k in range(0, len(outcomes), 2)
    )


def build_framework(ends: FrameworkEnds, supercell: Supercell, settings: SeriesSettings) -> Framework:
    """A cation ordering in a supercell: the geometry of both relaxed ends, and the symmetry of their middle.

    What the ends do not share the middle does not have, so that x and its mirror have one group.

    Raises:
        OrderingError: no consistent symmetry at the tolerance.
    """
    matrix = np.array(supercell)
    host, guest = (make_supercell(end.atoms, matrix, wrap=False) for end in (ends.host, ends.guest))
    cells = np.stack([host.cell.array, guest.cell.array])
    fractional = np.stack([np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T for atoms in (host, guest)])
    middle = host.copy()
    middle.set_cell(cells.mean(axis=0))
    middle.positions = fractional.mean(axis=0) @ cells.mean(axis=0)
    sublattice = find_sublattice(middle, settings.elements, symprec=settings.symmetry_tolerance_angstrom)
    return Framework(sublattice=sublattice, cells=cells, fractional=fractional[:, sublattice.order])


def best_supercell(structures: Sequence[Atoms], n_cells: int) -> Supercell:
    """The most compact supercell of n cells among those whose periodic images are farthest apart.

    All supercells of that size are looked at: every Hermite normal form of determinant n. Shortest distances
    between images within 3 % of the longest tie (relaxed cells are only nearly hexagonal or cubic); of these the
    one with the least sum of squared edges of its reduced cell is taken. Structures of one parent have nearly one
    cell; that of the first decides.

    Raises:
        InputError: no structure, or no cell at all.

    Source: Hart, Forcade, Phys. Rev. B 77, 224115 (2008). Checked by tests/ranking/test_ranking_framework.py.
    """
    if not structures or n_cells < 1:
        raise InputError("a supercell needs a structure and at least one cell", fix="give an ordered cell")
    cell = structures[0].cell.array
    forms = hermite_forms(n_cells)
    distances = image_distances(np.array(forms) @ cell)
    tied = [forms[k] for k in np.flatnonzero(distances >= (1 - _SAME_DISTANCE) * distances.max())]

    def size(form: Supercell) -> tuple[float, bool, Supercell]:
        vectors = np.array(reduced_supercell(cell, form)) @ cell
        return round(float((vectors**2).sum()), 3), not is_diagonal(form), form

    form = min(tied, key=size)
    return form if is_diagonal(form) else reduced_supercell(cell, form)


def formula_units(atoms: Atoms, elements: tuple[str, str]) -> tuple[int, int]:
    """(formula units in a cell, shared sites in one), the two elements taken as one."""
    symbols = [elements[0] if symbol == elements[1] else symbol for symbol in atoms.get_chemical_symbols()]
    counts = {symbol: symbols.count(symbol) for symbol in set(symbols)}
    units = math.gcd(*counts.values())
    return units, counts.get(elements[0], 0) // units
