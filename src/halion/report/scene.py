"""The best structure as a scene to look at: atoms, cell edges, polyhedra; for 3Dmol.js and as a still picture."""

from __future__ import annotations

import html
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.spatial import ConvexHull, QhullError

from halion.arrays import FloatArray
from halion.report.figure import BLUE, GREEN, ORANGE, PURPLE, SKY
from halion.report.types import StudyResults

__all__ = ["Scene", "scene_of", "scene_record", "scene_svg"]

_CATIONS = (BLUE, SKY, PURPLE)
_ANIONS = (GREEN, "#8C6D46", "#9AA5B1", "#C9B458")
_OTHER = "#7A8694"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is drawn.

    Attributes:
        symbols: (n_atoms) elements, atoms on the cell's faces repeated on the opposite ones.
        positions: (n_atoms, 3) Angstrom.
        cell: (3, 3) Angstrom.
        colours, radii: element -> colour and radius in Angstrom.
        counts: element -> atoms in the cell.
        polyhedra: per polyhedron the colour and its (n_faces, 3, 3) triangles.
    """

    symbols: tuple[str, ...]
    positions: FloatArray
    cell: FloatArray
    colours: dict[str, str]
    radii: dict[str, float]
    counts: dict[str, int]
    polyhedra: tuple[tuple[str, FloatArray], ...]


def scene_of(results: StudyResults) -> Scene:
    """The lowest-energy relaxed ordering: mobile ions orange, framework cations in their anion polyhedra."""
    atoms = results.ranking.best.relaxation.atoms.copy()
    atoms.wrap(eps=1e-3)
    mobile = results.settings.get("transport", {}).get("mobile_species", "Li") if results.settings else "Li"
    charges = results.crystal.charges
    symbols = atoms.get_chemical_symbols()
    elements = sorted(set(symbols))
    anions = [element for element in elements if charges.get(element, 0.0) < 0]
    centres = [element for element in elements if charges.get(element, 0.0) > 0 and element != mobile]
    colours = dict.fromkeys(elements, _OTHER)
    colours |= {element: _CATIONS[k % len(_CATIONS)] for k, element in enumerate(centres)}
    colours |= {element: _ANIONS[k % len(_ANIONS)] for k, element in enumerate(anions)}
    radii = dict.fromkeys(elements, 0.5) | dict.fromkeys(anions, 0.62)
    if mobile in colours:
        colours[mobile], radii[mobile] = ORANGE, 0.55
    shown = _with_images(atoms)
    polyhedra = _polyhedra(atoms, [one for one in shown if symbols[one[0]] in centres], anions)
    corners = [corner for _, members, _ in polyhedra for corner in members]
    # Corners lie outside the cell or are atoms that are shown already.
    unique = {(symbols[index], *(np.round(place, 2) + 0.0)): place for index, place in (*shown, *corners)}
    return Scene(
        symbols=tuple(key[0] for key in unique),
        positions=np.array(list(unique.values())),
        cell=np.array(atoms.cell),
        colours=colours,
        radii=radii,
        counts={element: symbols.count(element) for element in elements},
        polyhedra=tuple((colours[symbols[index]], faces) for index, _, faces in polyhedra),
    )


def _with_images(atoms: Atoms) -> list[tuple[int, FloatArray]]:
    """Index and place of every atom; those within 0.02 of a face also at the opposite one."""
    shown = []
    for index, place in enumerate(atoms.get_scaled_positions(wrap=False)):
        for shift in itertools.product(*[(0, 1) if x < 0.02 else (0, -1) if x > 0.98 else (0,) for x in place]):
            shown.append((index, (place + shift) @ atoms.cell.array))
    return shown


def _polyhedra(
    atoms: Atoms, centres: list[tuple[int, FloatArray]], anions: list[str]
) -> list[tuple[int, list[tuple[int, FloatArray]], FloatArray]]:
    """Centre, corners and triangles: hulls of the anions within 1.25 of the nearest one's distance."""
    symbols = np.array(atoms.get_chemical_symbols())
    first, second, distance, vector = neighbor_list("ijdD", atoms, 4.5)
    found = []
    for index, place in centres:
        near = (first == index) & np.isin(symbols[second], anions)
        if near.sum() < 4:
            continue
        near &= distance <= 1.25 * distance[near].min()
        corners = place + vector[near]
        try:
            hull = ConvexHull(corners)
        except QhullError:  # fewer than four corners, or all in one plane: nothing to fill
            continue
        triangles = corners[hull.simplices]
        inward = np.einsum("fi,fi->f", np.cross(*_edges(triangles)), hull.equations[:, :3]) < 0
        triangles[inward] = triangles[inward][:, ::-1]
        found.append((index, list(zip(second[near].tolist(), corners)), triangles))
    return found


