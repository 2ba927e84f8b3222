"""Carrying a plan out, alone on this machine, with a journal of what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from vssync.applier.context import ApplyRun, RunSettings, Watcher
from vssync.applier.run import apply_steps, declared_stores
from vssync.applier.writes import Writes
from vssync.commands.session import Session, prepare
from vssync.errors import Refused
from vssync.journal.folder import exclusive_lock, journal_folder
from vssync.journal.writer import Journal, describe_interrupted, read_past
from vssync.model.plan import Plan
from vssync.model.report import Report
from vssync.sources.load import find_manifest
from vssync.sources.sandbox import find_work_tree


def apply_plan(
    work: Session, planned: Plan, watcher: Watcher, *, fail_fast: bool = False, record: Journal | None = None
) -> Report:
    """Carries a plan out. `record` is the journal of a lock that is held already; without, the lock is taken here.

    Raises Refused for a plan that must not be carried out, and while another process applies this manifest; VssyncError
    where the embedded service cannot be written.
    """
    if planned.refusals:
        raise Refused("; ".join(refusal.message for refusal in planned.refusals))
    if not planned.empty:
        prepare(work)
    with nullcontext(record) if record else locked_journal(work) as journal_:
        declared = declared_stores(work.loaded.desired)
        settings = RunSettings(work.loaded.root, work.capabilities, declared, fail_fast)
        run = ApplyRun(Writes(work.client, journal_), work.pool, watcher, settings)
        return apply_steps(run, planned)


@contextmanager
def locked_journal(
    work: Session, timeout: float = 0.0, waiting: Callable[[str], None] = lambda _who: None
) -> Iterator[Journal]:
    """The journal of this manifest and service, while no other process of this machine applies it.

    Raises Refused when it is locked for longer than `timeout` seconds; `waiting` is told by whom.
    """
    folder = _folder(work)
    with exclusive_lock(folder, timeout, waiting):
        record = Journal(folder)
        try:
            yield record
        finally:
            record.close()


def describe_left_over(work: Session) -> str:
    """What a run of this machine that was cut off left for this manifest and service, for people; mostly nothing."""
    return describe_interrupted(read_past(_folder(work)))


def _folder(work: Session) -> Path:
    manifest = find_manifest(Path(work.settings.manifest)).parent
    checkout = find_work_tree(manifest.resolve())
    return journal_folder(work.endpoint, work.loaded.desired.owner, manifest, checkout, work.settings.environment)
