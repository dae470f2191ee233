"""halion transport: diffusivity, activation energy and conductivity of any trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import AsJson, existing_file, given, room_settings
from halion.cli.terminal import Shown, Table, Watcher
from halion.errors import SettingsError

if TYPE_CHECKING:
    from halion.transport import Arrhenius, Conductivity, RunTransport

__all__ = ["command"]

# Charges of ions that have but one in solids; others are asked for.
_IONS = {"H": 1, "Li": 1, "Na": 1, "K": 1, "Rb": 1, "Cs": 1, "Ag": 1, "Mg": 2, "Ca": 2, "Zn": 2, "Al": 3}
_IONS |= {"F": -1, "Cl": -1, "Br": -1, "I": -1, "O": -2, "S": -2}


def command(
    trajectories: Annotated[
        list[Path], typer.Argument(metavar="TRAJECTORY...", help="halion HDF5, extended XYZ or ASE .traj files.")
    ],
    mobile: Annotated[str | None, typer.Option(metavar="ELEMENT", help="Mobile ion. (default: Li)")] = None,
    charge: Annotated[
        float | None, typer.Option(metavar="E", help="Its charge. (default: the common one of the element)")
    ] = None,
    frame_interval_ps: Annotated[
        float | None, typer.Option(metavar="PS", help="Time between frames; needed where the file does not say.")
    ] = None,
    hop_length: Annotated[
        float | None,
        typer.Option(metavar="ANGSTROM", help="Distance of neighbouring sites. (default: from the structure)"),
    ] = None,
    longest_lag_ps: Annotated[
        float | None, typer.Option(metavar="PS", help="Longest lag time of the fit. (default: 500)")
    ] = None,
    report_temperature: Annotated[
        float | None, typer.Option(metavar="K", help="Temperature of the conductivity. (default: 300)")
    ] = None,
    as_json: AsJson = False,
) -> Shown:
    """Compute diffusivity and conductivity of trajectories, with error bars and a verdict."""
    settings = room_settings(
        transport=given(
            mobile_species=mobile,
            hop_length_angstrom=hop_length,
            longest_lag_ps=longest_lag_ps,
            report_temperature_k=report_temperature,
        )
    ).transport
    ion_charge = _charge(settings.mobile_species, charge)
    for path in trajectories:
        existing_file(path)

    from halion.transport import analyse_run, conductivity_at, fit_arrhenius, read_trajectory

    runs = []
    with Watcher() as watcher:
        for k, path in enumerate(trajectories):
            watcher("transport", k, len(trajectories), path.name)
            runs.append(analyse_run(read_trajectory(path, timestep_ps=frame_interval_ps), settings))
    line = fit_arrhenius(runs)
    conductivity = conductivity_at(line, runs, settings.report_temperature_k, charge=ion_charge)
    return Shown(record=_record(runs, line, conductivity), text=_text(runs, line, conductivity), as_json=as_json)


def _charge(element: str, charge: float | None) -> float:
    if charge is not None:
        return charge
    if element not in _IONS:
        raise SettingsError(f"the charge of {element} ions is not known here", fix="give it, e.g. --charge 1")
    return float(_IONS[element])


def _record(runs: list[RunTransport], line: Arrhenius | None, conductivity: Conductivity | None) -> dict[str, Any]:
    from halion.records import to_record

    return {
        "runs": to_record(runs),
        "arrhenius": to_record(line),
        "conductivity": to_record(conductivity),
    }


def _text(runs: list[RunTransport], line: Arrhenius | None, conductivity: Conductivity | None) -> list[str | Table]:
    from halion.units import diffusivity_to_cm2_per_s as in_cm2

    rows = tuple(
        (
            Path(run.source).name,
            f"{run.temperature_k:.0f}",
            f"{run.length_ps:g}",
            f"{in_cm2(run.diffusivity):.2e} +- {in_cm2(run.diffusivity_std):.1e}",
            f"{run.n_eff:.0f}",
            f"{run.log_slope:.2f}",
            run.verdict,
        )
        for run in runs
    )
    headings = ("trajectory", "K", "ps", "D (cm^2/s)", "hops", "slope", "verdict")
    text: list[str | Table] = [Table(headings=headings, rows=rows)]
    for run in runs:
        text += [f"{Path(run.source).name}: {reason}" for reason in run.reasons]
    if line is not None:
        text.append(f"activation energy {line.activation_energy:.3f} +- {line.activation_energy_std:.3f} eV")
    if conductivity is not None:
        text.append(conductivity.verdict)
    return text
