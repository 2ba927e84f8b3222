"""Carrying a plan out, alone on this machine, with a journal of what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from vssync import applier, journal, sources
from vssync.applier import Watcher
from vssync.errors import Refused
from vssync.journal import Journal
from vssync.plan import Plan
from vssync.report import Report
from vssync.workflow.work import Work, prepare


def apply(
    work: Work, planned: Plan, watcher: Watcher, *, fail_fast: bool = False, record: Journal | None = None
) -> Report:
    """Carries a plan out. `record` is the journal of a lock that is held already; without, the lock is taken here.

    Raises Refused for a plan that must not be carried out, and while another process applies this manifest; VssyncError
    where the embedded service cannot be written.
    """
    if planned.refusals:
        raise Refused("; ".join(refusal.message for refusal in planned.refusals))
    if not planned.empty:
        prepare(work)
    with nullcontext(record) if record else alone(work) as journal_:
        writes = applier.Writes(work.client, journal_)
        named = applier.declared(work.loaded.desired)
        can = work.capabilities
        run = applier.Run(work.client, writes, work.pool, work.loaded.root, watcher, can, fail_fast, named)
        return applier.apply(run, planned)


@contextmanager
def alone(work: Work, timeout: float = 0.0, waiting: Callable[[str], None] = lambda _who: None) -> Iterator[Journal]:
    """The journal of this manifest and service, while no other process of this machine applies it.

    Raises Refused when it is locked for longer than `timeout` seconds; `waiting` is told by whom.
    """
    folder = _folder(work)
    with journal.alone(folder, timeout, waiting):
        record = Journal(folder)
        try:
            yield record
        finally:
            record.close()


def left_over(work: Work) -> str:
    """What a run of this machine that was cut off left for this manifest and service, for people; mostly nothing."""
    return journal.words(journal.past(_folder(work)))


def _folder(work: Work) -> Path:
    manifest = sources.find_manifest(Path(work.settings.manifest)).parent
    checkout = sources.work_tree(manifest.resolve())
    return journal.folder_for(work.endpoint, work.loaded.desired.owner, manifest, checkout, work.settings.environment)
