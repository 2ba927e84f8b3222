"""Progress on stderr: bars on a terminal, a plain line now and then elsewhere; nothing when there is little to do."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from vssync.applier import Watcher
from vssync.cli import signals
from vssync.render import clean, number, size

_EVERY = 5.0  # seconds between plain lines
_FEW = 200  # files that are hashed before anybody would look


@contextmanager
def hashing() -> Iterator[Callable[[int, int], None]]:
    """Says how far reading the files is, on a terminal, when there are many."""
    if not sys.stderr.isatty():
        yield _unseen
        return
    shown = False

    def on_hashed(files: int, read: int) -> None:
        nonlocal shown
        if files % _FEW == 0:
            shown = True
            print(f"\rReading files: {files:,} ({size(read)})\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        yield on_hashed
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _unseen(_files: int, _read: int) -> None:
    """Nobody watches a log while files are read."""


def watching() -> AbstractContextManager[Watcher]:
    """A watcher for this stderr."""
    return _bars() if sys.stderr.isatty() else nullcontext(Lines())


class Tally:
    """How far a run is; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.files = self.size = self.batches = 0
        self.sent = self.sent_files = self.under_way = self.settled_files = 0

    def begin(self, files: int, size: int, batches: int) -> None:
        self.files, self.size, self.batches = files, size, batches

    def uploaded(self, size: int) -> None:
        with self._lock:
            self.sent += size
            self.sent_files += 1
        self._moved()

    def batched(self) -> None:
        with self._lock:
            self.under_way += 1
        self._moved()

    def settled(self, count: int) -> None:
        with self._lock:
            self.settled_files += count
        self._moved()

    def end(self) -> bool:
        return signals.heard.end()

    def say(self, text: str) -> None:
        print(clean(text), file=sys.stderr, flush=True)

    def _moved(self) -> None:
        """Something changed."""


class Lines(Tally):
    """A line at the beginning and every few seconds, for logs."""

    def __init__(self) -> None:
        super().__init__()
        self._next = time.monotonic() + _EVERY

    def begin(self, files: int, size_: int, batches: int) -> None:
        super().begin(files, size_, batches)
        if files:
            self.say(f"Applying: {number(files, 'file')}, {size(size_)}, {number(batches, 'batch')}.")

    def _moved(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        self.say(
            f"  uploaded {self.sent_files:,} ({size(self.sent)} of {size(self.size)}), "
            f"batches {self.under_way:,}/{self.batches:,}, done {self.settled_files:,} of {self.files:,} files"
        )


class Bars(Tally):
    """Two rich bars: bytes uploaded, files done."""

    def __init__(self, progress: Any) -> None:
        super().__init__()
        self._progress = progress
        self._rows: tuple[Any, Any] | None = None

    def begin(self, files: int, size_: int, batches: int) -> None:
        super().begin(files, size_, batches)
        if files:
            self._rows = (
                self._progress.add_task("upload", total=max(size_, 1), note=""),
                self._progress.add_task("ingest", total=files, note=""),
            )

    def say(self, text: str) -> None:
        self._progress.console.print(clean(text), markup=False, highlight=False)

    def _moved(self) -> None:
        if not self._rows:
            return
        upload, ingest = self._rows
        self._progress.update(upload, completed=self.sent, note=f"{size(self.sent)} of {size(self.size)}")
        note = f"{self.settled_files:,} of {self.files:,} files, {self.under_way:,} of {self.batches:,} batches"
        self._progress.update(ingest, completed=self.settled_files, note=note)


@contextmanager
def _bars() -> Iterator[Watcher]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:>6}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bars(progress)
