"""Rate limits hold for all threads together, and can be changed."""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import httpx
import pytest

from tests.support import ENDPOINT, Clock
from vssync.api.client import Client
from vssync.api.concurrency import Gate
from vssync.api.connect import connect
from vssync.api.http import Call, Files
from vssync.api.parse import AttachmentEntry
from vssync.api.rate_limit import RateLimiter, rates
from vssync.endpoints import Endpoint
from vssync.errors import UsageProblem
from vssync.model.state import AUTO
from vssync.providers import OPENAI, PROVIDERS, AuthKind, Bucket
from vssync.threads import Pool

OPENAI_RATES = {Bucket.UPLOADS: 1000, Bucket.ATTACHES: 300, Bucket.FILES: 2000}


@pytest.mark.parametrize(
    ("provider", "changed", "found"),
    [
        ("openai", "", OPENAI_RATES),
        ("oci", "", OPENAI_RATES),
        ("compatible", "", {}),
        ("local", "", {}),
        ("openai", "uploads=60, files=0", {**OPENAI_RATES, Bucket.UPLOADS: 60, Bucket.FILES: 0}),
        ("compatible", "requests=120", {Bucket.REQUESTS: 120}),
    ],
)
def test_the_providers_limits_and_changes_to_them(provider: str, changed: str, found: dict[Bucket, int]) -> None:
    assert rates(PROVIDERS[provider], changed) == found


@pytest.mark.parametrize("changed", ["uploads", "uploads=", "uploads=-1", "uploads=1.5", "speed=9", "uploads=²"])
def test_limits_that_make_no_sense(changed: str) -> None:
    with pytest.raises(UsageProblem, match="--limits"):
        rates(OPENAI, changed)


def waited(limits: dict[Bucket, int], *takes: tuple[dict[Bucket, int], str]) -> float:
    """Seconds until the last of these requests may go."""
    clock = Clock()
    held = RateLimiter(clock, limits)
    for costs, scope in takes:
        held.take(costs, scope)
    return sum(clock.waits)


ATTACH = {Bucket.ATTACHES: 1}


@pytest.mark.parametrize(
    ("limits", "takes", "seconds"),
    [
        ({}, [(ATTACH, "a")] * 100, 0),
        ({Bucket.ATTACHES: 60}, [(ATTACH, "a")] * 61, 59),
        ({Bucket.ATTACHES: 60}, [(ATTACH, "a"), (ATTACH, "b")] * 10, 8),
        ({Bucket.FILES: 2000}, [({Bucket.FILES: 1000}, "a")] * 3, 59),
        ({Bucket.FILES: 2000}, [({Bucket.FILES: 1000}, "a"), ({Bucket.FILES: 1000}, "b")], 29),
        ({Bucket.FILES: 0}, [({Bucket.FILES: 1000}, "a")] * 9, 0),
        ({Bucket.UPLOADS: 600}, [({Bucket.UPLOADS: 1}, "")] * 10, 0),
    ],
)
def test_how_long_requests_are_held_back(
    limits: dict[Bucket, int], takes: list[tuple[dict[Bucket, int], str]], seconds: float
) -> None:
    assert waited(limits, *takes) == pytest.approx(seconds, abs=0.2)


