"""Rate limits: token buckets for all threads, one pause for everybody after a 429, fewer deletions after a 5xx."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vssync.errors import Interrupted, UsageProblem
from vssync.providers import Bucket, Provider


class Clock:
    """Monotonic seconds and waiting; tests bring one that does not wait."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_time(self) -> float:
        """Seconds since the epoch, by this machine's clock."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Waits; ends at once, with Interrupted, once `interrupt` was called."""
        if self._stop.wait(seconds):
            raise Interrupted

    def interrupt(self) -> None:
        """Ends all waiting, and lets nothing new begin."""
        self._stop.set()

    def check(self) -> None:
        """Raises Interrupted once `interrupt` was called."""
        if self._stop.is_set():
            raise Interrupted


Rates = Mapping[Bucket, int]


def rates(provider: Provider, changed: str = "") -> Rates:
    """Limits a minute: the provider's, with what `uploads=500,files=0` changes; 0: unlimited. Raises UsageProblem."""
    result = dict(provider.rates)
    for part in filter(None, (part.strip() for part in changed.split(","))):
        name, _, number = part.partition("=")
        if name not in tuple(Bucket) or not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise UsageProblem(
                f"--limits {part}: must be a number a minute, such as uploads=500; names are {', '.join(Bucket)}"
            )
        result[Bucket(name)] = int(number)
    return result


class DeletionGate:
    """Lets at most so many deletions go side by side; after each that a service fails, half as many, down to one.

    llama-stack on SQLite: deletions in parallel lock its database, and a half-done one can break a store's listing for
    good. Thread-safe.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._inside = 0
        self._changed = threading.Condition()

    @contextmanager
    def enter(self) -> Iterator[int]:
        """Waits for a place; gives the width at that time, for `narrow`."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self.width)
            self._inside += 1
            width = self.width
        try:
            yield width
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def narrow(self, width: int) -> None:
        """A deletion failed that went when the gate had this width: several that went together count once."""
        with self._changed:
            self.width = min(self.width, max(1, width // 2))


class RateLimiter:
    """Says when a request may go. Thread-safe; waits outside its lock."""

    def __init__(self, clock: Clock, per_minute: Rates) -> None:
        self.clock = clock
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._next: dict[tuple[Bucket, str], float] = {}
        self._paused_until = 0.0
        self.throttled_seconds = 0.0  # seconds this run was asked to pause

    def take(self, costs: Mapping[Bucket, int], scope: str = "") -> None:
        """Waits until a request may go that counts so much against each bucket; `scope` is its store.

        It takes a place in every queue at once: a bucket holds a second's worth, so short bursts pass.
        """
        self.clock.check()
        with self._lock:
            now = self.clock.monotonic()
            start = max(self._paused_until, now)
            for bucket, amount in costs.items():
                if rate := self._per_minute.get(bucket):
                    queue = bucket, scope if bucket is Bucket.ATTACHES else ""
                    turn = max(self._next.get(queue, 0.0), now - 1.0)
                    self._next[queue] = turn + amount * 60.0 / rate
                    start = max(start, turn)
            wait = start - now
        while wait > 0:
            self.clock.sleep(wait)
            wait = self.pause_seconds  # another thread may have been told to wait meanwhile

    def pause(self, seconds: float) -> None:
        """Holds every thread's next request back: a 429 concerns the run, not only the thread that got it."""
        with self._lock:
            until = self.clock.monotonic() + seconds
            self.throttled_seconds += max(0.0, until - max(self._paused_until, self.clock.monotonic()))
            self._paused_until = max(self._paused_until, until)

    @property
    def pause_seconds(self) -> float:
        """Seconds from now in which nothing may be sent, since the service asked for it."""
        return max(0.0, self._paused_until - self.clock.monotonic())
