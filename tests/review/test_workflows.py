"""What workflows run is read as scripts are, and what they use is pinned."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.review.runner import ROOT
from tests.review.test_linters import linter_path

WORKFLOWS = [*sorted((ROOT / ".github/workflows").glob("*.yml")), ROOT / "examples/github/vssync.yml"]
RELEASE = sorted((ROOT / ".github/release").glob("*.sh"))


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    """Every step of every job, and jobs that are another workflow."""
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job.get("steps", [job])


SCRIPTS = [
    *(pytest.param(path.read_text(), id=path.name) for path in RELEASE),
    *(
        pytest.param(step["run"], id=f"{path.stem}-{number}")
        for path in WORKFLOWS
        for number, step in enumerate(each for each in steps(path) if "run" in each)
    ),
]


@pytest.mark.parametrize("text", SCRIPTS)
def test_what_is_run_passes_shellcheck(text: str) -> None:
    command = [linter_path("shellcheck"), "--shell=bash", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


USED = [
    pytest.param(line.strip(" -"), id=f"{path.stem}-{number}")
    for path in WORKFLOWS
    for number, line in enumerate(path.read_text().splitlines(), 1)
    if re.match(r" *(- )?uses: (?!vssync/)[^.$]", line)  # of another repository
]
PIN = re.compile(r"uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+(?:\.\d+)*)")


@pytest.mark.parametrize("line", USED)
def test_actions_are_pinned_to_a_commit_and_say_its_version(line: str) -> None:
    assert PIN.fullmatch(line)


def test_a_version_of_an_action_is_one_commit_everywhere() -> None:
    """Otherwise a comment says another version than what runs."""
    pins = {match.groups() for param in USED if (match := PIN.fullmatch(str(param.values[0])))}
    assert len({(action, version) for action, _, version in pins}) == len(pins) > 0
    assert len({(action, commit) for action, commit, _ in pins}) == len(pins)