def _edges(triangles: FloatArray) -> tuple[FloatArray, FloatArray]:
    return triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]


def scene_record(scene: Scene) -> dict[str, Any]:
    """Plain values for the page's script, centred on the cell's middle, rounded to 0.001 Angstrom."""
    middle = scene.cell.sum(axis=0) / 2
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    return {
        "atoms": [
            {"element": symbol, "position": _rounded(place - middle)}
            for symbol, place in zip(scene.symbols, scene.positions)
        ],
        "edges": [
            [_rounded(a @ scene.cell - middle), _rounded(b @ scene.cell - middle)]
            for a, b in itertools.combinations(corners, 2)
            if np.abs(a - b).sum() == 1
        ],
        "axes": [_rounded(axis) for axis in scene.cell],
        "colours": scene.colours,
        "radii": scene.radii,
        "polyhedra": [
            {"colour": colour, "triangles": [[_rounded(corner - middle) for corner in face] for face in faces]}
            for colour, faces in scene.polyhedra
        ],
    }


def _rounded(vector: FloatArray) -> list[float]:
    return [round(float(value), 3) for value in vector]


def scene_svg(scene: Scene) -> str:
    """A still picture, for print and browsers without WebGL: near the b axis, drawn from far to near."""
    turned = _view(scene.cell)
    middle = scene.cell.sum(axis=0) / 2
    size = float(np.linalg.norm(scene.cell, axis=1).sum()) / 2 + 1.5
    items: list[tuple[float, str]] = []
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    for a, b in itertools.combinations(corners, 2):
        if np.abs(a - b).sum() == 1:
            (x1, y1, z1), (x2, y2, z2) = ((end @ scene.cell - middle) @ turned.T for end in (a, b))
            ends = f'x1="{x1:.2f}" y1="{-y1:.2f}" x2="{x2:.2f}" y2="{-y2:.2f}"'
            items.append((min(z1, z2), f'<line {ends} stroke="#52606D" stroke-width=".08"/>'))
    for colour, faces in scene.polyhedra:
        for face in (faces - middle) @ turned.T:
            points = " ".join(f"{x:.2f},{-y:.2f}" for x, y, _ in face)
            look = f'fill="{colour}" fill-opacity=".16" stroke="{colour}" stroke-width=".05"'
            items.append((float(face[:, 2].mean()), f'<polygon points="{points}" {look}/>'))
    for symbol, place in zip(scene.symbols, scene.positions):
        x, y, z = (place - middle) @ turned.T
        look = f'fill="{scene.colours[symbol]}" stroke="#fff" stroke-width=".06"'
        circle = f'<circle cx="{x:.2f}" cy="{-y:.2f}" r="{scene.radii[symbol]}" {look}/>'
        items.append((float(z), circle))
    body = "\n".join(text for _, text in sorted(items, key=lambda item: item[0]))
    title = html.escape(" ".join(f"{element}{n}" for element, n in scene.counts.items()))
    box = f"{-size:.2f} {-size:.2f} {2 * size:.2f} {2 * size:.2f}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="14cm" height="14cm">'
    return f"{head}\n<title>{title}</title>\n{body}\n</svg>\n"


def _view(cell: FloatArray) -> FloatArray:
    """Rotation that looks along -b with c upwards, then turned by 15 and 10 degrees for depth."""
    depth = cell[1] / np.linalg.norm(cell[1])
    up = cell[2] - (cell[2] @ depth) * depth
    up /= np.linalg.norm(up)
    frame = np.array([np.cross(up, depth), up, depth])
    (c1, s1), (c2, s2) = ((np.cos(a), np.sin(a)) for a in np.radians((15.0, 10.0)))
    about_up = np.array([[c1, 0, s1], [0, 1, 0], [-s1, 0, c1]])
    about_right = np.array([[1, 0, 0], [0, c2, -s2], [0, s2, c2]])
    return about_right @ about_up @ frame
