"""CIFs made to use up time or memory: refused at once, saying what is wrong, whatever the size of the value."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from crystal_files import BROMIDE, cif, write

from halion.crystal import read_crystal
from halion.errors import CrystalError

# Every refusal here took less than a second on a busy core; what it guards against takes minutes to hours.
LONGEST_S = 20.0
MANY = 200_000
REST = BROMIDE[1:]

REFUSED = {
    # A pattern that tries every split of 200,000 digits would take hours.
    "digits": (cif([("Y1", "Y", ("9" * MANY + "x", 0, 0), 1), *REST]), "fract_x has 200001 characters"),
    "an uncertainty": (cif([("Y1", "Y", ("0." + "3" * MANY + "(", 0, 0), 1), *REST]), "characters"),
    "an occupancy": (cif([("Y1", "Y", (0, 0, 0), "1" * MANY), *REST]), "occupancy has 200000"),
    "a label": (cif([("Y" * MANY, "Y", (0, 0, 0), 1), *REST]), "label has 200000"),
    "an element": (cif([("Y1", "Y" + "3" * MANY + "+-", (0, 0, 0), 1), *REST]), "type_symbol has 200003"),
    "a symbol": (cif(symmetry=[], extra=f"_space_group_name_H-M_alt 'P{' ' * MANY}q'"), "characters"),
    "a Hall symbol": (cif(symmetry=[], extra=f"_space_group_name_Hall '{'P 1 ' * MANY}q'"), "characters"),
    "an operation": (cif(symmetry=["x,y,z", "x" + "+x" * MANY + ",y,z"]), "characters"),
    "a formula": (cif(extra=f"_chemical_formula_sum '{'Li ' * MANY}'"), "characters"),
    "a text that does not close": (cif() + "\n;\n" + "x" * MANY, "unterminated"),
    "a quote that does not close": (cif() + "_x '" + "x" * MANY, "unterminated"),
    "a loop that does not close": (cif() + "loop_\n_a\n_b\n1 2 3\n", "Wrong number of values in loop"),
    "loops of nothing": (cif() + "loop_\n" * MANY, "parse error"),
    "operations": (cif(symmetry=["x,y,z"] * MANY), "200000 symmetry operations"),
    "rows": (cif([(f"Li{k}", "Li", (0, 0, 0), 0.1) for k in range(MANY)]), "200000 atoms"),
    "crystals": ("\n".join(cif().replace("data_test", f"data_{k}") for k in range(1500)), "1500 crystals"),
    # gemmi compares each name with all before it.
    "blocks": ("\n".join(f"data_{k}\n_a 1" for k in range(MANY)), "200000 data blocks"),
    "blocks in one line": (" ".join(f"data_{k} _a 1" for k in range(MANY)), "200000 data blocks"),
    "save frames": (cif() + "".join(f"save_{k}\n_a 1\nsave_\n" for k in range(MANY)), "save frames"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_endless_value_is_refused_at_once(name, tmp_path):
    text, said = REFUSED[name]
    path = write(tmp_path, text)
    began = time.monotonic()
    with pytest.raises(CrystalError, match=said) as caught:
        read_crystal(path)
    assert time.monotonic() - began < LONGEST_S
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize(
    "more",
    [
        f"_publ_section_title '{'words ' * MANY}'",
        "\n".join(f"_tag{k} 1" for k in range(MANY)),
        "loop_ " + " ".join(f"_wide{k}" for k in range(MANY)) + " 1" * MANY,
        "loop_ _long " + "0.123456 " * MANY,
        " \t\n" * MANY,
    ],
    ids=["title", "tags", "wide loop", "long loop", "blanks"],
)
def test_what_is_only_large_is_read(more, tmp_path):
    """Large parts that say nothing about the crystal change nothing in it."""
    began = time.monotonic()
    crystal = read_crystal(write(tmp_path, cif() + more + "\n"))
    assert time.monotonic() - began < LONGEST_S
    assert crystal.n_atoms == read_crystal(write(tmp_path, cif(), "plain.cif")).n_atoms
    assert len(crystal.source) < 500


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e308", "1e-308", "-0", "0", "1e9", "999999999"])
@pytest.mark.parametrize("place", ["length_a", "angle_beta"])
def test_a_cell_of_odd_numbers_is_refused(value, place, tmp_path):
    text = cif()
    line = next(line for line in text.splitlines() if line.startswith(f"_cell_{place}"))
    with pytest.raises(CrystalError, match=rf"cell|_cell_{place}"):
        read_crystal(write(tmp_path, text.replace(line, f"_cell_{place} {value}")))


def test_the_largest_file_is_read_in_bounded_memory(tmp_path):
    """60 MB of values in a process that may use 1.5 GiB beyond its start."""
    path = write(tmp_path, cif() + "loop_ _x\n" + "0.123456 " * 6_600_000 + "\n")
    code = (
        "import resource, sys\n"
        "from halion.crystal import read_crystal\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 1536 * 2**20,) * 2)\n"
        "print(read_crystal(sys.argv[1]).space_group)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "C2/m", done.stderr[-500:]
