"""Applies a plan, as the only process of this machine, with a journal of what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from vssync.applier.context import ApplyRun, RunSettings, Watcher
from vssync.applier.delete import declared_stores
from vssync.applier.run import apply_steps
from vssync.applier.writes import Writes
from vssync.commands.session import Session, prepare_for_writes
from vssync.commands.stamp import stamp_of
from vssync.errors import Refused
from vssync.journal.folder import exclusive_lock, journal_folder, lock_holder
from vssync.journal.interrupted import describe_interrupted
from vssync.journal.writer import Journal, read_past
from vssync.model.marks import ApplyStamp
from vssync.model.plan import Plan
from vssync.model.report import Report
from vssync.sources.load import find_manifest
from vssync.sources.walk import find_work_tree


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
        declared = declared_stores(session.loaded.desired)
        stated = frozenset(name for name, has in plan.service.capabilities.items() if has)
        root, stamp = session.loaded.root, None if plan.empty else _stamp(session)
        settings = RunSettings(root, session.capabilities, declared, stated, fail_fast, stamp)
        return apply_steps(ApplyRun(Writes(session.client, open_journal), session.pool, watcher, settings), plan)


@contextmanager
def locked_journal(
    session: Session, timeout: float = 0.0, on_wait: Callable[[str], None] = lambda _holder: None
) -> Iterator[Journal]:
    """The journal of this manifest and service, while no other process of this machine applies the manifest.

    Raises Refused when the lock is held for longer than `timeout` seconds; `on_wait` is called with its holder.
    """
    folder = _journal_folder(session)
    with exclusive_lock(folder, timeout, on_wait):
        journal = Journal(folder)
        try:
            yield journal
        finally:
            journal.close()


def describe_interrupted_runs(session: Session) -> str:
    """What interrupted runs of this machine left for this manifest and service, for people; mostly nothing."""
    folder = _journal_folder(session)
    past = read_past(folder)
    return describe_interrupted(past, lock_holder(folder) if past.interrupted else 0)


def _stamp(session: Session) -> ApplyStamp:
    return stamp_of(find_manifest(Path(session.settings.manifest)).parent, session.settings.environment)


def _journal_folder(session: Session) -> Path:
    folder = find_manifest(Path(session.settings.manifest)).parent
    work_tree = find_work_tree(folder.resolve())
    owner = session.loaded.desired.owner
    return journal_folder(session.endpoint, owner, folder, work_tree, session.settings.environment)
