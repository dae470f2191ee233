"""What the ranking room gives: relaxed orderings, told apart and ranked."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from ase import Atoms

__all__ = [
    "BackCheck",
    "Candidate",
    "MergedOrdering",
    "OrbitOccupancy",
    "PrefilterQuality",
    "RankedOrdering",
    "Ranking",
    "RefusedOrdering",
    "Relaxation",
    "Selection",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An ordering chosen for relaxation.

    Attributes:
        ordering: its index in the ordering set.
        multiplicity: orderings equivalent to it.
        electrostatic_energy: Ewald energy of formal point charges per atom, eV/atom.
        atoms: the unrelaxed cell.
        is_control: drawn at random from those that are not lowest in electrostatic energy.
        split: how its atoms are spread over the orbits; empty where all orderings are spread alike.
    """

    ordering: int
    multiplicity: int
    electrostatic_energy: float
    atoms: Atoms
    is_control: bool = False
    split: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The orderings chosen for relaxation, and how.

    Attributes:
        candidates: lowest electrostatic energy first, the control group after them.
        note: the choice in words, for the reader.
        n_tied_left_out: orderings left out although they tie with a chosen one; 0 when the cut is clean.
    """

    candidates: tuple[Candidate, ...]
    note: str
    n_tied_left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """One structure relaxed with free cell.

    Attributes:
        atoms: the relaxed cell.
        energy: eV/atom.
        is_converged: the largest force and the cell's gradient fell below the tolerance.
        n_steps: FIRE steps.
        max_force: largest force norm at the end, eV/Angstrom.
        max_stress: largest |stress component| at the end, eV/Angstrom^3.
        volume_change: V_end / V_start - 1.
        max_displacement: largest displacement of an atom in fractional space mapped to the end cell, mean
            displacement removed, Angstrom.
        space_group_before, space_group_after: Hermann-Mauguin symbols (symprec 0.01 and 0.1 Angstrom).
        static_energy: of the start, unrelaxed, eV/atom; NaN: not recorded.
    """

    atoms: Atoms
    energy: float
    is_converged: bool
    n_steps: int
    max_force: float
    max_stress: float
    volume_change: float
    max_displacement: float
    space_group_before: str
    space_group_after: str
    static_energy: float = math.nan

    @property
    def volume_per_atom(self) -> float:
        """Of the relaxed cell, Angstrom^3."""
        return float(self.atoms.get_volume() / len(self.atoms))

    @property
    def energy_per_formula_unit(self) -> float:
        """eV per formula unit, the smallest whole numbers of the cell's elements: Li3YCl6 of Li9Y3Cl18."""
        return self.energy * len(self.atoms) / math.gcd(*Counter(self.atoms.numbers.tolist()).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedOrdering:
    """One line of the ranked table.

    Attributes:
        rank: 1 for the lowest energy.
        ordering: index in the ordering set.
        multiplicity: orderings equivalent to it, those of merged duplicates included.
        electrostatic_energy: eV/atom.
        energy_above_best: eV/atom.
        boltzmann_weight: at the ranking's temperature, over the ranked ones alone; multiplicity included.
        duplicates: orderings that relaxed into this same structure.
        relaxation: the relaxed cell and how it got there.
        is_control: drawn at random, not for its electrostatic energy.
        split: how its atoms are spread over the orbits; empty where all orderings are spread alike.
    """

    rank: int
    ordering: int
    multiplicity: int
    electrostatic_energy: float
    energy_above_best: float
    boltzmann_weight: float
    duplicates: tuple[int, ...]
    relaxation: Relaxation
    is_control: bool = False
    split: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedOrdering:
    """An ordering that relaxed into the structure of a lower one, whose row speaks for it.

    Attributes:
        ordering: its index in the ordering set.
        collapsed_to: the ordering of the row.
        multiplicity: its own.
        electrostatic_energy, static_energy, energy: eV/atom.
        is_control: drawn at random, not for its electrostatic energy.
        split: how its atoms were spread over the orbits.
    """

    ordering: int
    collapsed_to: int
    multiplicity: int
    electrostatic_energy: float
    static_energy: float
    energy: float
    is_control: bool
    split: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedOrdering:
    """An ordering whose relaxation physics refused.

    Attributes:
        ordering: index in the ordering set.
        multiplicity: orderings equivalent to it.
        electrostatic_energy: eV/atom.
        reason: what happened, in words.
    """

    ordering: int
    multiplicity: int
    electrostatic_energy: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefilterQuality:
    """How many of the best orderings the electrostatic energy left out, by the measure of a control group.

    Attributes:
        n_orderings: distinct orderings there were.
        n_chosen: relaxed because they are lowest in electrostatic energy.
        control: orderings drawn at random from the others and relaxed.
        n_rest: the others, the control group included.
        depth: k of the recall: it is asked for the k lowest of all after relaxation.
        recall: estimated part of those k that is among the chosen; NaN without a control group.
        recall_low, recall_high: bounds of its 95 % confidence interval.
        below_best: control orderings that relaxed below the lowest of the chosen.
        below_depth: control orderings that relaxed below the k-th lowest of the chosen.
        spearman: rank correlation of electrostatic and relaxed energy over all relaxed.
        spearman_control: the same over the control group alone, which stands for all of the rest.
        spearman_static: rank correlation of the potential's energy before and after relaxation.
        note: the finding in words.
    """

    n_orderings: int
    n_chosen: int
    control: tuple[int, ...]
    n_rest: int
    depth: int
    recall: float
    recall_low: float
    recall_high: float
    below_best: int
    below_depth: int
    spearman: float
    spearman_control: float
    spearman_static: float
    note: str

    @property
    def n_control(self) -> int:
        """Size of the control group."""
        return len(self.control)

    @property
    def missed(self) -> float:
        """Estimated number of the k lowest orderings of all that are not among the chosen."""
        return self.depth * (1 - self.recall)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrbitOccupancy:
    """Occupancy of one orbit by one element, refined and in the relaxed orderings.

    Attributes:
        orbit: index of the orbit in the crystal.
        wyckoff: its multiplicity and letter.
        element: symbol.
        refined: occupancy of the refinement.
        weighted: Boltzmann-weighted mean over the relaxed orderings, on the sites where they started.
        infinite: mean over all orderings alike, T -> infinity; NaN where it is not known exactly.
    """

    orbit: int
    wyckoff: str
    element: str
    refined: float
    weighted: float
    infinite: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BackCheck:
    """What the relaxed orderings say about the refined occupancies.

    Attributes:
        temperature_k: of the Boltzmann weights.
        occupancies: one per disordered orbit and element.
        multiplicity_share: part of all orderings (equivalent ones counted) that were relaxed.
        weight_share: estimated part of the Boltzmann weight of all orderings that the relaxed ones hold; NaN where
            no control group tells.
        note: what the means stand for, in words.
    """

    temperature_k: float
    occupancies: tuple[OrbitOccupancy, ...]
    multiplicity_share: float
    weight_share: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The ranked orderings, best first.

    Attributes:
        potential: name of the potential.
        temperature_k: temperature of the Boltzmann weights.
        n_orderings: distinct orderings there were.
        n_relaxed: orderings relaxed (the rest was left out by electrostatic energy).
        spearman: rank correlation between electrostatic and relaxed energy over those relaxed; NaN below 3.
        rows: the ranked orderings.
        refused: orderings whose relaxation exploded or collapsed; they are in no row.
        merged: orderings that relaxed into the structure of a row.
        quality: what the choice by electrostatic energy missed; None: not asked.
        back_check: occupancies against the refinement; None: not asked.
        notes: what a reader must know about the set of orderings.
    """

    potential: str
    temperature_k: float
    n_orderings: int
    n_relaxed: int
    spearman: float
    rows: tuple[RankedOrdering, ...]
    refused: tuple[RefusedOrdering, ...] = ()
    merged: tuple[MergedOrdering, ...] = ()
    quality: PrefilterQuality | None = None
    back_check: BackCheck | None = None
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> RankedOrdering:
        """The lowest in energy."""
        return self.rows[0]
