"""A job of GitHub Actions: its variables and event file, the REST API, and the runner's files and commands."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from vssync.api.http import url_path
from vssync.ci.forge import CiEvent, EventKind, Job, PullRequest, Severity, first_proven, read_token
from vssync.ci.rest import PER_PAGE, RestApi, RestForge, current_labels, dig, number_at, own_labels, text_at, time_at
from vssync.errors import ForgeDenied, ForgeError, UsageProblem
from vssync.render.markdown import clean_markdown, fit_markdown
from vssync.text import size_in_bytes

_MOST_SUMMARY = 1_000_000  # bytes; GitHub takes 1 MiB a step
_MOST_PUSHES = 300
_KINDS = {
    "pull_request": EventKind.PULL_REQUEST,
    "merge_group": EventKind.PULL_REQUEST,
    "push": EventKind.PUSH,
    "schedule": EventKind.SCHEDULE,
    "workflow_dispatch": EventKind.MANUAL,
}
_RUN = ("head_branch", "head_sha", "conclusion")
# Issue events that change what a pull request would merge; a push that is no force-push leaves none.
_MOVES = (
    "head_ref_force_pushed",
    "head_ref_restored",
    "base_ref_changed",
    "automatic_base_change_succeeded",
    "reopened",
)
_APPLYING = [name for name, kind in _KINDS.items() if kind in (EventKind.PUSH, EventKind.MANUAL)]


class GitHub(RestForge):
    """Forge of a job of GitHub Actions, on github.com or GitHub Enterprise."""

    _author = ("user", "login")
    _comments = ("/issues/{}/comments", "/issues/comments")
    _requests, _open_states = "/pulls", ("open",)
    _requests_with = "/commits{}/pulls"  # "List pull requests associated with a commit": also squashed, rebased, queued
    _read_right = "pull-requests: read"
    _comment_right, _issue_right = "pull-requests: write", "issues: write"
    _issue_number, _issue_text = "number", "body"
    _issue_query: ClassVar = {"state": "open"}
    _issue_closing: ClassVar = {"state": "closed", "state_reason": "completed"}
    _max_text = 65_536

    def __init__(self, job: Job) -> None:
        """Raises UsageProblem for variables or an event of no use."""
        self._environ, self._emit = job.environ, job.emit
        self.event = _read_event(job.environ)
        self._repository = "/repos" + url_path(*self.event.repository.split("/"))
        # "Variables reference": owner/name/path@ref, of the workflow whose event this is.
        workflow = job.environ.get("GITHUB_WORKFLOW_REF", "").partition("@")[0]
        self._workflow = workflow.removeprefix(f"{self.event.repository}/")
        headers = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
        way_out = "give the step `env: {{GITHUB_TOKEN: ${{{{ github.token }}}}}}`, and the job `{needs}`"
        if token := read_token(job.environ, "GITHUB_TOKEN"):
            headers["authorization"] = f"Bearer {token}"
            way_out = "add `{needs}` to the job's `permissions`"
        url = job.environ.get("GITHUB_API_URL") or "https://api.github.com"
        self._api = RestApi(job, url, headers, way_out, update="PATCH")

    def last_deployment(self, environment: str) -> str | None:
        recorded = self._api.pages(f"{self._repository}/deployments", "deployments: read", environment=environment)
        deployments = list(islice(recorded, PER_PAGE))
        shas = [text_at(deployment, "sha") for deployment in deployments]
        return first_proven(self, environment, shas, self._proven(deployments))

    def _proven(self, deployments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Of the commits that the branch was at, newest first, those deployed by a run of this workflow.

        "List repository activities" has them: a tag may bear the branch's name, and a merged commit may have had
        another workflow, so a run for a commit proves nothing alone.
        """
        path = f"{self._repository}/activity"
        moves = self._api.pages(path, "contents: read", ref=f"refs/heads/{self.event.branch}")
        for sha in (text_at(move, "after") for move in islice(moves, _MOST_PUSHES)):
            own = (each for each in deployments if text_at(each, "sha") == sha)
            if any(map(self._succeeded, own)) and self._has_run(sha):
                yield sha

    def _succeeded(self, deployment: Mapping[str, Any]) -> bool:
        path = f"{self._repository}/deployments{url_path(text_at(deployment, 'id'))}/statuses"
        return any(text_at(status, "state") == "success" for status in self._api.pages(path, "deployments: read"))

    def _has_run(self, sha: str) -> bool:
        """Whether this workflow ran for a commit of the branch, and all of it succeeded."""
        params = {"head_sha": sha, "branch": self.event.branch, "status": "success"}
        runs = self._api.pages(f"{self._repository}/actions/runs", "actions: read", key="workflow_runs", **params)
        wanted = (self._workflow, self.event.branch, sha, "success")
        return bool(self._workflow) and any(
            (text_at(run, "path").partition("@")[0], *(text_at(run, name) for name in _RUN)) == wanted
            and text_at(run, "event") in _APPLYING
            for run in runs
        )

    def write_summary(self, text: str) -> None:
        """Adds to the job's summary what still fits; without GITHUB_STEP_SUMMARY it prints nothing."""
        if path := self._environ.get("GITHUB_STEP_SUMMARY"):
            room = _MOST_SUMMARY - (os.path.getsize(path) if os.path.exists(path) else 0)
            if room > 0:
                cut = "Cut: the job's log has all."
                _append(path, fit_markdown(clean_markdown(text), room, cut, size=size_in_bytes) + "\n")

    def annotate(self, severity: Severity, message: str, *, file: str = "", line: int = 0) -> None:
        """Prints a workflow command ("Workflow commands for GitHub Actions"); the runner shows ten of a kind a step."""
        properties = {"file": file, "line": str(line) if file and line else ""}
        given = ",".join(f"{name}={_escape(value, ',:')}" for name, value in properties.items() if value)
        self._emit(f"::{severity}{' ' + given if given else ''}::{_escape(clean_markdown(message))}")

    def set_output(self, name: str, value: str) -> None:
        """Writes into GITHUB_OUTPUT, behind a delimiter that no value can hold."""
        if path := self._environ.get("GITHUB_OUTPUT"):
            delimiter = f"vssync_{secrets.token_hex(16)}"
            _append(path, f"{name}<<{delimiter}\n{value}\n{delimiter}\n")

    def _login(self) -> str:
        try:
            return super()._login()
        except ForgeDenied:  # a job's own token may not ask who it is
            self._account = "github-actions[bot]"
            return self._account

    def _merge_commit(self, request: Mapping[str, Any]) -> str:
        is_merged = text_at(request, "merged_at") and text_at(request, "base", "ref") == self.event.branch
        return text_at(request, "merge_commit_sha") if is_merged else ""

    def _describe(self, request: Mapping[str, Any]) -> PullRequest:
        number = number_at(request, "number")
        described = PullRequest(
            number,
            author=text_at(request, "user", "login"),
            head_sha=text_at(request, "head", "sha"),
            url=text_at(request, "html_url"),
        )
        issue, needs = f"{self._repository}/issues/{number}", self._read_right
        names = own_labels(text_at(label, "name") for label in self._api.pages(f"{issue}/labels", needs))
        if not names:
            return described
        events = list(self._api.pages(f"{issue}/events", needs))
        described, pusher = self._with_last_push(described, request, events)
        acts = (event for event in events if event.get("event") == "labeled")  # oldest first; times by GitHub's clock
        return replace(described, labels=current_labels(names, acts, ("actor", "login"), pusher))

    def _with_last_push(
        self, described: PullRequest, pull: Mapping[str, Any], events: list[dict[str, Any]]
    ) -> tuple[PullRequest, str]:
        """With when what it would merge last changed, by GitHub's clock; and who pushed. Commits' dates can be forged.

        The push: "List repository activities" has the branch's pushes with time and actor. Where it does not (an older
        GitHub Enterprise, a deleted branch), the first run for this commit ("List workflow runs for a repository")
        since the pull request was opened began after the push; a commit that was there before, left and came back
        needed a force-push. That and other moves: "Issue event types". After the merge nothing counts any more.
        """
        repository, branch = text_at(pull, "head", "repo", "full_name"), text_at(pull, "head", "ref")
        opened, merged = time_at(pull, "created_at"), time_at(pull, "merged_at")
        if not repository or opened is None:
            why = "its branch's repository was deleted, and with it when was pushed last"
            return replace(described, unknown=why), ""
        moves = [time_at(event, "created_at") for event in events if event.get("event") in _MOVES]
        pushed, pusher = self._pushed(repository, branch, described.head_sha, merged)
        pushed = pushed or self._first_run(repository, branch, described.head_sha, opened)
        if pushed is None:
            why = (
                f"GitHub has no record of when {described.head_sha[:10]} was pushed; give the job `contents: read` and "
                "`actions: read`, or push again and set the label again"
            )
            return replace(described, unknown=why), ""
        last = max([pushed, *(time for time in moves if time and not (merged and time > merged))])
        return replace(described, last_push_at=last), pusher

    def _pushed(self, repository: str, branch: str, sha: str, merged: datetime | None) -> tuple[datetime | None, str]:
        """When the branch got this commit, and from whom."""
        try:
            path = f"/repos{url_path(*repository.split('/'))}/activity"
            for activity in islice(self._api.pages(path, "contents: read", ref=f"refs/heads/{branch}"), _MOST_PUSHES):
                time = time_at(activity, "timestamp")
                if text_at(activity, "after") == sha and time and not (merged and time > merged):
                    return time, text_at(activity, "actor", "login")
        except ForgeError as error:
            if error.status not in (403, 404, 422):
                raise
        return None, ""

    def _first_run(self, repository: str, branch: str, sha: str, opened: datetime) -> datetime | None:
        path, needs = f"{self._repository}/actions/runs", "actions: read"
        try:
            runs = list(self._api.pages(path, needs, key="workflow_runs", head_sha=sha, event="pull_request"))
        except ForgeDenied:
            return None
        times = (
            time_at(run, "created_at")
            for run in runs
            if (text_at(run, "head_repository", "full_name"), run.get("head_branch")) == (repository, branch)
        )
        return min((time for time in times if time and time >= opened), default=None)


