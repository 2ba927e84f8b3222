"""Rate limits: token buckets for all threads, and one pause for everybody after a 429."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

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
