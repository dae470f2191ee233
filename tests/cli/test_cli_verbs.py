"""Verbs on real input: what they print as JSON and as text, what they write, what they refuse."""

from __future__ import annotations

import json
import re

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from cli_verbs import answer, refusal, text

from halion.cli.init import study_template
from halion.cli.main import app
from halion.crystal import builtin_names
from halion.dynamics import open_trajectory
from halion.settings import StudySettings
from halion.study_file import PRESETS, read_settings, resolve


@pytest.fixture
def rocksalt(tmp_path):
    """A small ordered cell that is not at its minimum."""
    atoms = bulk("LiCl", "rocksalt", a=5.13, cubic=True)
    atoms.rattle(0.02, seed=1)
    path = tmp_path / "licl.cif"
    ase.io.write(path, atoms)
    return path


# relax


def test_relax_finds_the_minimum_of_rock_salt(capfd, rocksalt, tmp_path):
    found = answer(capfd, "relax", rocksalt, "--folder", tmp_path / "out", "--force-tolerance", "0.02")
    (one,) = found["structures"]
    assert one["is_converged"]
    assert one["max_force"] < 0.02
    assert one["space_group_after"] == "Fm-3m"
    relaxed = ase.io.read(tmp_path / "out" / "licl-relaxed.extxyz")
    assert len(relaxed) == 8
    assert relaxed.info["energy_ev"] == pytest.approx(8 * one["energy"])
    assert (tmp_path / "out" / "licl-relaxed.cif").exists()
    assert "never overwrites" in refusal(capfd, 2, "relax", rocksalt, "--folder", tmp_path / "out")


def test_relax_refuses_what_is_not_ordered(capfd, tmp_path):
    words = tmp_path / "words.cif"
    words.write_text("no crystal here")
    assert "no structure can be read" in refusal(capfd, 2, "relax", words)
    assert "no such file" in refusal(capfd, 2, "relax", tmp_path / "missing.cif")
    molecule = tmp_path / "molecule.xyz"
    ase.io.write(molecule, Atoms("LiCl", positions=[[0, 0, 0], [0, 0, 2]]))
    assert "no periodic cell" in refusal(capfd, 2, "relax", molecule)


def test_partial_occupancies_are_not_taken_for_atoms(capfd, tmp_path):
    path = tmp_path / "half.cif"
    path.write_text(
        "data_half\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n_cell_angle_alpha 90\n"
        "_cell_angle_beta 90\n_cell_angle_gamma 90\n_space_group_name_H-M_alt 'P 1'\nloop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        "_atom_site_occupancy\nLi1 Li 0 0 0 0.5\nCl1 Cl 0.5 0.5 0.5 1\n"
    )
    told = refusal(capfd, 2, "relax", path)
    assert "partial occupancies" in told and f"halion rank {path}" in told


# md, transport


def test_md_goes_on_where_it_stopped_and_repeats_nothing(capfd, rocksalt, tmp_path):
    words = ("md", rocksalt, "--temperature", "600", "--length-ps", "0.04", "--folder", tmp_path / "md")
    words = (*words, "--store-every", "5", "--timestep-fs", "2")
    found = answer(capfd, *words)
    assert (found["n_steps"], found["n_frames"]) == (20, 5)
    assert found["length_ps"] == pytest.approx(0.04)
    assert found["mean_temperature_k"] > 100
    stored = tmp_path / "md" / "trajectory.h5"
    before = stored.stat().st_mtime_ns
    assert answer(capfd, *words) == found
    assert stored.stat().st_mtime_ns == before


@pytest.mark.parametrize("ensemble", ["nve", "npt", "npt_isotropic"])
def test_md_in_every_ensemble(capfd, rocksalt, tmp_path, ensemble):
    words = ("md", rocksalt, "--temperature", "600", "--length-ps", "0.02", "--folder", tmp_path / "md")
    found = answer(capfd, *words, "--ensemble", ensemble, "--store-every", "4")
    assert found["n_frames"] == 6
    cells = open_trajectory(tmp_path / "md").cells
    shape = cells / np.abs(np.linalg.det(cells))[:, None, None] ** (1 / 3)
    assert (np.ptp(cells, axis=0).max() > 1e-6) == (ensemble != "nve")
    if ensemble == "npt_isotropic":
        assert np.ptp(shape, axis=0).max() < 1e-9


