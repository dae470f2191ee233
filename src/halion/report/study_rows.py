"""The rows that the study reports for its materials, for comparison."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from importlib import resources
from typing import Literal

__all__ = ["STUDY_SOURCE", "StudyRow", "reduced_formula", "study_rows"]

STUDY_SOURCE = "Böhm and Champagne, arXiv:2510.09861, with the experiments quoted there"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """What one source says about one material.

    Attributes:
        name: potential, or authors of the experiment.
        kind: "model" or "experiment".
        pressure_gpa: of a model's dynamics; NaN where not stated.
        volume: (temperature in K, volume in Angstrom^3 per atom) pairs.
        activation_energy_ev: NaN where not given.
        conductivity_ms_per_cm: at 300 K; NaN where not given.
    """

    name: str
    kind: Literal["model", "experiment"]
    pressure_gpa: float
    volume: tuple[tuple[float, float], ...]
    activation_energy_ev: float
    conductivity_ms_per_cm: float

    @property
    def label(self) -> str:
        """Name with its pressure."""
        if math.isnan(self.pressure_gpa):
            return self.name
        return f"{self.name}, {'1 bar' if self.pressure_gpa < 0.01 else f'{self.pressure_gpa:g} GPa'}"


def study_rows(formula: str) -> tuple[StudyRow, ...]:
    """The study's rows of a material; empty where it has none.

    Args:
        formula: reduced formula, e.g. "Li3YBr6".
    """
    text = (resources.files("halion.report") / "data" / "study.toml").read_text(encoding="utf-8")
    return tuple(
        StudyRow(
            name=row["name"],
            kind=row["kind"],
            pressure_gpa=row.get("pressure_gpa", math.nan),
            volume=tuple((float(kelvin), float(value)) for kelvin, value in row.get("volume", [])),
            activation_energy_ev=row.get("activation_energy_ev", math.nan),
            conductivity_ms_per_cm=row.get("conductivity_300k_ms_per_cm", math.nan),
        )
        for row in tomllib.loads(text).get(formula, [])
    )


def reduced_formula(amounts: Mapping[str, float]) -> str:
    """Elements in their order with the smallest whole numbers, e.g. {"Li": 6, "Y": 2, "Br": 12} -> "Li3YBr6".

    Amounts are rounded to whole atoms first; refinements miss them by some hundredths.
    """
    whole = {element: round(amount) for element, amount in amounts.items() if round(amount) > 0}
    divisor = reduce(math.gcd, whole.values(), 0) or 1
    # Cations before anions as in the study's names; other crystals keep the order of their file.
    order = {"Li": 0, "Y": 1, "Cl": 2, "Br": 3}
    elements = sorted(whole, key=lambda element: order.get(element, 9))
    return "".join(
        element + (str(whole[element] // divisor) if whole[element] // divisor > 1 else "") for element in elements
    )
