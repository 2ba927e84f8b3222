"""Killed after any request, and applied again: converged, nothing doubled, nothing lost, every orphan named.

The process is a real one, and so is the SIGKILL. It is forked from this one, which has everything loaded already.
"""

from __future__ import annotations

import io
import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import httpx
import pytest

from tests.applier.world import Counting, Live, Place, Seen, killed, live
from vssync.api.parse import AttachmentEntry
from vssync.model.marks import KEY
from vssync.model.plan import Action, Plan
from vssync.model.state import AUTO

BEFORE = """\
version: 1
owner: crash
service: {capabilities: {batch_size: 3}}
stores:
  guide:
    metadata: {team: docs}
    attributes: {lang: en}
    files: [{path: "*.md"}]
  moving:
    files: [{path: moving/*.md}]
"""
AFTER = """\
version: 1
owner: crash
service: {capabilities: {batch_size: 3}}
stores:
  guide:
    metadata: {team: help}
    attributes: {lang: en}
    guards: {max_delete: 100%, max_replace: 100%}
    files: [{path: "*.md"}]
    overrides:
      - {match: attributes.md, attributes: {lang: de}}
      - {match: chunking.md, chunking: {size: 400, overlap: 100}}
  moving:
    guards: {max_delete: 100%, max_replace: 100%}
    files: [{path: moving/*.md}]
  fresh:
    files: [{path: fresh/*.md}]
"""
FIRST = {name: f"# {name}\n" for name in ("same.md", "content.md", "attributes.md", "chunking.md", "gone.md")}
SLOW = {f"moving/{number}.md": f"# moving {number}\n" for number in range(3)}
CHANGES: dict[str, str | None] = {
    "vssync.yaml": AFTER,
    "content.md": "# content, better\n",
    "gone.md": None,
    "new.md": "# new\n",
    "fresh/1.md": "# fresh\n",
    "fresh/2.md": "# new\n",
    **{name: text + "better\n" for name, text in SLOW.items() if name != "moving/2.md"},
}


@dataclass
class Scene:
    """A place to be killed in, what it held before, how many requests an apply makes, and the kinds of its writes."""

    place: Place
    before: Live
    requests: int
    writes: tuple[str, ...]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A store that is right, a batch under way that is not, somebody else's file, and a manifest that moved on."""
    place = Place(tmp_path_factory.mktemp("crash"))
    place.write({"vssync.yaml": BEFORE, **FIRST, "moving/0.md": "# moving 0\n"})
    assert place.apply().converged
    add_theirs(place)
    place.write({**SLOW, "moving/0.md": "# moving 0, once\n"})
    place.ingest_delay = 3600.0
    assert killed(place, lambda requests: requests[-1][0] == "POST" and requests[-1][1].endswith("/file_batches"))
    place.ingest_delay = 0.0
    place.write(CHANGES)
    place.save()
    assert set(planned_actions(place.plan())) == {
        Action.CREATE,
        Action.UPDATE,
        Action.REPLACE,
        Action.DELETE,
        Action.CANCEL,
    }
    before = live(place)
    whole: list[Counting] = []

    def counting_transport(inner: httpx.BaseTransport) -> Counting:
        whole.append(Counting(inner))
        return whole[0]

    assert place.apply(counting_transport).converged
    seen = whole[0].seen
    return Scene(place, before, len(seen), tuple(kind_of(*request) for request in seen if request[0] != "GET"))


def kind_of(method: str, path: str) -> str:
    """A request without the ids in its path."""
    return re.sub(r"(file-|vs_|vsfb_)[0-9a-f]+", r"\1", f"{method} {path}")


def planned_actions(plan: Plan) -> Iterator[Action]:
    return (change.action for change in plan.changes())


def add_theirs(place: Place) -> None:
    """Somebody attaches a file to our store."""
    with place.work() as session:
        (store,) = [store for store in session.client.list_stores() if store.name == "guide"]
        their_file = session.client.upload_file(io.BytesIO(b"# theirs\n"), "theirs.md").id
        session.client.attach_file(store.id, AttachmentEntry(their_file, {"owner": "them"}, AUTO))
        session.client.list_files(store.id)


def test_every_step_matters(scene: Scene) -> None:
    assert scene.requests > 40


def after_requests(number: int) -> Callable[[Seen], bool]:
    return lambda requests: len(requests) == number