def test_md_of_other_settings_is_not_mixed_in(capfd, rocksalt, tmp_path):
    words = ("md", rocksalt, "--length-ps", "0.01", "--folder", tmp_path / "md", "--temperature")
    answer(capfd, *words, "600")
    refusal(capfd, 2, *words, "500")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ensemble", "nvp"), "there is no ensemble 'nvp'"),
        (("--timestep-fs", "50"), "dynamics.timestep_fs"),
        (("--temperature", "-5"), "temperatures_k must be positive"),
        (("--length-ps", "0"), "dynamics.production_ps"),
        (("--seed", "-1"), "dynamics.seed"),
    ],
)
def test_md_refuses_nonsense(capfd, rocksalt, tmp_path, words, told):
    begin = ("md", rocksalt, "--temperature", "600", "--length-ps", "0.01", "--folder", tmp_path / "md")
    assert told in refusal(capfd, 2, *begin, *words)
    assert not (tmp_path / "md").exists()


def walk(path, *, n_ions: int = 20, n_frames: int = 600, seed: int = 0, rate_per_ps: float = 1.0) -> float:
    """Ions that hop by 3 Angstrom among fixed Cl; gives their exact diffusivity, rate length^2 / 6."""
    rng = np.random.default_rng(seed)
    axes = np.vstack([np.eye(3), -np.eye(3)]) * 3.0
    hops = axes[rng.integers(6, size=(n_frames, n_ions))] * (rng.random((n_frames, n_ions, 1)) < 0.1 * rate_per_ps)
    paths = np.cumsum(hops, axis=0) + rng.uniform(0, 15, (n_ions, 3))
    framework = rng.uniform(0, 15, (8, 3))
    frames = [
        Atoms(
            f"Li{n_ions}Cl8",
            positions=np.vstack([ions, framework]) + rng.normal(0, 0.05, (n_ions + 8, 3)),
            cell=[15] * 3,
            pbc=True,
        )
        for ions in paths
    ]
    ase.io.write(path, frames)
    return rate_per_ps * 3.0**2 / 6


def test_transport_of_foreign_trajectories(capfd, tmp_path):
    # Rates at two temperatures make an activation energy that is known.
    exact = [
        walk(tmp_path / "500.extxyz", seed=1, rate_per_ps=0.5),
        walk(tmp_path / "700.extxyz", seed=2, rate_per_ps=2.0),
    ]
    words = ("transport", tmp_path / "500.extxyz", tmp_path / "700.extxyz", "--frame-interval-ps", "0.1")
    words = (*words, "--hop-length", "3", "--temperatures", "500,700")
    found = answer(capfd, *words, "--folder", tmp_path / "tables")
    for run, value in zip(found["runs"], exact, strict=True):
        assert run["verdict"] == "diffusive"
        assert abs(run["diffusivity"] - value) < 4 * run["diffusivity_std"]
        assert "msd" not in run
    energy = np.log(4) / (1 / (8.617333e-5 * 500) - 1 / (8.617333e-5 * 700))
    line = found["arrhenius"]
    assert abs(line["activation_energy"] - energy) < 4 * line["activation_energy_std"]
    sigma = found["conductivity"]
    assert sigma["low_ms_per_cm"] < sigma["conductivity_ms_per_cm"] < sigma["high_ms_per_cm"]
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == [
        "density-1-500.CHGCAR",
        "density-1-500.cube",
        "density-2-700.CHGCAR",
        "density-2-700.cube",
        "msd-1-500.csv",
        "msd-2-700.csv",
        "summary.csv",
    ]
    out = text(capfd, *words)
    assert "activation energy" in out and "mS/cm" in out


