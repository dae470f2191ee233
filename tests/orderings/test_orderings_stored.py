"""Orderings straight to disk: the same file whatever happened on the way."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from orderings_crystals import composed, li3ycl6

from halion.errors import DiskFull, InputError, Interrupted, OrderingError, RunFolderError, TornFile
from halion.orderings import (
    compositions_for,
    enumerate_orderings,
    exclusion_distances,
    load_orderings,
    merge_shards,
    save_orderings,
    spool,
    store_orderings,
)
from halion.settings import OrderingSettings

HERE = Path(__file__).parent


def sixty(li=(10, 8), supercell=(1, 1, 2)):
    n = supercell[2]
    counts = {"Li1": {"Li": li[0]}, "Li2": {"Li": li[1]}, "Y2": {"Y": n}, "Y3": {"Y": n}}
    return composed(li3ycl6(), supercell, counts)


@pytest.fixture
def often(monkeypatch):
    """Commits at every task."""
    monkeypatch.setattr(spool, "_COMMIT_BYTES", 1)


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def assert_same(path, expected):
    found = load_orderings(path)
    assert np.array_equal(found.occupation, expected.occupation)
    assert np.array_equal(found.multiplicity, expected.multiplicity)
    assert (found.total_allowed, found.count) == (expected.total_allowed, expected.count)
    assert (found.compositions, found.exclusions) == (expected.compositions, expected.exclusions)
    assert found.species == expected.species


# --- the same orderings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("closest", [0.0, 2.5])
def test_the_file_holds_what_would_be_in_memory(tmp_path, closest):
    parent = li3ycl6()
    exclusions = exclusion_distances(parent, closest)
    path = store_orderings(parent, sixty(), tmp_path / "new" / "a.h5", exclusions=exclusions, limit=50_000)
    assert_same(path, enumerate_orderings(parent, sixty(), exclusions=exclusions, limit=50_000))
    assert names(path.parent) == ["a.h5"]


def test_nothing_is_loaded_before_it_is_used(tmp_path):
    found = load_orderings(store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5"))
    assert isinstance(found.occupation, np.memmap)
    assert isinstance(found.multiplicity, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found.occupation[0, 0] = 1
    assert found.structure(0).get_chemical_formula() == "Cl36Li18Y6"


def test_several_compositions(tmp_path):
    parent = li3ycl6()
    several = compositions_for(parent, OrderingSettings(supercell=(1, 1, 1), pool=("Li", "Y")))
    path = store_orderings(parent, several, tmp_path / "a.h5")
    assert_same(path, enumerate_orderings(parent, several, limit=1000))


def test_a_finished_file_is_kept(tmp_path):
    path = store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5")
    before = path.stat()
    store_orderings(li3ycl6(), sixty(), path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert names(tmp_path) == ["a.h5"]


def test_another_file_is_not_overwritten(tmp_path):
    path = store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(RunFolderError, match="another file of orderings lies here"):
        store_orderings(li3ycl6(), sixty((11, 7)), path)
    saved = enumerate_orderings(li3ycl6(), sixty(), limit=50_000)
    with pytest.raises(RunFolderError, match="another file"):  # without a mark of its question
        store_orderings(li3ycl6(), sixty(), save_orderings(saved, tmp_path / "b.h5"))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.h5", "b.h5"]


# --- stopped, killed, full ---------------------------------------------------------------------------------------


def interrupted(tmp_path, after=2, composition=None):
    """A run that is stopped when some tasks are committed."""
    path = tmp_path / "a.h5"
    journal = tmp_path / "a.h5.journal"
    with pytest.raises(Interrupted, match="stopped after"):
        store_orderings(
            li3ycl6(),
            composition or sixty((15, 12), (1, 1, 3)),
            path,
            stop=lambda: journal.read_bytes().count(b"\n") > after,
        )
    assert not path.exists()
    return path


def broken_off(monkeypatch, compositions, path, after):
    """A run that ends without warning before a commit."""
    commit, done = spool.Spool.commit, []

    def breaks(self):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(commit(self))

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(spool.Spool, "commit", breaks)
        store_orderings(li3ycl6(), compositions, path)


def test_broken_off_before_every_commit(tmp_path, often, monkeypatch):
    """The file of a run that was broken off, again and again, is that of one that ran through, byte for byte."""
    several = [sixty((10, 8)), sixty((11, 7))]
    whole = store_orderings(li3ycl6(), several, tmp_path / "b.h5").read_bytes()
    for after in range(5):
        path = tmp_path / f"{after}.h5"
        for _ in range(3):  # each of them goes on where the one before had committed
            broken_off(monkeypatch, several, path, after)
            if after == 4:
                break
        store_orderings(li3ycl6(), several, path)
        assert path.read_bytes() == whole


def test_a_stopped_run_keeps_what_it_has(tmp_path, often):
    path = interrupted(tmp_path)
    committed = (tmp_path / "a.h5.journal").read_bytes()
    n_orderings = json.loads(committed.splitlines()[-1])["current"][0]
    assert n_orderings > 1000
    with pytest.raises(Interrupted):
        store_orderings(li3ycl6(), sixty((15, 12), (1, 1, 3)), path, stop=lambda: True)
    assert (tmp_path / "a.h5.journal").read_bytes().startswith(committed)
    n_sites = 3 * 35  # of three cells, vacant ones included
    assert (tmp_path / "a.h5.rows").stat().st_size >= n_orderings * n_sites
    assert (tmp_path / "a.h5.multiplicities").stat().st_size >= n_orderings * 8


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from orderings_crystals import composed, li3ycl6
from halion.orderings import spool, store_orderings
spool._COMMIT_BYTES = int(sys.argv[3])
counts = {"Li1": {"Li": 10}, "Li2": {"Li": 8}, "Y2": {"Y": 2}, "Y3": {"Y": 2}}
several = [composed(li3ycl6(), supercell, counts) for supercell in [(1, 1, 2)]]
for li in ((11, 7), (9, 9), (12, 6), (7, 11)):
    several.append(composed(li3ycl6(), (1, 1, 2), counts | {"Li1": {"Li": li[0]}, "Li2": {"Li": li[1]}}))
print("begun", flush=True)
store_orderings(li3ycl6(), several, Path(sys.argv[2]), progress=lambda *_: None)
print("done", flush=True)
"""


