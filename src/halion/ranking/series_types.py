"""What the composition series gives: a plan, and a catalogue of one entry per composition and parent."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms

from halion.orderings.types import OrderingCount, Supercell
from halion.ranking.arrange import SurrogateQuality
from halion.ranking.types import Relaxation

__all__ = ["PlannedComposition", "SeriesEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedComposition:
    """One composition on one parent's framework, before anything is evaluated.

    Attributes:
        name: the parent's name and x, e.g. "LYB2.5".
        parent: name of the parent.
        x: guests per formula unit.
        supercell: of the parent's ordered cell, the smallest that holds x exactly.
        n_atoms: of that cell.
        n_sites: shared sites.
        n_guests: guests on them.
        formula_units: in that cell.
        counts: exact numbers of arrangements for each cation ordering.
        mirror: name of the composition with the elements exchanged, whose representatives are the same; "" if the
            series has none.
        is_listed: whether all distinct arrangements are listed, or drawn because there are too many.
        most_evaluated: energies asked for at most.
    """

    name: str
    parent: str
    x: float
    supercell: Supercell
    n_atoms: int
    n_sites: int
    n_guests: int
    formula_units: int
    counts: tuple[OrderingCount, ...]
    mirror: str
    is_listed: bool
    most_evaluated: int

    @property
    def total(self) -> int:
        """Arrangements over all cation orderings, before symmetry."""
        return sum(count.total for count in self.counts)

    @property
    def distinct(self) -> int:
        """Symmetry-distinct arrangements over all cation orderings."""
        return sum(count.distinct for count in self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEntry:
    """The chosen structure of one composition, and why.

    Attributes:
        plan: what was to be done.
        counts: exact numbers of arrangements for each cation ordering, under the symmetry of its relaxed ends.
        cations: which cation ordering of the parent it has, from 0.
        start: the chosen arrangement before relaxation.
        relaxation: the same relaxed.
        n_evaluated: arrangements evaluated.
        n_refused: those whose energy physics refused.
        verdict: as `ArrangementSearch.verdict`; of several searches the weakest.
        surrogate: quality of the surrogate of the chosen cation ordering; None where all were evaluated.
        mixing_energy: E(x) - (1 - x/X) E(0) - (x/X) E(X) per formula unit, eV, with X the shared sites of a formula
            unit and both ends those of this parent.
        runner_up: energy of the second lowest arrangement above the chosen one, eV/atom; NaN where there is none.
        evidence: the choice in words.
    """

    plan: PlannedComposition
    counts: tuple[OrderingCount, ...]
    cations: int
    start: Atoms
    relaxation: Relaxation
    n_evaluated: int
    n_refused: int
    verdict: str
    surrogate: SurrogateQuality | None
    mixing_energy: float
    runner_up: float
    evidence: str
