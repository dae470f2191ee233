"""Potentials by name: the built-in CHGNet, a checkpoint's path, or a second opinion from an optional package."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols

from halion.errors import InputError, MissingDependency, nearest
from halion.potentials.backends import Backend, use_threads
from halion.potentials.chgnet import CHGNET_ELEMENTS, ChgnetPotential
from halion.potentials.chgnet_model import checkpoint_labels, load_model, weights_sha256
from halion.potentials.dispersion import Dispersion, add_dispersion
from halion.potentials.dispersion_engine import CompiledDispersion
from halion.potentials.dispersion_library import LibraryDispersion
from halion.potentials.from_ase import PotentialCalculator, PotentialFromAse
from halion.potentials.shipped import SHIPPED, shipped_path
from halion.potentials.types import Potential

__all__ = ["KNOWN_POTENTIALS", "ase_calculator", "load_potential"]

# The models whose weights lie inside the wheel of sevenn 0.13, with the level of theory ("modal") of those that
# know several; others are given by path as "sevenn:PATH" or "sevenn:PATH@MODAL".
_SEVENN = {"7net-0": "", "7net-l3i5": "", "7net-mf-0": "PBE"}
_MATGL = "m3gnet"
_MATGL_MODEL = "M3GNet-PES-MatPES-PBE-2025.2"
_MATGL_OWNER = "materialyze"  # who keeps matgl's models on Hugging Face
_CHGNET: dict[str, Backend] = {
    "chgnet": "fast",
    "chgnet-0.3.0": "fast",
    "chgnet-torch": "torch",
    "chgnet-float64": "float64",
}
_REFERENCE = "chgnet-reference"
# What may follow any of these names.
_DISPERSION: dict[str, Callable[[], Dispersion]] = {
    "+d3": CompiledDispersion,
    "+d3-reference": LibraryDispersion,
}

KNOWN_POTENTIALS = (*_CHGNET, _REFERENCE, *SHIPPED, *_SEVENN, _MATGL)


def load_potential(name: str, *, device: str = "cpu", threads: int | None = None) -> Potential:
    """The potential of this name.

    Args:
        name: "chgnet" (the pretrained 0.3.0 on the fastest engine; also "chgnet-0.3.0"), "chgnet-torch" (in plain
            torch), "chgnet-float64" (in double precision, to check the others), "chgnet-reference" (chgnet's own
            ASE calculator), the path of a fine-tuned CHGNet checkpoint or one of these names with it, as
            "chgnet-float64:PATH"; "halion-LYCB-600K" and the like, fine-tuned by halion (see `shipped`); "7net-0",
            "7net-l3i5", "7net-mf-0" (its PBE), "sevenn:PATH" or "sevenn:PATH@MODAL" (extra `sevenn`); "m3gnet" or
            "matgl:PATH" (extra `matgl`). Any of them with "+d3" behind it has D3 dispersion added (see
            `dispersion`), with "+d3-reference" that of s-dftd3 (extra `dispersion`).
        device: "cpu" or "cuda".
        threads: processor threads that one evaluation may use; None leaves it to the environment
            (OMP_NUM_THREADS, then all cores). Potentials in torch take it for the whole process.
    Raises:
        InputError: an unknown name (the nearest known one is named), a checkpoint that cannot be used, no thread
            at all, or dispersion on a potential that has it.
        MissingDependency: the potential's package is not installed, or its weights are not on this machine.
    A CHGNet checkpoint is read as data. Those of the extras are unpickled by their own packages, which may run
    code that the file holds: take them from people you trust.

    Checked by tests/potentials/test_potentials_load.py.
    """
    for ending, dispersion in _DISPERSION.items():
        if name.lower().endswith(ending) and not Path(name).is_file():
            plain = name[: -len(ending)]
            base = load_potential(plain, device=device, threads=threads)
            return add_dispersion(base, dispersion(), labels=_labels_of(plain))
    kind, _, path = name.partition(":")
    kind = kind.lower()
    if kind in _CHGNET:
        return ChgnetPotential(path or None, backend=_CHGNET[kind], device=device, threads=threads)
    if name.lower() in SHIPPED:
        return ChgnetPotential(shipped_path(name.lower()), device=device, threads=threads)
    if Path(name).is_file():
        return ChgnetPotential(name, device=device, threads=threads)
    if threads is not None:
        use_threads(threads)
    if kind == _REFERENCE:
        return _chgnet_reference(path, device)
    if name.lower() in _SEVENN:
        return _sevenn(name.lower(), _SEVENN[name.lower()], device)
    if name.lower() == _MATGL:
        return _matgl(_MATGL_MODEL, device)
    if kind in ("sevenn", "matgl") and path:
        return _from_path(kind, path, device)
    if Path(name).suffix or "/" in name:
        _refuse_missing_file(name)
    raise InputError(
        f"there is no potential '{name}': {nearest(name.lower(), KNOWN_POTENTIALS)}",
        fix=f"use one of {', '.join(KNOWN_POTENTIALS)}, or the path of a CHGNet checkpoint",
    )


def ase_calculator(name: str, *, device: str = "cpu", threads: int | None = None) -> Calculator:
    """The potential of this name as an ASE calculator, for scripts of your own.

    Energy in eV, forces in eV/Angstrom, stress in eV/Angstrom^3 (tension positive), as ASE has them::

        from halion.potentials import ase_calculator
        atoms.calc = ase_calculator("chgnet", threads=2)
        atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()

    Args:
        name: any name or checkpoint path that `load_potential` takes.
        device: "cpu" or "cuda".
        threads: processor threads; None leaves it to the environment.
    Raises:
        InputError, MissingDependency: as `load_potential`; evaluations raise what the potential's `evaluate` does.

    Checked by test_ase_calculator_is_the_potential in tests/potentials/test_potentials_load.py.
    """
    return PotentialCalculator(load_potential(name, device=device, threads=threads))


def _labels_of(name: str) -> str:
    """Method of the labels that halion fine-tuned this potential to; "" where its checkpoint says nothing."""
    kind, _, path = name.partition(":")
    if name.lower() in SHIPPED:
        return checkpoint_labels(shipped_path(name.lower()))
    checkpoint = Path(path if kind.lower() in (*_CHGNET, _REFERENCE) else name)
    return checkpoint_labels(checkpoint) if checkpoint.is_file() else ""


def _from_path(package: str, path: str, device: str) -> Potential:
    path, _, modal = path.partition("@")
    _refuse_missing_file(path)
    return _sevenn(path, modal, device) if package == "sevenn" else _matgl(path, device)


def _refuse_missing_file(path: str) -> None:
    if not Path(path).exists():
        raise InputError("there is no such checkpoint", where=path, fix="check the path, or use 'chgnet'")


def _require(package: str, extra: str, name: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingDependency(
            f"the potential '{name}' needs the package {package}, which is not installed",
            fix=f'pip install "halion[{extra}]"',
        )


def _chgnet_reference(checkpoint: str, device: str) -> Potential:
    import contextlib
    import io

    from chgnet.model.dynamics import CHGNetCalculator

    model = load_model(checkpoint or None)
    with contextlib.redirect_stdout(io.StringIO()):
        calculator = CHGNetCalculator(model, use_device=device, on_isolated_atoms="error")
    return PotentialFromAse(
        calculator,
        name=_REFERENCE + (f":{Path(checkpoint).name}" if checkpoint else ""),
        elements=sorted(CHGNET_ELEMENTS),
        weights_sha256=weights_sha256(model),
    )


def _sevenn(model: str, modal: str, device: str) -> Potential:
    _require("sevenn", "sevenn", model)
    from sevenn.calculator import SevenNetCalculator

    try:
        calculator = SevenNetCalculator(model, device=device, modal=modal or None)
    except (ValueError, RuntimeError, KeyError, EOFError, UnpicklingError) as error:
        raise InputError(
            f"sevenn cannot use this model ({' '.join(str(error).split())[:160]})",
            where=model,
            fix="pass a SevenNet checkpoint as 'sevenn:PATH', or 'sevenn:PATH@MODAL' if it knows several modals",
        ) from error
    return PotentialFromAse(
        calculator,
        name=_short(model) + (f"@{modal}" if modal else ""),
        elements=[chemical_symbols[number] for number in calculator.type_map],
        weights_sha256=_digest(calculator.model),
    )


def _matgl(model: str, device: str) -> Potential:
    _require("matgl", "matgl", model)
    import matgl
    from matgl.ext.ase import PESCalculator

    try:
        potential = matgl.load_model(model)
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())[:120]
        if Path(model).exists():
            raise InputError(
                f"matgl cannot use this model ({said})",
                where=model,
                fix="pass the folder that matgl's save() wrote",
            ) from error
        raise MissingDependency(
            f"the weights '{model}' are neither on this machine nor within reach ({said})",
            fix=f"hf download {_MATGL_OWNER}/{model} --local-dir {model}   (on a machine that reaches "
            f"huggingface.co), then use the potential 'matgl:{model}'",
        ) from error
    return PotentialFromAse(
        PESCalculator(potential.to(device), stress_unit="eV/A3"),
        name=_short(model),
        elements=potential.model.element_types,
        weights_sha256=_digest(potential),
    )


def _short(model: str) -> str:
    return Path(model).name.split(".pt")[0].lower()


def _digest(model: torch.nn.Module) -> str:
    """SHA-256 over the bytes of every weight, in the order of their names."""
    content = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        content.update(name.encode() + np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return content.hexdigest()
