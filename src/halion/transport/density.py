"""Probability density of the mobile ions on a grid that fits the cell, whatever its shape, for VESTA and for sites.

Grid points lie at fractions i / n of the cell vectors and hold the ions nearest to them in fractional coordinates,
so the grid repeats with the crystal and has whole numbers of points in each unit cell of a supercell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from halion.arrays import FloatArray, IntArray
from halion.dynamics.types import Trajectory
from halion.errors import InputError
from halion.files import write_text
from halion.transport.checks import refuse_outright
from halion.transport.frames import MobileIons, blocks_without_drift
from halion.units import length_to_bohr

__all__ = [
    "IonDensity",
    "count_ions",
    "fold",
    "grid_shape",
    "ion_density",
    "smooth",
    "voxel_index",
    "write_chgcar",
    "write_cube",
]

_MOST_POINTS = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IonDensity:
    """Where the mobile ions were.

    Attributes:
        species: mobile element.
        values: (n_a, n_b, n_c) ions per Angstrom^3 at fractions i / n of the cell vectors; their sum times the
            volume of a grid cell is the number of ions.
        cell: (3, 3) mean cell, rows, Angstrom.
        framework_symbols: elements of the other atoms.
        framework_fractional: (n_framework, 3) their mean positions, in [0, 1).
        n_ions: mobile ions in the cell; of a folded density, their mean number in a unit cell.
        n_frames: frames counted.
        temperature_k: of the run.
        smoothing: standard deviation of the Gaussian that it was smoothed with, Angstrom; 0: as counted.
    """

    species: str
    values: FloatArray
    cell: FloatArray
    framework_symbols: tuple[str, ...]
    framework_fractional: FloatArray
    n_ions: float
    n_frames: int
    temperature_k: float
    smoothing: float = 0.0

    @property
    def voxel_volume(self) -> float:
        """Volume of one grid cell, Angstrom^3."""
        return float(abs(np.linalg.det(self.cell)) / self.values.size)


def grid_shape(cell: FloatArray, spacing: float, repeats: tuple[int, int, int] = (1, 1, 1)) -> tuple[int, int, int]:
    """Points along each cell vector: at most `spacing` apart, a multiple of the repeats of the unit cell.

    Args:
        cell: (3, 3) rows, Angstrom.
        spacing: Angstrom.
        repeats: unit cells in the supercell along each vector.
    Raises:
        InputError: the grid would be empty or have more than 50 million points.
    Checked by tests/transport/test_transport_density.py.
    """
    if not spacing > 0 or any(repeat < 1 for repeat in repeats):
        raise InputError(
            f"a grid of {spacing:g} Angstrom in {repeats} unit cells is none",
            fix="give a spacing above zero (0.2 Angstrom is usual) and repeats of one or more",
        )
    edges = np.linalg.norm(cell, axis=1)
    shape = tuple(
        repeat * max(1, math.ceil(edge / (spacing * repeat) - 1e-9)) for edge, repeat in zip(edges, repeats)
    )
    if math.prod(shape) > _MOST_POINTS:
        raise InputError(
            f"a spacing of {spacing:g} Angstrom gives a grid of {shape[0]} x {shape[1]} x {shape[2]} points",
            fix="take a wider spacing: 0.2 Angstrom resolves any site",
        )
    return shape


def count_ions(fractional: Iterable[FloatArray], shape: tuple[int, int, int]) -> IntArray:
    """How often each grid point was the nearest one; blocks of a long run are counted one after the other.

    Args:
        fractional: blocks (..., 3) of fractional coordinates, wrapped or not.
        shape: of the grid.
    Checked by tests/transport/test_transport_density.py against a loop over ions.
    """
    counts = np.zeros(math.prod(shape), dtype=np.int64)
    for block in fractional:
        counts += np.bincount(voxel_index(block, shape).ravel(), minlength=len(counts))
    return counts.reshape(shape)


def voxel_index(fractional: FloatArray, shape: tuple[int, int, int]) -> IntArray:
    """(...,) flat index of the grid point nearest to each position (..., 3)."""
    points = np.rint(fractional * np.array(shape)).astype(np.int64)
    points %= np.array(shape)
    return (points[..., 0] * shape[1] + points[..., 1]) * shape[2] + points[..., 2]


def ion_density(
    trajectory: Trajectory,
    species: str = "Li",
    *,
    spacing: float = 0.2,
    repeats: tuple[int, int, int] = (1, 1, 1),
    smoothing: float = 0.0,
    ions: MobileIons | None = None,
) -> IonDensity:
    """Density of the mobile ions, the framework's drift removed, in the frame of the mean cell.

    Args:
        trajectory: unwrapped frames, in any cell.
        species: mobile element.
        spacing: largest distance of grid points along the cell vectors, Angstrom.
        repeats: unit cells in the supercell along each vector: the grid then has as many points in each.
        smoothing: standard deviation of a Gaussian, Angstrom; 0: counts as they are.
        ions: what `mobile_ions` gave for this run and species, where it is there already; None: the run is read.
    Raises:
        TrajectoryError: what `analyse_run` refuses.
        InputError: no sensible grid.
    Checked by tests/transport/test_transport_density.py against a loop over ions.
    """
    refuse_outright(trajectory, species)
    cell = trajectory.cells.mean(axis=0)
    shape = grid_shape(cell, spacing, repeats)
    inverse = np.linalg.inv(cell)
    if ions is None:
        counts, framework = _counted(trajectory, species, shape, inverse)
    else:
        paths, framework = ions.positions.transpose(1, 0, 2), ions.framework
        counts = count_ions((path @ inverse for path in paths), shape)
    kinetic = trajectory.temperature_k[np.isfinite(trajectory.temperature_k)]
    voxel = abs(np.linalg.det(cell)) / counts.size
    counted = IonDensity(
        species=species,
        values=counts / (trajectory.n_frames * voxel),
        cell=cell,
        framework_symbols=tuple(symbol for symbol in trajectory.symbols if symbol != species),
        framework_fractional=(framework @ inverse) % 1.0,
        n_ions=float(trajectory.symbols.count(species)),
        n_frames=trajectory.n_frames,
        temperature_k=float(kinetic.mean() if len(kinetic) else trajectory.target_temperature_k),
    )
    return smooth(counted, smoothing) if smoothing else counted


def _counted(
    trajectory: Trajectory, species: str, shape: tuple[int, int, int], inverse: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Counts on the grid and mean positions of the other atoms, from one pass over the frames."""
    is_mobile = np.array([symbol == species for symbol in trajectory.symbols])
    framework = np.zeros((int((~is_mobile).sum()), 3))

    def fractional() -> Iterator[FloatArray]:
        for _, block, _ in blocks_without_drift(trajectory, species):
            np.add(framework, block[:, ~is_mobile].sum(axis=0), out=framework)
            yield block[:, is_mobile] @ inverse

    counts = count_ions(fractional(), shape)
    return counts, framework / trajectory.n_frames


