"""Files are whole or absent: through kills, full disks and errors."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halion.errors import TornFile
from halion.files import atomic_path, digest, disk_is_full, file_sha256, read_json, write_json, write_text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=json_values)
def test_json_comes_back_equal(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_folders_are_made(tmp_path):
    path = write_text(tmp_path / "a" / "b" / "c.txt", "words σ")
    assert path.read_text(encoding="utf-8") == "words σ"


def test_nothing_is_left_beside(tmp_path):
    write_text(tmp_path / "a.txt", "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_what_is_not_json_is_refused_and_the_old_file_stays(tmp_path, value):
    path = write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, value)
    assert read_json(path) == {"old": 1}


def test_an_error_in_the_middle_keeps_the_old_file(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError, match="middle"), atomic_path(path) as part:
        part.write_text("new, but")
        raise RuntimeError("in the middle")
    assert path.read_text() == "old"
    assert not part.exists()


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from halion.files import write_json
    path, k = Path(sys.argv[1]), 0
    while True:
        k += 1
        write_json(path, {"k": k, "values": [k] * 20000})
    """
)


def test_kill_9_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a.json"
    moments = [0.003, 0.011, 0.019, 0.027, 0.041]
    for moment in moments:
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        deadline = time.monotonic() + 30
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == before:  # until it writes
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        value = read_json(path)
        assert value["values"] == [value["k"]] * 20000


LIMITED = textwrap.dedent(
    """
    import resource, sys
    from halion.errors import DiskFull
    from halion.files import atomic_path, write_text
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        if sys.argv[2] == "text":
            write_text(sys.argv[1], "x" * 100_000)
        else:
            import h5py, numpy
            with atomic_path(sys.argv[1]) as part, h5py.File(part, "w") as file:
                file["x"] = numpy.zeros(100_000)
    except DiskFull as error:
        print(error)
        sys.exit(error.exit_code)
    """
)


@pytest.mark.parametrize("kind", ["text", "hdf5"])
def test_a_full_disk_is_told_and_loses_nothing(tmp_path, kind):
    path = write_text(tmp_path / "a.bin", "old")
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path), kind], capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert "MiB free" in done.stdout
    assert "same command again" in done.stdout
    assert path.read_text() == "old"
    assert not path.with_name("a.bin.part").exists()


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_a_file_system_that_fails_keeps_the_old_file(tmp_path, monkeypatch, call, number):
    """Network file systems fail in calls that local ones never fail in."""
    path = write_text(tmp_path / "a.txt", "old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        with pytest.raises(OSError, match=os.strerror(number)):
            write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write_text(path, "new")
    assert path.read_text() == "new"


def test_this_process_has_no_such_limit():
    # Otherwise the test above would prove nothing about the limit it sets itself.
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] in (resource.RLIM_INFINITY, -1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disks_are_known_by_their_numbers_through_causes(tmp_path, number):
    inner = OSError(number, os.strerror(number))
    outer = RuntimeError("could not write")
    outer.__cause__ = inner
    assert disk_is_full(inner, tmp_path)
    assert disk_is_full(outer, tmp_path)


def test_other_troubles_are_not_full_disks(tmp_path):
    assert not disk_is_full(PermissionError(errno.EACCES, "no"), tmp_path)
    assert not disk_is_full(ValueError("wrong"), tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 7, -2])
def test_a_torn_file_says_what_to_remove(tmp_path, keep):
    path = write_json(tmp_path / "a.json", {"k": [1, 2, 3]})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TornFile) as caught:
        read_json(path)
    assert caught.value.where == str(path)
    assert f"rm {path}" in caught.value.fix


def test_bytes_that_are_no_text_are_a_torn_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\x00")
    with pytest.raises(TornFile):
        read_json(path)


def test_a_missing_file_is_no_torn_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "a.json")


@given(value=st.dictionaries(st.text(), st.integers(), max_size=4))
def test_the_digest_knows_content_not_order(value):
    reversed_order = dict(reversed(value.items()))
    assert digest(value) == digest(reversed_order)
    assert digest({**value, "one more": 1}) != digest(value) or value.get("one more") == 1


def test_the_digest_is_the_same_on_every_machine():
    # GNU coreutils 9.1: printf '%s' '{"a":[1,2.5,null],"b":"x"}' | sha256sum
    expected = "6739d783db2ab3fd0e308ed566ca042752f3cab5f9516e0e6d9e411041c24c13"
    assert digest({"b": "x", "a": [1, 2.5, None]}) == expected


def test_the_digest_of_a_file_is_sha256(tmp_path):
    path = Path(tmp_path / "abc")
    path.write_bytes(b"abc")
    # FIPS 180-2, the example of one block.
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
