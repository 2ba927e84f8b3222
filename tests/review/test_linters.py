"""Workflows and scripts pass linters with security rules, where these are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.review.runner import ROOT

SCRIPTS = [path for path in (ROOT / ".ci").iterdir() if path.suffix in ("", ".sh")]
BESIDE = str(Path(sys.executable).parent)


def linter_path(name: str) -> str:
    """The program beside this Python, or on the path; the test is skipped without it."""
    executable = shutil.which(name, path=BESIDE) or shutil.which(name)
    if not executable:
        pytest.skip(f"{name} is not installed")
    return executable


@pytest.mark.parametrize("folder", [".github", "examples/github/vssync.yml"])
def test_workflows_pass_zizmor(folder: str) -> None:
    done = subprocess.run(
        [linter_path("zizmor"), "--offline", "--no-progress", str(ROOT / folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=lambda path: path.name)
def test_scripts_pass_shellcheck(script: Path) -> None:
    run = [linter_path("shellcheck"), "-x", str(script)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
