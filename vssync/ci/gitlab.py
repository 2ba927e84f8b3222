"""A job of GitLab CI: its variables, the REST API, and files for the job's artifacts.

"CI/CD job token" lists what a job's own token may read; deployments are all of it that is used here. Everything else
takes VSSYNC_GITLAB_TOKEN, a project access token.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from vssync.api.http import url_path
from vssync.ci.body import clean, fit
from vssync.ci.forge import CiEvent, EventKind, Job, PullRequest, Severity
from vssync.ci.rest import PER_PAGE, RestApi, RestForge, dig, label_set_by, own_labels, text_at, time_at
from vssync.errors import UsageProblem
from vssync.files import write_file
from vssync.text import escape_control

FOLDER = ".vssync-ci"  # of what the job's artifacts hold; hidden, so that no pattern of a manifest chooses it
_MOST = 1_000_000  # characters of a note
_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTICE: "info"}
_KINDS = {
    "merge_request_event": EventKind.PULL_REQUEST,
    "push": EventKind.PUSH,
    "schedule": EventKind.SCHEDULE,
    "web": EventKind.MANUAL,
    "api": EventKind.MANUAL,
}
_BOT = re.compile(r"(project|group)_\d+_bot")  # "Bot users for projects" and "for groups": of access tokens


class GitLab(RestForge):
    """Forge of a job of GitLab CI, on gitlab.com or an instance of your own."""

    _author = ("author", "id")

    def __init__(self, job: Job) -> None:
        """Raises UsageProblem for variables or a pipeline of no use."""
        environ, self._emit = job.environ, job.emit
        self.event = _read_event(environ)
        self._project = "/projects" + url_path(environ.get("CI_PROJECT_ID", ""))
        self._project_url = environ.get("CI_PROJECT_URL", "")
        self._folder = Path(environ.get("CI_PROJECT_DIR", ".")) / FOLDER
        self._files: dict[str, str] = {}
        self._findings: list[dict[str, Any]] = []
        headers = {"job-token": environ.get("CI_JOB_TOKEN", "")}
        way_out = "set VSSYNC_GITLAB_TOKEN to a project access token with the scope `{needs}` and the role Developer"
        if token := environ.get("VSSYNC_GITLAB_TOKEN"):
            headers = {"private-token": token}
            way_out = "give VSSYNC_GITLAB_TOKEN the scope `{needs}` and the role Developer"
        self._api = RestApi(job, environ.get("CI_API_V4_URL", ""), headers, way_out, update="PUT")
        self._user_id = ""

    def pull_request(self, number: int) -> PullRequest:
        return self._describe(self._api.get(f"{self._project}/merge_requests/{number}", "read_api"))

    def last_deployment(self, environment: str) -> str | None:
        """The newest with the status `success` ("Deployments API"); those of merge requests do not count."""
        params = {"environment": environment, "status": "success", "order_by": "id", "sort": "desc"}
        deployments = self._api.pages(f"{self._project}/deployments", "read_api", **params)
        shas = (
            text_at(deployment, "sha")
            for deployment in islice(deployments, PER_PAGE)
            if not text_at(deployment, "ref").startswith("refs/merge-requests/")
        )
        return next(filter(None, shas), None)

    def put_comment(self, number: int, marker: str, body: str) -> str:
        notes = f"{self._project}/merge_requests/{number}/notes"
        answer = self._api.put(
            lambda: self._own(self._api.pages(notes, "api", sort="asc", order_by="created_at"), marker, "id"),
            (notes, notes),
            "api",
            body=self._fit(marker, body),
        )
        return f"{self._project_url}/-/merge_requests/{number}#note_{text_at(answer, 'id')}"

    def put_issue(self, marker: str, title: str, body: str) -> str:
        issues = f"{self._project}/issues"
        fields = {"title": escape_control(title)[:255], "description": self._fit(marker, body)}
        answer = self._api.put(lambda: self._own_issue(marker), (issues, issues), "api", **fields)
        return text_at(answer, "web_url")

    def close_issue(self, marker: str) -> None:
        if number := self._own_issue(marker):
            self._api.update(f"{self._project}/issues{url_path(number)}", "api", state_event="close")

    def write_summary(self, text: str) -> None:
        """Adds to `summary.md` of the artifacts: GitLab's page of a job shows its log only."""
        self._write("summary.md", f"{self._files.get('summary.md', '')}{clean(text)}\n")

    def annotate(self, severity: Severity, message: str, *, file: str = "", line: int = 0) -> None:
        """Prints it, and adds it to `code-quality.json` ("Code Quality report format"), which GitLab shows at lines."""
        message = escape_control(message)
        place = f"{escape_control(file)}:{line}: " if file else ""
        self._emit(f"{place}{severity}: {message}")
        if file:
            fingerprint = hashlib.sha256(f"{file}\0{line}\0{message}".encode(errors="backslashreplace")).hexdigest()
            finding = {
                "description": message,
                "check_name": "vssync",
                "fingerprint": fingerprint,
                "severity": _SEVERITIES[severity],
                "location": {"path": file, "lines": {"begin": max(1, line)}},
            }
            self._findings.append(finding)
            self._write("code-quality.json", json.dumps(self._findings))

    def set_output(self, name: str, value: str) -> None:
        """Adds `VSSYNC_NAME=value` to `output.env` ("dotenv" reports, whose values have one line)."""
        line = f"VSSYNC_{name.upper().replace('-', '_')}={escape_control(value)}\n"
        self._write("output.env", self._files.get("output.env", "") + line)

    def _write(self, name: str, text: str) -> None:
        """Writes a file of the artifacts, in a folder that holds nothing, and leads nowhere, that a commit brought."""
        if not self._files:
            if self._folder.is_symlink() or self._folder.is_file():
                self._folder.unlink()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
        self._files[name] = text
        write_file(self._folder / name, text)

    def _fit(self, marker: str, body: str) -> str:
        text = clean(body if body.startswith(marker) else f"{marker}\n{body}")
        # A line that begins with a slash could be a quick action, which GitLab would carry out as the token's account.
        text = re.sub(r"(?m)^/", " /", text)
        return fit(text, _MOST, f"Cut here: [the job]({self.event.job_url}) shows everything.")

    def _own_issue(self, marker: str) -> str:
        path, own_id = f"{self._project}/issues", self._account()
        issues = self._api.pages(path, "api", state="opened", scope="all", author_id=own_id)
        return self._own(issues, marker, "iid")

    def _account(self) -> str:
        if not self._user_id:
            self._user_id = text_at(self._api.get("/user", "api"), "id")
        return self._user_id

    def _requests_with(self, commit: str) -> Iterable[dict[str, Any]]:
        """As "List merge requests associated with a commit" has them: also after a squash or a merge train."""
        return self._api.pages(f"{self._project}/repository/commits{url_path(commit)}/merge_requests", "read_api")

    def _merge_commit(self, request: Mapping[str, Any]) -> str:
        """A merge commit, a squash, or after a fast-forward the request's own last commit."""
        if (text_at(request, "state"), text_at(request, "target_branch")) != ("merged", self.event.branch):
            return ""
        return text_at(request, "merge_commit_sha") or text_at(request, "squash_commit_sha") or text_at(request, "sha")

    def _describe(self, request: Mapping[str, Any]) -> PullRequest:
        number = int(text_at(request, "iid") or 0)
        described = PullRequest(
            number,
            author=text_at(request, "author", "username"),
            head_sha=text_at(request, "sha"),
            url=text_at(request, "web_url"),
            merge_commit=self._merge_commit(request),
        )
        names = own_labels(name for name in dig(request, "labels") or () if isinstance(name, str))
        if not names:
            return described
        path = f"{self._project}/merge_requests/{number}"
        events = list(self._api.pages(f"{path}/resource_label_events", "read_api"))
        labels = []
        for name in names:  # "Resource label events API", whose times are by GitLab's clock
            acts = [event for event in events if (event.get("action"), dig(event, "label", "name")) == ("add", name)]
            act = max(acts, key=lambda event: int(text_at(event, "id") or 0), default=None)
            user = text_at(act, "user", "username")
            labels.append(label_set_by(name, act, user, is_bot=_BOT.match(user) is not None))
        described = replace(described, labels=tuple(labels))
        return self._with_last_push(described, list(self._api.pages(f"{path}/versions", "read_api")))

    @staticmethod
    def _with_last_push(described: PullRequest, versions: list[dict[str, Any]]) -> PullRequest:
        """When what it would merge last changed, by GitLab's clock: each push, and each other target, makes a version
        ("Get merge request diff versions"). While the newest is still being made, or without one, it is not known."""
        times = [time for version in versions if (time := time_at(version, "created_at"))]
        if not times or described.head_sha not in (text_at(version, "head_commit_sha") for version in versions):
            why = f"GitLab has no version of this merge request at {described.head_sha[:10]}; run the job again"
            return replace(described, unknown=why)
        return replace(described, last_push_at=max(times))


