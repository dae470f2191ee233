"""Whole trajectories in every format that is read, and ways to damage their bytes."""

from __future__ import annotations

from pathlib import Path

import ase.io
import h5py
import numpy as np
from ase import Atoms
from hypothesis import strategies as st

CELL = np.array([[9.0, 0, 0], [2.0, 8.0, 0], [-1.0, 1.5, 10.0]])
SYMBOLS = ("Li", "Li", "Cl", "Cl", "Cl")
N_FRAMES = 6
STEP_PS = 0.05
# Words that readers of numbers, sizes and headers stumble over.
FRAGMENTS = [
    *(b"\n", b" ", b"0", b"-1", b"9", b"999999999999", b"nan", b"inf", b"1e400", b"Direct", b"=", b'"', b"{", b"["),
    *(b'Lattice="', b"Properties=", b"Li", b"Xx", b"\xff", b"\x00", b"\t", b"time_ps", b"1:1:1", b"0x", b"_JSON"),
    *(b"ITEM: ATOMS", b"ITEM: TIMESTEP\n", b"\xc3\xa9", b"config", b"species:S:1:pos:R:9"),
]


def frames() -> list[Atoms]:
    """Six frames of five atoms in a triclinic cell, moving a little."""
    rng = np.random.default_rng(1)
    places = rng.random((1, 5, 3)) + np.cumsum(rng.uniform(-0.05, 0.05, (N_FRAMES, 5, 3)), axis=0)
    made = []
    for k, fractional in enumerate(places):
        atoms = Atoms(SYMBOLS, scaled_positions=fractional % 1.0, cell=CELL, pbc=True)
        atoms.info["time_ps"] = STEP_PS * k
        made.append(atoms)
    return made


def write_dump(path: Path) -> None:
    """A text dump as LAMMPS writes it, with elements and wrapped coordinates."""
    lines = []
    for k, atoms in enumerate(frames()):
        lines += ["ITEM: TIMESTEP", str(100 * k), "ITEM: NUMBER OF ATOMS", "5"]
        lines += ["ITEM: BOX BOUNDS xy xz yz pp pp pp", "-1.0 11.0 2.0", "0.0 9.5 -1.0", "0.0 10.0 1.5"]
        lines += ["ITEM: ATOMS id type element x y z"]
        for m, (symbol, place) in enumerate(zip(SYMBOLS, atoms.positions), 1):
            lines.append(f"{m} {1 + (symbol == 'Cl')} {symbol} " + " ".join(f"{x:.5f}" for x in place))
    path.write_text("\n".join(lines) + "\n")


def write_h5md(path: Path) -> None:
    """An H5MD file with a constant cell and wrapped positions."""
    with h5py.File(path, "w") as file:
        file.create_group("h5md")
        group = file.create_group("particles/all")
        group["position/value"] = np.array([atoms.positions for atoms in frames()])
        group["position/step"] = np.arange(N_FRAMES)
        group["position/time"] = STEP_PS * np.arange(N_FRAMES)
        group["box/edges"] = CELL
        group["species"] = frames()[0].numbers


WRITERS = {
    "run.extxyz": lambda path: ase.io.write(path, frames()),
    "run.traj": lambda path: ase.io.write(path, frames()),
    "XDATCAR": lambda path: ase.io.write(path, frames(), format="vasp-xdatcar"),
    "run.dump": write_dump,
    "run.h5md": write_h5md,
}


@st.composite
def damage(draw: st.DrawFn, content: bytes) -> bytes:
    """One to three places of a file deleted, doubled, overwritten or filled with a fragment; or its end cut."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), start + draw(st.integers(0, 30)))
        middle = draw(
            st.one_of(
                st.just(b""),
                st.just(content[start:end] * 2),
                st.sampled_from(FRAGMENTS),
                st.binary(max_size=4),
            )
        )
        content = content[:start] + middle + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 5)) == 0 else content
