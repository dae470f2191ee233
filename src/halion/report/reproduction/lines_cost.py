"""Figure 1: what the dynamics cost."""

from __future__ import annotations

import math
from collections.abc import Iterator

from halion.report.reproduction.inputs import ReproductionInputs
from halion.report.reproduction.published import BY_STUDY, Published
from halion.report.reproduction.types import Computed, Line

__all__ = ["cost_lines"]


def cost_lines(study: Published, inputs: ReproductionInputs) -> list[Line]:
    """Seconds per atom and ps, from benchmarks and, as upper bounds, from whole studies; and against DFT."""
    computed = tuple(_measured(inputs))
    dynamics = Line(
        quantity="cost of dynamics",
        condition="here: as named; study: GPU",
        unit="s/(atom ps)",
        published=study.cost_s_per_atom_ps,
        source=BY_STUDY,
        computed=computed,
        why="" if computed else "no benchmark and no finished study was given",
        is_ratio=True,
    )
    below = Line(
        quantity="orders of magnitude below the cost of DFT",
        condition="fine-tuned potential",
        unit="",
        published=study.below_dft_orders,
        source=BY_STUDY,
        computed=(labels := tuple(_against_dft(inputs))),
        why="" if labels else "no benchmark of labels beside dynamics was given (benchmarks/label_cost.py)",
    )
    return [dynamics, below]


def _against_dft(inputs: ReproductionInputs) -> Iterator[Computed]:
    for one in inputs.benchmarks:
        if one.label_over_step > 0:
            orders = math.log10(one.label_over_step)
            words = f"a label costs {one.label_over_step:,.0f} steps, {one.origin.machine}"
            yield Computed(value=orders, run=one.origin.name, model=one.what, words=words)


def _measured(inputs: ReproductionInputs) -> Iterator[Computed]:
    for one in inputs.benchmarks:
        if math.isfinite(one.s_per_atom_ps):
            words = f"benchmark, {one.origin.machine}"
            yield Computed(value=one.s_per_atom_ps, run=one.origin.name, model=one.what, words=words)
    for run in inputs.runs:
        bound = run.origin.wall_s / (run.n_atoms * run.simulated_ps)
        if math.isfinite(bound):
            yield Computed(
                value=math.nan,
                upper_bound=bound,
                confidence="",
                run=run.origin.name,
                model=run.model.name,
                words=f"{run.origin.wall_s:.0f} s for {run.simulated_ps:g} ps of {run.n_atoms} atoms at "
                f"{run.timestep_fs:g} fs, relaxations and all else included, {run.origin.machine}",
            )
