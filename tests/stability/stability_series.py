"""Series whose energies are known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from halion.stability import PhasePoint, SeriesEnergies, series_energies

ENDS = ("Li3YCl6", "Li3YBr6")
ALL_X = tuple(float(x) for x in range(7))


def made(
    phases: Mapping[str, Callable[[float], float]], xs: Sequence[float] = ALL_X, formula_units: int = 2
) -> SeriesEnergies:
    """A series of Li3YCl6-xBrx from E(x) of each phase, eV/atom."""
    points = [
        PhasePoint(phase=name, x=x, energy=energy(x), formula_units=formula_units)
        for name, energy in phases.items()
        for x in xs
    ]
    return series_energies(points, ENDS, 6.0)


def drawn(seed: int, n_phases: int = 2, xs: Sequence[float] = ALL_X) -> SeriesEnergies:
    """Random energies around -4 eV/atom."""
    rng = np.random.default_rng(seed)
    table = {f"P{k}": dict(zip(xs, rng.normal(-4, 0.01, len(xs)), strict=True)) for k in range(n_phases)}
    return made({name: values.__getitem__ for name, values in table.items()}, xs)
