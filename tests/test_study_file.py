"""The study file: presets, precedence, unknown keys named with the nearest, files that cannot be read."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from halion.errors import HalionError, SettingsError
from halion.settings import StudySettings
from halion.study_file import PRESETS, read_settings, resolve

CRYSTAL = {"crystal": "Li3YBr6"}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

keys = st.sampled_from([*StudySettings.model_fields, "nonsense"])


def study_file(folder, text: str):
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_quick_preset_fills_what_is_not_given():
    settings = resolve(CRYSTAL)
    assert settings.preset == "quick"
    assert settings.orderings.max_atoms == PRESETS["quick"]["orderings"]["max_atoms"]
    assert settings.dynamics.temperatures_k == PRESETS["quick"]["dynamics"]["temperatures_k"]


def test_the_paper_preset_is_the_protocol_of_the_study():
    # arXiv:2510.09861: 1 fs, 10 kbar, 50 ps NVT, 140 ps NPT of which the last 112 ps give the cell, 2 ns.
    dynamics = resolve({**CRYSTAL, "preset": "paper"}).dynamics
    assert (dynamics.timestep_fs, dynamics.pressure_gpa) == (1.0, 1.0)
    assert (dynamics.nvt_ps, dynamics.npt_ps, dynamics.cell_average_ps) == (50.0, 140.0, 112.0)
    assert dynamics.production_ps == 2000.0
    assert dynamics.temperatures_k == (400.0, 450.0, 500.0, 550.0, 600.0, 650.0, 700.0, 750.0)


def test_what_is_given_goes_before_the_preset():
    settings = resolve({**CRYSTAL, "dynamics": {"timestep_fs": 0.5}})
    assert settings.dynamics.timestep_fs == 0.5
    assert settings.dynamics.production_ps == PRESETS["quick"]["dynamics"]["production_ps"]  # still the preset's


def test_the_order_is_default_preset_file_option(tmp_path):
    path = study_file(tmp_path, "crystal: Li3YBr6\ndynamics: {seed: 3, timestep_fs: 1.5}\n")
    settings = read_settings(path, {"dynamics": {"timestep_fs": 1.0}, "preset": "quick"})
    assert settings.dynamics.barostat_ps == 1.0  # default
    assert settings.dynamics.npt_ps == PRESETS["quick"]["dynamics"]["npt_ps"]  # preset
    assert settings.dynamics.seed == 3  # file
    assert settings.dynamics.timestep_fs == 1.0  # option


def test_an_option_may_change_the_preset_of_a_file(tmp_path):
    path = study_file(tmp_path, "crystal: Li3YBr6\npreset: quick\n")
    assert read_settings(path, {"preset": "paper"}).dynamics.production_ps == 2000.0


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"crystl": "Li3YBr6"}, "'crystl': did you mean 'crystal'?"),
        ({**CRYSTAL, "dynamics": {"timestep_ps": 0.001}}, "'dynamics.timestep_ps': did you mean 'timestep_fs'?"),
        ({**CRYSTAL, "dynamics": {"temperatures_c": [200]}}, "did you mean 'temperatures_k'?"),
        ({**CRYSTAL, "dynamics": {"pressure_kbar": 10}}, "did you mean 'pressure_gpa'?"),
        ({**CRYSTAL, "orderings": {"max_atom": 80}}, "did you mean 'max_atoms'?"),
        ({**CRYSTAL, "zzz": 1}, "unknown key 'zzz': known: crystal, dynamics"),
    ],
)
def test_an_unknown_key_or_unit_is_told_the_nearest(values, hint):
    with pytest.raises(SettingsError) as caught:
        resolve(values, where="study.yaml")
    assert hint in caught.value.what
    assert caught.value.where == "study.yaml"


def test_a_section_of_comments_only_says_nothing(tmp_path):
    path = study_file(tmp_path, "crystal: Li3YBr6\ndynamics:\n  # seed: 3\ntransport:\n")
    assert read_settings(path) == resolve(CRYSTAL)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list\n", "crystal: [\n", "a: b: c", "\t: x", "%TAG"])
def test_what_is_no_study_file_is_refused(tmp_path, text):
    with pytest.raises(SettingsError):
        read_settings(study_file(tmp_path, text))


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(SettingsError) as caught:
        read_settings(tmp_path / "study.yaml")
    assert caught.value.fix.startswith(f"halion init {tmp_path / 'study.yaml'}")


def test_a_folder_is_no_study_file(tmp_path):
    with pytest.raises(SettingsError):
        read_settings(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(b"crystal: \xff\xfe\n")
    with pytest.raises(SettingsError, match="not a YAML study file"):
        read_settings(path)


@given(content=st.binary(max_size=60))
def test_random_bytes_give_settings_errors_only(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("random") / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(HalionError):
        read_settings(path)


def test_a_relative_crystal_is_taken_from_the_file_s_folder(tmp_path):
    (tmp_path / "mine.cif").write_text("data_\n")
    path = study_file(tmp_path, "crystal: mine.cif\n")
    assert read_settings(path).crystal == str(tmp_path / "mine.cif")


def test_settings_written_down_resolve_to_themselves():
    settings = resolve({**CRYSTAL, "preset": "paper", "dynamics": {"seed": 9}})
    written = yaml.safe_load(yaml.safe_dump(settings.model_dump(mode="json")))
    assert resolve(written) == settings


def test_every_preset_key_exists():
    for name, sections in PRESETS.items():
        assert resolve({**CRYSTAL, "preset": name}).preset == name
        for section, filled in sections.items():
            assert set(filled) <= set(StudySettings.model_fields[section].annotation.model_fields)


def test_every_physical_key_names_its_unit():
    units = ("_k", "_ps", "_fs", "_gpa", "_angstrom", "_ev_per_angstrom")
    pure = {
        "crystal",
        "preset",
        "supercell",
        "max_atoms",
        "limit",
        "potential",
        "relax_best",
        "max_steps",
        "repeat",
    }
    pure |= {
        "store_every_steps",
        "correlate_every_steps",
        "seed",
        "mobile_species",
        "longest_lag_fraction",
        "workers",
        "threads_per_worker",
    }
    pure |= {
        "device",
        "closest_cations_angstrom",
        "pool",
        "sample",
        "sample_size",
        "exclude",
        "shapes",
        "tolerance",
        "window",
    }
    pure |= {"control", "least_recall", "relax_most"}
    pure |= {"estimator", "error", "target_factor", "cell"}
    for section in StudySettings.model_fields.values():
        for name in getattr(section.annotation, "model_fields", {}):
            assert name.endswith(units) or name in pure, name
