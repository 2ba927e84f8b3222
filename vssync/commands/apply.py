"""Applies a plan, as the only process of this machine, with a journal of what is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from vssync import __version__, planfile
from vssync.api.rate_limit import Clock
from vssync.applier.context import ApplyRun, RunSettings
from vssync.applier.run import carry_out
from vssync.applier.wait import ERROR_GRACE
from vssync.applier.watcher import Watcher
from vssync.applier.writes import Writes
from vssync.commands.session import Session, Settings, prepare_for_writes
from vssync.errors import Refused
from vssync.journal.folder import exclusive_lock, remember_search_capability
from vssync.journal.writer import Journal
from vssync.model.marks import ApplyStamp
from vssync.model.plan import Plan
from vssync.model.report import Audit, Report
from vssync.providers import PROVIDERS
from vssync.sources.git import GitUnreadable, changed_files, run_git
from vssync.sources.load import find_manifest
from vssync.sources.paths import find_work_tree, has_git
from vssync.staleness import already_applied
from vssync.text import format_elapsed

# GitHub's and GitLab's lists of predefined variables. Who re-runs a job is its triggering actor.
_COMMIT = ("GITHUB_SHA", "CI_COMMIT_SHA")
_ACTOR, _OS_USER = ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"), ("USER", "USERNAME")
_RUN, _RUN_URL = ("GITHUB_RUN_ID", "CI_PIPELINE_ID"), "CI_PIPELINE_URL"
_GITHUB_RUN = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~%+-]+)*")  # which holds no credential
_OWN_FILES = ":(exclude).vssync*"  # the local service's, and the plans of CI jobs
_TIMEOUT = 10.0  # seconds for git, in a large work tree


def apply_plan(
    session: Session,
    plan: Plan,
    watcher: Watcher,
    *,
    fail_fast: bool = False,
    journal: Journal | None = None,
    saved: Plan | None = None,
) -> Report:
    """Applies a plan, with the journal of a lock that is held already; without one, the lock is taken here.

    `saved` is the saved plan of which this is what is still to be done, for the report.

    Raises Refused for a plan with refusals, and while another process applies this manifest; VssyncError where the
    embedded service cannot be written.
    """
    if plan.refusals:
        raise Refused("; ".join(refusal.message for refusal in plan.refusals))
    if not plan.empty:
        prepare_for_writes(session)
    with nullcontext(journal) if journal else locked_journal(session) as open_journal:
        declared = frozenset(name for name, has in plan.service.capabilities.items() if has)
        folder, environment = find_manifest(Path(session.settings.manifest)).parent, session.settings.environment
        stamp, in_flight = stamp_of(folder, environment), session.settings.batches_in_flight
        seconds = PROVIDERS[plan.service.provider].new_store_seconds
        settings = RunSettings(
            session.loaded.contents, session.capabilities, declared, fail_fast, in_flight, seconds, stamp
        )
        run = ApplyRun(Writes(session.client, open_journal), session.pool, watcher, settings)
        report = carry_out(run, plan)
        reaches = run.capabilities.updates_reach_search
        if reaches is not None and settings.capabilities.updates_reach_search is None:
            remember_search_capability(session.state_folder, reaches=reaches)
    digest, already = planfile.checksum(saved or plan), already_applied(saved, plan) if saved else ()
    audit = Audit(replace(stamp, time=run.time), run_url_of(environment), digest, __version__)
    report = replace(report, audit=audit, already=already)
    watcher.on_end(report)
    return report


@contextmanager
def locked_journal(
    session: Session, timeout: float = 0.0, on_wait: Callable[[str], None] = lambda _holder: None
) -> Iterator[Journal]:
    """The journal of this manifest and service, while no other process of this machine applies the manifest.

    What an interrupted run sent to be attached gets time to end. `on_wait` is called with what is waited for, such as
    the holder of the lock. Raises Refused when the lock is held for longer than `timeout` seconds.
    """
    folder = session.state_folder
    with exclusive_lock(folder, timeout, on_wait):
        journal = Journal(folder, flushes=not session.endpoint.embedded)  # whose data are not flushed, either
        try:
            if not session.endpoint.embedded:  # that one ended with the run
                _wait_for_attaches(session.client.clock, journal, on_wait)
            yield journal
        finally:
            journal.close()


def _wait_for_attaches(clock: Clock, journal: Journal, on_wait: Callable[[str], None]) -> None:
    """Waits for as long as a request to attach files may go on at the service after its run was killed.

    Its files may be listed only once it ends. Attached again before that, some services hold them twice for good.
    """
    age = clock.wall_time() - journal.past.attach_sent_at
    if 0 <= age < ERROR_GRACE:
        seconds = ERROR_GRACE - age
        on_wait(f"requests of an interrupted run that may still take effect: {format_elapsed(seconds)}")
        clock.sleep(seconds)


def stamp_of(folder: Path, environment: Mapping[str, str]) -> ApplyStamp:
    """The stamp of an apply of the manifest in a folder, without its time; what nobody tells is empty in it.

    The work tree's own commit goes before that of a variable, which may be of another checkout. A `+` after it says
    that the folder has changes that are not in it. A CI job's actor goes before the name that git would write into a
    commit, and that before the user of the operating system.
    """

    def first(names: tuple[str, ...]) -> str:
        return next((value for name in names if (value := environment.get(name))), "")

    commit, actor = first(_COMMIT), first(_ACTOR)
    if has_git(find_work_tree(folder)):
        with suppress(GitUnreadable):
            name = "" if actor else run_git(folder, "config", "user.name", timeout=_TIMEOUT, empty_code=1).decode()
            actor = actor or name.strip()
            head = run_git(folder, "rev-parse", "HEAD", timeout=_TIMEOUT).decode().strip()
            commit = f"{head}+"  # unless git can say that nothing changed
            if not changed_files(folder, ".", _OWN_FILES, timeout=_TIMEOUT):
                commit = head
    return ApplyStamp.of(commit, actor or first(_OS_USER), first(_RUN))


def audit_of(settings: Settings | None, time: datetime, plan: Plan | None = None) -> Audit:
    """Who shows a plan, when and where; from which commit, only where the manifest is at hand with its settings."""
    stamp, run_url = ApplyStamp(), ""
    if settings:
        folder, environment = find_manifest(Path(settings.manifest)).parent, settings.environment
        stamp, run_url = stamp_of(folder, environment), run_url_of(environment)
    stamp = replace(stamp, time=f"{time:%Y-%m-%dT%H:%M:%SZ}")
    return Audit(stamp, run_url, planfile.checksum(plan) if plan else "", __version__)


def run_url_of(environment: Mapping[str, str]) -> str:
    """Where a CI job's run can be seen; empty outside of one, and for an address that might hold a credential."""
    server, repository, run = (environment.get(name, "") for name in _GITHUB_RUN)
    url = environment.get(_RUN_URL, "") or f"{server}/{repository}/actions/runs/{run}"
    return url if _PLAIN_URL.fullmatch(url) else ""
