"""Hostile study files: aliases that blow up, deep nesting, endless files, code in tags, keys that stand twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import HalionError, SettingsError
from halion.plain_yaml import LARGEST_FILE, plain_values
from halion.study import RunFolder
from halion.study_file import read_settings, resolve

# A refusal takes a third of a second where two cores are shared by four; an expanded bomb never ends.
LONGEST_S = 10.0


def bomb(n_levels: int = 9) -> str:
    """Lists of nine aliases each: 9 ** n_levels values from a few hundred bytes."""
    lines, before = ["a: &a [x, x, x, x, x, x, x, x, x]"], "a"
    for name in "bcdefghijklmn"[:n_levels]:
        lines.append(f"{name}: &{name} [{', '.join(['*' + before] * 9)}]")
        before = name
    return "\n".join([*lines, f"crystal: *{before}"])


HOSTILE = {
    "aliases that blow up": (bomb(), "anchors and aliases"),
    "a value that holds itself": ("&a {crystal: *a}", "anchors and aliases"),
    "merged aliases": ("a: &a {b: 1}\n<<: [*a, *a, *a]", "anchors and aliases"),
    "deep flow": ("crystal: " + "[" * 5000, "20 levels"),
    "deep flow that closes": ("crystal: " + "[" * 3000 + "]" * 3000, "20 levels"),
    "deep blocks": ("- " * 2000 + "x", "20 levels"),
    "deep mappings": ("{a: " * 1000 + "1" + "}" * 1000, "20 levels"),
    "large": ("# comment\n" * 100_000, "128 KiB"),
    "code in a tag": ("crystal: !!python/object/apply:os.mkdir [trace]", "constructor"),
    "code in a tag of a module": ("!!python/name:os.system {}", "constructor"),
    "an unknown tag": ("crystal: !mine Li3YBr6", "constructor"),
    "a key twice": ("crystal: Li3YBr6\ncrystal: Li3YCl6\n", "'crystal' stands twice"),
    "a key twice below": ("crystal: Li3YBr6\ndynamics: {seed: 1, seed: 2}\n", "'seed' stands twice"),
    "a key that is a list": ("? [1]\n: 2\n", "unhashable"),
    "a long number": ("crystal: " + "9" * 9000, "9000 characters"),
    "a long hexadecimal number": ("crystal: 0x" + "f" * 9000, "9002 characters"),
    "a long number to base sixty": ("crystal: 1" + ":59" * 3000, "9001 characters"),
    "a date that is none": ("crystal: 2020-99-99", "ValueError"),
    "a tag that does not fit": ("crystal: !!int x", "ValueError"),
    "a null byte": ('crystal: "a\\0b"', "no file name"),
    "half a character": ('crystal: "\\ud800"', "no file name"),
    "two documents": ("crystal: Li3YBr6\n---\ncrystal: Li3YCl6\n", "single document"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_study_file_is_refused_at_once(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, said = HOSTILE[name]
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    began = time.monotonic()
    with pytest.raises(SettingsError, match=said) as caught:
        read_settings(path)
    assert time.monotonic() - began < LONGEST_S
    assert caught.value.where == str(path)
    assert len(str(caught.value)) < 1000
    assert sorted(tmp_path.iterdir()) == [path]  # no code ran


def test_a_bomb_and_a_file_without_end_take_no_memory(tmp_path):
    """Read in a process that may use 300 MiB beyond its start: a bomb of 9 ** 9 values would need gigabytes."""
    (tmp_path / "bomb.yaml").write_text(bomb(9))
    code = (
        "import resource, sys\n"
        "from halion.study_file import read_settings\n"
        "from halion.errors import SettingsError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        read_settings(path)\n"
        "    except SettingsError as error:\n        print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb.yaml"), "/dev/zero"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["refused", "refused"]


def test_the_bounds_are_far_from_studies(tmp_path):
    """A file of the largest size with the deepest nesting is read; one byte or one level more is not."""
    assert plain_values("[" * 20 + "]" * 20) is not None
    with pytest.raises(yaml.YAMLError):
        plain_values("[" * 21 + "]" * 21)
    fits = "a: b\n" + "#" * (LARGEST_FILE - 5)
    assert plain_values(fits) == {"a": "b"}
    with pytest.raises(yaml.YAMLError):
        plain_values(fits + "#")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(value=plain)
def test_what_pyyaml_writes_of_plain_values_is_read_back(value):
    class NoAliases(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    text = yaml.dump(value, Dumper=NoAliases, allow_unicode=True)
    if "\\0" in text or "\\ud" in text:
        return
    read = yaml.safe_load(text)
    assert plain_values(text) == read
    if not any(sign in text for sign in "\x85\u2028\u2029"):  # line ends of Unicode, which PyYAML folds to spaces
        assert read == value


words = st.sampled_from(
    [
        *(
            "crystal",
            "dynamics",
            ":",
            " ",
            "\n",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "&a",
            "*a",
            "<<",
            "?",
            "~",
            "|",
            ">",
        ),
        *("!!int ", "!!set ", "!!timestamp ", "!!binary ", "!!omap ", "!!float ", "'", '"', "\\", "1:59", "0x"),
        *("2020-13-01", "Li3YBr6", "seed", "temperatures_k", ".inf", "1e400", "%YAML 9.9\n", "---", "...", "\t"),
        *("#", "é", "\x85"),
    ]
)


@settings(deadline=None, max_examples=300)
@given(parts=st.lists(words, max_size=14))
def test_only_errors_of_halion_come_from_words_of_yaml(parts, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "words.yaml"
    path.write_text("".join(parts), encoding="utf-8")
    try:
        read_settings(path)
    except HalionError as error:
        assert len(str(error)) < 2000


@settings(deadline=None, max_examples=200)
@given(value=plain, section=st.sampled_from(["crystal", "preset", "dynamics", "orderings", "extension", "machine"]))
def test_only_errors_of_halion_come_from_any_values(value, section):
    try:
        resolve({"crystal": "Li3YBr6", section: value})
    except HalionError as error:
        assert len(str(error)) < 2000


@pytest.mark.parametrize("key", ["dynamics.seed", "dynamics.timestep_fs", "orderings.max_atoms", "crystal"])
@pytest.mark.parametrize("value", [10**400, -(10**400), [1] * 5000, "x" * 50_000, {"a": "b" * 50_000}])
def test_a_refusal_does_not_repeat_the_whole_file(key, value):
    section, _, name = key.partition(".")
    values = {"crystal": "Li3YBr6", section: {name: value} if name else value}
    try:
        resolve(values)
    except SettingsError as error:
        assert len(str(error)) < 1000


def test_a_crystal_from_elsewhere_stays_there(tmp_path):
    """A study file may name a crystal anywhere; what the run folder keeps of it lies in the run folder."""
    outside, folder = tmp_path / "outside", tmp_path / "studies" / "run"
    outside.mkdir()
    folder.mkdir(parents=True)
    (outside / "evil.cif").write_text("data_\n")
    (tmp_path / "studies" / "study.yaml").write_text("crystal: ../outside/evil.cif\n")
    before = {path for path in tmp_path.rglob("*") if folder not in path.parents}
    found = read_settings(tmp_path / "studies" / "study.yaml")
    RunFolder(folder).begin(found)
    assert {path for path in tmp_path.rglob("*") if folder not in path.parents} == before
    assert Path(RunFolder(folder).crystal_source()) == folder / "crystal" / "evil.cif"


@pytest.mark.parametrize("name", ["a" * 2900, "../" * 900 + "etc/passwd", "~root/x", "CON", "//x"])
def test_a_strange_crystal_name_is_refused(name, tmp_path):
    from halion.crystal import load_crystal

    (tmp_path / "study.yaml").write_text(f"crystal: '{name}'\n")
    with pytest.raises(HalionError):
        load_crystal(read_settings(tmp_path / "study.yaml").crystal)


def test_the_environment_and_home_are_not_filled_in(tmp_path):
    os.environ["HALION_TEST_NAME"] = "Li3YBr6"
    (tmp_path / "study.yaml").write_text("crystal: ${HALION_TEST_NAME}\n")
    try:
        assert read_settings(tmp_path / "study.yaml").crystal == "${HALION_TEST_NAME}"
    finally:
        del os.environ["HALION_TEST_NAME"]