def _read_event(environ: Mapping[str, str]) -> CiEvent:
    """Raises UsageProblem for an event that is none of ours, or a file that cannot be read."""
    name = environ.get("GITHUB_EVENT_NAME", "")
    if name not in _KINDS:
        why = " runs a stranger's files beside your secrets" if name == "pull_request_target" else ""
        raise UsageProblem(f"GITHUB_EVENT_NAME: `{name}`{why}: run this on {', '.join(_KINDS)}")
    try:
        payload = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageProblem(f"GITHUB_EVENT_PATH: cannot be read: {error}; run this in a job of GitHub Actions") from None
    server, repository = environ.get("GITHUB_SERVER_URL", "https://github.com"), environ.get("GITHUB_REPOSITORY", "")
    if repository.count("/") != 1:
        raise UsageProblem(f"GITHUB_REPOSITORY: `{repository}` is not owner/name; run this in a job of GitHub Actions")
    branch = environ.get("GITHUB_REF_NAME", "") if environ.get("GITHUB_REF_TYPE", "branch") == "branch" else ""
    run_url = f"{server}/{repository}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}"
    event = CiEvent(
        _KINDS[name],
        name,
        sha=environ.get("GITHUB_SHA", ""),
        branch=branch,
        repository=repository,
        # Schedules run on the default branch only, and their payload does not name it.
        is_default_branch=name == "schedule" or branch == (dig(payload, "repository", "default_branch") or None),
        actor=environ.get("GITHUB_TRIGGERING_ACTOR", "") or environ.get("GITHUB_ACTOR", ""),
        files_url=f"{server}/{repository}/blob/",
        run_url=run_url,
        job_url=f"{run_url}/attempts/{environ.get('GITHUB_RUN_ATTEMPT', '') or '1'}",
    )
    if name == "push":
        before = text_at(payload, "before")
        return replace(event, before=before if before.strip("0") else "")
    if name == "workflow_dispatch":
        return replace(event, unexplained=dig(payload, "inputs", "unexplained") in (True, "true"))
    return _with_request(event, payload)


def _with_request(event: CiEvent, payload: object) -> CiEvent:
    """A pull request's or a merge queue's event with what its payload says."""
    pull, group = dig(payload, "pull_request"), dig(payload, "merge_group")
    if group:
        base = text_at(group, "base_ref").removeprefix("refs/heads/")
        return replace(event, branch=base, base_sha=text_at(group, "base_sha"), head_sha=text_at(group, "head_sha"))
    if not pull:
        return event
    own = dig(pull, "head", "repo", "id")
    return replace(
        event,
        branch=text_at(pull, "base", "ref"),
        is_default_branch=False,
        number=number_at(pull, "number") or None,
        author=text_at(pull, "user", "login"),
        is_fork=own is None or own != dig(pull, "base", "repo", "id"),  # None: a deleted fork
        is_closed=text_at(payload, "action") == "closed",
        base_sha=text_at(pull, "base", "sha"),
        head_sha=text_at(pull, "head", "sha"),
    )


def _escape(text: str, also: str = "") -> str:
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{also}" else char for char in text)


def _append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
