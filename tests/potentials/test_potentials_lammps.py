"""LAMMPS driven by a potential of ours: the same energy, forces, pressure tensor and motion as without it."""

import sys

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.nose_hoover_chain import MTKNPT, NoseHooverChainNVT
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet

from halion.errors import HalionError, InputError, MissingDependency, PhysicsRefusal
from halion.potentials import PotentialCalculator, PotentialFromAse, load_potential
from halion.potentials import lammps as bridge_module
from halion.potentials.lammps import attach_potential, fill_lammps, open_lammps, read_lammps

try:
    open_lammps().close()
    REASON = ""
except MissingDependency as missing:
    REASON = f"{missing.what}; {missing.fix}"
needs_lammps = pytest.mark.skipif(bool(REASON), reason=REASON)

# LAMMPS's units metal have 1.6021765e6 bar per eV/A^3 and 1.0364269e-4 eV per amu (A/ps)^2: CODATA to 1e-7.
UNITS_REL = 3e-7
BAR_PER_EV_A3 = 1.602176634e6


@pytest.fixture(scope="module")
def emt() -> PotentialFromAse:
    return PotentialFromAse(EMT(), name="emt", elements=["Cu", "Au", "Ag"])


def crystal(seed: int, temperature_k: float = 0.0) -> Atoms:
    """A skewed, rattled copper-gold cell of 16 atoms, some of them many cells away."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True).repeat((2, 2, 1))
    atoms.symbols[rng.choice(16, 5, replace=False)] = "Au"
    atoms.rattle(0.08, seed=seed)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.08, (3, 3))), scale_atoms=True)
    atoms.positions += rng.integers(-2, 3, (16, 3)) @ atoms.cell.array
    if temperature_k:
        thermalize_momenta(atoms, temperature_k, rng=rng)
        Stationary(atoms)
    return atoms


def skewed() -> Atoms:
    """c leans by more than a and b are long: LAMMPS's tilt factors far above one half."""
    atoms = crystal(7)
    atoms.set_cell(atoms.cell.array + np.array([[0, 0, 0], [9, 0, 0], [-8, 10, 0]]), scale_atoms=True)
    return atoms


def left_handed() -> Atoms:
    atoms = crystal(8)
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell.array[[1, 0, 2]], pbc=True)


CELLS = {"skewed": skewed, "left-handed": left_handed} | {f"seed {k}": lambda k=k: crystal(k) for k in range(3)}


def forces_of(lmp, frame) -> np.ndarray:
    n_atoms = lmp.extract_global("nlocal")
    order = np.argsort(lmp.numpy.extract_atom("id")[:n_atoms])
    return np.array(lmp.numpy.extract_atom("f")[:n_atoms])[order] @ frame.rotation


def pressure_tensor(lmp) -> np.ndarray:
    """In bar, LAMMPS's axes, kinetic part included."""
    xx, yy, zz, xy, xz, yz = (lmp.get_thermo(f"p{name}") for name in ("xx", "yy", "zz", "xy", "xz", "yz"))
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


@needs_lammps
@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_energy_forces_and_pressure_tensor(emt, make):
    """All six components: LAMMPS's order xx, yy, zz, xy, xz, yz and its sign, in LAMMPS's axes and in ours."""
    atoms = make()
    lmp = open_lammps()
    frame = fill_lammps(lmp, atoms)
    bridge = attach_potential(lmp, emt, frame.elements)
    lmp.command("run 0")
    expected = emt.evaluate(atoms)
    # 1e-10: distances of 1e-15 relative, forces of some eV/A.
    assert lmp.get_thermo("pe") == pytest.approx(expected.energy, abs=1e-10)
    np.testing.assert_allclose(forces_of(lmp, frame), expected.forces, atol=1e-10)
    stress = frame.rotation.T @ (-pressure_tensor(lmp) / BAR_PER_EV_A3) @ frame.rotation
    np.testing.assert_allclose(stress, expected.stress, rtol=UNITS_REL, atol=1e-10)
    assert bridge.n_evaluations == 1
    assert lmp.get_thermo("vol") == pytest.approx(atoms.get_volume())


@needs_lammps
def test_chgnet_in_lammps():
    """A halide whose cell LAMMPS holds turned; single precision rounds differently in a turned cell."""
    atoms = bulk("LiCl", "rocksalt", a=5.1).repeat((2, 1, 1))
    atoms.symbols[3] = "Br"
    atoms.rattle(0.1, seed=1)
    potential = load_potential("chgnet")
    lmp = open_lammps()
    frame = fill_lammps(lmp, atoms)
    assert frame.elements == ("Li", "Cl", "Br")
    attach_potential(lmp, potential, frame.elements)
    lmp.command("run 0")
    expected = potential.evaluate(atoms)
    assert lmp.get_thermo("pe") == pytest.approx(expected.energy, abs=2e-5)
    np.testing.assert_allclose(forces_of(lmp, frame), expected.forces, atol=2e-5)
    stress = frame.rotation.T @ (-pressure_tensor(lmp) / BAR_PER_EV_A3) @ frame.rotation
    np.testing.assert_allclose(stress, expected.stress, atol=1e-6)


