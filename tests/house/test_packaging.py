"""What is built: nothing of the package left out, one version that says which commit it is, no host named."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import halion
from house import ROOT, SOURCE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IS_REPOSITORY = (ROOT / ".git").exists()
needs_git = pytest.mark.skipif(not IS_REPOSITORY, reason="a source without git, as an sdist is")


def script(name: str):
    """A module of scripts/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "commit.gpgsign=false")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.strip()


# what is left out


def left_out(*patterns: str) -> set[str]:
    """Tracked files of the package that these patterns or .gitignore take out of a build: its rules are git's."""
    words = [word for pattern in patterns for word in ("-x", pattern)]
    return set(git(ROOT, "ls-files", "-c", "-i", "--exclude-standard", *words, "--", "src").splitlines())


@needs_git
def test_no_pattern_takes_a_file_out_of_the_package():
    build = PROJECT["tool"]["scikit-build"]
    assert left_out(*build["sdist"]["exclude"], *build.get("wheel", {}).get("exclude", [])) == set()


@needs_git
def test_a_pattern_without_its_slash_would_be_found():
    found = left_out("data")
    assert "src/halion/crystal/data/Li3YBr6.cif" in found and "src/halion/report/data/study.toml" in found
    assert "src/halion/crystal/data/Li3YBr6.cif" not in left_out("/data")


@needs_git
def test_what_the_package_reads_at_run_time_is_tracked_in_it():
    """Every file that is not Python and not of C++ is either known to git or made by a build."""
    known = {ROOT / line for line in git(ROOT, "ls-files", "src").splitlines()}
    made = {".so", ".pyc", ".pyd", ".part"}
    there = {path for path in SOURCE.rglob("*") if path.is_file() and path.suffix not in made}
    assert there - known - {SOURCE / "_version.py"} == set()
    kinds = {path.suffix for path in known}
    assert {".cif", ".tar", ".npz", ".css", ".js", ".toml", ".typed"} <= kinds


def test_every_package_folder_goes_into_the_wheel():
    assert PROJECT["tool"]["scikit-build"]["wheel"]["packages"] == ["src/halion"]
    assert SOURCE == ROOT / "src" / "halion"


