"""Errors of potentials by temperature and composition against loops over frames, and the figures drawn of them."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from halion.errors import InputError
from halion.labels import Frame, Label, LabelledFrame, Provenance
from halion.potentials.types import Evaluation
from halion.report import MeasuredErrors, error_rows, write_errors
from halion.report.potential_errors import errors_by_temperature, parity_figures
from halion.training import Comparison, compare, errors
from halion.units import GPA_PER_EV_ANGSTROM3


class Noisy:
    """Says what it was told: labels with known noise on them, so that every error can be counted by hand."""

    name = "noisy"

    def __init__(self, said: list[Evaluation]) -> None:
        self.said = said

    def evaluate_batch(self, structures: list[Atoms]) -> list[Evaluation]:
        assert len(structures) == len(self.said)
        return self.said


def made(seed: int, kelvins: list[float | None]) -> tuple[list[LabelledFrame], list[Evaluation]]:
    rng = np.random.default_rng(seed)
    frames, said = [], []
    for k, kelvin in enumerate(kelvins):
        symbols = ["LiCl", "LiBr", "Li2ClBr"][int(rng.integers(3))]
        atoms = Atoms(symbols, positions=rng.uniform(0, 5, (len(Atoms(symbols)), 3)), cell=np.eye(3) * 6, pbc=True)
        stress, off = rng.normal(0, 0.01, (3, 3)), rng.normal(0, 0.001, (3, 3))
        label = Label(
            energy=float(rng.normal(-3 * len(atoms))),
            forces=rng.normal(0, 1, (len(atoms), 3)),
            stress=stress + stress.T,
            provenance=Provenance(method="drawn", code="numpy"),
        )
        frames.append(LabelledFrame(frame=Frame(atoms=atoms, group=f"g{k}", temperature_k=kelvin), label=label))
        forces = label.forces + rng.normal(0, 0.1, label.forces.shape)
        said.append(Evaluation(energy=label.energy + 0.1, forces=forces, stress=label.stress + off + off.T))
    return frames, said


def compared(seed: int, kelvins: list[float | None]) -> tuple[list[LabelledFrame], list[Evaluation], Comparison]:
    frames, said = made(seed, kelvins)
    return frames, said, compare(frames, Noisy(said))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.lists(st.sampled_from([None, 300.0, 350.0, 700.0]), min_size=1, max_size=9))
def test_parts_are_what_loops_over_their_frames_count(seed, kelvins):
    frames, said, comparison = compared(seed, kelvins)
    parts = comparison.by_temperature()
    assert set(parts) == {kelvin for kelvin in kelvins if kelvin is not None}
    for kelvin, part in parts.items():
        mine = [k for k, one in enumerate(frames) if one.frame.temperature_k == kelvin]
        off = np.concatenate([(said[k].forces - frames[k].label.forces).ravel() for k in mine])
        stress = np.concatenate([(said[k].stress - frames[k].label.stress)[np.triu_indices(3)] for k in mine])
        found = errors(part)
        assert found.n_frames == len(mine)
        assert found.force_mae == pytest.approx(1e3 * np.abs(off).mean())
        assert found.force_rmse == pytest.approx(1e3 * np.sqrt((off**2).mean()))
        assert found.stress_mae == pytest.approx(1e3 * GPA_PER_EV_ANGSTROM3 * np.abs(stress).mean())
        each = part.frame_errors()[:, 1]
        assert each == pytest.approx([1e3 * np.abs(said[k].forces - frames[k].label.forces).mean() for k in mine])
    # Compositions part the frames, and shifts sum to nothing within each.
    by_formula = comparison.by_composition()
    assert sum(len(part.shifted) for part in by_formula.values()) == len(frames)
    assert set(by_formula) <= {"LiCl", "LiBr", "Li2BrCl"}
    assert all(abs(part.shifted.sum()) < 1e-9 for part in by_formula.values())


def test_tables_and_figures_are_written(tmp_path):
    kelvins = [300.0, 300.0, 350.0, 350.0, None]
    _, _, first = compared(1, kelvins)
    second = replace(first, forces=first.forces @ np.array([[1.0, 0.8], [0.0, 0.0]]))  # all too soft
    measured = [
        MeasuredErrors(potential="pretrained", set_name="salts", comparison=first),
        MeasuredErrors(potential="soft", set_name="salts", comparison=second),
    ]
    write_errors(measured, tmp_path / "errors")
    folder = tmp_path / "errors"
    rows = error_rows(measured)
    assert json.loads((folder / "errors-by-temperature.json").read_text()) == rows["errors-by-temperature"]
    for stem in rows:
        with (folder / f"{stem}.csv").open() as handle:
            read = list(csv.DictReader(handle))
        assert [float(row["force_mae"]) for row in read] == [row["force_mae"] for row in rows[stem]]
    assert [row["temperature_k"] for row in rows["errors-by-temperature"]] == [300.0, 350.0] * 2
    assert rows["errors"][1]["force_slope"] == pytest.approx(0.8)
    pairs = np.loadtxt(folder / "parity-01-forces.csv", delimiter=",", skiprows=1)
    assert pairs == pytest.approx(second.forces, abs=1e-6)
    names = {path.stem for path in (folder / "figures").glob("*.svg")}
    wanted = {"parity-energy-00", "parity-forces-00", "parity-stress-00", "errors-over-temperature-00"}
    assert names == wanted
    for path in (folder / "figures").glob("*.svg"):
        width = float(ElementTree.parse(path).getroot().get("width").removesuffix("pt"))
        # Two potentials, or three quantities, side by side: 3.15 inch of 72 points each.
        assert width == pytest.approx(72 * 3.15 * (3 if "errors" in path.stem else 2), rel=0.01)


def test_parity_has_one_scale_and_no_zero_of_energy():
    _, _, first = compared(2, [300.0] * 6)
    moved = replace(first, energies=first.energies + np.array([0.0, 5.0]))  # another code's zero of energy
    measured = [MeasuredErrors(potential=n, set_name="s", comparison=c) for n, c in (("a", first), ("b", moved))]
    energy, forces, _ = parity_figures(measured)
    assert energy[0].x.limits == energy[1].y.limits
    np.testing.assert_allclose(energy[0].series[0].y, energy[1].series[0].y)
    drawn = np.stack([forces[0].series[0].x, forces[0].series[0].y], axis=1)
    np.testing.assert_array_equal(drawn, first.forces)
    (row,) = errors_by_temperature([replace(measured[0], comparison=compared(3, [300.0, 300.0, 400.0])[2])])
    low, high = row[1].series[0].y_low, row[1].series[0].y_high
    assert high[0] > low[0] and high[1] == low[1]  # one frame alone has no bar
    assert not list(errors_by_temperature([replace(measured[0], comparison=compared(3, [None, None])[2])]))


def test_nothing_measured_is_refused(tmp_path):
    with pytest.raises(InputError, match="no errors to write"):
        write_errors([], tmp_path / "errors")
    assert not (tmp_path / "errors").exists()