@needs_lammps
@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_what_is_put_in_comes_out(make):
    """Positions unwrapped, velocities, cell, order of atoms."""
    atoms = make()
    atoms.set_velocities(np.random.default_rng(0).normal(0, 0.01, (len(atoms), 3)))
    lmp = open_lammps()
    frame = fill_lammps(lmp, atoms)
    again = read_lammps(lmp, frame)
    assert again.get_chemical_symbols() == atoms.get_chemical_symbols()
    np.testing.assert_allclose(again.positions, atoms.positions, atol=1e-12)
    np.testing.assert_allclose(again.cell.array, atoms.cell.array, atol=1e-12)
    np.testing.assert_allclose(again.get_velocities(), atoms.get_velocities(), atol=1e-14)
    assert np.linalg.det(frame.rotation) == pytest.approx(1)
    assert frame.mirrors_c == (np.linalg.det(atoms.cell.array) < 0)
    masses = {"Cu": 63.546, "Au": 196.967}
    expected = [masses[symbol] for symbol in frame.elements]
    np.testing.assert_allclose(lmp.numpy.extract_atom("mass")[1:], expected, atol=1e-3)


@needs_lammps
def test_nve_moves_as_with_ase(emt):
    """Both are velocity Verlet: step by step the same path, up to LAMMPS's constants and chaos in 40 fs."""
    start = crystal(3, temperature_k=600)
    lmp = open_lammps()
    frame = fill_lammps(lmp, start)
    attach_potential(lmp, emt, frame.elements)
    lmp.commands_string("fix 1 all nve\ntimestep 0.002")
    atoms = start.copy()
    atoms.calc = EMT()
    dynamics = VelocityVerlet(atoms, timestep=2 * units.fs)
    for _ in range(5):
        lmp.command("run 4")
        dynamics.run(4)
        ours = read_lammps(lmp, frame)
        np.testing.assert_allclose(ours.positions, atoms.positions, atol=1e-6)
        # Velocities are of the order of 0.05 ASE units, forces act over 40 fs.
        np.testing.assert_allclose(ours.get_velocities(), atoms.get_velocities(), atol=1e-7)
        assert lmp.get_thermo("pe") == pytest.approx(atoms.get_potential_energy(), abs=1e-6)


@needs_lammps
def test_nvt_moves_as_with_ase(emt):
    """A chain of three thermostats of the same masses, 40 fs, LAMMPS told to count the centre of mass as ASE does.

    The two factor the chain's motion differently, which shows at second order in the time step: 1e-6 Angstrom at
    2 fs, where the thermostat itself has moved atoms by 1e-2.
    """
    start = crystal(3, temperature_k=600)
    lmp = open_lammps()
    frame = fill_lammps(lmp, start)
    attach_potential(lmp, emt, frame.elements)
    lmp.commands_string("fix 1 all nvt temp 300 300 0.1\ncompute_modify 1_temp extra/dof 0\ntimestep 0.002\nrun 20")
    atoms, free = start.copy(), start.copy()
    atoms.calc, free.calc = EMT(), EMT()
    NoseHooverChainNVT(atoms, 2 * units.fs, temperature_K=300, tdamp=100 * units.fs).run(20)
    VelocityVerlet(free, timestep=2 * units.fs).run(20)
    ours = read_lammps(lmp, frame)
    np.testing.assert_allclose(ours.positions, atoms.positions, atol=3e-6)
    np.testing.assert_allclose(ours.get_velocities(), atoms.get_velocities(), atol=3e-6)
    assert np.abs(ours.positions - free.positions).max() > 5e-3


@needs_lammps
@pytest.mark.parametrize("ensemble", ["nvt temp 300 300 0.1", "npt temp 300 300 0.1 tri 0 0 0.3"])
def test_what_lammps_conserves_is_conserved(emt, ensemble):
    """Energy plus thermostat plus barostat while the cell moves: the drift falls with the time step squared.

    Work done on the cell is stress times strain, here 0.05 eV/atom; a virial of wrong sign or with shears exchanged
    would leave a drift of that size at any time step. (`iso` is not tested: LAMMPS's own econserve of it drifts at
    any time step, with its own lj/cut too, version 22 Jul 2025.)
    """
    drifts = []
    for timestep, n_steps in ((0.002, 100), (0.001, 200)):
        lmp = open_lammps()
        frame = fill_lammps(lmp, crystal(4, temperature_k=300))
        attach_potential(lmp, emt, frame.elements)
        lmp.commands_string(f"fix 1 all {ensemble}\ntimestep {timestep}\nrun 0")
        start, cell = lmp.get_thermo("econserve"), read_lammps(lmp, frame).cell.array
        lmp.command(f"run {n_steps}")
        drifts.append(abs(lmp.get_thermo("econserve") - start) / 16)
        strain = np.linalg.solve(cell, read_lammps(lmp, frame).cell.array) - np.eye(3)
    assert drifts[1] < 2e-3
    assert drifts[1] < 0.35 * drifts[0]
    if "npt" in ensemble:
        assert np.abs(strain).max() > 0.02
        assert np.abs(strain - np.diag(np.diag(strain))).max() > 0.01


