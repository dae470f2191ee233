"""The ranking as a table and as structure files."""

from __future__ import annotations

from pathlib import Path

import ase.io

from halion.files import atomic_path
from halion.ranking.types import Ranking

__all__ = ["ranking_table", "write_structures"]


def ranking_table(ranking: Ranking) -> list[dict[str, int | float | str | bool]]:
    """One row per ranked ordering, for CSV: energies in eV/atom, stress in eV/Angstrom^3, lengths in Angstrom."""
    return [
        {
            "rank": row.rank,
            "ordering": row.ordering,
            "multiplicity": row.multiplicity,
            "energy_above_best_ev_per_atom": row.energy_above_best,
            "energy_ev_per_atom": row.relaxation.energy,
            "electrostatic_energy_ev_per_atom": row.electrostatic_energy,
            "boltzmann_weight": row.boltzmann_weight,
            "is_converged": row.relaxation.is_converged,
            "n_steps": row.relaxation.n_steps,
            "max_force_ev_per_angstrom": row.relaxation.max_force,
            "max_stress_ev_per_angstrom3": row.relaxation.max_stress,
            "volume_change": row.relaxation.volume_change,
            "max_displacement_angstrom": row.relaxation.max_displacement,
            "space_group_before": row.relaxation.space_group_before,
            "space_group_after": row.relaxation.space_group_after,
            "duplicates": " ".join(map(str, row.duplicates)),
        }
        for row in ranking.rows
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
