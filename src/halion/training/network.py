"""CHGNet as a function of its weights: energy, forces and stress that a loss on them can be differentiated through.

The weights are folded anew for every step (see `potentials.folded`), which is a few products of 64 x 64 matrices,
and the network then runs with a third of chgnet's operations. Forces and stress are one derivative by the bond
vectors, F_i = -sum_{b: centre i} g_b + sum_{b: neighbour i} g_b and sigma = (1/V) sum_b vec_b (x) g_b, kept
differentiable. How a training step comes by its gradient is in `gradients`.

Method: Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from chgnet.model import CHGNet
from torch import Tensor

from halion.labels import LabelledFrame
from halion.potentials.cpu_engine import CpuEngine
from halion.potentials.folded import FoldedWeights, fold_tensors, fold_weights
from halion.potentials.torch_engine import as_tensors
from halion.potentials.torch_graph import CrystalGraph, build_graph, join_graphs
from halion.potentials.torch_network import Frequencies, site_energies
from halion.training.blocks import trainable_names

__all__ = ["GraphedFrame", "Predicted", "TrainableNetwork", "graphed", "predict"]

_FREQUENCIES = (
    "bond_basis_expansion.rbf_expansion_ag.frequencies",
    "bond_basis_expansion.rbf_expansion_bg.frequencies",
    "angle_basis_expansion.fourier_expansion.frequencies",
)
_REFERENCES = "composition_model.fc.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphedFrame:
    """A labelled frame with its graph, made once.

    Attributes:
        graph: bonds and angles.
        positions, cell: (n_atoms, 3), (3, 3) Angstrom. volume: Angstrom^3.
        energy: eV. forces: (n_atoms, 3) eV/Angstrom. stress: (3, 3) eV/Angstrom^3.
    """

    graph: CrystalGraph
    positions: np.ndarray
    cell: np.ndarray
    volume: float
    energy: float
    forces: np.ndarray
    stress: np.ndarray

    @property
    def n_atoms(self) -> int:
        """Atoms of the frame."""
        return len(self.graph.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What the network says of a batch, in double precision, differentiable by the weights.

    Attributes:
        energies: (n_frames,) eV with the references of the elements.
        forces: (n_atoms_total, 3) eV/Angstrom.
        stresses: (n_frames, 3, 3) symmetric, eV/Angstrom^3, tension positive.
    """

    energies: Tensor
    forces: Tensor
    stresses: Tensor


