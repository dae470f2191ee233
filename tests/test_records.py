"""Records: what goes into JSON comes back equal, floating-point numbers bit for bit."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from halion.arrays import FloatArray, IntArray
from halion.records import decode, from_record, to_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    flag: bool
    count: int
    number: float
    text: str
    kind: Literal["a", "b"]
    triple: tuple[int, int, int]
    pair: tuple[str, float]
    many: tuple[Inner, ...]
    listed: list[float]
    amounts: Mapping[str, float]
    curves: Mapping[str, FloatArray]
    vector: FloatArray
    whole: IntArray
    small: NDArray[np.uint8]
    maybe: Inner | None
    perhaps: float | None
    later: int = 7


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def through_json(value):
    return json.loads(json.dumps(to_record(value), allow_nan=False))


numbers = st.floats(allow_nan=True, allow_infinity=False)
inners = st.builds(Inner, label=st.text(), value=numbers)
outers = st.builds(
    Outer,
    flag=st.booleans(),
    count=st.integers(-(2**60), 2**60),
    number=numbers,
    text=st.text(),
    kind=st.sampled_from(["a", "b"]),
    triple=st.tuples(*[st.integers(-9, 9)] * 3),
    pair=st.tuples(st.text(), numbers),
    many=st.lists(inners, max_size=3).map(tuple),
    listed=st.lists(numbers, max_size=3),
    amounts=st.dictionaries(st.text(), numbers, max_size=3),
    curves=st.dictionaries(st.text(), hnp.arrays(float, st.integers(0, 4), elements=numbers), max_size=2),
    vector=hnp.arrays(float, hnp.array_shapes(max_dims=3, max_side=3), elements=numbers),
    whole=hnp.arrays(np.int64, st.integers(0, 4)),
    # At least one row: nested lists cannot say how long the rows of an empty table would be.
    small=hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 3))),
    maybe=st.none() | inners,
    perhaps=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    later=st.integers(0, 5),
)


def same(one: object, other: object) -> bool:
    """Equal to the last bit; NaN equals NaN; arrays with type and shape."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        return isinstance(other, float) and (bits(one) == bits(other) or (math.isnan(one) and math.isnan(other)))
    if dataclasses.is_dataclass(one):
        fields = dataclasses.fields(one)
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields
        )
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@given(value=outers)
def test_a_dataclass_comes_back_equal(value):
    quiet = dataclasses.replace(
        value,
        # The sign and payload of a NaN are not kept, so arrays are compared with one NaN.
        vector=np.where(np.isnan(value.vector), math.nan, value.vector),
        curves={key: np.where(np.isnan(curve), math.nan, curve) for key, curve in value.curves.items()},
    )
    assert same(from_record(Outer, through_json(quiet)), quiet)


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_every_bit(value):
    assert bits(decode(float, through_json(value))) == bits(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_becomes_null_and_then_nan(value):
    assert to_record(value) is None
    assert math.isnan(decode(float, None))
    assert math.isnan(decode(FloatArray, through_json(np.array([1.0, value])))[1])


def test_atoms_come_back_with_every_bit():
    positions = np.random.default_rng(0).normal(size=(3, 3)) * 10
    atoms = Atoms("LiYCl", positions=positions, cell=np.diag([3.0, 4.0, 5.1]) + 0.1, pbc=True)
    back = decode(Atoms, through_json(atoms))
    assert back.get_chemical_symbols() == ["Li", "Y", "Cl"]
    assert back.positions.tobytes() == atoms.positions.tobytes()
    assert back.cell.array.tobytes() == atoms.cell.array.tobytes()
    assert back.pbc.all()


def test_positions_outside_the_cell_are_not_wrapped():
    atoms = Atoms("Li", positions=[[12.0, -3.0, 0.5]], cell=[4, 4, 4], pbc=True)
    assert decode(Atoms, through_json(atoms)).positions.tolist() == [[12.0, -3.0, 0.5]]


def test_a_field_that_an_older_file_lacks_takes_its_default():
    record = through_json(Inner(label="x", value=1.0))
    assert from_record(Inner, record) == Inner(label="x", value=1.0)

    @dataclass(frozen=True)
    class Grown:
        label: str
        value: float
        new: int = 3

    assert from_record(Grown, record) == Grown("x", 1.0, 3)


def test_numpy_scalars_become_plain_numbers():
    assert to_record({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)}) == {"a": 0.5, "b": 3, "c": True}


def test_what_has_no_record_form_is_refused():
    with pytest.raises(TypeError, match="object has no record form"):
        to_record({"a": object()})


def test_the_results_of_the_rooms_come_back():
    from halion.potentials.types import Evaluation

    value = Evaluation(energy=-1.25, forces=np.ones((2, 3)) / 3, stress=np.eye(3) / 7)
    assert same(from_record(Evaluation, through_json(value)), value)