class Still(Clock):
    """Time stands still, so that every wait is told from the same moment."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.waits.append(seconds)


def test_threads_share_one_bucket() -> None:
    clock = Still()
    held = RateLimiter(clock, {Bucket.UPLOADS: 60})
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: held.take({Bucket.UPLOADS: 1}), range(40)))
    assert sorted(clock.waits) == [float(number) for number in range(1, 39)]


def openai(clock: Clock, limits: str = "") -> Client:
    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        return httpx.Response(200, json={"id": "x", "status": "in_progress"})

    place = Endpoint(OPENAI, "https://api.openai.com/v1", "https://api.openai.com/v1", {}, {}, AuthKind.NONE)
    transport = httpx.MockTransport(answer)
    return connect(place, auth=None, clock=clock, workers=1, transport=transport, limits=limits)


class Told(Clock):
    """While somebody waits for the first time, another thread is told to wait longer."""

    limits: RateLimiter

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if len(self.waits) == 1:
            self.limits.pause(20.0)


def test_what_waits_for_its_turn_is_held_back_by_what_the_service_says_meanwhile() -> None:
    clock = Told()
    clock.limits = RateLimiter(clock, {Bucket.UPLOADS: 6})
    for _ in range(2):
        clock.limits.take({Bucket.UPLOADS: 1})
    assert clock.waits == [9.0, 20.0]


def test_what_waits_for_a_place_is_held_back_too() -> None:
    """The answer to another request told all to pause, after this one had its turn."""
    clock, sent = Clock(), list[float]()

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        sent.append(clock.now)
        return httpx.Response(200, json={"id": "file-1"})

    transport = httpx.MockTransport(answer)
    sender = connect(ENDPOINT, auth=None, clock=clock, workers=1, transport=transport).sender
    begin = clock.now

    def parts() -> Files:
        sender.limits.pause(20.0)
        return {"file": ("a.md", b"x", "text/markdown")}

    sender.send(Call("POST", "/files", files=parts))
    assert sent == [begin + 20.0]
    with sender.in_flight.enter() as width:  # it was given back, and taken again
        assert width == 1


@pytest.mark.parametrize(("limits", "seconds"), [("", 0), ("requests=60", 6), ("uploads=60", 2), ("attaches=60", 1)])
def test_each_request_counts_against_its_own(limits: str, seconds: float) -> None:
    clock = Clock()
    client = openai(clock, limits)
    for _ in range(4):
        client.upload_file(io.BytesIO(b"x"), "a.md")
    client.attach_file("vs_1", AttachmentEntry("file-1", {}, AUTO))
    client.create_batch("vs_1", [AttachmentEntry("file-2", {}, AUTO)])
    client.create_uniform_batch("vs_1", ["file-3"], {}, AUTO)
    client.get_store("vs_1")
    assert sum(clock.waits) == pytest.approx(seconds, abs=0.2)


class SlidingMinute:
    """A service that counts what it took within the last minute, to the request, and refuses what is beyond."""

    def __init__(self, most: int) -> None:
        self.most, self.sum, self.refused = most, 0, 0
        self.taken: deque[tuple[float, int]] = deque()

    def takes(self, now: float, amount: int) -> bool:
        while self.taken and self.taken[0][0] <= now - 60.0:
            self.sum -= self.taken.popleft()[1]
        if self.sum + amount > self.most:
            self.refused += 1
            return False
        self.taken.append((now, amount))
        self.sum += amount
        return True


@pytest.mark.parametrize(
    ("bucket", "amount", "requests"),
    [(Bucket.UPLOADS, 1, 100_000), (Bucket.FILES, 100, 1_000), (Bucket.FILES, 2_000, 50)],
)
def test_of_a_known_limit_nearly_all_is_used_and_hardly_anything_refused(
    bucket: Bucket, amount: int, requests: int
) -> None:
    """100,000 files in virtual time; what is refused is sent again after a pause."""
    clock = Clock()
    limiter, service = RateLimiter(clock, OPENAI_RATES), SlidingMinute(OPENAI_RATES[bucket])
    begin = clock.now
    for _ in range(requests):
        limiter.take({bucket: amount})
        while not service.takes(clock.now, amount):
            limiter.pause(1.0)
            limiter.take({bucket: amount})
    minutes = (clock.now - begin) / 60
    assert requests * amount / minutes > 0.95 * service.most
    assert service.refused <= max(1, requests // 100)  # a whole minute at once may come a second too early


def test_files_count_however_many_a_request() -> None:
    clock = Clock()
    client = openai(clock)
    entries = [AttachmentEntry(f"file-{number}", {}, AUTO) for number in range(2000)]
    for _ in range(3):
        client.create_batch("vs_1", entries)
    assert sum(clock.waits) == pytest.approx(119, abs=0.5)


def test_deletions_that_fail_go_fewer_side_by_side_down_to_one() -> None:
    gate = Gate(8)
    for width in (4, 2, 1, 1):
        before = gate.width
        for _ in range(before):  # all that went side by side fail, and count once
            gate.narrow(before)
        assert gate.width == width


@pytest.mark.parametrize("status", [500, 503])
def test_a_deletion_that_the_service_fails_narrows_the_gate(status: int) -> None:
    there = httpx.Response(200, json={"id": "file-1"})
    answers = iter([httpx.Response(status), there, httpx.Response(200, json={"deleted": True})])
    client = connect(
        ENDPOINT, auth=None, clock=Clock(), workers=8, transport=httpx.MockTransport(lambda _: next(answers))
    )
    client.detach_file("vs_1", "file-1")
    assert client.sender.deletions.width == 4


def test_no_more_deletions_go_than_the_gate_is_wide() -> None:
    gate, inside, most = Gate(2), 0, 0
    lock, met = Lock(), Barrier(2)

    def delete(_: int) -> None:
        nonlocal inside, most
        with gate.enter():
            with lock:
                inside += 1
                most = max(most, inside)
            met.wait(60)  # two at a time, since there are eight
            with lock:
                inside -= 1

    with Pool(8) as pool:
        pool.map(delete, range(8))
    assert most == 2