@needs_lammps
def test_minimize_in_lammps(emt):
    """LAMMPS's minimiser searches along lines: it needs energy and forces that belong together."""
    atoms = crystal(5)
    lmp = open_lammps()
    frame = fill_lammps(lmp, atoms)
    attach_potential(lmp, emt, frame.elements)
    lmp.commands_string("min_style cg\nminimize 0 1e-3 500 2000")
    end = emt.evaluate(read_lammps(lmp, frame))
    assert np.abs(end.forces).max() < 1e-3
    assert end.energy < emt.evaluate(atoms).energy - 0.5


class _Fragile:
    """Copper's potential for three evaluations."""

    name, weights_sha256, elements = "fragile", "", frozenset({"Cu", "Au"})

    def __init__(self, emt, error: BaseException) -> None:
        self.emt, self.error, self.n_left = emt, error, 3

    def evaluate_arrays(self, numbers, positions, cells, counts):
        self.n_left -= 1
        if self.n_left < 0:
            raise self.error
        return self.emt.evaluate_arrays(numbers, positions, cells, counts)


@needs_lammps
@pytest.mark.parametrize("error", [PhysicsRefusal("exploded", fix="start anew"), KeyboardInterrupt()])
def test_an_error_stops_the_run_and_is_raised(emt, error):
    """Nothing raised inside a callback of C is lost, Ctrl-C included, and LAMMPS can go on afterwards."""
    potential = _Fragile(emt, error)
    lmp = open_lammps()
    frame = fill_lammps(lmp, crystal(6, temperature_k=300))
    attach_potential(lmp, potential, frame.elements)
    lmp.command("fix 1 all nve")
    with pytest.raises(type(error)) as caught:
        lmp.command("run 100")
    assert caught.value is error
    assert lmp.extract_global("ntimestep") == 3
    potential.n_left = 50
    lmp.cmd.run(5)
    assert lmp.extract_global("ntimestep") == 8


@needs_lammps
def test_what_cannot_be_attached_is_refused(emt):
    lmp = open_lammps()
    with pytest.raises(InputError, match="no box"):
        attach_potential(lmp, emt, ["Cu"])
    frame = fill_lammps(lmp, crystal(0))
    with pytest.raises(InputError, match="already"):
        fill_lammps(lmp, crystal(0))
    with pytest.raises(InputError, match="2 atom types, and 1 elements"):
        attach_potential(lmp, emt, ["Cu"])
    with pytest.raises(InputError, match="not trained for Po, Xx"):
        attach_potential(lmp, emt, ["Xx", "Po"])
    attach_potential(lmp, emt, frame.elements)
    lj = open_lammps()
    lj.commands_string("region b block 0 9 0 9 0 9\ncreate_box 1 b")
    with pytest.raises(InputError, match="units lj"):
        attach_potential(lj, emt, ["Cu"])
    open_box = open_lammps()
    open_box.commands_string("units metal\nboundary p p f\nregion b block 0 9 0 9 0 9\ncreate_box 1 b")
    with pytest.raises(InputError, match="not periodic"):
        attach_potential(open_box, emt, ["Cu"])


@needs_lammps
@pytest.mark.parametrize(
    "atoms", [Atoms("Cu", cell=[5, 5, 5]), Atoms("Cu", cell=[5, 5, 0], pbc=True), Atoms(cell=[5] * 3, pbc=True)]
)
def test_a_structure_that_is_no_crystal_is_refused(atoms):
    with pytest.raises(InputError, match="periodic"):
        fill_lammps(open_lammps(), atoms)


