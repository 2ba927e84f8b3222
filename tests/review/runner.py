"""A GitHub runner in a folder: steps run as written, and `gh` answers from a file and remembers what it was told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
ACTION = ROOT / ".github/actions/vssync"
GH = """\
#!/usr/bin/env bash
set -euo pipefail
printf '%s\\n' "$*" >>"$GH_STATE/log"
for argument in "$@"; do
    case "$argument" in body=@*) cp "${argument#body=@}" "$GH_STATE/body" ;; esac
done
case "$*" in
    *--method*) ;;
    *"/issues?"*) cat "$GH_STATE/issues.json" ;;
    *) echo "unexpected: $*" >&2 && exit 9 ;;
esac
"""
BOT = {"login": "github-actions[bot]"}


def loaded(path: Path) -> Any:
    """A workflow; YAML 1.1 takes its `on` for true."""
    return yaml.safe_load(path.read_text().replace("\non:", '\n"on":'))


def steps(path: Path) -> Iterator[dict[str, Any]]:
    """Every step of a workflow or an action."""
    tree = loaded(path)
    jobs = tree["jobs"].values() if "jobs" in tree else [tree["runs"]]
    yield from (step for job in jobs for step in job.get("steps", ()))


class Runner:
    """One job in a checkout; what GitHub knows is set by `knows`."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("jq"):
            pytest.skip("jq is not installed")
        self.checkout, self.state, tools = folder / "checkout", folder / "github", folder / "tools"
        for created in (self.checkout, self.state, tools, folder / "temp"):
            created.mkdir()
        (tools / "gh").write_text(GH)
        (tools / "gh").chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "GH_STATE": str(self.state),
            "GITHUB_REPOSITORY": "acme/kb",
            "RUNNER_TEMP": str(folder / "temp"),
        }

    def knows(self, issues: list[Any]) -> None:
        """The issues that GitHub has from now on."""
        (self.state / "issues.json").write_text(json.dumps(issues))

    def run(self, script: str, **environment: str) -> tuple[int, str]:
        """One step's exit code, and what the runner sees on both streams."""
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            check=False,
            cwd=self.checkout,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout

    @property
    def asked(self) -> list[str]:
        """Every call of `gh` so far."""
        log = self.state / "log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def body(self) -> str:
        """The last comment or issue written."""
        return (self.state / "body").read_text()
