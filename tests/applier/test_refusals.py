"""A service that refuses one request: what was accepted stays, what was detached goes back, and the report is true."""

from __future__ import annotations

import inspect
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.applier.test_attaching import FILES, MANIFEST, SMALL_BATCHES, undone
from tests.applier.world import PLAIN, Place, Told, Wrap, live
from tests.support import Silent
from vssync.api.errors import MissingCapability
from vssync.api.parse import AttachmentEntry
from vssync.applier.context import ApplyRun
from vssync.applier.run import carry_out
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.model.marks import KEY, STORE_BATCHES
from vssync.model.plan import Action, Options, Plan
from vssync.model.report import Report, Status
from vssync.model.state import AUTO

Answer = Callable[[httpx.Request], httpx.Response | None]


class Answering(httpx.BaseTransport):
    """Answers some requests in the service's place: those for which `answer` has an answer."""

    def __init__(self, inner: httpx.BaseTransport, answer: Answer) -> None:
        self.inner, self.answer = inner, answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request) or self.inner.handle_request(request)


def answering(answer: Answer) -> Wrap:
    return lambda inner: Answering(inner, answer)


def refusal(request: httpx.Request, status: int, message: str = "no") -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message}}, request=request)


def ends(request: httpx.Request, method: str, end: str) -> bool:
    return request.method == method and request.url.path.endswith(end)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def apply_planned(place: Place, plan: Plan, answer: Answer, told: Told | None = None) -> Report:
    """Applies a plan that was made while nothing was refused."""
    with place.work(answering(answer)) as work:
        return apply_plan(work, plan, told or Silent())


TWO_CHUNKINGS = """\
version: 1
owner: picky
stores:
  docs: {files: [{path: "[ab]*.md"}, {path: "z*.md", chunking: {size: 1000, overlap: 0}}]}
service: {capabilities: {batch_files: false, updates_reach_search: true}}
"""


def test_of_uniform_batches_the_accepted_ones_stay_when_a_later_one_is_refused(place: Place) -> None:
    """Files that are attached already are refused without the usual code."""
    place.write({"vssync.yaml": TWO_CHUNKINGS, **{f"{name}.md": f"# {name}\n" for name in ("a", "b", "z", "z2")}})
    attached: set[str] = set()
    bad: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response | None:
        if not ends(request, "POST", "/file_batches"):
            return None
        body = json.loads(request.read())
        file_ids = body["file_ids"]
        if again := attached.intersection(file_ids):
            return refusal(request, 400, f"File {again.pop()} is in this vector store")
        if body.get("chunking_strategy", {}).get("type") == "static" and not bad:
            bad.append(file_ids[0])
        if bad and bad[0] in file_ids:
            return refusal(request, 400, f"File {bad[0]} cannot be read")
        attached.update(file_ids)
        return None

    report = place.apply(answering(answer))
    assert list(undone(report).values()) == [Status.FAILED]
    assert len(live(place).completed()) == 3
    assert live(place).loose == set()


def test_a_file_that_a_refusal_names_stays_if_the_store_holds_it(place: Place) -> None:
    """Another machine attached it since the plan, and the refusal has no code."""
    place.write({"vssync.yaml": MANIFEST, "a.md": "# a\n"})
    with place.work() as work:
        given = work.client.upload_file(io.BytesIO(b"# given"), "given.md").id
    assert place.apply().converged
    declared = MANIFEST.replace('"*.md"}', '"*.md"}, {file_id: ' + given + ", key: z.md}")
    place.write({"vssync.yaml": declared, "b.md": "# b\n", "c.md": "# c\n"})
    plan = place.plan()
    with place.work() as work:
        work.client.attach_file(work.client.list_stores()[0].id, AttachmentEntry(given, {}, AUTO))

    def answer(request: httpx.Request) -> httpx.Response | None:
        is_batch = ends(request, "POST", "/file_batches")
        return refusal(request, 400, f"{given} is in use") if is_batch and given in request.read().decode() else None

    assert apply_planned(place, plan, answer).converged
    assert len(live(place).stores["docs"]) == 4


def test_however_many_files_are_refused_by_name_the_others_are_attached(place: Place) -> None:
    bad = {f"{number:03}.md": f"# {number}\n" for number in range(100)}
    place.write({"vssync.yaml": MANIFEST, "good.md": "# good\n", "more.md": "# more\n", **bad})

    def answer(request: httpx.Request) -> httpx.Response | None:
        if not ends(request, "POST", "/file_batches"):
            return None
        keys = {entry["file_id"]: entry["attributes"][KEY] for entry in json.loads(request.read())["files"]}
        named = next((file_id for file_id, key in keys.items() if key in bad), None)
        return refusal(request, 400, f"File {named} cannot be read") if named else None

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)  # a file is no deeper than another
    try:
        report = place.apply(answering(answer))
    finally:
        sys.setrecursionlimit(limit)
    assert undone(report) == dict.fromkeys(bad, Status.FAILED)


