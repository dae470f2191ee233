"""The study's numbers in the package: spot checks against its tables, and every exhibit named once."""

import math

import pytest

from halion.report.reproduction import published_study
from halion.report.reproduction.published import published_diffusivity
from halion.report.study_rows import StudyRow


@pytest.fixture(scope="module")
def study():
    return published_study()


def test_every_table_and_figure_of_the_study_stands_once(study):
    names = [name for exhibit in study.exhibits for name in exhibit.covers]
    wanted = [f"Table {k}" for k in (1, 2, 3)] + [f"Figure {k}" for k in (1, 2, 3, 4, 5, "S1", "S2", "S3", "S4")]
    assert sorted(names) == sorted(wanted)


def test_spot_checks_of_the_numbers(study):
    rows = {(row.name, row.pressure_gpa): row for row in study.rows["Li3YBr6"]}
    squeezed = rows["CHGNet fine-tuned to 600 K", 1.0]
    assert dict(squeezed.volume) == {200: 26.6, 300: 27.0, 400: 27.4, 600: 28.6}
    assert (squeezed.activation_energy_ev, squeezed.conductivity_ms_per_cm) == (0.36, 0.58)
    assert dict(rows["CHGNet pretrained", 0.0001].volume)[600] == 42.0
    assert study.accuracy["fine-tuned"]["all"] == {
        "energy_mev_per_atom": 3.5,
        "force_mev_per_angstrom": 50.0,
        "stress_mpa": 85.0,
    }
    assert study.accuracy["fine-tuned"]["ends"]["stress_mpa"] == 60.0
    assert study.accuracy["pretrained"]["ends"]["energy_mev_per_atom"] == 70.0
    assert study.cost_s_per_atom_ps == 0.8
    protocol = study.protocol
    assert (protocol.production_ps, protocol.npt_ps, protocol.nvt_ps, protocol.timestep_fs) == (2000, 140, 50, 1)
    assert protocol.temperatures_k == (400, 750) and protocol.labels_per_round == (150, 300)
    assert study.conductivity[0][:2] == (4.5, 5.36)


def test_diffusivity_of_a_row_gives_its_conductivity_back(study):
    """Nernst-Einstein forwards in SI units by hand: 3 Li in 10 atoms of 27.0 cubic Angstrom."""
    row = next(row for row in study.rows["Li3YBr6"] if row.pressure_gpa == 1.0)
    at_300 = published_diffusivity(row, 300.0) * 1e-8  # m^2/s
    density = 3 / (10 * 27.0e-30)
    sigma = density * 1.602176634e-19**2 * at_300 / (1.380649e-23 * 300.0)  # S/m
    assert sigma * 10 == pytest.approx(0.58, rel=1e-9)
    at_600 = published_diffusivity(row, 600.0) * 1e-8
    assert math.log(at_600 / at_300) == pytest.approx(0.36 / 8.617333262e-5 * (1 / 300 - 1 / 600), rel=1e-8)


def test_a_row_without_numbers_has_no_diffusivity():
    row = StudyRow(
        name="x",
        kind="model",
        pressure_gpa=0.0001,
        volume=((300.0, 25.0),),
        activation_energy_ev=math.nan,
        conductivity_ms_per_cm=1.0,
    )
    assert math.isnan(published_diffusivity(row, 500.0))
