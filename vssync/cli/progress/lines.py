"""Progress for logs: a line at the beginning, and one every few seconds while something moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vssync.applier import Todo, Watcher
from vssync.cli.progress.tally import Tally
from vssync.cli.progress.ticking import ticking
from vssync.render import elapsed, number, size

EVERY = 5.0  # seconds between lines
_STILL = 12  # ticks without a line, after which one says that nothing moved: some CI systems end a silent job


@dataclass(slots=True)
class Lines(Tally):
    """Says how far a run is whenever it is asked to `tick`."""

    now: Callable[[], float] = time.monotonic
    _begun: float = 0.0
    _said: str = ""
    _quiet: int = 0

    def begin(self, todo: Sequence[Todo], held: Callable[[], float]) -> None:
        super(Lines, self).begin(todo, held)
        self._begun = self.now()
        whole = self.whole.todo
        if whole.changes:
            uploads = f", {size(whole.size)} to upload" if whole.size else ""
            self.say(f"Applying: {number(whole.changes, 'change')}{uploads}.")

    def tick(self) -> None:
        """One line, unless it would be the one before again."""
        line = self._line()
        self._quiet += 1
        if line != self._said or self._quiet >= _STILL:
            self._quiet, self._said = 0, line
            self.say(f"  {line}{self._rate()}")

    def _line(self) -> str:
        count, todo = self.whole, self.whole.todo
        parts = [f"{count.changes:,} of {number(todo.changes, 'change')} done"]
        if todo.size:
            parts.append(f"{size(count.size)} of {size(todo.size)} uploaded")
        if todo.batches:
            parts.append(f"batch {count.batches:,} of {max(count.batches, todo.batches):,}")
        if self.waste:
            parts.append(f"{self.gone:,} of {number(self.waste, 'old upload')} deleted")
        return ", ".join(parts)

    def _rate(self) -> str:
        """How fast, for how much longer, and whether the service holds us back."""
        done, passed = self.whole.changes, self.now() - self._begun
        rate = done / passed if passed else 0.0
        todo = self.whole.todo.changes - done
        left = f"; {rate:,.1f} a second, {elapsed(todo / rate)} left" if rate and todo > 0 else ""
        return left + (f"; the service asks to wait {elapsed(held)}" if (held := self.held()) >= 1 else "")


@contextmanager
def lines() -> Iterator[Watcher]:
    """A watcher that writes to stderr every few seconds."""
    shown = Lines()
    with ticking(EVERY, shown.tick):
        yield shown
