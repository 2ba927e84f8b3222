"""A deletion is done when nothing lists what was deleted, and an upload goes only when no store of anybody holds it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.applier.world import Counting, Place, Seen, killed, live
from tests.planner.builders import live_copy, live_store
from tests.simulation.judged import apply_plan, plan_destruction, recorded_runs
from tests.support import Silent
from vssync.api.connect import with_unlisted
from vssync.api.parse import AttachmentEntry
from vssync.applier import deletions
from vssync.applier.context import Deletion
from vssync.errors import Answer, NotFound, ServiceError
from vssync.model.plan import Options
from vssync.model.report import Report, Status
from vssync.model.state import AUTO, Contents, LiveStore, Verdict
from vssync.threads import Pool

MANIFEST = """\
version: 1
owner: leaving
stores:
  docs: {guards: {max_delete: 100%, max_replace: 100%}, files: [{path: "*.md"}]}
"""
FILES = {f"{number}.md": f"# {number}\n" for number in range(6)}
FOREVER = "99999999"  # seconds


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    assert place.apply().converged
    return place


def remove(place: Place, *faults: str, provider: str = "local", count: int = 3) -> Report:
    """Takes the first files away, where the service is like this."""
    place.provider = provider
    place.write({f"{number}.md": None for number in range(count)})
    return place.apply(faults=faults)


def destroy(place: Place, *faults: str, provider: str = "local") -> Report:
    place.provider = provider
    with place.work(faults=faults) as work:
        return apply_plan(work, plan_destruction(work), Silent())


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("status-after=500:DELETE:{}", Status.DONE, ""),
        (
            "status=500:DELETE:{}",
            Status.UNKNOWN,
            "still listed 60 s .* later: DELETE .*500",
        ),
        ("status=403:DELETE:{}", Status.FAILED, "403"),
    ],
)
@pytest.mark.parametrize("path", ["/vector_stores/*/files/*", "/vector_stores/*"])
def test_a_deletion_without_a_good_answer_is_looked_for(
    place: Place, path: str, fault: str, status: Status, words: str
) -> None:
    rule = fault.format(path)
    report = remove(place, rule, count=1) if "files" in path else destroy(place, rule)
    (outcome, *_) = report.outcomes
    assert outcome.status is status
    assert re.search(words, outcome.detail)


@pytest.mark.parametrize("fault", ["status-after=500", "status-after=503", "lost-reply", "not-json,status=502"])
def test_what_an_error_deleted_is_read_once_and_not_deleted_again(place: Place, fault: str) -> None:
    place.write({"0.md": None, "1.md": "# edited\n"})
    with recorded_runs() as runs:
        report = place.apply(faults=(f"{fault}:DELETE",))
    assert (report.converged, report.orphans, report.repeated, live(place).loose) == (True, (), 0, set())
    seen = [(exchange.method, exchange.url) for exchange in runs[-1].exchanges]
    deleted = [place for place, (method, _) in enumerate(seen) if method == "DELETE"]
    assert len({seen[place] for place in deleted}) == len(deleted) == 4
    assert [seen[place + 1] for place in deleted] == [("GET", seen[place][1]) for place in deleted]


def statuses(report: Report) -> set[Status]:
    return {outcome.status for outcome in report.outcomes}


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("provider", "status", "words"),
    [
        ("local,late-deletions=30", Status.DONE, ""),
        ("local,ghost-files=30", Status.DONE, ""),
        (f"local,ghost-counts={FOREVER}", Status.DONE, ""),
        (f"local,late-deletions={FOREVER}", Status.UNKNOWN, "still listed 60 s after it was deleted"),
        (f"local,ghost-files={FOREVER}", Status.UNKNOWN, "still listed 60 s after it was deleted"),
        ("local,denies-deletions=on", Status.FAILED, "answered `deleted: false`"),
        ("local,refuses-deleting=store-files", Status.FAILED, "may see but not delete it"),
        ("local,breaks-listings=on", Status.UNKNOWN, "not confirmed: GET .*database is locked"),
    ],
)
def test_a_file_is_removed_once_its_store_lists_it_no_more(
    place: Place, provider: str, status: Status, words: str
) -> None:
    report = remove(place, provider=provider)
    assert statuses(report) == {status}
    for outcome in report.outcomes:
        assert re.search(words, outcome.detail)
    assert sum(place.clock.waits) < 120, "all are waited for together"


def test_a_confirmed_deletion_that_is_never_made_is_not_done(place: Place) -> None:
    report = remove(place, "slow-delete=1000")
    assert statuses(report) == {Status.UNKNOWN}
    assert len(live(place).completed()) == len(FILES)


def test_what_must_go_first_is_not_waited_for_again_once_a_file_stayed(place: Place) -> None:
    """Each is attached again with other chunking, and none can be before it is gone."""
    place.provider = f"local,late-deletions={FOREVER}"
    chunked = "docs: {chunking: {size: 400, overlap: 0}, "
    place.write({"vssync.yaml": MANIFEST.replace("docs: {", chunked)})
    report = place.apply(options=Options(allow_gap=True))
    assert statuses(report) == {Status.FAILED}
    assert all("still listed 60 s after it was deleted" in outcome.detail for outcome in report.outcomes)
    assert sum(place.clock.waits) < 180


@pytest.mark.parametrize(
    ("provider", "status", "words"),
    [
        ("local,ghost-stores=30", Status.DONE, ""),
        (f"local,ghost-stores={FOREVER}", Status.UNKNOWN, "still listed 60 s after it was deleted"),
        ("local,denies-deletions=on", Status.FAILED, "deleted: false|its store was not deleted"),
        ("local,refuses-deleting=stores", Status.FAILED, "may see but not delete it|its store was not deleted"),
    ],
)
def test_a_store_is_gone_once_it_is_listed_no_more(place: Place, provider: str, status: Status, words: str) -> None:
    report = destroy(place, provider=provider)
    assert (len(report.outcomes), statuses(report)) == (1 + len(FILES), {status})
    assert all(re.search(words, outcome.detail) for outcome in report.outcomes)
    assert bool(report.store_ids) == (status is not Status.DONE)


@pytest.mark.parametrize("path", ["/vector_stores/*/files/*", "/vector_stores/*"])
def test_what_an_unreadable_reply_deleted_is_seen_in_the_end(place: Place, path: str) -> None:
    rule = f"not-json:DELETE:{path}:1"
    report = remove(place, rule) if path.endswith("files/*") else destroy(place, rule)
    assert statuses(report) == {Status.DONE}
    assert live(place).loose == set()


@pytest.mark.parametrize("others", [0, 250])
def test_an_upload_that_anybody_holds_stays_and_is_named(place: Place, others: int) -> None:
    """In a store of any name: it is listed where it is small, and asked for the upload where it is not."""
    lent, free = sorted(
        file.id for file in live(place).stores["docs"] if file.attributes["vssync_key"] in ("0.md", "1.md")
    )
    with place.work() as work:
        theirs = work.client.create_store({"name": "a colleague's"}).id
        for number in range(others):
            with (place.docs / "2.md").open("rb") as handle:
                own = work.client.upload_file(handle, f"{number}.txt").id
            work.client.attach_file(theirs, AttachmentEntry(own, {}, AUTO))
        work.client.attach_file(theirs, AttachmentEntry(lent, {}, AUTO))
    place.write({"0.md": None, "1.md": None})
    report, seen = place.apply_recorded()
    assert (report.converged, report.orphans) == (True, ())
    (held,) = report.held
    assert held.file_id == lent
    assert held.detail.endswith(f"; held by a colleague's ({theirs})")
    uploads = {upload.id for upload in live(place).uploads}
    assert (lent in uploads, free in uploads) == (True, False)
    of_theirs = [path.rpartition("/")[2] for method, path in seen if theirs in path and method == "GET"]
    assert (of_theirs[0], set(of_theirs[1:])) == ("files", {lent, free} if others else set())


def test_a_store_that_cannot_be_asked_keeps_the_uploads(place: Place) -> None:
    with place.work() as work:
        theirs = work.client.create_store({"name": "a colleague's"}).id
    report = remove(place, f"status=403:GET:/vector_stores/{theirs}/files", count=1)
    assert report.converged
    (orphan,) = report.orphans
    assert f"a colleague's ({theirs}): its files cannot be listed" in orphan.detail
    assert live(place).loose == {orphan.file_id}
    assert place.gc(delete=True) == ()
    assert live(place).loose == set()


def test_a_listing_in_part_is_no_proof_that_a_store_does_not_hold_an_upload() -> None:
    store = live_store(id="vs_b")
    attached = live_copy(id="file-shared")
    client = SimpleNamespace(
        list_stores=lambda: [store],
        list_all_files=lambda _store: Contents(count=1, verdict=Verdict.SHORT),
        is_attached=lambda _store_id, file_id: file_id == attached.id,
        get_file=lambda _store_id, _file_id: attached,
        stores_denied=None,
    )
    ledger = SimpleNamespace(pending_deletes=lambda: {attached.id: "the upload of a.md"})
    deletion = Deletion("b", "old.md", store.id, "file-old")
    writes = SimpleNamespace(journal=SimpleNamespace(stores={}))
    run: Any = SimpleNamespace(client=client, pool=Pool(1), ledger=ledger, deletions=[deletion], writes=writes)
    final = deletions._read_final_state(run)
    assert not final.lists(deletion)
    assert deletions._find_holders_after_deletions(run, [store.id], final, [attached.id]) == {attached.id: [store]}


DENIED = Answer("GET", "/vector_stores", 404)


@pytest.mark.parametrize(
    ("known", "denied", "found"),
    [
        ([], None, ["vs_a"]),
        (["vs_a"], None, ["vs_a"]),
        (["vs_c", "vs_a"], None, ["vs_a", "vs_c"]),  # some services list a new store late, or never
        (["vs_gone"], None, ["vs_a"]),
        (["vs_c"], ServiceError("no", DENIED), ["vs_a"]),  # then only pinned stores count
    ],
)
def test_stores_that_a_listing_lacks_are_asked_for(
    known: list[str], denied: ServiceError | None, found: list[str]
) -> None:
    stores = {store_id: live_store(id=store_id) for store_id in ("vs_a", "vs_c")}

    def get_store(store_id: str) -> LiveStore:
        if store_id not in stores:
            raise NotFound("gone", DENIED)
        return stores[store_id]

    client: Any = SimpleNamespace(get_store=get_store, stores_denied=denied)
    assert [store.id for store in with_unlisted(client, [stores["vs_a"]], known)] == found


def test_an_expired_store_that_cannot_be_listed_keeps_no_uploads(place: Place) -> None:
    """Nothing is searched in it any more."""
    with place.work() as work:
        expiry = {"anchor": "last_active_at", "days": 1}
        theirs = work.client.create_store({"name": "a colleague's", "expires_after": expiry}).id
    place.clock.now += 3 * 24 * 3600
    report = remove(place, f"status=400:GET:/vector_stores/{theirs}/files")
    assert (report.converged, report.orphans, live(place).loose) == (True, (), set())


def test_a_store_that_is_deleted_meanwhile_keeps_no_uploads(place: Place) -> None:
    """By its owner, after it was listed for the last look."""
    with place.work() as work:
        theirs = work.client.create_store({"name": "a colleague's"}).id

    def wrap(inner: httpx.BaseTransport) -> Counting:
        def delete_theirs(seen: Seen) -> None:
            if seen[-1] == ("GET", "/v1/vector_stores") and "DELETE" in {method for method, _ in seen}:
                inner.handle_request(httpx.Request("DELETE", f"http://local/v1/vector_stores/{theirs}"))

        return Counting(inner, delete_theirs)

    place.write({"0.md": None})
    report = place.apply(wrap)
    assert (report.converged, report.orphans, live(place).loose) == (True, (), set())
    assert set(live(place).stores) == {"docs"}


def test_a_store_of_others_that_cannot_be_read_stops_no_apply(place: Place) -> None:
    """Though an earlier run left an upload, which a store may hold."""
    place.write({"new.md": "# new\n"})
    assert killed(place, lambda seen: seen[-1] == ("POST", "/v1/files"))
    place.write({"newer.md": "# newer\n"})
    with place.work() as work:
        theirs = work.client.create_store({"name": "a colleague's"}).id
    assert place.apply(faults=[f"status=403:GET:/vector_stores/{theirs}/files"]).converged


def test_a_store_goes_in_one_request_and_then_its_uploads(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(
        {"vssync.yaml": MANIFEST, **{f"{number}.md": f"# {number}\n" for number in range(120)}}
    )  # more than a page
    assert place.apply().converged
    recorders: list[Counting] = []

    def wrap(inner: httpx.BaseTransport) -> Counting:
        recorders.append(Counting(inner))
        return recorders[-1]

    with place.work(wrap) as work:
        report = apply_plan(work, plan_destruction(work), Silent())
    seen = recorders[0].seen
    assert (report.converged, len(report.outcomes)) == (True, 121)
    deletions = [path for method, path in seen if method == "DELETE"]
    assert (len(deletions), "/vector_stores/" in deletions[0]) == (121, True)
    assert len(seen) <= 120 + 13  # before it goes, it is read and listed once more
    assert (live(place).stores, live(place).uploads) == ({}, ())


def test_a_run_that_dies_after_deleting_a_store_leaves_its_uploads_to_gc(place: Place) -> None:
    place.write({"vssync.yaml": MANIFEST.replace("docs:", "other:")})
    options = Options(allow_store_deletes=True)
    assert killed(place, lambda seen: seen[-1][0] == "DELETE", options=options)
    loose = live(place).loose
    assert len(loose) == len(FILES)
    assert place.gc(delete=True) == ()
    assert live(place).loose == set()


def test_an_interrupted_run_says_of_no_deletion_that_it_is_done(place: Place) -> None:
    def interrupt(seen: Seen) -> None:
        if [method for method, _ in seen].count("DELETE") == 3:
            raise KeyboardInterrupt

    place.write({f"{number}.md": None for number in range(4)})
    report = place.apply(lambda inner: Counting(inner, interrupt))
    assert report.interrupted
    assert Status.DONE not in statuses(report)
    place.clock.interrupted = False
    assert place.apply().converged
