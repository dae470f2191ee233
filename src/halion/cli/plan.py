"""halion plan: what a study would do and cost, before it does anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halion.cli import campaign
from halion.cli import study_options as options
from halion.cli.options import AsJson, Device
from halion.cli.terminal import Shown, duration, say

if TYPE_CHECKING:
    from halion.study import StudyPlan

__all__ = ["command"]


def command(
    source: options.Source,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the run would be. (default: runs/NAME)")
    ] = None,
    preset: options.Preset = None,
    supercell: options.RunSupercell = None,
    max_atoms: options.RunMaxAtoms = None,
    potential: options.RunPotential = None,
    temperatures: options.Temperatures = None,
    production_ps: options.ProductionPs = None,
    target: options.Target = None,
    budget_ps: options.BudgetPs = None,
    seed: options.Seed = None,
    workers: options.Workers = None,
    device: Device = None,
    keys: options.SetKeys = None,
    as_json: AsJson = False,
) -> Shown:
    """Say what a study would run, and its hours on this machine, from a short measurement."""
    overrides = options.StudyOverrides(
        preset=preset,
        supercell=supercell,
        max_atoms=max_atoms,
        potential=potential,
        temperatures=temperatures,
        production_ps=production_ps,
        target=target,
        budget_ps=budget_ps,
        seed=seed,
        workers=workers,
        device=device,
        keys=tuple(keys or ()),
    )
    if campaign.is_campaign_source(source):
        return campaign.plan_shown(source, overrides, folder, as_json=as_json)
    settings = options.study_settings(source, overrides)
    say("counting orderings, timing the potential ...")
    from halion.records import to_record
    from halion.study import plan_study

    plan = plan_study(settings, folder or options.default_folder(source))
    return Shown(record=to_record(plan), text=_text(plan), as_json=as_json)


def _text(plan: StudyPlan) -> list[str]:
    from halion.orderings.types import supercell_name

    low, high = plan.relaxation_hours
    size = supercell_name(plan.composition.supercell)
    temperatures = ", ".join(f"{temperature_k:g}" for temperature_k in plan.temperatures_k)
    return [
        f"{plan.title}: {size} cell, {plan.composition.formula}, farthest occupancy off by "
        f"{plan.composition.deviation:.3f}",
        f"orderings   {plan.count.total:,} in total, {plan.count.distinct:,} distinct, "
        f"{plan.n_after_exclusions:,} after exclusions, {plan.n_relaxed} to relax",
        f"dynamics    {plan.n_atoms} atoms, {plan.steps_per_temperature:,} steps at each of {temperatures} K",
        f"speed       {1000 * plan.seconds_per_step:.1f} ms per step, measured here; {plan.workers} at once",
        f"relaxation  {duration(low)} to {duration(high)}   (assumed: 60 to 400 steps each)",
        f"dynamics    {duration(plan.dynamics_hours)}   (measured speed times steps)",
        f"disk        {1024 * plan.disk_gib:,.0f} MiB of {plan.disk_free_gib:,.1f} GiB free",
        *(f"note: {caveat}" for caveat in plan.caveats),
    ]
