"""Rate limits: token buckets shared by all threads, and one pause for everybody when the service says 429."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds and waiting; tests bring one that does not wait."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    def interrupt(self) -> None:
        """Ends all waiting, and lets nothing new begin."""

    def check(self) -> None:
        """Raises Interrupted once `interrupt` was called."""


class Interrupted(Exception):
    """The run was asked to stop while it waited."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """Real time; waiting ends at once, with `Interrupted`, when `stop` is set."""

    stop: threading.Event = field(default_factory=threading.Event)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Interrupted

    def interrupt(self) -> None:
        self.stop.set()

    def check(self) -> None:
        if self.stop.is_set():
            raise Interrupted


class Bucket(StrEnum):
    """What a request counts against."""

    NONE = "none"
    UPLOAD = "upload"
    ATTACH = "attach"  # per store


# OpenAI spec: 1,000 uploads a minute and user; 300 attach requests a minute and store.
PER_MINUTE = {
    "openai": {Bucket.UPLOAD: 1000, Bucket.ATTACH: 300},
    "oci": {Bucket.UPLOAD: 1000, Bucket.ATTACH: 300},
}


class Limits:
    """Says when a request may go. Thread-safe; waits outside its lock."""

    def __init__(self, clock: Clock, per_minute: dict[Bucket, int]) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._next: dict[tuple[Bucket, str], float] = {}
        self._paused_until = 0.0
        self.throttled = 0.0  # seconds this run was asked to pause

    def take(self, bucket: Bucket, scope: str = "") -> None:
        """Waits until one request of this kind may go."""
        self._clock.check()
        wait = self._reserve(bucket, scope)
        if wait > 0:
            self._clock.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Holds every thread's next request back: a 429 concerns the run, not the thread that met it."""
        with self._lock:
            until = self._clock.monotonic() + seconds
            self.throttled += max(0.0, until - max(self._paused_until, self._clock.monotonic()))
            self._paused_until = max(self._paused_until, until)

    def _reserve(self, bucket: Bucket, scope: str) -> float:
        """A place in the queue: a bucket holds a second's worth, so short bursts pass at once."""
        rate = self._per_minute.get(bucket)
        with self._lock:
            now = self._clock.monotonic()
            start = max(now, self._paused_until)
            if rate:
                spacing = 60.0 / rate
                slot = max(self._next.get((bucket, scope), 0.0), now - 1.0)
                self._next[bucket, scope] = slot + spacing
                start = max(start, slot)
            return start - now
