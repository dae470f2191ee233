"""Scatter between runs of one kind: other seeds, other orderings, at one temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from halion.transport.arrhenius import meant_temperature
from halion.transport.types import RunTransport
from halion.transport.uncertainty import rsd_replica

__all__ = ["with_replica_scatter"]


def with_replica_scatter(runs: Sequence[RunTransport]) -> tuple[RunTransport, ...]:
    """The same runs, each with the scatter between the diffusive runs at its temperature as another of its errors.

    `rsd_replica` is the relative standard deviation of one run among four or more; where it is larger than the
    error in use it takes its place.

    Args:
        runs: of one material, in any order; those that did not diffuse come back as they are.
    Checked by tests/transport/test_transport_planning.py.
    """
    return tuple(_with_scatter(run, runs) for run in runs)


def _with_scatter(run: RunTransport, runs: Sequence[RunTransport]) -> RunTransport:
    same = [
        one.diffusivity for one in runs if one.is_diffusive and meant_temperature(one) == meant_temperature(run)
    ]
    of_mean = rsd_replica(same) if run.is_diffusive else math.nan
    if not math.isfinite(of_mean):
        return run
    scatter = of_mean * math.sqrt(len(same))
    if scatter * run.diffusivity <= run.diffusivity_std:
        return replace(run, rsd_replica=scatter)
    return replace(run, rsd_replica=scatter, diffusivity_std=scatter * run.diffusivity, error_method="replica")