@pytest.mark.wide(3)
@pytest.mark.parametrize("status", [400, 403, 409, 429])
def test_an_upload_whose_detaching_is_refused_is_no_orphan(place: Place, status: int) -> None:
    place.write({"vssync.yaml": MANIFEST, **FILES})
    wrap = answering(lambda request: refusal(request, status) if request.method == "DELETE" else None)
    report = place.apply(wrap, faults=("fails=server_error,file=07.md",))
    assert (undone(report), report.orphans, live(place).loose) == ({"07.md": Status.FAILED}, (), set())


@pytest.mark.parametrize("failing", ["fails=server_error", "fails=server_error,file=07.md"])
@pytest.mark.parametrize("is_missing", [False, True])
def test_a_run_that_stops_during_a_pause_sends_nothing_more(
    place: Place, monkeypatch: pytest.MonkeyPatch, failing: str, is_missing: bool
) -> None:
    """A change of another store fails under --fail-fast, or the service turns out to keep no attributes."""
    place.write({"vssync.yaml": SMALL_BATCHES, **FILES})
    place.batches_in_flight = 1
    runs: list[ApplyRun] = []

    class Stopping(Told):
        def on_message(self, text: str) -> None:
            super().on_message(text)
            if "tried" in text and is_missing:
                runs[0].service.record_missing(MissingCapability.ATTRIBUTES)
            elif "tried" in text:
                runs[0].results.any_failed = True

    def carry_out_and_keep(run: ApplyRun, plan: Plan) -> Report:
        runs.append(run)
        return carry_out(run, plan)

    monkeypatch.setattr("vssync.commands.apply.carry_out", carry_out_and_keep)
    told, before, sent = Stopping(), place.clock.now, list[str]()

    def answer(request: httpx.Request) -> None:
        if request.method != "GET" and any("tried" in line for line in told.lines):
            sent.append(request.url.path)

    with place.work(answering(answer), faults=(failing,)) as work:
        apply_plan(work, make_plan_now(work, PLAIN), told, fail_fast=True)
    assert (sum("tried" in line for line in told.lines), sent) == (1, [])
    assert place.clock.now - before < 20  # of the pauses of 10, 30 and 60 s


@pytest.mark.parametrize("status", [400, 409])
def test_uploads_that_cannot_be_looked_for_in_stores_are_left_alone(place: Place, status: int) -> None:
    place.write({"vssync.yaml": MANIFEST, "a.md": "# a\n"})
    place.apply(answering(lambda request: refusal(request, 403) if ends(request, "POST", "/file_batches") else None))
    (spare,) = place.past().unattached
    told, refused = Told(), list[str]()

    def answer(request: httpx.Request) -> httpx.Response | None:
        if not ends(request, "GET", "/vector_stores") or refused:
            return None
        refused.append(request.url.path)
        return refusal(request, status)

    report = apply_planned(place, place.plan(), answer, told)
    assert report.converged
    assert "uploads that earlier runs left are not used, because the stores cannot be listed" in told.lines[0]
    assert [upload.file_id for upload in place.past().unattached] == [spare.file_id]
    assert live(place).loose == {spare.file_id}


def test_of_two_failed_copies_the_one_that_was_completed_meanwhile_stays_and_the_other_goes(place: Place) -> None:
    place.write({"vssync.yaml": MANIFEST, "a.md": "# one\n", "b.md": "# b\n"})
    for text in ("# one\n", "# two\n"):
        place.write({"a.md": text})
        place.apply(faults=("fails=server_error,file=a.md",))
    plan = place.plan()
    (change,) = plan.stores[0].files
    assert change.reuse
    assert len(change.drop) == 2
    with place.work() as work:
        store_id = work.client.list_stores()[0].id

    class Completing(httpx.BaseTransport):
        def __init__(self, inner: httpx.BaseTransport) -> None:
            self.inner = inner

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = self.inner.handle_request(request)
            if ends(request, "GET", f"{store_id}/files/{change.reuse}"):
                body = {**json.loads(response.read()), "status": "completed", "last_error": None}
                return httpx.Response(200, json=body, request=request)
            return response

    with place.work(Completing) as work:
        report = apply_plan(work, plan, Silent())
    assert report.converged
    assert {file.id for file in live(place).stores["docs"]} >= {change.reuse}
    assert len(live(place).stores["docs"]) == 2


