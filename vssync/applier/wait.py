"""Waits until the service is done with something: one request a poll, growing pauses, a deadline without progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import TypeVar

from vssync.api.parse import BatchPoll
from vssync.applier.context import ApplyRun, StoreContext
from vssync.errors import NotFound, VssyncError
from vssync.limits import PAGE_SIZE
from vssync.model.state import FileStatus, LiveBatch, LiveFile

Reading = TypeVar("Reading")
_MIN_WAIT = 60.0  # seconds without progress, however long nothing moved before
_NOT_VISIBLE = LiveFile("", FileStatus.UNKNOWN, 0)


def poll_until(
    run: ApplyRun,
    read: Callable[[], Reading],
    is_done: Callable[[Reading], bool] = bool,
    progress_of: Callable[[Reading], Hashable] = bool,
    *,
    hint_of: Callable[[Reading], float | None] = lambda _: None,
    timeout: float | None = None,
    since: float | None = None,
) -> Reading:
    """Reads until `is_done`, or until `progress_of` has not changed for `timeout` seconds; returns the last reading.

    `hint_of` is the pause in seconds that the service asks for, if it does: it is kept to while there is progress, and
    is the shortest pause after that. The time since the monotonic second `since`, when something was last seen to
    move, counts as waited; at least a minute is left all the same.
    """
    clock = run.client.clock
    timeout = run.settings.deadline if timeout is None else timeout
    last: Hashable = None
    waited = 0.0 if since is None else min(clock.monotonic() - since, max(0.0, timeout - _MIN_WAIT))
    pause = 0.0
    while True:
        reading = read()
        if is_done(reading):
            return reading
        has_moved = (progress := progress_of(reading)) != last
        if has_moved:
            waited = waited if last is None else 0.0  # the first reading moved nothing
        elif waited > timeout:
            return reading
        last, hint = progress, hint_of(reading)
        pause = min(run.settings.longest_pause, max(run.settings.first_pause, pause * 2))
        if hint is not None:
            pause = hint if has_moved else max(pause, hint)
        clock.sleep(pause)
        waited += pause  # not by the clock: a machine that slept meanwhile has not waited so long


def wait_for_batch(store: StoreContext, batch_id: str, since: float | None = None) -> LiveBatch:
    """The batch when it ended, or nothing moved since `since` for the run's deadline; a 404 means not visible yet."""

    def read() -> BatchPoll:
        try:
            return store.client.get_batch(store.id, batch_id)
        except NotFound:
            return BatchPoll(LiveBatch(batch_id, FileStatus.UNKNOWN, 0), None)

    return poll_until(
        store.run,
        read,
        lambda poll: poll.batch.status.ended,
        lambda poll: poll.batch.counts,
        hint_of=lambda poll: poll.poll_after,
        since=since,
    ).batch


def wait_for_files(
    store: StoreContext, file_ids: Collection[str], since: float | None = None
) -> tuple[tuple[LiveFile, ...], bool] | None:
    """The files once all have ended, or nothing moved among them for the run's deadline; and whether it is the latter.

    None where listing the store would take more requests a poll than reading each file.
    """
    if len(file_ids) < 2 or store.client.get_store(store.id).counts.total > PAGE_SIZE * len(file_ids):
        return None

    def read() -> tuple[LiveFile, ...]:
        return tuple(file for file in store.client.list_files(store.id) if file.id in file_ids)

    def count_ended(files: Collection[LiveFile]) -> int:
        return sum(file.status.ended for file in files)

    listed = poll_until(store.run, read, lambda files: count_ended(files) == len(file_ids), count_ended, since=since)
    return listed, count_ended(listed) < len(file_ids)


def wait_limit(store: StoreContext, *, is_stuck: bool) -> float:
    """The monotonic second until which single files are waited for: now, where the wait for all of them timed out."""
    return store.client.clock.monotonic() + (0.0 if is_stuck else store.run.settings.deadline)


def wait_for_file(store: StoreContext, file_id: str, until: float) -> LiveFile:
    """A file when it has ended, or at the time `until`; a 404 after our own attach means "not visible yet"."""

    def read() -> LiveFile:
        try:
            return store.client.get_file(store.id, file_id)
        except NotFound:
            return _NOT_VISIBLE

    timeout = max(0.0, until - store.client.clock.monotonic())
    return poll_until(store.run, read, lambda file: file.status.ended, lambda file: file.status, timeout=timeout)


def wait_until_detached(store: StoreContext, file_id: str) -> None:
    """Waits until a detached file is not listed any more. Raises VssyncError when it stays."""
    is_listed = poll_until(
        store.run, lambda: store.client.is_attached(store.id, file_id), lambda is_listed: not is_listed
    )
    if is_listed:
        raise VssyncError(f"{file_id}: still attached to {store.id} long after it was detached; apply again later")
