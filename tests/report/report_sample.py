"""Results of an imaginary quick study of Li3YBr6, built by hand with numbers as a real one gives them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
from ase import Atoms
from ase.geometry import cellpar_to_cell
from ase.spacegroup import crystal as build_crystal

from halion.crystal.types import ClosePair, DisorderedCrystal, Orbit
from halion.dynamics.types import Equilibration
from halion.orderings.types import Composition, OrbitComposition, OrderingCount, as_supercell
from halion.ranking.types import (
    BackCheck,
    OrbitOccupancy,
    PrefilterQuality,
    RankedOrdering,
    Ranking,
    Relaxation,
)
from halion.report.types import Failure, StudyResults
from halion.settings import TransportSettings
from halion.study_file import resolve
from halion.transport import HavenRatio, summarise_runs
from halion.transport.collective import Slopes
from halion.transport.density import IonDensity
from halion.transport.mechanism import MechanismSummary, SiteSummary
from halion.transport.network import HopEdge, HopNetwork, Percolation
from halion.transport.types import Arrhenius, Conductivity, DirectionDiffusivity, RunTransport
from halion.units import BOLTZMANN_EV_PER_K, conductivity_to_ms_per_cm

CELL = (6.9188, 11.9742, 6.8635, 90.0, 109.78, 90.0)
# label, Wyckoff position, first site, occupancy, atoms in the 40-atom cell
SITES = (
    ("Y1", "2a", (0.0, 0.0, 0.0), {"Y": 0.76128, "Li": 0.0456}, {"Y": 3}),
    ("Li1", "4g", (0.0, 0.3336, 0.0), {"Li": 0.53358}, {"Li": 4}),
    ("Li2", "4h", (0.0, 0.1670, 0.5), {"Li": 0.75378, "Y": 0.11936}, {"Li": 6, "Y": 1}),
    ("Li3", "8j", (0.1506, 0.1670, 0.8710), {"Li": 0.09492}, {"Li": 2}),
    ("Br1", "8j", (0.2492, 0.1679, 0.2410), {"Br": 1.0}, {"Br": 16}),
    ("Br2", "4i", (0.7504, 0.0, 0.2417), {"Br": 1.0}, {"Br": 8}),
)
TEMPERATURES = (450.0, 500.0, 550.0, 600.0)
ENERGY, LN_PREFACTOR = 0.262, math.log(20.0)  # eV, and of Angstrom^2/ps


def sites_of(first: tuple[float, float, float]) -> np.ndarray:
    """All sites of an orbit of C2/m."""
    return build_crystal("X", [first], spacegroup=12, cellpar=list(CELL)).get_scaled_positions()


def crystal(name: str = "Li3YBr6") -> DisorderedCrystal:
    orbits = tuple(
        Orbit(labels=(label,), wyckoff=wyckoff, fractional=sites_of(first), occupancy=occupancy)
        for label, wyckoff, first, occupancy, _ in SITES
    )
    return DisorderedCrystal(
        name=name,
        source="built-in: cell and occupancies of Schlem et al. 2021, coordinates idealised",
        cell=cellpar_to_cell(CELL),
        orbits=orbits,
        charges={"Li": 1.0, "Y": 3.0, "Br": -1.0},
        charge_origin="assigned",
        space_group="C2/m",
        space_group_number=12,
        rotations=np.array([np.eye(3, dtype=int)]),
        translations=np.zeros((1, 3)),
        close_pairs=(ClosePair(orbits=(1, 3), distance=2.273, occupancy_sum=0.6285),),
        notes=("The minor Y may sit on 4g rather than 4h.", "A working model: not to be cited as a refinement."),
    )


def composition() -> Composition:
    parts = []
    for index, (_, wyckoff, first, occupancy, counts) in enumerate(SITES):
        n_sites = 2 * len(sites_of(first))
        elements = set(occupancy) | set(counts)
        deviation = max(abs(counts.get(name, 0) / n_sites - occupancy.get(name, 0.0)) for name in elements)
        parts.append(
            OrbitComposition(
                orbit=index,
                wyckoff=wyckoff,
                n_sites=n_sites,
                counts=counts,
                refined=occupancy,
                deviation=deviation,
            )
        )
    return Composition(
        supercell=as_supercell((1, 1, 2)),
        orbits=tuple(parts),
        formula="Li12 Y4 Br24",
        charge=0.0,
        deviation=max(part.deviation for part in parts),
        ties=1,
    )


def ordered_cell(stretch: float = 1.02) -> Atoms:
    """A 40-atom ordering: the first sites of each orbit filled, good enough to look at."""
    symbols, places = [], []
    for label, _, first, _, counts in SITES:
        sites = sites_of(first)
        both = np.concatenate([sites * (1, 1, 0.5), sites * (1, 1, 0.5) + (0, 0, 0.5)])
        # Every second tetrahedral site is too near to an octahedral one: take the far ones.
        both = both[::-1] if label == "Li3" else both
        names = [name for name, n in counts.items() for _ in range(n)]
        symbols += names
        places += list(both[: len(names)])
    cell = cellpar_to_cell(CELL) * np.array([1, 1, 2])[:, None] * stretch
    return Atoms(symbols, scaled_positions=np.array(places), cell=cell, pbc=True)


def ranking() -> Ranking:
    above = (0.0, 0.0031, 0.0074, 0.0092, 0.0158)
    weights = np.array([4, 8, 8, 4, 8]) * np.exp(-np.array(above) * 40 / (BOLTZMANN_EV_PER_K * 300))
    weights /= weights.sum()
    rows = []
    for k, energy in enumerate(above):
        relaxation = Relaxation(
            atoms=ordered_cell(1.02 + 0.001 * k),
            energy=-4.2183 + energy,
            is_converged=k != 3,
            n_steps=118 + 31 * k,
            max_force=0.0087 if k != 3 else 0.0213,
            max_stress=0.0004,
            volume_change=0.061 + 0.003 * k,
            max_displacement=0.42 + 0.1 * k,
            space_group_before="P1",
            space_group_after=("C2", "P1", "Cm", "P1", "P-1")[k],
        )
        rows.append(
            RankedOrdering(
                rank=k + 1,
                ordering=(17, 3, 241, 88, 6)[k],
                multiplicity=(4, 8, 8, 4, 8)[k],
                electrostatic_energy=(-5.1312, -5.1344, -5.1290, -5.1277, -5.1301)[k],
                energy_above_best=energy,
                boltzmann_weight=float(weights[k]),
                duplicates=(29,) if k == 1 else (),
                relaxation=relaxation,
                is_control=k == 2,
            )
        )
    return Ranking(
        potential="chgnet-0.3.0",
        temperature_k=300.0,
        n_orderings=6412,
        n_relaxed=6,
        spearman=0.6,
        rows=tuple(rows),
        quality=PrefilterQuality(
            n_orderings=6412,
            n_chosen=5,
            control=(241,),
            n_rest=6407,
            depth=5,
            recall=0.8,
            recall_low=0.11,
            recall_high=0.99,
            below_best=0,
            below_depth=1,
            spearman=0.6,
            spearman_control=math.nan,
            spearman_static=0.9,
            note="1 of 1 control orderings relaxed below the fifth of the chosen.",
        ),
        back_check=BackCheck(
            temperature_k=300.0,
            occupancies=(
                OrbitOccupancy(
                    orbit=1, wyckoff="4h", element="Li", refined=0.754, weighted=0.861, infinite=math.nan
                ),
            ),
            multiplicity_share=0.0009,
            weight_share=0.72,
            note="The relaxed orderings hold 72 % of the Boltzmann weight.",
        ),
        notes=("Atoms are pooled over orbits.",),
    )


def equilibration(kelvin: float) -> Equilibration:
    volume = 28.4 + 0.0061 * (kelvin - 300)
    atoms = ordered_cell((volume * 40 / 1070.0) ** (1 / 3))
    return Equilibration(
        temperature_k=kelvin,
        pressure_gpa=1.0,
        atoms=atoms,
        mean_cell=np.array(atoms.cell),
        volume_per_atom=volume,
        volume_per_atom_std=0.18,
        mean_temperature_k=kelvin + 2.7,
        mean_pressure_gpa=0.97,
        momenta=np.zeros((40, 3)),
    )


def run(kelvin: float, *, verdict: str = "diffusive") -> RunTransport:
    """A run whose mean squared displacement is a cage plus 6 D t, with some noise."""
    rng = np.random.default_rng(int(kelvin))
    lags = np.arange(0.0, 6.01, 0.02)
    moves = verdict == "diffusive"
    diffusivity = math.exp(LN_PREFACTOR - ENERGY / (BOLTZMANN_EV_PER_K * kelvin)) * (1 + 0.08 * rng.normal())
    slope = 6 * diffusivity if moves else 0.004
    msd = 0.9 * (1 - np.exp(-lags / 0.15)) + slope * lags
    msd *= 1 + 0.01 * np.cumsum(rng.normal(size=lags.size)) * lags / 6
    vibration = {"Y": 0.28, "Br": 0.55}
    shares = np.diag([0.36, 0.38, 0.26])
    n_eff = 12 * (0.9 + slope * 6) / 3.4**2 * 12
    rsd = 3.43 / math.sqrt(n_eff) + 0.04
    return RunTransport(
        source=f"5-dynamics/{kelvin:g}K/production.h5",
        species="Li",
        n_ions=12,
        temperature_k=kelvin + (1.4 if moves else -31.0),
        target_temperature_k=kelvin,
        length_ps=12.0,
        n_frames=601,
        volume=40 * equilibration(kelvin).volume_per_atom,
        lag_time_ps=lags,
        msd=msd,
        msd_components=msd[:, None, None] * shares,
        framework_msd={
            name: size * kelvin / 500 * (1 - np.exp(-lags / 0.2)) + 0.004 * lags for name, size in vibration.items()
        },
        fit_window_ps=(0.74, 6.0),
        diffusivity=slope / 6,
        diffusivity_std=rsd * slope / 6,
        diffusivity_tensor=slope / 2 * shares,
        rsd_covariance=0.21,
        rsd_block=0.33,
        rsd_replica=0.44,
        error_method="he2018",
        n_independent=9.5,
        diffusivity_gls=slope / 6 * 1.02,
        diffusivity_gls_std=0.19 * slope / 6,
        diffusivity_tensor_std=0.3 * slope / 2 * (shares + 0.05),
        along=tuple(along(name, share, slope) for name, share in (("a", 1.08), ("ab", 1.1), ("c*", 0.78))),
        intercept=0.88,
        rsd_he=rsd,
        rsd_brownian=0.174,
        n_eff=n_eff,
        hop_length=3.4,
        hopped_fraction=0.83 if moves else 0.08,
        log_slope=0.88 if moves else 0.06,
        drift=0.31,
        verdict=verdict,
        reasons=(
            ("The mean squared displacement grows in proportion to time.", "Most ions left their site.")
            if moves
            else ("The mean squared displacement stays flat: the ions vibrate on their sites.",)
        ),
        upper_bound=math.nan if moves else 0.0041,
    )


def density(kelvin: float) -> IonDensity:
    """Two blobs of Li in the relaxed cell, the hotter the wider."""
    atoms = ordered_cell()
    cell, is_mobile = np.array(atoms.cell), atoms.numbers == 3
    shape = (18, 16, 12)
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    values = np.zeros(shape)
    for centre in ((0.3, 0.3, 0.4), (0.7, 0.6, 0.6)):
        values += np.exp(-((((points - centre) @ cell) ** 2).sum(axis=-1)) / (0.004 * kelvin))
    values *= is_mobile.sum() / (values.sum() * abs(np.linalg.det(cell)) / values.size)
    return IonDensity(
        species="Li",
        values=values,
        cell=cell,
        framework_symbols=tuple(np.array(atoms.get_chemical_symbols())[~is_mobile]),
        framework_fractional=atoms.get_scaled_positions()[~is_mobile],
        n_ions=float(is_mobile.sum()),
        n_frames=600,
        temperature_k=kelvin + 1.4,
        smoothing=0.3,
    )


def site(place: tuple[float, float, float], occupancy: float, kind: str, distance: float) -> SiteSummary:
    return SiteSummary(fractional=np.array(place), occupancy=occupancy, kind=kind, anion_distance=distance)


def mechanism(kelvin: float) -> MechanismSummary:
    """Two kinds of sites; hops across a shared face lead along c."""
    ways = Percolation(strength=(7.0,), directions=((0, 0, 1),), along=(0.0, 0.0, 7.0))
    part = np.diag([0.0, 0.0, 3e-3])
    edge = HopEdge(
        first=0,
        second=1,
        image=(0, 0, 1),
        vector=np.array([0.0, 0.0, 3.1]),
        n_forward=9,
        n_back=7,
        rate_forward=0.061,
        rate_back=0.057,
        rate_forward_std=0.02,
        rate_back_std=0.022,
        barrier_ev=0.217,
        barrier_std_ev=0.011,
        kind="octahedral-octahedral face",
    )
    return MechanismSummary(
        source=f"5-dynamics/{kelvin:g}K/production.h5",
        temperature_k=kelvin + 1.4,
        verdict=f"16 hops of 12 ions between 2 sites at {kelvin:g} K.",
        sites=(
            SiteSummary(
                fractional=np.array([0.0, 0.0, 0.25]), occupancy=0.871, kind="octahedral", anion_distance=2.77
            ),
            SiteSummary(
                fractional=np.array([0.5, 0.125, 0.75]), occupancy=0.13, kind="other", anion_distance=math.nan
            ),
        ),
        network=HopNetwork(
            edges=(edge,),
            by_hops=ways,
            by_density=ways,
            barrier_ev=(0.217,),
            barrier_along_ev=(math.inf, math.inf, 0.217),
            by_kind={"octahedral-octahedral face": 0.0133},
            hop_diffusivity=part,
            kind_diffusivity={"octahedral-octahedral face": part},
        ),
        n_hops=16,
        rate_per_ps=0.0133,
        returned=0.37,
    )


def along(name: str, share: float, slope: float) -> DirectionDiffusivity:
    value = share * slope / 6
    return DirectionDiffusivity(
        name=name,
        directions=np.eye(3)[:1],
        diffusivity=value,
        diffusivity_std=0.25 * value,
        diffusivity_gls=value,
        diffusivity_gls_std=0.2 * value,
        rsd_covariance=0.2,
        rsd_he=0.25,
    )


def haven(one: RunTransport) -> HavenRatio:
    value = one.diffusivity
    measured = Slopes(
        tracer=value, tracer_std=0.1 * value, charge=1.25 * value, charge_std=0.4 * value, correlation=0.3
    )
    return HavenRatio(
        source=one.source,
        species="Li",
        n_ions=12,
        temperature_k=one.temperature_k,
        lag_time_ps=one.lag_time_ps,
        charge_msd=1.2 * one.msd,
        fit_window_ps=one.fit_window_ps,
        measured=measured,
        diffuses=True,
    )


def arrhenius(runs: tuple[RunTransport, ...]) -> Arrhenius:
    moved = [one for one in runs if one.is_diffusive]
    kelvins = np.array([one.temperature_k for one in moved])
    value = np.array([one.diffusivity for one in moved])
    error = np.array([one.diffusivity_std for one in moved])
    design = np.stack([np.ones_like(kelvins), -1 / (BOLTZMANN_EV_PER_K * kelvins)], axis=1)
    weights = np.diag((value / error) ** 2)
    covariance = np.linalg.inv(design.T @ weights @ design)
    ln_prefactor, energy = covariance @ design.T @ weights @ np.log(value)
    residual = np.log(value) - design @ (ln_prefactor, energy)
    freedom = len(moved) - 2
    return Arrhenius(
        activation_energy=float(energy),
        activation_energy_std=float(math.sqrt(covariance[1, 1])),
        ln_prefactor=float(ln_prefactor),
        covariance=covariance,
        temperatures_k=kelvins,
        diffusivity=value,
        diffusivity_std=error,
        chi2_per_dof=float(residual @ weights @ residual / freedom) if freedom else math.nan,
        left_out_k=np.array([one.temperature_k for one in runs if not one.is_diffusive]),
    )


def conductivity(fit: Arrhenius, kelvin: float = 300.0, volume: float = 1136.0) -> Conductivity:
    slope = -1 / (BOLTZMANN_EV_PER_K * kelvin)
    spread = math.sqrt(np.array([1, slope]) @ fit.covariance @ np.array([1, slope]))
    diffusivity = math.exp(fit.ln_prefactor + slope * fit.activation_energy)
    middle = conductivity_to_ms_per_cm(12 * diffusivity / (volume * BOLTZMANN_EV_PER_K * kelvin))
    return Conductivity(
        temperature_k=kelvin,
        conductivity_ms_per_cm=middle,
        low_ms_per_cm=middle * math.exp(-spread),
        high_ms_per_cm=middle * math.exp(spread),
        low95_ms_per_cm=middle * math.exp(-1.96 * spread),
        high95_ms_per_cm=middle * math.exp(1.96 * spread),
        upper_bound_ms_per_cm=math.nan,
        volume=volume,
        n_ions=12,
        is_extrapolated=True,
        verdict="Extrapolated from 450-600 K by one straight line: right only if nothing changes in between.",
    )


def upper_bound() -> Conductivity:
    names = ("conductivity", "low", "high", "low95", "high95")
    return Conductivity(
        temperature_k=300.0,
        **{f"{name}_ms_per_cm": math.nan for name in names},
        upper_bound_ms_per_cm=3.75,
        volume=1136.0,
        n_ions=12,
        is_extrapolated=True,
        verdict="Li did not diffuse in any run: only an upper bound can be given.",
    )


def provenance() -> dict:
    return {
        "sessions": [{"started": "2026-11-23T10:00:00+0000", "wall_s": 512.3, "command": "halion run Li3YBr6"}],
        "halion": "0.1.0",
        "commit": "",
        "packages": {"ase": "3.29.0", "torch": "2.13.0"},
        "machine": {"processor": "AMD EPYC", "cores": 2, "memory_gib": 7.6},
        "settings_sha256": "ab" * 32,
        "potentials_sha256": {"chgnet-0.3.0": "cd" * 32},
        "seed": 0,
        "wall_s": 512.3,
    }


@cache
def complete() -> StudyResults:
    runs = tuple(run(kelvin) for kelvin in TEMPERATURES)
    fit = arrhenius(runs)
    return StudyResults(
        title="Li3YBr6",
        crystal=crystal(),
        composition=composition(),
        count=OrderingCount(total=1_411_200, distinct=179_208, group_order=8),
        n_after_exclusions=6412,
        excluded_below=2.5,
        ranking=ranking(),
        equilibrations=tuple(equilibration(kelvin) for kelvin in TEMPERATURES),
        runs=runs,
        summary=summarise_runs(runs, TransportSettings(), haven=[haven(one) for one in runs]),
        densities=tuple(density(kelvin) for kelvin in TEMPERATURES),
        mechanisms=tuple(mechanism(kelvin) for kelvin in TEMPERATURES),
        extension="Runs were made longer by 6 ps at 450 K.",
        arrhenius=fit,
        conductivity=conductivity(fit),
        failures=(),
        settings=resolve({"crystal": "Li3YBr6"}).model_dump(mode="json"),
        provenance=provenance(),
        caveats=(
            "This is a quick run: 12 ps of dynamics at 4 temperatures in a cell of 40 atoms. Expect the "
            "conductivity at 300 K to be uncertain by an order of magnitude beyond its statistical error bar; run "
            "the preset 'paper' for a number to publish.",
            "The potential is pretrained CHGNet 0.3.0, not fine-tuned for this material.",
        ),
    )


def without_value() -> StudyResults:
    """Nothing diffused: an upper bound."""
    runs = (run(450.0, verdict="upper bound"), run(500.0, verdict="upper bound"))
    summary = summarise_runs(runs, TransportSettings())
    return replace(
        complete(),
        runs=runs,
        densities=(),
        mechanisms=(),
        summary=summary,
        arrhenius=None,
        conductivity=upper_bound(),
        title="Li3YBr6, cold",
    )


def failures_only() -> StudyResults:
    return replace(
        complete(),
        runs=(),
        densities=(),
        mechanisms=(),
        summary=None,
        equilibrations=(),
        arrhenius=None,
        conductivity=None,
        provenance={},
        caveats=(),
        failures=(
            Failure(step="dynamics at 450 K", message="the cell exploded: 31 % expansion after 0.8 ps"),
            Failure(step="dynamics at 500 K", message="the framework melted"),
        ),
    )


def one_temperature() -> StudyResults:
    whole = complete()
    summary = summarise_runs(whole.runs[:1], TransportSettings())
    return replace(
        whole,
        runs=whole.runs[:1],
        densities=whole.densities[:1],
        mechanisms=whole.mechanisms[:1],
        summary=summary,
        equilibrations=whole.equilibrations[:1],
        arrhenius=None,
        conductivity=None,
    )


def hostile() -> StudyResults:
    """Every text from outside tries to break out of the page."""
    attack = '"><script>window.broken=1</script><img src=x onerror=broken=1>$x_1$ & </script><!--'
    whole = complete()
    return replace(
        whole,
        title=attack,
        crystal=replace(crystal(attack), notes=(attack,), source=attack, space_group=attack, charge_origin=attack),
        caveats=(attack,),
        failures=(Failure(step=attack, message=attack),),
        ranking=replace(whole.ranking, potential=attack),
        provenance={attack: attack, "list": [attack]},
        runs=tuple(replace(one, reasons=(attack,)) for one in whole.runs),
        conductivity=replace(whole.conductivity, verdict=attack),
        composition=replace(whole.composition, formula=attack),
    )
