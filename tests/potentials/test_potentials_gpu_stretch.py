"""Dynamics on the device: `run_batch` with whole steps there, and a GPU engine's twin with buffers of its own."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from gpu_setup import DEVICE, QUIET, chgnet_weights, small_batch

from halion.dynamics import MdRun, MdStage, open_trajectory, run_batch
from halion.potentials import load_potential
from halion.potentials.gpu.device_steps import GpuSteps
from halion.potentials.gpu.lists import Capacity
from halion.potentials.gpu_engine import GpuEngine

pytestmark = QUIET


@pytest.fixture(scope="module")
def engine():
    """Its first evaluation finds too little room for angles; in float64, so that rounding is all there is."""
    with pytest.MonkeyPatch.context() as patch:
        room = Capacity(slots=96, edges=256, bonds=32, angles=4)
        patch.setattr(Capacity, "guess", classmethod(lambda cls, n_atoms: room))
        yield GpuEngine(chgnet_weights(), device=DEVICE, precision="fp64")


class OnEngine:
    """CHGNet in float64: on the host from the oracle, on the device from the GPU engine."""

    def __init__(self, engine: GpuEngine, *, has_device: bool) -> None:
        self.oracle, self.engine, self.has_device = load_potential("chgnet-float64"), engine, has_device
        self.name, self.weights_sha256 = self.oracle.name, self.oracle.weights_sha256
        self.elements, self.evaluate_arrays = self.oracle.elements, self.oracle.evaluate_arrays

    def steps_on_device(self, numbers, counts):
        return GpuSteps(self.engine, numbers, counts) if self.has_device else None


def stage(**changes) -> MdStage:
    wanted = MdStage(
        ensemble="npt",
        n_steps=2,
        timestep_fs=1.0,
        temperature_k=600.0,
        pressure_gpa=1.0,
        store_every_steps=2,
        checkpoint_every_steps=2,
        seed=4,
    )
    return replace(wanted, **changes)


def rocksalt() -> Atoms:
    numbers, positions, cells, _ = small_batch()
    return Atoms(numbers[:2], positions=positions[:2], cell=cells[0], pbc=True)


def test_a_run_on_the_device_is_the_run_of_the_host(engine, tmp_path):
    """Flexible cell and heating; the graph of neighbours outgrows its first room on the way."""
    stages = [stage(), stage(ensemble="nvt", start_temperature_k=300.0)][: 2 if DEVICE == "cuda" else 1]
    found = []
    for name, has_device in (("host", False), ("device", True)):
        runs = [MdRun(folder=tmp_path / name / f"{k}", atoms=rocksalt(), stage=one) for k, one in enumerate(stages)]
        assert run_batch(runs, OnEngine(engine, has_device=has_device)) == [None] * len(stages)
        found.append([open_trajectory(run.folder) for run in runs])
    for host, device in zip(*found):
        # Positions are stored in float32; two steps of the same function in float64 are the same to rounding.
        assert np.abs(host.positions - device.positions).max() < 1e-6
        assert np.abs(host.cells - device.cells).max() < 1e-10
        assert np.abs(host.potential_energy - device.potential_energy).max() < 1e-8
        assert np.abs(host.temperature_k - device.temperature_k).max() < 1e-7


def test_a_twin_leaves_the_buffers_alone(engine):
    numbers, _, _, counts = small_batch()
    engine.prepare(numbers[:2], counts[:1])
    twin = engine.twin()
    twin.prepare(numbers, counts)
    assert engine.needed.data_ptr() != twin.needed.data_ptr()
    assert engine._graph.n_atoms == 2 and twin._graph.n_atoms == 5


@pytest.mark.gpu
def test_chgnet_on_cuda_takes_stretches(tmp_path):
    """The public way: frames as those of the CPU while the motion is short."""
    found = []
    for device in ("cpu", "cuda"):
        run = MdRun(
            folder=tmp_path / device, atoms=rocksalt().repeat(3), stage=stage(n_steps=20, store_every_steps=10)
        )
        run = replace(run, stage=replace(run.stage, checkpoint_every_steps=10))
        assert run_batch([run], load_potential("chgnet", device=device)) == [None]
        found.append(open_trajectory(run.folder))
    assert np.abs(found[0].positions - found[1].positions).max() < 1e-4