def started(path, commit_bytes=1):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(HERE), str(path), str(commit_bytes)], stdout=subprocess.PIPE, text=True
    )


def killed_until_done(path, waits, commit_bytes=1):
    """kill -9 after each of the waits, counted from the moment when the run begins; then let it end."""
    n_killed = 0
    for wait in waits:
        process = started(path, commit_bytes)
        assert process.stdout.readline() == "begun\n"
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
        if path.exists() and not path.with_name(path.name + ".journal").exists():
            break
    last = started(path, commit_bytes)
    assert last.communicate()[0].split() == ["begun", "done"]
    assert last.returncode == 0
    return n_killed


def test_a_killed_run_goes_on(tmp_path):
    """The file after kills is byte for byte that of an undisturbed run."""
    assert killed_until_done(tmp_path / "a.h5", [0.02, 0.06]) >= 1
    assert started(tmp_path / "b.h5").wait() == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert names(tmp_path) == ["a.h5", "b.h5"]


@pytest.mark.slow
def test_killed_at_twenty_moments(tmp_path):
    assert started(tmp_path / "b.h5").wait() == 0
    whole = (tmp_path / "b.h5").read_bytes()
    rng = np.random.default_rng(0)
    n_killed = 0
    for k in range(40):  # on a fast machine a listing may end before it is killed: another file then
        path = tmp_path / f"{k}.h5"
        n_killed += killed_until_done(
            path, rng.uniform(0, 0.25, size=4), commit_bytes=int(rng.choice([1, 1 << 20]))
        )
        assert path.read_bytes() == whole
        path.unlink()
        if n_killed >= 20:
            return
    pytest.fail(f"only {n_killed} kills hit")


def test_two_processes_on_one_file(tmp_path):
    """The second is told; when the first has gone, it can go on."""
    with open(tmp_path / "a.h5.journal", "ab") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(RunFolderError, match="another process"):
            store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5")
    path = store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5")
    assert_same(path, enumerate_orderings(li3ycl6(), sixty(), limit=50_000))


def test_a_full_disk(tmp_path):
    """A limit on the size of files stands for the disk; with room, the same call goes on."""
    code = (
        "import resource, sys\nsys.path.insert(0, sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 2**20, resource.RLIM_INFINITY))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from orderings_crystals import composed, li3ycl6\n"
        "from halion.errors import DiskFull\nfrom halion.orderings import store_orderings\n"
        'counts = {"Li1": {"Li": 10}, "Li2": {"Li": 8}, "Y2": {"Y": 2}, "Y3": {"Y": 2}}\n'
        "try:\n    store_orderings(li3ycl6(), composed(li3ycl6(), (1, 1, 2), counts), sys.argv[2])\n"
        "except DiskFull as error:\n    print('full:', error.fix)\n"
    )
    path = tmp_path / "a.h5"
    done = subprocess.run([sys.executable, "-c", code, str(HERE), str(path)], capture_output=True, text=True)
    assert "full: free some space" in done.stdout, done.stderr
    assert not path.exists()
    store_orderings(li3ycl6(), sixty(), path)
    assert_same(path, enumerate_orderings(li3ycl6(), sixty(), limit=50_000))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] in (resource.RLIM_INFINITY, -1)


def test_a_full_disk_while_the_journal_is_written(tmp_path, often, monkeypatch):
    def full(descriptor):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch, pytest.raises(DiskFull):
        patch.setattr(spool.os, "fsync", full)
        store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5")
    store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5")


# --- damage ----------------------------------------------------------------------------------------------------


