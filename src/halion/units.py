"""The only place where units are converted.

Inside halion: eV, Angstrom, K, amu, elementary charge, ps; stress in eV/Angstrom^3, tension positive
(ASE's sign). CODATA 2018 values; the defined constants of the SI are exact.
Checked by tests/test_units.py: every pair of functions is a round trip, every constant is scipy's.
"""

from __future__ import annotations

BOLTZMANN_EV_PER_K = 8.617333262145179e-5
ELEMENTARY_CHARGE_C = 1.602176634e-19
GPA_PER_EV_ANGSTROM3 = 160.2176634  # exact: e * 1e21
KBAR_PER_GPA = 10.0
BAR_PER_GPA = 1.0e4
CM2_PER_S_PER_ANGSTROM2_PER_PS = 1.0e-4  # 1e-16 cm^2 / 1e-12 s
FS_PER_PS = 1000.0
PLANCK_EV_PER_THZ = 4.135667696923859e-3  # exact: h / e * 1e12, the quantum of a frequency
# One ASE time unit, Angstrom * sqrt(amu / eV), in ps.
PS_PER_ASE_TIME = 0.010180505710759416
# e^2 / (4 pi epsilon_0): the energy of two elementary charges one Angstrom apart, in eV.
COULOMB_EV_ANGSTROM = 14.399645478425668

BOHR_ANGSTROM = 0.529177210903
RYDBERG_EV = 13.605693122994


def pressure_from_gpa(pressure_gpa: float) -> float:
    """Pressure in eV/Angstrom^3 from GPa."""
    return pressure_gpa / GPA_PER_EV_ANGSTROM3


def pressure_to_gpa(pressure: float) -> float:
    """Pressure in GPa from eV/Angstrom^3."""
    return pressure * GPA_PER_EV_ANGSTROM3


def diffusivity_to_cm2_per_s(diffusivity: float) -> float:
    """Diffusivity in cm^2/s from Angstrom^2/ps."""
    return diffusivity * CM2_PER_S_PER_ANGSTROM2_PER_PS


def diffusivity_from_cm2_per_s(diffusivity_cm2_per_s: float) -> float:
    """Diffusivity in Angstrom^2/ps from cm^2/s."""
    return diffusivity_cm2_per_s / CM2_PER_S_PER_ANGSTROM2_PER_PS


def time_to_ase(time_ps: float) -> float:
    """Time in ASE's unit from ps."""
    return time_ps / PS_PER_ASE_TIME


def time_from_ase(time_ase: float) -> float:
    """Time in ps from ASE's unit."""
    return time_ase * PS_PER_ASE_TIME


def length_to_bohr(length: float) -> float:
    """Length in Bohr radii from Angstrom."""
    return length / BOHR_ANGSTROM


def length_from_bohr(length_bohr: float) -> float:
    """Length in Angstrom from Bohr radii."""
    return length_bohr * BOHR_ANGSTROM


def conductivity_to_ms_per_cm(conductivity: float) -> float:
    """Conductivity in mS/cm from e^2 / (eV Angstrom ps).

    1 e^2/(eV Angstrom ps) = e / (V Angstrom ps) = 1.602176634e-19 C / (V * 1e-10 m * 1e-12 s) = 1602.18 S/m,
    and 1 S/m = 10 mS/cm.
    """
    return conductivity * ELEMENTARY_CHARGE_C / 1e-22 * 10.0


def conductivity_from_ms_per_cm(conductivity_ms_per_cm: float) -> float:
    """Conductivity in e^2 / (eV Angstrom ps) from mS/cm."""
    return conductivity_ms_per_cm * 1e-22 / ELEMENTARY_CHARGE_C / 10.0


def energy_to_rydberg(energy: float) -> float:
    """Energy in Rydberg from eV."""
    return energy / RYDBERG_EV


def energy_from_rydberg(energy_rydberg: float) -> float:
    """Energy in eV from Rydberg."""
    return energy_rydberg * RYDBERG_EV
