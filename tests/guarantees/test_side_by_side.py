"""Uploads, attaches, waits and deletions side by side, whatever goes wrong at whichever request.

No old copy goes before its new one is completed, and no upload while a store holds it; every change has an outcome, no
thread is left, and the next apply does the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import httpx
import pytest

from tests.applier.world import PLAIN, Place
from tests.simulation.judged import make_plan_now
from tests.simulation.truth import TrueFile, read_state
from tests.support import Silent
from vssync.commands.apply import apply_plan

MANIFEST = """\
version: 1
owner: lanes
service: {capabilities: {batch_size: 3}}
stores:
  docs: {guards: {max_delete: 100%, max_replace: 100%}, files: [{path: "*.md"}]}
  more: {guards: {max_delete: 100%, max_replace: 100%}, files: [{path: "1*.md"}]}
"""


@dataclass
class Watched(httpx.BaseTransport):
    """Does what goes wrong at a request of the apply, and records what was not to happen."""

    place: Place
    wrong: str
    number: int = -1  # of the request, from when this is set
    inner: httpx.BaseTransport | None = None
    count: int = 0
    broken: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert self.inner
        with self.lock:
            self.count += 1
            is_it = self.count == self.number
            self._look(request)
        if is_it and self.wrong == "interrupt":
            self.place.clock.interrupt()
        if (is_it and self.wrong == "reset") or (self.wrong == "down" and 0 < self.number <= self.count):
            raise httpx.ConnectError(self.wrong)
        if is_it and self.wrong.isdigit():
            return httpx.Response(int(self.wrong), json={"error": {"message": "no"}})
        response = self.inner.handle_request(request)
        if is_it and self.wrong == "lost":
            raise httpx.ReadError("lost")
        return response

    def _look(self, request: httpx.Request) -> None:
        match request.method, request.url.path.split("/")[2:]:
            case "DELETE", ["files", file_id]:
                if any(file.id == file_id for file in self._files()):
                    self.broken.append(f"{file_id} is deleted, and a store holds it")
            case "DELETE", ["vector_stores", store_id, "files", file_id]:
                if self._is_needed(store_id, file_id):
                    self.broken.append(f"{file_id} is detached, and no other copy of it is completed")

    def _is_needed(self, store_id: str, file_id: str) -> bool:
        """Whether a file is the only completed copy of a key that the manifest wants."""
        keys = {file.id: key_of(file) for file in self._files(store_id) if file.status == "completed"}
        key = keys.pop(file_id, "")
        return bool(key) and (self.place.docs / key).exists() and key not in keys.values()

    def _files(self, store_id: str = "") -> Iterator[TrueFile]:
        state = read_state(self.place.docs / ".vssync" / "local" / "service.db", self.place.clock.now)
        return (file for store in state.stores.values() if store_id in ("", store.id) for file in store.files)


def key_of(file: TrueFile) -> str:
    return str(file.attributes["vssync_key"])


WRONGS = ("reset", "lost", "400", "404", "500", "down", "interrupt")
CASES = list(product(WRONGS, range(1, 72, 7), (1, 2, 8, 32)))
QUICK = [("lost", 22, 8), ("down", 43, 32)]


def cases() -> Iterator[Any]:
    for case in CASES:
        yield pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow])


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A store that is right, and files that have changed since."""
    place = Place(tmp_path_factory.mktemp("edited"))
    place.write({"vssync.yaml": MANIFEST, **{f"{n}.md": f"# {n}\n" for n in range(14)}})
    assert place.apply().converged
    better: dict[str, str | None] = {f"{n}.md": f"# {n}, better\n" for n in range(0, 14, 2)}
    place.write({**better, "3.md": None, "5.md": None, **{f"new-{n}.md": f"# new {n}\n" for n in range(8)}})
    place.save()
    return place


@pytest.mark.parametrize(("wrong", "number", "workers"), list(cases()))
def test_what_is_safe_one_by_one_is_safe_side_by_side(edited: Place, wrong: str, number: int, workers: int) -> None:
    place = replace(edited, batches_in_flight=(2, 8)[number % 2])
    place.back()
    watched = Watched(place, wrong)

    def watch(inner: httpx.BaseTransport) -> Watched:
        watched.inner = inner
        return watched

    with place.work(watch, workers=workers) as work:
        planned = make_plan_now(work, PLAIN)
        watched.count, watched.number = 0, number
        report = apply_plan(work, planned, Silent())
    for thread in threading.enumerate():
        if thread.name.startswith("vssync"):
            thread.join(60)
            assert not thread.is_alive()
    assert watched.broken == []
    assert {(each.store, each.key) for each in report.outcomes} >= {
        (store.key, file.key) for store in planned.stores for file in store.files
    }
    place.clock.interrupted = False
    place.clock.now += 60
    assert place.apply(workers=workers).converged
    assert list(place.plan().changes()) == []
