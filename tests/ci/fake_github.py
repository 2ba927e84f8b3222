"""A strict GitHub: permissions of a job's token, authors, label events, pushes by its own clock, limits of length."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.ci.fake_forge import Denied, FakeForge, Handler
from vssync.ci.forge import Forge, open_forge

REPOSITORY = "acme/handbook"
WORKFLOW = ".github/workflows/vssync.yml"
BOT = "github-actions[bot]"
_LEVELS = ("none", "read", "write")


def user(login: str) -> dict[str, Any] | None:
    """A user as GitHub shows one; one that was deleted is null."""
    return {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"} if login else None


@dataclass
class FakeGitHub(FakeForge):
    host: str = "api.github.com"
    prefix: str = ""
    permissions: dict[str, str] = field(
        default_factory=lambda: (
            dict.fromkeys(("contents", "actions", "deployments"), "read")
            | dict.fromkeys(("pull-requests", "issues"), "write")
        )
    )
    login: str = BOT
    has_issues: bool = True
    has_activity: bool = True
    locked: set[int] = field(default_factory=set)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    labels: dict[int, list[str]] = field(default_factory=dict)
    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[int, list[str]] = field(default_factory=dict)
    commits: dict[str, list[int]] = field(default_factory=dict)

    def open_job(self, folder: Path, event: str = "push", *, token: str = "ghs_job", **payload: Any) -> Forge:
        """The forge of a job that this event starts, with its files in a folder."""
        payload.setdefault("repository", {"default_branch": "main"})
        (folder / "event.json").write_text(json.dumps(payload))
        environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_REF_NAME": "main",
            "GITHUB_REF_TYPE": "branch",
            "GITHUB_SHA": "c0ffee",
            "GITHUB_RUN_ID": "77",
            "GITHUB_WORKFLOW_REF": f"{REPOSITORY}/{WORKFLOW}@refs/heads/main",
            "GITHUB_ACTOR": "mona",
            "GITHUB_TOKEN": token,
            "GITHUB_API_URL": f"https://{self.host}{self.prefix}",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "GITHUB_OUTPUT": str(folder / "output"),
        }
        return open_forge(self.job(environ))

    # What people do

    def open_pull(self, number: int, author: str, branch: str, sha: str, *, fork: str = REPOSITORY) -> None:
        self.pulls[number] = {
            "id": 9_000 + number,
            "number": number,
            "html_url": f"https://github.com/{REPOSITORY}/pull/{number}",
            "user": user(author),
            "created_at": self.now(),
            "state": "open",
            "merged_at": None,
            "merge_commit_sha": "7e57",
            "base": {"ref": "main", "sha": "ba5e", "repo": {"id": 1, "full_name": REPOSITORY}},
            "head": {"ref": branch, "sha": sha, "repo": {"id": 1 if fork == REPOSITORY else 2, "full_name": fork}},
        }
        self.labels[number], self.events[number] = [], []
        self.run(number)

    def push(self, branch: str, sha: str, by: str, *, forced: bool = False) -> None:
        kind = "force_push" if forced else "push"
        activity = {"ref": f"refs/heads/{branch}", "after": sha, "timestamp": self.now(), "activity_type": kind}
        self.activities.append({**activity, "actor": user(by)})
        for number, pull in self.pulls.items():
            if pull["head"]["ref"] == branch and not pull["merged_at"]:
                pull["head"]["sha"] = sha
                if forced:
                    self.act(number, "head_ref_force_pushed", by)
                self.run(number)

    def run(self, number: int) -> None:
        head = self.pulls[number]["head"]
        run = {"head_sha": head["sha"], "head_branch": head["ref"], "head_repository": head["repo"]}
        self.runs.append({**run, "event": "pull_request", "created_at": self.now()})

    def act(self, number: int, event: str, by: str, **more: Any) -> None:
        self.events[number].append({"event": event, "actor": user(by), "created_at": self.now(), **more})

    def label(self, number: int, name: str, by: str) -> None:
        self.labels[number].append(name)
        self.act(number, "labeled", by, label={"name": name})

    def unlabel(self, number: int, name: str, by: str) -> None:
        self.labels[number].remove(name)
        self.act(number, "unlabeled", by, label={"name": name})

    def merge(self, number: int, sha: str, *, commits: tuple[str, ...] = (), base: str = "main") -> None:
        self.pulls[number]["base"]["ref"] = base
        self.pulls[number] |= {"state": "closed", "merged_at": self.now(), "merge_commit_sha": sha}
        for commit in (*commits, sha):
            self.commits.setdefault(commit, []).append(number)

    def close(self, number: int) -> None:
        self.pulls[number]["state"] = "closed"

    def reopen(self, number: int) -> None:
        self.pulls[number]["state"] = "open"

    def record_deployment(self, environment: str, sha: str, *statuses: str) -> None:
        """As anybody can who may push a workflow."""
        id_ = self.next_id()
        self.deployments.insert(0, {"id": id_, "environment": environment, "sha": sha, "ref": "main"})
        self.statuses[id_] = list(statuses)

    def deploy(self, environment: str, sha: str, *statuses: str, **run: str) -> None:
        """As the workflow does, in a run for the branch that was pushed."""
        self.record_deployment(environment, sha, *(statuses or ("in_progress", "success")))
        run = {"path": WORKFLOW, "event": "push", "head_branch": "main", "conclusion": "success", **run}
        self.runs.append({"head_sha": sha, "created_at": self.now(), **run})

    def move_main(self, sha: str) -> None:
        self.activities.append({"ref": "refs/heads/main", "after": sha, "timestamp": self.now(), "actor": user("rita")})

    def comment(self, number: int, login: str, body: str) -> int:
        id_ = self.next_id()
        self.comments.append({"id": id_, "issue": number, "user": user(login), "body": body, "html_url": f"#c{id_}"})
        return id_

    # What it answers

    def check_token(self, request: httpx.Request) -> None:
        assert "private-token" not in request.headers
        if request.headers.get("authorization") not in ("Bearer ghs_job", "Bearer ghp_person"):
            raise Denied(401, "Bad credentials")

    def need(self, *permissions: str) -> None:
        """One of these permissions, such as `issues: write`."""
        for permission in permissions:
            name, _, level = permission.partition(": ")
            if _LEVELS.index(self.permissions.get(name, "none")) >= _LEVELS.index(level):
                return
        raise Denied(403, "Resource not accessible by integration")

    def routes(self) -> list[tuple[str, Handler]]:
        repository = f"/repos/{REPOSITORY}"
        return [
            ("GET /user", self.get_user),
            (f"GET {repository}/pulls/(\\d+)", self.get_pull),
            (f"GET {repository}/issues/(\\d+)/labels", self.get_labels),
            (f"GET {repository}/issues/(\\d+)/events", self.get_events),
            (f"GET {repository}/issues/(\\d+)/comments", self.get_comments),
            (f"POST {repository}/issues/(\\d+)/comments", self.create_comment),
            (f"PATCH {repository}/issues/comments/(\\d+)", self.update_comment),
            (f"DELETE {repository}/issues/comments/(\\d+)", self.delete_comment),
            (f"GET {repository}/issues", self.get_issues),
            (f"POST {repository}/issues", self.create_issue),
            (f"PATCH {repository}/issues/(\\d+)", self.update_issue),
            (f"GET {repository}/commits/([^/]+)/pulls", self.get_commit_pulls),
            ("GET /repos/([^/]+/[^/]+)/activity", self.get_activity),
            (f"GET {repository}/actions/runs", self.get_runs),
            (f"GET {repository}/deployments", self.get_deployments),
            (f"GET {repository}/deployments/(\\d+)/statuses", self.get_statuses),
        ]

    def get_user(self) -> dict[str, Any]:
        if self.login == BOT:
            raise Denied(403, "Resource not accessible by integration")
        return {"login": self.login}

    def get_pull(self, number: str) -> dict[str, Any]:
        self.need("pull-requests: read")
        if int(number) not in self.pulls:
            raise Denied(404, "Not Found")
        return self.pulls[int(number)]

    def get_labels(self, number: str) -> list[dict[str, Any]]:
        self.need("issues: read", "pull-requests: read")
        return [{"name": name} for name in self.labels[int(number)]]

    def get_events(self, number: str) -> list[dict[str, Any]]:
        self.need("issues: read", "pull-requests: read")
        return self.events[int(number)]

    def get_comments(self, number: str) -> list[dict[str, Any]]:
        self.need("issues: read", "pull-requests: read")
        return [comment for comment in self.comments if comment["issue"] == int(number)]

    def create_comment(self, number: str, body: dict[str, str]) -> dict[str, Any]:
        self.need("issues: write", "pull-requests: write")
        if int(number) in self.locked:
            raise Denied(403, "Unable to create comment because issue is locked.")
        self.check_body(body)
        self.comment(int(number), self.login, body["body"])
        return self.comments[-1]

    def update_comment(self, id_: str, body: dict[str, str]) -> dict[str, Any]:
        self.need("issues: write", "pull-requests: write")
        found = next((comment for comment in self.comments if comment["id"] == int(id_)), None)
        if not found:
            raise Denied(404, "Not Found")
        assert found["user"]["login"] == self.login, "a comment of somebody else's was overwritten"
        self.check_body(body)
        found["body"] = body["body"]
        return found

    def delete_comment(self, id_: str) -> dict[str, Any]:
        self.need("issues: write", "pull-requests: write")
        (found,) = [comment for comment in self.comments if comment["id"] == int(id_)]
        assert found["user"]["login"] == self.login, "a comment of somebody else's was deleted"
        self.comments.remove(found)
        return {}

    def get_issues(self) -> Callable[[dict[str, str]], list[dict[str, Any]]]:
        self.need("issues: read")
        pulls = [{"number": number, "pull_request": {}, **pull} for number, pull in self.pulls.items()]
        return lambda query: [*pulls, *(issue for issue in self.issues if issue["state"] == query["state"])]

    def create_issue(self, body: dict[str, str]) -> dict[str, Any]:
        self.need("issues: write")
        if not self.has_issues:
            raise Denied(410, "Issues has been disabled in this repository.")
        self.check_body(body)
        number = self.next_id()
        self.issues.append({**body, "id": number, "number": number, "state": "open", "user": user(self.login)})
        self.issues[-1]["html_url"] = f"#{number}"
        return self.issues[-1]

    def update_issue(self, number: str, body: dict[str, str]) -> dict[str, Any]:
        self.need("issues: write")
        self.check_body(body)
        issue = next(issue for issue in self.issues if issue["number"] == int(number))
        issue.update(body)
        return issue

    @staticmethod
    def check_body(fields: dict[str, str]) -> None:
        if len(fields.get("body", "")) > 65_536:
            raise Denied(422, "Validation Failed: body is too long (maximum is 65536 characters)")
        assert not set(map(ord, fields.get("body", ""))) & {*range(9), 11, 12, *range(14, 32)}, "control characters"

    def get_commit_pulls(self, sha: str) -> list[dict[str, Any]]:
        self.need("pull-requests: read")
        return [self.pulls[number] for number in self.commits.get(sha, [])]

    def get_activity(self, repository: str) -> Callable[[dict[str, str]], list[dict[str, Any]]]:
        self.need("contents: read")
        if not self.has_activity:
            raise Denied(404, "Not Found")
        assert repository == REPOSITORY or any(
            p["head"]["repo"]["full_name"] == repository for p in self.pulls.values()
        )
        return lambda query: [activity for activity in reversed(self.activities) if activity["ref"] == query["ref"]]

    def get_runs(self) -> Callable[[dict[str, str]], Any]:
        self.need("actions: read")
        return lambda query: {
            "workflow_runs": [run for run in reversed(self.runs) if run["head_sha"] == query["head_sha"]]
        }

    def get_deployments(self) -> Callable[[dict[str, str]], list[dict[str, Any]]]:
        self.need("deployments: read")
        return lambda query: [one for one in self.deployments if one["environment"] == query["environment"]]

    def get_statuses(self, id_: str) -> list[dict[str, Any]]:
        self.need("deployments: read")
        return [{"state": state} for state in self.statuses[int(id_)]]