def smooth(density: IonDensity, width: float) -> IonDensity:
    """Convolved with a periodic Gaussian, exp(-|G|^2 width^2 / 2) in reciprocal space; the number of ions is kept.

    Args:
        density: as counted, or smoothed already: variances add.
        width: standard deviation, Angstrom.
    Raises:
        InputError: a negative width.
    Checked by tests/transport/test_transport_density.py against sums over images.
    """
    if not width >= 0:
        raise InputError(f"a Gaussian of width {width:g} Angstrom is none", fix="give zero or more, 0.2 is usual")
    shape = density.values.shape
    reciprocal = 2 * np.pi * np.linalg.inv(density.cell).T
    frequencies = [np.fft.fftfreq(n, 1 / n) for n in shape[:2]] + [np.fft.rfftfreq(shape[2], 1 / shape[2])]
    grid = np.stack(np.meshgrid(*frequencies, indexing="ij"), axis=-1) @ reciprocal
    damping = np.exp(-0.5 * width**2 * np.sum(grid**2, axis=-1))
    values = np.fft.irfftn(np.fft.rfftn(density.values) * damping, s=shape, axes=(0, 1, 2))
    # Beside sharp peaks a truncated series dips below zero by its last terms.
    values = np.maximum(values, 0.0)
    values *= density.values.sum() / values.sum()
    return replace(density, values=values, smoothing=math.hypot(density.smoothing, width))