def test_the_charge_enters_squared(capfd, tmp_path):
    walk(tmp_path / "a.extxyz", seed=1, rate_per_ps=0.5)
    walk(tmp_path / "b.extxyz", seed=2, rate_per_ps=2.0)
    words = ("transport", tmp_path / "a.extxyz", tmp_path / "b.extxyz", "--frame-interval-ps", "0.1")
    words = (*words, "--temperatures", "500,700", "--hop-length", "3")
    one = answer(capfd, *words)["conductivity"]["conductivity_ms_per_cm"]
    two = answer(capfd, *words, "--charge", "2")["conductivity"]["conductivity_ms_per_cm"]
    assert two == pytest.approx(4 * one, rel=1e-9)


def test_without_a_temperature_there_is_a_diffusivity_and_no_conductivity(capfd, tmp_path):
    walk(tmp_path / "a.extxyz")
    words = ("transport", tmp_path / "a.extxyz", "--frame-interval-ps", "0.1", "--hop-length", "3")
    found = answer(capfd, *words)
    assert found["conductivity"] is None
    assert found["runs"][0]["temperature_k"] is None
    assert "give it with --temperatures" in text(capfd, *words)


def test_transport_refuses_what_it_cannot_know(capfd, tmp_path):
    walk(tmp_path / "a.extxyz", n_frames=30)
    path = tmp_path / "a.extxyz"
    assert "--frame-interval-ps" in refusal(capfd, 2, "transport", path)
    assert "there is no Na" in refusal(capfd, 2, "transport", path, "--frame-interval-ps", "1", "--mobile", "Na")
    assert "--charge 1" in refusal(capfd, 2, "transport", path, "--mobile", "Cu")
    assert "2 temperatures for 1" in refusal(capfd, 2, "transport", path, "--temperatures", "500,600")
    assert "no such trajectory" in refusal(capfd, 2, "transport", tmp_path / "missing.h5")


# init, schema, cite, doctor


@pytest.mark.parametrize("preset", PRESETS)
def test_the_study_file_of_init_means_what_its_preset_means(capfd, tmp_path, preset):
    path = tmp_path / "study.yaml"
    found = answer(capfd, "init", path, "--crystal", "Li3YCl6", "--preset", preset)
    assert found == {"path": str(path), "crystal": "Li3YCl6", "preset": preset}
    assert read_settings(path) == resolve({"crystal": "Li3YCl6", "preset": preset})


@pytest.mark.parametrize("preset", PRESETS)
def test_every_key_is_in_the_study_file_and_may_be_taken_out_of_its_comment(tmp_path, preset):
    template = study_template("Li3YCl6", preset, tmp_path / "study.yaml")
    opened = re.sub(r"^  # ", "  ", template, flags=re.MULTILINE)
    values = yaml.safe_load(opened)
    assert resolve(values) == resolve({"crystal": "Li3YCl6", "preset": preset})
    for name, field in StudySettings.model_fields.items():
        keys = getattr(field.annotation, "model_fields", {})
        assert name in values and set(keys) <= set(values[name] if keys else ())
        for inner in keys.values():
            assert not inner.description or inner.description in template


