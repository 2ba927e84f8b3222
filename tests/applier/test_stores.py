"""Stores that come and go: an expired one is replaced, one that left is deleted, and never are there two."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest

from tests.applier.world import PLAIN, Counting, Place, Seen, Told, killed, live
from tests.simulation.judged import recorded_runs
from tests.support import Silent
from vssync.applier.watcher import Result
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.model.marks import STORE_OWNER
from vssync.model.plan import Action, Options
from vssync.model.report import Report, Status

MANIFEST = """\
version: 1
owner: mortal
defaults: {guards: {max_delete: 100%, max_replace: 100%}}
stores:
  docs: {expires_after: {days: 1}, files: [{path: "*.md"}]}
"""
FILES = {f"{number}.md": f"# {number}\n" for number in range(4)}
REPLACE = Options(allow_store_replace=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    return place


def apply(place: Place, options: Options, *faults: str) -> Report:
    with place.work(faults=faults) as work:
        return apply_plan(work, make_plan_now(work, options), Silent())


def expired(place: Place) -> str:
    """The id of a store that was filled and then left alone for too long."""
    (only,) = place.apply().store_ids
    place.clock.now += 3 * 24 * 3600
    return only[1]


@pytest.mark.wide(4)
@pytest.mark.parametrize("provider", ["local", "local,unsettled=9", "local,has-batches=off,lists-batches=off"])
@pytest.mark.parametrize(
    "fault",
    [
        "",
        "lost-reply:POST:/vector_stores:1",
        "reset-before:POST:/vector_stores:1-2",
        "reset-after:POST:/vector_stores:1",
        "lost-reply:DELETE:/vector_stores/*:1",
        "unseen=9:POST:/vector_stores",
    ],
)
def test_an_expired_store_is_replaced_once_and_leaves_nothing(place: Place, provider: str, fault: str) -> None:
    place.provider = provider
    old = expired(place)
    report = apply(place, REPLACE, *filter(None, [fault]))
    assert (report.converged, report.orphans) == (True, ())
    (new,) = report.store_ids
    assert new[1] != old
    service = live(place)  # which finds each store once
    assert [len(files) for files in service.stores.values()] == [len(FILES)]
    assert (len(service.uploads), service.loose) == (len(FILES), set())
    assert list(place.plan().changes()) == []


@pytest.mark.parametrize("is_expired", [False, True])
def test_a_store_that_the_plan_leaves_was_not_made_by_another_run_meanwhile(place: Place, *, is_expired: bool) -> None:
    """An old duplicate goes, or the store in use where all are expired; the plan says of another that it stays."""
    place.apply()
    expiry = {"anchor": "last_active_at", "days": 1}
    with place.work() as work:
        (used,) = work.client.list_stores()
        left = used.id
        for seconds in (700,) if is_expired else (0, 700):
            place.clock.now += seconds
            made = work.client.create_store({"name": "docs", "metadata": used.metadata, "expires_after": expiry}).id
            left = used.id if is_expired else made
    place.clock.now += 3 * 24 * 3600 if is_expired else 0
    report = apply(place, REPLACE if is_expired else Options(allow_store_deletes=True))
    assert {outcome.status for outcome in report.outcomes} == {Status.DONE}
    assert [note.detail.split()[0] for store in report.plan.stores for note in store.notes] == [left]
    assert any(outcome.action in (Action.REPLACE, Action.DELETE) for outcome in report.outcomes)


def test_a_store_whose_reply_was_lost_is_looked_for_and_remembered(place: Place) -> None:
    with recorded_runs() as runs:
        report = place.apply(faults=("lost-reply:POST:/vector_stores:1",))
    sent = [(exchange.method, exchange.url) for exchange in runs[-1].exchanges]
    assert (report.converged, sent.count(("POST", "http://local/v1/vector_stores"))) == (True, 1)
    assert place.past().stores == {store_id: key for key, store_id in report.store_ids}


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", ["local", "local,lists-batches=off"])
@pytest.mark.parametrize("change", ["name: renamed", "metadata: {team: b}", "metadata: {}", "protect: true", ""])
def test_what_an_application_adds_to_the_metadata_after_the_plan_stays(
    place: Place, provider: str, change: str
) -> None:
    place.provider = provider
    place.write({"vssync.yaml": MANIFEST.replace("docs: {", "docs: {metadata: {team: a}, ")})
    place.apply()
    place.write(
        {
            "vssync.yaml": MANIFEST.replace("docs: {", f"docs: {{{change or 'metadata: {team: a}'}, "),
            "0.md": "# edited\n",
        }
    )
    with place.work() as work:
        plan = make_plan_now(work, PLAIN)
        (store,) = work.client.list_stores()
        work.client.update_store(store.id, {"metadata": {**store.metadata, "app": "on", "name": "x"}})
        assert apply_plan(work, plan, Silent()).converged
        metadata = work.client.get_store(store.id).metadata
    team = {"": "a", "metadata: {team: b}": "b"}.get(change)
    assert (metadata["app"], metadata["name"], metadata.get("team")) == ("on", "x", team)
    assert list(place.plan().changes()) == []


def test_uploads_of_an_expired_store_that_cannot_be_listed_are_spoken_of(place: Place) -> None:
    old = expired(place)
    report = apply(place, REPLACE, f"status=404:GET:/vector_stores/{old}/files")
    assert report.converged
    assert [(orphan.suspected, old in orphan.detail) for orphan in report.orphans] == [(True, True)]


def test_an_expired_store_that_left_the_manifest_takes_its_uploads_along(place: Place) -> None:
    expired(place)
    place.write({"vssync.yaml": MANIFEST.replace("docs:", "other:")})
    report = apply(place, Options(allow_store_deletes=True))
    assert (report.converged, report.orphans) == (True, ())
    service = live(place)
    assert {name: len(files) for name, files in service.stores.items()} == {"other": len(FILES)}
    assert (len(service.uploads), service.loose) == (len(FILES), set())


def test_uploads_of_an_expired_store_are_not_forgotten_when_a_run_dies_over_it(place: Place) -> None:
    old = expired(place)
    place.write({"3.md": None})

    def deleted(seen: Seen) -> bool:
        return seen[-1] == ("DELETE", f"/v1/vector_stores/{old}")

    assert killed(place, deleted, options=REPLACE)
    gone = live(place).loose
    assert (len(gone), {orphan.file_id for orphan in place.gc()}) == (len(FILES), gone)


def test_an_upload_of_an_expired_store_that_another_store_holds_stays(place: Place) -> None:
    place.write({"vssync.yaml": MANIFEST + "  twin: {files: [{path: '*.md'}]}\n"})
    expired_id = dict(place.apply().store_ids)["docs"]
    place.clock.now += 3 * 24 * 3600
    assert apply(place, REPLACE).converged
    service = live(place)
    assert expired_id not in service.stores
    assert {name: len(files) for name, files in service.stores.items()} == {"docs": len(FILES), "twin": len(FILES)}


def test_an_expired_store_stays_while_its_files_could_not_be_brought_in(place: Place) -> None:
    """What the first store learns of the service keeps the second from trying: that is not "everything is done"."""
    place.write({"vssync.yaml": MANIFEST + "  twin: {expires_after: {days: 1}, files: [{path: '*.md'}]}\n"})
    old = {store_id for _, store_id in place.apply().store_ids}
    place.clock.now += 3 * 24 * 3600
    report = apply(place, REPLACE, "erased-mark")
    kept = [outcome.store for outcome in report.outcomes if "the store is kept" in outcome.detail]
    with place.work() as work:
        assert (kept, old - {store.id for store in work.client.list_stores()}) == (["docs", "twin"], set())


class Meeting(Silent):
    """Lets the store `docs` fail while the work on `old`, which is replaced, is under way, and not before or after."""

    def __init__(self) -> None:
        self.begun, self.failed = threading.Event(), threading.Event()

    def on_upload_ready(self, store_key: str, _key: str, _file_id: str, _size: int) -> None:
        assert store_key != "docs" or self.begun.wait(60)

    def on_settled(self, store_key: str, _key: str, _result: Result) -> None:
        if store_key == "docs":
            self.failed.set()
        elif not self.begun.is_set():
            self.begun.set()
            assert self.failed.wait(60)


def test_fail_fast_deletes_no_store_after_a_failure_elsewhere(place: Place) -> None:
    lasting = MANIFEST.replace("expires_after: {days: 1}, ", "")
    place.write({"vssync.yaml": lasting + "  old: {expires_after: {days: 1}, files: [{path: 'old/*.txt'}]}\n"})
    place.write({"old/1.txt": "1\n", "old/2.txt": "2\n"})
    expired_id = dict(place.apply().store_ids)["old"]
    place.clock.now += 3 * 24 * 3600
    place.write({"bad.md": "# bad\n"})
    with place.work(faults=("refused-type,file=bad.md",), workers=4) as work:
        report = apply_plan(work, make_plan_now(work, REPLACE), Meeting(), fail_fast=True)
    states = {(outcome.store, outcome.key): outcome.status for outcome in report.outcomes}
    assert (states["docs", "bad.md"], states["old", ""]) == (Status.FAILED, Status.SKIPPED)
    with place.work() as work:
        assert expired_id in {store.id for store in work.client.list_stores()}


def test_an_adopted_store_that_loses_its_mark_is_not_taken_for_ours(place: Place) -> None:
    with place.work() as work:
        work.client.create_store({"name": "docs"})
    report = apply(place, Options(adopt=True), "lost-metadata:POST:/vector_stores/*")
    assert [outcome.status for outcome in report.outcomes] == [Status.FAILED, *[Status.SKIPPED] * len(FILES)]
    assert "the service lost the metadata of" in report.outcomes[0].detail


TWO_STORES = """\
version: 1
owner: mortal
stores:
  docs: {files: [{path: "*.md"}]}
  more: {metadata: {team: a}, files: [{path: "*.md"}]}
