"""Distinct orderings per second against SHRY and icet, all reference cases, and memory on the way to disk.

- Reference cases (--cases): every count, each in under a second, and every case up to --most orderings listed, with
  Burnside's count and the published one as the certificate. --table gives one line per case.
- SHRY (--shry-python: a Python whose environment has it; its pip version needs an older pymatgen): the same cases,
  one after the other, each in a process of its own on one core; halion on one thread and on all.
- icet (--icet-python): it lists all cells of a size and not those of one supercell, so its rate is that of all
  fcc alloys A-B of n atoms and halion's that of all supercells of n sites and all compositions.
- Li3YCl6 refined and pooled, and larger cells: the search alone, rows thrown away, on all cores.
- Peak memory of processes that store some 1e4 and 1e7 orderings.

    python benchmarks/orderings.py --cases FOLDER --shry-python PYTHON --icet-python PYTHON \
        --output benchmarks/results/orderings.md --table benchmarks/results/orderings_cases.md
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "orderings"))  # cases are read as the tests read them
from orderings_crystals import composed, crystal, from_case, li3ycl6

from halion.cores import usable_cores
from halion.crystal.types import DisorderedCrystal
from halion.orderings import (
    Composition,
    choose_composition,
    compositions_for,
    count_orderings,
    distinct_supercells,
    enumerate_orderings,
)
from halion.orderings.search import NO_LIMIT, search
from halion.orderings.stream import Question
from halion.settings import OrderingSettings
from halion.study.provenance import machine_description, source_commit

SHRY_CASES = (269, 1, 77, 281)  # above 1e5 orderings: one block, several orbits, no symmetry, a group of 64
ICET_SIZES = (8, 10, 12)
LARGEST = 20_000_000  # orderings of larger cells that are listed before the time is taken

SHRY = """
import json, logging, sys, time
logging.disable(logging.CRITICAL)
from shry.main import ScriptHelper
helper = ScriptHelper(sys.argv[1], scaling_matrix=[int(n) for n in sys.argv[2].split("x")], no_write=True)
began, n, total = time.perf_counter(), 0, 0
for weight in helper.substitutor.weights():
    n, total = n + 1, total + weight
