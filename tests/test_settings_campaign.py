"""Settings of a campaign: what fills them, what is refused, and that nothing else escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halion.errors import SettingsError
from halion.settings_campaign import CAMPAIGNS, CampaignSettings, is_campaign, resolve_campaign

LYCB = CAMPAIGNS["LYCB"]


def test_the_named_series_is_that_of_the_study():
    paper = resolve_campaign(LYCB | {"preset": "paper"})
    assert paper.series.steps == tuple(0.5 * k for k in range(13))
    assert paper.study.dynamics.production_ps == 2000 and paper.replicas == 3
    quick = resolve_campaign(LYCB)
    assert quick.series.steps == (0, 3, 6) and quick.study.dynamics.production_ps == 100
    assert quick.study.crystal == "Li3YCl6" and quick.phases == ("LYB",)


def test_what_is_given_goes_before_the_preset():
    found = resolve_campaign(
        LYCB | {"replicas": 2, "series": {"steps": [0, 6]}, "dynamics": {"production_ps": 7}, "phases": ["stable"]}
    )
    assert (found.replicas, found.series.steps, found.phases) == (2, (0.0, 6.0), ("stable",))
    assert found.series.evaluate_at_most == 10  # of the preset still
    assert found.study.dynamics.production_ps == 7 and found.study.dynamics.npt_ps == 8.0
    again = found.model_dump(mode="json")
    study = {key: value for key, value in again.pop("study").items() if key != "crystal"}
    assert resolve_campaign(again | study) == found  # what a folder keeps says the same


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"series": {"step": [0]}}, "unknown key 'series.step'"),
        ({"dynamics": {"temperature": 3}}, "unknown key 'dynamics.temperature'"),
        ({"phases": ["LYX"]}, "there are LYC, LYB, stable"),
        ({"parents": {}}, "parents"),
        ({"parents": {"../up": "Li3YCl6"}}, "letters and digits"),
        ({"replicas": 0}, "replicas"),
        ({"crystal": "Li3YBr6"}, "a campaign has parents"),
        ({"study": {}}, "unknown key 'study'"),
    ],
)
def test_what_cannot_be_used_is_named(values, words):
    with pytest.raises(SettingsError, match=words):
        resolve_campaign(LYCB | values)


def test_a_crystal_beside_the_study_file_is_found(tmp_path):
    (tmp_path / "my.cif").write_text("")
    found = resolve_campaign(
        {"parents": {"A": "my.cif", "B": "Li3YBr6"}, "phases": ["A"]}, where=str(tmp_path / "s.yaml")
    )
    assert found.parents == {"A": str(tmp_path / "my.cif"), "B": "Li3YBr6"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from([*CampaignSettings.model_fields, "dynamics", "preset"]), anything, max_size=3)
)
def test_nonsense_is_refused_by_name_or_used(values):
    try:
        found = resolve_campaign({**LYCB, **values})
    except SettingsError as error:
        assert error.fix
    else:
        assert found.parents


def test_a_single_study_is_none():
    assert is_campaign(LYCB) and not is_campaign({"crystal": "Li3YBr6"}) and not is_campaign("LYCB")
