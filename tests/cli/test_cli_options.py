"""Options: what words mean, and that the defaults shown are those of the settings."""

from __future__ import annotations

import contextlib
import inspect
import re
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halion.cli import study_options
from halion.cli.main import VERBS
from halion.cli.options import csv_text, existing_file, new_file, numbers, room_settings, supercell_of
from halion.cli.study_options import StudyOverrides, default_folder, study_settings
from halion.errors import InputError, RunFolderError, SettingsError
from halion.settings import SeriesSettings, StudySettings
from halion.settings_learning import LabelSettings, LoopSettings, TrainingSettings
from halion.study_file import resolve

# Option -> key of the settings whose default its help text shows.
SETTINGS_OF = {
    "max_atoms": "orderings.max_atoms",
    "closest_cations": "orderings.closest_cations_angstrom",
    "limit": "orderings.limit",
    "shapes": "orderings.shapes",
    "window": "orderings.window",
    "sample_size": "orderings.sample_size",
    "elements": "series.elements",
    "cation_orderings": "series.cation_orderings",
    "evaluate_at_most": "series.evaluate_at_most",
    ("enumerate", "seed"): "orderings.seed",
    ("rank", "seed"): "orderings.seed",
    "relax_best": "ranking.relax_best",
    "control": "ranking.control",
    "potential": "ranking.potential",
    "force_tolerance": "ranking.force_tolerance_ev_per_angstrom",
    "max_steps": "ranking.max_steps",
    ("rank", "temperature"): "ranking.temperature_k",
    "device": "machine.device",
    "pressure_gpa": "dynamics.pressure_gpa",
    "timestep_fs": "dynamics.timestep_fs",
    "store_every": "dynamics.store_every_steps",
    "checkpoint_ps": "dynamics.checkpoint_ps",
    "seed": "dynamics.seed",
    "budget_ps": "extension.budget_ps",
    "preset": "preset",
    "mobile": "transport.mobile_species",
    "longest_lag_ps": "transport.longest_lag_ps",
    "report_temperature": "transport.report_temperature_k",
    "estimator": "transport.estimator",
    "error": "transport.error",
    "code": "labels.code",
    "cutoff": "labels.cutoff_ev",
    "processes": "labels.processes",
    "at_once": "labels.at_once",
    ("label", "potential"): "labels.potential",
    ("loop", "potential"): "labels.potential",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "learning_rate": "training.learning_rate",
    "frozen": "training.frozen",
    "start": "training.start",
    ("finetune", "seed"): "training.seed",
    ("finetune", "device"): "training.device",
    ("loop", "device"): "training.device",
    "frames": "loop.frames_per_trajectory",
    "trajectories": "loop.trajectories_per_parent",
    "npt_ps": "loop.npt_ps",
    "sampling_ps": "loop.sampling_ps",
}
# Sections that are no part of a study.
OWN_SECTIONS = {
    "series": SeriesSettings,
    "labels": LabelSettings,
    "training": TrainingSettings,
    "loop": LoopSettings,
}
# Defaults that are words for what happens, not values of the settings.
WORDS = {
    "folder",
    "workers",
    "start_temperature",
    "charge",
    "hop_length",
}


def shown_defaults() -> list[tuple[str, str, str]]:
    """(verb, option, default in its help text) of every option that shows one."""
    found = []
    for verb, (_, command) in VERBS.items():
        for name, hint in typing.get_type_hints(command, include_extras=True).items():
            for info in getattr(hint, "__metadata__", ()):
                match = re.search(r"\(default: (.*)\)$", info.help or "")
                if match:
                    found.append((verb, name, match[1]))
    return found


def default_of(key: str) -> object:
    section, _, name = key.partition(".")
    if section in OWN_SECTIONS:
        value = getattr(OWN_SECTIONS[section](), name)
        return ",".join(value) if isinstance(value, tuple) else value
    value: object = resolve({"crystal": "x", **({} if key == "preset" else {"preset": "paper"})})
    for part in key.split("."):
        value = getattr(value, part)
    return value


def test_there_are_defaults_to_check():
    assert len(shown_defaults()) > 20


