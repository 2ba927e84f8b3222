"""Rate limits: token buckets for all threads, and one pause for everybody after a 429."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from math import inf

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


_MINUTE = 60.0  # seconds: what the limits of services count within
_LEAST_SECONDS, _LEAST_TAKEN = 10.0, 10  # before a rate is read from them; what is refused earlier only the gate heeds
_MARGIN = 0.99  # of what a service was seen to take
_CALM_SECONDS, _CALM_REQUESTS = (60.0, 450.0), 150  # a pace is kept for so many requests, within these times


class Pace:
    """The rate at which a service takes requests of one kind, found out by what it refuses (429).

    A refusal lowers it to what was taken in the last minute, and the next one waits until the first of those is a
    minute old. Where nothing was taken for a while, that minute is presumed before it has passed. After a while without
    a refusal it grows, slowly at first, so that few are refused again, and then ever faster.
    """

    def __init__(self) -> None:
        self.turn = 0.0  # when the next one may go
        self._taken: deque[float] = deque()  # when, within a minute before the latest
        self._began = self._answered = -inf  # the first answer without a pause of a minute before it, and the latest
        self._rate = inf  # requests a second, at the last refusal
        self._refused_at = 0.0

    def rate(self, now: float) -> float:
        """Requests a second."""
        shortest, longest = _CALM_SECONDS
        calm = min(longest, max(shortest, _CALM_REQUESTS / self._rate))
        return self._rate * (1 + max(0.0, (now - self._refused_at) / calm - 1) ** 3 / 27)  # doubles after four times it

    def record(self, now: float, *, refused: bool) -> None:
        """Counts an answer. A minute without one before it was a pause, and tells nothing of what is taken."""
        is_first = now - self._answered > _MINUTE
        if refused:
            self._lower(now, self._answered if is_first else now)
        if is_first:
            self._began = now
            self._taken.clear()
        self._answered = now
        if not refused:
            self._taken.append(now)
            while self._taken[0] < now - _MINUTE:
                self._taken.popleft()

    def _lower(self, now: float, until: float) -> None:
        """Lowers the rate to what was taken, `until` a pause began."""
        if len(self._taken) >= _LEAST_TAKEN and until - self._taken[0] >= _LEAST_SECONDS:
            is_stalled = until - self._taken[-1] >= _LEAST_SECONDS
            seconds = _MINUTE if is_stalled else min(_MINUTE, until - self._began)
            self._rate = min(self.rate(now), _MARGIN * len(self._taken) / seconds)
            self._refused_at = now
            if seconds == _MINUTE:
                self.turn = max(self.turn, self._taken[0] + _MINUTE)


class RateLimiter:
    """Says when a request may go. Thread-safe; waits outside its lock."""

    def __init__(self, clock: Clock, per_minute: Rates) -> None:
        self.clock = clock
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._next: dict[tuple[Bucket, str], float] = {}
        self._paces = defaultdict[str, Pace](Pace)  # by kind of request
        self._paused_until = 0.0
        self.throttled_seconds = 0.0  # seconds this run was asked to pause

    def take(self, costs: Mapping[Bucket, int], scope: str = "", kind: str = "") -> bool:
        """Waits until a request may go that counts so much against each bucket; `scope` is its store.

        It takes a place in every queue at once: a bucket holds a second's worth, so short bursts pass. Requests of a
        `kind` that were refused keep a pace, too. Returns whether this one had to wait for that.
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
            pace = self._paces[kind]
            is_paced = pace.turn > now
            start = max(start, pace.turn)
            pace.turn = max(pace.turn, now) + 1 / pace.rate(now)
            wait = start - now
        while wait > 0:
            self.clock.sleep(wait)
            wait = self.pause_seconds  # another thread may have been told to wait meanwhile
        return is_paced

    def record(self, kind: str, *, refused: bool) -> None:
        """Counts an answer to a request of this kind."""
        with self._lock:
            self._paces[kind].record(self.clock.monotonic(), refused=refused)

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
