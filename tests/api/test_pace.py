"""The pace that a service's refusals teach, in virtual time: clients that share a limiter and a gate."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from math import inf

import pytest

from tests.api.test_rate_limit import OPENAI_RATES, SlidingMinute
from tests.support import Clock
from vssync.api.concurrency import AdaptiveGate
from vssync.api.rate_limit import Pace, RateLimiter
from vssync.api.retry import Failure, wait_before_retry
from vssync.providers import Bucket

KIND = "POST 1"


class Full(Exception):
    """The gate has no room now."""


def full() -> None:
    raise Full


@dataclass
class Crowd:
    """Clients that send as `Sender` does, and what became of their requests."""

    takes: Callable[[float], bool]  # whether the service takes a request at this time; it never says when to come back
    latency: float
    limits: Mapping[Bucket, int] = field(default_factory=dict)
    costs: Mapping[Bucket, int] = field(default_factory=dict)
    clock: Clock = field(default_factory=lambda: Clock(0.0))
    taken: list[float] = field(default_factory=list)  # when
    refused: list[float] = field(default_factory=list)
    outside: deque[Iterator[float]] = field(default_factory=deque)  # those that wait for a place

    def play(self, requests: int, clients: int) -> None:
        self.limiter, self.gate = RateLimiter(self.clock, self.limits), AdaptiveGate(8, 32)
        requests_left, self.order = iter(range(requests)), count()
        self.waiting = [(0.0, next(self.order), self.client(requests_left)) for _ in range(clients)]
        while self.waiting:
            self.clock.now, _, client = heapq.heappop(self.waiting)
            resumes_at = next(client, None)
            if resumes_at == inf:
                self.outside.append(client)
            elif resumes_at is not None:
                heapq.heappush(self.waiting, (resumes_at, next(self.order), client))

    def leave(self) -> None:
        if self.outside:
            heapq.heappush(self.waiting, (self.clock.now, -1, self.outside.popleft()))  # before all others

    def client(self, remaining: Iterator[int]) -> Iterator[float]:
        for _ in remaining:
            attempt = 1
            while (yield from self.attempt(attempt)):
                attempt += 1

    def attempt(self, number: int) -> Generator[float, None, bool]:
        """Sends a request once; returns whether to send it again."""
        is_paced = self.limiter.take(self.costs, kind=KIND)
        yield self.clock.now
        with ExitStack() as place:
            place.callback(self.leave)
            width = 0
            while not width:
                try:
                    width = place.enter_context(self.gate.enter(full))
                except Full:
                    yield inf
            if pause := self.limiter.pause_seconds:
                place.close()
                yield self.clock.now + pause
                return (yield from self.attempt(number))
            is_refused = not self.takes(self.clock.now)
            (self.refused if is_refused else self.taken).append(self.clock.now)
            yield self.clock.now + self.latency
            self.limiter.record(KIND, refused=is_refused)
            if not is_refused:
                self.gate.record(KIND, self.latency, width)
                return False
            if not is_paced:
                self.gate.narrow(width)
        wait = wait_before_retry(Failure(429), idempotent=False, attempt=number, elapsed=0.0, jitter=0.5)
        assert wait  # nobody gives up
        self.limiter.pause(wait)
        return True


def minute(most: int, amount: int = 1) -> Callable[[float], bool]:
    """A service that takes so many within any minute."""
    service = SlidingMinute(most)
    return lambda now: service.takes(now, amount)


def bucket(a_second: float, burst: float) -> Callable[[float], bool]:
    level, filled_at = burst, 0.0

    def takes(now: float) -> bool:
        nonlocal level, filled_at
        level, filled_at = min(burst, level + (now - filled_at) * a_second), now
        if level < 1:
            return False
        level -= 1
        return True

    return takes


UPLOAD = {Bucket.UPLOADS: 1}


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("takes", "a_minute", "latency", "limits", "clients"),
    [
        (minute(1_000), 1_000, 0.05, OPENAI_RATES, 32),  # as the provider's row says
        (minute(1_000), 1_000, 0.05, {}, 32),
        (minute(2_000, 100), 20, 0.05, {}, 1),  # batches
        pytest.param(minute(1_000), 1_000, 0.3, {}, 32, marks=pytest.mark.slow),
        pytest.param(minute(1_000), 1_000, 1.0, {}, 32, marks=pytest.mark.slow),
        pytest.param(minute(300), 300, 0.05, OPENAI_RATES, 32, marks=pytest.mark.slow),  # less than the row says
        pytest.param(bucket(10, 10), 600, 0.05, {}, 32, marks=pytest.mark.slow),
        pytest.param(bucket(10, 10), 600, 1.0, {}, 32, marks=pytest.mark.slow),
    ],
)
def test_nearly_all_of_a_limit_is_used_and_hardly_anything_refused(
    takes: Callable[[float], bool], a_minute: int, latency: float, limits: Mapping[Bucket, int], clients: int
) -> None:
    """100,000 files, where no answer says when to come back; all are taken in the end."""
    crowd = Crowd(takes, latency, limits, UPLOAD if limits else {})
    requests = 1_000 if a_minute == 20 else 100_000
    crowd.play(requests, clients)
    assert len(crowd.taken) == requests
    assert 60 * requests / crowd.taken[-1] > 0.95 * a_minute
    assert len(crowd.refused) < 0.01 * requests


def test_a_service_that_bears_fewer_at_once_is_not_slowed_down_for_long() -> None:
    """Refusals beside too many others teach the gate; the pace that they leave behind grows again."""
    crowd = Crowd(lambda now: not 20.0 < now < 20.1, 0.05)
    crowd.play(100_000, 32)
    assert crowd.taken[-1] < 1.5 * 100_000 / 32 * 0.05


def test_what_was_refused_at_once_teaches_no_pace() -> None:
    """Too little was taken to tell a rate."""
    pace = Pace()
    for number in range(100):
        pace.record(number / 20, refused=False)
    pace.record(5.0, refused=True)
    assert pace.rate(5.0) == inf


def test_where_nothing_is_taken_for_a_while_its_minute_has_to_pass() -> None:
    """Twenty at once, and then refusals: the rate is known, and nobody asks before the first is a minute old."""
    pace = Pace()
    for number in range(20):
        pace.record(number / 20, refused=False)
    for now, rate, turn in ((5.0, inf, 0.0), (12.0, 0.33, 60.0), (30.0, 0.33, 60.0)):
        pace.record(now, refused=True)
        assert pace.rate(now) == pytest.approx(rate)
        assert pace.turn == turn


def test_a_pause_tells_nothing_of_the_rate() -> None:
    """One a second, an hour after the last request: so much it takes, and not twenty a minute."""
    pace = Pace()
    pace.record(0.0, refused=False)
    for number in range(21):
        pace.record(3_600.0 + number, refused=False)
    pace.record(3_620.0, refused=True)
    assert pace.rate(3_620.0) == pytest.approx(0.99 * 21 / 20)


@pytest.mark.parametrize(("seconds", "rate"), [(1.0, 0.99 * 12 / 11), (0.5, inf)])
def test_a_refusal_after_a_pause_says_no_more_than_one_before_it(seconds: float, rate: float) -> None:
    """Twelve, and refusals an hour later: so many a minute are not all that the service bears."""
    pace = Pace()
    for number in range(12):
        pace.record(number * seconds, refused=False)
    for now in (3_600.0, 3_620.0):
        pace.record(now, refused=True)
        assert pace.rate(now) == pytest.approx(rate)


def test_a_pace_is_kept_for_a_minute_and_doubled_after_four() -> None:
    pace = Pace()
    for number in range(1_201):
        pace.record(number / 10, refused=False)
    pace.record(120.0, refused=True)
    rates = [pace.rate(120.0 + seconds) for seconds in (0, 60, 150, 240)]
    assert rates == pytest.approx([9.9, 9.9, 9.9 * 1.125, 19.8], rel=0.01)
    pace.record(240.0, refused=True)  # at twice its rate: what was taken counts
    assert pace.rate(240.0) == pytest.approx(9.9, rel=0.01)