def test_init_never_overwrites(capfd, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("mine")
    assert "never overwrites" in refusal(capfd, 2, "init", path)
    assert path.read_text() == "mine"
    assert "preset" in refusal(capfd, 2, "init", tmp_path / "b.yaml", "--preset", "fast")
    assert not (tmp_path / "b.yaml").exists()


def test_a_crystal_s_path_survives_init(capfd, tmp_path):
    for crystal in ("my files/a: b.cif", "#x.cif", "no", "1e3", "null"):
        path = tmp_path / f"{abs(hash(crystal))}.yaml"
        answer(capfd, "init", path, "--crystal", crystal)
        assert read_settings(path).crystal == crystal


def test_the_schema_accepts_what_the_settings_accept(capfd):
    schema = answer(capfd, "schema")
    assert schema == StudySettings.model_json_schema()
    assert json.loads(text(capfd, "schema")) == schema
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(StudySettings.model_fields)


def test_cite_prints_bibtex_of_what_a_study_uses(capfd, tmp_path):
    out = text(capfd, "cite")
    for key in ("halion", "Deng2023", "He2018", "Park2024", "Chen2022"):
        assert f"{{{key}," in out
    path = tmp_path / "study.yaml"
    path.write_text("crystal: Li3YBr6\nranking: {potential: 7net-0}\ndynamics: {potential: 7net-0}\n")
    keys = {one["key"] for one in answer(capfd, "cite", path)["citations"]}
    assert "Park2024" in keys and not keys & {"Deng2023", "Chen2022"}


def test_all_citations_are_those_of_every_built_in_material(capfd):
    every = {one["key"] for one in answer(capfd, "cite")["citations"]}
    for name in builtin_names():
        assert {one["key"] for one in answer(capfd, "cite", name)["citations"]} <= every


def test_doctor_finds_this_machine_ready(capfd):
    found = answer(capfd, "doctor")
    checks = {check["name"]: check for check in found["checks"]}
    assert found["is_ready"]
    for name in ("python", "halion", "cores", "memory", "disk", "torch", "enumerator", "chgnet", "engine"):
        assert checks[name]["is_ok"] and checks[name]["is_required"], checks[name]
    for name in ("sevenn", "matgl", "gpaw", "parsl", "vasp_std", "pw.x", "mpiexec", "gpu"):
        assert not checks[name]["is_required"]
    for check in found["checks"]:
        assert bool(check["install"]) != check["is_ok"]


def test_doctor_says_how_to_install_what_is_missing(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HALION_GPAW_PYTHON", str(tmp_path / "python"))
    found = answer(capfd, "doctor")
    checks = {check["name"]: check for check in found["checks"]}
    assert checks["gpaw"]["install"].startswith("scripts/gpaw.sh")
    assert checks["mpiexec"]["install"] == "apt-get install openmpi-bin"
    assert checks["chromium"]["install"] == "apt-get install chromium"


def test_doctor_is_not_ready_without_a_part_that_studies_need(capfd, monkeypatch):
    from halion.cli import doctor

    def broken() -> str:
        raise OSError("libtorch.so: cannot open shared object file")

    monkeypatch.setattr(doctor, "_torch", lambda: doctor._tried("torch", broken, "pip install torch==2.13.0"))
    assert app(["doctor"]) == 4
    out = capfd.readouterr().out
    assert "MISSING" in out and "pip install torch==2.13.0" in out and "not ready" in out


# plan, run, status, report


def test_plan_counts_measures_and_writes_nothing(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = answer(capfd, "plan", "Li3YCl6", "--supercell", "1,1,1", "--temperatures", "500,600", "--workers", "1")
    assert (found["count"]["total"], found["count"]["distinct"]) == (360, 30)
    assert found["temperatures_k"] == [500.0, 600.0]
    assert found["n_atoms"] == 30
    # Two temperatures, one after the other, at the measured speed.
    hours = 2 * found["steps_per_temperature"] * found["seconds_per_step"] / 3600
    assert found["dynamics_hours"] == pytest.approx(hours)
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_refused_before_it_begins(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no built-in crystal" in refusal(capfd, 2, "run", "Li3YBr7")
    assert "did you mean 'timestep_fs'" in refusal(capfd, 2, "run", "Li3YBr6", "--set", "dynamics.timestep_ps=1")
    assert "no such study file" in refusal(capfd, 2, "run", "study.yaml")
    assert "numbers in K" in refusal(capfd, 2, "plan", "Li3YBr6", "--temperatures", "hot")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["status", "report", "cite"])
def test_a_folder_without_a_study_says_how_to_begin_one(capfd, tmp_path, verb):
    assert "no study in this folder" in refusal(capfd, 2, verb, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_state_of_a_study_that_was_begun(capfd, tmp_path):
    from halion.study import RunFolder

    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.begin(resolve({"crystal": "Li3YBr6"}))
    assert answer(capfd, "status", folder.path)["state"] == "begun"
    stages = {"relaxation": {"done": 1.5, "total": 6, "state": "1 of 6 relaxed"}}
    folder.write_status("running", stages)
    told = text(capfd, "status", folder.path)
    assert "interrupted" in told  # nobody holds its lock
    assert "relaxation  25 %  1 of 6 relaxed" in told
    assert "same halion run command again" in told
    assert "not ranked its orderings yet" in refusal(capfd, 2, "report", folder.path)
    assert "Deng2023" in text(capfd, "cite", folder.path)
