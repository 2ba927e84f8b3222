"""Progress as lines of a log, and one line that is overwritten where there is a single thing to count."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from vssync.applier.context import StoreWorkload, Watcher
from vssync.cli.progress.tally import Tally
from vssync.text import count_noun, format_elapsed, format_size


@contextmanager
def ticking(seconds: float, tick: Callable[[], None]) -> Iterator[None]:
    """Ticks by a thread of its own, first after `seconds`, until the block ends."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(seconds):
            tick()

    thread = threading.Thread(target=go_on, name="vssync-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


EVERY = 5.0  # seconds between lines
_STILL = 12  # ticks without a line, after which one says that nothing moved: some CI systems end a silent job


@dataclass(slots=True)
class Lines(Tally):
    """Says how far a run is whenever it is asked to `tick`."""

    now: Callable[[], float] = time.monotonic
    _begun: float = 0.0
    _said: str = ""
    _quiet: int = 0

    def on_start(self, workloads: Sequence[StoreWorkload], throttled_for: Callable[[], float]) -> None:
        super(Lines, self).on_start(workloads, throttled_for)
        self._begun = self.now()
        whole = self.whole.todo
        if whole.changes:
            uploads = f", {format_size(whole.size)} to upload" if whole.size else ""
            self.on_message(f"Applying: {count_noun(whole.changes, 'change')}{uploads}.")

    def tick(self) -> None:
        """One line, unless it would be the one before again."""
        line = self._line()
        self._quiet += 1
        if line != self._said or self._quiet >= _STILL:
            self._quiet, self._said = 0, line
            self.on_message(f"  {line}{self._rate()}")

    def _line(self) -> str:
        count, todo = self.whole, self.whole.todo
        parts = [f"{count.changes:,} of {count_noun(todo.changes, 'change')} done"]
        if todo.size:
            parts.append(f"{format_size(count.size)} of {format_size(todo.size)} uploaded")
        if todo.batches:
            parts.append(f"batch {count.batches:,} of {max(count.batches, todo.batches):,}")
        if self.waste:
            parts.append(f"{self.gone:,} of {count_noun(self.waste, 'old upload')} deleted")
        return ", ".join(parts)

    def _rate(self) -> str:
        """How fast, for how much longer, and whether the service holds us back."""
        done, passed = self.whole.changes, self.now() - self._begun
        rate = done / passed if passed else 0.0
        todo = self.whole.todo.changes - done
        left = f"; {rate:,.1f} a second, {format_elapsed(todo / rate)} left" if rate and todo > 0 else ""
        return left + (f"; the service asks to wait {format_elapsed(held)}" if (held := self.held()) >= 1 else "")


@contextmanager
def lines() -> Iterator[Watcher]:
    """A watcher that writes to stderr every few seconds."""
    shown = Lines()
    with ticking(EVERY, shown.tick):
        yield shown


_FEW = 200  # files that are hashed before anybody would look
_SOON, _SELDOM = 1.0, 10.0  # seconds that a reading may take without a word, on a terminal and in a log


@contextmanager
def overwriting() -> Iterator[Callable[[str], None]]:
    """Writes over its own line, which is gone in the end."""
    shown = False

    def write(text: str) -> None:
        nonlocal shown
        shown = True
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        yield write
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def hashing() -> Iterator[Callable[[int, int], None]]:
    """Says how far reading the files is, on a terminal, when there are many."""
    if not sys.stderr.isatty():
        yield lambda _files, _read: None
        return
    with overwriting() as write:
        yield lambda files, read: None if files % _FEW else write(f"Reading files: {files:,} ({format_size(read)})")


@contextmanager
def reading(listed: Callable[[], int], repeated: Callable[[], int], why: Callable[[], str]) -> Iterator[None]:
    """Says how much a service has told so far, how often it had to be asked again, and why, when it takes a while."""
    terminal = sys.stderr.isatty()

    def tick() -> None:
        again = f", {count_noun(repeated(), 'request')} sent again ({why()})" if repeated() else ""
        write(f"Reading the service: {count_noun(listed(), 'object')}{again}")

    how = overwriting() if terminal else nullcontext(_line)
    with how as write, ticking(_SOON if terminal else _SELDOM, tick):
        yield


def _line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
