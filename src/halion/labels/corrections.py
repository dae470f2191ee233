"""Corrections of the Materials Project, by which its energies (pretrained CHGNet's) differ from plain PBE."""

from __future__ import annotations

import warnings
from dataclasses import replace

from halion.errors import InputError
from halion.labels.types import LabelledFrame

__all__ = ["MP2020_NAME", "mp2020_ev", "with_mp2020"]

MP2020_NAME = "MP2020"


def mp2020_ev(formula: str) -> float:
    """Correction of the energy of a formula, eV: a constant per anion and per oxidised transition metal.

    Args:
        formula: of the whole cell, for PBE without U, e.g. "Li3YCl6": -0.614 eV for each Cl, -0.534 for each Br.
    Raises:
        InputError: the scheme has no value for it.
    Source: Wang et al., Sci. Rep. 11, 15496 (2021); values of pymatgen's MaterialsProject2020Compatibility. Checked
        by tests/labels/test_labels_corrections.py against the published table.
    """
    from pymatgen.entries.compatibility import CompatibilityError, MaterialsProject2020Compatibility
    from pymatgen.entries.computed_entries import ComputedEntry

    entry = ComputedEntry(formula, 0.0, parameters={"run_type": "GGA", "hubbards": {}})
    scheme = MaterialsProject2020Compatibility(check_potcar=False)
    with warnings.catch_warnings():  # that oxide kinds are guessed from the composition alone
        warnings.simplefilter("ignore")
        try:
            return float(sum(one.value for one in scheme.get_adjustments(entry)))
        except CompatibilityError as error:
            raise InputError(
                f"the MP2020 corrections do not cover {formula}: {error}", fix="import it without --mp2020"
            ) from error


def with_mp2020(labelled: LabelledFrame) -> LabelledFrame:
    """The label with its energy corrected and its method renamed; forces and stress are those of plain PBE.

    Fine-tuning does without: what a constant per element can absorb, the references do (`training.references`).
    """
    label, formula = labelled.label, labelled.frame.atoms.get_chemical_formula()
    provenance = replace(label.provenance, method=f"{label.provenance.method} + {MP2020_NAME}")
    return replace(labelled, label=replace(label, energy=label.energy + mp2020_ev(formula), provenance=provenance))
