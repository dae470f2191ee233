"""Folders of `halion series` read as energies; what does not belong together is refused."""

from __future__ import annotations

import numpy as np
import pytest
from stability_folder import write_folder

from halion.errors import InputError
from halion.stability import assess_stability, read_series_energies

TWO = {"LYC": lambda x: -4.0 - 0.001 * x, "LYB": lambda x: -4.001}


def test_one_folder(tmp_path):
    changes = {("LYC", 3.0): {"doubled": True}}
    series, findings = read_series_energies([write_folder(tmp_path / "s", TWO, (0.0, 3.0, 6.0), changes)])
    assert series.ends == ("Li3YCl6", "Li3YBr6") and series.most == 6.0
    assert series.phases == ("LYC", "LYB")
    assert [(p.x, p.energy, p.formula_units) for p in series.curve("LYC")] == [
        (0.0, -4.0, 2),
        (3.0, -4.003, 4),
        (6.0, -4.006, 2),
    ]
    assert series.points[0].provenance == "halion-LYCB-600K 04f2cc945c2e, to 0.01 eV/Angstrom"
    assert series.points[0].n_arrangements == 924
    assert all(each.reason == "" and each.nearest == p.phase for each, p in zip(findings, series.points))
    # A doubled cell is taken back to the parent's.
    assert np.allclose(series.points[1].parent_cell[2] * 2, series.points[1].atoms.cell.array[2])


def test_phases_in_folders_of_their_own_are_one_series(tmp_path):
    folders = [write_folder(tmp_path / name, {name: TWO[name]}, (0.0, 6.0)) for name in TWO]
    apart, _ = read_series_energies(folders)
    together, _ = read_series_energies([write_folder(tmp_path / "both", TWO, (0.0, 6.0))])
    assert [(p.phase, p.x, p.energy) for p in apart.points] == [(p.phase, p.x, p.energy) for p in together.points]


def test_what_transformed_or_did_not_converge_is_shown_and_left_out(tmp_path):
    """LYC3 has relaxed into the cubic packing of LYB."""
    changes = {("LYC", 3.0): {"stacking": "ABC"}, ("LYC", 4.0): {"is_converged": False}}
    folder = write_folder(tmp_path / "s", TWO, tuple(map(float, range(7))), changes)
    series, findings = read_series_energies([folder])
    assert [p.x for p in series.curve("LYC")] == [0, 1, 2, 5, 6]
    assert len(series.points) == 14
    assert findings[3].nearest == "LYB"
    assert "framework is nearest to that of LYB" in series.points[3].left_out
    assert series.points[4].left_out == "not converged: largest force 0.200 eV/Angstrom"
    found = assess_stability(series)
    assert [(phase, x) for phase, x, _ in found.left_out] == [("LYC", 3.0), ("LYC", 4.0)]
    assert found.findings[0].startswith("Left out: LYC at x = 3, transformed on relaxation")
    assert 3.0 in found.differences[0].missing


def test_different_potentials_are_refused(tmp_path):
    folders = [
        write_folder(tmp_path / name, {name: TWO[name]}, (0.0, 6.0), potential=potential)
        for name, potential in zip(TWO, ("halion-LYCB-600K", "chgnet"))
    ]
    with pytest.raises(InputError, match="different potentials or settings"):
        read_series_energies(folders)


def test_without_a_record_one_folder_stands_alone(tmp_path):
    folders = [
        write_folder(tmp_path / name, {name: TWO[name]}, (0.0, 6.0), potential=None) for name in ("LYC", "LYB")
    ]
    with pytest.raises(InputError, match="does not record which element"):
        read_series_energies(folders[:1])
    series, _ = read_series_energies(folders[:1], elements=("Cl", "Br"))
    assert series.points[0].provenance == ""
    with pytest.raises(InputError, match="no record of its potential"):
        read_series_energies(folders, elements=("Cl", "Br"))


def test_folders_that_are_none(tmp_path):
    with pytest.raises(InputError, match="there is no series here"):
        read_series_energies([tmp_path])
    with pytest.raises(InputError, match="no folder"):
        read_series_energies([])
    folder = write_folder(tmp_path / "s", TWO, (0.0, 6.0))
    with pytest.raises(InputError, match="replaces Cl by Br"):
        read_series_energies([folder], elements=("Br", "Cl"))
    with pytest.raises(InputError, match="two points of one phase"):
        read_series_energies([folder, folder])
