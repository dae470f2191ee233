"""Quantum ESPRESSO as a labeller: its input, its files, and a whole label where pw.x and its data are installed."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from ase.build import bulk

from halion.errors import InputError, LabelError, MissingDependency
from halion.labels.espresso import EspressoLabeller, find_pseudopotentials
from halion.settings_learning import LabelSettings

DATA = os.environ.get("HALION_UPF_FOLDER")


@pytest.fixture
def folder(tmp_path):
    for name in ("Li.pbe-s.UPF", "cl_pbe_v1.4.upf", "C.pbe.UPF", "Y_pbe.UPF"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_files_are_found_by_element_and_not_by_its_first_letter(folder):
    assert find_pseudopotentials(["Li", "Cl", "C"], folder) == {
        "Li": "Li.pbe-s.UPF",
        "Cl": "cl_pbe_v1.4.upf",
        "C": "C.pbe.UPF",
    }
    with pytest.raises(MissingDependency, match="no UPF file of Br"):
        find_pseudopotentials(["Br"], folder)
    (folder / "Li.other.UPF").write_text("")
    with pytest.raises(InputError, match=r"several UPF files of Li: Li\.other\.UPF, Li\.pbe-s\.UPF"):
        find_pseudopotentials(["Li"], folder)


def test_without_pseudopotentials_it_says_what_to_type():
    with pytest.raises(InputError, match="does not bring along"):
        EspressoLabeller(LabelSettings(code="espresso"))


def test_every_rung_writes_its_input_and_says_why_it_failed(folder, tmp_path):
    labeller = EspressoLabeller(LabelSettings(code="espresso", command="false", pseudopotentials=str(folder)))
    with pytest.raises(LabelError, match=r"status 1.*status 1.*status 1"):
        labeller.label(bulk("LiCl", "rocksalt", a=5.13), tmp_path / "job")
    text = (tmp_path / "job" / "attempt-0" / "pw.in").read_text()
    values = dict(line.split("=") for line in text.replace(" ", "").splitlines() if "=" in line)
    # 350 eV are 25.72 Rydberg; a k-point spacing of 0.65 1/Angstrom asks for 4 points along |b| = 2.12 1/Angstrom.
    assert float(values["ecutwfc"]) == pytest.approx(25.7245, abs=1e-3)
    assert float(values["ecutrho"]) == pytest.approx(8 * 25.7245, abs=1e-2)
    assert (values["tstress"], values["tprnfor"], values["calculation"]) == (".true.", ".true.", "'scf'")
    assert "4 4 4 0 0 0" in " ".join(text.split())
    assert "'cg'" in (tmp_path / "job" / "attempt-2" / "pw.in").read_text()


def test_a_relaxation_asks_for_the_same_gradient_of_atoms_and_cell(folder, tmp_path):
    labeller = EspressoLabeller(LabelSettings(code="espresso", command="false", pseudopotentials=str(folder)))
    atoms = bulk("LiCl", "rocksalt", a=5.13)
    with pytest.raises(LabelError, match="status 1"):
        labeller.relax(atoms, tmp_path / "job", force_tolerance=0.01, max_steps=70)
    text = (tmp_path / "job" / "attempt-0" / "pw.in").read_text()
    values = dict(line.split("=") for line in text.replace(" ", "").splitlines() if "=" in line)
    assert (values["calculation"], values["nstep"]) == ("'vc-relax'", "70")
    assert float(values["ecutwfc"]) == pytest.approx(38.2193, abs=1e-3)  # 520 eV
    assert float(values["forc_conv_thr"]) == pytest.approx(0.01 * 0.529177 / 13.605693, rel=1e-5)
    # V sigma / n < 0.01 eV at 33.75 Angstrom^3 of two atoms: 5.9e-4 eV/Angstrom^3, 0.95 kbar.
    assert float(values["press_conv_thr"]) == pytest.approx(0.949, abs=1e-3)
    assert "520" in labeller.relaxation_method and "350" in labeller.method


@pytest.mark.dft
@pytest.mark.skipif(not (DATA and shutil.which("pw.x")), reason="needs pw.x and HALION_UPF_FOLDER with Si")
def test_forces_are_the_slope_of_the_energy(tmp_path):
    labeller = EspressoLabeller(LabelSettings(code="espresso", pseudopotentials=DATA, cutoff_ev=400))
    atoms, step = bulk("Si"), 0.01
    atoms.positions[1] += [0.1, 0.05, 0.0]
    label = labeller.label(atoms, tmp_path / "here")
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[1, 0] += sign * step
        energies.append(labeller.label(moved, tmp_path / f"moved{sign}").energy)
    assert (energies[1] - energies[0]) / (2 * step) == pytest.approx(label.forces[1, 0], abs=5e-3)
    assert np.abs(label.forces.sum(axis=0)).max() < 5e-3
