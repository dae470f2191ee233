"""What the ranking room gives: relaxed orderings, told apart and ranked."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms

__all__ = ["Candidate", "RankedOrdering", "Ranking", "RefusedOrdering", "Relaxation", "Selection"]


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
        candidates: lowest electrostatic energy first.
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
    """

    rank: int
    ordering: int
    multiplicity: int
    electrostatic_energy: float
    energy_above_best: float
    boltzmann_weight: float
    duplicates: tuple[int, ...]
    relaxation: Relaxation


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
    """

    potential: str
    temperature_k: float
    n_orderings: int
    n_relaxed: int
    spearman: float
    rows: tuple[RankedOrdering, ...]
    refused: tuple[RefusedOrdering, ...] = ()

    @property
    def best(self) -> RankedOrdering:
        """The lowest in energy."""
        return self.rows[0]
