"""The settings of a study, validated, every key with its unit in its name; how they are read: `study_file.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "DynamicsSettings",
    "MachineSettings",
    "OrderingSettings",
    "RankingSettings",
    "SeriesSettings",
    "StudySettings",
    "TransportSettings",
]


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused, no coercion of nonsense."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Repeats = tuple[int, int, int]
Matrix = tuple[Repeats, Repeats, Repeats]


class OrderingSettings(Settings):
    """Which ordered cells stand for the disordered crystal."""

    supercell: Repeats | Matrix | None = Field(
        None,
        description="repeats of the refined cell along a, b, c, or a 3x3 matrix whose rows are the supercell's "
        "vectors; null: the best fit within max_atoms",
    )
    cell: Literal["refined", "primitive"] = Field(
        "refined", description="cell that supercells repeat: as refined, or its primitive cell where it is centred"
    )
    max_atoms: int = Field(80, gt=0, description="largest ordered cell tried when supercell is null")
    closest_cations_angstrom: float = Field(
        2.5, ge=0, description="two cation sites closer than this are never filled together"
    )
    exclude: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="pairs of elements and the distance below which theirs never are, Angstrom: {Y-Y: 3.5}"
    )
    shapes: Literal["all", "diagonal"] = Field("all", description="supercells tried when supercell is null")
    tolerance: float | None = Field(
        None, gt=0, description="the smallest supercell whose occupancies all lie this near; null: the nearest"
    )
    pool: tuple[str, ...] = Field(
        (), description="elements spread over all their orbits, whatever each orbit's refined occupancy; [Li]"
    )
    window: int = Field(
        0, ge=0, description="atoms by which the number of an element on an orbit may differ from the nearest"
    )
    limit: int = Field(200_000, gt=0, description="most symmetry-distinct orderings to list; more is refused")
    sample: Literal["colourings", "orderings", "low-energy"] | None = Field(
        None,
        description="draw instead of listing: every ordering or every distinct one equally likely, or low ones",
    )
    sample_size: int = Field(1000, gt=0, description="draws of a sample")
    seed: int = Field(0, ge=0, description="seed of a sample")

    @property
    def primitive(self) -> bool:
        """Whether the crystal is taken in its primitive cell."""
        return self.cell == "primitive"

    @field_validator("supercell", mode="before")
    @classmethod
    def _is_a_supercell(cls, given: Any) -> Any:
        return None if given is None else _supercell(given)


def _is_triple(given: Any) -> bool:
    is_list = isinstance(given, list | tuple) and len(given) == 3
    return is_list and all(isinstance(n, int) and not isinstance(n, bool) for n in given)


def _is_repeats(given: Any) -> bool:
    return _is_triple(given) and min(given) >= 1


def _is_matrix(given: Any) -> bool:
    if not isinstance(given, list | tuple) or len(given) != 3 or not all(_is_triple(row) for row in given):
        return False
    (a, b, c), (d, e, f), (g, h, i) = given
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) != 0


def _supercell(given: Any) -> Any:
    """Told here, for pydantic would name each member of the union and its own failure."""
    if not _is_repeats(given) and not _is_matrix(given):
        raise ValueError(
            "three whole numbers of at least one (repeats along a, b, c), or three rows of three whole numbers "
            "with a determinant"
        )
    return given


class RankingSettings(Settings):
    """How ordered cells are relaxed and ranked."""

    potential: str = Field("chgnet", description="name of the potential, or path of a checkpoint")
    relax_best: int = Field(20, gt=0, description="orderings relaxed, the lowest in electrostatic energy first")
    control: int = Field(
        20, ge=0, description="orderings drawn at random from all others and relaxed too: they show what was missed"
    )
    least_recall: float = Field(
        0.8, ge=0, le=1, description="more are relaxed while less of the best relax_best is estimated to be found"
    )
    relax_most: int = Field(100, gt=0, description="most orderings relaxed in all, however many were missed")
    seed: int = Field(0, ge=0, description="seed of the control group")
    force_tolerance_ev_per_angstrom: float = Field(0.01, gt=0, description="FIRE stops below this")
    max_steps: int = Field(1000, gt=0, description="most FIRE steps of one relaxation")
    temperature_k: float = Field(300.0, gt=0, description="temperature of the Boltzmann weights")


class SeriesSettings(Settings):
    """The composition series: one anion replaced by another, step by step, in each parent phase."""

    elements: tuple[str, str] = Field(("Cl", "Br"), description="the element replaced and the one that replaces it")
    steps: tuple[float, ...] = Field(
        tuple(0.5 * k for k in range(13)),
        min_length=1,
        description="contents x of the second element per formula unit",
    )
    cation_orderings: int = Field(
        1, gt=0, description="cation orderings of each parent, the lowest first, that take part at each x"
    )
    symmetry_tolerance_angstrom: float = Field(
        0.1, gt=0, description="sites of a relaxed cell this near to symmetric ones are equivalent"
    )
    max_atoms: int = Field(120, gt=0, description="largest cell made to hold an x exactly")
    list_at_most: int = Field(100_000, gt=0, description="distinct arrangements that are listed; more are drawn")
    evaluate_at_most: int = Field(120, ge=10, description="most arrangements evaluated per x and cation ordering")
    settle_best: int = Field(
        10, gt=0, description="the search ends when the so many that the surrogate predicts lowest are evaluated"
    )
    energies: Literal["relaxed", "static"] = Field(
        "relaxed", description="what is evaluated: relaxed cells, or unrelaxed ones and the lowest relaxed after"
    )
    seed: int = Field(0, ge=0, description="seed of the random arrangements")


class DynamicsSettings(Settings):
    """The molecular dynamics of one study: heating, NVT, NPT, mean cell, NVT production."""

    potential: str = Field("chgnet", description="name of the potential, or path of a checkpoint")
    repeat: Repeats | Matrix = Field(
        (1, 1, 1), description="repeats of the best ordered cell along a, b, c, or a 3x3 matrix"
    )
    smallest_image_angstrom: float | None = Field(
        None, gt=0, description="instead: the smallest supercell of any shape whose images are this far apart"
    )
    temperatures_k: tuple[float, ...] = Field(
        (400.0, 450.0, 500.0, 550.0, 600.0, 650.0, 700.0, 750.0),
        min_length=1,
        description="production temperatures",
    )
    pressure_gpa: float = Field(1.0, description="pressure of the NPT stage; 1.0 is 10 kbar, 0.0001 is 1 bar")
    timestep_fs: float = Field(1.0, gt=0, le=5)
    thermostat_ps: float = Field(0.1, gt=0, description="Nose-Hoover chain time constant")
    barostat_ps: float = Field(1.0, gt=0, description="MTK barostat time constant")
    initial_temperature_k: float = Field(100.0, gt=0, description="velocities are drawn at this temperature")
    heating_ps: float = Field(2.0, ge=0, description="linear ramp to the target, cell fixed")
    nvt_ps: float = Field(50.0, ge=0, description="NVT equilibration")
    npt_ps: float = Field(140.0, gt=0, description="NPT equilibration, cell flexible")
    cell_average_ps: float = Field(112.0, gt=0, description="last part of the NPT stage, whose mean cell is kept")
    production_ps: float = Field(2000.0, gt=0, description="NVT production at the mean cell")
    store_every_steps: int = Field(10, gt=0, description="a frame is stored every so many steps")
    correlate_every_steps: int | None = Field(
        None,
        gt=0,
        description="mean squared displacements are gathered in production every so many steps, on the fly",
    )
    checkpoint_ps: float = Field(1.0, gt=0, description="most time lost when a run is killed")
    seed: int = Field(0, ge=0, description="seed of the initial velocities")

    @field_validator("repeat", mode="before")
    @classmethod
    def _is_a_supercell(cls, given: Any) -> Any:
        return _supercell(given)

    @model_validator(mode="after")
    def _consistent(self) -> DynamicsSettings:
        if self.cell_average_ps > self.npt_ps:
            raise ValueError(f"cell_average_ps ({self.cell_average_ps:g}) is longer than npt_ps ({self.npt_ps:g})")
        if any(temperature <= 0 for temperature in self.temperatures_k):
            raise ValueError("temperatures_k must be positive, in K")
        if len(set(self.temperatures_k)) < len(self.temperatures_k):
            raise ValueError("temperatures_k names one temperature twice")
        return self


class TransportSettings(Settings):
    """From trajectories to diffusivity and conductivity."""

    mobile_species: str = Field("Li", description="element of the mobile ion")
    shortest_lag_ps: float | None = Field(
        None, gt=0, description="shortest lag time of the fit; null: where ions have moved by half a squared hop"
    )
    longest_lag_ps: float = Field(500.0, gt=0, description="longest lag time of the fit")
    longest_lag_fraction: float = Field(0.5, gt=0, le=0.9, description="and at most this part of the run")
    hop_length_angstrom: float | None = Field(
        None, gt=0, description="distance between neighbouring mobile-ion sites; null: from the structure"
    )
    estimator: Literal["ols", "gls"] = Field(
        "ols", description="slope by ordinary least squares, or by generalised ones with the covariance of the lags"
    )
    error: Literal["largest", "he2018", "covariance", "block"] = Field(
        "largest", description="error of a diffusivity: of He 2018, of the lags' covariance, of parts of the run"
    )
    report_temperature_k: float = Field(300.0, gt=0, description="temperature of the reported conductivity")


class ExtensionSettings(Settings):
    """Runs that are made longer until the conductivity is known well enough."""

    target_factor: float | None = Field(
        None,
        gt=1,
        description="68 % interval wanted, a factor either way, e.g. 1.5; null: runs stay as they are",
    )
    budget_ps: float = Field(2000.0, ge=0, description="most time that may be added, over all temperatures")
    piece_ps: float = Field(100.0, gt=0, description="least time added to a run at once")


class MachineSettings(Settings):
    """Where the work runs."""

    workers: int | None = Field(None, gt=0, description="processes at once; null: one per core")
    threads_per_worker: int = Field(1, gt=0, description="threads of each process")
    device: Literal["cpu", "cuda"] = "cpu"


class StudySettings(Settings):
    """A whole study, from a disordered crystal to its conductivity."""

    crystal: str = Field(description="a built-in material (Li3YBr6) or the path of a CIF")
    preset: Literal["quick", "paper"] = Field("quick", description="protocol whose values fill what is not given")
    orderings: OrderingSettings = OrderingSettings()
    ranking: RankingSettings = RankingSettings()
    dynamics: DynamicsSettings = DynamicsSettings()
    transport: TransportSettings = TransportSettings()
    extension: ExtensionSettings = ExtensionSettings()
    machine: MachineSettings = MachineSettings()
