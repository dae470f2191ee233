"""Reports of every state, written once for all tests that read them."""

from pathlib import Path

import pytest
import report_sample as sample

from halion.report import write_report

STATES = ("complete", "without_value", "failures_only", "one_temperature", "hostile")


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Name of a state -> its page."""
    folder = tmp_path_factory.mktemp("reports")
    return {state: write_report(getattr(sample, state)(), folder / state) for state in STATES}
