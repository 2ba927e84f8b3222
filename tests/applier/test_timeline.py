"""When requests go, in virtual time: places for requests are idle only where one has to wait for another."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.applier.world import Place
from tests.simulation.scheduler import Group, Scheduler
from tests.support import ENDPOINT
from vssync.api.rate_limit import Clock
from vssync.providers import LOCAL

LATENCY, WORKERS, FILES = 0.05, 32, 640
MANIFEST = """\
version: 1
owner: timeline
service: {provider: local, capabilities: {batch_size: 40}}
stores: {docs: {files: [{path: "*.md"}]}}
"""


UNLIMITED = replace(ENDPOINT, provider=replace(LOCAL, rates={}))


class Slow(httpx.BaseTransport):
    """Takes its time with every answer, and remembers when each request began."""

    def __init__(self, inner: httpx.BaseTransport, log: list[tuple[float, str]]) -> None:
        self.inner, self.log = inner, log

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.log.append((time.monotonic(), f"{request.method} {request.url.path.rpartition('/')[2]}"))
        response = self.inner.handle_request(request)
        time.sleep(LATENCY)
        return response


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_uploads_of_many_batches_leave_few_places_idle(tmp_path: Path, seed: int) -> None:
    """Twice as many batches as may be in flight: those that have ended make room, and no file waits for later ones."""
    place = Place(tmp_path, clock=cast(Any, Clock()), endpoint=UNLIMITED)
    place.write({"vssync.yaml": MANIFEST, **{f"{number:03}.md": f"# {number}\n" for number in range(FILES)}})
    log: list[tuple[float, str]] = []

    def run() -> None:
        assert place.apply(lambda inner: Slow(inner, log), workers=WORKERS).converged

    scheduler = Scheduler(seed, restless=0.0, slow=0.0)
    first = scheduler.spawn(Group("apply"), run, is_first=True)
    scheduler.run()
    assert not first.error, first.error
    uploads = [began for began, what in log if what == "POST files"]
    assert len(uploads) == FILES
    rounds = (max(uploads) - min(uploads)) / LATENCY + 1
    assert rounds < 1.6 * FILES / WORKERS
