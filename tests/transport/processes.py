"""Processes whose diffusivity tensor and Haven ratio are known, as trajectories in a framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halion.dynamics.types import Trajectory

FRAME_PS = 0.1
# Tracer correlation factor of one vacancy on a simple cubic lattice: Compaan, Haven, Trans. Faraday Soc. 52, 786
# (1956). With a vacancy the ions' jumps add up to its own random walk, so it is the Haven ratio as well.
CORRELATION_SIMPLE_CUBIC = 0.6531


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A trajectory and what is known of it.

    Attributes:
        trajectory: mobile Li, then framework Cl.
        tensor: (3, 3) diffusivity, Angstrom^2/ps.
        haven: D_tracer / D_charge; NaN where it has none.
    """

    trajectory: Trajectory
    tensor: np.ndarray
    haven: float

    @property
    def diffusivity(self) -> float:
        return float(np.trace(self.tensor) / 3)


def as_trajectory(
    positions: np.ndarray,
    symbols: Sequence[str],
    cell: np.ndarray,
    *,
    frame_ps: float = FRAME_PS,
    temperature_k=600.0,
) -> Trajectory:
    """Positions (n_frames, n_atoms, 3) in one cell, evenly spaced in time."""
    n_frames = len(positions)
    return Trajectory(
        symbols=tuple(symbols),
        positions=np.asarray(positions, dtype=float),
        cells=np.broadcast_to(cell, (n_frames, 3, 3)).copy(),
        steps=np.arange(n_frames),
        time_ps=np.arange(n_frames) * frame_ps,
        temperature_k=np.full(n_frames, float(temperature_k)),
        potential_energy=np.zeros(n_frames),
        pressure_gpa=np.zeros(n_frames),
        target_temperature_k=float(temperature_k),
        source="process",
    )


def _in_framework(mobile: np.ndarray, tensor: np.ndarray, haven: float, **options: float) -> Process:
    """Eight Cl at rest on a grid of 8 Angstrom in a cube; `drift`, Angstrom per frame, is of all atoms."""
    drift, edge = options.get("drift", (0, 0, 0)), options.get("edge", 16.0)
    sites = np.array(np.meshgrid(*[[0.0, 8.0]] * 3, indexing="ij")).reshape(3, -1).T
    framework = np.broadcast_to(sites, (len(mobile), 8, 3))
    positions = np.concatenate([mobile, framework], axis=1)
    positions = positions + np.arange(len(mobile))[:, None, None] * np.asarray(drift, dtype=float)
    symbols = ("Li",) * mobile.shape[1] + ("Cl",) * 8
    return Process(trajectory=as_trajectory(positions, symbols, edge * np.eye(3)), tensor=tensor, haven=haven)


def _starts(rng: np.random.Generator, n_ions: int) -> np.ndarray:
    return rng.uniform(0, 16, (n_ions, 3))


def brownian(
    seed: int,
    *,
    n_ions: int = 12,
    n_frames: int = 1200,
    root: np.ndarray | float = 0.3,
    correlation: float = 0.0,
    drift: Sequence[float] = (0, 0, 0),
) -> Process:
    """Gaussian steps, of any two ions with the same correlation: H = 1 / (1 + (N - 1) correlation).

    Args:
        seed: of the steps.
        n_ions, n_frames: N and length.
        root: step of a frame, Angstrom: a number, or a matrix that unit steps are multiplied with (rows).
        correlation: between the steps of two ions, above -1 / (N - 1).
        drift: of all atoms, Angstrom per frame.
    """
    rng = np.random.default_rng(seed)
    root = root * np.eye(3) if np.ndim(root) == 0 else np.asarray(root)
    mixing = np.linalg.cholesky((1 - correlation) * np.eye(n_ions) + correlation)
    steps = np.einsum("ij,tjb,bc->tic", mixing, rng.normal(size=(n_frames, n_ions, 3)), root, optimize=True)
    tensor = root.T @ root / (2 * FRAME_PS)
    return _in_framework(
        _starts(rng, n_ions) + np.cumsum(steps, axis=0), tensor, 1 / (1 + (n_ions - 1) * correlation), drift=drift
    )


def anisotropic(seed: int, **changes: float) -> Process:
    """Brownian, sixteen times as fast along one axis, which is none of the cell's."""
    rotation = np.linalg.qr(np.random.default_rng(99).normal(size=(3, 3)))[0]
    return brownian(seed, root=np.diag([0.1, 0.1, 0.4]) @ rotation, **changes)