# one version


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository of one commit that says it is on the way to 1.2.3."""
    (tmp_path / "src" / "halion").mkdir(parents=True)
    (tmp_path / "src" / "halion" / "__init__.py").write_text('"""x"""\n\n__version__ = "1.2.3"\n')
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_a_commit_says_which_one_it_is(repository):
    version_of = script("version_from_git").version_of
    commit = git(repository, "rev-parse", "--short=9", "HEAD")
    assert version_of(repository) == f"1.2.3.dev1+g{commit}"
    (repository / "notes.txt").write_text("untracked files change nothing")
    assert version_of(repository) == f"1.2.3.dev1+g{commit}"
    (repository / "src" / "halion" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    assert version_of(repository) == f"1.2.3.dev1+g{commit}.changed"


def test_a_tag_is_the_version_and_nothing_else(repository):
    version_of = script("version_from_git").version_of
    git(repository, "tag", "v1.2.3")
    assert version_of(repository) == "1.2.3"
    git(repository, "commit", "-qm", "two", "--allow-empty")
    assert version_of(repository).startswith("1.2.3.dev2+g")
    git(repository, "tag", "v1.3.0")
    with pytest.raises(ValueError, match=r"v1\.3\.0 .* says 1\.2\.3"):
        version_of(repository)


def test_development_comes_before_its_release():
    packaging = pytest.importorskip("packaging.version")
    order = ["1.2.2", "1.2.3.dev1+g0", "1.2.3.dev20+g0", "1.2.3.dev20+g0.changed", "1.2.3", "1.2.3+source"]
    assert sorted([*order[3:], *order[:3]], key=packaging.Version) == order


def test_without_git_the_source_or_the_sdist_says_it(repository, tmp_path):
    version_of = script("version_from_git").version_of
    copy = tmp_path / "inside" / "copy"  # unpacked inside of another repository
    (copy / "src" / "halion").mkdir(parents=True)
    (copy / "src" / "halion" / "__init__.py").write_text('__version__ = "0.9.0"\n')
    assert version_of(copy) == "0.9.0+source"
    (copy / "PKG-INFO").write_text(
        "Metadata-Version: 2.2\nName: halion\nVersion: 0.9.0.dev7+gabc\n\nText\nVersion: 1\n"
    )
    assert version_of(copy) == "0.9.0.dev7+gabc"


@needs_git
def test_the_version_of_this_source():
    base = re.search(r'^__version__ = "(.+)"$', (SOURCE / "__init__.py").read_text(), re.MULTILINE)[1]
    assert script("version_from_git").version_of(ROOT).startswith(base)
    assert halion.__version__.startswith(base)
    assert base == str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"])


def test_the_hook_is_the_one_that_the_build_calls():
    (entry,) = PROJECT["tool"]["dynamic-metadata"]
    module = script(entry["provider"]["module"])
    assert entry["provider"]["path"] == "scripts"
    assert set(module.dynamic_metadata({}, {"dynamic": ["version"]})) == {"version"}
    with pytest.raises(ValueError):
        module.dynamic_metadata({"field": "readme"}, {"dynamic": ["version"]})


# what builds it elsewhere


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_a_workflow_calls_what_is_there(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 360
        for step in job["steps"]:
            first = step.get("run", "").split()
            if first[:1] == ["make"]:
                assert re.search(rf"^{first[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            elif first:
                assert os.access(ROOT / first[0], os.X_OK), first


def test_the_wheels_are_tried_by_tests_that_exist():
    command = PROJECT["tool"]["cibuildwheel"]["test-command"]
    paths = re.findall(r"\{project\}/(\S+)", command)
    assert len(paths) >= 3 and all((ROOT / path).exists() for path in paths)
    pythons = {f"cp{line.split('.')[0]}{line.split('.')[1]}-*" for line in ("3.11", "3.12", "3.13")}
    assert set(PROJECT["tool"]["cibuildwheel"]["build"]) == pythons


def test_the_recipe_asks_for_what_the_project_asks_for():
    text = (ROOT / "recipe" / "recipe.yaml").read_text()
    recipe = yaml.safe_load(text)
    other = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    run = {words.split()[0]: words.partition(" ")[2].strip() for words in recipe["requirements"]["run"]}
    for wanted in PROJECT["project"]["dependencies"]:
        name, ranges = re.match(r"([\w-]+)(.*)", wanted).groups()
        assert run.pop(other.get(name, name)) == ranges, name
    assert set(run) == {"python"}


@pytest.mark.parametrize("name", ["Containerfile", "recipe/recipe.yaml", "pyproject.toml", "constraints.txt"])
def test_no_registry_is_named(name):
    hosts = re.compile(r"pypi\.|pythonhosted|anaconda\.org|conda\.io|docker\.io|ghcr|quay\.io|download\.pytorch")
    assert not hosts.search((ROOT / name).read_text())


def test_the_release_checklist_is_one_page():
    text = (ROOT / "docs" / "releasing.md").read_text()
    assert len(text.splitlines()) <= 40
    for named in re.findall(r"`(scripts/\S+|[A-Z]+\.\w+|\.github/\S+)`", text):
        assert (ROOT / named).exists(), named


@pytest.mark.slow
@needs_git
def test_the_wheel_works_in_an_empty_folder():
    """sdist, wheel from it, clean environment, doctor, enumeration and a small study: scripts/check_wheel.sh."""
    environment = os.environ | {"HALION_PYTHON": sys.executable}
    done = subprocess.run([ROOT / "scripts" / "check_wheel.sh"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
    assert "check wheel: whole: halion " in done.stderr
