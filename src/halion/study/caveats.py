"""What a reader must know before the numbers: said from the settings and the crystal, not from habit."""

from __future__ import annotations

from halion.crystal.types import DisorderedCrystal
from halion.orderings.types import Composition
from halion.potentials.shipped import SHIPPED, shipped_for
from halion.settings import StudySettings

__all__ = ["caveats_of", "known_change_k"]

# The names under which the pretrained weights are known; with a path behind them they are fine-tuned ones.
_PRETRAINED = ("chgnet", "chgnet-0.3.0", "chgnet-torch", "chgnet-float64", "chgnet-reference")


def caveats_of(
    settings: StudySettings, crystal: DisorderedCrystal, composition: Composition, *, n_atoms: int
) -> tuple[str, ...]:
    """Sentences for the top of the report, most important first; `n_atoms` move in the dynamics."""
    return tuple(
        text
        for text in (
            _quick(settings, n_atoms),
            _pretrained(settings, crystal),
            _finetuned(settings),
            _two_regimes(settings, crystal),
            _rounded(composition),
        )
        if text
    )


def _quick(settings: StudySettings, n_atoms: int) -> str:
    if settings.preset != "quick":
        return ""
    dynamics = settings.dynamics
    return (
        f"This is a quick run: {dynamics.production_ps:g} ps of dynamics at {len(dynamics.temperatures_k)} "
        f"temperatures in a cell of {n_atoms} atoms, after {dynamics.npt_ps:g} ps of NPT, "
        f"with the {settings.ranking.relax_best} best orderings relaxed. The study's protocol takes 2000 ps after "
        "140 ps, 20 orderings and larger cells. Expect the conductivity at 300 K to be uncertain by an order of "
        "magnitude beyond its statistical error bar; run the preset 'paper' for a number to publish."
    )


def _pretrained(settings: StudySettings, crystal: DisorderedCrystal) -> str:
    if _without_dispersion(settings) not in _PRETRAINED:
        return ""
    begin = "The potential is pretrained CHGNet 0.3.0, not fine-tuned for this material. "
    if shipped_for(crystal.composition) is None:
        return begin + (
            "Away from rest its forces are too small, by a quarter and more in Li3YX6, which expands a crystal and "
            "makes its ions too mobile: read the conductivity as an upper estimate, or fine-tune it (halion loop)."
        )
    return begin + (
        "The study found that it expands and softens these halides far too much above 300 K, which makes the ions "
        "too mobile: read the conductivity as an upper estimate."
    )


def _without_dispersion(settings: StudySettings) -> str:
    """The potential's name in small letters, without what is added to it."""
    return settings.dynamics.potential.lower().partition("+d3")[0]


def _finetuned(settings: StudySettings) -> str:
    shipped, has_dispersion = (
        SHIPPED.get(_without_dispersion(settings)),
        "+d3" in settings.dynamics.potential.lower(),
    )
    if shipped is None:
        return ""
    beyond = [t for t in settings.dynamics.temperatures_k if t > shipped.highest_temperature_k]
    text = (
        "The potential is CHGNet fine-tuned on PBE, and PBE without dispersion makes these layered halides about a "
        "tenth too large in volume: read the conductivity as an upper estimate, or add dispersion (the potential's "
        "name with +d3), or apply 1 GPa as the study did."
        if settings.dynamics.pressure_gpa < 0.5 and not has_dispersion
        else ""
    )
    if beyond:
        most = shipped.highest_temperature_k
        text += f" It learned from frames up to {most:g} K; at {max(beyond):g} K it extrapolates."
    return text.strip()


def known_change_k(crystal: DisorderedCrystal) -> float | None:
    """Temperature at which a material is known to change its activation energy: Li3YCl6, 420 K.

    Source: Qi et al., Mater. Today Phys. 21, 100463 (2021), doi:10.1016/j.mtphys.2021.100463.
    """
    return 420.0 if set(crystal.composition) == {"Li", "Y", "Cl"} else None


def _two_regimes(settings: StudySettings, crystal: DisorderedCrystal) -> str:
    change, report = known_change_k(crystal), settings.transport.report_temperature_k
    if change is None or not report < change < max(settings.dynamics.temperatures_k):
        return ""
    return (
        f"Li3YCl6 is known to change its activation energy near {change:g} K (Qi 2021); one straight line from "
        f"above that to {report:g} K overestimates the conductivity."
    )


def _rounded(composition: Composition) -> str:
    if composition.deviation < 0.05:
        return ""
    worst = max(composition.orbits, key=lambda orbit: orbit.deviation)
    return (
        f"Whole atoms in this cell miss the refined occupancy of site {worst.wyckoff} by {worst.deviation:.2f}; "
        "a larger supercell can come nearer (halion enumerate --max-atoms)."
    )