print(json.dumps([n, int(total), time.perf_counter() - began]))
"""
ICET = """
import json, sys, time
from ase.build import bulk
from icet.tools import enumerate_structures
began = time.perf_counter()
n = sum(1 for _ in enumerate_structures(bulk("Au"), [int(sys.argv[1])], ["Au", "Pd"]))
print(json.dumps([n, time.perf_counter() - began]))
"""
STORE = """
import resource, sys, time
sys.path.insert(0, sys.argv[1])
from orderings_crystals import composed, li3ycl6
from halion.orderings import load_orderings, store_orderings
n, li1, li2 = (int(word) for word in sys.argv[3:6])
counts = {"Li1": {"Li": li1}, "Li2": {"Li": li2}, "Y2": {"Y": n}, "Y3": {"Y": n}}
composition = composed(li3ycl6(), (1, 1, n), counts)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
path = store_orderings(li3ycl6(), composition, sys.argv[2])
took = time.perf_counter() - began
found = load_orderings(path)
print(found.n_orderings, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, took, path.stat().st_size)
"""


@dataclass(frozen=True)
class Case:
    """One line of the reference."""

    index: int
    compound: str
    supercell: str
    path: Path
    total: int
    distinct: int

    def stated(self) -> tuple[DisorderedCrystal, Composition]:
        """The crystal and its composition in the supercell."""
        parent = from_case(self.path)
        return parent, choose_composition(parent, tuple(int(n) for n in self.supercell.split("x")))


def read_cases(folder: Path) -> list[Case]:
    """All cases of the reference."""
    with open(folder / "cases.csv", encoding="utf-8") as file:
        return [
            Case(
                index=int(line["index"]),
                compound=line["compound"],
                supercell=line["supercell"],
                path=folder / line["cif"],
                total=int(line["total_orderings"]),
                distinct=int(line["distinct_orderings"]),
            )
            for line in csv.DictReader(file)
        ]


def searched(
    parent: DisorderedCrystal,
    compositions: Composition | tuple[Composition, ...],
    *,
    threads: int,
    most: int = NO_LIMIT,
    repeats: int = 3,
) -> tuple[int, float]:
    """(orderings, least seconds of several) of the search alone."""
    question = Question.of(parent, compositions, ())
    problems = [question.problem(index) for index in range(len(question.compositions))]
    times = []
    for _ in range(repeats):
        n, began = 0, time.perf_counter()
        for problem in problems:
            n += search(problem, lambda *_: True, most=(most, NO_LIMIT), threads=threads).n_orderings
        times.append(time.perf_counter() - began)
    return n, min(times)


def all_cases(cases: list[Case], most: int) -> tuple[list[str], list[str]]:
    """(summary, one line per case): every count, and every list up to `most` orderings."""
    lines, counting, listed, slowest = [], [], 0, 0.0
    began = time.perf_counter()
    for case in cases:
        parent, composition = case.stated()
        start = time.perf_counter()
        count = count_orderings(parent, composition)
        counting.append(time.perf_counter() - start)
        assert (count.total, count.distinct) == (case.total, case.distinct), case
        took, rate = "", ""
        if case.distinct <= most:
            start = time.perf_counter()
            found = enumerate_orderings(parent, composition, limit=most)
            seconds = time.perf_counter() - start
            assert (found.n_orderings, found.total_allowed) == (case.distinct, case.total), case
            took, rate = f"{seconds:.3f}", f"{case.distinct / seconds:.3g}"
            listed, slowest = listed + 1, max(slowest, seconds)
        lines.append(
            f"| {case.index} | {case.compound} | {case.supercell} | {count.group_order} | {count.total:,} "
            f"| {count.distinct:,} | {1e3 * counting[-1]:.0f} | {took} | {rate} |"
        )
    summary = [
        f"All {len(cases)} reference cases counted, each as published; the slowest in {max(counting):.2f} s. "
        f"The {listed} cases of at most {most:,} distinct orderings listed, as many as published with "
        f"multiplicities that add up; the slowest in {slowest:.2f} s, everything in "
        f"{time.perf_counter() - began:.0f} s.",
    ]
    return summary, lines


def against_shry(cases: list[Case], python: Path, chosen: list[int]) -> list[str]:
    """The same cases by both, in orderings per second."""
    lines = [
        "| case | supercell | distinct | SHRY, 1 core, 1/s | halion, 1 core, 1/s | all cores, 1/s | 1 to 1 core |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in (case for case in cases if case.index in chosen):
        command = [str(python), "-c", SHRY, str(case.path), case.supercell]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        n, total, seconds = json.loads(done.stdout.splitlines()[-1])
        assert (n, total) == (case.distinct, case.total), case
        parent, composition = case.stated()
        one, many = (n / searched(parent, composition, threads=threads)[1] for threads in (1, usable_cores()))
        lines.append(
            f"| {case.index} {case.compound} | {case.supercell} | {n:,} | {n / seconds:,.0f} | {one:,.0f} "
            f"| {many:,.0f} | {one * seconds / n:,.0f} |"
        )
        print(lines[-1], flush=True)
    return lines


def against_icet(python: Path) -> list[str]:
    """All binary orderings of the fcc lattice of one size, in orderings per second."""
    lines = ["| atoms | icet, 1/s | halion, 1/s | ratio |", "|---|---|---|---|"]
    fcc = crystal("F m -3 m", (4, 4, 4, 90, 90, 90), [("M", (0, 0, 0), {"A": 0.5, "B": 0.5})])
    from orderings_crystals import primitive

    parent = primitive(fcc)
    for size in ICET_SIZES:
        done = subprocess.run([str(python), "-c", ICET, str(size)], capture_output=True, text=True, check=True)
        n, seconds = json.loads(done.stdout.splitlines()[-1])
        found, began = 0, time.perf_counter()
        for supercell in distinct_supercells(parent, size):
            several = [composed(parent, supercell, {"M": {"A": k, "B": size - k}}) for k in range(1, size)]
            found += enumerate_orderings(parent, several, limit=10**6).n_orderings
        mine = found / (time.perf_counter() - began)
        lines.append(f"| {size} | {n / seconds:,.0f} | {mine:,.0f} | {mine * seconds / n:.1f} |")
        print(lines[-1], flush=True)
    return lines


def rates() -> list[str]:
    """The search alone on Li3YCl6 and on one large block under a large group."""
    parent = li3ycl6()

    def refined(supercell: tuple[int, int, int], li: tuple[int, int]) -> Composition:
        n = supercell[0] * supercell[1] * supercell[2]
        return composed(
            parent, supercell, {"Li1": {"Li": li[0]}, "Li2": {"Li": li[1]}, "Y2": {"Y": n}, "Y3": {"Y": n}}
        )

    pooled = compositions_for(
        parent, OrderingSettings(supercell=(1, 1, 2), pool=("Li", "Y"), closest_cations_angstrom=0)
    )
    lead = crystal(
        "F m -3 m",
        (6.46, 6.46, 6.46, 90, 90, 90),
        [("Pb", (0, 0, 0), {"Pb": 0.5, "Sn": 0.5}), ("Te", (0.5, 0.5, 0.5), {"Te": 1.0})],
    )
    wanted = (
        ("Li3YCl6 1x1x2, refined", parent, (refined((1, 1, 2), (10, 8)),)),
        (f"Li3YCl6 1x1x2, Li and Y pooled, {len(pooled)} compositions", parent, pooled),
        ("Li3YCl6 1x1x3, refined", parent, (refined((1, 1, 3), (16, 11)),)),
        ("Li3YCl6 2x2x1, refined", parent, (refined((2, 2, 1), (20, 16)),)),
        (
            "PbSnTe 2x2x2, 16 of 32, 1536 operations",
            lead,
            (composed(lead, (2, 2, 2), {"Pb": {"Pb": 16, "Sn": 16}}),),
        ),
    )
    lines = [
        f"| cell | distinct | listed | 1 thread, 1/s | {usable_cores()} threads, 1/s |",
        "|---|---|---|---|---|",
    ]
    for name, each, compositions in wanted:
        distinct = count_orderings(each, compositions).distinct
        (n, one), (_, many) = (
            searched(each, compositions, threads=threads, most=LARGEST) for threads in (1, usable_cores())
        )
        lines.append(f"| {name} | {distinct:,} | {n:,} | {n / one:,.0f} | {n / many:,.0f} |")
        print(lines[-1], flush=True)
    return lines


def memory() -> list[str]:
    """Peak memory of processes that store few and many orderings and open the file."""
    lines = [
        "| orderings | file, MiB | seconds | at the start, MiB | peak, MiB |",
        "|---|---|---|---|---|",
    ]
    for cell in ((2, 11, 7), (3, 17, 10)):
        with tempfile.TemporaryDirectory() as folder:
            words = [str(Path(__file__).parents[1] / "tests" / "orderings"), f"{folder}/a.h5", *map(str, cell)]
            done = subprocess.run([sys.executable, "-c", STORE, *words], capture_output=True, text=True, check=True)
        n, before, peak, seconds, size = (float(word) for word in done.stdout.split())
        lines.append(f"| {n:,.0f} | {size / 2**20:.1f} | {seconds:.1f} | {before / 1024:.0f} | {peak / 1024:.0f} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure what the options allow and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, help="folder of cases.csv and its CIFs")
    parser.add_argument("--most", type=int, default=10**6, help="most orderings of a case that is listed")
    parser.add_argument("--shry-python", type=Path)
    parser.add_argument("--shry-cases", type=int, nargs="*", default=SHRY_CASES)
    parser.add_argument("--icet-python", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--table", type=Path, help="one line per reference case")
    options = parser.parse_args()
    machine = machine_description()
    title = f"{machine['processor']}, {machine['cores']} cores; halion {source_commit()[:12]}."
    lines = [title, "", "## Rates of the search alone, the best of three", "", *rates()]
    lines += ["", "## Memory of `store_orderings`", "", *memory()]
    cases = read_cases(options.cases) if options.cases and (options.cases / "cases.csv").is_file() else []
    if cases:
        summary, table = all_cases(cases, options.most)
        lines += ["", "## The reference cases", "", *summary]
        if options.table:
            head = "| case | compound | supercell | group | orderings | distinct | counted, ms | listed, s | 1/s |"
            options.table.write_text(
                "\n".join([title, "", head, "|" + "---|" * 9, *table]) + "\n", encoding="utf-8"
            )
    else:
        lines += ["", "The reference cases were not at hand."]
    if cases and options.shry_python:
        lines += ["", "## Against SHRY 1.1.8", "", *against_shry(cases, options.shry_python, options.shry_cases)]
    if options.icet_python:
        lines += ["", "## Against icet 4.0", "", *against_icet(options.icet_python)]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
