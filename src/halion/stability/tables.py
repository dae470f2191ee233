"""Results of stability as rows for CSV files, energies in meV/atom."""

from __future__ import annotations

from halion.stability.assess import Stability
from halion.stability.cells import StructureOverX
from halion.stability.decomposition import Decomposition
from halion.stability.difference import PhaseDifference
from halion.stability.formation import FormationEnergies
from halion.stability.free_energy import FreeEnergyCurve
from halion.stability.hull import Hull

__all__ = ["stability_tables"]

Row = dict[str, float | str | bool]


def stability_tables(found: Stability) -> dict[str, list[Row]]:
    """Tables by name, one row per point; a table without rows is left out.

    Checked by tests/stability/test_stability_assess.py: units and numbers of rows.
    """
    tables = {
        "formation": _formation(found.formation),
        **{f"difference-{each.first}-{each.second}": _difference(each) for each in found.differences},
        "transitions": [row for each in found.differences for row in _transitions(each)],
        "hull": _hull(found.hull),
        "decomposition": _decomposition(found.decompositions),
        "mixing": _mixing(found),
        "free-energy": [row for each in found.free_energies for row in _free_energy(each)],
        "gaps": [row for each in found.free_energies for row in _gaps(each)],
        "cells": _cells(found.structure),
    }
    return {name: rows for name, rows in tables.items() if rows}


def _formation(found: FormationEnergies) -> list[Row]:
    return [
        {
            "phase": point.phase,
            "x": point.x,
            "energy_ev_per_atom": point.energy,
            "formation_own_ends_mev_per_atom": 1000 * point.own,
            "std_own_mev_per_atom": 1000 * point.own_std,
            "formation_lowest_ends_mev_per_atom": 1000 * point.common,
            "std_lowest_mev_per_atom": 1000 * point.common_std,
            "left_out": point.left_out,
        }
        for point in found.points
    ]


def _difference(found: PhaseDifference) -> list[Row]:
    return [
        {
            "x": float(x),
            "difference_mev_per_atom": 1000 * float(found.difference[k]),
            "std_each_point_mev_per_atom": 1000 * float(found.std[k]),
            "std_shift_mev_per_atom": 1000 * float(found.std_shift[k]),
            f"probability_{found.first}_is_lower": float(found.first_is_lower[k]),
        }
        for k, x in enumerate(found.x)
    ]


def _transitions(found: PhaseDifference) -> list[Row]:
    rows: list[Row] = []
    for each in found.transitions:
        plain: Row = {"below": each.below, "above": each.above, "x": each.x}
        rows += [
            plain
            | {
                "correlation": error.correlation,
                "low_95": error.low95,
                "low_68": error.low68,
                "median": error.median,
                "high_68": error.high68,
                "high_95": error.high95,
                "share_of_draws_without": error.missing,
                "share_of_draws_with_several": error.several,
            }
            for error in each.errors
        ] or [plain]
    return rows


def _hull(found: Hull) -> list[Row]:
    return [
        {
            "phase": point.phase,
            "x": point.x,
            "formation_mev_per_atom": 1000 * point.formation,
            "above_hull_mev_per_atom": 1000 * point.above,
            "std_mev_per_atom": 1000 * point.above_std,
            "is_stable": point.is_stable,
            "reaction": point.reaction,
            "left_out": point.left_out,
        }
        for point in found.points
    ]


def _decomposition(found: tuple[Decomposition, ...]) -> list[Row]:
    return [
        {
            "phase": each.phase,
            "x": each.x,
            "above_products_mev_per_atom": 1000 * each.energy,
            "std_mev_per_atom": 1000 * each.std,
            "is_stable": each.is_stable,
            "reaction": each.reaction,
            "left_out": each.left_out,
        }
        for each in found
    ]


def _mixing(found: Stability) -> list[Row]:
    return [
        {
            "phase": fit.phase,
            "redlich_kister_ev_per_formula_unit": " ".join(f"{value:.6f}" for value in fit.coefficients),
            "left_out_error_mev_per_formula_unit": 1000 * fit.left_out_error,
            "critical_temperature_k": point.temperature_k,
            "critical_low_k": point.low_k,
            "critical_high_k": point.high_k,
            "critical_x": point.x * found.free_energies[0].most if found.free_energies else float("nan"),
        }
        for fit, point in zip(found.fits, found.critical, strict=True)
    ]


def _free_energy(found: FreeEnergyCurve) -> list[Row]:
    return [
        {
            "temperature_k": found.temperature_k,
            "phase": phase,
            "x": float(x),
            "free_energy_mev_per_formula_unit": 1000 * float(value),
        }
        for phase, values in found.free_energy.items()
        for x, value in zip(found.x, values, strict=True)
    ]


def _gaps(found: FreeEnergyCurve) -> list[Row]:
    return [
        {
            "temperature_k": found.temperature_k,
            "x_left": gap.x_left,
            "x_right": gap.x_right,
            "phase_left": gap.phase_left,
            "phase_right": gap.phase_right,
        }
        for gap in found.gaps
    ]


def _cells(found: StructureOverX) -> list[Row]:
    names = ("a_angstrom", "b_angstrom", "c_angstrom")
    angles = ("alpha_degrees", "beta_degrees", "gamma_degrees")
    return [
        {
            "phase": point.phase,
            "x": point.x,
            "volume_angstrom3_per_atom": point.volume,
            **dict(zip(names, map(float, point.lengths))),
            **dict(zip(angles, map(float, point.angles))),
            "volume_above_vegard_angstrom3_per_atom": point.volume_vegard,
            **{f"{name[0]}_above_vegard_angstrom": float(v) for name, v in zip(names, point.lengths_vegard)},
            "left_out": point.left_out,
        }
        for point in found.points
    ]
