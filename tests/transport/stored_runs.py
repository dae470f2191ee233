"""Trajectories as halion's own files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from halion.dynamics.layout import Frames, Header, encode
from halion.dynamics.types import Trajectory

_BLOCK = 500


def stored(path: Path, given: Trajectory) -> Trajectory:
    """Write a run as `trajectory.h5` in float32; the same run as it is in that file, in memory."""
    header = Header(
        inputs_digest="0" * 64,
        symbols=given.symbols,
        ensemble="nvt",
        n_steps=int(given.steps[-1]),
        timestep_fs=1.0,
        target_temperature_k=given.target_temperature_k,
        target_pressure_gpa=float("nan"),
        store_every_steps=1,
        potential="walk",
        weights_sha256="",
        written_by="tests",
    )

    def blocks() -> Iterator[Frames]:
        for first in range(0, given.n_frames, _BLOCK):
            part = slice(first, first + _BLOCK)
            yield {
                "step": given.steps[part],
                "time_ps": given.time_ps[part],
                "temperature_k": given.temperature_k[part],
                "potential_energy_ev": given.potential_energy[part],
                "pressure_gpa": given.pressure_gpa[part],
                "conserved_energy_ev": np.full(len(given.steps[part]), np.nan),
                "cell_angstrom": given.cells[part],
                "positions_angstrom": given.positions[part].astype(np.float32),
            }

    path.write_bytes(encode(header, blocks(), {"step": np.array([float(given.steps[-1])])}))
    return replace(given, positions=given.positions.astype(np.float32).astype(float), source=str(path))
