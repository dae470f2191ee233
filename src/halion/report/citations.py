"""The literature behind the methods that a study used, as BibTeX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import halion
from halion.report.study_rows import reduced_formula, study_rows
from halion.report.types import StudyResults
from halion.settings import StudySettings
from halion.study_file import resolve

__all__ = ["Citation", "bibtex", "citations_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One thing to cite.

    Attributes:
        key: BibTeX key.
        reason: what it was used for.
        text: one line for a reader.
        bibtex: the whole entry.
    """

    key: str
    reason: str
    text: str
    bibtex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    key: str
    reason: str
    authors: str
    title: str
    journal: str
    volume: str
    pages: str
    year: int
    doi: str


_WORKS = (
    _Work(key="Bohm2025", reason="protocol of the study, and values for comparison",
          authors="Böhm and Champagne",
          title="Predicting Crystal Structures and Ionic Conductivities in Li3YCl6-xBrx Halide Solid "
          "Electrolytes Using a Fine-Tuned Machine Learning Interatomic Potential",
          journal="arXiv", volume="", pages="2510.09861", year=2025, doi="10.48550/arXiv.2510.09861"),
    _Work(key="Deng2023", reason="CHGNet potential",
          authors="Deng, Bowen and Zhong, Peichen and Jun, KyuJung and Riebesell, Janosh and Han, Kevin "
          "and Bartel, Christopher J. and Ceder, Gerbrand",
          title="CHGNet as a pretrained universal neural network potential for charge-informed atomistic modelling",
          journal="Nature Machine Intelligence", volume="5", pages="1031--1041", year=2023,
          doi="10.1038/s42256-023-00716-3"),
    _Work(key="Park2024", reason="SevenNet potential",
          authors="Park, Yutack and Kim, Jaesun and Hwang, Seungwoo and Han, Seungwu",
          title="Scalable Parallel Algorithm for Graph Neural Network Interatomic Potentials in Molecular "
          "Dynamics Simulations",
          journal="Journal of Chemical Theory and Computation", volume="20", pages="4857--4868", year=2024,
          doi="10.1021/acs.jctc.4c00190"),
    _Work(key="Chen2022", reason="M3GNet potential",
          authors="Chen, Chi and Ong, Shyue Ping",
          title="A universal graph deep learning interatomic potential for the periodic table",
          journal="Nature Computational Science", volume="2", pages="718--728", year=2022,
          doi="10.1038/s43588-022-00349-3"),
    _Work(key="Grimme2010", reason="D3 dispersion",
          authors="Grimme, Stefan and Antony, Jens and Ehrlich, Stephan and Krieg, Helge",
          title="A consistent and accurate ab initio parametrization of density functional dispersion correction "
          "(DFT-D) for the 94 elements H-Pu",
          journal="The Journal of Chemical Physics", volume="132", pages="154104", year=2010,
          doi="10.1063/1.3382344"),
    _Work(key="Grimme2011", reason="damping of D3, with the parameters of PBE",
          authors="Grimme, Stefan and Ehrlich, Stephan and Goerigk, Lars",
          title="Effect of the damping function in dispersion corrected density functional theory",
          journal="Journal of Computational Chemistry", volume="32", pages="1456--1465", year=2011,
          doi="10.1002/jcc.21759"),
    _Work(key="Ehlert2024", reason="D3 dispersion by s-dftd3",
          authors="Ehlert, Sebastian",
          title="Simple DFT-D3: Library first implementation of the D3 dispersion correction",
          journal="Journal of Open Source Software", volume="9", pages="7169", year=2024,
          doi="10.21105/joss.07169"),
    _Work(key="Ewald1921", reason="electrostatic energies that choose the orderings to relax",
          authors="Ewald, P. P.", title="Die Berechnung optischer und elektrostatischer Gitterpotentiale",
          journal="Annalen der Physik", volume="369", pages="253--287", year=1921, doi="10.1002/andp.19213690304"),
    _Work(key="Bitzek2006", reason="FIRE relaxation",
          authors="Bitzek, Erik and Koskinen, Pekka and Gähler, Franz and Moseler, Michael and Gumbsch, Peter",
          title="Structural Relaxation Made Simple", journal="Physical Review Letters", volume="97",
          pages="170201", year=2006, doi="10.1103/PhysRevLett.97.170201"),
    _Work(key="HjorthLarsen2017", reason="relaxation and molecular dynamics (ASE)",
          authors="Hjorth Larsen, Ask and others",
          title="The atomic simulation environment---a Python library for working with atoms",
          journal="Journal of Physics: Condensed Matter", volume="29", pages="273002", year=2017,
          doi="10.1088/1361-648X/aa680e"),
    _Work(key="Martyna1992", reason="Nosé-Hoover chain thermostat",
          authors="Martyna, Glenn J. and Klein, Michael L. and Tuckerman, Mark",
          title="Nosé-Hoover chains: The canonical ensemble via continuous dynamics",
          journal="The Journal of Chemical Physics", volume="97", pages="2635--2643", year=1992,
          doi="10.1063/1.463940"),
    _Work(key="Martyna1994", reason="barostat with a flexible cell",
          authors="Martyna, Glenn J. and Tobias, Douglas J. and Klein, Michael L.",
          title="Constant pressure molecular dynamics algorithms", journal="The Journal of Chemical Physics",
          volume="101", pages="4177--4189", year=1994, doi="10.1063/1.467468"),
    _Work(key="He2018", reason="errors of diffusivities",
          authors="He, Xingfeng and Zhu, Yizhou and Epstein, Alexander and Mo, Yifei",
          title="Statistical variances of diffusional properties from ab initio molecular dynamics simulations",
          journal="npj Computational Materials", volume="4", pages="18", year=2018,
          doi="10.1038/s41524-018-0074-y"),
    _Work(key="Togo2024", reason="space groups (spglib)",
          authors="Togo, Atsushi and Shinohara, Kohei and Tanaka, Isao",
          title="Spglib: a software library for crystal symmetry search",
          journal="Science and Technology of Advanced Materials: Methods", volume="4", pages="2384822", year=2024,
          doi="10.1080/27660400.2024.2384822"),
    _Work(key="Ong2013", reason="structures compared and read (pymatgen)",
          authors="Ong, Shyue Ping and others",
          title="Python Materials Genomics (pymatgen): A robust, open-source python library for materials analysis",
          journal="Computational Materials Science", volume="68", pages="314--319", year=2013,
          doi="10.1016/j.commatsci.2012.10.028"),
    _Work(key="Schlem2021", reason="refined crystal, and experimental values",
          authors="Schlem, Roman and others",
          title="Insights into the Lithium Sub-structure of Superionic Conductors Li3YCl6 and Li3YBr6",
          journal="Chemistry of Materials", volume="33", pages="327--337", year=2021,
          doi="10.1021/acs.chemmater.0c04352"),
    _Work(key="Asano2018", reason="experimental values",
          authors="Asano, Tetsuya and others",
          title="Solid Halide Electrolytes with High Lithium-Ion Conductivity for Application in 4 V Class "
          "Bulk-Type All-Solid-State Batteries",
          journal="Advanced Materials", volume="30", pages="1803075", year=2018, doi="10.1002/adma.201803075"),
    _Work(key="Wang2019", reason="values from ab initio dynamics",
          authors="Wang, Shuo and Bai, Qiang and Nolan, Adelaide M. and Liu, Yunsheng and Gong, Sheng and "
          "Sun, Qiang and Mo, Yifei",
          title="Lithium Chlorides and Bromides as Promising Solid-State Chemistries for Fast Ion Conductors with "
          "Good Electrochemical Stability",
          journal="Angewandte Chemie International Edition", volume="58", pages="8039--8043", year=2019,
          doi="10.1002/anie.201901938"),
    _Work(key="Qi2021", reason="change of the activation energy of Li3YCl6",
          authors="Qi, Ji and others",
          title="Bridging the gap between simulated and experimental ionic conductivities in lithium superionic "
          "conductors",
          journal="Materials Today Physics", volume="21", pages="100463", year=2021,
          doi="10.1016/j.mtphys.2021.100463"),
    _Work(key="Rego2015", reason="3-D view in the report",
          authors="Rego, Nicholas and Koes, David",
          title="3Dmol.js: molecular visualization with WebGL", journal="Bioinformatics", volume="31",
          pages="1322--1324", year=2015, doi="10.1093/bioinformatics/btu829"),
)  # fmt: skip