@pytest.mark.parametrize(("verb", "option", "shown"), shown_defaults())
def test_the_default_in_a_help_text_is_that_of_the_settings(verb, option, shown):
    key = SETTINGS_OF.get((verb, option)) or SETTINGS_OF.get(option)
    if key is None:
        assert option in WORDS
    elif isinstance(default_of(key), str):
        assert shown == default_of(key)
    else:
        assert float(shown) == default_of(key)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_has_a_help_text(verb):
    command = VERBS[verb][1]
    hints = typing.get_type_hints(command, include_extras=True)
    for name in inspect.signature(command).parameters:
        assert any(info.help for info in hints[name].__metadata__), name


@given(a=st.integers(1, 99), b=st.integers(1, 99), c=st.integers(1, 99))
def test_three_numbers_are_read(a, b, c):
    assert supercell_of(f"{a},{b},{c}", "--supercell") == (a, b, c)
    assert supercell_of(f"{a}x{b}x{c}", "--supercell") == (a, b, c)
    assert supercell_of(f" {a}, {b}, {c} ", "--supercell") == (a, b, c)


@given(entries=st.lists(st.integers(-99, 99), min_size=9, max_size=9))
def test_nine_numbers_are_the_rows_of_a_matrix(entries):
    rows = tuple(tuple(entries[k : k + 3]) for k in (0, 3, 6))
    assert supercell_of(",".join(map(str, entries)), "--supercell") == rows
    assert supercell_of(", ".join(map(str, entries)), "--supercell") == rows


@pytest.mark.parametrize(
    "text", ["", "1,1", "1,1,1,1", "1,1,0", "1,1,-1", "1,1,a", "1.5,1,1", ",,", "²,1,1", "1,2,3,4,5,6,7,8,9.5"]
)
def test_other_words_are_refused(text):
    with pytest.raises(SettingsError, match="--supercell takes three positive whole numbers"):
        supercell_of(text, "--supercell")


@given(text=st.text(max_size=12))
def test_any_words_give_three_numbers_or_a_settings_error(text):
    with contextlib.suppress(SettingsError):
        assert len(supercell_of(text, "--supercell")) == 3


def test_numbers_between_commas():
    assert numbers("500, 600.5,7e2", "--temperatures", "K") == [500.0, 600.5, 700.0]
    assert numbers(None, "--temperatures", "K") is None
    with pytest.raises(SettingsError, match="numbers in K"):
        numbers("500 600", "--temperatures", "K")


def test_room_verbs_start_from_the_defaults_not_from_the_quick_preset():
    assert room_settings().orderings.max_atoms == StudySettings(crystal="x").orderings.max_atoms
    with pytest.raises(SettingsError) as caught:
        room_settings(ranking={"max_steps": -1})
    assert caught.value.where == "command line"


def test_files_are_not_overwritten_and_must_be_there(tmp_path):
    path = tmp_path / "a"
    assert new_file(path) == path
    with pytest.raises(InputError, match="no such file"):
        existing_file(path)
    path.write_text("x")
    assert existing_file(path) == path
    with pytest.raises(InputError, match="never overwrites"):
        new_file(path)
    with pytest.raises(InputError, match="no such file"):
        existing_file(tmp_path)


def test_rows_become_csv():
    assert csv_text([{"a": 1, "b": "x,y"}, {"a": 2.5, "b": ""}]) == 'a,b\n1,"x,y"\n2.5,\n'


def test_options_become_settings():
    overrides = StudyOverrides(
        preset="paper",
        supercell="1,1,2",
        temperatures="500,600",
        production_ps=7.0,
        potential="7net-0",
        seed=4,
        workers=3,
        keys=("dynamics.timestep_fs=0.5", "transport.hop_length_angstrom=null", "dynamics.repeat=[2,1,1]"),
    )
    settings = study_settings("Li3YBr6", overrides)
    assert settings.crystal == "Li3YBr6"
    assert settings.preset == "paper"
    assert settings.orderings.supercell == (1, 1, 2)
    sheared = study_settings("Li3YBr6", StudyOverrides(supercell="1,0,0,0,1,0,1,0,2"))
    assert sheared.orderings.supercell == ((1, 0, 0), (0, 1, 0), (1, 0, 2))
    with pytest.raises(SettingsError, match=r"orderings.supercell: three whole numbers .* with a determinant"):
        study_settings("Li3YBr6", StudyOverrides(supercell="1,0,0,0,1,0,1,0,0"))
    assert settings.ranking.potential == settings.dynamics.potential == "7net-0"
    assert settings.dynamics.temperatures_k == (500.0, 600.0)
    assert settings.dynamics.production_ps == 7.0
    assert settings.dynamics.seed == 4
    assert settings.dynamics.timestep_fs == 0.5
    assert settings.dynamics.repeat == (2, 1, 1)
    assert settings.machine.workers == 3