def fold(density: IonDensity, repeats: tuple[int, int, int]) -> IonDensity:
    """Mean over the unit cells of a supercell, in one unit cell.

    Args:
        density: on a grid made with the same repeats.
        repeats: unit cells along each vector.
    Returns:
        Density of the unit cell; framework atoms of all unit cells stay, on the same places or not, since
        an ordering need not repeat.
    Raises:
        InputError: the grid has no whole number of points in a unit cell.
    Checked by tests/transport/test_transport_density.py.
    """
    shape = density.values.shape
    if any(repeat < 1 or n % repeat for n, repeat in zip(shape, repeats)):
        raise InputError(
            f"a grid of {shape[0]} x {shape[1]} x {shape[2]} points does not repeat {repeats} times",
            fix=f"make it so: ion_density(..., repeats={tuple(repeats)})",
        )
    a, b, c = repeats
    parts = density.values.reshape(a, shape[0] // a, b, shape[1] // b, c, shape[2] // c)
    return replace(
        density,
        values=parts.mean(axis=(0, 2, 4)),
        cell=density.cell / np.array(repeats)[:, None],
        n_ions=density.n_ions / math.prod(repeats),
        framework_fractional=(density.framework_fractional * repeats) % 1.0,
    )


def write_chgcar(density: IonDensity, path: Path | str) -> None:
    """In VASP's CHGCAR format, for VESTA: density times volume, so that its mean is the number of ions.

    Framework atoms stand at their mean positions, elements together as the format wants.

    Checked by tests/transport/test_transport_density.py through pymatgen's reader.
    """
    elements = sorted(set(density.framework_symbols))
    order = [k for element in elements for k, symbol in enumerate(density.framework_symbols) if symbol == element]
    counts = [density.framework_symbols.count(element) for element in elements]
    if not elements:  # the format wants an atom; a mobile ion has no place of its own
        elements, counts, positions = [density.species], [1], np.zeros((1, 3))
    else:
        positions = density.framework_fractional[order]
    volume = abs(np.linalg.det(density.cell))
    lines = [
        f"density of {density.species} times volume, {density.n_ions:g} ions, {density.n_frames} frames (halion)",
        "1.0",
        *(" ".join(f"{value:18.12f}" for value in row) for row in density.cell),
        " ".join(elements),
        " ".join(str(count) for count in counts),
        "Direct",
        *(" ".join(f"{value:14.10f}" for value in row) for row in positions),
        "",
        " ".join(str(n) for n in density.values.shape),
        *_rows(density.values.ravel(order="F") * volume, 5),
    ]
    write_text(Path(path), "\n".join(lines) + "\n")


def write_cube(density: IonDensity, path: Path | str) -> None:
    """In Gaussian's cube format: lengths in Bohr, ions per Bohr^3, framework atoms at their mean positions.

    Checked by tests/transport/test_transport_density.py through ASE's reader.
    """
    shape, cell = density.values.shape, length_to_bohr(1.0) * density.cell
    positions = density.framework_fractional @ cell
    lines = [
        f"density of {density.species} (halion): {density.n_ions:g} ions, {density.n_frames} frames",
        "ions per Bohr^3; lengths in Bohr",
        f"{len(positions):5d} {0:12.6f} {0:12.6f} {0:12.6f}",
        *(f"{n:5d} " + " ".join(f"{x:14.9f}" for x in row / n) for n, row in zip(shape, cell)),
        *(
            f"{atomic_numbers[symbol]:5d} {0:12.6f} " + " ".join(f"{x:12.6f}" for x in row)
            for symbol, row in zip(density.framework_symbols, positions)
        ),
    ]
    per_bohr3 = density.values / length_to_bohr(1.0) ** 3
    for plane in per_bohr3.reshape(-1, shape[2]):
        lines += _rows(plane, 6)
    write_text(Path(path), "\n".join(lines) + "\n")


def _rows(values: FloatArray, per_row: int) -> list[str]:
    whole = len(values) // per_row * per_row
    row = " ".join(["%12.5e"] * per_row)
    rows = [row % tuple(part) for part in values[:whole].reshape(-1, per_row)]
    rest = values[whole:]
    return [*rows, " ".join(f"{value:12.5e}" for value in rest)] if len(rest) else rows
