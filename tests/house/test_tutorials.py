"""Every block of every tutorial runs, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, code) of each fenced block that can be run."""
    return BLOCK.findall(text)


def test_there_are_tutorials_with_blocks_to_run():
    assert len(TUTORIALS) >= 3
    assert all(blocks(path.read_text()) for path in TUTORIALS)


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path, tmp_path):
    # `halion` is the one beside this Python, whether or not the environment is activated.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    pending: list[str] = []

    def run_python() -> None:
        if pending:  # consecutive Python blocks share their names, so they run as one script
            code = "\n".join(pending)
            subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)

    for language, code in blocks(path.read_text()):
        if language == "python":
            pending.append(code)
        else:
            run_python()
            subprocess.run(["bash", "-euc", code], cwd=tmp_path, env=environment, check=True)
    run_python()
