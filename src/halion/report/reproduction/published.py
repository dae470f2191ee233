"""What the study gives: its tables and figures, and its numbers."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from halion.report.study_rows import StudyRow, study_rows
from halion.units import BOLTZMANN_EV_PER_K, conductivity_from_ms_per_cm

__all__ = [
    "BY_STUDY",
    "END_MEMBERS",
    "PHASES",
    "ExhibitName",
    "Protocol",
    "Published",
    "published_diffusivity",
    "published_study",
]

BY_STUDY = "arXiv:2510.09861"
# Content x -> end member.
END_MEMBERS = {0.0: "Li3YCl6", 6.0: "Li3YBr6"}
# End member -> space group of the refined crystal that the study starts from.
PHASES = {"Li3YCl6": "P-3m1", "Li3YBr6": "C2/m"}
_LITHIUM_PER_ATOM = 3 / 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhibitName:
    """One table or figure, or several that show the same: a key, the names in the study, and what it shows."""

    key: str
    covers: tuple[str, ...]
    title: str

    @property
    def name(self) -> str:
        """The names in the study, joined: "Figures 2, S1, S2"."""
        kinds = {name.split(" ")[0] for name in self.covers}
        if len(self.covers) == 1 or len(kinds) > 1:
            return ", ".join(self.covers)
        return f"{kinds.pop()}s {', '.join(name.split(' ')[1] for name in self.covers)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The study's way to its numbers; units in the names, (from, to) pairs are ranges."""

    functional: str
    code: str
    static_cutoff_ev: float
    relaxation_cutoff_ev: float
    ranked_by: str
    kept_for_dft: int
    supercells: str
    force_tolerance_ev_per_angstrom: float
    timestep_fs: float
    heating_ps: float
    nvt_ps: float
    npt_ps: float
    cell_average_ps: float
    production_ps: float
    temperatures_k: tuple[float, float]
    store_every_steps: int
    longest_lag_ps: float
    substitution_step_x: float
    trained_to_k: float
    labels_per_round: tuple[int, int]
    test_temperatures_k: tuple[float, float]
    test_structures_per_temperature: int
    test_compositions_x: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The numbers of the study and of those whom it quotes.

    Attributes:
        exhibits: its tables and figures in the order of the page.
        rows: end member -> its rows, the study's models first.
        accuracy: kind of model -> test set -> quantity (with unit) -> mean absolute error that it does not exceed.
        pathways: end member -> how its ions diffuse, in words.
        cost_s_per_atom_ps: of its dynamics on a GPU.
        below_dft_orders: orders of magnitude by which that is below DFT.
        protocol: how it was done.
        conductivity: (x, mS/cm near 300 K, by whom) of mixed compositions.
    """

    exhibits: tuple[ExhibitName, ...]
    rows: Mapping[str, tuple[StudyRow, ...]]
    accuracy: Mapping[str, Mapping[str, Mapping[str, float]]]
    pathways: Mapping[str, str]
    cost_s_per_atom_ps: float
    below_dft_orders: float
    protocol: Protocol
    conductivity: tuple[tuple[float, float, str], ...]


def published_study() -> Published:
    """What arXiv:2510.09861 gives in numbers, as far as it is at hand, from the data files of the package.

    Checked by tests/report/test_reproduction_published.py: spot checks against the study's tables.
    """
    text = (resources.files("halion.report") / "data" / "study_exhibits.toml").read_text(encoding="utf-8")
    data: dict[str, Any] = tomllib.loads(text)
    protocol = {key: tuple(value) if isinstance(value, list) else value for key, value in data["protocol"].items()}
    return Published(
        exhibits=tuple(
            ExhibitName(key=one["key"], covers=tuple(one["covers"]), title=one["title"]) for one in data["exhibit"]
        ),
        rows={formula: study_rows(formula) for formula in END_MEMBERS.values()},
        accuracy=data["accuracy"],
        pathways=data["pathways"],
        cost_s_per_atom_ps=data["cost"]["md_gpu_s_per_atom_ps"],
        below_dft_orders=float(data["cost"]["below_dft_orders_of_magnitude"]),
        protocol=Protocol(**protocol),
        conductivity=tuple((one["x"], one["value"], one["source"]) for one in data["conductivity"]),
    )


def published_diffusivity(row: StudyRow, temperature_k: float) -> float:
    """Tracer diffusivity of a row at a temperature, Angstrom^2/ps; NaN where the row has no Ea or conductivity.

    D(T) = D(300 K) exp(-Ea/kB (1/T - 1/300 K)) with D(300 K) = sigma kB T / (n q^2): Nernst-Einstein backwards,
    with three lithium ions in ten atoms and the row's own volume at 300 K (at its temperature nearest to that).

    Checked by tests/report/test_reproduction_published.py: forwards again by hand.
    """
    volumes = dict(row.volume)
    if not volumes or math.isnan(row.conductivity_ms_per_cm * row.activation_energy_ev):
        return math.nan
    volume = volumes[min(volumes, key=lambda kelvin: abs(kelvin - 300.0))]
    density = _LITHIUM_PER_ATOM / volume
    at_300 = conductivity_from_ms_per_cm(row.conductivity_ms_per_cm) * BOLTZMANN_EV_PER_K * 300.0 / density
    return at_300 * math.exp(-row.activation_energy_ev / BOLTZMANN_EV_PER_K * (1 / temperature_k - 1 / 300.0))
