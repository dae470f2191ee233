"""Causes of differences: read from the provenance, none where the protocol is the study's."""

from dataclasses import replace

import reproduction_sample as given_sample

from halion.report.reproduction import ReproductionInputs, compare_study, published_study


def causes(run) -> dict[str, tuple[str, str]]:
    found = compare_study(ReproductionInputs(runs=(run,))).causes[run.origin.name]
    return {one.name: (one.here, one.there) for one in found}


def test_a_quick_run_differs_in_what_its_record_says():
    found = causes(given_sample.run())
    assert found["run length"] == ("200 ps", "2000 ps")
    assert found["equilibration of the cell"] == ("8 ps", "140 ps")
    assert found["time step"] == ("2 fs", "1 fs")
    assert found["labels of the potential"] == ("GPAW PBE PW 350 eV", "PBE by VASP, 350 eV")
    assert found["training"][0].startswith("frames up to 800 K") and found["training"][1] == "frames up to 600 K"
    assert found["cell"][0] == "40 atoms"
    assert found["temperatures"] == ("4 from 450 to 600 K", "400 to 750 K")
    assert "unfinished" not in found and "functional" not in found and "pressure" not in found


def test_a_run_as_long_as_the_study_s_has_no_cause_of_length():
    protocol = published_study().protocol
    run = given_sample.run(
        production_ps=protocol.production_ps,
        npt_ps=protocol.npt_ps,
        timestep_fs=protocol.timestep_fs,
        temperatures_k=(400.0, 500.0, 750.0),
        model=replace(given_sample.TUNED, trained_to_k=600.0, labels="PBE by VASP, 350 eV"),
    )
    assert set(causes(run)) == {"cell", "ordering"}, "the study's cell and the DFT of its choice are never the same"


def test_dispersion_pressure_state_and_refusals_are_causes():
    run = given_sample.run(
        model=replace(given_sample.TUNED, dispersion=True),
        pressure_gpa=0.5,
        failures=(given_sample.sample.Failure(step="dynamics at 750 K", message="melted"),),
    )
    run = replace(run, origin=replace(run.origin, state="interrupted"))
    found = causes(run)
    assert found["functional"] == ("PBE + D3(BJ)", "PBE")
    assert found["pressure"] == ("5 kbar", "1 bar and 10 kbar")
    assert found["unfinished"][0] == "interrupted"
    assert found["refused"][0] == "dynamics at 750 K: melted"


def test_every_input_has_its_causes():
    inputs = given_sample.everything()
    found = compare_study(inputs).causes
    assert set(found) == {origin.name for origin in inputs.origins}
    names = {name: {one.name for one in each} for name, each in found.items()}
    assert {"energies", "compositions", "ordering"} <= names["series"]
    assert "zero of energy" in names["evaluated"] and "device" in names["engine.md"]
    for each in found.values():
        assert len(each) == len(set(each)), "each cause once"
        assert all(one.here and one.there and one.here != one.there for one in each)
