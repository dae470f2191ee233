"""Small enough to read in an evening: sizes, arguments, and habits that are not wanted."""

from __future__ import annotations

import ast
import re

import pytest

from house import ROOT_MODULES, SOURCE, Function, functions, rooms_present, shown, source_files, tree

FILE_LINES, FILE_LINES_HARD = 300, 500
FUNCTION_LINES, FUNCTION_LINES_HARD = 40, 80
ARGUMENTS = 6

# file -> why it may be longer than FILE_LINES.
LONG_FILES: dict[str, str] = {}
# "file::function" -> why it may be longer than FUNCTION_LINES; docstring and signature are not counted.
LONG_FUNCTIONS: dict[str, str] = {
    "src/halion/report/draw_plotly.py::_layout": "one dictionary of settings",
    "src/halion/study/plan.py::plan_study": "half of it builds the dataclass that it gives",
    "src/halion/transport/run.py::analyse_run": "half of it builds the dataclass that it gives",
}
# Functions called `command` are verbs: each argument is an option of the command line.
VERBS = "src/halion/cli/"


def body_lines(function: Function) -> int:
    """Lines of the statements of a function, its docstring left out."""
    body = function.body
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        body = body[1:]
    return function.end_lineno - body[0].lineno + 1 if body else 0


def every_function() -> list[tuple[str, str, Function, bool]]:
    return [
        (shown(path), name, function, is_public)
        for path in source_files()
        for name, function, is_public in functions(path)
    ]


def test_files_are_short():
    sizes = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in source_files()}
    long = {name: size for name, size in sizes.items() if size > FILE_LINES and name not in LONG_FILES}
    assert not long
    assert not {name: size for name, size in sizes.items() if size > FILE_LINES_HARD}


def test_functions_are_short():
    sizes = {f"{path}::{name}": body_lines(function) for path, name, function, _ in every_function()}
    long = {name: size for name, size in sizes.items() if size > FUNCTION_LINES and name not in LONG_FUNCTIONS}
    assert not long
    assert not {name: size for name, size in sizes.items() if size > FUNCTION_LINES_HARD}


def test_the_exceptions_exist_and_have_reasons():
    names = {f"{path}::{name}" for path, name, _, _ in every_function()}
    assert set(LONG_FUNCTIONS) <= names
    assert all((SOURCE.parents[1] / name).is_file() for name in LONG_FILES)
    assert all(reason.strip() for reason in [*LONG_FUNCTIONS.values(), *LONG_FILES.values()])


def is_kernel(function: Function) -> bool:
    """Whether it is compiled for a device by Triton: its arguments are addresses and sizes, never a dataclass."""
    return any(ast.unparse(one) == "triton.jit" for one in function.decorator_list)


def test_functions_take_few_arguments():
    many = {}
    for path, name, function, _ in every_function():
        if (path.startswith(VERBS) and name == "command") or is_kernel(function):
            continue
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        # How far it is and when to stop are no part of the question asked.
        counted = [one.arg for one in arguments if one.arg not in ("self", "cls", "progress", "stop")]
        if len(counted) > ARGUMENTS:
            many[f"{path}::{name}"] = len(counted)
    assert not many


def test_public_functions_name_all_their_arguments():
    vague = [
        f"{path}::{name}"
        for path, name, function, is_public in every_function()
        if is_public and function.args.kwarg
    ]
    # The sections of a study's settings, whose names pydantic checks.
    assert set(vague) <= {"src/halion/cli/options.py::given", "src/halion/cli/options.py::room_settings"}


def test_no_default_is_mutable():
    wrong = []
    for path, name, function, _ in every_function():
        for default in [*function.args.defaults, *function.args.kw_defaults]:
            is_call = isinstance(default, ast.Call) and getattr(default.func, "id", "") in ("list", "dict", "set")
            if isinstance(default, ast.List | ast.Dict | ast.Set) or is_call:
                wrong.append(f"{path}::{name}")
    assert not wrong


