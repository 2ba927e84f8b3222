"""`vssync ci` as a job starts it: what it takes from the environment, and prints where a runner reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.api.loopback import Loopback, listening, said
from tests.ci.repository import MANIFEST, Files, Repository
from tests.cli.test_commands import End, vssync

PAGES: Files = {"vssync.yaml": MANIFEST, ".gitignore": ".vssync/\n", "docs/a.md": "# A\n"}


class Job(Repository):
    """A checkout in a job of GitHub Actions, whose API denies all."""

    api: Loopback

    def run(self, *arguments: str, event: str = "push", **variables: str) -> End:
        file = self.tree.parent / "event.json"
        file.write_text(json.dumps({"repository": {"default_branch": "main"}, "before": "0" * 40}))
        environment = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_REPOSITORY": "acme/kb",
            "GITHUB_REF_NAME": "main",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_SHA": self.head,
            "GITHUB_TOKEN": "ghs_x",
            "GITHUB_API_URL": self.api.url,
            "GITHUB_STEP_SUMMARY": str(self.tree.parent / "summary.md"),
            "GITHUB_OUTPUT": str(self.tree.parent / "output"),
            "VSSYNC_STATE_DIR": str(self.tree.parent / "state"),
            **variables,
        }
        return vssync(self.tree, "ci", *arguments, **environment)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "checkout", PAGES)


def test_a_push_is_applied_and_told(job: Job, tmp_path: Path) -> None:
    with listening(lambda _: said(403, message="Resource not accessible by integration")) as job.api:
        end = job.run("apply", "--deployment", "kb")
        assert end.code == 0, end.err
        assert "1 added" in end.out
        assert "\n::warning::no comment on what was merged: " in end.out
        assert "deployments: read" in end.out
        assert "1 added" in (tmp_path / "summary.md").read_text()
        assert re.fullmatch(r"changes<<(\w+)\ntrue\n\1\n", (tmp_path / "output").read_text())
        (job.tree / "docs/a.md").write_text("# B\n")
        assert job.run("apply").code == 3, "changed, and by no commit"
        for name in ("plan", "drift"):
            assert job.run(name).code == 64


def test_a_folder_with_a_space_can_be_named_by_the_variable(job: Job) -> None:
    job.commit({"my docs/vssync.yaml": MANIFEST.replace("kb", "mine"), "my docs/docs/x.md": "x\n"})
    with listening(lambda _: said(403, message="no")) as job.api:
        end = job.run("apply", VSSYNC_FILE="my docs")
    assert (end.code, "mine: local" in end.out, "kb: local" in end.out) == (0, True, False)


def test_plans_saved_before_are_applied(job: Job, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    assert vssync(job.tree, "plan", "--out", plan).code == 0
    with listening(lambda _: said(403, message="no")) as job.api:
        assert "1 added" in job.run("apply", plan).out
        job.commit({"docs/b.md": "# B\n"})
        assert job.run("apply", plan).code == 3
        assert job.run("drift", plan, event="schedule").code == 64


def test_outside_of_a_job_it_says_where_it_runs(job: Job) -> None:
    end = vssync(job.tree, "ci", "plan", GITHUB_ACTIONS="", GITLAB_CI="")
    assert (end.code, "run this in a job of GitHub Actions or GitLab CI" in end.err) == (64, True)