def test_every_option_of_run_reaches_the_settings():
    """An option that is taken and then forgotten would be the worst of all."""
    plain = study_settings("x", StudyOverrides()).model_dump()
    values = {
        "preset": "paper",
        "supercell": "2,1,1",
        "max_atoms": 33,
        "potential": "7net-0",
        "temperatures": "321",
        "production_ps": 3.25,
        "target": 1.7,
        "budget_ps": 321.0,
        "seed": 77,
        "workers": 5,
        "device": "cuda",
        "keys": ("dynamics.nvt_ps=0.75",),
    }
    assert set(values) == set(StudyOverrides.__dataclass_fields__)
    for name, value in values.items():
        assert study_settings("x", StudyOverrides(**{name: value})).model_dump() != plain, name


@pytest.mark.parametrize("text", ["", "seed", "=3", "dynamics.seed=[", " =1"])
def test_set_takes_a_key_and_a_value(text):
    with pytest.raises(SettingsError, match="--set takes KEY=VALUE"):
        study_settings("x", StudyOverrides(keys=(text,)))


def test_set_names_the_nearest_key():
    with pytest.raises(SettingsError, match="did you mean 'timestep_fs'"):
        study_settings("x", StudyOverrides(keys=("dynamics.timestep_ps=1",)))


def test_options_go_before_the_study_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("crystal: Li3YCl6\ndynamics: {seed: 3, timestep_fs: 1.5}\n")
    settings = study_settings(str(path), StudyOverrides(seed=9))
    assert (settings.dynamics.seed, settings.dynamics.timestep_fs) == (9, 1.5)


def test_a_run_folder_is_gone_on_with(tmp_path):
    from halion.study import RunFolder

    cif = tmp_path / "mine.cif"
    cif.write_text("data_x\n")
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    begun = study_settings(str(cif), StudyOverrides(seed=5))
    folder.begin(begun)
    cif.unlink()
    again = study_settings(str(folder.path), StudyOverrides(workers=2))
    assert again.crystal == str(folder.path / "crystal" / "mine.cif")
    assert again.dynamics == begun.dynamics
    assert again.machine.workers == 2
    folder.begin(again)  # the same study: no refusal


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="no study in this folder"):
        study_settings(str(tmp_path), StudyOverrides())


def test_run_folders_are_named_after_their_source(tmp_path):
    assert str(default_folder("Li3YBr6")) == "runs/Li3YBr6"
    assert str(default_folder("some/where/study.yaml")) == "runs/study"
    assert default_folder(str(tmp_path)) == tmp_path


def test_plan_and_run_take_the_same_options():
    plan, run = (set(inspect.signature(VERBS[verb][1]).parameters) for verb in ("plan", "run"))
    assert run - plan == {"site"}  # what a plan measures is this machine
    assert plan <= run
    assert set(StudyOverrides.__dataclass_fields__) <= run
    assert study_options.__all__


def test_a_crystal_with_a_fine_tuned_potential_takes_it_unless_another_is_named():
    chosen = study_settings("Li3YBr6", StudyOverrides())
    assert chosen.dynamics.potential == chosen.ranking.potential == "halion-lycb"
    # Its Li hops more slowly than pretrained CHGNet's, so a quick study goes hotter; other presets say themselves.
    assert chosen.dynamics.temperatures_k == (500.0, 540.0, 590.0, 650.0)
    assert chosen.dynamics.production_ps == 150.0
    assert study_settings("Li3YBr6", StudyOverrides(preset="paper")).dynamics.temperatures_k[0] == 400.0
    named = study_settings("Li3YBr6", StudyOverrides(potential="chgnet"))
    assert (named.dynamics.potential, named.dynamics.temperatures_k[-1]) == ("chgnet", 580.0)
    given = study_settings("Li3YCl6", StudyOverrides(temperatures="400,600"))
    assert given.dynamics.temperatures_k == (400.0, 600.0)
    assert study_settings("Li3YBr6", StudyOverrides(production_ps=20.0)).dynamics.production_ps == 20.0