@needs_lammps
def test_own_input_and_reordered_atoms(emt):
    """A box made by LAMMPS's own commands, origin off zero, atoms sorted in space as the run goes on."""
    lmp = open_lammps()
    lmp.commands_string(
        "units metal\natom_style atomic\nlattice fcc 3.6\nregion b block -1 1 -1 1 -1 2\ncreate_box 2 b\n"
        "create_atoms 1 box\nset group all type/fraction 2 0.4 17\nmass 1 63.546\nmass 2 196.967\n"
        "displace_atoms all random 0.1 0.1 0.1 5\nvelocity all create 900 4\npair_style zero 3.0\npair_coeff * *\n"
        "atom_modify sort 5 2.0\nfix 1 all nve\ntimestep 0.001"
    )
    attach_potential(lmp, emt, ("Cu", "Au"))
    lmp.command("run 0")
    start = lmp.get_thermo("etotal")
    lmp.command("run 100")
    n_atoms = lmp.extract_global("nlocal")
    assert not np.array_equal(lmp.numpy.extract_atom("id")[:n_atoms], np.arange(1, n_atoms + 1))
    assert lmp.get_thermo("etotal") == pytest.approx(start, abs=1e-3 * n_atoms)
    symbols = np.array(["Cu", "Au"])[lmp.numpy.extract_atom("type")[:n_atoms] - 1]
    low, high = lmp.extract_box()[:2]
    atoms = Atoms(symbols, positions=lmp.numpy.extract_atom("x")[:n_atoms], cell=np.subtract(high, low), pbc=True)
    found = np.array(lmp.numpy.extract_atom("f")[:n_atoms])
    np.testing.assert_allclose(found, emt.evaluate(atoms).forces, atol=1e-10)


def test_without_lammps_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "lammps", None)
    monkeypatch.setattr(bridge_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install") as caught:
        open_lammps()
    assert "mpich" in caught.value.fix
    assert isinstance(caught.value, HalionError)


def blocks(values: np.ndarray, n_blocks: int = 8) -> tuple[float, float]:
    """Mean and its error from block averages."""
    means = values[: len(values) // n_blocks * n_blocks].reshape(n_blocks, -1).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(n_blocks))


def averages_of_lammps(emt, start: Atoms, fix: str, n_steps: int) -> dict[str, np.ndarray]:
    lmp = open_lammps()
    frame = fill_lammps(lmp, start)
    attach_potential(lmp, emt, frame.elements)
    lmp.commands_string(f"fix 1 all {fix}\ntimestep 0.004\nrun {n_steps // 5}")
    found = {"pe": [], "volume": [], "pressure": []}
    for _ in range(n_steps // 5):
        lmp.command("run 5 pre no post no")
        found["pe"].append(lmp.get_thermo("pe"))
        found["volume"].append(lmp.get_thermo("vol"))
        found["pressure"].append(lmp.get_thermo("press") / BAR_PER_EV_A3)
    return {name: np.array(values) for name, values in found.items()}


def averages_of_ase(emt, start: Atoms, dynamics, n_steps: int) -> dict[str, np.ndarray]:
    atoms = start.copy()
    atoms.calc = PotentialCalculator(emt)
    run = dynamics(atoms)
    run.run(n_steps // 5)
    found = {"pe": [], "volume": [], "pressure": []}

    def note() -> None:
        found["pe"].append(atoms.get_potential_energy())
        found["volume"].append(atoms.get_volume())
        found["pressure"].append(-np.trace(atoms.get_stress(voigt=False, include_ideal_gas=True)) / 3)

    run.attach(note, interval=5)
    run.run(n_steps)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.slow
@needs_lammps
@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_averages_agree_with_ase(emt, ensemble):
    """Copper at 400 K, 8 atoms, 24 ps with each code's own thermostat and barostat on the same forces.

    Potential energy, volume and pressure agree within three standard errors of their difference. (LAMMPS keeps the
    centre of mass at rest and counts 3N-3 momenta, ASE counts 3N: ASE's temperature is set so that both mean 400 K
    per momentum that moves.)
    """
    start = bulk("Cu", cubic=True, a=3.63).repeat((2, 1, 1))
    thermalize_momenta(start, 400, rng=np.random.default_rng(1))
    Stationary(start)
    n_atoms, n_steps = len(start), 6_000
    fix = {"nvt": "nvt temp 400 400 0.1", "npt": "npt temp 400 400 0.1 tri 0 0 0.5"}[ensemble]
    temperature_k = 400 * (3 * n_atoms - 3) / (3 * n_atoms)

    def dynamics(atoms: Atoms):
        timestep, damping = 4 * units.fs, 100 * units.fs
        if ensemble == "nvt":
            return NoseHooverChainNVT(atoms, timestep, temperature_K=temperature_k, tdamp=damping)
        return MTKNPT(
            atoms, timestep, temperature_K=temperature_k, pressure_au=0.0, tdamp=damping, pdamp=500 * units.fs
        )

    ours, theirs = averages_of_lammps(emt, start, fix, n_steps), averages_of_ase(emt, start, dynamics, n_steps)
    for name in ("pe", "pressure" if ensemble == "nvt" else "volume"):
        (one, one_error), (other, other_error) = blocks(ours[name]), blocks(theirs[name])
        assert abs(one - other) < 3 * np.hypot(one_error, other_error), (name, one, one_error, other, other_error)
