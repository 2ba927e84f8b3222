"""What a CI job asks of its forge, GitHub or GitLab, and tells it: values and one interface.

Nothing here trusts what a pull request can write: who set a label, when, and when was pushed last are the forge's own
records, never the dates of commits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from vssync.api.rate_limit import Clock
from vssync.errors import ForgeDenied, ManifestError, Problem, UsageProblem, VssyncError
from vssync.manifest.diagnostics import Documents, find_source_locations
from vssync.model.plan import GuardChange, Plan
from vssync.render.wording import format_value

if TYPE_CHECKING:
    import httpx

MAX_COMMITS = 300  # asked about in one run: a job's token on GitHub has 1,000 requests an hour
_MOST_ANNOTATIONS = 10  # of one error: GitHub shows ten of a kind
_TOKEN = re.compile("[!-~]*")
LABEL_PREFIX = "vssync"  # other labels are none of ours, and are not even looked up


class EventKind(StrEnum):
    """Why a job runs. A merge queue's test of a change is a pull request without a number."""

    PULL_REQUEST = "pull_request"
    PUSH = "push"
    SCHEDULE = "schedule"
    MANUAL = "manual"


class Severity(StrEnum):
    """How an annotation is shown."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class CiEvent:
    """What made this job run; empty or None where there is none or the forge does not say.

    `sha` is what the job checks out, which for a pull request may be a merge of it with its target; `head_sha` is its
    own last commit, and `base_sha` its target's commit, which may be behind the target by now. `branch` is the branch
    that was pushed, or the target of a pull request, and `is_closed` says that this was closed or merged; `is_stopped`,
    that the job ends its environment, whatever became of it. `unexplained` was given by hand, by who started the job.
    """

    kind: EventKind
    name: str  # as the forge calls it
    sha: str
    branch: str
    repository: str
    head_sha: str = ""
    base_sha: str = ""
    before: str = ""
    is_default_branch: bool = False
    number: int | None = None
    author: str = ""
    is_fork: bool = False
    is_closed: bool = False
    is_stopped: bool = False
    actor: str = ""
    unexplained: bool = False
    files_url: str = ""  # followed by a commit and a path, where that file can be read
    run_url: str = ""
    job_url: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """A label that is set now, and who set it last.

    `set_by` is empty, and `unknown` says why, where that proves no second person's look: the forge has no record, the
    account is gone or a bot's, or it is who pushed last.
    """

    name: str
    set_by: str = ""
    set_at: datetime | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull or merge request; of its labels those that begin with `vssync`.

    `last_push_at` is when what it would merge last changed: a push, a force-push, another target. It is None if that
    is not known, and `unknown` says why; it is not looked up for one without such labels.
    """

    number: int
    author: str
    head_sha: str
    url: str = ""
    labels: tuple[Label, ...] = ()
    last_push_at: datetime | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What a forge needs of this process; `emit` prints a line as it is, which the forge's runner reads."""

    environ: Mapping[str, str]
    emit: Callable[[str], None]
    clock: Clock
    transport: httpx.BaseTransport | None = None


class Forge(Protocol):
    """GitHub or GitLab, for one job. Whatever asks the forge raises ForgeError, and ForgeDenied without the right."""

    event: CiEvent

    def pull_request(self, number: int) -> PullRequest:
        """One request, with its labels as they are now."""

    def is_open(self, number: int) -> bool:
        """Whether a request is open now."""

    def merged_pull_requests(self, commits: Iterable[str]) -> tuple[PullRequest, ...]:
        """Those merged into the event's branch whose merge commit is one of these, each once.

        The forge is asked by commit, newest first, since messages can be forged. Of more than MAX_COMMITS it is asked
        about the first ones, and says so.
        """

    def last_deployment(self, environment: str) -> str | None:
        """The commit of the environment's last deployment that the forge's own records prove, or None.

        Whoever can push can record a deployment of any commit. So it counts only where a run that succeeded made it,
        which only the event's branch can have started; where none of several does, a warning says so.
        """

    def put_comment(self, number: int, marker: str, body: str) -> str:
        """Writes the one comment that begins with this marker and is ours, or makes it; the address to see it at.

        A body that is too long is cut at a block's border, with a link to the run.
        """

    def remove_comment(self, number: int, marker: str) -> None:
        """Deletes our comments that begin with this marker, if there are any."""

    def put_issue(self, marker: str, title: str, body: str) -> str:
        """Writes the one open issue that begins with this marker and is ours, or opens it; its address."""

    def close_issue(self, marker: str) -> None:
        """Closes our open issue with this marker, if there is one."""

    def write_summary(self, text: str) -> None:
        """Adds to what the job's page shows, or to the job's artifact where the forge has no such page."""

    def annotate(self, severity: Severity, message: str, *, file: str = "", line: int = 0) -> None:
        """Shows a message at a line of a file, whose path is relative to the repository."""

    def set_output(self, name: str, value: str) -> None:
        """Gives a value to later steps or jobs."""


