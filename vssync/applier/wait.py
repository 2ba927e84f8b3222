"""Waits until the service is done with something: with growing pauses, up to a limit of time without progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from math import ceil, inf
from typing import TypeVar

from vssync.api.parse import BatchPoll
from vssync.applier.context import ApplyRun, StoreContext, result_of_unconfirmed
from vssync.applier.writes import ambiguous_if_unread
from vssync.errors import NotFound, ServiceError, VssyncError
from vssync.limits import PAGE_SIZE
from vssync.model.state import FileStatus, LiveBatch, LiveFile
from vssync.text import format_elapsed

Reading = TypeVar("Reading")
# All in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # between two polls: it doubles, unless the service asks for another
_MILESTONES, _ANNOUNCE_EVERY = (5.0, 15.0), 60.0  # when a wait is announced, counted from the last progress
INGESTION_DEADLINE = 600.0  # how long a run waits for a file or batch that makes no progress
VISIBILITY_GRACE = 120.0  # how long a new object may stay invisible
ERROR_GRACE = 15.0  # how long a write answered with an error is looked for: it may have taken effect
_BATCH_GRACE = 30.0  # how long a new batch may stay invisible
_MIN_WAIT = 60.0  # how long a wait lasts at least, even if its timeout has passed before it begins
DELETION_WAIT = 60.0  # how long a wait for deletions lasts without progress

STILL_LISTED = f"still listed {DELETION_WAIT:.0f} s after it was deleted; apply again later"
_COUNTED_AS_GONE = (400, 403, 405, 409, 410, 422)  # statuses by which some services refuse to show what was detached
NOT_VISIBLE = LiveFile("", FileStatus.UNKNOWN, 0)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a wait is for, what follows if it times out, and the seconds that it lasts without progress.

    `since` is the time of the last progress, on the monotonic clock, if that was before the wait: the time since then
    counts as waited, but at least a minute of the timeout is left.
    """

    subject: str
    consequence: str
    timeout: float = INGESTION_DEADLINE
    since: float | None = None


def poll_until(
    run: ApplyRun,
    read: Callable[[], Reading],
    waiting: Waiting,
    *,
    is_done: Callable[[Reading], bool] = bool,
    progress_of: Callable[[Reading], Hashable] | None = None,
    hint_of: Callable[[Reading], float | None] = lambda _: None,
) -> Reading:
    """Reads until `is_done`, or until `progress_of` has not changed for too long; returns the last reading.

    `hint_of` gives the pause in seconds that the service asks for, or None: while there is progress the pause is
    exactly that, afterwards at least that. What `read` raises ends the wait. A long wait is announced, once a minute.
    """
    clock, timeout = run.client.clock, waiting.timeout
    last: Hashable = None
    waited = pause = idle = 0.0  # `waited` counts towards the timeout, `idle` is what the user is told
    if waiting.since is not None:
        waited = min(clock.monotonic() - waiting.since, max(0.0, timeout - _MIN_WAIT))
    while True:
        reading = read()
        if is_done(reading):
            return reading
        progress = progress_of(reading) if progress_of else bool(reading)
        has_moved = progress != last
        if has_moved:
            idle = 0.0
            if last is not None:  # the first reading is no progress
                waited = 0.0
        elif waited > timeout:
            return reading
        last, hint = progress, hint_of(reading)
        pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, pause * 2))
        if hint is not None:
            pause = hint if has_moved else max(pause, hint)
        _announce(run, waiting, idle, pause, " without progress" if progress_of else "")
        idle += pause
        clock.sleep(pause)
        waited += pause  # not by the clock: a machine that slept meanwhile has not waited so long


def _announce(run: ApplyRun, waiting: Waiting, idle: float, pause: float, condition: str) -> None:
    """Tells the user of a wait that is about to pause, if a milestone falls into the pause."""
    next_minute = max(1, ceil(idle / _ANNOUNCE_EVERY)) * _ANNOUNCE_EVERY
    if any(idle <= milestone < idle + pause for milestone in (*_MILESTONES, next_minute)):
        is_first = idle <= _MILESTONES[0]
        verb = "Waiting" if is_first else f"After {format_elapsed(idle)} still waiting"
        limit = format_elapsed(waiting.timeout) + condition
        text = f"{verb} for {waiting.subject}, at most {limit}; then {waiting.consequence}"
        # Many threads may wait for the same: say that it begins once in a run, and that it goes on once a minute.
        run.announce(text, again_after=inf if is_first else _ANNOUNCE_EVERY)


