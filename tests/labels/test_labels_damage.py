"""Damaged files of labels: labels of finite shape, or an error of halion; no other error, no wait."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_cases import emt_labeller, frames

from halion.errors import HalionError
from halion.labels import LabelledFrame, LabelStore, read_labels, write_labels
from halion.labels.imports import read_vasp

LONGEST_S = 5.0
CHECKS = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
FRAGMENTS = [
    *(b"\n", b" ", b"0", b"-1", b"9", b"999999999999", b"nan", b"inf", b"1e400", b"=", b'"', b"{", b"[", b"\xff"),
    *(
        b'Lattice="',
        b"Properties=",
        b"REF_energy",
        b"REF_stress",
        b"REF_forces",
        b"temperature_k=x",
        b"T",
        b"_JSON",
    ),
    *(b"attempt=x", b"\x00", b"\xc3\xa9", b"key=", b":R:3", b":R:-3", b":S:1"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    made = [LabelledFrame(frame=one, label=emt_labeller().label(one.atoms, folder)) for one in frames(2)]
    return write_labels(folder / "labels.extxyz", made).read_bytes()


@st.composite
def damage(draw: st.DrawFn, content: bytes) -> bytes:
    """One to three places deleted, doubled, overwritten or filled with a fragment."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), start + draw(st.integers(0, 30)))
        doubled = st.just(content[start:end] * 2)
        middle = draw(st.just(b"") | doubled | st.sampled_from(FRAGMENTS) | st.binary(max_size=4))
        content = content[:start] + middle + content[end:]
    return content


def read_or_refuse(read, path: Path) -> None:
    began = time.monotonic()
    try:
        found = read(path)
    except HalionError as error:
        assert error.what and error.where and error.fix
    else:
        for one in found:
            assert one.label.forces.shape == (len(one.frame.atoms), 3)
            assert one.label.stress.shape == (3, 3)
            assert np.isfinite(one.frame.atoms.positions).all()
    assert time.monotonic() - began < LONGEST_S


@CHECKS
@given(data=st.data())
def test_damaged_labels_are_read_or_refused(data, tmp_path, whole):
    path = tmp_path / "labels.extxyz"
    path.write_bytes(data.draw(damage(whole)))
    read_or_refuse(read_labels, path)


@CHECKS
@given(data=st.data())
def test_a_store_of_a_damaged_file_is_opened_or_refused(data, tmp_path, whole):
    path = tmp_path / "labels.extxyz"
    path.write_bytes(data.draw(damage(whole)))
    began = time.monotonic()
    try:
        LabelStore(path)
    except HalionError as error:
        assert str(path) in error.where
    assert time.monotonic() - began < LONGEST_S


@CHECKS
@given(junk=st.binary(max_size=300), name=st.sampled_from(["vasprun.xml", "OUTCAR", "labels.extxyz"]))
def test_random_bytes_are_refused(junk, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(junk)
    with pytest.raises(HalionError):
        read_labels(path) if name.endswith("extxyz") else read_vasp(path)


def test_entities_that_blow_up_are_refused(tmp_path):
    """The billion laughs in a vasprun.xml: 10 ** 9 copies of one word from a kilobyte."""
    entities = ['<!ENTITY a0 "ha">'] + [f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' for k in range(1, 10)]
    path = tmp_path / "vasprun.xml"
    path.write_text(f"<?xml version='1.0'?><!DOCTYPE m [{''.join(entities)}]><modeling><i>&a9;</i></modeling>")
    began = time.monotonic()
    with pytest.raises(HalionError):
        read_vasp(path)
    assert time.monotonic() - began < LONGEST_S


def test_entities_read_no_other_file(tmp_path):
    (tmp_path / "secret").write_text("do not tell")
    path = tmp_path / "vasprun.xml"
    path.write_text(
        f"<?xml version='1.0'?><!DOCTYPE m [<!ENTITY s SYSTEM 'file://{tmp_path}/secret'>]>"
        "<modeling><generator><i name='program'>&s;</i></generator></modeling>"
    )
    with pytest.raises(HalionError) as caught:
        read_vasp(path)
    assert "do not tell" not in str(caught.value)
