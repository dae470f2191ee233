"""Processes of known diffusivity, as trajectories."""

from __future__ import annotations

import numpy as np

from halion.dynamics.types import Trajectory
from halion.settings import TransportSettings

HOP = 3.0  # Angstrom
SETTINGS = TransportSettings(hop_length_angstrom=HOP)
RATE, FRAME_PS = 0.02, 0.1


def trajectory(
    positions: np.ndarray,
    symbols: tuple[str, ...],
    *,
    frame_ps: float = 0.1,
    cell: np.ndarray | None = None,
    temperature_k: float = 600.0,
) -> Trajectory:
    """Positions (n_frames, n_atoms, 3) as a trajectory with evenly spaced frames."""
    n_frames = len(positions)
    cell = np.eye(3) * 15.0 if cell is None else cell
    cells = np.broadcast_to(cell, (n_frames, 3, 3)) if cell.ndim == 2 else cell
    return Trajectory(
        symbols=symbols,
        positions=np.asarray(positions, dtype=float),
        cells=np.array(cells),
        steps=np.arange(n_frames),
        time_ps=np.arange(n_frames) * frame_ps,
        temperature_k=np.full(n_frames, temperature_k),
        potential_energy=np.zeros(n_frames),
        pressure_gpa=np.zeros(n_frames),
        target_temperature_k=temperature_k,
        source="walk",
    )


def lattice_walk(seed: int, *, n_ions: int, n_frames: int, rate: float, hop: float = HOP) -> np.ndarray:
    """(n_frames, n_ions, 3): per frame each ion hops along an axis with probability `rate`; D = rate hop^2 / 6."""
    rng = np.random.default_rng(seed)
    axes = np.vstack([np.eye(3), -np.eye(3)]) * hop
    moves = axes[rng.integers(6, size=(n_frames, n_ions))] * (rng.random((n_frames, n_ions)) < rate)[..., None]
    moves[0] = 0.0
    return np.cumsum(moves, axis=0) + rng.uniform(0, 15, (n_ions, 3))


def in_framework(mobile: np.ndarray, seed: int = 0, *, n_framework: int = 24, vibration: float = 0.1) -> Trajectory:
    """Mobile Li among vibrating Cl."""
    rng = np.random.default_rng(seed + 1000)
    sites = rng.uniform(0, 15, (n_framework, 3))
    framework = sites + rng.normal(0, vibration, (len(mobile), n_framework, 3))
    return trajectory(
        np.concatenate([mobile, framework], axis=1), ("Li",) * mobile.shape[1] + ("Cl",) * n_framework
    )


def walk(seed: int, **changes: float) -> Trajectory:
    """24 Li hopping by 3 Angstrom at 0.2 per ps among vibrating Cl, for 120 ps."""
    return in_framework(lattice_walk(seed, **({"n_ions": 24, "n_frames": 1200, "rate": RATE} | changes)), seed)


def bromide(*, li_msd: float, y_msd: float, br_msd: float, is_melt: bool, seed: int = 0) -> Trajectory:
    """13 ps of Li12Y4Br24 whose species reach these mean squared displacements at the longest lag, 6.5 ps.

    Li hops in a cubic close packing of Br, which vibrates about its sites or, as a melt, wanders.
    """
    rng, n_frames = np.random.default_rng(seed), 651
    spacing, n_lags = 3.75, 325

    def wander(sites: np.ndarray, msd: float) -> np.ndarray:
        steps = rng.normal(0, np.sqrt(msd / (3 * n_lags)), (n_frames, *sites.shape))
        return sites + np.cumsum(steps, axis=0)

    def vibrate(sites: np.ndarray, msd: float) -> np.ndarray:
        return sites + rng.normal(0, np.sqrt(msd / 6), (n_frames, *sites.shape))

    grid = np.array(np.meshgrid(*[np.arange(3)] * 3, indexing="ij")).reshape(3, -1).T * spacing
    between = grid + spacing / 2
    move = wander if is_melt else vibrate
    li = lattice_walk(seed, n_ions=12, n_frames=n_frames, rate=li_msd / HOP**2 / n_lags)
    positions = np.concatenate([li, move(between[:27:7], y_msd), move(grid[:24], br_msd)], axis=1)
    symbols = ("Li",) * 12 + ("Y",) * 4 + ("Br",) * 24
    return trajectory(positions, symbols, frame_ps=0.02, cell=np.eye(3) * 3 * spacing, temperature_k=500.0)
