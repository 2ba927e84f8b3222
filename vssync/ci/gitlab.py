"""A job of GitLab CI: its variables, the REST API, and files for the job's artifacts.

"CI/CD job token" lists what a job's own token may read; deployments are all of it that is used here. Everything else
takes VSSYNC_GITLAB_TOKEN, a project access token.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from vssync.api.http import url_path
from vssync.ci.forge import CiEvent, EventKind, Job, PullRequest, Severity, first_proven, read_token
from vssync.ci.rest import PER_PAGE, RestApi, RestForge, current_labels, dig, number_at, own_labels, text_at, time_at
from vssync.errors import UsageProblem
from vssync.files import write_file
from vssync.render.markdown import clean_markdown
from vssync.text import escape_control

FOLDER = ".vssync-ci"  # of what the job's artifacts hold; hidden, so that no pattern of a manifest chooses it
_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTICE: "info"}
_KINDS = {
    "merge_request_event": EventKind.PULL_REQUEST,
    "push": EventKind.PUSH,
    "schedule": EventKind.SCHEDULE,
    "web": EventKind.MANUAL,
    "api": EventKind.MANUAL,
}
# Of an older GitLab no answer has the source; the branch and its commit prove the same without.
_APPLYING = ("", *(source for source, kind in _KINDS.items() if kind in (EventKind.PUSH, EventKind.MANUAL)))


class GitLab(RestForge):
    """Forge of a job of GitLab CI, on gitlab.com or an instance of your own."""

    _author = ("author", "id")
    _comments = ("/merge_requests/{}/notes", "/merge_requests/{}/notes")
    _requests, _open_states = "/merge_requests", ("opened", "locked")  # locked: while it is being merged
    _requests_with = "/repository/commits{}/merge_requests"  # "List merge requests associated with a commit"
    _read_right = "read_api"
    _comment_right = _issue_right = "api"
    _issue_number, _issue_text = "iid", "description"
    _issue_query: ClassVar = {"state": "opened", "scope": "created_by_me"}
    _issue_closing: ClassVar = {"state_event": "close"}
    _max_text = 1_000_000

    def __init__(self, job: Job) -> None:
        """Raises UsageProblem for variables or a pipeline of no use."""
        environ, self._emit = job.environ, job.emit
        self.event = _read_event(environ)
        self._repository = "/projects" + url_path(environ.get("CI_PROJECT_ID", ""))
        self._project_url = environ.get("CI_PROJECT_URL", "")
        self._folder = Path(environ.get("CI_PROJECT_DIR", ".")) / FOLDER
        self._files: dict[str, str] = {}
        self._findings: list[dict[str, Any]] = []
        headers = {"job-token": read_token(environ, "CI_JOB_TOKEN")}
        way_out = "set VSSYNC_GITLAB_TOKEN to a project access token with the scope `{needs}` and the role Developer"
        if token := read_token(environ, "VSSYNC_GITLAB_TOKEN"):
            headers = {"private-token": token}
            way_out = "give VSSYNC_GITLAB_TOKEN the scope `{needs}` and the role Developer"
        self._api = RestApi(job, environ.get("CI_API_V4_URL", ""), headers, way_out, update="PUT")

    def last_deployment(self, environment: str) -> str | None:
        params = {"environment": environment, "status": "success", "order_by": "id", "sort": "desc"}
        recorded = self._api.pages(f"{self._repository}/deployments", self._read_right, **params)
        deployments = list(islice(recorded, PER_PAGE))
        shas = [text_at(deployment, "sha") for deployment in deployments]
        return first_proven(self, environment, shas, self._proven(deployments))

    def _proven(self, deployments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Those made by a job of the branch itself ("Deployments API"); one that was only recorded has no job.

        The job is what GitLab knows of it: a tag may bear the branch's name, and `ref` of the deployment be any text.
        """
        for deployment in deployments:
            sha, job = text_at(deployment, "sha"), dig(deployment, "deployable")
            pipeline = dig(job, "pipeline")
            wanted = ("success", self.event.branch, self.event.branch, sha)
            made = (text_at(job, "status"), text_at(job, "ref"), text_at(pipeline, "ref"), text_at(pipeline, "sha"))
            if sha and made == wanted and dig(job, "tag") is False and text_at(pipeline, "source") in _APPLYING:
                yield sha

    def put_comment(self, number: int, marker: str, body: str) -> str:
        super().put_comment(number, marker, body)  # whose answer has no address
        return f"{self._project_url}/-/merge_requests/{number}"

    def write_summary(self, text: str) -> None:
        """Adds to `summary.md` of the artifacts: GitLab's page of a job shows its log only."""
        self._write("summary.md", f"{self._files.get('summary.md', '')}{clean_markdown(text)}\n")

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

    def _merge_commit(self, request: Mapping[str, Any]) -> str:
        """A merge commit, a squash, or after a fast-forward the request's own last commit."""
        if (text_at(request, "state"), text_at(request, "target_branch")) != ("merged", self.event.branch):
            return ""
        return text_at(request, "merge_commit_sha") or text_at(request, "squash_commit_sha") or text_at(request, "sha")

    def _describe(self, request: Mapping[str, Any]) -> PullRequest:
        number = number_at(request, "iid")
        described = PullRequest(
            number,
            author=text_at(request, "author", "username"),
            head_sha=text_at(request, "sha"),
            url=text_at(request, "web_url"),
        )
        labels = dig(request, "labels")
        names = own_labels(name for name in (labels if isinstance(labels, list) else ()) if isinstance(name, str))
        if not names:
            return described
        path = f"{self._repository}/merge_requests/{number}"
        events = list(self._api.pages(f"{path}/resource_label_events", self._read_right))
        # "Resource label events API", with times by GitLab's clock
        acts = (
            event for event in sorted(events, key=lambda event: number_at(event, "id")) if event.get("action") == "add"
        )
        described = replace(described, labels=current_labels(names, acts, ("user", "username")))
        return self._with_last_push(described, list(self._api.pages(f"{path}/versions", self._read_right)))

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
        source,
        sha=sha,
        branch=branch,
        repository=environ.get("CI_PROJECT_PATH", ""),
        before=before if before.strip("0") else "",
        is_default_branch=bool(branch) and branch == environ.get("CI_DEFAULT_BRANCH"),
        actor=environ.get("GITLAB_USER_LOGIN", ""),
        unexplained=kind is EventKind.MANUAL and environ.get("VSSYNC_UNEXPLAINED") == "true",
        files_url=f"{environ.get('CI_PROJECT_URL', '')}/-/blob/",
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
        # "Predefined CI/CD variables": the action of this job's environment, `stop` for the job that ends it.
        is_stopped=environ.get("CI_ENVIRONMENT_ACTION") == "stop",
        # Only a pipeline for merged results names both ends; another one's commit is the source's last.
        base_sha=environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "")
        or environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", ""),
        head_sha=environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "") or sha,
    )
