"""halion transport: diffusivity, activation energy and conductivity of any trajectories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.gathered import gathered_transport
from halion.cli.options import AsJson, csv_text, given, new_file, numbers, room_settings
from halion.cli.terminal import Shown, Table, Watcher
from halion.errors import SettingsError

if TYPE_CHECKING:
    from halion.dynamics import Trajectory
    from halion.settings import TransportSettings
    from halion.transport import Conductivity, HavenRatio, MobileIons, RunTransport, TransportSummary

__all__ = ["command"]

# Charges of ions that have but one in solids; others are asked for.
_IONS = {"H": 1, "Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "Ag": 1, "Mg": 2, "Ca": 2, "Zn": 2, "Al": 3}
_IONS |= {"F": -1, "Cl": -1, "Br": -1, "I": -1, "O": -2, "S": -2}


def command(
    trajectories: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRAJECTORY...", help="halion HDF5, extended XYZ, ASE .traj, LAMMPS dump, XDATCAR, H5MD."
        ),
    ],
    mobile: Annotated[str | None, typer.Option(metavar="ELEMENT", help="Mobile ion. (default: Li)")] = None,
    charge: Annotated[
        float | None, typer.Option(metavar="E", help="Its charge. (default: the common one of the element)")
    ] = None,
    frame_interval_ps: Annotated[
        float | None, typer.Option(metavar="PS", help="Time between frames; needed where the file does not say.")
    ] = None,
    temperatures: Annotated[
        str | None,
        typer.Option(metavar="K,K,...", help="Temperatures of the runs in their order, where a file does not say."),
    ] = None,
    types: Annotated[
        str | None, typer.Option(metavar="LI,Y,...", help="Elements of the types of LAMMPS dumps, in their order.")
    ] = None,
    unwrapped: Annotated[
        bool, typer.Option("--unwrapped", help="The coordinates are known to be unwrapped. (otherwise: found out)")
    ] = False,
    hop_length: Annotated[
        float | None,
        typer.Option(metavar="ANGSTROM", help="Distance of neighbouring sites. (default: from the structure)"),
    ] = None,
    longest_lag_ps: Annotated[
        float | None, typer.Option(metavar="PS", help="Longest lag time of the fit. (default: 500)")
    ] = None,
    estimator: Annotated[
        str | None, typer.Option(metavar="ols|gls", help="Least squares, ordinary or generalised. (default: ols)")
    ] = None,
    error: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="Error of D: largest, he2018, covariance or block. (default: largest)"),
    ] = None,
    report_temperature: Annotated[
        float | None, typer.Option(metavar="K", help="Temperature of the conductivity. (default: 300)")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="New folder: each msd, the summary, densities as cube and CHGCAR."),
    ] = None,
    gathered: Annotated[
        bool, typer.Option("--gathered", help="Use what `halion md --correlate-every` gathered, not the frames.")
    ] = False,
    as_json: AsJson = False,
) -> Shown:
    """Compute diffusivity and conductivity of trajectories, with error bars and a verdict."""
    settings = room_settings(
        transport=given(
            mobile_species=mobile,
            hop_length_angstrom=hop_length,
            longest_lag_ps=longest_lag_ps,
            estimator=estimator,
            error=error,
            report_temperature_k=report_temperature,
        )
    ).transport
    if gathered:
        return gathered_transport(trajectories, settings, folder, as_json=as_json)
    ion_charge = _charge(settings.mobile_species, charge)
    known = _temperatures(temperatures, len(trajectories))
    if folder:
        new_file(folder)

    from halion.transport import analyse_trajectories, mobile_ions, read_trajectory, summarise_runs

    with Watcher() as watcher:
        loaded = []
        for k, (path, temperature_k) in enumerate(zip(trajectories, known, strict=True)):
            watcher("reading", k, len(trajectories), path.name)
            loaded.append(
                read_trajectory(
                    path,
                    timestep_ps=frame_interval_ps,
                    temperature_k=temperature_k,
                    is_unwrapped=unwrapped or None,
                    types=[name.strip() for name in types.split(",")] if types else (),
                )
            )
        watcher("analysis", 0, 1)
        ions = [mobile_ions(one, settings.mobile_species) for one in loaded]
        runs, *_ = analyse_trajectories(loaded, settings, charge=ion_charge, ions=ions)
        ratios = _haven_ratios(loaded, ions, settings)
        summary = summarise_runs(runs, settings, charge=ion_charge, haven=ratios)
    files = [*_write(runs, folder), *_densities(loaded, settings, folder)] if folder else []
    record = _record(runs, summary) | {"files": [str(path) for path in files]}
    return Shown(record=record, text=_text(runs, summary), as_json=as_json)


def _temperatures(text: str | None, n_runs: int) -> list[float | None]:
    given_k = numbers(text, "--temperatures", "K")
    if given_k is None:
        return [None] * n_runs
    if len(given_k) != n_runs:
        raise SettingsError(
            f"{len(given_k)} temperatures for {n_runs} trajectories", fix="give one for each, in their order"
        )
    return list(given_k)


def _charge(element: str, charge: float | None) -> float:
    if charge is not None:
        return charge
    if element not in _IONS:
        raise SettingsError(f"the charge of {element} ions is not known here", fix="give it, e.g. --charge 1")
    return float(_IONS[element])


def _write(runs: Sequence[RunTransport], folder: Path) -> list[Path]:
    from halion.files import write_text
    from halion.transport import run_rows, summary_rows

    tables = {f"msd-{k}-{Path(run.source).stem}.csv": run_rows(run) for k, run in enumerate(runs, 1)}
    tables["summary.csv"] = summary_rows(runs)
    return [write_text(folder / name, csv_text(rows)) for name, rows in tables.items()]


def _haven_ratios(
    loaded: Sequence[Trajectory], ions: Sequence[MobileIons], settings: TransportSettings
) -> list[HavenRatio]:
    """Of each run that has a framework: without one, nothing moves against anything."""
    from halion.transport import haven_ratio

    return [
        haven_ratio(one, settings, of_it)
        for one, of_it in zip(loaded, ions, strict=True)
        if set(one.symbols) != {settings.mobile_species}
    ]


def _densities(loaded: Sequence[Trajectory], settings: TransportSettings, folder: Path) -> list[Path]:
    """Where the mobile ions were, for VESTA and the like: a cube file and a CHGCAR of each run."""
    from halion.transport import ion_density, write_chgcar, write_cube

    files = []
    for k, trajectory in enumerate(loaded, 1):
        density = ion_density(trajectory, settings.mobile_species)
        stem = folder / f"density-{k}-{Path(trajectory.source).stem}"
        for write, ending in ((write_cube, ".cube"), (write_chgcar, ".CHGCAR")):
            path = stem.with_name(stem.name + ending)
            write(density, path)
            files.append(path)
    return files


def _record(runs: Sequence[RunTransport], summary: TransportSummary) -> dict[str, Any]:
    from halion.records import to_record

    # The curves are in the tables (--folder), the draws of the posterior serve no reader: the answer would drown.
    curves = ("lag_time_ps", "msd", "msd_components", "framework_msd")
    short = [{name: value for name, value in to_record(run).items() if name not in curves} for run in runs]
    together = to_record(summary)
    for one in together["haven"]:
        for name in ("lag_time_ps", "charge_msd"):
            one.pop(name)
    for line in (together["arrhenius"], (together["published"] or [None])[0]):
        for name in ("draws", "draw_weights") if line else ():
            line.pop(name)
    return {"runs": short, **together}


def _text(runs: Sequence[RunTransport], summary: TransportSummary) -> list[str | Table]:
    from halion.files import distinct_names

    names = distinct_names([run.source for run in runs])
    rows = tuple(_row(run, names[run.source]) for run in runs)
    headings = ("trajectory", "K", "ps", "D (cm^2/s)", "hops", "slope", "verdict")
    text: list[str | Table] = [Table(headings=headings, rows=rows)]
    for run in runs:
        text += [f"{names[run.source]}: {reason}" for reason in run.reasons]
    if summary.anisotropy is not None:
        text.append(summary.anisotropy.verdict)
    if summary.sizes is not None:
        text.append(summary.sizes.words)
    if summary.arrhenius is not None:
        line = summary.arrhenius
        text.append(f"activation energy {line.activation_energy:.3f} +- {line.activation_energy_std:.3f} eV")
        text += [
            f"without {one.temperature_k:g} K the answer moves by {one.shift:+.1f} standard deviations"
            for one in summary.influence
            if one.is_influential and math.isfinite(one.shift)
        ]
    text += [f"{names.get(one.source, one.source)}: {one.verdict}" for one in summary.haven]
    if summary.regimes is not None:
        text.append(summary.regimes.words)
    if summary.conductivity is None:
        return [*text, "no conductivity: the temperature is not known; give it with --temperatures"]
    text += [_conductivity_text(summary.conductivity), summary.conductivity.verdict]
    return [*text, f"next: {summary.plan.words}"] if summary.plan is not None else text


def _row(run: RunTransport, name: str) -> tuple[str, ...]:
    from halion.units import diffusivity_to_cm2_per_s as in_cm2

    value = f"{in_cm2(run.diffusivity):.2e} +- {in_cm2(run.diffusivity_std):.1e}"
    return (
        name,
        f"{run.temperature_k:.0f}" if math.isfinite(run.temperature_k) else "?",
        f"{run.length_ps:g}",
        value if run.is_diffusive else f"< {in_cm2(run.upper_bound):.2e}",
        f"{run.n_eff:.0f}",
        f"{run.log_slope:.2f}",
        run.verdict,
    )


def _conductivity_text(value: Conductivity) -> str:
    name = f"conductivity at {value.temperature_k:g} K"
    if math.isfinite(value.conductivity_ms_per_cm):
        interval = f"{value.low_ms_per_cm:.3g} to {value.high_ms_per_cm:.3g} (68 %)"
        return f"{name}: {value.conductivity_ms_per_cm:.3g} mS/cm, {interval}"
    if math.isfinite(value.upper_bound_ms_per_cm):
        return f"{name}: below {value.upper_bound_ms_per_cm:.3g} mS/cm (95 %)"
    return f"{name}: no value"
