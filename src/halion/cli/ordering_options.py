"""Options that say which ordered cells stand for a disordered crystal, for the verbs that make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halion.cli.options import given, room_settings, supercell_of
from halion.errors import SettingsError

if TYPE_CHECKING:
    from halion.settings import OrderingSettings

__all__ = ["OrderingOverrides"]

Supercell = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C",
        help="Repeats of the refined cell, e.g. 1,1,2, or the nine numbers of a matrix, row after row; not given: "
        "the best fit within --max-atoms.",
    ),
]
MaxAtoms = Annotated[int | None, typer.Option(metavar="N", help="Largest ordered cell tried. (default: 80)")]
Primitive = Annotated[
    bool,
    typer.Option("--primitive", help="Supercells of the primitive cell, where the refined one is centred."),
]
Shapes = Annotated[
    str | None, typer.Option(metavar="all|diagonal", help="Supercells that are tried. (default: all)")
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="The smallest supercell whose occupancies all lie this near to the refined ones."
    ),
]
Pool = Annotated[
    str | None,
    typer.Option(
        metavar="ELEMENT,...",
        help="Elements spread over all their sites, whatever each site's refined occupancy: for ground states.",
    ),
]
Window = Annotated[
    int | None,
    typer.Option(metavar="N", help="Atoms by which the number on a site may differ from the nearest. (default: 0)"),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="Y-Y:3.5",
        help="Two elements and the distance in Angstrom below which they never meet; 0: may meet; repeatable.",
    ),
]
ClosestCations = Annotated[
    float | None,
    typer.Option(
        metavar="ANGSTROM",
        help="Cation sites nearer than this are never both filled; 0: no such rule. (default: 2.5)",
    ),
]
Limit = Annotated[
    int | None, typer.Option(metavar="N", help="Refuse more distinct orderings than this. (default: 200000)")
]
SampleBy = Annotated[
    str | None,
    typer.Option(
        metavar="colourings|orderings|low-energy",
        help="Draw instead of listing: every ordering equally likely, every distinct one, or the lowest in "
        "electrostatic energy.",
    ),
]
SampleSize = Annotated[int | None, typer.Option(metavar="N", help="Draws of a sample. (default: 1000)")]
SampleSeed = Annotated[int | None, typer.Option(metavar="N", help="Seed of a sample. (default: 0)")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderingOverrides:
    """What the command line says of orderings; None: not given."""

    supercell: str | None = None
    max_atoms: int | None = None
    primitive: bool = False
    shapes: str | None = None
    tolerance: float | None = None
    pool: str | None = None
    window: int | None = None
    exclude: list[str] | None = None
    closest_cations: float | None = None
    limit: int | None = None
    sample: str | None = None
    sample_size: int | None = None
    seed: int | None = None

    def settings(self) -> OrderingSettings:
        """The settings, defaults filled in.

        Raises:
            SettingsError: an option that cannot be read, or a value out of range.
        """
        values: dict[str, Any] = given(
            supercell=supercell_of(self.supercell, "--supercell"),
            max_atoms=self.max_atoms,
            cell="primitive" if self.primitive else None,
            shapes=self.shapes,
            tolerance=self.tolerance,
            pool=None if self.pool is None else [word.strip() for word in self.pool.split(",") if word.strip()],
            window=self.window,
            exclude=dict(_distance(text) for text in self.exclude) if self.exclude else None,
            closest_cations_angstrom=self.closest_cations,
            limit=self.limit,
            sample=self.sample,
            sample_size=self.sample_size,
            seed=self.seed,
        )
        return room_settings(orderings=values).orderings


def _distance(text: str) -> tuple[str, float]:
    pair, colon, distance = text.replace("=", ":").partition(":")
    try:
        if colon and pair.strip():
            return pair.strip(), float(distance)
    except ValueError:
        pass  # told below, together with a missing colon
    raise SettingsError(
        f"--exclude takes two elements and a distance in Angstrom, got '{text}'", fix="--exclude Y-Y:3.5"
    )