_ALWAYS = {
    "Ewald1921",
    "Bitzek2006",
    "HjorthLarsen2017",
    "Martyna1992",
    "Martyna1994",
    "He2018",
    "Togo2024",
    "Ong2013",
    "Rego2015",
}
_POTENTIALS: dict[str, Callable[[str], bool]] = {
    "Deng2023": lambda name: "chgnet" in name or name.startswith("halion-"),
    "Park2024": lambda name: "7net" in name or "sevenn" in name,
    "Chen2022": lambda name: "m3gnet" in name or "matgl" in name,
    "Grimme2010": lambda name: "+d3" in name,
    "Grimme2011": lambda name: "+d3" in name,
    "Ehlert2024": lambda name: "+d3-reference" in name,
}


def citations_for(source: StudyResults | StudySettings) -> tuple[Citation, ...]:
    """What to cite for a study: halion itself, then the methods that its settings call, in order of use.

    Args:
        source: results of a study, or its settings before it has run.
    """
    if isinstance(source, StudySettings):
        settings, name, has_rows = source, source.crystal, bool(study_rows(source.crystal))
    else:
        settings = resolve(dict(source.settings)) if source.settings else None
        name = reduced_formula(source.crystal.composition)
        has_rows = bool(study_rows(name))
    used = set(_ALWAYS)
    for potential in (settings.ranking.potential, settings.dynamics.potential) if settings else ():
        used |= {key for key, matches in _POTENTIALS.items() if matches(potential.lower())}
    if has_rows or (settings and settings.preset in ("quick", "paper")):
        used.add("Bohm2025")
    if has_rows:
        used |= {"Schlem2021", "Asano2018", "Wang2019"}
    if name == "Li3YCl6":
        used.add("Qi2021")
    return (_halion(), *(_citation(work) for work in _WORKS if work.key in used))


