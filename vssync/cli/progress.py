"""Progress on stderr: bars on a terminal, a line now and then elsewhere; nothing when there is little to do."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from vssync.applier.watcher import Result, Watcher, Workload
from vssync.cli.events import EventStream, event_stream
from vssync.cli.process import signals
from vssync.model.report import Report, Status
from vssync.text import count_noun, escape_control, format_elapsed, format_size

_LINE_INTERVAL = 5.0  # seconds between the lines of an apply
_LONGEST_SILENCE = 12  # calls without a line, after which one says that nothing moved: some CI systems end a silent job
_HASHED_STEP = 200  # files between two updates of a line that counts hashed files
_READING_INTERVAL, _READING_LOG_INTERVAL = 1.0, 10.0  # seconds between updates, on a terminal and in a log


@dataclass(slots=True)
class Tally(Watcher):
    """A watcher that counts. Thread-safe."""

    workload: Workload = field(default_factory=Workload)
    size: int = 0  # of the workload, what is done by now
    batches: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    throttled_for: Callable[[], float] = lambda: 0.0
    old_uploads: int = 0  # to delete at the end
    deleted_uploads: int = 0
    write: Callable[[str], object] = lambda text: print(text, file=sys.stderr, flush=True)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on_start(self, workload: Workload, throttled_for: Callable[[], float]) -> None:
        self.workload, self.throttled_for = workload, throttled_for

    def on_upload_ready(self, store_key: str, _key: str, _file_id: str, size: int) -> None:
        self._count(store_key, size=size)

    def on_batch_sent(self, store_key: str, _batch_id: str, _count: int) -> None:
        self._count(store_key, batches=1)

    def on_settled(self, store_key: str, _key: str, _result: Result) -> None:
        self._count(store_key, changes=1)

    @property
    def amounts(self) -> Mapping[str, tuple[int, int]]:
        """How much is done, and of how much, by unit. Batches may become more than were planned."""
        changes = self.changes.total(), sum(self.workload.changes.values())
        batches = self.batches, max(self.batches, self.workload.batches) if self.workload.batches else 0
        return {"bytes": (self.size, self.workload.size), "batches": batches, "changes": changes}

    def on_cleanup(self, uploads: int) -> None:
        self.old_uploads = uploads

    def on_upload_deleted(self) -> None:
        with self._lock:
            self.deleted_uploads += 1

    def on_ending(self) -> None:
        signals.start_ending()

    def may_stop_waiting(self) -> bool:
        return len(signals.received) > 1

    def on_message(self, text: str) -> None:
        self.write(escape_control(text))

    def on_counted(self, store_key: str) -> None:
        """More of a store is done; called by one thread at a time."""

    def _count(self, store_key: str, *, size: int = 0, batches: int = 0, changes: int = 0) -> None:
        with self._lock:
            self.size += size
            self.batches += batches
            self.changes[store_key] += changes
            self.on_counted(store_key)


@dataclass(slots=True)
class Lines(Tally):
    """Writes how far a run is each time `write_line` is called."""

    clock: Callable[[], float] = time.monotonic
    _started_at: float = 0.0
    _last_line: str = ""
    _silent_calls: int = 0

    def on_start(self, workload: Workload, throttled_for: Callable[[], float]) -> None:
        # `super` needs the class, here and below: a dataclass with slots replaces the one that it decorates.
        super(Lines, self).on_start(workload, throttled_for)
        self._started_at = self.clock()
        if changes := self.amounts["changes"][1]:
            uploads = f", {format_size(workload.size)} to upload" if workload.size else ""
            self.on_message(f"Applying: {count_noun(changes, 'change')}{uploads}.")

    def write_line(self) -> None:
        """Writes a line, unless the last one said the same a short time ago."""
        line = self._describe_progress()
        self._silent_calls += 1
        if line != self._last_line or self._silent_calls >= _LONGEST_SILENCE:
            self._silent_calls, self._last_line = 0, line
            self.on_message(f"  {line}{self._describe_rate()}")

    def _describe_progress(self) -> str:
        (size, all_bytes), (batches, all_batches), (changes, all_changes) = self.amounts.values()
        parts = [f"{changes:,} of {count_noun(all_changes, 'change')} done"]
        if all_bytes:
            parts.append(f"{format_size(size)} of {format_size(all_bytes)} uploaded")
        if all_batches:
            parts.append(f"batch {batches:,} of {all_batches:,}")
        if self.old_uploads:
            parts.append(f"{self.deleted_uploads:,} of {count_noun(self.old_uploads, 'old upload')} deleted")
        return ", ".join(parts)

    def _describe_rate(self) -> str:
        """How fast, for how much longer, and whether the service asks to wait."""
        elapsed = self.clock() - self._started_at
        changes, all_changes = self.amounts["changes"]
        rate, remaining = changes / elapsed if elapsed else 0.0, all_changes - changes
        text = ""
        if rate and remaining > 0:
            text = f"; {rate:,.1f} a second, {format_elapsed(remaining / rate)} left"
        if (pause := self.throttled_for()) >= 1:
            text += f"; the service asks to wait {format_elapsed(pause)}"
        return text


@dataclass(slots=True)
class Events(Tally):
    """Tells of all that happens, and how far a run is each time `write_progress` is called."""

    stream: EventStream = field(kw_only=True)

    def on_start(self, workload: Workload, throttled_for: Callable[[], float]) -> None:
        super(Events, self).on_start(workload, throttled_for)
        stores = dict(workload.changes)
        self.stream.emit("started", bytes=workload.size, batches=workload.batches, changes=stores)

    def on_upload_ready(self, store_key: str, key: str, file_id: str, size: int) -> None:
        super(Events, self).on_upload_ready(store_key, key, file_id, size)
        self.stream.emit("uploaded", store=store_key, key=key, id=file_id, bytes=size)

    def on_batch_sent(self, store_key: str, batch_id: str, count: int) -> None:
        super(Events, self).on_batch_sent(store_key, batch_id, count)
        self.stream.emit("batch_sent", store=store_key, id=batch_id or None, files=count)

    def on_settled(self, store_key: str, key: str, result: Result) -> None:
        super(Events, self).on_settled(store_key, key, result)
        level = "info" if result.status in (Status.DONE, Status.SKIPPED) else "error"
        said = {"detail": result.detail or None, "request_id": result.request_id or None}
        self.stream.emit("settled", level=level, store=store_key, key=key, status=result.status.value, **said)

    def on_cleanup(self, uploads: int) -> None:
        super(Events, self).on_cleanup(uploads)
        self.stream.emit("cleanup", uploads=uploads)

    def on_end(self, report: Report) -> None:
        states = Counter(outcome.status.value for outcome in report.outcomes)
        ends: dict[str, Any] = {"converged": report.converged, "interrupted": report.interrupted}
        ends |= {"counts": {status.value: states[status.value] for status in Status}, "stores": dict(report.store_ids)}
        ends |= {"seconds": round(report.seconds, 3), "requests": report.requests}
        digest = report.audit.plan_digest or None
        self.stream.emit("ended", level="info" if report.converged else "error", **ends, plan_digest=digest)

    def write_progress(self) -> None:
        amounts: dict[str, Any] = {unit: {"done": done, "of": total} for unit, (done, total) in self.amounts.items()}
        uploads = {"done": self.deleted_uploads, "of": self.old_uploads} if self.old_uploads else None
        pause = round(self.throttled_for(), 1) or None
        self.stream.emit("progress", **amounts, deleted_uploads=uploads, pause=pause)


def apply_progress() -> AbstractContextManager[Watcher]:
    """A watcher that shows an apply on this stderr."""
    if stream := event_stream():
        return event_progress(stream)
    if not sys.stderr.isatty():
        return line_progress()
    from vssync.cli.progress_bars import bar_progress

    return bar_progress()


@contextmanager
def event_progress(stream: EventStream) -> Iterator[Watcher]:
    watcher = Events(stream=stream)
    with call_periodically(_LINE_INTERVAL, watcher.write_progress):
        yield watcher


@contextmanager
def line_progress() -> Iterator[Watcher]:
    watcher = Lines()
    with call_periodically(_LINE_INTERVAL, watcher.write_line):
        yield watcher


@contextmanager
def call_periodically(seconds: float, function: Callable[[], None]) -> Iterator[None]:
    """Calls a function from a thread of its own every `seconds`, until the block ends."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(seconds):
            function()

    thread = threading.Thread(target=run, name="vssync-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def overwritten_line() -> Iterator[Callable[[str], None]]:
    """Writes over its own line of the terminal, and clears it in the end."""
    written = False

    def write(text: str) -> None:
        nonlocal written
        written = True
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        yield write
    finally:
        if written:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def hashing_progress() -> Iterator[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        yield lambda _files, _size: None
        return
    with overwritten_line() as write:
        say = "Reading files: {:,} ({})".format
        yield lambda files, size: None if files % _HASHED_STEP else write(say(files, format_size(size)))


def reading_progress(
    listed: Callable[[], int],
    repeated: Callable[[], int],
    last_trouble: Callable[[], str],
    waiting_for: Callable[[], str] = lambda: "",
    log_interval: float = _READING_LOG_INTERVAL,
) -> AbstractContextManager[None]:
    """Shows how much of the service is read, when it takes a while; what was sent again and why; what it waits for."""

    def show(retries: str, trouble: Mapping[str, Any]) -> str:
        if stream := event_stream():
            stream.emit("reading", objects=listed(), waiting_for=waiting_for() or None, **trouble)
        wait = f"; {waiting_for()}" if waiting_for() else ""
        return f"Reading the service: {count_noun(listed(), 'object')}{retries}{wait}"

    return _status_line(show, repeated, last_trouble, log_interval)


def asking_progress(
    asked: Callable[[], tuple[int, int]],
    repeated: Callable[[], int],
    last_trouble: Callable[[], str],
    log_interval: float = _READING_LOG_INTERVAL,
) -> AbstractContextManager[None]:

    def show(retries: str, trouble: Mapping[str, Any]) -> str:
        count, total = asked()
        if stream := event_stream():
            stream.emit("asking", asked=count, questions=total, **trouble)
        return f"Asking: {count:,} of {count_noun(total, 'question')}{retries}"

    return _status_line(show, repeated, last_trouble, log_interval)


@contextmanager
def _status_line(
    describe: Callable[[str, Mapping[str, Any]], str],
    repeated: Callable[[], int],
    last_trouble: Callable[[], str],
    log_interval: float,
) -> Iterator[None]:
    """Shows a line while the block runs: on a terminal in its place, elsewhere now and then; events need none.

    `describe` makes it, or an event, from what was sent again and why, in words and as an event's fields.
    """

    def show() -> None:
        count, why = repeated(), last_trouble() if repeated() else ""
        retries = f", {count_noun(count, 'request')} sent again ({why})" if count else ""
        line = describe(retries, {"retries": count, "last_failure": why} if count else {})
        if not event_stream():
            write(line)

    terminal = sys.stderr.isatty()
    output = overwritten_line() if terminal else nullcontext(lambda text: print(text, file=sys.stderr, flush=True))
    with output as write, call_periodically(_READING_INTERVAL if terminal else log_interval, show):
        yield
