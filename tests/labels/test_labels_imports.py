"""VASP's files: real ones that ASE ships with its own tests."""

from __future__ import annotations

import re
from pathlib import Path

import ase
import numpy as np
import pytest

from halion.errors import InputError, TornFile
from halion.labels.imports import read_vasp, vasp_method
from halion.potentials.dispersion import mentions_dispersion
from halion.units import GPA_PER_EV_ANGSTROM3

DATA = Path(ase.__file__).parent / "test" / "testdata" / "vasp"


def test_outcar_energy_forces_and_stress_are_those_of_its_text():
    path = DATA / "OUTCAR_example_1"
    text = path.read_text()
    labelled = read_vasp(path, converged_only=False)
    energies = [float(e) for e in re.findall(r"energy\(sigma->0\) =\s+([-\d.]+)\s*$", text, re.MULTILINE)]
    assert labelled[-1].label.energy == pytest.approx(energies[-1], abs=1e-6)
    kbar = [float(v) for v in re.findall(r"in kB\s+" + r"([-\d.]+)\s+" * 6, text)[-1]]
    xx, yy, zz, xy, yz, zx = kbar
    # VASP prints compression positive, in the order xx yy zz xy yz zx.
    expected = -np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]]) / 10 / GPA_PER_EV_ANGSTROM3
    assert np.abs(labelled[-1].label.stress - expected).max() < 1e-7
    assert labelled[-1].label.forces.shape == (len(labelled[-1].frame.atoms), 3)


def test_vasprun_has_stress_without_the_external_pressure():
    path = DATA / "vasprun_pstress.xml"
    (*_, last) = read_vasp(path, converged_only=False)
    text = path.read_text()
    block = re.findall(r'<varray name="stress" >(.*?)</varray>', text, re.DOTALL)[-1]
    kbar = np.array([[float(x) for x in row.split()] for row in re.findall(r"<v>(.*?)</v>", block)])
    assert np.abs(last.label.stress + (kbar + kbar.T) / 2 / 10 / GPA_PER_EV_ANGSTROM3).max() < 1e-9
    # Under PSTRESS the calculation's own e_0_energy is an enthalpy; its last electronic step has the energy.
    *_, of_the_electrons, enthalpy = [float(e) for e in re.findall(r'<i name="e_0_energy">\s*([-\d.]+)', text)]
    assert last.label.energy == pytest.approx(of_the_electrons, abs=1e-6)
    assert enthalpy - last.label.energy > 5e-3


def test_method_says_functional_cutoff_and_data_sets():
    said = vasp_method(DATA / "vasprun_pstress.xml")
    assert said == "VASP LDA PW 400 eV C"  # its POTCAR is "PAW C 22Mar2012"
    said = vasp_method(DATA / "OUTCAR_example_1")
    assert re.match(r"VASP \S+ PW [\d.]+ eV \w+", said), said


@pytest.mark.parametrize(
    ("tag", "functional"),
    [
        ("0", "LDA"),
        ("10", "LDA+D2"),
        ("11", "LDA+D3"),
        ("12", "LDA+D3(BJ)"),
        ("13", "LDA+D4"),
        ("20", "LDA+vdW 20"),
    ],
)
def test_method_says_the_dispersion_that_vasp_added(tag, functional, tmp_path):
    """IVDW of the INCAR as vasprun.xml and OUTCAR repeat it; a potential trained on it gets no D3 on top."""
    xml = (DATA / "vasprun_pstress.xml").read_text()
    path = tmp_path / "vasprun.xml"
    path.write_text(xml.replace("<incar>", f'<incar>\n  <i type="int" name="IVDW">    {tag}</i>', 1))
    assert vasp_method(path) == f"VASP {functional} PW 400 eV C"
    assert mentions_dispersion(functional) is (tag != "0")
    outcar = tmp_path / "OUTCAR"
    outcar.write_text(f"   IVDW = {tag}\n" + (DATA / "OUTCAR_example_1").read_text())
    plain = vasp_method(DATA / "OUTCAR_example_1").split()[1]
    assert vasp_method(outcar).split(" PW")[0] == f"VASP {functional.replace('LDA', plain)}"


def test_torn_and_foreign_files_are_named(tmp_path):
    text = (DATA / "vasprun_pstress.xml").read_text()
    torn = tmp_path / "vasprun.xml"
    torn.write_text(text[: len(text) // 3])
    with pytest.raises((TornFile, InputError), match=r"vasprun\.xml|ionic steps"):
        read_vasp(torn)
    with pytest.raises(InputError, match="no such file"):
        read_vasp(tmp_path / "OUTCAR")
    (tmp_path / "OUTCAR").write_text("not of VASP\n")
    with pytest.raises((TornFile, InputError)):
        read_vasp(tmp_path / "OUTCAR")
