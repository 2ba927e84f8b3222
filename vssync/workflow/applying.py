"""Carrying a plan out."""

from __future__ import annotations

from vssync import applier
from vssync.applier import Watcher
from vssync.errors import Refused
from vssync.plan import Plan
from vssync.report import Report
from vssync.workflow.work import Work


def apply(work: Work, planned: Plan, watcher: Watcher, *, fail_fast: bool = False) -> Report:
    """Carries a plan out.

    Raises Refused for one that must not be.
    """
    if planned.refusals:
        raise Refused("; ".join(refusal.message for refusal in planned.refusals))
    can = work.capabilities
    ways = applier.Ways(can.batches, can.batch_files, can.attribute_updates)
    run = applier.Run(work.client, work.pool, work.loaded.root, watcher, ways, fail_fast)
    return applier.apply(run, planned)
