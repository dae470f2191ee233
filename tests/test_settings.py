"""Settings: what a study file may say, what fills the rest, and what a wrong word is answered."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from halion.errors import SettingsError
from halion.settings import StudySettings
from halion.study_file import resolve

CRYSTAL = {"crystal": "Li3YBr6"}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

keys = st.sampled_from([*StudySettings.model_fields, "nonsense"])


@pytest.mark.parametrize(
    ("section", "value", "words"),
    [
        ({"timestep_fs": -1}, "-1", "dynamics.timestep_fs"),
        ({"timestep_fs": 50}, "50", "dynamics.timestep_fs"),
        ({"timestep_fs": "fast"}, "fast", "dynamics.timestep_fs"),
        ({"timestep_fs": float("nan")}, "nan", "dynamics.timestep_fs"),
        ({"seed": 1.5}, "1.5", "dynamics.seed"),
        ({"temperatures_k": []}, "[]", "dynamics.temperatures_k"),
        ({"temperatures_k": [500, -1]}, "", "must be positive, in K"),
        ({"temperatures_k": [500, 500]}, "", "one temperature twice"),
        ({"npt_ps": 1.0, "cell_average_ps": 2.0}, "", "cell_average_ps (2) is longer than npt_ps (1)"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_key(section, value, words):
    with pytest.raises(SettingsError) as caught:
        resolve({**CRYSTAL, "dynamics": section})
    assert words in caught.value.what
    assert value in caught.value.what


def test_a_study_without_a_crystal_is_refused():
    with pytest.raises(SettingsError, match="crystal: Field required"):
        resolve({})


def test_a_section_that_is_no_mapping_is_refused():
    with pytest.raises(SettingsError, match="dynamics"):
        resolve({**CRYSTAL, "dynamics": 300})


@given(study=st.dictionaries(keys, values, max_size=4))
def test_any_values_give_settings_or_a_settings_error(study):
    try:
        assert isinstance(resolve(study), StudySettings)
    except SettingsError as error:
        assert error.what and error.fix


def test_settings_cannot_be_changed_afterwards():
    settings = resolve(CRYSTAL)
    with pytest.raises(ValueError, match="frozen"):
        settings.crystal = "other"


@pytest.mark.parametrize("good", [[1, 1, 2], (2, 1, 1), [[1, 0, 0], [0, 1, 0], [1, 0, 2]], None])
def test_supercells_are_repeats_or_matrices(good):
    found = resolve({**CRYSTAL, "orderings": {"supercell": good}}).orderings.supercell
    as_lists = yaml.safe_load(yaml.safe_dump(good if good is None else list(good)))
    assert found == (
        None if good is None else tuple(tuple(row) if isinstance(row, list) else row for row in as_lists)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        [1, 1],
        [0, 1, 1],
        [1, 1, -2],
        [1.5, 1, 1],
        [True, True, True],
        "1x1x2",
        3,
        {"a": 1},
        [[1, 0, 0], [0, 1, 0]],
        [[1, 0, 0], [0, 1, 0], [1, 1, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1.5]],
    ],
)
def test_what_is_no_supercell_is_told_in_one_sentence(wrong):
    with pytest.raises(SettingsError, match=r"orderings\.supercell: three whole numbers of at least one") as caught:
        resolve({**CRYSTAL, "orderings": {"supercell": wrong}})
    assert "tuple[" not in str(caught.value)  # the alternatives that pydantic tried are nobody's business


def test_the_schema_names_both_forms_of_a_supercell():
    schema = StudySettings.model_json_schema()["$defs"]["OrderingSettings"]["properties"]["supercell"]
    kinds = [
        each.get("prefixItems", [{}])[0].get("type") for each in schema["anyOf"] if each.get("type") == "array"
    ]
    assert kinds == ["integer", "array"]