def test_rows_that_went_missing(tmp_path, often):
    path = interrupted(tmp_path)
    with open(tmp_path / "a.h5.rows", "rb+") as file:
        file.truncate(10)
    with pytest.raises(TornFile, match=r"a\.h5\.rows has 10 bytes") as caught:
        store_orderings(li3ycl6(), sixty((15, 12), (1, 1, 3)), path)
    assert f"rm {tmp_path / 'a.h5.rows'}" in caught.value.fix


def test_multiplicities_that_were_changed(tmp_path, often):
    path = interrupted(tmp_path)
    with open(tmp_path / "a.h5.multiplicities", "rb+") as file:
        file.write(b"\x07")
    with pytest.raises(TornFile, match="do not add up"):
        store_orderings(li3ycl6(), sixty((15, 12), (1, 1, 3)), path)


def test_a_journal_that_was_changed(tmp_path, often):
    path = interrupted(tmp_path)
    journal = tmp_path / "a.h5.journal"
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([lines[0], b"{", *lines[2:]]))
    with pytest.raises(TornFile, match="a line of its journal"):
        store_orderings(li3ycl6(), sixty((15, 12), (1, 1, 3)), path)


def test_half_a_line_in_the_journal_is_no_damage(tmp_path, often, monkeypatch):
    """It is what a kill leaves."""
    whole = store_orderings(li3ycl6(), sixty(), tmp_path / "b.h5")
    path = tmp_path / "a.h5"
    broken_off(monkeypatch, sixty(), path, 2)
    with open(tmp_path / "a.h5.journal", "ab") as file:
        file.write(b'{"at": [0, ')
    with open(tmp_path / "a.h5.rows", "ab") as file:
        file.write(b"rows behind the last commit")
    store_orderings(li3ycl6(), sixty(), path)
    assert path.read_bytes() == whole.read_bytes()


def test_a_spool_of_another_question(tmp_path, often):
    path = interrupted(tmp_path)
    with pytest.raises(RunFolderError, match="another question") as caught:
        store_orderings(li3ycl6(), sixty(), path)
    assert "choose another file" in caught.value.fix


# --- limits and shards ------------------------------------------------------------------------------------------


def test_a_limit_too_small(tmp_path):
    with pytest.raises(OrderingError, match="more than 49667 distinct") as caught:
        store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5", limit=49_667)
    assert "sample: orderings" in caught.value.fix
    exclusions = exclusion_distances(li3ycl6(), 2.5)
    with pytest.raises(OrderingError, match="more than 2774 distinct"):
        store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5", exclusions=exclusions, limit=2774)
    assert not (tmp_path / "a.h5").exists()


def test_no_ordering_leaves_no_file(tmp_path):
    parent = li3ycl6()
    counts = {"Li1": {"Li": 5}, "Li2": {"Li": 4}, "Y2": {"Y": 2}, "Y3": {"Y": 2}}
    crowded = composed(parent, (1, 1, 1), counts)  # every column of Y is filled twice
    with pytest.raises(OrderingError, match="too close in every ordering"):
        store_orderings(parent, crowded, tmp_path / "a.h5", exclusions=exclusion_distances(parent, 2.5))
    assert names(tmp_path) == []


@pytest.mark.parametrize("closest", [0.0, 2.5])
def test_shards_together_are_the_whole(tmp_path, closest):
    parent = li3ycl6()
    exclusions = exclusion_distances(parent, closest)
    several = [sixty(), sixty((11, 7))]
    shards = [
        store_orderings(parent, several, tmp_path / f"{k}.h5", exclusions=exclusions, shard=(k, 3))
        for k in range(3)
    ]
    assert [load_orderings(each).shard for each in shards] == [(0, 3), (1, 3), (2, 3)]
    merged = load_orderings(merge_shards(shards[::-1], tmp_path / "all.h5"))
    whole = enumerate_orderings(parent, several, exclusions=exclusions, limit=200_000)
    assert (merged.shard, merged.total_allowed) == ((0, 1), whole.total_allowed)
    assert np.array_equal(np.unique(merged.occupation, axis=0), np.unique(whole.occupation, axis=0))
    with pytest.raises(InputError, match="all shards"):
        merge_shards(shards[:2], tmp_path / "two.h5")
    with pytest.raises(InputError, match="all shards"):
        merge_shards([*shards[:2], shards[0]], tmp_path / "two.h5")


def test_shards_of_two_questions(tmp_path):
    shards = [
        store_orderings(li3ycl6(), sixty(li), tmp_path / f"{k}.h5", shard=(k, 2))
        for k, li in enumerate(((10, 8), (11, 7)))
    ]
    with pytest.raises(InputError, match="2 question"):
        merge_shards(shards, tmp_path / "all.h5")


@pytest.mark.parametrize("shard", [(3, 3), (-1, 3), (0, 0)])
def test_no_such_shard(tmp_path, shard):
    with pytest.raises(InputError, match="shard"):
        store_orderings(li3ycl6(), sixty(), tmp_path / "a.h5", shard=shard)