def _read_event(environ: Mapping[str, str]) -> CiEvent:
    """Raises UsageProblem for a pipeline that is none of ours, or outside of GitLab."""
    source = environ.get("CI_PIPELINE_SOURCE", "")
    if source not in _KINDS:
        raise UsageProblem(f"CI_PIPELINE_SOURCE: `{source}`: run this in pipelines of {', '.join(_KINDS)}")
    for name in ("CI_API_V4_URL", "CI_PROJECT_ID", "CI_COMMIT_SHA"):
        if not environ.get(name):
            raise UsageProblem(f"{name}: is not set; run this in a job of GitLab CI")
    kind, sha, branch = _KINDS[source], environ["CI_COMMIT_SHA"], environ.get("CI_COMMIT_BRANCH", "")
    before = environ.get("CI_COMMIT_BEFORE_SHA", "") if source == "push" else ""
    event = CiEvent(
        kind,
        sha=sha,
        branch=branch,
        repository=environ.get("CI_PROJECT_PATH", ""),
        before=before if before.strip("0") else "",
        is_default_branch=bool(branch) and branch == environ.get("CI_DEFAULT_BRANCH"),
        actor=environ.get("GITLAB_USER_LOGIN", ""),
        unexplained=kind is EventKind.MANUAL and environ.get("VSSYNC_UNEXPLAINED") == "true",
        server_url=environ.get("CI_SERVER_URL", ""),
        run_url=environ.get("CI_PIPELINE_URL", ""),
        job_url=environ.get("CI_JOB_URL", ""),
    )
    if kind is not EventKind.PULL_REQUEST:
        return event
    source_project = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "")
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    return replace(
        event,
        branch=environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", ""),
        number=int(number) if number.isdecimal() else None,
        is_fork=source_project != environ.get("CI_MERGE_REQUEST_PROJECT_ID"),
        # Only a pipeline for merged results names both ends; another one's commit is the source's last.
        base_sha=environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "")
        or environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", ""),
        head_sha=environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "") or sha,
    )