"""


@pytest.mark.wide(4)
@pytest.mark.parametrize("provider", ["local", "local,lists-batches=off"])
@pytest.mark.parametrize("change", ["", "0.md", "vssync.yaml"])
@pytest.mark.parametrize("is_for_good", [False, True])
def test_metadata_that_an_update_loses_is_written_again_once_and_else_told(
    place: Place, provider: str, change: str, *, is_for_good: bool
) -> None:
    """The stamp, a note of batches and settings are written to a store that carries its mark."""
    place.provider, place.ingest_delay = provider, 20
    place.write({"vssync.yaml": TWO_STORES})
    if change:
        assert place.apply().converged
        place.write({change: "# edited\n" if change == "0.md" else TWO_STORES.replace("team: a", "team: b")})
    rule = "lost-metadata:POST:/vector_stores/vs_*"
    report = place.apply(faults=(rule if is_for_good else f"{rule}:1",))
    assert report.converged is not is_for_good
    with place.work() as work:
        stores = work.client.list_stores()
    if not is_for_good:
        assert [STORE_OWNER in store.metadata for store in stores] == [True, True]
        assert list(place.plan().changes()) == []
        return
    (lost,) = [outcome for outcome in report.outcomes if outcome.needs_attention]
    (without,) = [store.id for store in stores if STORE_OWNER not in store.metadata]
    assert (lost.key, lost.status) == ("", Status.FAILED)
    assert f"the service lost the metadata of {without} when it was updated" in lost.detail
    assert f"declare it with `id: {without}` and `external: true`, and set `store_updates: false`" in lost.detail
    external = TWO_STORES.replace(f"{lost.store}: {{", f"{lost.store}: {{id: {without}, external: true, ")
    external = external.replace("metadata: {team: a}, ", "" if lost.store == "more" else "metadata: {team: a}, ")
    place.write({"vssync.yaml": external + "service: {capabilities: {store_updates: false}}\n"})
    again = place.apply(faults=(rule,))
    assert again.converged, (again.outcomes, again.plan)


class Keeping(httpx.BaseTransport):
    """Accepts updates of stores, and changes nothing."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        is_update = request.method == "POST" and request.url.path.split("/")[-2] == "vector_stores"
        return self.inner.handle_request(httpx.Request("GET", request.url) if is_update else request)


