"""How many requests go side by side: gates that every thread passes, and one that adapts to what the service bears."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SLOWER = 1.5  # times the fastest typical answer: then more at once only wait longer
_LOOK = 0.2  # seconds between looks, of who waits for a place, at whether it should still wait
_FAIR = 0.005  # seconds; to hand each place on at once would cost a change of threads for every request
_PATIENCE = 200  # rounds; where a service bears N at a time, one answer in a hundred or fewer is a refusal


class Gate:
    """Lets at most `width` requests go side by side, and no more than `outer` does. Thread-safe."""

    def __init__(self, width: int, *, least: int = 1, outer: Gate | None = None) -> None:
        self.width = width
        self._least = least
        self._outer = outer
        self._inside = 0
        self._lock = threading.Lock()
        self._queue = deque[tuple[threading.Condition, float]]()  # who waits for a place, and since when

    @contextmanager
    def enter(self, check: Callable[[], object] = lambda: None) -> Iterator[int]:
        """Waits for a place, unless `check` raises meanwhile; gives the width at that time, for `narrow`.

        Who has waited for `_FAIR` goes before all others, lest the last file of a batch wait for all those of the next.
        """
        with self._lock:
            me = threading.Condition(self._lock), time.monotonic()
            self._queue.append(me)
            try:
                while self._inside >= (width := min(self.width, self._outer.width if self._outer else self.width)) or (
                    self._queue[0] is not me and time.monotonic() - self._queue[0][1] > _FAIR
                ):
                    check()
                    me[0].wait(_LOOK)
                self._inside += 1
            finally:
                self._queue.remove(me)
                self._notify_first()
        try:
            yield width
        finally:
            with self._lock:
                self._inside -= 1
                self._notify_first()

    def _notify_first(self) -> None:
        """Has the first who waits look whether there is a place; who gets one notifies the next."""
        if self._queue:
            self._queue[0][0].notify()

    def narrow(self, width: int) -> None:
        """Half as many from here on: one failed that went when the gate had this width.

        Several that went together count once.
        """
        with self._lock:
            self.width = min(self.width, max(self._least, width // 2))


class AdaptiveGate(Gate):
    """Begins with `first`, and widens up to `most` while it is full and answers come as fast as they did with fewer.

    Until the first refusal it doubles with each round of answers. A refusal halves it, down to one; from there it gains
    one a round, and stays below the width that was refused for `_PATIENCE` rounds. Where `first` is `most`, it stays.
    """

    def __init__(self, first: int, most: int) -> None:
        super().__init__(first, least=1 if first < most else most)
        self._most = most
        self._refused_width = 0  # of late; 0: none
        self._rounds_below = 0  # just below it
        self._was_refused = False
        self._round: dict[str, list[float]] = {}  # seconds that answers took, by kind of request
        self._fastest: dict[str, float] = {}  # typical of a round, by kind

    def record(self, kind: str, seconds: float, width: int) -> None:
        """Counts an answer to a request that is still inside, and entered when the gate had this width.

        `kind` says which requests take about as long.
        """
        with self._lock:
            if width != self.width:  # it went beside fewer or more than those that go now
                return
            answers = self._round.setdefault(kind, [])
            answers.append(seconds)
            if len(answers) < self.width:
                return
            typical, is_full = sorted(answers)[len(answers) // 2], self._inside >= self.width
            fastest = self._fastest[kind] = min(typical, self._fastest.get(kind, typical))
            self._round.clear()
            if is_full and typical <= fastest * _SLOWER and not self._stays_below():
                self.width = min(self._most, self.width + (1 if self._was_refused else self.width))
                self._notify_first()

    def narrow(self, width: int) -> None:
        super().narrow(width)
        with self._lock:
            self._refused_width, self._rounds_below, self._was_refused = width, 0, True
            self._round.clear()

    def _stays_below(self) -> bool:
        """Whether one more would be as many as were refused, and it is too early to try that again."""
        if self.width + 1 != self._refused_width:
            return False
        self._rounds_below += 1
        return self._rounds_below < _PATIENCE
