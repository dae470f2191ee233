"""Diffusivity from displacements gathered during a run: against the trajectory and walks that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_walks import HOP, SETTINGS, in_framework, lattice_walk, trajectory

from halion.dynamics import Correlator, MdStage, open_trajectory, run_stage
from halion.errors import TrajectoryError
from halion.potentials import PotentialFromAse
from halion.settings import TransportSettings
from halion.transport import analyse_run, msd_tensor
from halion.transport.collective import charge_msd
from halion.transport.correlation import against_framework, analyse_correlated, fit_correlation
from halion.transport.msd import without_drift


def gathered(run, temperature_k=600.0):
    """A trajectory through a correlator, frame by frame."""
    correlator = Correlator(run.symbols, 1)
    for positions, cell in zip(run.positions, run.cells, strict=True):
        correlator.add(positions, cell)
    return correlator.result(float(run.time_ps[1]), temperature_k, "walk")


def of(run, *elements):
    return [symbol in elements for symbol in run.symbols]


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10**6), breathes=st.booleans())
def test_at_short_lags_it_is_the_displacement_without_drift(seed, breathes):
    """Lags of the first level have all origins: tensor, framework and sum are those of the trajectory."""
    rng = np.random.default_rng(seed)
    run = in_framework(lattice_walk(seed, n_ions=5, n_frames=80, rate=0.2), seed, n_framework=7)
    drift = np.cumsum(rng.normal(0, 0.3, (80, 1, 3)), axis=0)
    scale = 1 + breathes * 0.02 * rng.normal(size=(80, 1, 1))
    cell = np.array([[15.0, 0, 0], [2.0, 14.0, 0], [-1.0, 3.0, 16.0]])
    symbols = ("Li",) * 5 + ("Cl",) * 5 + ("Y",) * 2
    run = trajectory((run.positions + drift) * scale, symbols, cell=scale * cell)
    found = gathered(run)
    free, charge = against_framework(found, "Li")
    apart = without_drift(run, "Li")
    lags = found.lags[:15]
    assert list(lags) == list(range(1, 16))
    # Squares of drifts of some 10 Angstrom are taken off in double precision.
    for element in ("Li", "Cl", "Y"):
        expected = msd_tensor(apart[:, of(run, element)])[lags]
        assert np.allclose(free[element][:15], expected, rtol=1e-9, atol=1e-9)
    assert np.allclose(charge[:15], charge_msd(apart[:, of(run, "Li")])[lags], rtol=1e-9, atol=1e-9)


def test_a_cell_of_mobile_ions_alone_moves_against_its_own_centre():
    run = trajectory(lattice_walk(0, n_ions=6, n_frames=60, rate=0.3), ("Li",) * 6)
    free, charge = against_framework(gathered(run), "Li")
    assert np.allclose(free["Li"][:15], msd_tensor(without_drift(run, "Li"))[1:16], atol=1e-9)
    assert np.abs(charge).max() < 1e-9  # the sum of all cannot move
    assert np.isnan(fit_correlation(gathered(run), SETTINGS, HOP).charge_diffusivity)


def replicas(n, **kind):
    return [in_framework(lattice_walk(seed, **kind), seed, n_framework=4) for seed in range(n)]


def test_the_error_of_walks_is_calibrated():
    """40 walks of 12 ions with D = rate a^2 / 6 per frame: mean, scatter against the covariance's error."""
    truth = 0.02 * HOP**2 / 6 / 0.1
    found = [
        fit_correlation(gathered(run), SETTINGS, HOP) for run in replicas(40, n_ions=12, n_frames=1500, rate=0.02)
    ]
    assert all(one.diffuses for one in found)
    values = np.array([one.diffusivity for one in found])
    errors = np.array([one.rsd_covariance * one.diffusivity for one in found])
    scatter = values.std(ddof=1)
    # A mean of 40 is within three of its errors, and their scatter is known to 11 %: three of those.
    assert abs(values.mean() - truth) < 3 * scatter / np.sqrt(40)
    assert scatter / np.sqrt(np.mean(errors**2)) == pytest.approx(1.0, abs=0.35)
    assert all(one.diffusivity_std > 0.999 * one.rsd_he * one.diffusivity for one in found)
    # Independent ions: the sum moves as one ion does, known sqrt(N) times as badly.
    charge = np.array([one.charge_diffusivity for one in found])
    assert abs(charge.mean() - truth) < 3 * charge.std(ddof=1) / np.sqrt(40)
    charge_errors = np.array([one.charge_diffusivity_std for one in found])
    assert charge.std(ddof=1) / np.sqrt(np.mean(charge_errors**2)) == pytest.approx(1.0, abs=0.4)


