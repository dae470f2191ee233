"""A composition series in a folder: made, gone on with, and kept apart from others."""

from __future__ import annotations

import pytest

from halion.crystal import builtin_crystal
from halion.errors import Interrupted, RunFolderError
from halion.settings import OrderingSettings, RankingSettings, SeriesSettings
from halion.study import SeriesStudy, run_series

STUDY = SeriesStudy(
    parents={"LYB": builtin_crystal("Li3YBr6")},
    orderings=OrderingSettings(supercell=(1, 1, 1), pool=("Li",)),
    ranking=RankingSettings(relax_best=2, control=0, relax_most=2, max_steps=6),
    series=SeriesSettings(steps=(0, 1, 6), evaluate_at_most=10, settle_best=2, energies="static"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    return folder, run_series(STUDY, folder)


def test_every_composition_has_its_structure(whole):
    folder, found = whole
    assert [entry.plan.name for entry in found.entries] == ["LYB0", "LYB6", "LYB1"]
    for entry in found.entries:
        symbols = entry.relaxation.atoms.get_chemical_symbols()
        assert symbols.count("Br") == 2 * entry.plan.x and symbols.count("Cl") == 12 - 2 * entry.plan.x
        assert (folder / f"{entry.plan.name}.cif").is_file() and entry.evidence
    assert (folder / "series.csv").read_text().startswith("name,parent,x")


def test_the_same_call_again_makes_nothing(whole):
    folder, found = whole
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    again = run_series(STUDY, folder)
    assert [entry.relaxation.energy for entry in again.entries] == [
        entry.relaxation.energy for entry in found.entries
    ]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_an_interrupted_series_goes_on_to_the_same_end(whole, tmp_path):
    asked = []

    def stop() -> bool:
        """When the first entry lies in the folder."""
        asked.append(1)
        return (tmp_path / "LYB0.cif").exists()

    with pytest.raises(Interrupted):
        run_series(STUDY, tmp_path, stop=stop)
    assert asked and not (tmp_path / "LYB1.cif").exists()
    run_series(STUDY, tmp_path)
    assert (tmp_path / "series.csv").read_text() == (whole[0] / "series.csv").read_text()


def test_another_series_is_refused(whole):
    other = STUDY.series.model_copy(update={"seed": 1})
    with pytest.raises(RunFolderError, match="other inputs"):
        run_series(
            SeriesStudy(parents=STUDY.parents, orderings=STUDY.orderings, ranking=STUDY.ranking, series=other),
            whole[0],
        )
