"""What D3 is compared with: energies of s-dftd3 as committed, and plain sums over images.

python tests/potentials/dispersion_oracles.py      writes d3_reference.json anew; needs the extra `dispersion`
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.spacegroup import crystal

from halion.potentials import EngineResult
from halion.potentials.dispersion import DEFAULT_RANGE, PBE_D3BJ, D3Range
from halion.potentials.dispersion_engine import _tables

REFERENCE = Path(__file__).with_name("d3_reference.json")
# s-dftd3 fades pairs as halion does, and cuts coordination numbers sharply.
LIKE_LIBRARY = replace(DEFAULT_RANGE, coordination_width=0.0)


def _halide(anions: list[int], scale: float, seed: int, shear: np.ndarray | None = None) -> Atoms:
    """Li3YX6 of ten atoms, C2/m (primitive), hot."""
    atoms = crystal(
        ["Y", "Li", "Li", "Br", "Br"],
        [(0, 0, 0), (0, 0.3336, 0), (0, 0, 0.5), (0.2492, 0.1679, 0.2410), (0.7504, 0, 0.2417)],
        spacegroup="C 2/m",
        cellpar=[6.93 * scale, 11.97 * scale, 6.84 * scale, 90, 109.3, 90],
        primitive_cell=True,
    )
    atoms = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    atoms.numbers[atoms.numbers == 35] = anions
    atoms.positions += np.random.default_rng(seed).normal(scale=0.08, size=(10, 3))
    if shear is not None:
        atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
    return atoms


def cases() -> dict[str, Atoms]:
    """Structures of the committed values."""
    skewed = Atoms(
        "LiClBr", positions=[[0, 0, 0], [1.9, 1.2, 0.4], [-0.7, 2.3, 9.1]], pbc=True,
        cell=[[3.1, 0, 0], [7.4, 4.2, 0], [-9.5, 3.3, 5.6]],
    )  # fmt: skip
    sundry = Atoms(
        [6, 8, 26, 55, 82, 53, 57, 92, 1, 16, 30, 79], pbc=True,
        cell=[[9.0, 0.4, 0], [0, 9.5, 0.3], [0.7, 0, 10.0]],
        positions=2.9 * np.array([np.unravel_index(k, (3, 2, 2)) for k in range(12)], dtype=float),
    )  # fmt: skip
    return {
        "Li3YCl6": _halide([17] * 6, 0.95, 0),
        "Li3YBr6": _halide([35] * 6, 1.0, 1),
        "Li3YCl3Br3": _halide([17, 35, 17, 35, 35, 17], 0.98, 2),
        "sheared": _halide([35] * 6, 1.0, 3, np.array([[1.03, 0.08, -0.05], [0, 0.98, 0.06], [0, 0, 1.01]])),
        "small and skewed": skewed,
        "many elements": sundry,
        "dimer": Atoms("YBr", positions=[[0, 0, 0], [2.4, 0.7, 0.3]], cell=[40.0] * 3, pbc=True),
    }


def dimer(number: int) -> Atoms:
    """Two atoms of an element, near enough to be between its references."""
    return Atoms([number] * 2, positions=[[0, 0, 0], [1.1, 1.3, 1.7]], cell=[35.0] * 3, pbc=True)


def naive_energy(atoms: Atoms, reach: D3Range) -> float:
    """D3(BJ) of PBE, eV, by one loop over atoms and images, as the papers write it."""
    tables = _tables()
    kinds, cell = atoms.numbers - 1, atoms.cell.array / units.Bohr
    most = [int(reach.pairs * np.linalg.norm(row)) + 2 for row in np.linalg.inv(cell).T]
    span = [np.arange(-n, n + 1) for n in most]
    shifts = np.stack(np.meshgrid(*span, indexing="ij"), -1).reshape(-1, 3) @ cell
    positions = atoms.get_positions(wrap=True) / units.Bohr
    pairs = [(i, j) for i in range(len(atoms)) for j in range(len(atoms))]
    distances = {}
    for i, j in pairs:
        r = np.linalg.norm(positions[j] - positions[i] + shifts, axis=1)
        distances[i, j] = r[r > 1e-6]

    def fade(r: np.ndarray, end: float, width: float) -> np.ndarray:
        u = np.clip((r - end + width) / width, 0, 1)
        return 1 - 10 * u**3 + 15 * u**4 - 6 * u**5

    counts = np.zeros(len(atoms))
    for i, j in pairs:
        r = distances[i, j][distances[i, j] < reach.coordination]
        term = 1 / (1 + np.exp(-16 * ((tables["radius"][kinds[i]] + tables["radius"][kinds[j]]) / r - 1)))
        counts[i] += (term * fade(r, reach.coordination, reach.coordination_width)).sum()
    energy = 0.0
    for i, j in pairs:
        first, second = (tables["reference"][kinds[k]] for k in (i, j))
        weight = np.exp(-4 * ((counts[i] - first[:, None]) ** 2 + (counts[j] - second) ** 2))
        weight *= (first[:, None] >= 0) * (second >= 0)
        c6 = (weight * tables["c6"][kinds[i], kinds[j]]).sum() / weight.sum()
        c8 = 3 * c6 * tables["root"][kinds[i]] * tables["root"][kinds[j]]
        f = PBE_D3BJ.a1 * np.sqrt(c8 / c6) + PBE_D3BJ.a2
        r = distances[i, j]
        term = PBE_D3BJ.s6 * c6 / (r**6 + f**6) + PBE_D3BJ.s8 * c8 / (r**8 + f**8)
        energy -= 0.5 * (term * fade(r, reach.pairs, reach.pairs_width)).sum()
    return energy * units.Hartree


def committed() -> dict[str, EngineResult]:
    """What s-dftd3 gave for `cases`, and the energies of every element's dimer under "dimers"."""
    saved = json.loads(REFERENCE.read_text())
    results = {
        name: EngineResult(**{key: np.array(value) for key, value in one.items()})
        for name, one in saved["cases"].items()
    }
    return results | {"dimers": np.array(saved["dimers"])}


def write() -> None:
    """Ask s-dftd3."""
    import importlib.metadata

    from halion.potentials.dispersion_library import LibraryDispersion
    from halion.potentials.from_ase import join_arrays

    library = LibraryDispersion(reach=LIKE_LIBRARY)
    found = {name: library.evaluate(*join_arrays([atoms])) for name, atoms in cases().items()}
    content = {
        "made by": f"dftd3 {importlib.metadata.version('dftd3')}; python tests/potentials/dispersion_oracles.py",
        "cases": {
            name: {key: getattr(one, key).tolist() for key in ("energies", "forces", "virials")}
            for name, one in found.items()
        },
        "dimers": library.evaluate(*join_arrays([dimer(z) for z in range(1, 104)])).energies.tolist(),
    }
    REFERENCE.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    write()