def assert_survives(scene: Scene, *numbers: int, workers: int = 1) -> None:
    """Killed after these requests of an apply each, nothing is lost; applied again, everything is as it should be."""
    place = scene.place
    place.back()
    for number in numbers:
        killed(place, after_requests(number), workers=workers)
        served = {(store, key) for store, key in scene.before.completed() if key != "gone.md"}
        assert served <= live(place).completed()
    report = place.apply(workers=workers)
    assert report.converged, report.outcomes
    assert list(place.plan().changes()) == []
    after = live(place)
    copies = [(store, file.attributes.get(KEY)) for store, files in after.stores.items() for file in files]
    assert len(copies) == len(set(copies))
    assert unmarked_files(after) == unmarked_files(scene.before)
    assert {orphan.file_id for orphan in place.gc(suspected=True)} == after.loose
    assert place.gc(suspected=True, delete=True) == ()
    assert live(place).loose == set()


def unmarked_files(live_state: Live) -> list[object]:
    return [file for files in live_state.stores.values() for file in files if KEY not in file.attributes]


# In parts, for more than one core. Every run has each eighth request, the slow ones have all.
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 8))])
def test_killed_after_every_request(scene: Scene, part: int) -> None:
    for number in range(1 + part, scene.requests + 1, 8):
        assert_survives(scene, number)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_killed_again_and_again_with_threads(scene: Scene, seed: int) -> None:
    rng = random.Random(seed)
    points = [rng.randint(1, scene.requests) for _ in range(rng.randint(1, 4))]
    assert_survives(scene, *points, workers=rng.choice([1, 4]))


class Forgetful(httpx.BaseTransport):
    """Lets one write take effect and loses its reply."""

    def __init__(self, inner: httpx.BaseTransport, number: int) -> None:
        self.inner, self.number = inner, number
        self.writes: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if request.method != "GET":
            self.writes.append(kind_of(request.method, request.url.path))
            if len(self.writes) == self.number:
                raise httpx.ReadError("the reply is lost")
        return response


def apply_losing_reply(place: Place, number: int) -> str:
    """Applies while the reply to the write of this number is lost, and says which that was; "" when there are less."""
    transports: list[Forgetful] = []

    def forgetful_transport(inner: httpx.BaseTransport) -> Forgetful:
        transports.append(Forgetful(inner, number))
        return transports[0]

    report = place.apply(forgetful_transport)
    assert report.converged, report.outcomes
    after, writes = live(place), transports[0].writes
    lost = writes[number - 1] if len(writes) >= number else ""
    suspected = [orphan for orphan in report.orphans if orphan.suspected]
    assert len(after.loose) == len(report.orphans) == len(suspected) == (lost == "POST /v1/files")
    copies = [(store, file.attributes.get(KEY)) for store, files in after.stores.items() for file in files]
    assert len(copies) == len(set(copies))
    return lost


WRITES = {
    "POST /v1/files",
    "POST /v1/vector_stores",
    "POST /v1/vector_stores/vs_",
    "POST /v1/vector_stores/vs_/files/file-",
    "DELETE /v1/vector_stores/vs_/files/file-",
    "DELETE /v1/files/file-",
}
BATCHES = {"POST /v1/vector_stores/vs_/file_batches", "POST /v1/vector_stores/vs_/file_batches/vsfb_/cancel"}


def test_the_reply_to_each_kind_of_write_may_be_lost(scene: Scene) -> None:
    for kind in sorted(set(scene.writes)):
        scene.place.back()
        assert apply_losing_reply(scene.place, scene.writes.index(kind) + 1) == kind
        assert unmarked_files(live(scene.place)) == unmarked_files(scene.before)
        assert list(scene.place.plan().changes()) == []
    assert set(scene.writes) >= WRITES | BATCHES


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["local", "local,takes-files=off", "local,has-batches=off,lists-batches=off"])
def test_the_reply_to_any_write_may_be_lost(scene: Scene, provider: str) -> None:
    place, kinds = replace(scene.place, provider=provider), set[str]()
    for number in itertools.count(1):
        place.back()
        place.clock.now += 7200 if "has-batches=off" in provider else 0  # what nobody can cancel is ingested
        lost = apply_losing_reply(place, number)
        assert unmarked_files(live(place)) == unmarked_files(scene.before)
        assert list(place.plan().changes()) == []
        if not lost:
            break
        kinds.add(lost)
    assert kinds >= WRITES | ({"POST /v1/vector_stores/vs_/files"} if "has-batches=off" in provider else BATCHES)
