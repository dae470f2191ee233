"""The neighbour list and this step's graph of a batch, in buffers of fixed size on the device.

The list holds pairs up to 6 Angstrom plus a skin; it is built anew, structure by structure, when atoms or cell have
moved so far that a pair could have come within 6 Angstrom unseen. Every step keeps of it exactly the pairs within
6 and 3 Angstrom, in the same order whenever the list was built: results do not depend on the skin.

Everything is launched without asking the device anything, so it can be captured in a CUDA graph. How much room was
needed is kept as a running maximum in `needed`, for the host to look at when it likes (`Capacity.grown`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from halion.errors import InputError
from halion.potentials.gpu.launch import launch, tiles
from halion.potentials.gpu.list_kernels import (
    MOST_IMAGES,
    build_rows,
    check_structures,
    match_reverse,
    remember,
    wrap_atoms,
)
from halion.potentials.gpu.pair_kernels import count_pairs, fill_angles, fill_bonds, fill_pairs, reverse_edges

__all__ = ["CUTOFF", "Capacity", "DeviceGraph"]

CUTOFF = 6.0
_LANES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Room of the buffers: list places per atom, and edges, bonds and angles of the whole batch."""

    slots: int
    edges: int
    bonds: int
    angles: int

    @classmethod
    def guess(cls, n_atoms: int) -> Capacity:
        """Room for a halide at 0.045 atoms per cubic Angstrom, with about a fifth to spare."""
        return cls(slots=64, edges=48 * n_atoms, bonds=_whole(6 * n_atoms), angles=_whole(24 * n_atoms))

    def grown(self, needed: list[int]) -> Capacity | None:
        """Room for what was needed (slots, edges, bonds, angles), a fifth to spare; None if there was enough."""
        room = [self.slots, self.edges, self.bonds, self.angles]
        if all(want <= have for want, have in zip(needed, room)):
            return None
        # A list that was too short hid edges, and edges hid bonds: the counts after it are too low.
        wider = [have if want <= have else _whole(want + want // 5) for want, have in zip(needed, room)]
        return Capacity(slots=wider[0], edges=wider[1], bonds=wider[2], angles=wider[3])


def _whole(size: int) -> int:
    """The next multiple of 16: kernels are compiled for sizes that are, and for any others once more."""
    return tiles(size, 16) * 16


class DeviceGraph:
    """Neighbours of a batch of cells.

    Args:
        counts: atoms of each structure.
        device: where the buffers live.
        capacity: their room.
        skin: Angstrom beyond 6 that the list covers.
    """

    def __init__(self, counts: list[int], device: torch.device, capacity: Capacity, skin: float) -> None:
        self.n_atoms, self.n_structures, self.capacity, self.skin = int(sum(counts)), len(counts), capacity, skin
        if self.n_atoms * capacity.slots * 3 >= 2**31 or capacity.edges * 128 >= 2**31:
            raise InputError(
                f"a batch of {self.n_atoms} atoms with {capacity.edges} pairs is too large for 32-bit indices",
                fix="split the batch",
            )
        whole = {"dtype": torch.int32, "device": device}
        real = {"dtype": torch.float64, "device": device}
        structure = torch.arange(self.n_structures, device=device)
        self.structure_of = torch.repeat_interleave(structure, torch.tensor(counts, device=device)).int()
        self.starts = torch.tensor([0, *torch.tensor(counts).cumsum(0).tolist()], **whole)
        self._old_positions = torch.full((self.n_atoms, 3), torch.nan, **real)
        self._old_cells = torch.full((self.n_structures, 3, 3), torch.nan, **real)
        self.stale = torch.ones(self.n_structures, **whole)
        self._images = torch.zeros(self.n_structures, 3, **whole)
        self._images_needed = torch.zeros(self.n_structures, **whole)
        self._wrapped = torch.zeros(self.n_atoms, 3, **real)
        self._wraps = torch.zeros(self.n_atoms, 3, **whole)
        self.row_counts = torch.zeros(self.n_atoms, **whole)
        slots = self.n_atoms * capacity.slots
        self.neighbours = torch.zeros(slots, **whole)
        self.shifts = torch.zeros(slots, 3, **whole)
        self._reverse_slots, self._slot_edges = torch.zeros(slots, **whole), torch.zeros(slots, **whole)
        self._counts = torch.zeros(3, self.n_atoms, **whole)
        self._starts = torch.zeros(3, self.n_atoms + 1, **whole)
        self.edge_starts, self.bond_starts, self.angle_starts = self._starts
        self.n_edges, self.n_bonds, self.n_angles = (starts[self.n_atoms :] for starts in self._starts)
        self.edges = torch.zeros(4, capacity.edges, **whole)
        self.vectors, self.lengths = torch.zeros(capacity.edges, 3, **real), torch.ones(capacity.edges, **real)
        self.bonds = torch.zeros(3, capacity.bonds, **whole)
        self.units, self.bond_lengths = torch.zeros(capacity.bonds, 3, **real), torch.ones(capacity.bonds, **real)
        self.first_angles = torch.zeros(capacity.bonds + 1, **whole)
        self.angles = torch.zeros(4, capacity.angles, **whole)
        self.needed = torch.zeros(5, **whole)

    def update(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        """Edges, bonds and angles of these positions (n_atoms, 3) and cells (n_structures, 3, 3), float64."""
        self._update_list(positions, cells)
        self._update_pairs(positions, cells)

    def _update_list(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        reach, slots = CUTOFF + self.skin, self.capacity.slots
        launch(
            check_structures,
            (self.n_structures,),
            (
                positions,
                cells,
                self._old_positions,
                self._old_cells,
                self.starts,
                self.stale,
                self._images,
                self._images_needed,
            ),
            {"REACH": reach, "CUTOFF": CUTOFF, "BLOCK": 128},
        )
        blocks = (tiles(self.n_atoms, 128),)
        atoms = (positions, cells, self.structure_of, self.stale, self._wrapped, self._wraps)
        launch(wrap_atoms, blocks, (*atoms, self.n_atoms), {"BLOCK": 128})
        rows = (self.row_counts, self.neighbours, self.shifts)
        launch(
            build_rows,
            (self.n_atoms,),
            (self._wrapped, self._wraps, cells, self.structure_of, self.starts, self.stale, self._images, *rows),
            {"SLOTS": slots, "REACH": reach, "BLOCK": 256},
        )
        reverse = (self.structure_of, self.stale, *rows, self._reverse_slots)
        search = {"SLOTS": slots, "STEPS": slots.bit_length(), "BLOCK": _LANES}
        launch(match_reverse, (self.n_atoms,), reverse, search)
        kept = (positions, self._old_positions, self.structure_of, self.stale)
        launch(remember, blocks, (*kept, self.n_atoms), {"BLOCK": 128})
        self._old_cells.copy_(torch.where(self.stale[:, None, None] != 0, cells, self._old_cells))

    def _update_pairs(self, positions: torch.Tensor, cells: torch.Tensor) -> None:
        room = self.capacity
        pairs = (positions, cells, self.structure_of, self.row_counts, self.neighbours, self.shifts)
        launch(
            count_pairs,
            (self.n_atoms,),
            (*pairs, self._counts, self.n_atoms),
            {"SLOTS": room.slots, "BLOCK": _LANES},
        )
        self._starts[:, 1:] = torch.cumsum(self._counts, dim=1, dtype=torch.int32)
        launch(
            fill_pairs,
            (self.n_atoms,),
            (
                *pairs,
                self.edge_starts,
                self.bond_starts,
                self._slot_edges,
                self.edges,
                self.vectors,
                self.lengths,
                self.bonds,
            ),
            {"EDGES": room.edges, "BONDS": room.bonds, "SLOTS": room.slots, "BLOCK": _LANES},
        )
        links = (self.n_edges, self.edges, self._slot_edges, self._reverse_slots)
        launch(reverse_edges, (tiles(room.edges, 256),), links, {"EDGES": room.edges, "BLOCK": 256})
        blocks = (tiles(room.bonds, 128),)
        bonds = (self.n_bonds, self.edges, self.bonds, self.vectors, self.lengths, self.units, self.bond_lengths)
        launch(fill_bonds, blocks, bonds, {"EDGES": room.edges, "BONDS": room.bonds, "BLOCK": 128})
        rows = (self.n_bonds, self.bonds, self.bond_starts, self.angle_starts, self.first_angles, self.angles)
        launch(fill_angles, blocks, rows, {"ANGLES": room.angles, "BONDS": room.bonds, "BLOCK": 128})
        totals = (self.row_counts.amax()[None], self._starts[:, -1], self._images_needed.amax()[None])
        torch.maximum(self.needed, torch.cat(totals), out=self.needed)

    def look(self, needed: list[int] | None = None) -> Capacity | None:
        """Whether everything fitted since the last look; without `needed`, a copy of it, the device is asked.

        Returns:
            None if it did, else the room that it wants.
        Raises:
            InputError: a cell so thin that it cannot be meant.
        """
        *needed, images = self.needed.tolist() if needed is None else needed
        self.needed.zero_()
        if images > MOST_IMAGES.value:
            raise InputError(
                f"a cell is so thin that {CUTOFF + self.skin} Angstrom reach over {images} images of it",
                fix=f"check the cells: at most {MOST_IMAGES.value} images are looked at",
            )
        return self.capacity.grown(needed)
