"""Steps are done once, for exactly their inputs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halion.errors import PhysicsRefusal, RunFolderError, TornFile
from halion.study.step import Step

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_a_step_is_done_only_after_its_result_is_written(tmp_path):
    step = Step(tmp_path / "step", {"a": 1})
    assert not step.is_done
    step.begin()
    assert not step.is_done
    step.commit({"b": 2})
    assert step.is_done
    assert step.value() == {"b": 2}


@given(value=plain)
def test_values_survive_the_disk(tmp_path_factory, value):
    step = Step(tmp_path_factory.mktemp("step") / "s", {"a": 1}).begin()
    step.commit(value)
    assert step.value() == value


def test_a_result_of_other_inputs_does_not_count(tmp_path):
    Step(tmp_path, {"a": 1}).begin().commit(1)
    other = Step(tmp_path, {"a": 2})
    assert not other.is_done
    with pytest.raises(RunFolderError, match="other inputs"):
        other.begin()


def test_the_order_of_keys_is_no_difference(tmp_path):
    Step(tmp_path, {"a": 1, "b": 2}).begin().commit(1)
    assert Step(tmp_path, {"b": 2, "a": 1}).begin().is_done


def test_a_refusal_by_physics_is_a_result(tmp_path):
    step = Step(tmp_path, {}).begin()
    step.commit_refusal(PhysicsRefusal("the cell exploded", where="step 7", fix="cool it"))
    assert step.is_done
    with pytest.raises(PhysicsRefusal, match="exploded") as caught:
        step.value()
    assert (caught.value.where, caught.value.fix) == ("step 7", "cool it")


def test_a_torn_result_is_named(tmp_path):
    step = Step(tmp_path, {}).begin()
    step.commit([1, 2, 3])
    path = tmp_path / "result.json"
    path.write_text(path.read_text()[:-6])
    with pytest.raises(TornFile, match="not whole JSON") as caught:
        step.value()
    assert str(path) in caught.value.where


def test_inputs_are_on_disk_before_any_result(tmp_path):
    Step(tmp_path, {"seed": 3}).begin()
    assert json.loads((tmp_path / "inputs.json").read_text()) == {"seed": 3}