def test_it_agrees_with_the_trajectory():
    """One walk, analysed both ways with generalised least squares: within half of the error."""
    (run,) = replicas(1, n_ions=20, n_frames=4000, rate=0.02)
    dense, sparse = analyse_run(run, SETTINGS), fit_correlation(gathered(run), SETTINGS, HOP)
    assert sparse.diffusivity == pytest.approx(dense.diffusivity_gls, abs=0.5 * dense.diffusivity_gls_std)
    error = sparse.rsd_covariance * sparse.diffusivity
    assert error == pytest.approx(dense.diffusivity_gls_std, rel=0.3)  # of fewer lags and origins
    # The window ends at the last gathered lag below the longest one, within a quarter of it.
    assert 0.75 * dense.fit_window_ps[1] < sparse.fit_window_ps[1] <= dense.fit_window_ps[1]
    assert np.trace(sparse.diffusivity_tensor) / 3 == pytest.approx(sparse.diffusivity, rel=1e-9)
    assert np.allclose(sparse.diffusivity_tensor, sparse.diffusivity_tensor.T)


def test_ions_at_rest_do_not_diffuse():
    run = in_framework(np.random.default_rng(0).normal(0, 0.1, (400, 6, 3)))
    assert not fit_correlation(gathered(run), SETTINGS, HOP).diffuses


def test_what_cannot_be_fitted_is_refused():
    (run,) = replicas(1, n_ions=3, n_frames=5, rate=0.2)
    with pytest.raises(TrajectoryError, match="a slope needs 3"):
        fit_correlation(gathered(run), SETTINGS, HOP)
    with pytest.raises(TrajectoryError, match="there is no Na in this run"):
        fit_correlation(gathered(run), SETTINGS.model_copy(update={"mobile_species": "Na"}), HOP)
    broken = gathered(run)
    with pytest.raises(TrajectoryError, match="not all numbers"):
        fit_correlation(replace(broken, own=broken.own * np.nan), SETTINGS, HOP)


def test_from_the_folder_of_a_run(tmp_path):
    """Frames every 40 steps, displacements every 2: the hop length is of the frames, all else of displacements."""
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True).repeat((2, 1, 1))
    atoms.numbers[[1, 4]] = 13
    stage = MdStage(
        ensemble="nvt",
        n_steps=240,
        timestep_fs=2.0,
        temperature_k=500.0,
        store_every_steps=40,
        checkpoint_every_steps=80,
        correlate_every_steps=2,
    )
    run_stage(tmp_path, atoms, PotentialFromAse(EMT(), name="emt", elements=["Cu", "Al"]), stage)
    found = analyse_correlated(tmp_path, TransportSettings(mobile_species="Al"))
    assert (found.n_ions, found.temperature_k, set(found.framework_msd)) == (2, 500.0, {"Cu"})
    assert found.hop_length == pytest.approx(atoms.get_distance(1, 4, mic=True), abs=0.3)  # thermal motion
    assert not found.diffuses  # a crystal of EMT for half a picosecond
    # At 20 samples the displacement of the seven stored frames is a mean over few of the same origins.
    frames = without_drift(open_trajectory(tmp_path), "Al")[:, of(open_trajectory(tmp_path), "Al")]
    assert list(found.lag_time_ps[found.lag_time_ps < 0.061]) == pytest.approx(0.004 * np.arange(1, 16))
    assert 0.2 < np.trace(msd_tensor(frames)[1]) / np.interp(0.08, found.lag_time_ps, found.msd) < 5
