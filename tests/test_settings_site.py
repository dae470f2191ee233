"""Site files: what they say, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halion.errors import SettingsError
from halion.settings_site import PoolSettings, SiteSettings, read_site

SITE = """
dynamics:
  provider: slurm
  partition: gpu
  gpus_per_node: 4
  workers_per_node: 8
  max_jobs: 3
  walltime: 24:00:00
  options: [--constraint=a100]
labels:
  provider: slurm
  workers_per_node: 2
  threads_per_worker: 1
  walltime: 1-12:30:00
"""


def site_file(tmp_path, text):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return path


def test_a_site_file_is_read(tmp_path):
    site = read_site(site_file(tmp_path, SITE))
    assert site.dynamics.walltime_s == 24 * 3600  # which YAML reads as a number of seconds
    assert site.dynamics.workers == 3 * 4  # a GPU each
    assert site.labels.walltime_s == 36.5 * 3600
    assert site.labels.workers == 2


def test_without_labels_they_stay_at_home(tmp_path):
    site = read_site(site_file(tmp_path, "dynamics: {workers_per_node: 2}"))
    assert site == SiteSettings(dynamics=PoolSettings(workers_per_node=2))
    assert site.labels is None


@given(days=st.integers(0, 40), hours=st.integers(0, 23), minutes=st.integers(0, 59), seconds=st.integers(0, 59))
def test_a_walltime_is_its_seconds(days, hours, minutes, seconds):
    pool = PoolSettings(walltime=f"{days}-{hours:02d}:{minutes:02d}:{seconds:02d}")
    assert pool.walltime_s == ((days * 24 + hours) * 60 + minutes) * 60 + seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dynamics: {partition: 'gpu; rm -rf /'}", "one word"),
        ('dynamics: {options: ["--x\\nrm -rf /"]}', "option of sbatch"),
        ("dynamics: {walltime: soon}", "walltime"),
        ("dynamics: {provider: slurm, walltime: '00:03:00', margin_s: 120}", "leaves no time to work"),
        ("dynamics: {worker_per_node: 2}", "workers_per_node"),
        ("labels: {worker_per_node: 2}", "workers_per_node"),
        ("dynamic: {}", "dynamics"),
        ("- dynamics", "keys and values"),
        ("dynamics: {provider: pbs}", "provider"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, text, said):
    with pytest.raises(SettingsError) as refused:
        read_site(site_file(tmp_path, text))
    assert said in str(refused.value)
    assert "site.yaml" in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.yaml"):
        read_site(tmp_path / "nowhere.yaml")
