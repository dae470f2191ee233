"""halion enumerate: how many orderings, how many of them distinct, and which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halion.cli.options import AsJson, new_file
from halion.cli.ordering_options import (
    ClosestCations,
    Exclude,
    Limit,
    MaxAtoms,
    OrderingOverrides,
    Pool,
    Primitive,
    SampleBy,
    SampleSeed,
    SampleSize,
    Shapes,
    Supercell,
    Tolerance,
    Window,
)
from halion.cli.ordering_text import candidates_shown, orderings_shown
from halion.cli.terminal import Shown, Watcher, stop_on_signal
from halion.errors import SettingsError

if TYPE_CHECKING:
    from halion.crystal import DisorderedCrystal
    from halion.orderings import OrderingSet
    from halion.settings import OrderingSettings

__all__ = ["command", "made_orderings"]


def command(
    crystal: Annotated[str, typer.Argument(help="A built-in material (Li3YBr6) or the path of a CIF.")],
    supercell: Supercell = None,
    max_atoms: MaxAtoms = None,
    primitive: Primitive = False,
    shapes: Shapes = None,
    tolerance: Tolerance = None,
    pool: Pool = None,
    window: Window = None,
    exclude: Exclude = None,
    closest_cations: ClosestCations = None,
    limit: Limit = None,
    sample: SampleBy = None,
    sample_size: SampleSize = None,
    seed: SampleSeed = None,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Every supercell up to --max-atoms with its counts and its cost.")
    ] = False,
    count_only: Annotated[bool, typer.Option("--count-only", help="Exact counts; nothing is enumerated.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.h5", help="Store the orderings, for `halion rank`.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="K/N", help="The K-th of N parts alone, from 0, for N processes; the last one joins them."
        ),
    ] = None,
    as_json: AsJson = False,
) -> Shown:
    """Count and list the symmetry-distinct orderings of a disordered crystal."""
    settings = OrderingOverrides(
        supercell=supercell,
        max_atoms=max_atoms,
        primitive=primitive,
        shapes=shapes,
        tolerance=tolerance,
        pool=pool,
        window=window,
        exclude=exclude,
        closest_cations=closest_cations,
        limit=limit,
        sample=sample,
        sample_size=sample_size,
        seed=seed,
    ).settings()
    if output and (count_only or candidates):
        raise SettingsError(
            f"{'--count-only' if count_only else '--candidates'} has no orderings to store",
            fix="leave out that or --output",
        )
    if output:
        new_file(output)

    from halion.crystal import load_crystal

    loaded = load_crystal(crystal, primitive=settings.primitive)
    if candidates:
        return candidates_shown(loaded, settings, as_json=as_json)
    part = _shard(shard)
    found = None if count_only else made_orderings(loaded, settings, output, shard=part)
    is_joined = output is None or part is None or output.exists()
    return orderings_shown(loaded, settings, found, output, part=None if is_joined else part, as_json=as_json)


def made_orderings(
    crystal: DisorderedCrystal,
    settings: OrderingSettings,
    output: Path | None,
    *,
    shard: tuple[int, int] | None = None,
) -> OrderingSet:
    """The distinct orderings or a sample of them, with their progress shown; stored if a file is named."""
    from halion.study import make_orderings

    with Watcher() as watcher, stop_on_signal() as stop:
        return make_orderings(
            crystal, settings, output, shard=shard, progress=watcher.stage("orderings"), stop=stop
        )


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    words = text.split("/")
    if len(words) == 2 and all(word.isascii() and word.isdecimal() for word in words):
        return int(words[0]), int(words[1])
    raise SettingsError(f"--shard takes a part and the number of parts, got '{text}'", fix="--shard 0/4")
