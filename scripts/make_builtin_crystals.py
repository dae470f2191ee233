"""Write the CIFs of the built-in crystals from scripts/builtin_crystals.toml.

python scripts/make_builtin_crystals.py            writes src/halion/crystal/data/*.cif
python scripts/make_builtin_crystals.py FOLDER     writes them elsewhere (the tests compare the two)
"""

from __future__ import annotations

import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import gemmi

HERE = Path(__file__).resolve().parent
CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


def cif_text(name: str, crystal: dict[str, Any]) -> str:
    """The CIF of one crystal."""
    lines = [
        f"# {name}: written by scripts/make_builtin_crystals.py; do not edit by hand",
        f"data_{name}",
        f"_publ_section_title '{crystal['title']}'",
        *_long("_publ_section_references", crystal["references"]),
        *_long("_publ_section_comment", crystal["comment"]),
        f"_cell_formula_units_Z {crystal['formula_units']}",
        *(f"_cell_{tag} {value:.6f}" for tag, value in zip(CELL_TAGS, crystal["cell"], strict=True)),
        f"_space_group_name_H-M_alt '{crystal['space_group']}'",
        f"_space_group_IT_number {crystal['number']}",
        *_loop(["_space_group_symop_operation_xyz"], [[f"'{xyz}'"] for xyz in _operations(crystal)]),
        *_loop(
            ["_atom_type_symbol", "_atom_type_oxidation_number"],
            [[element, str(charge)] for element, charge in crystal["charges"].items()],
        ),
        *_atoms(crystal["sites"]),
    ]
    return "\n".join(lines) + "\n"


def _long(tag: str, text: str) -> list[str]:
    return [tag, ";", *textwrap.wrap(text, 76), ";"]


def _operations(crystal: dict[str, Any]) -> list[str]:
    group = gemmi.SpaceGroup(crystal["space_group"])
    if group.number != crystal["number"]:
        raise SystemExit(f"{crystal['space_group']} is not number {crystal['number']}")
    return [operation.triplet() for operation in group.operations()]


def _atoms(sites: list[dict[str, Any]]) -> list[str]:
    tags = ["label", "type_symbol", "site_symmetry_multiplicity", "Wyckoff_symbol"]
    tags += ["fract_x", "fract_y", "fract_z", "occupancy"]
    rows = []
    for site in sites:
        for element, occupancy in site["occupancy"].items():
            label = site["label"] if len(site["occupancy"]) == 1 else f"{site['label']}_{element}"
            xyz = [f"{value:.6f}" for value in site["xyz"]]
            rows.append([label, element, site["wyckoff"][:-1], site["wyckoff"][-1], *xyz, f"{occupancy:.5f}"])
    return _loop([f"_atom_site_{tag}" for tag in tags], rows)


def _loop(tags: list[str], rows: list[list[str]]) -> list[str]:
    return ["loop_", *tags, *(" ".join(row) for row in rows)]


def main() -> None:
    """Write every crystal's CIF."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "src/halion/crystal/data"
    crystals = tomllib.loads((HERE / "builtin_crystals.toml").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for name, crystal in crystals.items():
        (folder / f"{name}.cif").write_text(cif_text(name, crystal), encoding="utf-8")
        print(folder / f"{name}.cif")


if __name__ == "__main__":
    main()
