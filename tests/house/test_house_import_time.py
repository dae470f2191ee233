"""`halion --help` answers at once, because it imports nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HELP = [sys.executable, "-m", "halion.cli.main", "--help"]
HEAVY = ("torch", "pymatgen", "numpy", "pydantic", "ase", "scipy", "h5py", "yaml", "matplotlib", "plotly", "spglib")
LONGEST_S = 0.3


def test_help_answers_within_a_third_of_a_second():
    # Processor time, the best of several: on an idle machine it is the time a person waits, and other tests that
    # run beside do not count. The first also writes the bytecode.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    best = float("inf")
    for _ in range(12):
        before = os.times()
        subprocess.run(HELP, check=True, capture_output=True, env=environment)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, used)
        if best < LONGEST_S:
            break
    assert best < LONGEST_S, f"halion --help took {best:.2f} s"


@pytest.mark.parametrize("words", [["--help"], [], ["--version"], ["run", "--help"], ["transport", "--help"]])
def test_help_imports_nothing_heavy(words):
    # typer itself imports pydantic, where it is installed, to read the options of one verb.
    heavy = [name for name in HEAVY if name != "pydantic" or len(words) < 2]
    code = (
        "import sys\nfrom halion.cli.main import app\n"
        f"assert app({words!r}) == 0\n"
        f"print('LOADED', [name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, halion\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", ["status"])
def test_a_look_at_a_folder_does_not_wait_for_torch(verb, tmp_path):
    code = (
        "import sys\nfrom halion.cli.main import app\n"
        f"app([{verb!r}, {str(tmp_path)!r}])\n"
        "print('torch' in sys.modules, 'pymatgen' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False False"
