"""The ranking and what it is worth as tables for CSV, and as structure files."""

from __future__ import annotations

from pathlib import Path

import ase.io

from halion.files import atomic_path
from halion.ranking.types import BackCheck, PrefilterQuality, Ranking

__all__ = ["back_check_table", "quality_table", "ranking_table", "relaxed_table", "write_structures"]

Row = dict[str, int | float | str | bool]


def ranking_table(ranking: Ranking) -> list[Row]:
    """One row per ranked ordering, for CSV: energies in eV, stress in eV/Angstrom^3, lengths in Angstrom."""
    return [
        {
            "rank": row.rank,
            "ordering": row.ordering,
            "multiplicity": row.multiplicity,
            "energy_above_best_ev_per_atom": row.energy_above_best,
            "energy_ev_per_atom": row.relaxation.energy,
            "energy_ev_per_formula_unit": row.relaxation.energy_per_formula_unit,
            "static_energy_ev_per_atom": row.relaxation.static_energy,
            "electrostatic_energy_ev_per_atom": row.electrostatic_energy,
            "boltzmann_weight": row.boltzmann_weight,
            "is_converged": row.relaxation.is_converged,
            "n_steps": row.relaxation.n_steps,
            "max_force_ev_per_angstrom": row.relaxation.max_force,
            "max_stress_ev_per_angstrom3": row.relaxation.max_stress,
            "volume_angstrom3_per_atom": row.relaxation.volume_per_atom,
            "volume_change": row.relaxation.volume_change,
            "max_displacement_angstrom": row.relaxation.max_displacement,
            "space_group_before": row.relaxation.space_group_before,
            "space_group_after": row.relaxation.space_group_after,
            "duplicates": " ".join(map(str, row.duplicates)),
            "is_control": row.is_control,
            "split": row.split,
        }
        for row in ranking.rows
    ]


def relaxed_table(ranking: Ranking) -> list[Row]:
    """One row per ordering that was to be relaxed, merged and refused ones too, by ordering; energies in eV/atom.

    `outcome` is "ranked", "merged" (into `collapsed_to`) or what physics said against it.
    """
    rows: list[Row] = [
        {
            "ordering": row.ordering,
            "collapsed_to": row.ordering,
            "electrostatic_energy_ev_per_atom": row.electrostatic_energy,
            "static_energy_ev_per_atom": row.relaxation.static_energy,
            "energy_ev_per_atom": row.relaxation.energy,
            "is_control": row.is_control,
            "split": row.split,
            "outcome": "ranked",
        }
        for row in ranking.rows
    ]
    rows += [
        {
            "ordering": one.ordering,
            "collapsed_to": one.collapsed_to,
            "electrostatic_energy_ev_per_atom": one.electrostatic_energy,
            "static_energy_ev_per_atom": one.static_energy,
            "energy_ev_per_atom": one.energy,
            "is_control": one.is_control,
            "split": one.split,
            "outcome": "merged",
        }
        for one in ranking.merged
    ]
    rows += [
        {
            "ordering": one.ordering,
            "collapsed_to": "",
            "electrostatic_energy_ev_per_atom": one.electrostatic_energy,
            "static_energy_ev_per_atom": "",
            "energy_ev_per_atom": "",
            "is_control": "",
            "split": "",
            "outcome": one.reason,
        }
        for one in ranking.refused
    ]
    return sorted(rows, key=lambda row: row["ordering"])


def quality_table(quality: PrefilterQuality) -> list[Row]:
    """The quality of the prefilter as one row, for CSV."""
    return [
        {
            "n_orderings": quality.n_orderings,
            "n_chosen": quality.n_chosen,
            "n_control": quality.n_control,
            "n_rest": quality.n_rest,
            "depth": quality.depth,
            "recall": quality.recall,
            "recall_low": quality.recall_low,
            "recall_high": quality.recall_high,
            "missed": quality.missed,
            "below_best": quality.below_best,
            "below_depth": quality.below_depth,
            "spearman": quality.spearman,
            "spearman_control": quality.spearman_control,
            "spearman_static": quality.spearman_static,
        }
    ]


def back_check_table(check: BackCheck) -> list[Row]:
    """One row per disordered orbit and element, for CSV: occupancies, and the shares that the relaxed ones hold."""
    return [
        {
            "orbit": one.orbit,
            "wyckoff": one.wyckoff,
            "element": one.element,
            "refined": one.refined,
            "weighted": one.weighted,
            "infinite_temperature": one.infinite,
            "temperature_k": check.temperature_k,
            "multiplicity_share": check.multiplicity_share,
            "weight_share": check.weight_share,
        }
        for one in check.occupancies
    ]


def write_structures(ranking: Ranking, folder: Path | str) -> list[Path]:
    """Write every ranked cell as CIF and as POSCAR: `rank-001-ordering-000017.cif` and `.vasp`.

    CIF keeps four to eight decimals, POSCAR sixteen; in the POSCAR atoms are grouped by element.

    Raises:
        DiskFull: what was written before is whole.
    """
    written = []
    for row in ranking.rows:
        stem = f"rank-{row.rank:03d}-ordering-{row.ordering:06d}"
        for suffix, file_format, options in (
            ("cif", "cif", {}),
            ("vasp", "vasp", {"direct": True, "sort": True}),
        ):
            path = Path(folder) / f"{stem}.{suffix}"
            with atomic_path(path) as part:
                ase.io.write(part, row.relaxation.atoms, format=file_format, **options)
            written.append(path)
    return written