def read_token(environ: Mapping[str, str], name: str) -> str:
    """A token, without the line end that it was pasted with. Raises UsageProblem for what can be none."""
    token = environ.get(name, "").strip()
    if not _TOKEN.fullmatch(token):
        raise UsageProblem(f"{name}: holds a character that no token has, such as a space; set it again")
    return token


def first_proven(forge: Forge, environment: str, recorded: Iterable[str], proven: Iterator[str]) -> str | None:
    """The first commit whose deployment is proven. A warning tells of other ones than this job's, if none is."""
    sha = next(proven, None)
    if not sha and any(each != forge.event.sha for each in recorded):
        made = f"none was made by a successful run of this workflow on `{forge.event.branch}`"
        then = "a limit counts as it was at each store's last apply"
        forge.annotate(Severity.WARNING, f"no deployment to `{environment}` counts: {made}; {then}")
    return sha


def annotate_problems(forge: Forge, severity: Severity, problems: Iterable[Problem]) -> None:
    """Shows the first problems of a manifest and its files at their lines."""
    for problem in islice(problems, _MOST_ANNOTATIONS):
        text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
        forge.annotate(severity, text, file=problem.file, line=problem.line)


def annotate_error(forge: Forge, error: VssyncError, file: str = "") -> None:
    """Shows an error, at the lines that it names."""
    if isinstance(error, ManifestError):
        annotate_problems(forge, Severity.ERROR, error.problems)
    else:
        forge.annotate(Severity.ERROR, str(error), file=file)


def annotate_settings(forge: Forge, changes: Iterable[GuardChange]) -> None:
    """Shows the changed settings that decide what an apply may do."""
    for change in changes:
        file, line = (*change.location.rsplit(":", 2), "")[:2]
        name = ".".join(filter(None, (change.store, change.field)))
        text = f"{name}: changed from {format_value(change.base)} to {format_value(change.head)}"
        forge.annotate(Severity.WARNING, text, file=file, line=int(line or 0))


def annotate_refusals(forge: Forge, plan: Plan, documents: Documents, file: str) -> None:
    """Shows a plan's refusals where their stores are declared, or else at the manifest, `file`."""
    paths = {refusal.store: ("stores", refusal.store) for refusal in plan.refusals if refusal.store}
    places = find_source_locations(documents, paths.values())
    for refusal in plan.refusals:
        place = places.get(paths.get(refusal.store, ()))
        forge.annotate(
            Severity.ERROR, refusal.message, file=place.file if place else file, line=place.line if place else 0
        )


def keep_comment(forge: Forge, number: int, body: str, *, wanted: bool = True) -> None:
    """Keeps the comment whose first line marks it, or none; a warning says so where the token may not do that."""
    marker = body.partition("\n")[0]
    try:
        if wanted:
            forge.put_comment(number, marker, body)
        else:
            forge.remove_comment(number, marker)
    except ForgeDenied as error:
        forge.annotate(Severity.WARNING, f"no comment on request {number}: {error}")


def open_forge(job: Job) -> Forge:
    """The forge whose job this is. Raises UsageProblem outside of GitHub and GitLab, and for an event of no use."""
    from vssync.ci.github import GitHub
    from vssync.ci.gitlab import GitLab

    if job.environ.get("GITHUB_ACTIONS") == "true":
        return GitHub(job)
    if job.environ.get("GITLAB_CI") == "true":
        return GitLab(job)
    raise UsageProblem(
        "neither GITHUB_ACTIONS nor GITLAB_CI is `true`: run this in a job of GitHub Actions or GitLab CI"
    )
