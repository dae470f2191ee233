"""Fine-tuned potentials that come with halion: checkpoints beside this file, known by name and digest.

They are CHGNet 0.3.0 fine-tuned by `halion loop` on PBE labels of GPAW; which labels, and the errors on frames that
they never saw: docs/learning.md. chgnet itself loads the same files (`CHGNet.from_file`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from halion.errors import TornFile
from halion.files import file_sha256

__all__ = ["SHIPPED", "Shipped", "shipped_for", "shipped_path"]

_FOLDER = Path(__file__).with_name("weights")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One fine-tuned potential.

    Attributes:
        file: name of its checkpoint.
        sha256: of the file.
        elements: that it was fine-tuned for.
        highest_temperature_k: of the frames that it learned from.
        quick_temperatures_k: of a quick study: even in 1/T, from where ions hop in `quick_production_ps` on
            up to where the framework still holds.
        quick_production_ps: length of its runs.
    """

    file: str
    sha256: str
    elements: frozenset[str]
    highest_temperature_k: float
    quick_temperatures_k: tuple[float, ...] = (500.0, 540.0, 590.0, 650.0)
    quick_production_ps: float = 150.0


_LYCB = frozenset({"Li", "Y", "Cl", "Br"})

# The last one has seen most, mixtures and cells at rest too, and is the one that studies take.
SHIPPED: dict[str, Shipped] = {
    "halion-lycb-200k": Shipped(
        file="halion-LYCB-200K.pth.tar",
        sha256="021ca4164738dac0749441235460f7612f19ecc07f923a4d4acb5688f1710014",
        elements=_LYCB,
        highest_temperature_k=200.0,
    ),
    "halion-lycb-400k": Shipped(
        file="halion-LYCB-400K.pth.tar",
        sha256="b8c81961e941023179c250d763ddd2a316ad8c0989819807be07958e7c2e6ab5",
        elements=_LYCB,
        highest_temperature_k=400.0,
    ),
    "halion-lycb-600k": Shipped(
        file="halion-LYCB-600K.pth.tar",
        sha256="04f2cc945c2ee4f7be64dd8b596cb2e14d2bfc6e6192e596a887f0a11cfe43be",
        elements=_LYCB,
        highest_temperature_k=600.0,
    ),
    "halion-lycb-800k": Shipped(
        file="halion-LYCB-800K.pth.tar",
        sha256="137fd77593e2843e28f4ece7ae2c1ddf26a6b2c8703f230708f0bbf2bf9a8975",
        elements=_LYCB,
        highest_temperature_k=800.0,
    ),
    "halion-lycb": Shipped(
        file="halion-LYCB.pth.tar",
        sha256="4325ec4e96542092e615be529b04ac969274c49eea4d30e96eaf611641d8e81d",
        elements=_LYCB,
        highest_temperature_k=800.0,
    ),
}


def shipped_path(name: str) -> Path:
    """The checkpoint of a shipped potential.

    Raises:
        TornFile: the file is not the one that was shipped.
    """
    shipped = SHIPPED[name]
    path = _FOLDER / shipped.file
    if not path.exists() or file_sha256(path) != shipped.sha256:
        raise TornFile(
            "the weights of this potential are missing or not those that came with halion",
            where=str(path),
            fix="pip install --force-reinstall --no-deps halion",
        )
    return path


def shipped_for(elements: Iterable[str]) -> str | None:
    """The best shipped potential that was fine-tuned for a material of these elements, or None.

    Its cations must all be there: LiCl alone is not the material.
    """
    wanted = set(elements)
    fitting = [
        name
        for name, one in SHIPPED.items()
        if wanted <= one.elements and {"Li", "Y"} <= wanted and wanted & {"Cl", "Br"}
    ]
    return fitting[-1] if fitting else None
