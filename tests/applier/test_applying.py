"""What an apply does in which order: never a gap, never twice, always the same."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.applier.world import Counting, Place, Seen, killed, live
from tests.support import masked
from vssync.model.marks import KEY, STORE_BATCHES
from vssync.model.plan import Action
from vssync.model.report import Status

MANIFEST = """\
version: 1
owner: busy
service: {capabilities: {batch_size: 3}}
defaults: {guards: {max_delete: 100%, max_replace: 100%}}
stores:
  docs: {files: [{path: "*.md"}]}
"""
TWO = MANIFEST + "  twin: {files: [{path: '*.md'}]}\n"
FILES = {f"{number}.md": f"# {number}\n" for number in range(8)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    return place


class Watching(httpx.BaseTransport):
    """After every request, reads the only store as an application would; `seen` are its completed keys each time."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.seen: list[set[str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        stores = self._get("/v1/vector_stores")
        files = self._get(f"/v1/vector_stores/{stores[0]['id']}/files") if stores else []
        self.seen.append({file["attributes"].get(KEY) for file in files if file["status"] == "completed"} - {None})
        return response

    def _get(self, path: str) -> Any:
        answer = self.inner.handle_request(httpx.Request("GET", f"http://local{path}?limit=100"))
        return httpx.Response(200, content=answer.read()).json()["data"]


@pytest.mark.parametrize("provider", ["local", "local,takes-files=off", "local,has-batches=off,lists-batches=off"])
def test_a_reader_finds_every_key_completed_at_any_moment_of_a_replace(place: Place, provider: str) -> None:
    place.provider = provider
    assert place.apply().converged
    place.write({name: text + "better\n" for name, text in FILES.items()})
    watching: list[Watching] = []

    def wrap(inner: httpx.BaseTransport) -> Watching:
        watching.append(Watching(inner))
        return watching[0]

    assert place.apply(wrap).converged
    (watched,) = watching
    assert len(watched.seen) > 2 * len(FILES)
    assert set(map(frozenset, watched.seen)) == {frozenset(FILES)}


def requests(place: Place, **options: Any) -> Seen:
    report, seen = place.apply_recorded(**options)
    assert report.converged
    return seen


