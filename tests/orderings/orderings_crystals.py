"""Crystals for the tests of the orderings room, built from a space group and sites, without the crystal reader."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np

from halion.crystal.types import DisorderedCrystal, Orbit
from halion.orderings.lattice import cell_count
from halion.orderings.types import Composition, OrbitComposition, Supercell, as_supercell

Site = tuple[str, tuple[float, float, float], dict[str, float]]  # label, xyz, occupancy


def crystal(
    group: str,
    cell: tuple[float, ...],
    sites: list[Site],
    charges: dict[str, float] | None = None,
    *,
    name: str = "test",
) -> DisorderedCrystal:
    """A crystal in the conventional cell of a space group; charges default to zero (every composition neutral)."""
    space_group = gemmi.SpaceGroup(group)
    operations = list(space_group.operations())
    rotations = np.array([operation.rot for operation in operations]) // gemmi.Op.DEN
    translations = np.array([operation.tran for operation in operations]) / gemmi.Op.DEN
    matrix = np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T
    return from_operations(
        matrix,
        rotations,
        translations,
        [(label, expand(rotations, translations, xyz), occupancy) for label, xyz, occupancy in sites],
        charges,
        name=name,
        space_group=(space_group.hm, space_group.number),
    )


def expand(rotations: np.ndarray, translations: np.ndarray, xyz: tuple[float, float, float]) -> np.ndarray:
    """All images of a site in the cell, each once; images nearer than 0.01 in every coordinate are one."""
    images: list[np.ndarray] = []
    for image in (rotations @ np.array(xyz) + translations) % 1.0:
        if not any(np.all(np.abs((image - known + 0.5) % 1.0 - 0.5) < 0.01) for known in images):
            images.append(image)
    return np.array(images)


def from_operations(
    matrix: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    orbits: list[tuple[str, np.ndarray, dict[str, float]]],
    charges: dict[str, float] | None = None,
    *,
    name: str = "test",
    space_group: tuple[str, int] = ("P1", 1),
) -> DisorderedCrystal:
    """A crystal from operations on fractional coordinates and the sites of each orbit."""
    elements = {element for _, _, occupancy in orbits for element in occupancy}
    return DisorderedCrystal(
        name=name,
        source="test",
        cell=np.asarray(matrix, dtype=float),
        orbits=tuple(
            Orbit(
                labels=(label,),
                wyckoff=f"{len(xyz)}?",
                fractional=np.asarray(xyz, dtype=float),
                occupancy=occupancy,
            )
            for label, xyz, occupancy in orbits
        ),
        charges=charges or dict.fromkeys(sorted(elements), 0.0),
        charge_origin="given",
        space_group=space_group[0],
        space_group_number=space_group[1],
        rotations=np.asarray(rotations, dtype=np.int64),
        translations=np.asarray(translations, dtype=float),
        close_pairs=(),
        notes=(),
    )


LI, Y, CL, BR = {"Li": 1.0}, {"Y": 3.0}, {"Cl": -1.0}, {"Br": -1.0}


def li3ycl6() -> DisorderedCrystal:
    """Schlem et al., Chem. Mater. 33, 327 (2021), with free coordinates after Asano et al. (2018)."""
    return crystal(
        "P -3 m 1",
        (11.209337, 11.209337, 6.046941, 90, 90, 120),
        [
            ("Y1", (0, 0, 0), {"Y": 1.0}),
            ("Y2", (1 / 3, 2 / 3, 0.4870), {"Y": 0.56592}),
            ("Y3", (1 / 3, 2 / 3, 0.9812), {"Y": 0.43408}),
            ("Li1", (0.3320, 0, 0.5), {"Li": 0.87538}),
            ("Li2", (0.3260, 0, 0), {"Li": 0.62462}),
            ("Cl1", (0.1133, -0.1133, 0.7827), {"Cl": 1.0}),
            ("Cl2", (0.2136, -0.2136, 0.2561), {"Cl": 1.0}),
            ("Cl3", (0.4367, -0.4367, 0.7461), {"Cl": 1.0}),
        ],
        {**Y, **LI, **CL},
        name="Li3YCl6",
    )


def li3ybr6() -> DisorderedCrystal:
    """Schlem et al., Chem. Mater. 33, 327 (2021), with idealised coordinates."""
    return crystal(
        "C 1 2/m 1",
        (6.9188, 11.9742, 6.8635, 90, 109.78, 90),
        [
            ("Y1", (0, 0, 0), {"Y": 0.76128, "Li": 0.0456}),
            ("Li1", (0, 0.3336, 0), {"Li": 0.53358}),
            ("Li2", (0, 0.1670, 0.5), {"Li": 0.75378, "Y": 0.11936}),
            ("Li3", (0.1506, 0.1670, 0.8710), {"Li": 0.09492}),
            ("Br1", (0.2492, 0.1679, 0.2410), {"Br": 1.0}),
            ("Br2", (0.7504, 0, 0.2417), {"Br": 1.0}),
        ],
        {**Y, **LI, **BR},
        name="Li3YBr6",
    )


def li3ycl3br3() -> DisorderedCrystal:
    """Refinement (Delft) published with GEMDAT."""
    return crystal(
        "C 1 2/m 1",
        (6.752, 11.6629, 6.678, 90, 109.774, 90),
        [
            ("Y1", (0, 0, 0), {"Y": 0.61}),
            ("M2", (0, 0.3336, 0), {"Li": 0.26, "Y": 0.195}),
            ("Li1", (0, 0.1670, 0.5), {"Li": 0.74}),
            ("Li3", (0.1506, 0.3330, 0.3710), {"Li": 0.25}),
            ("X1", (0.2492, 0.1679, 0.2410), {"Cl": 0.5, "Br": 0.5}),
            ("X2", (0.7504, 0, 0.2417), {"Cl": 0.5, "Br": 0.5}),
        ],
        {**Y, **LI, **CL, **BR},
        name="Li3YCl3Br3",
    )


def li3ybr6_noisy() -> DisorderedCrystal:
    """Li3YBr6 as OBELiX carries it (elz, CC-BY 4.0): free coordinates with 0.1 Angstrom of deliberate noise."""
    return crystal(
        "C 1 2/m 1",
        (6.9188, 11.9742, 6.8635, 90, 109.78, 90),
        [
            ("Li0", (0.12869017, 0.19978670, 0.85572991), {"Li": 0.09492}),
            ("Li1", (0, 0.32510267, 0), {"Li": 0.53358}),
            ("Li2", (0, 0.21498022, 0.5), {"Li": 0.75378, "Y": 0.11935}),
            ("Y4", (0, 0, 0), {"Y": 0.76129, "Li": 0.0456}),
            ("Br6", (0.23667775, 0.34472927, 0.76033135), {"Br": 1.0}),
            ("Br7", (0.24683290, 0.5, 0.23871749), {"Br": 1.0}),
        ],
        {**Y, **LI, **BR},
        name="Li3YBr6",
    )


def primitive(conventional: DisorderedCrystal) -> DisorderedCrystal:
    """The same face-centred crystal in its primitive cell (0 1/2 1/2), (1/2 0 1/2), (1/2 1/2 0)."""
    vectors = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    inverse = np.linalg.inv(vectors)
    rotations = np.rint(inverse.T @ conventional.rotations @ vectors.T).astype(int)
    translations = np.round((conventional.translations @ inverse) % 1.0, 9) % 1.0
    _, kept = np.unique(np.column_stack([rotations.reshape(-1, 9), translations]), axis=0, return_index=True)
    orbits = []
    for orbit in conventional.orbits:
        images = np.round((orbit.fractional @ inverse) % 1.0, 6) % 1.0
        orbits.append((orbit.labels[0], np.unique(images, axis=0), dict(orbit.occupancy)))
    return from_operations(
        vectors @ conventional.cell, rotations[kept], translations[kept], orbits, dict(conventional.charges)
    )


def composed(
    crystal: DisorderedCrystal, supercell: Supercell | tuple[int, int, int], counts: dict[str, dict[str, int]]
) -> Composition:
    """A composition by hand: atoms on the orbits named by label; the others as refined, rounded."""
    supercell = as_supercell(supercell)
    n_cells = cell_count(supercell)
    orbits = []
    for index, orbit in enumerate(crystal.orbits):
        n_sites = orbit.n_sites * n_cells
        rounded = {element: round(x * n_sites) for element, x in orbit.occupancy.items()}
        orbits.append(
            OrbitComposition(
                orbit=index,
                wyckoff=orbit.wyckoff,
                n_sites=n_sites,
                counts={e: n for e, n in counts.get(orbit.labels[0], rounded).items() if n},
                refined=dict(orbit.occupancy),
                deviation=0.0,
            )
        )
    return Composition(supercell=supercell, orbits=tuple(orbits), formula="", charge=0.0, deviation=0.0, ties=0)


def from_case(path: Path) -> DisorderedCrystal:
    """A case of the enumeration reference: its own symmetry operations, rows of one position merged."""
    block = gemmi.cif.read(str(path)).sole_block()
    operations = [gemmi.Op(text.strip("'\" ")) for text in block.find_values("_symmetry_equiv_pos_as_xyz")]
    rotations = np.array([operation.rot for operation in operations]) // gemmi.Op.DEN
    translations = np.array([operation.tran for operation in operations]) / gemmi.Op.DEN
    names = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"]
    merged: dict[tuple[float, ...], tuple[str, dict[str, float]]] = {}
    for label, element, *numbers in block.find("_atom_site_", names):
        *xyz, occupancy = (float(gemmi.cif.as_number(number)) for number in numbers)
        known = merged.setdefault(tuple(xyz), (label, {}))[1]
        known[element] = known.get(element, 0.0) + occupancy
    lengths = [float(block.find_value(f"_cell_length_{axis}")) for axis in "abc"]
    angles = [float(block.find_value(f"_cell_angle_{angle}")) for angle in ("alpha", "beta", "gamma")]
    return from_operations(
        np.array(gemmi.UnitCell(*lengths, *angles).orth.mat.tolist()).T,
        rotations,
        translations,
        [(label, expand(rotations, translations, xyz), occupancy) for xyz, (label, occupancy) in merged.items()],
        name=path.stem,
    )
