"""Waits until the service is done with something: one request a poll, growing pauses, a deadline without progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import TypeVar

from vssync.api.parse import BatchPoll
from vssync.applier.context import ApplyRun, StoreContext
from vssync.errors import NotFound, ServiceError, VssyncError
from vssync.limits import PAGE_SIZE
from vssync.model.state import FileStatus, LiveBatch, LiveFile
from vssync.text import format_elapsed

Reading = TypeVar("Reading")
_MILESTONES = (5.0, 15.0, 60.0)  # seconds at which a wait is announced
_BATCH_GRACE = 30.0  # seconds for which a new batch may be invisible
_MIN_WAIT = 60.0  # seconds that any wait lasts, even if nothing moved for long before it
_UNFINISHED = "those still in progress are left, and the next plan waits for them"
DELETION_WAIT = 60.0  # seconds without progress, for all deletions of a run together
STILL_LISTED = f"still listed {DELETION_WAIT:.0f} s after it was deleted; apply again later"
_REFUSALS = (400, 403, 405, 409, 410, 422)
_NOT_VISIBLE = LiveFile("", FileStatus.UNKNOWN, 0)


@dataclass(frozen=True, slots=True)
class WaitedFiles:
    """Files as last listed, after a wait for all of them; none where each is to be read by itself.

    `is_stuck`: the wait was given up, because nothing moved for the run's deadline. `has_no_files`: they were sent in a
    batch that ended without any.
    """

    files: tuple[LiveFile, ...] = ()
    is_stuck: bool = False
    has_no_files: bool = False

    @property
    def by_id(self) -> dict[str, LiveFile]:
        """The listed files."""
        return {file.id: file for file in self.files}


def poll_until(
    run: ApplyRun,
    read: Callable[[], Reading],
    *,
    is_done: Callable[[Reading], bool] = bool,
    progress_of: Callable[[Reading], Hashable] = bool,
    hint_of: Callable[[Reading], float | None] = lambda _: None,
    timeout: float | None = None,
    since: float | None = None,
    subject: str = "",
    consequence: str = "",
) -> Reading:
    """Reads until `is_done`, or until `progress_of` has not changed for `timeout` seconds; returns the last reading.

    `hint_of` gives the pause in seconds that the service asks for, or None: while there is progress the pause is
    exactly that, afterwards at least that. `since`, on the monotonic clock, is when there was last progress, if before
    this call: that time counts against the timeout, except for its last minute. What `read` raises ends the wait.

    A wait that takes long is announced: for what (`subject`), and what follows if it is in vain (`consequence`).
    """
    clock = run.client.clock
    timeout = run.settings.deadline if timeout is None else timeout
    last: Hashable = None
    waited = 0.0
    if since is not None:
        waited = min(clock.monotonic() - since, max(0.0, timeout - _MIN_WAIT))
    pause = elapsed = 0.0
    while True:
        reading = read()
        if is_done(reading):
            return reading
        progress = progress_of(reading)
        has_moved = progress != last
        if has_moved:
            waited = waited if last is None else 0.0  # the first reading moved nothing
        elif waited > timeout:
            return reading
        last, hint = progress, hint_of(reading)
        pause = min(run.settings.longest_pause, max(run.settings.first_pause, pause * 2))
        if hint is not None:
            pause = hint if has_moved else max(pause, hint)
        if subject and any(elapsed <= milestone < elapsed + pause for milestone in _MILESTONES):
            verb = f"After {format_elapsed(elapsed)} still waiting" if elapsed > _MILESTONES[0] else "Waiting"
            limit = format_elapsed(timeout) + ("" if progress_of is bool else " without progress")
            run.say_once(f"{verb} for {subject}, at most {limit}; then {consequence}")
        elapsed += pause
        clock.sleep(pause)
        waited += pause  # not by the clock: a machine that slept meanwhile has not waited so long


def wait_for_batch(store: StoreContext, batch_id: str, since: float | None = None) -> LiveBatch:
    """The batch once it has ended, or nothing moved in it for the run's deadline.

    A 404 means not visible yet. Raises NotFound where that lasts too long, ServiceError where it cannot be read.
    """
    now = store.client.clock.monotonic
    hidden_until = now() + _BATCH_GRACE

    def read() -> BatchPoll:
        try:
            return store.client.get_batch(store.id, batch_id)
        except NotFound:
            if now() >= hidden_until:
                raise
            return BatchPoll(LiveBatch(batch_id, FileStatus.UNKNOWN, 0), None)

    return poll_until(
        store.run,
        read,
        is_done=lambda poll: poll.batch.status.ended,
        progress_of=lambda poll: poll.batch.counts,
        hint_of=lambda poll: poll.poll_after,
        since=since,
        subject=_ingestion_of(store),
        consequence=_UNFINISHED,
    ).batch


def wait_for_files(store: StoreContext, file_ids: Collection[str], since: float | None = None) -> WaitedFiles:
    """The files once all have ended, or nothing moved among them for the run's deadline.

    Returns at once, with none, where listing the store would take more requests a poll than reading each file.
    """
    if len(file_ids) < 2 or store.client.get_store(store.id).counts.total > PAGE_SIZE * len(file_ids):
        return WaitedFiles()

    def read() -> tuple[LiveFile, ...]:
        return tuple(file for file in store.client.list_files(store.id) if file.id in file_ids)

    def count_ended(files: Collection[LiveFile]) -> int:
        return sum(file.status.ended for file in files)

    def have_all_ended(files: Collection[LiveFile]) -> bool:
        return count_ended(files) == len(file_ids)

    files = poll_until(
        store.run,
        read,
        is_done=have_all_ended,
        progress_of=count_ended,
        since=since,
        subject=_ingestion_of(store),
        consequence=_UNFINISHED,
    )
    return WaitedFiles(files, is_stuck=not have_all_ended(files))


def wait_limit(store: StoreContext, *, is_stuck: bool) -> float:
    """Until when, on the monotonic clock, to wait for each file: now, where the wait for all was given up."""
    return store.client.clock.monotonic() + (0.0 if is_stuck else store.run.settings.deadline)


def wait_for_file(store: StoreContext, file_id: str, until: float) -> LiveFile:
    """A file when it has ended, or at the time `until`; a 404 after our own attach means "not visible yet"."""

    def read() -> LiveFile:
        try:
            return store.client.get_file(store.id, file_id)
        except NotFound:
            return _NOT_VISIBLE

    timeout = max(0.0, until - store.client.clock.monotonic())
    return poll_until(
        store.run,
        read,
        is_done=lambda file: file.status.ended,
        progress_of=lambda file: file.status,
        timeout=timeout,
        subject=_ingestion_of(store),
        consequence=_UNFINISHED,
    )


def _ingestion_of(store: StoreContext) -> str:
    return f"the service to ingest files of {store.key}"


def wait_until_detached(store: StoreContext, file_id: str) -> None:
    """Waits until a detached file cannot be read in its store any more. Raises VssyncError when it stays.

    Once one has stayed, no other is waited for. The service said that it is gone, so an odd refusal to show it does not
    hold up what is to take its place: some services answer 400 for it.
    """

    def is_gone() -> bool:
        try:
            return not store.client.is_attached(store.id, file_id)
        except ServiceError as error:
            if error.answer.status not in _REFUSALS:
                raise
            return True

    if not poll_until(
        store.run,
        is_gone,
        timeout=0.0 if store.run.service.deletes_late else DELETION_WAIT,
        subject=f"files to leave {store.key}",
        consequence="those that are to be attached again fail",
    ):
        store.run.service.deletes_late = True
        store.run.ledger.record_attached([file_id])
        raise VssyncError(f"{file_id}: {STILL_LISTED}")
