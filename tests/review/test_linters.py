"""Workflows and scripts pass linters with security rules, where these are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.review.runner import ACTION, ROOT

BESIDE = str(Path(sys.executable).parent)
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
EXAMPLE = ROOT / "examples/github/vssync.yml"


def linter(name: str) -> str:
    """The program beside this Python, or on the path; the test is skipped without it."""
    found = shutil.which(name, path=BESIDE) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def id_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("workflow", [*WORKFLOWS, ACTION / "action.yml", EXAMPLE], ids=id_of)
def test_workflows_pass_zizmor(workflow: Path) -> None:
    done = subprocess.run(
        [linter("zizmor"), "--offline", "--no-progress", "--strict-collection", str(workflow)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", sorted((ROOT / ".github").rglob("*.sh")), ids=id_of)
def test_scripts_pass_shellcheck(script: Path) -> None:
    done = subprocess.run([linter("shellcheck"), "-x", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    """Every step of every job, and jobs that are another workflow."""
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job.get("steps", [job])


RUN = [
    pytest.param(step["run"], id=f"{path.stem}-{number}")
    for path in WORKFLOWS
    for number, step in enumerate(each for each in steps(path) if "run" in each)
]


@pytest.mark.parametrize("text", RUN)
def test_steps_pass_shellcheck(text: str) -> None:
    command = [linter("shellcheck"), "--shell=bash", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


USES = re.compile(r"uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+(?:\.\d+)*)$")


def test_each_version_of_an_action_is_pinned_to_one_commit() -> None:
    """A comment that says another version than the commit is would mislead whoever updates it."""
    lines = [line.strip(" -") for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    theirs = [line for line in lines if "@" in line]
    pins = {match.groups() for line in theirs if (match := USES.fullmatch(line))}
    assert len([line for line in theirs if USES.fullmatch(line)]) == len(theirs) > 0
    assert len({(action, version) for action, _, version in pins}) == len({(a, commit) for a, commit, _ in pins})
    assert len(pins) == len({(action, version) for action, _, version in pins})