def test_one_worker_always_makes_the_same_requests(tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        place = Place(tmp_path / name)
        place.write({"vssync.yaml": TWO, **FILES})
        runs.append([(method, masked(path)) for method, path in requests(place)])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("workers", [1, 4])
def test_two_new_stores_share_each_upload(place: Place, workers: int) -> None:
    place.write({"vssync.yaml": TWO})
    sent = requests(place, workers=workers)
    assert sent.count(("POST", "/v1/files")) == len(FILES)
    service = live(place)
    assert [len(files) for files in service.stores.values()] == [len(FILES), len(FILES)]
    assert len(service.uploads) == len(FILES)
    assert list(place.plan().changes()) == []
    place.write({"0.md": "# other\n"})
    assert place.apply().converged
    assert (len(live(place).uploads), live(place).loose) == (len(FILES), set())


def test_an_upload_that_leaves_one_store_stays_in_the_other(place: Place) -> None:
    place.write({"vssync.yaml": TWO})
    assert place.apply().converged
    place.write({"vssync.yaml": TWO.replace('docs: {files: [{path: "*.md"}]}', 'docs: {files: [{path: "[1-9].md"}]}')})
    assert place.apply().converged
    assert [len(files) for files in live(place).stores.values()] == [len(FILES) - 1, len(FILES)]
    assert list(place.plan().changes()) == []


def test_a_shared_upload_stays_while_another_store_holds_it(place: Place) -> None:
    place.write({"vssync.yaml": TWO})
    report = place.apply(faults=("refused-type,file=3.md:POST:/vector_stores/*/file_batches:1-3",))
    assert {outcome.key for outcome in report.outcomes if outcome.status is not Status.DONE} <= {"3.md"}
    assert place.apply().converged
    assert [len(files) for files in live(place).stores.values()] == [len(FILES), len(FILES)]
    assert live(place).loose == set()


class Overlapping(httpx.BaseTransport):
    """Attaches the first batch once more files than its own are uploaded, and shows it once a second one is sent."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.uploads, self.batches, self.patience = count(1), count(1), list[bool]()
        self.more_uploaded, self.second_sent = Event(), Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path
        if (method, path) == ("POST", "/v1/files") and next(self.uploads) > 3:
            self.more_uploaded.set()
        elif method == "POST" and path.endswith("/file_batches"):
            if next(self.batches) == 2:
                self.second_sent.set()
            self.patience.append(self.more_uploaded.wait(60))
        elif "/file_batches/" in path:
            self.patience.append(self.second_sent.wait(60))
        return self.inner.handle_request(request)


def test_files_are_uploaded_while_others_are_attached_and_waited_for(place: Place) -> None:
    """With threads; and no request more than without."""
    overlapping: list[Overlapping] = []

    def wrap(inner: httpx.BaseTransport) -> httpx.BaseTransport:
        overlapping.append(Overlapping(inner))
        return overlapping[0]

    report = place.apply(wrap, workers=4)
    assert report.converged
    assert set(overlapping[0].patience) == {True}
    (place.base / "plain").mkdir()
    plain = Place(place.base / "plain")
    plain.write({"vssync.yaml": MANIFEST, **FILES})
    assert report.requests <= plain.apply().requests


def test_fail_fast_begins_nothing_after_a_failure(place: Place) -> None:
    from tests.support import Silent
    from vssync.commands.apply import apply_plan
    from vssync.commands.plan import make_plan_now
    from vssync.model.plan import Options

    with place.work(faults=("status=400:POST:/files:2",)) as work:
        report = apply_plan(work, make_plan_now(work, Options()), Silent(), fail_fast=True)
    states = [outcome.status for outcome in report.outcomes if outcome.key]
    assert states.count(Status.FAILED) == 1
    assert states.count(Status.SKIPPED) == len(FILES) - 2
    assert place.apply().converged


def test_batches_under_way_are_noted_where_the_service_lists_none(place: Place) -> None:
    place.provider = "local,lists-batches=off"
    place.ingest_delay = 3600.0
    assert killed(place, lambda seen: [method for method, path in seen].count("POST") > 10)
    place.ingest_delay = 0.0
    with place.work() as work:
        (store,) = work.client.list_stores()
    assert store.metadata[STORE_BATCHES].startswith("vsfb_")
    (planned,) = place.plan().stores
    assert [batch.id for batch in planned.batches] == [store.metadata[STORE_BATCHES]]
    place.clock.now += 7200
    assert place.apply().converged
    place.write({"new.md": "# new\n"})
    assert place.apply().converged
    with place.work() as work:
        assert STORE_BATCHES not in work.client.list_stores()[0].metadata


def test_an_external_store_gets_no_note(place: Place) -> None:
    place.provider = "local,lists-batches=off"
    with place.work() as work:
        made = work.client.create_store({"name": "docs", "metadata": {"team": "theirs"}})
    place.write({"vssync.yaml": MANIFEST.replace("docs: {", "docs: {external: true, ")})
    updates = [path for method, path in requests(place) if method == "POST" and path.endswith(made.id)]
    assert updates == []


def test_a_service_that_lists_batches_gets_no_note(place: Place) -> None:
    updates = [path for method, path in requests(place) if method == "POST" and path.rpartition("/")[2][:3] == "vs_"]
    assert len(updates) == 1, "of the stamp, at the end"


def test_the_report_says_how_long_the_service_asked_to_pause(place: Place) -> None:
    report = place.apply(faults=("status=429,retry-after=7:POST:/files:2-3",))
    assert report.converged
    assert 14 <= report.throttled < 15


def test_a_host_that_is_gone_in_the_middle_fails_what_is_left_and_no_more(place: Place) -> None:
    class Gone(Counting):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if len(self.seen) > 9:
                raise httpx.ConnectError("[Errno -2] Name or service not known")
            return super().handle_request(request)

    report = place.apply(Gone)
    assert not report.converged
    assert any("cannot be reached" in outcome.detail for outcome in report.outcomes)
    assert place.apply().converged
    assert list(place.plan().changes()) == []


@pytest.mark.parametrize("jump", [-10 * 24 * 3600.0, 10 * 24 * 3600.0])
def test_a_clock_that_jumps_between_runs_loses_nothing(place: Place, jump: float) -> None:
    assert killed(place, lambda seen: seen.count(("POST", "/v1/files")) == 5)
    place.clock.now += jump
    assert place.apply().converged
    assert list(place.plan().changes()) == []
    place.gc(suspected=True, delete=True)
    assert len(live(place).stores["docs"]) == len(FILES)


def test_a_file_that_is_not_visible_yet_is_waited_for(place: Place) -> None:
    place.provider = "local,has-batches=off,lists-batches=off"
    place.ingest_delay = 5.0
    assert place.apply(faults=("status=404:GET:/vector_stores/*/files/*:1-3",)).converged
    assert list(place.plan().changes()) == []


class Lagging(httpx.BaseTransport):
    """A batch that is done says of its files that they are not."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if "/file_batches/" in request.url.path and request.url.path.endswith("/files"):
            return httpx.Response(200, content=response.read().replace(b'"completed"', b'"in_progress"'))
        return response


def test_a_batch_that_is_done_does_not_speak_for_its_files(place: Place) -> None:
    assert place.apply(Lagging).converged
    assert place.apply().converged


def test_what_was_completed_before_its_batch_could_be_cancelled_stays_where_it_is(place: Place) -> None:
    from tests.support import Silent
    from vssync.commands.apply import apply_plan
    from vssync.commands.plan import make_plan_now
    from vssync.model.plan import Options

    place.write({"vssync.yaml": MANIFEST.replace("size: 3", "size: 8")})
    place.ingest_delay = 300.0
    assert killed(place, lambda seen: any(path.endswith("/file_batches") and method == "POST" for method, path in seen))
    place.write({f"{number}.md": "# better\n" * number for number in range(1, 6)})
    counted: list[Counting] = []

    def wrap(inner: httpx.BaseTransport) -> Counting:
        counted.append(Counting(inner))
        return counted[0]

    with place.work(wrap) as work:
        planned = make_plan_now(work, Options())
        assert [batch.action for batch in planned.stores[0].batches] == [Action.CANCEL]
        wanted = {file.id for file in live(place).stores["docs"] if file.attributes[KEY] in ("0.md", "6.md", "7.md")}
        place.clock.now += 400
        report = apply_plan(work, planned, Silent())
    assert (report.converged, len(wanted)) == (True, 3)
    gone = {path.rpartition("/")[2] for method, path in counted[0].seen if method == "DELETE"}
    assert (len(gone), gone & wanted) == (5, set())
    assert list(place.plan().changes()) == []
