"""From any request on a service may say anything: the run ends with a whole report, and the next one mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.applier.world import Place, live
from tests.support import Silent
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.model.plan import Options
from vssync.model.report import Report

MANIFEST = """\
version: 1
owner: moody
service: {capabilities: {batch_size: 3}}
defaults: {guards: {max_delete: 100%, max_replace: 100%}}
stores:
  docs: {attributes: {level: 1}, files: [{path: "*.md"}]}
"""
CHANGED = MANIFEST.replace("level: 1", "level: 2") + "  new: {files: [{path: new/*.md}]}\n"
FILES = {f"{number}.md": f"# {number}\n" for number in range(5)}
CHANGES = {"vssync.yaml": CHANGED, "0.md": "# 0, better\n", "1.md": None, "7.md": "# 7\n", "new/1.md": "# new\n"}
REQUESTS = 22  # of an apply of these changes in which nothing goes wrong

Say = Callable[[httpx.Request], httpx.Response]


def says(status: int, body: Any) -> Say:
    return lambda _request: httpx.Response(status, json=body)


def is_gone(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


SAYINGS: dict[str, Say] = {
    "busy": says(503, {}),
    "forbidden": says(403, {"error": {"message": "no"}}),
    "bad request": says(400, {"error": {"message": "no"}}),
    "nothing here": says(404, {"detail": "Not Found"}),
    "no such way": says(405, {}),
    "odd": says(200, {"hello": 1}),
    "a page": lambda _request: httpx.Response(200, text="<html>"),
    "gone": is_gone,
}


class Moody(httpx.BaseTransport):
    """Says only one thing from a request on; requests count from `listen`."""

    def __init__(self, inner: httpx.BaseTransport, say: Say, first: int) -> None:
        self.inner, self.say, self.first = inner, say, first
        self.seen = -1

    def listen(self) -> None:
        self.seen = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen += self.seen >= 0
        return self.say(request) if self.seen >= self.first else self.inner.handle_request(request)


@contextmanager
def begun(place: Place, say: Say, first: int) -> Iterator[tuple[Callable[[], Report], Moody]]:
    """What applies the changes, once they are planned."""
    services: list[Moody] = []

    def wrap(inner: httpx.BaseTransport) -> Moody:
        services.append(Moody(inner, say, first))
        return services[0]

    with place.work(wrap) as work:
        planned = make_plan_now(work, Options())
        services[0].listen()
        yield lambda: apply_plan(work, planned, Silent()), services[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("moody"))
    place.write({"vssync.yaml": MANIFEST, **FILES})
    assert place.apply().converged
    place.write(CHANGES)
    place.save()
    with begun(place, is_gone, 10**9) as (apply, moody):
        assert apply().converged
        assert moody.seen >= REQUESTS
    return place


def cases() -> Iterator[Any]:
    """Each saying from every fifth request on; every run has half of them: each saying, and each request."""
    for number, name in enumerate(SAYINGS):
        for first in range(2, REQUESTS + 1, 5):
            marks = [] if (number + first) % 2 else [pytest.mark.slow]
            yield pytest.param(name, first, id=f"{name}-{first}", marks=marks)


@pytest.mark.wide(3)
@pytest.mark.parametrize(("name", "first"), list(cases()))
def test_every_change_is_accounted_for_and_the_next_run_mends_it(place: Place, name: str, first: int) -> None:
    place.back()
    with begun(place, SAYINGS[name], first) as (apply, _):
        report = apply()
    assert len(report.outcomes) == len(list(report.plan.changes()))
    assert all(outcome.detail for outcome in report.outcomes if outcome.status is not outcome.status.DONE)
    assert place.apply().converged
    assert list(place.plan().changes()) == []
    assert {name: len(files) for name, files in live(place).stores.items()} == {"docs": 5, "new": 1}
