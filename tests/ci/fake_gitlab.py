"""A strict GitLab: what each kind of token may do, authors, label events, versions, limits of length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.ci.fake_forge import Denied, FakeForge, Handler
from vssync.ci.forge import Forge, open_forge

TOKEN_USER = "project_5_bot_1a2b"


def user(name: str) -> dict[str, Any]:
    """A user with an id that its name decides."""
    return {"id": sum(map(ord, name)), "username": name}


@dataclass
class FakeGitLab(FakeForge):
    host: str = "git.example.org"
    prefix: str = "/api/v4"
    scope: str = "api"
    requests_: dict[int, dict[str, Any]] = field(default_factory=dict)
    label_events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    versions: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    commits: dict[str, list[int]] = field(default_factory=dict)
    is_job: bool = False

    def open_job(self, folder: Path, source: str = "push", *, token: str = "glpat-x", **variables: str) -> Forge:
        """The forge of a job in a pipeline of this source."""
        environ = {
            "GITLAB_CI": "true",
            "CI_PIPELINE_SOURCE": source,
            "CI_API_V4_URL": f"https://{self.host}{self.prefix}",
            "CI_PROJECT_ID": "5",
            "CI_PROJECT_PATH": "acme/handbook",
            "CI_PROJECT_URL": "https://git.example.org/acme/handbook",
            "CI_PROJECT_DIR": str(folder),
            "CI_COMMIT_SHA": "c0ffee",
            "CI_COMMIT_BRANCH": "main",
            "CI_DEFAULT_BRANCH": "main",
            "CI_JOB_TOKEN": "job",
            "CI_JOB_URL": "https://git.example.org/acme/handbook/-/jobs/9",
            "VSSYNC_GITLAB_TOKEN": token,
            **variables,
        }
        return open_forge(self.job(environ))

    # What people do

    def open_request(self, number: int, author: str, branch: str, sha: str) -> None:
        self.requests_[number] = {
            "id": 9_000 + number,
            "iid": number,
            "author": user(author),
            "web_url": f"https://git.example.org/acme/handbook/-/merge_requests/{number}",
            "state": "opened",
            "sha": sha,
            "source_branch": branch,
            "target_branch": "main",
            "labels": [],
            "merge_commit_sha": None,
            "squash_commit_sha": None,
        }
        self.label_events[number], self.versions[number] = [], []
        self.push(branch, sha, author)

    def push(self, branch: str, sha: str, by: str) -> None:
        for number, request in self.requests_.items():
            if request["source_branch"] == branch and request["state"] == "opened":
                request["sha"] = sha
                version = {"id": self.next_id(), "head_commit_sha": sha, "created_at": self.now()}
                self.versions[number].insert(0, version)

    def label(self, number: int, name: str, by: str) -> None:
        self.requests_[number]["labels"].append(name)
        self.record(number, name, by, "add")

    def unlabel(self, number: int, name: str, by: str) -> None:
        self.requests_[number]["labels"].remove(name)
        self.record(number, name, by, "remove")

    def record(self, number: int, name: str, by: str, action: str) -> None:
        event = {"id": self.next_id(), "user": user(by) if by else None, "created_at": self.now(), "action": action}
        self.label_events[number].append({**event, "label": {"name": name}})

    def merge(
        self, number: int, *, merge: str | None = None, squash: str | None = None, commits: tuple[str, ...] = ()
    ) -> None:
        request = self.requests_[number]
        request |= {"state": "merged", "merge_commit_sha": merge, "squash_commit_sha": squash}
        for commit in {request["sha"], merge, squash, *commits} - {None}:
            self.commits.setdefault(commit, []).append(number)

    def close(self, number: int) -> None:
        self.requests_[number]["state"] = "closed"

    def reopen(self, number: int) -> None:
        self.requests_[number]["state"] = "opened"

    def record_deployment(self, environment: str, sha: str, status: str = "success", job: Any = None) -> None:
        """As anybody can who may push, through the API."""
        deployment = {"id": self.next_id(), "environment": environment, "sha": sha, "status": status, "ref": "main"}
        self.deployments.insert(0, deployment | {"deployable": job})

    def deploy(
        self,
        environment: str,
        sha: str,
        status: str = "success",
        *,
        ref: str = "main",
        tag: bool = False,
        source: str = "push",
        commit: str = "",
    ) -> None:
        """As a job does, in a pipeline of the branch that was pushed."""
        pipeline = {"ref": ref, "sha": commit or sha, "source": source, "status": "running"}
        job = {"status": status, "ref": ref, "tag": tag, "pipeline": pipeline}
        self.record_deployment(environment, sha, status, job)

    def move_main(self, sha: str) -> None:
        """Nothing that vssync asks GitLab for: a pipeline of a branch has one of its commits."""

    def note(self, number: int, name: str, body: str, *, system: bool = False) -> int:
        id_ = self.next_id()
        self.notes.append({"id": id_, "request": number, "author": user(name), "body": body, "system": system})
        return id_

    # What it answers

    def check_token(self, request: httpx.Request) -> None:
        self.is_job = request.headers.get("job-token") == "job"
        if not self.is_job and request.headers.get("private-token") != "glpat-x":
            raise Denied(401, "401 Unauthorized")

    def need(self, scope: str) -> None:
        """A job's own token sees none of it; a token needs the scope `api` to write."""
        if self.is_job:
            raise Denied(404, "404 Not found")
        if scope == "api" and self.scope != "api":
            raise Denied(403, "insufficient_scope")

    def routes(self) -> list[tuple[str, Handler]]:
        request = "/projects/5/merge_requests/(\\d+)"
        return [
            ("GET /user", self.get_user),
            (f"GET {request}", self.get_request),
            (f"GET {request}/resource_label_events", self.get_label_events),
            (f"GET {request}/versions", self.get_versions),
            (f"GET {request}/notes", self.get_notes),
            (f"POST {request}/notes", self.create_note),
            (f"PUT {request}/notes/(\\d+)", self.update_note),
            (f"DELETE {request}/notes/(\\d+)", self.delete_note),
            ("GET /projects/5/issues", self.get_issues),
            ("POST /projects/5/issues", self.create_issue),
            ("PUT /projects/5/issues/(\\d+)", self.update_issue),
            ("GET /projects/5/repository/commits/([^/]+)/merge_requests", self.get_commit_requests),
            ("GET /projects/5/deployments", self.get_deployments),
        ]

    def get_user(self) -> dict[str, Any]:
        self.need("read_api")
        return user(TOKEN_USER)

    def get_request(self, number: str) -> dict[str, Any]:
        self.need("read_api")
        if int(number) not in self.requests_:
            raise Denied(404, "404 Not found")
        return self.requests_[int(number)]

    def get_label_events(self, number: str) -> list[dict[str, Any]]:
        self.need("read_api")
        return self.label_events[int(number)]

    def get_versions(self, number: str) -> list[dict[str, Any]]:
        self.need("read_api")
        return self.versions[int(number)]

    def get_notes(self, number: str) -> list[dict[str, Any]]:
        self.need("read_api")
        return [note for note in self.notes if note["request"] == int(number)]

    def create_note(self, number: str, body: dict[str, str]) -> dict[str, Any]:
        self.need("api")
        self.check_text(body["body"])
        self.note(int(number), TOKEN_USER, body["body"])
        return self.notes[-1]

    def update_note(self, _number: str, id_: str, body: dict[str, str]) -> dict[str, Any]:
        self.need("api")
        found = next((note for note in self.notes if note["id"] == int(id_)), None)
        if not found:
            raise Denied(404, "404 Not found")
        assert found["author"] == user(TOKEN_USER), "a note of somebody else's was overwritten"
        self.check_text(body["body"])
        found["body"] = body["body"]
        return found

    def delete_note(self, _number: str, id_: str) -> dict[str, Any]:
        self.need("api")
        (found,) = [note for note in self.notes if note["id"] == int(id_)]
        assert found["author"] == user(TOKEN_USER), "a note of somebody else's was deleted"
        self.notes.remove(found)
        return {}

    def get_issues(self) -> Callable[[dict[str, str]], list[dict[str, Any]]]:
        self.need("read_api")
        return lambda query: [
            issue
            for issue in self.issues
            if issue["state"] == query["state"]
            if issue["author"] == user(TOKEN_USER) or query["scope"] != "created_by_me"
        ]

    def create_issue(self, body: dict[str, str]) -> dict[str, Any]:
        self.need("api")
        self.check_text(body["description"])
        id_ = self.next_id()
        issue = {
            **body,
            "id": 9_000 + id_,
            "iid": id_,
            "state": "opened",
            "author": user(TOKEN_USER),
            "web_url": f"#{id_}",
        }
        self.issues.append(issue)
        return issue

    def update_issue(self, number: str, body: dict[str, str]) -> dict[str, Any]:
        self.need("api")
        issue = next(issue for issue in self.issues if issue["iid"] == int(number))
        issue["state"] = "closed" if body.pop("state_event", "") == "close" else issue["state"]
        issue.update(body)
        return issue

    @staticmethod
    def check_text(text: str) -> None:
        if len(text) > 1_000_000:
            raise Denied(400, {"note": ["is too long (maximum is 1000000 characters)"]})
        assert not any(line.startswith("/") for line in text.splitlines()), "a quick action would be carried out"

    def get_commit_requests(self, sha: str) -> list[dict[str, Any]]:
        self.need("read_api")
        return [self.requests_[number] for number in self.commits.get(sha, [])]

    def get_deployments(self) -> Callable[[dict[str, str]], list[dict[str, Any]]]:
        return lambda query: [
            one
            for one in self.deployments
            if one["environment"] == query["environment"] and one["status"] == query["status"]
        ]
