"""Common oxidation states of the elements in ionic solids, the most common first.

Chosen for halides, oxides, sulphides, phosphates and hydroborates, from Greenwood and Earnshaw, Chemistry of the
Elements (2nd ed., 1997); noble gases and elements without solid ionic compounds of note are absent. Negative
states belong to elements that form anions. Checked by tests/crystal/test_crystal_charges.py on known compounds.
"""

from __future__ import annotations

__all__ = ["COMMON_STATES"]

_TABLE = """
H 1 -1
Li 1
Be 2
B 3
C 4 -4 2
N -3 5 3
O -2 -1
F -1
Na 1
Mg 2
Al 3
Si 4 -4
P 5 3 4 -3
S -2 6 4 -1
Cl -1 7 5
K 1
Ca 2
Sc 3
Ti 4 3 2
V 5 4 3 2
Cr 3 6 2
Mn 2 3 4 7
Fe 3 2
Co 2 3
Ni 2 3 4
Cu 2 1 3
Zn 2
Ga 3
Ge 4 2 -4
As 5 3 -3
Se -2 4 6
Br -1 5
Rb 1
Sr 2
Y 3
Zr 4
Nb 5 4 3
Mo 6 4 5
Tc 7 4
Ru 4 3
Rh 3
Pd 2 4
Ag 1
Cd 2
In 3 1
Sn 4 2
Sb 5 3 -3
Te -2 4 6
I -1 5 7
Cs 1
Ba 2
La 3
Ce 3 4
Pr 3 4
Nd 3
Pm 3
Sm 3 2
Eu 3 2
Gd 3
Tb 3 4
Dy 3
Ho 3
Er 3
Tm 3
Yb 3 2
Lu 3
Hf 4
Ta 5
W 6 4 5
Re 7 4 6
Os 4 8
Ir 4 3
Pt 4 2
Au 3 1
Hg 2 1
Tl 1 3
Pb 2 4
Bi 3 5
Ra 2
Ac 3
Th 4
Pa 5 4
U 6 4 5
Np 5 4
Pu 4 3
Am 3
"""

COMMON_STATES: dict[str, tuple[int, ...]] = {
    element: tuple(int(state) for state in states)
    for element, *states in (line.split() for line in _TABLE.strip().splitlines())
}
