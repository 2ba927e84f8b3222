"""When requests go, in virtual time: places for requests are idle only where one has to wait for another."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.applier.world import Place, Wrap
from tests.simulation.scheduler import Group, Scheduler
from tests.support import ENDPOINT
from vssync.api.rate_limit import Clock
from vssync.limits import PAGE_SIZE
from vssync.providers import LOCAL

LATENCY, WORKERS, FILES = 0.05, 32, 640
MANIFEST = """\
version: 1
owner: timeline
service: {provider: local, capabilities: {batch_size: 40}}
stores: {docs: {files: [{path: "*.md"}]}}
"""


Log = list[tuple[float, str]]
UNLIMITED = replace(ENDPOINT, provider=replace(LOCAL, rates={}))


class Slow(httpx.BaseTransport):
    """Takes its time with every answer, and remembers when each request began."""

    def __init__(self, inner: httpx.BaseTransport, log: Log) -> None:
        self.inner, self.log = inner, log

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        order = f" {request.url.params['order']}" if "order" in request.url.params else ""
        self.log.append((time.monotonic(), f"{request.method} {request.url.path.rpartition('/')[2]}{order}"))
        response = self.inner.handle_request(request)
        time.sleep(LATENCY)
        return response


class OwnCursors(httpx.BaseTransport):
    """Takes only those cursors with which a page of its own ended."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.cursors = {""}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.params.get("after", "") not in self.cursors:
            return httpx.Response(400, json={"error": {"message": "no such cursor"}})
        response = self.inner.handle_request(request)
        if "order" in request.url.params:
            self.cursors.add(json.loads(response.read())["last_id"])
        return response


def apply_in_virtual_time(folder: Path, seed: int, wrap: Wrap = lambda inner: inner) -> Log:
    """The requests of a first apply, with 32 places for them, and when each began."""
    place = Place(folder, clock=cast(Any, Clock()), endpoint=UNLIMITED)
    place.write({"vssync.yaml": MANIFEST, **{f"{number:03}.md": f"# {number}\n" for number in range(FILES)}})
    log: Log = []

    def run() -> None:
        assert place.apply(lambda inner: Slow(wrap(inner), log), workers=WORKERS).converged

    scheduler = Scheduler(seed, restless=0.0, slow=0.0)
    first = scheduler.spawn(Group("apply"), run, is_first=True)
    scheduler.run()
    assert not first.error, first.error
    return log


def rounds(times: list[float]) -> float:
    return (max(times) - min(times)) / LATENCY + 1


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_few_places_are_idle(tmp_path: Path, seed: int) -> None:
    """Twice as many batches as may be in flight: those that have ended make room, and no file waits for later ones.

    In the end the newest files are read from three places at once.
    """
    log = apply_in_virtual_time(tmp_path, seed)
    uploads = [began for began, what in log if what == "POST files"]
    assert len(uploads) == FILES
    assert rounds(uploads) < 1.6 * FILES / WORKERS
    last_listing = [began for began, what in log if what == "GET files desc" and began > max(uploads)]
    assert rounds(last_listing) < FILES / PAGE_SIZE / 2 + 1


@pytest.mark.slow  # the service alone is another than above
def test_where_only_its_own_cursors_are_taken_one_page_follows_the_other(tmp_path: Path) -> None:
    log = apply_in_virtual_time(tmp_path, 1, OwnCursors)
    times = [began for began, what in log if what == "GET files desc" and began > log[-1][0] - 12 * LATENCY]
    assert rounds(times) > FILES / PAGE_SIZE