def wait_for_batch(store: StoreContext, batch_id: str, since: float | None = None) -> bool:
    """Waits until a batch has ended, or nothing has moved in it for too long. Returns whether it has ended.

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

    last = poll_until(
        store.run,
        read,
        _for_ingestion(store, since),
        is_done=lambda poll: poll.batch.status.ended,
        progress_of=lambda poll: poll.batch.counts,
        hint_of=lambda poll: poll.poll_after,
    )
    return last.batch.status.ended


def wait_for_files(
    store: StoreContext,
    file_ids: Iterable[str],
    *,
    listed: Iterable[LiveFile] = (),
    since: float | None = None,
    timeout: float = INGESTION_DEADLINE,
    visible_by: float = inf,
) -> dict[str, LiveFile | VssyncError]:
    """Each of these files once all have ended, or nothing moved among them for too long; `listed` were just read.

    A poll lists the store, or reads each file if that takes fewer requests; what cannot be read is given as its error.
    Of files that the listing lacks the first is read, and if the store has it, the next ones, too. A 404 means not
    visible yet; the wait ends if none is at the time `visible_by`. Raises ServiceError where the store is not listed.
    """
    states: dict[str, LiveFile | VssyncError] = dict.fromkeys(file_ids, NOT_VISIBLE)
    states |= {file.id: file for file in listed if file.id in states}

    def find_unfinished() -> list[str]:
        return [file_id for file_id, file in states.items() if isinstance(file, LiveFile) and not file.status.ended]

    def read_file(file_id: str) -> LiveFile | VssyncError:
        try:
            return store.client.get_file(store.id, file_id)
        except NotFound:
            return NOT_VISIBLE
        except VssyncError as error:
            return error

    def read_each(unread: Sequence[str]) -> None:
        states.update(zip(unread, store.run.pool.map(read_file, unread), strict=True))

    if not (unfinished := find_unfinished()):
        return states
    total = store.client.get_store(store.id).counts.total if len(unfinished) > 1 else 0

    def read_and_count_unfinished() -> int:
        unfinished = find_unfinished()
        if len(unfinished) > 1 and total <= PAGE_SIZE * len(unfinished):
            shown = {file.id: file for file in store.client.list_files(store.id) if file.id in states}
            states.update(shown)
            unlisted = [file_id for file_id in unfinished if file_id not in shown]
            read_each(unlisted[:1])
            if unlisted and states[unlisted[0]] is not NOT_VISIBLE:
                read_each(unlisted[1:PAGE_SIZE])
        else:
            read_each(unfinished)
        return len(find_unfinished())

    def is_done(unfinished_count: int) -> bool:
        is_late = store.client.clock.monotonic() >= visible_by
        return not unfinished_count or (is_late and all(file is NOT_VISIBLE for file in states.values()))

    waiting = _for_ingestion(store, since, timeout)
    poll_until(store.run, read_and_count_unfinished, waiting, is_done=is_done, progress_of=int)
    read_each(find_unfinished())  # once more, since a listing may be late
    return states


def _for_ingestion(store: StoreContext, since: float | None, timeout: float = INGESTION_DEADLINE) -> Waiting:
    consequence = "the run goes on without those in progress, and the next plan waits for them"
    return Waiting(f"the service to ingest files of {store.key}", consequence, timeout, since)


def find_attached(store: StoreContext, file_ids: Collection[str]) -> set[str]:
    """Those of these files that the store holds: as listed, or one by one where fewer are listed than it counts."""
    total = store.client.get_store(store.id).counts.total
    listed = {file.id for file in store.client.list_files(store.id)}
    unlisted = [file_id for file_id in file_ids if file_id not in listed] if len(listed) < total else []
    answers = store.run.pool.map(lambda file_id: store.client.is_attached(store.id, file_id), unlisted)
    return listed.intersection(file_ids).union(compress(unlisted, answers))


def wait_until_detached(store: StoreContext, file_ids: Collection[str]) -> set[str]:
    """Waits until the store has none of these detached files any more; returns those that stay too long.

    Once one file did not go in time, later ones are checked almost without waiting. An unexpected status such as 400
    counts as gone: the service said that it detached the file. Raises ServiceError where nothing can be read.
    """
    total = store.client.get_store(store.id).counts.total

    def is_attached(file_id: str) -> bool:
        try:
            return store.client.is_attached(store.id, file_id)
        except ServiceError as error:
            if error.answer.status not in _COUNTED_AS_GONE:
                raise
            return False

    def find_remaining() -> set[str]:
        unconfirmed = list(file_ids)
        if total <= PAGE_SIZE * len(file_ids):
            try:
                listed = {file.id for file in store.client.list_files(store.id)}
            except ServiceError as error:
                if error.answer.status not in _COUNTED_AS_GONE:
                    raise
            else:
                is_short = len(listed) < total
                unconfirmed = [file_id for file_id in file_ids if is_short or file_id in listed]
        # Also those that are listed: some listings show what is gone.
        return set(compress(unconfirmed, store.run.pool.map(is_attached, unconfirmed)))

    timeout = 0.0 if store.run.service.deletes_late else DELETION_WAIT
    waiting = Waiting(f"files to leave {store.key}", "those that are to be attached again fail", timeout)
    remaining = poll_until(store.run, find_remaining, waiting, is_done=lambda attached: not attached, progress_of=len)
    store.run.service.deletes_late |= bool(remaining)
    store.run.ledger.record_attached(remaining)
    return remaining


def wait_for_new_store(store: StoreContext) -> bool:
    """Waits until a store that this run made can be used. Returns whether it can, and if not, records that result."""
    if not store.is_provisioning:
        return True
    waiting = Waiting(f"the new store of {store.key} to answer", "its files are left for the next apply")
    try:
        with ambiguous_if_unread(f"{store.key}: {store.id} was created"):
            is_ready = poll_until(store.run, lambda: store.client.can_list_files(store.id), waiting)
        if not is_ready:
            raise VssyncError(f"{store.key}: the new store {store.id} does not answer yet; apply again later")
    except VssyncError as error:
        store.run.results.record_result(store.key, "", result_of_unconfirmed(error))
        store.stop_reason = "cannot be used yet; apply again later"
        return False
    store.is_provisioning = False
    return True
