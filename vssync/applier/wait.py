"""Waits until the service is done with something: one request a look, growing pauses, a deadline without progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TypeVar

from vssync.applier.context import ApplyRun, StoreContext
from vssync.errors import NotFound
from vssync.model.state import FileStatus, LiveBatch, LiveFile

Seen = TypeVar("Seen")
_PAGE = 100  # files a request lists
_LEAST = 60.0  # seconds without progress, however long the same is said of others
_INVISIBLE = LiveFile("", FileStatus.UNKNOWN, 0)


def poll_until(
    run: ApplyRun,
    look: Callable[[], tuple[Seen, float | None]],
    done: Callable[[Seen], bool],
    progress: Callable[[Seen], Hashable],
    *,
    patience: float | None = None,
    since: float | None = None,
) -> Seen:
    """Looks until `done`, or until `progress` has not changed for `patience` seconds; the last thing seen.

    `look` also gives the service's own hint, in seconds, of when to come again: never sooner, and at that time as long
    as there is progress. `since` is the monotonic second from which on nothing is known to have moved: then there is
    less to wait for, but never less than a minute.
    """
    clock = run.client.clock
    patience = run.deadline if patience is None else patience
    last: Hashable = None
    # Not by the clock: a machine that slept meanwhile has not looked for so long.
    waited = 0.0 if since is None else min(clock.monotonic() - since, max(0.0, patience - _LEAST))
    pause = 0.0
    while True:
        seen, hint = look()
        if done(seen):
            return seen
        pause = min(run.pause.longest, max(run.pause.first, pause * 2))
        if (now := progress(seen)) != last:
            waited = waited if last is None else 0.0
            last = now
            pause = pause if hint is None else hint
        elif waited > patience:
            return seen
        wait = max(pause, hint or 0.0)
        clock.sleep(wait)
        waited += wait


def wait_for_batch(at: StoreContext, batch_id: str, since: float | None = None) -> LiveBatch:
    """The batch when it has ended, or when it stood still for the run's deadline, which began at `since`.

    A 404 for a batch of ours means that it is not visible yet.
    """
    unseen = LiveBatch(batch_id, FileStatus.UNKNOWN, 0)

    def look() -> tuple[LiveBatch, float | None]:
        try:
            polled = at.client.batch(at.id, batch_id)
        except NotFound:
            return unseen, None
        return polled.batch, polled.after

    return poll_until(at.run, look, lambda batch: batch.status.ended, lambda batch: batch.counts, since=since)


def wait_for_files(
    at: StoreContext, file_ids: Collection[str], since: float | None = None
) -> tuple[Mapping[str, LiveFile], bool]:
    """The files once all have ended, or nothing moved among them for the run's deadline; and whether it is the latter.

    The store is listed where that is fewer requests a look than to read each file; else nothing is known of them yet.
    """
    if len(file_ids) < 2 or at.client.store(at.id).counts.total > _PAGE * len(file_ids):
        return {}, False

    def look() -> tuple[Mapping[str, LiveFile], None]:
        return {file.id: file for file in at.client.files(at.id) if file.id in file_ids}, None

    def ended(files: Mapping[str, LiveFile]) -> int:
        return sum(file.status.ended for file in files.values())

    listed = poll_until(at.run, look, lambda files: ended(files) == len(file_ids), ended, since=since)
    return listed, ended(listed) < len(file_ids)


def give_up(at: StoreContext, *, stuck: bool) -> float:
    """The time until which files that go together are waited for from now on: not again when nothing moves."""
    return at.client.clock.monotonic() + (0.0 if stuck else at.run.deadline)


def wait_for_file(at: StoreContext, file_id: str, by: float) -> LiveFile:
    """A file when it has ended, or at the time `by`; a 404 after our own attach is only "not visible yet"."""

    def look() -> tuple[LiveFile, None]:
        try:
            return at.file(file_id), None
        except NotFound:
            return _INVISIBLE, None

    patience = max(0.0, by - at.client.clock.monotonic())
    return poll_until(at.run, look, lambda file: file.status.ended, lambda file: file.status, patience=patience)