@pytest.mark.parametrize("refused", [1, 2])
def test_a_note_of_batches_goes_though_one_was_refused(place: Place, refused: int) -> None:
    place.provider, place.batches_in_flight, place.ingest_delay = "local,lists-batches=off", 2, 20
    place.write({"vssync.yaml": SMALL_BATCHES, **FILES})
    notes: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST" and request.url.path.split("/")[-2] == "vector_stores":
            notes.append(json.loads(request.read())["metadata"].get(STORE_BATCHES, ""))
            return refusal(request, 400) if len(notes) == refused else None
        return None

    assert place.apply(answering(answer)).converged
    assert bool(notes[0])
    with place.work() as work:
        assert [STORE_BATCHES in store.metadata for store in work.client.list_stores()] == [False]


def test_a_store_that_is_deleted_meanwhile_says_nothing_of_batches(place: Place) -> None:
    place.batches_in_flight, place.ingest_delay = 1, 20
    place.write({"vssync.yaml": SMALL_BATCHES, **FILES})
    gone: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response | None:
        if gone and gone[0] in request.url.path:
            return refusal(request, 404, "Vector store not found")
        return None

    class Deleting(Answering):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if ends(request, "POST", "/file_batches"):
                gone.append(request.url.path.split("/")[-2])
            return response

    told = Told()
    report = place.apply(lambda inner: Deleting(inner, answer), watcher=told)
    assert not report.converged
    assert "cannot be read here" not in "\n".join(told.lines)


def unreadable(request: httpx.Request) -> httpx.Response | None:
    is_of_one = any(f"/{folder}/" in request.url.path for folder in ("file_batches", "files"))
    return refusal(request, 403) if request.method == "GET" and is_of_one else None


def test_a_copy_that_cannot_be_read_is_unknown_whoever_attached_it(place: Place) -> None:
    place.ingest_delay = 5000
    place.write({"vssync.yaml": MANIFEST, "a.md": "# one\n"})
    for action in (Action.CREATE, Action.AWAIT):
        plan = place.plan()
        assert [change.action for change in plan.changes()][-1] is action
        assert undone(apply_planned(place, plan, unreadable))["a.md"] is Status.UNKNOWN


def test_no_search_is_asked_for_a_copy_that_is_not_completed(place: Place) -> None:
    place.ingest_delay = 5000
    manifest = MANIFEST.replace('"*.md"', '"*.md", attributes: {version: 1}')
    manifest += 'service: {provider: compatible, data_url: "http://local/v1"}\n'  # which may not search by updates
    place.write({"vssync.yaml": manifest, "a.md": "# one\n"})
    apply_planned(place, place.plan(), unreadable)
    place.write({"vssync.yaml": manifest.replace("1}", "2}")})
    (change,) = place.plan().stores[0].files
    assert (change.action, bool(change.fields)) == (Action.AWAIT, True)
    report, seen = place.apply_recorded()
    assert undone(report)["a.md"] is Status.UNKNOWN
    assert not [path for _, path in seen if path.endswith("/search")]


CHUNKED = MANIFEST.replace("{files", "{chunking: {size: 400, overlap: 0}, files")


@pytest.mark.parametrize(
    ("method", "end", "status"),
    [
        ("POST", "/file_batches", 401),  # for this key, nothing more is sent
        ("POST", "/file_batches", 422),  # for this file
        ("GET", "/files", 401),  # whether it was detached cannot be seen
    ],
)
def test_a_file_of_others_that_cannot_be_attached_again_goes_back(
    place: Place, method: str, end: str, status: int
) -> None:
    place.write({"vssync.yaml": CHUNKED, "a.md": "# a\n"})
    with place.work() as work:
        given = work.client.upload_file(io.BytesIO(b"# of others"), "note.md").id
    declared = CHUNKED.replace('"*.md"}', '"*.md"}, {file_id: ' + given + ", key: z.md}")
    place.write({"vssync.yaml": declared})
    assert place.apply().converged
    place.write({"vssync.yaml": declared.replace("400", "800")})
    plan = place.plan(Options(allow_gap=True))
    detached: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.method == "DELETE" and request.url.path.endswith(given):
            detached.append(given)
        return refusal(request, status) if detached and ends(request, method, end) else None

    report = apply_planned(place, plan, answer)
    assert undone(report)["z.md"] is Status.FAILED
    assert given in {file.id for file in live(place).stores["docs"]}


def test_a_store_that_cannot_be_created_holds_a_run_up_for_less_than_a_minute(place: Place) -> None:
    place.write({"vssync.yaml": MANIFEST, "a.md": "# one\n"})
    told, before = Told(), place.clock.now
    report = place.apply(watcher=told, faults=("status=500:POST:/vector_stores",))
    assert undone(report) == {"": Status.UNKNOWN, "a.md": Status.SKIPPED}
    assert place.clock.now - before < 60
    assert "the service reported an error when it was created" in told.lines[0]
