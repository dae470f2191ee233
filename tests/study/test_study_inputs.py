"""What a study refuses before it computes, and what it says at the top of its report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from halion.crystal import load_crystal
from halion.errors import CrystalError, HalionError, OrderingError, SettingsError
from halion.orderings import composition_for
from halion.study import plan_study, run_study
from halion.study.caveats import caveats_of
from halion.study.inputs import crystal_of, dynamics_inputs
from halion.study_file import resolve


def test_a_crystal_without_the_mobile_ion_is_refused_before_anything_runs(tmp_path):
    settings = resolve({"crystal": "Li3YBr6", "transport": {"mobile_species": "Na"}})
    with pytest.raises(SettingsError, match="the mobile ion is Na"):
        run_study(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_material_names_the_nearest(tmp_path):
    with pytest.raises(CrystalError, match="Li3YBr6"):
        run_study(resolve({"crystal": "Li3YBr"}), tmp_path / "run")


def test_a_cell_that_is_too_small_is_refused(tmp_path):
    with pytest.raises(OrderingError):
        run_study(resolve({"crystal": "Li3YBr6", "orderings": {"max_atoms": 5}}), tmp_path / "run")


def test_too_many_orderings_are_refused_not_begun(tmp_path):
    settings = resolve({"crystal": "Li3YCl3Br3", "orderings": {"supercell": [1, 1, 1], "limit": 10}})
    with pytest.raises(HalionError, match="10"):
        run_study(settings, tmp_path / "run")


def caveats(**values):
    settings = resolve({"crystal": "Li3YCl6", **values})
    crystal = crystal_of(settings)
    composition = composition_for(crystal, settings.orderings)
    repeats = int(np.prod(settings.dynamics.repeat))
    return " ".join(caveats_of(settings, crystal, composition, n_atoms=repeats * composition.n_atoms))


def test_a_quick_run_says_what_it_costs():
    assert "This is a quick run: 100 ps of dynamics at 4 temperatures in a cell of 30 atoms" in caveats()
    assert "quick run" not in caveats(preset="paper")


def test_repeats_count_in_the_cell_that_is_named():
    assert "cell of 60 atoms" in caveats(dynamics={"repeat": [1, 1, 2]})


def test_the_change_of_regime_of_li3ycl6_is_named_where_it_matters():
    assert "420 K" in caveats()
    assert "420 K" not in caveats(dynamics={"temperatures_k": [350, 380, 400]})
    assert "420 K" not in caveats(crystal="Li3YBr6")


def test_another_potential_is_not_called_pretrained():
    assert "pretrained CHGNet" in caveats()
    for name in ("chgnet-torch", "chgnet-float64", "CHGNet"):
        assert "pretrained CHGNet" in caveats(dynamics={"potential": name})
    for name in ("7net-0", "tuned.pth.tar", "chgnet-torch:tuned.pth.tar"):
        assert "pretrained CHGNet" not in caveats(dynamics={"potential": name})


def test_what_a_fine_tuned_potential_cannot_know():
    def told(potential, **dynamics):
        return caveats(dynamics={"potential": potential, "temperatures_k": [500.0, 650.0], **dynamics})

    assert "up to 600 K; at 650 K it extrapolates" in told("halion-LYCB-600K")
    assert "extrapolates" not in told("halion-LYCB-800K")
    assert "a tenth too large" in told("halion-LYCB-800K", pressure_gpa=1e-4)
    assert "a tenth too large" not in told("halion-LYCB-800K")  # at 1 GPa
    with_dispersion = told("halion-LYCB-600K+d3", pressure_gpa=1e-4)
    assert "a tenth too large" not in with_dispersion and "it extrapolates" in with_dispersion
    assert "pretrained CHGNet" in told("chgnet+d3")


def test_what_is_known_of_pretrained_chgnet_elsewhere():
    """Li3InCl6 is no material of the study: no sentence about "these halides"."""
    settings = resolve({"crystal": "Li3YCl6"})
    crystal = crystal_of(settings)
    indium = replace(
        crystal,
        orbits=tuple(
            replace(one, occupancy={{"Y": "In"}.get(e, e): x for e, x in one.occupancy.items()})
            for one in crystal.orbits
        ),
    )
    composition = composition_for(crystal, settings.orderings)
    told = " ".join(caveats_of(settings, indium, composition, n_atoms=30))
    assert "fine-tune it (halion loop)" in told and "these halides" not in told
    assert "these halides" in caveats() and "halion loop" not in caveats()


def test_occupancies_that_the_cell_misses_are_named():
    assert "miss the refined occupancy" in caveats()


def test_a_plan_counts_and_measures():
    settings = resolve({"crystal": "Li3YCl6", "orderings": {"supercell": [1, 1, 1]}, "machine": {"workers": 2}})
    plan = plan_study(settings)
    assert (plan.count.total, plan.count.distinct) == (360, 30)
    assert 0 < plan.n_after_exclusions <= 30
    assert plan.n_atoms == 30
    # 0.4 + 0.4 + 8 + 100 ps of 2 fs
    assert plan.steps_per_temperature == 54400
    assert plan.seconds_per_step > 0
    assert plan.dynamics_hours == pytest.approx(2 * 54400 * plan.seconds_per_step / 3600)
    assert plan.relaxation_hours[0] < plan.relaxation_hours[1]
    assert plan.disk_gib == pytest.approx(4 * 5440 * 30 * 12 / 2**30)
    assert plan.title == load_crystal("Li3YCl6").name


def test_settings_that_older_steps_did_not_know_change_no_step_that_does_not_use_them():
    wanted = resolve({"crystal": "Li3YBr6"}).dynamics
    assert "correlate_every_steps" not in dynamics_inputs(wanted)
    asked = wanted.model_copy(update={"correlate_every_steps": 10})
    assert dynamics_inputs(asked)["correlate_every_steps"] == 10
    assert dynamics_inputs(wanted).items() < dynamics_inputs(asked).items()
