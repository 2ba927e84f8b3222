"""A GitHub runner in a folder: steps run as written, and `gh` answers from files and remembers what it was told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.program import program

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
    "run download"*) mkdir -p "${!#}" && cp "$GH_STATE/artifact/"* "${!#}" ;;
    *--method*) ;;
    *"/comments?"*) cat "$GH_STATE/comments.json" ;;
    *"/issues?"*) cat "$GH_STATE/issues.json" ;;
    *"/pulls") cat "$GH_STATE/pulls.json" ;;
    *"/actions/runs?"*) cat "$GH_STATE/runs.json" ;;
    *) echo "unexpected: $*" >&2 && exit 9 ;;
esac
"""
BOT = {"login": "github-actions[bot]"}


@dataclass(frozen=True)
class End:
    """How a step ended, and everything it said where the runner listens."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str


class Runner:
    """One job in a checkout; what GitHub knows is set by `knows`."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("jq"):
            pytest.skip("jq is not installed")
        self.checkout, self.state, tools = folder / "checkout", folder / "github", folder / "tools"
        self.out = folder / "temp/vssync-plan"
        for created in (self.checkout, self.state, tools, folder / "temp"):
            created.mkdir()
        _write_program(tools / "gh", GH)
        (tools / "vssync").symlink_to(program())
        self.environment = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GH_STATE": str(self.state),
            "GITHUB_ACTION_PATH": str(ACTION),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_REPOSITORY": "acme/kb",
            "GITHUB_SHA": "5" * 40,
            "GITHUB_REF_NAME": "main",
            "GITHUB_WORKFLOW_REF": "acme/kb/.github/workflows/kb.yml@refs/heads/main",
            "RUNNER_TEMP": str(folder / "temp"),
            "MANIFEST": ".",
            **dict.fromkeys(("ENVIRONMENT", "VARIABLES", "LABELS", "COMMENT"), ""),  # as the action leaves them
            "ARTIFACT": "vssync-plan-default",
        }
        self.knows(comments=[], issues=[], pulls=[], runs={"workflow_runs": []})

    def knows(self, **answers: Any) -> None:
        """What GitHub answers from now on."""
        for name, answer in answers.items():
            (self.state / f"{name}.json").write_text(json.dumps(answer))

    def run(self, script: str, **environment: str) -> End:
        """One step; the log is what the runner sees on both streams."""
        output, summary = (Path(self.environment[name]) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"))
        output.write_text("")
        summary.write_text("")
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
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return End(done.returncode, done.stdout, outputs, summary.read_text())

    @property
    def asked(self) -> list[str]:
        """Every call of `gh` so far."""
        log = self.state / "log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def body(self) -> str:
        """The last comment or issue written."""
        return (self.state / "body").read_text()

    def keep_artifact(self) -> Path:
        """What the plan's job uploads; the next job begins without it."""
        artifact = self.state / "artifact"
        shutil.rmtree(artifact, ignore_errors=True)
        shutil.move(self.out, artifact)
        return artifact / "plan.json"


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
