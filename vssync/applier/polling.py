"""Waits until the service is done with something: one request a look, growing pauses, a deadline without progress."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from vssync.applier.context import Run, StoreRun
from vssync.errors import NotFound
from vssync.model import FileStatus, LiveBatch

Seen = TypeVar("Seen")
ENDED = (FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED)


def until(
    run: Run,
    look: Callable[[], tuple[Seen, float | None]],
    done: Callable[[Seen], bool],
    progress: Callable[[Seen], Hashable],
    *,
    patience: float | None = None,
) -> Seen:
    """Looks until `done`, or until `progress` has not changed for `patience` seconds; the last thing seen.

    `look` also gives the service's own hint, in seconds, of when to come again.
    """
    clock = run.client.clock
    patience = run.deadline if patience is None else patience
    last: Hashable = None
    waited = pause = 0.0  # not by the clock: a machine that slept meanwhile has not looked for so long
    while True:
        seen, hint = look()
        if done(seen):
            return seen
        if (now := progress(seen)) != last:
            last, waited = now, 0.0
            pause = run.pause.first if hint is None else hint
        elif waited > patience:
            return seen
        else:
            pause = min(run.pause.longest, max(hint or 0.0, run.pause.first, pause * 2))
        clock.sleep(pause)
        waited += pause


def end_of_batch(at: StoreRun, batch_id: str) -> LiveBatch:
    """The batch when it has ended, or when it stood still for the run's deadline.

    A 404 for a batch of ours means that it is not visible yet.
    """
    unseen = LiveBatch(batch_id, FileStatus.UNKNOWN, 0)

    def look() -> tuple[LiveBatch, float | None]:
        try:
            polled = at.client.batch(at.id, batch_id)
        except NotFound:
            return unseen, None
        return polled.batch, polled.after

    return until(at.run, look, lambda batch: batch.status in ENDED, lambda batch: batch.counts)