def bibtex(citations: tuple[Citation, ...]) -> str:
    """The entries as one BibTeX file."""
    return "\n".join(citation.bibtex for citation in citations)


def _citation(work: _Work) -> Citation:
    fields = {
        "author": work.authors,
        "title": "{" + work.title + "}",
        "journal": work.journal,
        "volume": work.volume,
        "pages": work.pages,
        "year": str(work.year),
        "doi": work.doi,
    }
    first = work.authors.split(" and ")
    people = first[0].split(",")[0] + (" et al." if len(first) > 2 or "others" in first else "")
    if len(first) == 2 and "others" not in first:
        people = " and ".join(name.split(",")[0] for name in first)
    place = f"{work.journal} {work.volume}, {work.pages}".replace(" ,", "").replace("--", "–")
    return Citation(
        key=work.key,
        reason=work.reason,
        text=f"{people}, {place} ({work.year}), doi:{work.doi}",
        bibtex=_entry("article", work.key, fields),
    )


def _halion() -> Citation:
    fields = {
        "author": "{The halion authors}",
        "title": "{halion: ionic conductivity of disordered crystals, with error bars}",
        "version": halion.__version__,
    }
    return Citation(
        key="halion",
        reason="the program",
        text=f"halion {halion.__version__}",
        bibtex=_entry("software", "halion", fields),
    )


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])
