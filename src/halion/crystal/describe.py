"""A crystal in words and in a table, for the terminal."""

from __future__ import annotations

import numpy as np

from halion.crystal.types import DisorderedCrystal, Orbit

__all__ = ["describe", "orbit_table"]


def orbit_table(crystal: DisorderedCrystal) -> tuple[tuple[str, ...], ...]:
    """One row per orbit, a header first: sites, Wyckoff, occupancies, vacancy, one position.

    "Sites" are those in the crystal's cell; the Wyckoff multiplicity counts the standard cell.
    """
    header = ("labels", "Wyckoff", "sites", "occupancy", "vacancy", "x", "y", "z")
    return (header, *(_row(orbit) for orbit in crystal.orbits))


def _row(orbit: Orbit) -> tuple[str, ...]:
    occupancy = " ".join(f"{element} {value:.4g}" for element, value in orbit.occupancy.items())
    vacancy = "-" if orbit.vacancy < 1e-9 else f"{orbit.vacancy:.4g}"
    xyz = (f"{value:.4f}" for value in orbit.fractional[0])
    return (", ".join(orbit.labels), orbit.wyckoff, str(orbit.n_sites), occupancy, vacancy, *xyz)


def describe(crystal: DisorderedCrystal) -> str:
    """The crystal on a screen: formula, cell, space group, orbits, charges, close pairs, notes."""
    lengths = np.linalg.norm(crystal.cell, axis=1)
    unit = crystal.cell / lengths[:, None]
    angles = [float(np.degrees(np.arccos(unit[i] @ unit[j]))) for i, j in ((1, 2), (0, 2), (0, 1))]
    charges = ", ".join(f"{element} {charge:+.3g}" for element, charge in crystal.charges.items())
    lines = [
        f"{crystal.name}: {crystal.formula} in {crystal.space_group} (No. {crystal.space_group_number})",
        f"  source  {crystal.source}",
        "  cell    a, b, c = {:.4f}, {:.4f}, {:.4f} Angstrom; angles {:.3f}, {:.3f}, {:.3f} degrees".format(
            *lengths, *angles
        ),
        f"  volume  {crystal.volume:.2f} Angstrom^3, {crystal.volume / crystal.n_atoms:.2f} per atom",
        f"  charges {charges} ({crystal.charge_origin}); net {_signed_zero(crystal.charge):+.3f} e",
        "",
        *_aligned(orbit_table(crystal)),
    ]
    if crystal.close_pairs:
        lines += ["", "  sites closer than atoms can be:"]
        lines += [
            f"    {_names(crystal.orbits[pair.orbits[0]])} - {_names(crystal.orbits[pair.orbits[1]])}  "
            f"{pair.distance:.2f} Angstrom, occupancies sum to {pair.occupancy_sum:.3f}"
            for pair in crystal.close_pairs
        ]
    if crystal.notes:
        lines += ["", "  notes:", *(f"    - {note}" for note in crystal.notes)]
    return "\n".join(lines)


def _signed_zero(value: float) -> float:
    # "-0.000" reads like a charge.
    return 0.0 if abs(value) < 5e-4 else value


def _names(orbit: Orbit) -> str:
    return "/".join(orbit.labels)


def _aligned(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return ["  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
