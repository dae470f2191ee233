"""Extended XYZ that claims more atoms than it holds: found at once, plain and compressed; whole files pass."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from halion.errors import TornFile
from halion.extxyz import refuse_missing_atoms
from halion.labels import read_labels
from halion.transport import read_trajectory

HEADER = 'Lattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
# ASE alone counts to 999999999999 at some ten million a second: a day.
HOSTILE = "1\n" + HEADER + "Li 0 0 0\n999999999999\n" + HEADER + "Li 0 0 0.1\n"


@given(n=st.integers(1, 12), n_frames=st.integers(1, 4), compressed=st.booleans())
def test_whole_files_pass(n, n_frames, compressed, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / ("whole.extxyz.gz" if compressed else "whole.extxyz")
    ase.io.write(path, [Atoms(f"Li{n}", positions=[[k, 0, 0] for k in range(n)])] * n_frames, format="extxyz")
    refuse_missing_atoms(path)


def test_the_shortest_lines_of_atoms_pass(tmp_path):
    """A column of elements alone, without positions, has two bytes in each line."""
    (tmp_path / "short.extxyz").write_text("1000\nProperties=species:S:1\n" + "H\n" * 1000)
    refuse_missing_atoms(tmp_path / "short.extxyz")


@pytest.mark.parametrize("claim", ["999999999999", " 999999999999 ", "+999999999999", "999_999_999_999", "9" * 35])
def test_a_claim_without_room_is_found_with_its_line(claim, tmp_path):
    path = tmp_path / "run.extxyz"
    path.write_text(HOSTILE.replace("999999999999", claim))
    with pytest.raises(TornFile, match=r"line 4 of .* claims 9"):
        refuse_missing_atoms(path)


def compressed(path: Path) -> Path:
    path.write_bytes(gzip.compress(HOSTILE.encode()))
    return path


def plain(path: Path) -> Path:
    path.write_text(HOSTILE)
    return path


@pytest.mark.parametrize("make", [plain, compressed])
def test_the_readers_refuse_it_at_once(make, tmp_path):
    name = "run.extxyz.gz" if make is compressed else "run.extxyz"
    path, began = make(tmp_path / name), time.monotonic()
    with pytest.raises(TornFile, match="999999999999 atoms"):
        read_trajectory(path, timestep_ps=0.1)
    with pytest.raises(TornFile, match="999999999999 atoms"):
        read_labels(path)
    assert time.monotonic() - began < 10
