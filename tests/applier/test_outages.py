"""A service that fails files that are all right: they are tried again, in measure, and never blamed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.applier.test_attaching import ALONE, FILES, MANIFEST, SMALL_BATCHES, applied, count, undone
from tests.applier.world import Place, Told, live
from vssync.applier.wait import VISIBILITY_GRACE
from vssync.model.plan import Action, Options
from vssync.model.report import Status


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    return place


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", ["local", ALONE, "local,takes-files=off"])
def test_a_store_that_ingests_nothing_is_left_alone_and_the_next_run_begins_anew(place: Place, provider: str) -> None:
    place.provider = provider
    place.write({"vssync.yaml": SMALL_BATCHES})
    place.batches_in_flight = 1
    told, before = Told(), place.clock.now
    report = place.apply(faults=("fails=server_error",), watcher=told)
    statuses = set(undone(report).values())
    assert (len(undone(report)), statuses) == (64, {Status.FAILED, Status.SKIPPED})
    assert 100 <= place.clock.now - before < 140  # three files were tried, after 10, 30 and 60 s
    assert len(live(place).stores["docs"]) == 16 + 3
    assert told.lines[-1] == "docs: ingests nothing now: server_error: An internal error occurred; apply again later"
    plan = place.plan()
    assert [change.action for change in plan.changes()].count(Action.REFUSE) == 0
    kept = 0 if provider == "local,takes-files=off" else 16 + 3  # there, a failed file has no mark of its own
    again, seen = applied(place)
    assert (again.converged, live(place).loose, count(seen, "POST", "/v1/files")) == (True, set(), 64 - kept)


@pytest.mark.parametrize("seconds", [5, 45])
def test_a_store_that_recovers_is_fed_on(place: Place, seconds: int) -> None:
    place.provider = f"local,outage-seconds={seconds}"
    report = place.apply()
    assert report.converged
    assert list(place.plan().changes()) == []


def test_one_file_that_fails_always_is_tried_three_times_a_run_and_later_once(place: Place) -> None:
    for run in range(1, 8):
        told, before = Told(), place.clock.now
        report = place.apply(faults=("fails=server_error,file=07.md",), watcher=told)
        assert undone(report) == {"07.md": Status.FAILED}
        (failed,) = [outcome for outcome in report.outcomes if outcome.key == "07.md"]
        assert failed.attempts == (3 if run <= 5 else 1)
        assert (place.clock.now - before >= 40) is (run <= 5)
    assert applied(place)[0].converged


@pytest.mark.parametrize("count_of_others", [1, 30])
def test_files_that_fail_always_beside_others_are_no_outage(place: Place, count_of_others: int) -> None:
    place.provider = "local,has-batches=off,attaches-at-once=on,forgets-errors=on"
    for name in FILES:
        (place.docs / name).unlink()
    place.write({f"bad-{number}.md": f"# {number}\n" for number in range(5)})
    place.write({f"good-{number:02}.md": f"# {number}\n" for number in range(count_of_others)})
    told = Told()
    report = place.apply(faults=("fails=server_error,file=bad-*.md",), watcher=told)
    assert undone(report) == {f"bad-{number}.md": Status.FAILED for number in range(5)}
    assert {outcome.detail for outcome in report.outcomes if outcome.key in undone(report)} == {
        "server_error: An internal error occurred."
    }
    last = "docs: 5 files failed: server_error: An internal error occurred"
    assert [line for line in told.lines if "ingests nothing" in line or line == last] == [last]


def test_an_old_copy_that_would_have_to_go_first_stays_in_an_outage(place: Place) -> None:
    place.write({"vssync.yaml": SMALL_BATCHES})
    place.batches_in_flight = 1
    assert place.apply().converged
    chunked = "docs: {chunking: {size: 400, overlap: 100}, guards: {max_replace: 100%}, "
    text = SMALL_BATCHES.replace("docs: {", chunked).replace("batch_size", "shares_chunks: true, batch_size")
    place.write({"vssync.yaml": text})
    place.apply(faults=("fails=server_error",))
    assert len(live(place).completed()) == 64 - 16


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("provider", "fault", "seconds", "batches"),
    [
        ("local,unreadable-batches=404", "delay=0:GET:/none", 60, 1),
        ("local,unreadable-batches=403", "delay=0:GET:/none", 5, 1),
        pytest.param("local,unreadable-batches=501", "delay=0:GET:/none", 5, 1, marks=pytest.mark.slow),
        pytest.param("local", "status=403:GET:/vector_stores/*/file_batches/*", 5, 1, marks=pytest.mark.slow),
        ("local", "status=403:GET:/vector_stores/*/file_batches/*/files", 5, 1),
        ("local", "not-json:GET:/vector_stores/*/file_batches/*", 600, 1),
        # What may pass says nothing of batches:
        ("local,unreadable-batches=500", "delay=0:GET:/none", 20, 4),
        ("local", "status=503:GET:/vector_stores/*/file_batches/*", 20, 4),
        ("local", "status=503:GET:/vector_stores/*/file_batches/*:1-4", 10, 4),
        pytest.param("local", "status=429:GET:/vector_stores/*/file_batches/*:1-4", 20, 4, marks=pytest.mark.slow),
        ("local", "reset-before:GET:/vector_stores/*/file_batches/*:1-4", 20, 4),
    ],
)
def test_where_batches_cannot_be_read_the_files_are_looked_at(
    place: Place, provider: str, fault: str, seconds: int, batches: int
) -> None:
    place.provider = provider
    place.write({"vssync.yaml": SMALL_BATCHES})
    place.batches_in_flight = 1
    before = place.clock.now
    report, seen = applied(place, fault)
    assert report.converged
    assert place.clock.now - before < seconds
    assert count(seen, "POST", "/file_batches") == batches  # and then one by one
    singles = sum(method == "POST" and path.endswith("/files") for method, path in seen) - len(FILES)
    assert singles == len(FILES) - 16 * batches  # none that a batch holds is attached again
    assert next(iter(place.plan().changes()), None) is None


@pytest.mark.wide(3)
@pytest.mark.parametrize("batches_in_flight", [1, 8])
@pytest.mark.parametrize("status", [404, 403, 500])
def test_files_that_an_unreadable_batch_ignored_are_attached_one_by_one(
    place: Place, status: int, batches_in_flight: int
) -> None:
    place.provider = f"local,ignores-files=on,unreadable-batches={status}"
    place.write({"vssync.yaml": SMALL_BATCHES})
    place.batches_in_flight = batches_in_flight
    before = place.clock.now
    report, seen = applied(place, "delay=0:GET:/none")
    assert (report.converged, report.orphans) == (True, ())
    assert place.clock.now - before < 2 * VISIBILITY_GRACE
    assert count(seen, "POST", "/file_batches") == min(batches_in_flight, 4)
    assert next(iter(place.plan().changes()), None) is None


BATCHES = "/vector_stores/*/file_batches"
TWO_STORES = "version: 1\nowner: picky\nstores:\n"
CHUNKED = "{guards: {max_replace: 100%}, chunking: {size: 400, overlap: 100}, "


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("provider", "stores", "fault", "named"),
    [
        ("local,ignores-files=on", ("docs",), f"status=403:POST:{BATCHES}:2+", 64),  # the first is accepted
        ("local,ignores-files=on", ("docs",), f"status=500:POST:{BATCHES}:2+", 64),
        ("local", ("docs",), f"status=403:POST:{BATCHES}", 64),
        ("local", ("docs", "more"), f"status=403:POST:{BATCHES}", 0),  # the other store holds the same uploads
    ],
)
def test_uploads_that_no_store_holds_are_named(
    place: Place, provider: str, stores: tuple[str, ...], fault: str, named: int
) -> None:
    place.write({"vssync.yaml": TWO_STORES + "".join(f'  {key}: {{files: [{{path: "*.md"}}]}}\n' for key in stores)})
    assert "more" not in stores or place.apply().converged
    place.write({"vssync.yaml": (place.docs / "vssync.yaml").read_text().replace("docs: {", f"docs: {CHUNKED}")})
    place.provider = provider
    report = place.apply(options=Options(allow_gap=True), faults=(fault, "status=500:POST:/vector_stores/*/files"))
    orphans = {orphan.file_id for orphan in report.orphans}
    assert (len(orphans), orphans) == (named, live(place).loose)