def test_the_library_does_not_print():
    wrong = [
        f"{shown(path)}:{node.lineno}"
        for path in source_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert not wrong


def is_broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or getattr(kind, "id", "") in ("Exception", "BaseException") for kind in kinds)


def is_passed_on(handler: ast.ExceptHandler) -> bool:
    """Whether it raises, or does something with the error that it caught."""
    return any(
        isinstance(inner, ast.Raise) or (isinstance(inner, ast.Name) and inner.id == handler.name)
        for statement in handler.body
        for inner in ast.walk(statement)
    )


def test_no_exception_is_swallowed():
    wrong = [
        f"{shown(path)}:{node.lineno}"
        for path in source_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and is_broad(node) and not is_passed_on(node)
    ]
    assert not wrong


def test_swallowing_would_be_found():
    swallowed = ast.parse("try:\n    f()\nexcept Exception:\n    pass").body[0].handlers[0]
    told = ast.parse("try:\n    f()\nexcept Exception as error:\n    say(error)").body[0].handlers[0]
    narrow = ast.parse("try:\n    f()\nexcept OSError:\n    pass").body[0].handlers[0]
    assert is_broad(swallowed) and not is_passed_on(swallowed)
    assert is_broad(told) and is_passed_on(told)
    assert not is_broad(narrow)


def test_every_module_says_what_it_is_for():
    assert not [shown(path) for path in source_files() if not ast.get_docstring(tree(path))]


def test_every_module_says_what_is_public():
    missing = [
        shown(path)
        for path in source_files()
        if not any(
            isinstance(node, ast.Assign | ast.AnnAssign) and "__all__" in ast.unparse(node).split("=")[0]
            for node in tree(path).body
        )
    ]
    # units: every name in it is public.
    assert set(missing) <= {"src/halion/units.py"}


def test_public_functions_have_docstrings():
    missing = [
        f"{path}::{name}"
        for path, name, function, is_public in every_function()
        if is_public and not ast.get_docstring(function)
    ]
    assert not missing


@pytest.mark.parametrize("room", rooms_present())
def test_every_room_has_a_short_readme(room):
    lines = (SOURCE / room / "README.md").read_text(encoding="utf-8").splitlines()
    assert 1 <= len([line for line in lines if line.strip()]) <= 5


@pytest.mark.parametrize("room", rooms_present())
def test_every_room_exports_its_names(room):
    """`__all__` of a room names things that exist; rooms that load lazily must be able to load all of them."""
    import importlib

    module = importlib.import_module(f"halion.{room}")
    assert all(hasattr(module, name) for name in module.__all__)
    assert list(module.__all__) == sorted(
        module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )


@pytest.mark.parametrize("module", ROOT_MODULES)
def test_root_modules_have_tests(module):
    tests = SOURCE.parents[1] / "tests"
    told_elsewhere = {"arrays": "names of types alone", "progress": "interfaces alone"}
    assert (tests / f"test_{module}.py").exists() or module in told_elsewhere


def test_nothing_is_unpickled():
    """Files are data: torch reads weights alone, numpy no objects, and pickle is used by nobody."""

    def calls(node: ast.AST) -> str:
        return ast.unparse(node.func) if isinstance(node, ast.Call) else ""

    wrong = []
    for path in source_files():
        for node in ast.walk(tree(path)):
            name = calls(node)
            keywords = {one.arg: ast.unparse(one.value) for one in node.keywords} if name else {}
            is_torch = name == "torch.load" and keywords.get("weights_only") != "True"
            is_numpy = keywords.get("allow_pickle", "False") != "False"
            is_pickle = name.split(".")[0] in ("pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
            if is_torch or is_numpy or is_pickle:
                wrong.append(f"{shown(path)}:{node.lineno}")
    assert not wrong


def test_the_table_of_faults_names_tests_that_exist():
    text = (SOURCE.parents[1] / "docs" / "faults.md").read_text()
    path, named = "", 0
    for found in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", text):
        path = found[0] or path
        assert re.search(rf"^def {found[1]}\(", (SOURCE.parents[1] / path).read_text(), re.MULTILINE), found
        named += 1
    assert named > 40