class TrainableNetwork:
    """The weights of a CHGNet as leaves, some of them trained.

    Args:
        model: a CHGNet of the architecture of 0.3.0; not changed.
        frozen: names of blocks that stay as they are, see `BLOCKS`.
        device: "cpu" or "cuda".
        dtype: of the network; geometry, bases and sums are double.
    Attributes:
        weights: all by their names in chgnet.
        trained: names of those that require gradients, in chgnet's order.
    Checked by tests/training/test_training_network.py: values against `TorchEngine`, gradients of the loss against
    chgnet's own network in double precision.
    """

    def __init__(
        self, model: CHGNet, *, frozen: Iterable[str] = (), device: str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        names = [name for name, _ in model.named_parameters()]
        self.trained = trainable_names(names, frozen)
        self.device, self.dtype = torch.device(device), dtype
        self.weights: dict[str, Tensor] = {
            name: tensor.detach().to(self.device, dtype, copy=True) for name, tensor in model.state_dict().items()
        }
        for name in self.trained:
            self.weights[name].requires_grad_(True)
        self._references = self.weights[_REFERENCES][0].double()

    def parameters(self) -> list[Tensor]:
        """The trained weights."""
        return [self.weights[name] for name in self.trained]

    def state(self) -> dict[str, Tensor]:
        """Copies of all weights, on the host, by their names in chgnet."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.weights.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the values of all weights."""
        with torch.no_grad():
            for name, tensor in self.weights.items():
                tensor.copy_(state[name])
        self._references = self.weights[_REFERENCES][0].detach().double()

    def folded(self) -> tuple[FoldedWeights, Frequencies]:
        """The folded weights and the frequencies of the bases, differentiable by the trained weights."""
        radial, near, angles = (self.weights[name].double() for name in _FREQUENCIES)
        return fold_tensors(self.weights), (radial, near, angles)

    def engine(self) -> CpuEngine | None:
        """The compiled engine with the weights of this moment; None where the network is not for it."""
        if self.device.type != "cpu" or self.dtype != torch.float32:
            return None
        return CpuEngine(fold_weights(self.weights), threads=torch.get_num_threads(), skin=0.0)

    def batch(self, frames: Sequence[GraphedFrame]) -> tuple[CrystalGraph, Tensor]:
        """One graph of tensors, and volumes (n_frames,)."""
        volumes = torch.tensor([frame.volume for frame in frames], dtype=torch.float64, device=self.device)
        return as_tensors(join_graphs([frame.graph for frame in frames]), self.device, torch.float64), volumes

    def __call__(self, frames: Sequence[GraphedFrame], *, differentiable: bool = True) -> Predicted:
        """Energy, forces and stress of a batch.

        Args:
            frames: their labels are not looked at.
            differentiable: whether a loss on forces and stress will be differentiated by the weights.
        """
        graph, volumes = self.batch(frames)
        with torch.set_grad_enabled(True):
            folded, frequencies = self.folded()
            vectors = graph.vectors.requires_grad_(True)
            sites = site_energies(folded, frequencies, graph, vectors).double()
            (slopes,) = torch.autograd.grad(sites.sum(), vectors, create_graph=differentiable)
            return _sums(graph, vectors, slopes, sites, volumes, self._references)


def _sums(
    graph: CrystalGraph, vectors: Tensor, slopes: Tensor, sites: Tensor, volumes: Tensor, references: Tensor
) -> Predicted:
    n = len(volumes)
    energies = sites.new_zeros(n).index_add(0, graph.structures, sites + references[graph.numbers - 1])
    forces = slopes.new_zeros(len(graph.numbers), 3)
    forces = forces.index_add(0, graph.centres, slopes, alpha=-1).index_add(0, graph.neighbours, slopes)
    outer = vectors.detach()[:, :, None] * slopes[:, None, :]
    virials = outer.new_zeros(n, 3, 3).index_add(0, graph.structures[graph.centres], outer)
    stresses = (virials + virials.transpose(1, 2)) / (2 * volumes[:, None, None])
    return Predicted(energies=energies, forces=forces, stresses=stresses)


def graphed(labelled: Sequence[LabelledFrame]) -> list[GraphedFrame]:
    """Graphs of labelled frames."""
    return [
        GraphedFrame(
            graph=build_graph(one.frame.atoms.numbers, one.frame.atoms.positions, one.frame.atoms.cell.array),
            positions=one.frame.atoms.positions,
            cell=one.frame.atoms.cell.array,
            volume=float(one.frame.atoms.get_volume()),
            energy=one.label.energy,
            forces=one.label.forces,
            stress=one.label.stress,
        )
        for one in labelled
    ]


def predict(network: TrainableNetwork, frames: Sequence[GraphedFrame], batch_size: int) -> Predicted:
    """The same for many frames, batch by batch, nothing kept for a gradient."""
    engine = network.engine()
    parts = [
        network(part, differentiable=False) if engine is None else _evaluated(engine, part)
        for part in (frames[start : start + batch_size] for start in range(0, len(frames), batch_size))
    ]
    return Predicted(
        energies=torch.cat([part.energies.detach() for part in parts]),
        forces=torch.cat([part.forces.detach() for part in parts]),
        stresses=torch.cat([part.stresses.detach() for part in parts]),
    )


def _evaluated(engine: CpuEngine, frames: Sequence[GraphedFrame]) -> Predicted:
    said = engine.evaluate(
        np.concatenate([frame.graph.numbers for frame in frames]),
        np.concatenate([frame.positions for frame in frames]),
        np.stack([frame.cell for frame in frames]),
        np.array([frame.n_atoms for frame in frames]),
    )
    volumes = np.array([frame.volume for frame in frames])[:, None, None]
    return Predicted(
        energies=torch.from_numpy(said.energies),
        forces=torch.from_numpy(said.forces),
        stresses=torch.from_numpy((said.virials + said.virials.transpose(0, 2, 1)) / (2 * volumes)),
    )
