"""Labels with dispersion: what the code gives, and D3 by the same function that potentials take at run time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ase import Atoms

from halion.errors import InputError
from halion.labels.types import Label, Labeller, Relaxed
from halion.potentials.dispersion import mentions_dispersion
from halion.potentials.dispersion_engine import CompiledDispersion
from halion.potentials.from_ase import join_arrays

__all__ = ["LabellerWithDispersion"]


class LabellerWithDispersion:
    """A code as a `Labeller`, with D3(BJ) of PBE added to energy, forces and stress after its calculation.

    A potential trained on such labels has learned dispersion; `load_potential` refuses to add it again.

    Args:
        labeller: a code that gives PBE without dispersion.
    Attributes:
        method: that of the code and "+D3(BJ)".
    Raises:
        InputError: the code has dispersion already.
    Checked by tests/labels/test_labels_dispersion.py.
    """

    def __init__(self, labeller: Labeller) -> None:
        if mentions_dispersion(labeller.method):
            raise InputError(
                f"'{labeller.method}' has dispersion already: it would count twice", fix="set dispersion to none"
            )
        self._labeller, self._dispersion = labeller, CompiledDispersion()
        self.method = f"{labeller.method} +D3(BJ)"

    def label(self, atoms: Atoms, folder: Path) -> Label:
        """Energy, forces and stress with dispersion, see `Labeller`."""
        label = self._labeller.label(atoms, folder)
        added = self._dispersion.evaluate(*join_arrays([atoms]))
        return Label(
            energy=label.energy + float(added.energies[0]),
            forces=label.forces + added.forces,
            stress=label.stress + added.virials[0] / atoms.get_volume(),
            provenance=replace(label.provenance, method=self.method),
        )

    def relax(self, atoms: Atoms, folder: Path, *, force_tolerance: float, max_steps: int) -> Relaxed:
        """Not offered: the code moves the atoms itself and would relax without dispersion.

        Raises:
            InputError: always.
        """
        raise InputError(
            "a code relaxes without the dispersion that is added to its labels",
            fix="relax with a potential and +d3, and label the relaxed structure",
        )
