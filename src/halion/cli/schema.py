"""halion schema: every key of a study file."""

from __future__ import annotations

import json

from halion.cli.options import AsJson
from halion.cli.terminal import Shown

__all__ = ["command"]


def command(as_json: AsJson = False) -> Shown:
    """Print the JSON schema of a study file: every key with its unit, range and default."""
    from halion.settings import StudySettings

    schema = StudySettings.model_json_schema()
    return Shown(record=schema, text=[json.dumps(schema, indent=2)], as_json=as_json)
