"""A repository under review on a fake forge: its people push, label and merge, and its jobs run as they would there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.ci.fake_forge import FakeForge
from tests.ci.fake_github import BOT, FakeGitHub
from tests.ci.fake_gitlab import TOKEN_USER, FakeGitLab
from tests.ci.repository import Files, Repository
from tests.support import Silent
from vssync.ci.forge import Forge
from vssync.commands.ci.job import CiRun
from vssync.commands.ci.run import run_job
from vssync.commands.session import Settings
from vssync.errors import VssyncError
from vssync.render.layout import View

NOW = datetime(2026, 11, 27, 14, 2, tzinfo=UTC)


@dataclass(frozen=True)
class End:
    """How a job ended, and what it showed."""

    code: int
    error: str
    log: str
    summary: str
    outputs: str
    requests: tuple[str, ...]


class Interrupting(Silent):
    """Somebody cancels the run at the first upload that is made or deleted, once."""

    def __init__(self) -> None:
        self.has_interrupted = False

    def on_upload_ready(self, store_key: str, key: str, file_id: str, size: int) -> None:
        self.on_upload_deleted()

    def on_upload_deleted(self) -> None:
        if not self.has_interrupted:
            self.has_interrupted = True
            raise KeyboardInterrupt


class Project(Repository):
    """A work tree, its local service, and its forge."""

    def __init__(self, folder: Path, fake: FakeGitHub | FakeGitLab, files: Files, monkeypatch: pytest.MonkeyPatch):
        super().__init__(folder / "checkout", files)
        self.ignored = self.tree / ".git/info/exclude"
        self.ignored.parent.mkdir(exist_ok=True)
        self.ignored.write_text(".vssync/\n")
        monkeypatch.chdir(self.tree)
        monkeypatch.setenv("VSSYNC_STATE_DIR", str(folder / "state"))
        self.folder, self.fake = folder, fake
        self.given: dict[str, Any] = {}  # what jobs are given besides
        self.settings: dict[str, Any] = {}
        self.pushed = self.head

    # What people do

    def open(self, number: int, files: Files, *, author: str = "mona", branch: str = "", fork: bool = False) -> None:
        """A request with one commit, on a branch of its own."""
        branch = branch or f"kb-{number}"
        self.git("checkout", "-q", "-b", branch, "main")
        self.commit(files)
        if isinstance(self.fake, FakeGitHub):
            self.fake.open_pull(number, author, branch, self.head, **({"fork": "mallory/handbook"} if fork else {}))
            self.fake.push(branch, self.head, author)
        else:
            self.fake.open_request(number, author, branch, self.head)

    def push(self, number: int, files: Files, *, by: str = "mona") -> None:
        self.git("checkout", "-q", self.branch_of(number))
        self.commit(files)
        self.fake.push(self.branch_of(number), self.head, by)

    def branch_of(self, number: int) -> str:
        if isinstance(self.fake, FakeGitHub):
            return str(self.fake.pulls[number]["head"]["ref"])
        return str(self.fake.requests_[number]["source_branch"])

    def label(self, number: int, name: str, by: str) -> None:
        self.fake.label(number, name, by)

    def merge(self, number: int, how: str = "merge") -> None:
        """Merges a request, by a merge commit, a squash or a rebase."""
        branch = self.branch_of(number)
        own = tuple(self.git("rev-list", f"main..{branch}").split())
        if how == "rebase":
            self.git("checkout", "-q", branch)
            self.git("rebase", "-q", "--force-rebase", "main")
        self.git("checkout", "-q", "main")
        command = {"merge": "--no-ff", "squash": "--squash", "rebase": "--ff-only"}[how]
        self.git("merge", "-q", command, branch)
        if how == "squash":
            self.git("commit", "-q", "-m", "squashed")
        if isinstance(self.fake, FakeGitHub):
            self.fake.merge(number, self.head, commits=own)
        else:
            merged = {"merge": {"merge": self.head}, "squash": {"squash": self.head}, "rebase": {"merge": self.head}}
            self.fake.merge(number, commits=own, **merged[how])

    def deploy(self, environment: str, sha: str) -> None:
        """The forge records what a job of the default branch did."""
        self.fake.move_main(sha)
        self.fake.deploy(environment, sha)

    def alter_live(self, files: Files) -> None:
        """Somebody changes what is live, while the stamp goes on saying that this commit was applied."""
        known = [path for path in files if path in self.git("ls-files").split("\n")]
        for path in known:
            self.git("update-index", "--assume-unchanged", path)
        self.ignored.write_text("\n".join({".vssync/", *files} - {*known}))
        texts = {path: (self.tree / path).read_text() for path in known}
        self.write(files)
        assert self.job("apply", unexplained=True).code == 0
        self.write({**{path: None for path in files if path not in known}, **texts})
        for path in known:
            self.git("update-index", "--no-assume-unchanged", path)
        self.ignored.write_text(".vssync/\n")

    # What the forge runs

    def review(self, number: int, name: str = "plan", *, closed: bool = False, **variables: str) -> End:
        """The job of a request, in what the forge checks out for it."""
        branch = self.branch_of(number)
        base = self.git("rev-parse", "main")
        self.git("checkout", "-q", "--detach", "main" if isinstance(self.fake, FakeGitHub) else branch)
        if isinstance(self.fake, FakeGitHub):
            self.git("merge", "-q", "--no-ff", "-m", "a merge of both", branch)
            pull = self.fake.pulls[number]
            pull["base"]["sha"] = base
            payload: dict[str, Any] = {"pull_request": pull, "action": "closed" if closed else "synchronize"}
            forge = self.fake.open_job(self.folder, "pull_request", **payload, **variables)
        else:
            request = {
                "CI_MERGE_REQUEST_IID": str(number),
                "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "5",
                "CI_MERGE_REQUEST_PROJECT_ID": "5",
                "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
                "CI_MERGE_REQUEST_DIFF_BASE_SHA": self.git("merge-base", base, branch),
                "CI_COMMIT_SHA": self.head,
                "CI_ENVIRONMENT_ACTION": "stop" if closed else "start",
                **variables,
            }
            forge = self.fake.open_job(self.folder, "merge_request_event", **request)
        return self.do(name, forge)

    def job(self, name: str, *, unexplained: bool = False, before: str = "", token: str = "") -> End:
        """A job of a push since the last one, of a schedule for drift, or by hand where `unexplained`."""
        self.git("checkout", "-q", "main")
        before, self.pushed = before or self.pushed, self.head
        event = "schedule" if name in ("drift", "sweep") else "push"
        if isinstance(self.fake, FakeGitHub):
            payload: dict[str, Any] = {"before": before, "token": token or "ghs_job"}
            if unexplained:
                event, payload["inputs"] = "workflow_dispatch", {"unexplained": True}
            forge = self.fake.open_job(self.folder, event, **payload)
        else:
            variables = {"CI_COMMIT_BEFORE_SHA": before, "CI_COMMIT_SHA": self.head}
            if unexplained:
                event, variables["VSSYNC_UNEXPLAINED"] = "web", "true"
            forge = self.fake.open_job(self.folder, event, **variables)
        return self.do(name, forge)

    def do(self, name: str, forge: Forge) -> End:
        shown = [self.folder / each for each in ("summary.md", "output")]
        shown += [self.folder / ".vssync-ci" / each for each in ("summary.md", "output.env")]
        for path in shown:
            path.unlink(missing_ok=True)
        fake: FakeForge = self.fake
        fake.printed.clear()
        fake.requests.clear()
        log, error, code = fake.printed, "", 0
        settings = Settings(**{"environment": dict(os.environ), **self.settings})
        run = CiRun(forge, settings, NOW, log.append, lambda: nullcontext(Silent()), View())
        try:
            code = run_job(name, replace(run, **self.given))
        except VssyncError as raised:
            error, code = str(raised), raised.exit_code
        texts = [path.read_text() if path.exists() else "" for path in shown]
        return End(code, error, "\n".join(log), texts[0] + texts[2], texts[1] + texts[3], tuple(fake.requests))

    # What is seen

    def comments(self, number: int) -> list[str]:
        """The bodies of ours on a request."""
        if isinstance(self.fake, FakeGitHub):
            return [
                each["body"] for each in self.fake.comments if each["issue"] == number and each["user"]["login"] == BOT
            ]
        own = [each for each in self.fake.notes if each["author"]["username"] == TOKEN_USER]
        return [each["body"] for each in own if each["request"] == number]

    def issues(self) -> list[Mapping[str, Any]]:
        """Those that are open."""
        return [issue for issue in self.fake.issues if issue["state"] in ("open", "opened")]