def groups_that_hop(
    seed: int, *, n_groups: int = 6, size: int = 2, n_frames: int = 1200, rate: float = 0.02, hop: float = 3.0
) -> Process:
    """Groups of ions that hop as one, along a random axis with probability `rate` per frame: H = 1 / size."""
    rng = np.random.default_rng(seed)
    axes = np.vstack([np.eye(3), -np.eye(3)]) * hop
    moved = rng.random((n_frames, n_groups)) < rate
    steps = axes[rng.integers(6, size=(n_frames, n_groups))] * moved[..., None]
    positions = np.repeat(np.cumsum(steps, axis=0), size, axis=1) + _starts(rng, n_groups * size)
    return _in_framework(positions, rate * hop**2 / (6 * FRAME_PS) * np.eye(3), 1 / size)


def caged(seed: int, *, n_ions: int = 12, n_frames: int = 1200, amplitude: float = 0.4) -> Process:
    """Vibration about fixed sites: no diffusion."""
    rng = np.random.default_rng(seed)
    positions = _starts(rng, n_ions) + rng.normal(0, amplitude, (n_frames, n_ions, 3))
    return _in_framework(positions, np.zeros((3, 3)), float("nan"))


def one_vacancy(
    seed: int, *, side: int = 8, n_frames: int = 2000, per_frame: int = 60, spacing: float = 3.0
) -> Process:
    """All but one site of a simple cubic lattice are filled; the vacancy walks. H = f = 0.6531."""
    rng = np.random.default_rng(seed)
    axes = np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    sites = np.array(np.meshgrid(*[np.arange(side)] * 3, indexing="ij")).reshape(3, -1).T
    neighbours = (((sites[:, None] + axes) % side) @ [side**2, side, 1]).tolist()
    choices = rng.integers(6, size=(n_frames, per_frame)).tolist()
    vacancy, occupant, n_ions = 0, list(range(-1, side**3 - 1)), side**3 - 1
    steps = np.zeros((n_frames, n_ions, 3))
    for frame in range(n_frames):
        for choice in choices[frame]:
            chosen = neighbours[vacancy][choice]
            ion = occupant[chosen]
            steps[frame, ion] -= axes[choice]
            occupant[vacancy], occupant[chosen], vacancy = ion, -1, chosen
    positions = (sites[1:] + np.cumsum(steps, axis=0)) * spacing
    rate = per_frame / FRAME_PS / n_ions  # jumps of an ion per ps
    tensor = CORRELATION_SIMPLE_CUBIC * rate * spacing**2 / 6 * np.eye(3)
    return _in_framework(positions, tensor, CORRELATION_SIMPLE_CUBIC, edge=side * spacing)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteWalk:
    """A walk between sites and every hop that was made.

    Attributes:
        trajectory: Li, then framework.
        places: (n_frames, n_ions, 3) whole numbers: the site of the lattice that each ion is on, unwrapped.
    """

    trajectory: Trajectory
    places: np.ndarray

    @property
    def n_hops(self) -> int:
        return int(np.any(np.diff(self.places, axis=0) != 0, axis=2).sum())


def walk_on_sites(
    seed: int,
    *,
    cell: np.ndarray,
    side: tuple[int, int, int] = (3, 3, 3),
    rates: Sequence[float] = (0.01, 0.01, 0.01),
    n_ions: int = 8,
    n_frames: int = 4000,
    vibration: float = 0.3,
) -> SiteWalk:
    """Ions on the sites of a lattice of side[0] x side[1] x side[2] in the cell.

    Along axis k they hop with probability rates[k] per frame, half of it either way; `vibration` is in Angstrom.
    """
    rng = np.random.default_rng(seed)
    draw = rng.random((n_frames, n_ions))
    bounds = np.cumsum(rates)
    steps = np.zeros((n_frames, n_ions, 3), dtype=int)
    signs = rng.choice([-1, 1], size=(n_frames, n_ions))
    for axis in range(3):
        low = bounds[axis - 1] if axis else 0.0
        steps[..., axis] = signs * ((draw >= low) & (draw < bounds[axis]))
    steps[0] = 0
    places = rng.integers(0, side, size=(n_ions, 3)) + np.cumsum(steps, axis=0)
    mobile = (places + 0.5) / np.array(side) @ cell + rng.normal(0, vibration, (n_frames, n_ions, 3))
    corner = np.zeros((n_frames, 1, 3))
    positions = np.concatenate([mobile, corner], axis=1)
    return SiteWalk(trajectory=as_trajectory(positions, ("Li",) * n_ions + ("Cl",), cell), places=places)
