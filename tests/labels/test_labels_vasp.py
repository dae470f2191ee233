"""VASP as a labeller: what it is given, and the whole way with a stand-in that leaves a real vasprun.xml."""

from __future__ import annotations

import sys
from pathlib import Path

import ase
import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from halion.errors import InputError, LabelError, MissingDependency
from halion.labels.vasp import VaspLabeller, write_vasp_inputs
from halion.settings_learning import LabelSettings

DATA = Path(ase.__file__).parent / "test" / "testdata" / "vasp" / "vasprun_pstress.xml"


@pytest.fixture
def potcars(tmp_path):
    for name in ("Li_sv", "Cl", "Y_sv", "C"):
        (tmp_path / "potcars" / name).mkdir(parents=True)
        (tmp_path / "potcars" / name / "POTCAR").write_text(f"  PAW_PBE {name}\n")
    return str(tmp_path / "potcars")


def test_inputs_are_those_of_the_study(tmp_path, potcars):
    atoms = Atoms(
        "ClLiYCl", positions=[[0, 0, 0], [1, 0, 0], [2, 2, 2], [3, 1, 0]], cell=[6.0, 7.0, 12.0], pbc=True
    )
    settings = LabelSettings(pseudopotentials=potcars, k_spacing_per_angstrom=0.6)
    order = write_vasp_inputs(atoms, tmp_path / "job", settings)
    tags = dict(line.split(" = ") for line in (tmp_path / "job" / "INCAR").read_text().splitlines())
    assert (tags["ENCUT"], tags["GGA"], tags["NSW"], tags["ISIF"], tags["SIGMA"]) == ("350", "PE", "0", "2", "0.05")
    assert (tmp_path / "job" / "KPOINTS").read_text().splitlines()[3] == "2 2 1"
    poscar = read(tmp_path / "job" / "POSCAR")
    assert list(poscar.symbols) == ["Cl", "Cl", "Li", "Y"]
    assert np.abs(poscar.positions - atoms.positions[order]).max() < 1e-9
    potcar = (tmp_path / "job" / "POTCAR").read_text()
    assert [line.split()[1] for line in potcar.splitlines()] == [
        "Cl",
        "Li_sv",
        "Y_sv",
    ]


def test_a_missing_data_set_is_named(tmp_path, potcars):
    with pytest.raises(MissingDependency, match=r"no POTCAR of Br \(Br\)"):
        write_vasp_inputs(Atoms("Br", cell=[4, 4, 4], pbc=True), tmp_path, LabelSettings(pseudopotentials=potcars))


def test_without_command_or_potcars_it_says_what_to_type():
    with pytest.raises(InputError, match="its command and the folder of its POTCARs"):
        VaspLabeller(LabelSettings(code="vasp"))


def test_a_label_comes_from_the_vasprun_that_the_command_leaves(tmp_path, potcars):
    """The stand-in leaves the real output of graphite's two atoms, whose inputs those are."""
    script = tmp_path / "vasp.py"
    script.write_text(f"import shutil; shutil.copy({str(DATA)!r}, 'vasprun.xml')")
    settings = LabelSettings(code="vasp", command=f"{sys.executable} {script}", pseudopotentials=potcars)
    truth = read(DATA)
    label = VaspLabeller(settings).label(truth, tmp_path / "job")
    assert label.energy == pytest.approx(truth.get_potential_energy(), abs=1e-9)
    assert np.abs(label.forces - truth.get_forces()).max() < 1e-12
    assert label.provenance.method == "VASP PBE PW 350 eV k 0.65 1/A smearing 0.05 eV"


def test_a_relaxation_is_asked_for_as_the_study_does_and_labelled_anew(tmp_path, potcars):
    """The stand-in leaves graphite's real output: the steps of a run, then those of the static one at its end."""
    script = tmp_path / "vasp.py"
    script.write_text(f"import shutil; shutil.copy({str(DATA)!r}, 'vasprun.xml')")
    settings = LabelSettings(code="vasp", command=f"{sys.executable} {script}", pseudopotentials=potcars)
    truth = read(DATA, index=":")
    labeller = VaspLabeller(settings)
    found = labeller.relax(truth[0], tmp_path / "job", force_tolerance=0.01, max_steps=70)

    def tags(place: str) -> dict[str, str]:
        return dict(line.split(" = ") for line in (tmp_path / "job" / place / "INCAR").read_text().splitlines())

    asked, end = tags("attempt-0"), tags("end/attempt-0")
    assert (asked["IBRION"], asked["ISIF"], asked["NSW"], asked["EDIFFG"]) == ("2", "3", "70", "-0.01")
    assert asked["ENCUT"] == end["ENCUT"] == "520"
    assert (end["IBRION"], end["NSW"]) == ("-1", "0")
    assert found.label.provenance.method == labeller.relaxation_method == labeller.method.replace("350", "520")
    assert found.start_energy == pytest.approx(truth[0].get_potential_energy(), abs=1e-9)
    # Graphite under pressure: its forces vanish by symmetry, its cell does not rest.
    cell = truth[-1].get_volume() * truth[-1].get_stress(voigt=False) / len(truth[-1])
    assert found.largest_force == pytest.approx(np.linalg.norm(cell, axis=1).max(), rel=1e-6)
    assert found.largest_force > 0.01 and not found.converged


def test_a_command_that_leaves_nothing_fails_by_every_rung(tmp_path, potcars):
    settings = LabelSettings(code="vasp", command=f"{sys.executable} -c pass", pseudopotentials=potcars)
    with pytest.raises(LabelError, match=r"no such file.*no such file.*no such file"):
        VaspLabeller(settings).label(Atoms("C", cell=[3, 3, 3], pbc=True), tmp_path / "job")
    tags = (tmp_path / "job" / "attempt-2" / "INCAR").read_text()
    assert "ALGO = Damped" in tags
