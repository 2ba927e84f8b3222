"""Progress on stderr: bars on a terminal, a line now and then elsewhere; nothing when there is little to do."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from vssync.applier.context import StoreWorkload, Watcher
from vssync.cli.process import signals
from vssync.text import count_noun, escape_control, format_elapsed, format_size

_LINE_INTERVAL = 5.0  # seconds between the lines of an apply
_LONGEST_SILENCE = 12  # calls without a line, after which one says that nothing moved: some CI systems end a silent job
_HASHED_STEP = 200  # files between two updates of a line that counts hashed files
_READING_INTERVAL, _READING_LOG_INTERVAL = 1.0, 10.0  # seconds between updates, on a terminal and in a log


@dataclass(slots=True)
class Count:
    """How much of a workload is done."""

    workload: StoreWorkload
    size: int = 0
    batches: int = 0
    changes: int = 0

    def add(self, *, size: int = 0, batches: int = 0, changes: int = 0) -> None:
        """Counts more as done."""
        self.size += size
        self.batches += batches
        self.changes += changes


@dataclass(slots=True)
class Tally(Watcher):
    """A watcher that counts, in total and by store. Thread-safe."""

    total: Count = field(default_factory=lambda: Count(StoreWorkload("", 0, 0, 0)))
    stores: dict[str, Count] = field(default_factory=dict)
    throttled_for: Callable[[], float] = lambda: 0.0
    old_uploads: int = 0  # to delete at the end
    deleted_uploads: int = 0
    write: Callable[[str], object] = lambda text: print(text, file=sys.stderr, flush=True)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on_start(self, workloads: Sequence[StoreWorkload], throttled_for: Callable[[], float]) -> None:
        self.throttled_for = throttled_for
        self.stores = {workload.store_key: Count(workload) for workload in workloads}
        size, batches, changes = (
            sum(getattr(workload, unit) for workload in workloads) for unit in ("size", "batches", "changes")
        )
        self.total = Count(StoreWorkload("", size, batches, changes))

    def on_upload_ready(self, store_key: str, size: int) -> None:
        self._count(store_key, size=size)

    def on_batch_sent(self, store_key: str) -> None:
        self._count(store_key, batches=1)

    def on_settled(self, store_key: str, count: int) -> None:
        self._count(store_key, changes=count)

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

    def on_counted(self, store: Count) -> None:
        """More of a store is done; called by one thread at a time."""

    def _count(self, store_key: str, **amounts: int) -> None:
        with self._lock:
            self.total.add(**amounts)
            self.stores[store_key].add(**amounts)
            self.on_counted(self.stores[store_key])


@dataclass(slots=True)
class Lines(Tally):
    """Writes how far a run is each time `write_line` is called."""

    clock: Callable[[], float] = time.monotonic
    _started_at: float = 0.0
    _last_line: str = ""
    _silent_calls: int = 0

    def on_start(self, workloads: Sequence[StoreWorkload], throttled_for: Callable[[], float]) -> None:
        super(Lines, self).on_start(workloads, throttled_for)
        self._started_at = self.clock()
        workload = self.total.workload
        if workload.changes:
            uploads = f", {format_size(workload.size)} to upload" if workload.size else ""
            self.on_message(f"Applying: {count_noun(workload.changes, 'change')}{uploads}.")

    def write_line(self) -> None:
        """Writes a line, unless the last one said the same a short time ago."""
        line = self._describe_progress()
        self._silent_calls += 1
        if line != self._last_line or self._silent_calls >= _LONGEST_SILENCE:
            self._silent_calls, self._last_line = 0, line
            self.on_message(f"  {line}{self._describe_rate()}")

    def _describe_progress(self) -> str:
        count, workload = self.total, self.total.workload
        parts = [f"{count.changes:,} of {count_noun(workload.changes, 'change')} done"]
        if workload.size:
            parts.append(f"{format_size(count.size)} of {format_size(workload.size)} uploaded")
        if workload.batches:
            parts.append(f"batch {count.batches:,} of {max(count.batches, workload.batches):,}")
        if self.old_uploads:
            parts.append(f"{self.deleted_uploads:,} of {count_noun(self.old_uploads, 'old upload')} deleted")
        return ", ".join(parts)

    def _describe_rate(self) -> str:
        """How fast, for how much longer, and whether the service asks to wait."""
        elapsed = self.clock() - self._started_at
        rate = self.total.changes / elapsed if elapsed else 0.0
        remaining = self.total.workload.changes - self.total.changes
        text = ""
        if rate and remaining > 0:
            text = f"; {rate:,.1f} a second, {format_elapsed(remaining / rate)} left"
        if (pause := self.throttled_for()) >= 1:
            text += f"; the service asks to wait {format_elapsed(pause)}"
        return text


def apply_progress() -> AbstractContextManager[Watcher]:
    """A watcher that shows an apply on this stderr."""
    if not sys.stderr.isatty():
        return line_progress()
    from vssync.cli.progress_bars import bar_progress

    return bar_progress()


@contextmanager
def line_progress() -> Iterator[Watcher]:
    """A watcher that writes a line every few seconds."""
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
    """Shows how many files are read, on a terminal, when there are many."""
    if not sys.stderr.isatty():
        yield lambda _files, _size: None
        return
    with overwritten_line() as write:
        say = "Reading files: {:,} ({})".format
        yield lambda files, size: None if files % _HASHED_STEP else write(say(files, format_size(size)))


@contextmanager
def reading_progress(
    listed: Callable[[], int],
    repeated: Callable[[], int],
    last_trouble: Callable[[], str],
    waiting_for: Callable[[], str] = lambda: "",
) -> Iterator[None]:
    """Shows how much of the service is read, when it takes a while; what was sent again and why; what it waits for."""

    def show() -> None:
        retries = f", {count_noun(repeated(), 'request')} sent again ({last_trouble()})" if repeated() else ""
        wait = f"; {waiting_for()}" if waiting_for() else ""
        write(f"Reading the service: {count_noun(listed(), 'object')}{retries}{wait}")

    terminal = sys.stderr.isatty()
    output = overwritten_line() if terminal else nullcontext(lambda text: print(text, file=sys.stderr, flush=True))
    with output as write, call_periodically(_READING_INTERVAL if terminal else _READING_LOG_INTERVAL, show):
        yield
