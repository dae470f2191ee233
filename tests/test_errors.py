"""Errors: four parts, builtin families, exit codes, and the trip from a worker process."""

from __future__ import annotations

import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halion import errors
from halion.errors import HalionError, nearest

CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, HalionError)]
EXIT_CODES = {
    "CrystalError": 2,
    "DiskFull": 5,
    "EngineError": 1,
    "HalionError": 2,
    "InputError": 2,
    "Interrupted": 5,
    "LabelError": 3,
    "MissingDependency": 4,
    "OrderingError": 2,
    "PhysicsRefusal": 3,
    "RunFolderError": 2,
    "SettingsError": 2,
    "TornFile": 2,
    "TrajectoryError": 2,
}


def test_every_class_has_its_exit_code():
    assert {one.__name__: one.exit_code for one in CLASSES} == EXIT_CODES


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_says_what_where_and_what_next(kind):
    error = kind("the cell is charged (+1 e)", where="a.cif, line 3", fix="halion enumerate a.cif")
    assert str(error) == "the cell is charged (+1 e)\n  where: a.cif, line 3\n  next:  halion enumerate a.cif"


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_without_a_remedy_cannot_be_made(kind):
    with pytest.raises(TypeError):
        kind("something is wrong")


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_but_the_base_is_a_builtin_too(kind):
    families = (ValueError, RuntimeError, OSError, ArithmeticError, ImportError)
    assert kind is HalionError or issubclass(kind, families)


@pytest.mark.parametrize("kind", CLASSES)
@given(what=st.text(), where=st.text(), fix=st.text())
def test_an_error_survives_the_way_from_a_worker(kind, what, where, fix):
    error = pickle.loads(pickle.dumps(kind(what, where=where, fix=fix)))
    assert type(error) is kind
    assert (error.what, error.where, error.fix) == (what, where, fix)


def test_the_nearest_word_is_named():
    assert nearest("temprature_k", ["temperature_k", "seed"]) == "did you mean 'temperature_k'?"


def test_without_a_near_word_all_are_named_in_order():
    assert nearest("zzz", ["seed", "crystal"]) == "known: crystal, seed"


def test_public_names_are_all_there():
    assert all(hasattr(errors, name) for name in errors.__all__)
    assert {one.__name__ for one in CLASSES} <= set(errors.__all__)


def test_a_text_of_megabytes_is_cut_once_and_its_remedy_never():
    error = HalionError("a" * 10**6, where="b" * 10**6, fix="halion run " + "c" * 5000)
    assert len(str(error)) < 10_000
    assert "(1000000 characters)" in error.what
    assert error.fix.endswith("c" * 5000)
    assert pickle.loads(pickle.dumps(error)).what == error.what
