"""Units: every pair of functions is a round trip, every constant is that of other codes."""

from __future__ import annotations

import math

import pytest
import scipy.constants as si
from ase.units import create_units
from hypothesis import given
from hypothesis import strategies as st

from halion import units

# The atomic mass constant is the one that is measured: scipy's is CODATA 2022, ours and that of these ASE units
# 2018; the two differ by 3e-10.
CODATA = 1e-9
ASE = create_units("2018")
values = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)

PAIRS = [
    (units.pressure_from_gpa, units.pressure_to_gpa),
    (units.diffusivity_from_cm2_per_s, units.diffusivity_to_cm2_per_s),
    (units.time_from_ase, units.time_to_ase),
    (units.length_from_bohr, units.length_to_bohr),
    (units.energy_from_rydberg, units.energy_to_rydberg),
    (units.conductivity_from_ms_per_cm, units.conductivity_to_ms_per_cm),
]


@pytest.mark.parametrize(("there", "back"), PAIRS, ids=lambda function: function.__name__)
@given(value=values)
def test_there_and_back_is_the_same(there, back, value):
    # Two multiplications round at most twice: a few units in the last place.
    assert math.isclose(back(there(value)), value, rel_tol=4e-16 * 2, abs_tol=1e-300)
    assert math.isclose(there(back(value)), value, rel_tol=4e-16 * 2, abs_tol=1e-300)


def test_no_conversion_is_missing_its_inverse():
    functions = {name for name in vars(units) if "_to_" in name or "_from_" in name}
    assert functions == {function.__name__ for pair in PAIRS for function in pair}


def test_defined_constants_are_exact():
    assert si.e == units.ELEMENTARY_CHARGE_C
    assert math.isclose(units.BOLTZMANN_EV_PER_K, si.k / si.e, rel_tol=1e-15)
    assert math.isclose(units.GPA_PER_EV_ANGSTROM3, si.e / si.angstrom**3 / 1e9, rel_tol=1e-15)
    assert math.isclose(units.PLANCK_EV_PER_THZ, si.h / si.e * 1e12, rel_tol=1e-15)


def test_constants_are_those_of_ase():
    assert math.isclose(units.BOLTZMANN_EV_PER_K, ASE["kB"], rel_tol=1e-14)
    assert math.isclose(units.GPA_PER_EV_ANGSTROM3, 1 / ASE["GPa"], rel_tol=1e-14)
    assert math.isclose(units.PS_PER_ASE_TIME, 1 / (1000 * ASE["fs"]), rel_tol=1e-14)
    assert math.isclose(units.BAR_PER_GPA, ASE["GPa"] / ASE["bar"], rel_tol=1e-14)
    assert math.isclose(units.BOHR_ANGSTROM, ASE["Bohr"], rel_tol=1e-10)
    assert math.isclose(units.RYDBERG_EV, ASE["Rydberg"], rel_tol=1e-10)
    assert math.isclose(units.KBAR_PER_GPA, ASE["GPa"] / (1000 * ASE["bar"]), rel_tol=1e-14)


def test_the_coulomb_constant():
    """Of ASE's CODATA 2018 set exactly; scipy's is of 2022, whose permittivity moved by 2e-10 relative."""
    of_ase = ASE["_e"] / (4 * math.pi * ASE["_eps0"]) * 1e10
    assert math.isclose(units.COULOMB_EV_ANGSTROM, of_ase, rel_tol=1e-12)
    of_scipy = si.e / (4 * math.pi * si.epsilon_0) / si.angstrom
    assert math.isclose(units.COULOMB_EV_ANGSTROM, of_scipy, rel_tol=CODATA)


def test_the_time_unit_of_ase_itself_is_near_enough_for_trajectories():
    # ASE's integrators use its default constants (CODATA 2014); a time step is off by less than 1e-7 of itself.
    import ase.units

    assert math.isclose(units.PS_PER_ASE_TIME, 1 / (1000 * ase.units.fs), rel_tol=1e-7)


def test_ase_time_is_made_of_its_parts():
    seconds = si.angstrom * math.sqrt(si.atomic_mass / si.e)
    assert math.isclose(units.PS_PER_ASE_TIME, seconds / si.pico, rel_tol=CODATA)


def test_one_square_angstrom_per_picosecond():
    in_m2_per_s = si.angstrom**2 / si.pico
    assert math.isclose(units.diffusivity_to_cm2_per_s(1.0), in_m2_per_s * 1e4, rel_tol=1e-12)


def test_conductivity_of_a_textbook_conductor():
    # Nernst-Einstein in SI: 1e28 ions/m^3 of charge e, D = 1e-12 m^2/s, 300 K.
    density, diffusivity, temperature_k = 1e28, 1e-12, 300.0
    siemens_per_m = density * si.e**2 * diffusivity / (si.k * temperature_k)
    inside = (density * si.angstrom**3) * (diffusivity / si.angstrom**2 * si.pico)
    inside /= units.BOLTZMANN_EV_PER_K * temperature_k
    # 1 S/m = 10 mS/cm.
    assert math.isclose(units.conductivity_to_ms_per_cm(inside), 10 * siemens_per_m, rel_tol=1e-12)


def test_a_gigapascal_is_small_in_atomic_units():
    # 160.2 GPa per eV/Angstrom^3: the commonest slip of the field is this factor or its sign.
    assert math.isclose(units.pressure_from_gpa(160.2176634), 1.0, rel_tol=1e-15)
    assert units.pressure_from_gpa(1.0) > 0