def test_a_service_that_keeps_the_old_metadata_is_no_success(place: Place) -> None:
    place.write({"vssync.yaml": TWO_STORES})
    assert place.apply().converged
    place.write({"vssync.yaml": TWO_STORES.replace("team: a", "team: b")})
    (outcome,) = place.apply(Keeping).outcomes
    assert (outcome.store, outcome.status) == ("more", Status.FAILED)
    assert "carries another mark than was written" in outcome.detail


@pytest.mark.parametrize("in_flight", [1, 8])
def test_files_are_uploaded_while_a_new_store_is_made(place: Place, in_flight: int) -> None:
    place.provider, place.batches_in_flight = "local,creating-seconds=45,propagating-seconds=20", in_flight
    place.write({"vssync.yaml": MANIFEST + "service: {capabilities: {batch_size: 1}}\n"})
    before, told = place.clock.now, Told()
    seen: Seen = []

    def wrap(inner: httpx.BaseTransport) -> Counting:
        return Counting(inner, lambda requests: seen.__setitem__(slice(None), requests))

    assert place.apply(wrap, watcher=told).converged
    uploads = [place for place, request in enumerate(seen) if request == ("POST", "/v1/files")]
    reads = [place for place, (method, path) in enumerate(seen) if method == "GET" and path.endswith("/files")]
    asked_again = next(place for place in reads if place > uploads[0])
    assert sum(place < asked_again for place in uploads) == min(in_flight, len(FILES))
    assert place.clock.now - before < 65 + 15
    assert told.lines[0] == "docs: created; the service does not serve it yet, and files are uploaded meanwhile"


def test_a_new_store_that_is_never_served_keeps_its_uploads_for_the_next_run(place: Place) -> None:
    place.provider = "local,creating-seconds=10000"
    report = place.apply()
    store, *files = report.outcomes
    assert (store.status, store.detail.partition(" vs_")[0]) == (Status.UNKNOWN, "docs: the new store")
    assert {outcome.status for outcome in files} == {Status.SKIPPED}
    assert {outcome.detail for outcome in files} == {"not tried: the store cannot be used yet; apply again later"}
    place.clock.now += 10_000
    again, seen = place.apply_recorded()
    assert (again.converged, seen.count(("POST", "/v1/files")), live(place).loose) == (True, 0, set())
