"""The density of the mobile ions: counted, smoothed, folded, and read back by other codes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import processes
import pytest
from ase.geometry import find_mic
from ase.io.cube import read_cube
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.io.vasp import Chgcar

from halion.errors import InputError, TrajectoryError
from halion.transport import (
    count_ions,
    fold,
    grid_shape,
    ion_density,
    smooth,
    write_chgcar,
    write_cube,
)

TRICLINIC = np.array([[6.0, 0.0, 0.0], [-2.5, 7.0, 0.0], [1.0, -1.5, 9.0]])


def run(cell=TRICLINIC, *, n_ions=3, n_frames=60, seed=0, symbols=("Cl", "Y", "Cl")):
    rng = np.random.default_rng(seed)
    mobile = rng.uniform(size=(n_ions, 3)) @ cell + rng.normal(0, 0.3, (n_frames, n_ions, 3)).cumsum(axis=0)
    framework = rng.uniform(size=(len(symbols), 3)) @ cell + np.zeros((n_frames, len(symbols), 3))
    return processes.as_trajectory(np.concatenate([mobile, framework], axis=1), ("Li",) * n_ions + symbols, cell)


def with_loop(trajectory, shape, cell):
    counts = np.zeros(shape, dtype=int)
    for frame in trajectory.positions:
        for symbol, position in zip(trajectory.symbols, frame):
            if symbol == "Li":
                place = position @ np.linalg.inv(cell)
                counts[tuple(round(float(f * n)) % n for f, n in zip(place, shape))] += 1
    return counts


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), spacing=st.floats(0.4, 3.0))
def test_counts_are_those_of_a_loop(seed, spacing):
    trajectory = run(seed=seed)
    density = ion_density(trajectory, spacing=spacing)
    shape = density.values.shape
    counts = with_loop(trajectory, shape, TRICLINIC)
    np.testing.assert_allclose(density.values * density.voxel_volume * trajectory.n_frames, counts, atol=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_it_integrates_to_the_number_of_ions(smoothing):
    density = ion_density(run(n_ions=5), spacing=0.3, smoothing=smoothing)
    assert density.values.sum() * density.voxel_volume == pytest.approx(5.0, rel=1e-12)
    assert density.values.min() >= 0.0
    assert density.smoothing == smoothing


def test_blocks_of_a_long_run_add_up():
    fractional = np.random.default_rng(0).normal(size=(1000, 4, 3))
    whole = count_ions([fractional], (5, 6, 7))
    np.testing.assert_array_equal(whole, count_ions(np.array_split(fractional, 7), (5, 6, 7)))
    assert whole.sum() == 4000


def test_grid_fits_the_cell_and_its_unit_cells():
    assert grid_shape(np.diag([6.0, 7.1, 8.0]), 0.5) == (12, 15, 16)
    assert grid_shape(np.diag([6.0, 7.1, 8.0]), 0.5, (1, 2, 3)) == (12, 16, 18)
    shape = grid_shape(TRICLINIC, 0.2, (2, 2, 3))
    assert all(n % repeat == 0 for n, repeat in zip(shape, (2, 2, 3)))
    assert (np.linalg.norm(TRICLINIC, axis=1) / shape <= 0.2).all()


def test_wrapping_and_whole_cells_do_not_matter():
    trajectory = run()
    images = np.random.default_rng(1).integers(-2, 3, trajectory.positions.shape[1:])
    moved = replace(trajectory, positions=trajectory.positions + images @ TRICLINIC)
    np.testing.assert_array_equal(ion_density(moved).values, ion_density(trajectory).values)


def test_a_breathing_cell_is_seen_in_its_mean_frame():
    trajectory = run()
    scale = 1 + 0.03 * np.sin(np.arange(trajectory.n_frames))
    scale /= scale.mean()
    breathing = replace(
        trajectory,
        cells=trajectory.cells * scale[:, None, None],
        positions=trajectory.positions * scale[:, None, None],
    )
    # On the border of two grid cells rounding may tip an ion over; a grid that is not hit keeps them apart.
    np.testing.assert_allclose(
        ion_density(breathing, spacing=0.7).values, ion_density(trajectory, spacing=0.7).values, rtol=1e-9
    )


def test_drift_does_not_blur_it():
    trajectory = run()
    drift = np.arange(trajectory.n_frames)[:, None, None] * np.array([0.02, -0.05, 0.01])
    drifting = replace(trajectory, positions=trajectory.positions + drift)
    np.testing.assert_allclose(
        ion_density(drifting, spacing=0.7).values, ion_density(trajectory, spacing=0.7).values
    )


def test_smoothing_is_the_sum_over_images():
    """One counted ion becomes a Gaussian; the images of 27 cells are all that matter at this width."""
    density = ion_density(run(n_ions=1, n_frames=20), spacing=0.35)
    point = (3, 4, 5)
    values = np.zeros_like(density.values)
    values[point] = 1.0 / density.voxel_volume
    width, shape = 0.5, values.shape
    found = smooth(replace(density, values=values), width).values
    fractional = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"), axis=-1)
    apart = fractional - np.array(point) / shape
    exact = np.zeros(shape)
    for image in itertools.product((-1, 0, 1), repeat=3):
        distance = np.linalg.norm((apart + image) @ TRICLINIC, axis=-1)
        exact += np.exp(-0.5 * (distance / width) ** 2) / (2 * np.pi * width**2) ** 1.5
    # The grid cuts the series at exp(-(pi width / spacing)^2 / 2) = 4e-5 of its first term.
    np.testing.assert_allclose(found, exact, atol=1e-4 * exact.max())


def test_smoothing_twice_adds_variances():
    density = ion_density(run(), spacing=0.3)
    twice = smooth(smooth(density, 0.3), 0.4)
    assert twice.smoothing == pytest.approx(0.5)
    np.testing.assert_allclose(twice.values, smooth(density, 0.5).values, atol=2e-3 * twice.values.max())


def test_uniform_motion_gives_a_uniform_density():
    rng = np.random.default_rng(0)
    positions = rng.uniform(size=(2000, 50, 3)) @ TRICLINIC
    counts = count_ions([positions @ np.linalg.inv(TRICLINIC)], (6, 7, 9))
    # 100,000 positions in 378 points: 265 each, with a Poisson spread; chi^2 within five standard deviations.
    chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert abs(chi2 - 377) < 5 * np.sqrt(2 * 377)


def test_folded_onto_the_unit_cell_it_is_the_mean_of_the_unit_cells():
    cell = np.diag([4.0, 5.0, 6.0]) + 0.3
    supercell = cell * np.array([2, 3, 1])[:, None]
    trajectory = run(supercell, n_ions=4, n_frames=100)
    density = ion_density(trajectory, spacing=0.9, repeats=(2, 3, 1))
    folded = fold(density, (2, 3, 1))
    np.testing.assert_allclose(folded.cell, cell)
    direct = with_loop(trajectory, folded.values.shape, cell)
    np.testing.assert_allclose(folded.values * folded.voxel_volume * 100 * 6, direct, atol=1e-9)
    assert folded.values.sum() * folded.voxel_volume == pytest.approx(folded.n_ions) == pytest.approx(4 / 6)
    with pytest.raises(InputError, match="does not repeat"):
        fold(ion_density(trajectory, spacing=5.0), (7, 1, 1))


def test_chgcar_is_read_back_by_pymatgen(tmp_path):
    density = ion_density(run(n_ions=5, symbols=("Cl", "Y", "Cl")), spacing=0.8)
    write_chgcar(density, tmp_path / "CHGCAR")
    read = Chgcar.from_file(str(tmp_path / "CHGCAR"))
    volume = abs(np.linalg.det(TRICLINIC))
    # Six digits are printed.
    np.testing.assert_allclose(read.data["total"] / volume, density.values, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(read.structure.lattice.matrix, TRICLINIC, atol=1e-9)
    assert [site.specie.symbol for site in read.structure] == ["Cl", "Cl", "Y"]
    order = [0, 2, 1]
    np.testing.assert_allclose(read.structure.frac_coords, density.framework_fractional[order], atol=1e-9)
    assert read.data["total"].mean() == pytest.approx(5.0, rel=1e-5)


def test_cube_is_read_back_by_ase_in_angstrom(tmp_path):
    density = ion_density(run(n_ions=5), spacing=0.8)
    write_cube(density, tmp_path / "li.cube")
    with open(tmp_path / "li.cube") as file:
        read = read_cube(file)
    np.testing.assert_allclose(read["atoms"].cell.array, TRICLINIC, atol=1e-6)
    assert read["atoms"].get_chemical_symbols() == ["Cl", "Y", "Cl"]
    apart = read["atoms"].positions - density.framework_fractional @ TRICLINIC
    assert find_mic(apart, TRICLINIC)[1].max() < 1e-5
    voxel_bohr3 = density.voxel_volume / 0.529177210903**3
    assert read["data"].sum() * voxel_bohr3 == pytest.approx(5.0, rel=1e-5)
    np.testing.assert_allclose(read["data"] / read["data"].max(), density.values / density.values.max(), atol=1e-5)


def test_without_a_framework_files_are_still_whole(tmp_path):
    trajectory = run(symbols=())
    density = ion_density(trajectory, spacing=1.0)
    write_chgcar(density, tmp_path / "CHGCAR")
    write_cube(density, tmp_path / "li.cube")
    assert Chgcar.from_file(str(tmp_path / "CHGCAR")).data["total"].mean() == pytest.approx(3.0, rel=1e-5)
    with open(tmp_path / "li.cube") as file:
        assert len(read_cube(file)["atoms"]) == 0


def test_what_makes_no_grid_is_refused():
    with pytest.raises(InputError, match="points"):
        ion_density(run(), spacing=1e-3)
    with pytest.raises(InputError, match="is none"):
        ion_density(run(), spacing=0.0)
    with pytest.raises(InputError, match="is none"):
        ion_density(run(), smoothing=-0.1)
    with pytest.raises(TrajectoryError, match="no Na"):
        ion_density(run(), "Na")
