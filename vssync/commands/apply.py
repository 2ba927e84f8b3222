"""Applies a plan, as the only process of this machine, with a journal of what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from vssync.applier.context import ApplyRun, RunSettings
from vssync.applier.run import carry_out
from vssync.applier.watcher import Watcher
from vssync.applier.writes import Writes
from vssync.commands.session import Session, prepare_for_writes
from vssync.errors import Refused
from vssync.journal.folder import exclusive_lock, remember_search_capability
from vssync.journal.writer import Journal
from vssync.model.marks import ApplyStamp
from vssync.model.plan import Plan
from vssync.model.report import Report
from vssync.providers import PROVIDERS
from vssync.sources.git import GitUnreadable, changed_files, run_git
from vssync.sources.load import find_manifest
from vssync.sources.paths import find_work_tree, has_git

# GitHub's and GitLab's lists of predefined variables; a person's own shell has the last two.
_COMMIT = ("GITHUB_SHA", "CI_COMMIT_SHA")
_ACTOR = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "USERNAME")
_RUN = ("GITHUB_RUN_ID", "CI_PIPELINE_ID")
_OWN_FILES = ":(exclude).vssync*"  # the local service's, and the plans of CI jobs
_TIMEOUT = 10.0  # seconds for git, in a large work tree


def apply_plan(
    session: Session, plan: Plan, watcher: Watcher, *, fail_fast: bool = False, journal: Journal | None = None
) -> Report:
    """Applies a plan, with the journal of a lock that is held already; without one, the lock is taken here.

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
        stamp, in_flight = None if plan.empty else stamp_of(folder, environment), session.settings.batches_in_flight
        seconds = PROVIDERS[plan.service.provider].new_store_seconds
        settings = RunSettings(
            session.loaded.root, session.capabilities, declared, fail_fast, in_flight, seconds, stamp
        )
        run = ApplyRun(Writes(session.client, open_journal), session.pool, watcher, settings)
        report = carry_out(run, plan)
        reaches = run.capabilities.updates_reach_search
        if reaches is not None and settings.capabilities.updates_reach_search is None:
            remember_search_capability(session.state_folder, reaches=reaches)
    return report


@contextmanager
def locked_journal(
    session: Session, timeout: float = 0.0, on_wait: Callable[[str], None] = lambda _holder: None
) -> Iterator[Journal]:
    """The journal of this manifest and service, while no other process of this machine applies the manifest.

    Raises Refused when the lock is held for longer than `timeout` seconds; `on_wait` is called with its holder.
    """
    folder = session.state_folder
    with exclusive_lock(folder, timeout, on_wait):
        journal = Journal(folder)
        try:
            yield journal
        finally:
            journal.close()


def stamp_of(folder: Path, environment: Mapping[str, str]) -> ApplyStamp:
    """The stamp of an apply of the manifest in a folder, without its time; what nobody tells is empty in it.

    The work tree's own commit goes before that of a variable, which may be of another checkout. A `+` after it says
    that the folder has changes that are not in it.
    """

    def first(names: tuple[str, ...]) -> str:
        return next((value for name in names if (value := environment.get(name))), "")

    commit = first(_COMMIT)
    if has_git(find_work_tree(folder)):
        with suppress(GitUnreadable):
            head = run_git(folder, "rev-parse", "HEAD", timeout=_TIMEOUT).decode().strip()
            commit = f"{head}+"  # unless git can say that nothing changed
            if not changed_files(folder, ".", _OWN_FILES, timeout=_TIMEOUT):
                commit = head
    return ApplyStamp.of(commit, first(_ACTOR), first(_RUN))
