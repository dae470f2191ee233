"""The same trajectory by kinisi 2.1.0 (MIT), whose answers are recorded here: it is 47 MB and needs scipp.

Recorded with `DiffusionAnalyzer.from_ase(frames, specie="Li", time_step=0.1 ps, step_skip=1, dt=LAGS)` and
`diffusion(start_dt=3 ps)` after `numpy.random.seed(0)`: Bayesian regression with its own covariance, emcee.
`benchmarks/transport_errors.py` runs it anew, on many replicas.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from transport_walks import in_framework, lattice_walk

from halion.transport.fit import fit_slopes
from halion.transport.independence import ion_statistics
from halion.transport.msd import msd_tensor, without_drift

FRAME_PS, HOP = 0.1, 3.0
LAGS = np.unique(np.geomspace(30, 1000, 24).round().astype(int))  # frames
KINISI_MSD = {30: 6.08915262, 35: 7.00303831, 41: 8.08876934, 1000: 200.86581653}  # Angstrom^2
KINISI_D, KINISI_STD = 0.3025425, 0.0209527  # Angstrom^2/ps: mean and standard deviation of its posterior
EXACT = 0.02 / FRAME_PS * HOP**2 / 6


@cache
def motion():
    """24 Li that hop and vibrate among vibrating Cl, and their fit from 3 to 100 ps."""
    li = lattice_walk(11, n_ions=24, n_frames=2000, rate=0.02)
    whole = in_framework(li + np.random.default_rng(11).normal(0, 0.3, li.shape), 11)
    mobile = without_drift(whole, "Li")[:, :24]
    msd = np.trace(msd_tensor(mobile, 1001), axis1=1, axis2=2)
    lags = np.arange(30, 1001)
    return msd, fit_slopes(lags, msd[lags], 2000, ion_statistics(mobile, 30, HOP))


def test_the_mean_squared_displacement_is_kinisi_s():
    msd, _ = motion()
    assert LAGS[[0, 1, 2, -1]].tolist() == list(KINISI_MSD)
    # It keeps displacements in single precision and the first frame at zero: one part in ten thousand.
    assert [msd[lag] for lag in KINISI_MSD] == pytest.approx(list(KINISI_MSD.values()), rel=3e-4)


def test_the_diffusivity_is_kinisi_s_and_the_error_is_smaller():
    """Both estimators are near the best; kinisi's variance counts windows that do not overlap.

    Overlapping windows of Brownian ions have 4 / 9 instead of 2 / 3 of the squared displacement per window as
    variance: its error is 1.22 times too large, and somewhat more on these lags.
    """
    _, fits = motion()
    slope = fits.gls.slope / (6 * FRAME_PS)
    std = fits.gls_std / (6 * FRAME_PS)
    assert slope == pytest.approx(KINISI_D, abs=0.5 * KINISI_STD)
    assert 1.1 < KINISI_STD / std < 1.8
    assert abs(slope - EXACT) < 2 * std


def test_ordinary_least_squares_is_known_less_well_than_either():
    _, fits = motion()
    assert fits.ols_std / (6 * FRAME_PS) > 1.5 * KINISI_STD
    assert abs(fits.ols.slope / (6 * FRAME_PS) - EXACT) < 2 * fits.ols_std / (6 * FRAME_PS)
