"""What a reproduction is made from: runs, series, evaluations, benchmarks, each with where it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from halion.arrays import FloatArray
from halion.report.types import Failure
from halion.training.evaluate import PotentialErrors
from halion.transport.mechanism import MechanismSummary
from halion.transport.types import Arrhenius, Conductivity, RunTransport

__all__ = [
    "Benchmark",
    "ComputedRun",
    "ComputedSeries",
    "Evaluation",
    "Model",
    "Origin",
    "ReproductionInputs",
    "SeriesPoint",
    "VolumePoint",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A potential.

    Attributes:
        name: as the run has it.
        kind: pretrained CHGNet, fine-tuned CHGNet, or another potential.
        dispersion: whether D3 is added at run time.
        trained_to_k: hottest frames that it learned from; NaN where not recorded.
        labels: method of its labels; empty where not recorded.
    """

    name: str
    kind: Literal["pretrained", "fine-tuned", "other"]
    dispersion: bool = False
    trained_to_k: float = math.nan
    labels: str = ""

    @property
    def label(self) -> str:
        """The kind of model, as the study names its own."""
        base = {"pretrained": "CHGNet pretrained", "fine-tuned": "CHGNet fine-tuned"}.get(self.kind)
        plain = self.name.lower().removesuffix("+d3")
        # The one potential that is not CHGNet in the study's tables; its file has this in its name.
        named = "SevenNet-MF-ompa" if "ompa" in plain else plain
        return (base or named) + (" + D3" if self.dispersion else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where numbers come from.

    Attributes:
        name: of the folder or file, without the way to it.
        what: kind of input, e.g. "study" or "series".
        state: how far it is; empty where it is finished.
        command: that made it; empty where not recorded.
        wall_s: time that it took, s; NaN where not recorded.
        machine: that it ran on.
        commit: of halion.
        started: when; empty where not recorded.
    """

    name: str
    what: str
    state: str = ""
    command: str = ""
    wall_s: float = math.nan
    machine: str = ""
    commit: str = ""
    started: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePoint:
    """Mean volume per atom, Angstrom^3, with its standard deviation (NaN of a relaxed cell, at 0 K)."""

    temperature_k: float
    pressure_gpa: float
    volume: float
    std: float
    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedRun:
    """One study or ranking of one crystal.

    Attributes:
        origin: where it comes from.
        material: reduced formula.
        x: bromine atoms per formula unit Li3YCl6-xBrx; NaN for another material.
        model: of its dynamics.
        pressure_gpa: of its dynamics.
        n_atoms: in its cell.
        ordering: which ordering, of how many, chosen by what.
        space_group: of the refined crystal, or of the parent that an ordered cell is named after.
        timestep_fs, npt_ps, production_ps: of its dynamics; NaN without any.
        temperatures_k: of its dynamics.
        simulated_ps: all dynamics together that its wall time paid for; NaN where unfinished.
        volumes: reached.
        runs: transport at each temperature.
        arrhenius, conductivity: as the study folder has them.
        mechanisms: of the runs whose ions have sites.
        anisotropy: D along c* over D in the ab plane, and its 68 % interval; NaN where not known.
        failures: steps that refused.
    """

    origin: Origin
    material: str
    x: float
    model: Model
    pressure_gpa: float
    n_atoms: int
    ordering: str
    space_group: str = ""
    timestep_fs: float = math.nan
    npt_ps: float = math.nan
    production_ps: float = math.nan
    temperatures_k: tuple[float, ...] = ()
    simulated_ps: float = math.nan
    volumes: tuple[VolumePoint, ...] = ()
    runs: tuple[RunTransport, ...] = ()
    arrhenius: Arrhenius | None = None
    conductivity: Conductivity | None = None
    mechanisms: tuple[MechanismSummary, ...] = ()
    anisotropy: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    failures: tuple[Failure, ...] = ()

    @property
    def condition(self) -> str:
        """Model and pressure, as the study's rows have them."""
        return condition_of(self.model, self.pressure_gpa)


def condition_of(model: Model, pressure_gpa: float) -> str:
    """Model and pressure in words: "CHGNet fine-tuned, 10 kbar"; below 100 bar it is 1 bar."""
    pressure = "1 bar" if pressure_gpa < 0.01 else f"{10 * pressure_gpa:g} kbar"
    return f"{model.label}, {pressure}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """One composition of a series.

    Attributes:
        x: bromine atoms per formula unit.
        volumes: (trigonal, monoclinic) Angstrom^3 per atom at 0 K; NaN where one is missing.
        difference: trigonal minus monoclinic, eV/atom; NaN where one is missing.
        std: its standard deviation from the potential's error; NaN where none was given.
        left_out: why a phase is missing; empty where none is.
    """

    x: float
    volumes: tuple[float, float]
    difference: float
    std: float
    left_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedSeries:
    """One composition series.

    Attributes:
        origin: where it comes from.
        model: of all its energies.
        points: by x.
        transitions: x at which the difference changes sign.
        verdict: on the difference; empty where it has none.
        n_atoms: fewest and most atoms in its cells; zeros where not recorded.
        n_evaluated: fewest and most arrangements evaluated at one x; zeros where not recorded.
    """

    origin: Origin
    model: Model
    points: tuple[SeriesPoint, ...]
    transitions: tuple[float, ...] = ()
    verdict: str = ""
    n_atoms: tuple[int, int] = (0, 0)
    n_evaluated: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Errors of one potential on one set.

    Attributes:
        origin: where it comes from.
        model: that was evaluated.
        set_name: as the record has it.
        kind: "ends" (end members at finite temperature), "mixed", "rest" (relaxed structures), "training" (frames
            that potentials learned from) or "other".
        errors: of the set.
        parity: quantity ("energies", "forces", "stresses") -> (n, 2) label and prediction in the units of
            `Comparison`; empty where the record has none.
        over_temperature: (K, energy without a constant per composition in meV/atom, forces in meV/Angstrom,
            stress in MPa), mean absolute errors; empty where the frames say no temperature.
    """

    origin: Origin
    model: Model
    set_name: str
    kind: Literal["ends", "mixed", "rest", "training", "other"]
    errors: PotentialErrors
    parity: dict[str, FloatArray]
    over_temperature: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Cost of dynamics, of one potential on one crystal.

    Attributes:
        origin: where it comes from.
        what: potential, crystal, cell.
        s_per_atom_ps: wall time per atom and ps; NaN where it was not measured.
        label_over_step: cost of a DFT label over that of a step of dynamics; NaN where it was not measured.
    """

    origin: Origin
    what: str
    s_per_atom_ps: float = math.nan
    label_over_step: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproductionInputs:
    """Everything that was given."""

    runs: tuple[ComputedRun, ...] = ()
    series: tuple[ComputedSeries, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    benchmarks: tuple[Benchmark, ...] = ()

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Where everything comes from, each once."""
        every = (*self.runs, *self.series, *self.evaluations, *self.benchmarks)
        return tuple({one.origin.name: one.origin for one in every}.values())
