"""What a reproduction gives: each number of the study beside those computed here, with a state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Cause", "Computed", "Exhibit", "Line", "Reproduction", "State"]

State = Literal["computed here", "bounded here", "by others", "not reached"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """One number computed here.

    Attributes:
        value: NaN where only a bound is known.
        low, high: 68 % interval; NaN where none is known.
        upper_bound: 95 % bound where there is no value; NaN otherwise.
        run: name of the origin.
        model: of the potential.
        words: what else must be known: length, verdict, ordering.
        confidence: of the bound; empty where it is certain.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    upper_bound: float = math.nan
    run: str
    model: str
    words: str = ""
    confidence: str = "95 %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One number of the study, or one that it does not give.

    Attributes:
        quantity: with its temperature or composition.
        condition: model and pressure, or who measured it.
        unit: of all values.
        published: what is printed; NaN where no number is at hand.
        source: by whom that is, or why there is no number.
        computed: here; several where several runs answer.
        why: it was not reached here; empty where it was, or where it is not for halion to compute.
        is_ratio: a factor compares better than a difference (conductivity, diffusivity, cost).
        is_limit: the study says that it does not exceed `published`.
        text: the study's words where it gives no number.
    """

    quantity: str
    condition: str
    unit: str
    published: float
    source: str
    computed: tuple[Computed, ...] = ()
    why: str = ""
    is_ratio: bool = False
    is_limit: bool = False
    text: str = ""

    @property
    def state(self) -> State:
        """Computed here, bounded here, by others, or not reached."""
        if any(math.isfinite(one.value) for one in self.computed):
            return "computed here"
        if any(math.isfinite(one.upper_bound) for one in self.computed):
            return "bounded here"
        return "not reached" if self.why else "by others"

    def difference(self, one: Computed) -> float:
        """Computed minus published, or over it where a factor compares better; NaN where either is missing."""
        return one.value / self.published if self.is_ratio else one.value - self.published

    def agreement(self, one: Computed) -> str:
        """How a computed number lies to the published one, in words; empty where nothing compares."""
        if not math.isfinite(self.published):
            return ""
        if not math.isfinite(one.value):
            if not math.isfinite(one.upper_bound):
                return ""
            above = self.published > one.upper_bound
            return "the study's value is above the bound" if above else "the bound allows the study's value"
        if self.is_limit:
            return "within the study's limit" if one.value <= self.published else "beyond the study's limit"
        if not math.isfinite(one.low) or not math.isfinite(one.high):
            return ""
        is_inside = one.low <= self.published <= one.high
        return f"the study's value is {'inside' if is_inside else 'outside'} the 68 % interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing that was done otherwise: its name, how it was here, how in the study."""

    name: str
    here: str
    there: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """One table or figure of the study made again."""

    key: str
    name: str
    title: str
    lines: tuple[Line, ...]

    def count(self, state: State) -> int:
        """Lines in this state."""
        return sum(line.state == state for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """The study made again.

    Attributes:
        exhibits: its tables and figures.
        causes: name of an origin -> what was done otherwise there.
        notes: on the inputs as a whole (e.g. models mixed, unfinished runs).
    """

    exhibits: tuple[Exhibit, ...]
    causes: dict[str, tuple[Cause, ...]]
    notes: tuple[str, ...]
