"""Does one of the jobs, and lets no earlier text stand for its result when it ends early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from vssync.ci.forge import CiEvent, EventKind, annotate_error, keep_comment
from vssync.commands.ci.apply import apply_merged
from vssync.commands.ci.drift import watch_drift
from vssync.commands.ci.job import CiRun
from vssync.commands.ci.plan import review_change
from vssync.commands.ci.preview import keep_preview, sweep_previews
from vssync.errors import ForgeError, UsageProblem, VssyncError
from vssync.render.comment import JOB, ManifestReview, review_markdown
from vssync.text import escape_control

JOBS: Mapping[str, Callable[[CiRun], int]] = {
    "plan": review_change,
    "apply": apply_merged,
    "drift": watch_drift,
    "preview": keep_preview,
    "sweep": sweep_previews,
}
_IN_TIME = (EventKind.SCHEDULE, EventKind.MANUAL)
_PURPOSES: Mapping[str, tuple[str, Callable[[CiEvent], bool]]] = {
    "plan": ("pull requests and merge queues", lambda event: event.kind is EventKind.PULL_REQUEST),
    "apply": (
        "pushes to the default branch, and runs by hand there",
        lambda event: event.kind in (EventKind.PUSH, EventKind.MANUAL) and event.is_default_branch,
    ),
    "drift": ("schedules and runs by hand", lambda event: event.kind in _IN_TIME),
    "preview": ("pull requests", lambda event: bool(event.number)),
    "sweep": (
        "schedules and runs by hand, on the default branch",
        lambda event: event.kind in _IN_TIME and event.is_default_branch,
    ),
}
_COMMENTING = ("plan", "preview")
_OF_PREVIEWS = ("preview", "sweep")  # whose environments are those of requests, whichever one is given
_CANCELLED = "the job was cancelled before it was done; run it again, unless a later one runs already"


def run_job(name: str, run: CiRun) -> int:
    """Does the job of this name, and gives its exit code: the worst of its manifests'.

    An error of the whole job, or that it was cancelled, is told where its results would stand. Raises UsageProblem for
    an event that this job is not for.
    """
    check_event(name, run.forge.event)
    run = replace(run, settings=replace(run.settings, env=None)) if name in _OF_PREVIEWS else run
    try:
        return JOBS[name](run)
    except UsageProblem:
        raise
    except KeyboardInterrupt:
        _tell(name, run, VssyncError(_CANCELLED))
        raise
    except Exception as raised:  # also of the forge, which may answer now, and a bug, whose text may hold anything
        error = raised if isinstance(raised, VssyncError) else VssyncError(f"{type(raised).__name__}: see the log")
        annotate_error(run.forge, error)
        _tell(name, run, error)
        raise


def check_event(name: str, event: CiEvent) -> None:
    """Raises UsageProblem for a job that is for something else than this event."""
    purpose, is_for = _PURPOSES[name]
    if not is_for(event):
        where = f" on `{escape_control(event.branch)}`" if event.branch else ""
        raise UsageProblem(f"ci {name}: is for {purpose}, not for `{event.name}`{where}; see `vssync ci --help`")


def _tell(name: str, run: CiRun, error: VssyncError) -> None:
    """Shows an error of the job in its summary, and in place of an earlier comment."""
    comment, summary = review_markdown(run.review(name, [ManifestReview(JOB, error=str(error))]))
    run.forge.write_summary(summary)
    if name in _COMMENTING and run.forge.event.number:
        with suppress(ForgeError):  # this error counts, and the job fails
            keep_comment(run.forge, run.forge.event.number, comment)
