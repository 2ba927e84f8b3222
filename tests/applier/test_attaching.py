"""Files that a service will not take cost little and harm no other; what was uploaded for nothing is named or goes."""

from __future__ import annotations

import io
import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.applier.world import PLAIN, Counting, Place, Seen, Told, live
from tests.support import Silent
from vssync.api.parse import AttachmentEntry
from vssync.applier.watcher import Result, Workload
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.model.marks import KEY, Mark
from vssync.model.plan import Options
from vssync.model.report import Report, Status
from vssync.model.state import AUTO, FileStatus

MANIFEST = """\
version: 1
owner: picky
stores:
  docs: {files: [{path: "*.md"}]}
"""
SMALL_BATCHES = MANIFEST + "service: {capabilities: {batch_size: 16}}\n"
FILES = {f"{number:02}.md": f"# {number}\n" for number in range(64)}
ALONE = "local,has-batches=off,lists-batches=off"
BATCHES = "/vector_stores/*/file_batches"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    return place


def applied(place: Place, *faults: str) -> tuple[Report, Seen]:
    return place.apply_recorded(faults=faults)


class Unnamed(httpx.BaseTransport):
    """Refusals that do not say which File they are about."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if not response.is_error:
            return response
        return httpx.Response(response.status_code, text=re.sub(r"file-\w+", "it", response.read().decode()))


def applied_unnamed(place: Place, *faults: str) -> tuple[Report, Seen]:
    recorders: list[Counting] = []

    def wrap(inner: httpx.BaseTransport) -> Counting:
        recorders.append(Counting(Unnamed(inner)))
        return recorders[0]

    return place.apply(wrap, faults=faults), recorders[0].seen


def count(seen: Seen, method: str, end: str) -> int:
    return sum(sent == method and path.endswith(end) for sent, path in seen)


def undone(report: Report) -> dict[str, Status]:
    return {outcome.key: outcome.status for outcome in report.outcomes if outcome.status is not Status.DONE}


@pytest.mark.wide(4)
@pytest.mark.parametrize(
    ("bad", "batches"),
    [
        ((), 1),
        (("37.md",), 1 + 2 * 6),  # twice the logarithm of 64
        (("00.md", "63.md"), 1 + 2 + 2 * 2 * 5),
        (("00.md", "01.md", "02.md"), 1 + 2 * 5 + 2 * 2),  # the first of their kind do not speak for it
        (("05.md", "37.md", "60.md"), 1 + 2 + 2 * 5 + 2 + 2 * 2 * 4),
    ],
)
def test_a_bad_file_is_found_by_halves(place: Place, bad: tuple[str, ...], batches: int) -> None:
    report, seen = applied_unnamed(place, *(f"refused-type,file={name}" for name in bad))
    assert undone(report) == dict.fromkeys(bad, Status.FAILED)
    assert count(seen, "POST", "/file_batches") == batches
    assert count(seen, "POST", "/v1/files") == 64
    assert (len(live(place).stores["docs"]), live(place).loose) == (64 - len(bad), set())
    deletes = [
        position for position, (method, path) in enumerate(seen) if method == "DELETE" and path.startswith("/v1/files/")
    ]
    polls = [position for position, (method, path) in enumerate(seen) if method == "GET" and "/file_batches/" in path]
    assert len(deletes) == len(bad)
    assert all(position < polls[0] for position in deletes)  # at once, not at the end


@pytest.mark.parametrize("provider", ["local", "local,errors=oci,long-ids=on,file-ids=file-kix-"])
def test_a_bad_file_that_the_refusal_names_is_left_out_at_once(place: Place, provider: str) -> None:
    place.provider = provider
    report, seen = applied(place, "refused-type,file=07.md", "refused-type,file=37.md")
    assert undone(report) == dict.fromkeys(("07.md", "37.md"), Status.FAILED)
    assert count(seen, "POST", "/file_batches") == 1 + 2
    assert (len(live(place).stores["docs"]), live(place).loose) == (62, set())


def test_a_kind_that_is_not_taken_is_not_halved_to_the_end(place: Place) -> None:
    report, seen = applied_unnamed(place, "refused-type,file=*.md")
    assert set(undone(report)) == set(FILES)
    assert count(seen, "POST", "/file_batches") == 1 + 2 * 3 + 2 + 4 + 8  # eight are found, other halves tried once
    assert live(place).loose == set()


@pytest.mark.parametrize("workers", [1, 4])
def test_without_batches_a_bad_file_is_alone(place: Place, workers: int) -> None:
    place.provider = ALONE
    report = place.apply(faults=("refused-type,file=37.md",), workers=workers)
    assert undone(report) == {"37.md": Status.FAILED}
    assert (len(live(place).stores["docs"]), live(place).loose) == (63, set())


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    "fault",
    [
        "status=503:POST:/vector_stores/*/file*",  # perhaps taken, and never seen
        f"status=401:POST:{BATCHES}",
        f"status=429:POST:{BATCHES}",
        f"reset-before:POST:{BATCHES}",
    ],
)
def test_uploads_that_could_not_be_attached_are_named_and_taken_by_the_next_run(place: Place, fault: str) -> None:
    report, seen = applied(place, fault)
    assert set(undone(report)) == set(FILES)
    assert {orphan.file_id for orphan in report.orphans} == live(place).loose
    assert len(report.orphans) == 64
    assert count(seen, "DELETE", "") == 0
    again, seen = applied(place)
    assert (again.converged, count(seen, "POST", "/v1/files"), live(place).loose) == (True, 0, set())


@pytest.mark.parametrize("provider", ["local", ALONE])
def test_a_store_that_is_gone_is_not_taken_for_files_that_are_not_wanted(place: Place, provider: str) -> None:
    """What is uploaded is good for the next run, and looking for a culprit would cost thousands of requests."""
    place.provider = provider
    gone = ("status=404:POST:/vector_stores/*/file*", "status=404:GET:/vector_stores/*/files:2+")
    report, seen = applied(place, *gone)
    assert (set(undone(report)), len(report.orphans)) == (set(FILES), 64)
    assert count(seen, "POST", "/file_batches") == 1
    assert count(seen, "DELETE", "") == 0
    assert applied(place)[0].converged


@pytest.mark.parametrize(
    ("provider", "fault", "attempts"),
    [
        ("local", f"status-after=429:POST:{BATCHES}:1", 2),  # done, and said to be refused: it is sent again
        (
            ALONE,
            "status-after=429:POST:/vector_stores/*/files:7",
            67,
        ),  # after one batch, and the question whether there are any
        (ALONE, "lost-reply:POST:/vector_stores/*/files:7", 65),
    ],
)
def test_what_is_attached_already_is_neither_attached_twice_nor_deleted(
    place: Place, provider: str, fault: str, attempts: int
) -> None:
    place.provider = provider
    report, seen = applied(place, fault)
    assert (report.converged, report.orphans) == (True, ())
    assert count(seen, "DELETE", "") == 0
    assert sum(method == "POST" and path.count("/") == 4 for method, path in seen) == attempts
    assert len(live(place).stores["docs"]) == 64


def test_a_batch_that_is_answered_with_its_store_is_not_asked_for(place: Place) -> None:
    report, seen = applied(place, "wrong-batch-id")
    assert report.converged
    assert [path for method, path in seen if method == "GET" and "/file_batches/" in path] == []


def test_the_one_file_of_a_batch_that_is_attached_already_need_not_be_the_first(place: Place) -> None:
    with place.work() as work:
        given = work.client.upload_file(io.BytesIO(b"given"), "given.md").id
    place.write({"vssync.yaml": MANIFEST.replace('"*.md"}', '"*.md"}, {file_id: ' + given + ", key: z.md}")})
    place.apply(options=Options(excludes=("docs/z.md",)))
    place.write({f"new-{number}.md": f"# new {number}\n" for number in range(3)})
    with place.work() as work:
        planned = make_plan_now(work, Options())
        work.client.attach_file(work.client.list_stores()[0].id, AttachmentEntry(given, {}, AUTO))
    before = place.clock.now
    with place.work() as work:
        assert apply_plan(work, planned, Silent()).converged
    assert place.clock.now - before < 60  # the others are not waited for: nobody said that they are attached
    assert len(live(place).stores["docs"]) == 64 + 3 + 1


def test_a_store_whose_batches_cannot_be_listed_gets_its_files(place: Place) -> None:
    report, _ = applied(place, f"status=403:GET:{BATCHES}")
    assert report.converged


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", ["local", ALONE, "local,takes-files=off"])
@pytest.mark.parametrize("fault", ["fails=invalid_file,file=07.md", "stuck-in-progress,file=07.md"])
def test_a_copy_that_is_not_completed_replaces_nothing(place: Place, provider: str, fault: str) -> None:
    place.provider = provider
    assert place.apply().converged
    old = {file.id for file in live(place).stores["docs"]}
    place.write({"07.md": "# 7, better\n"})
    report, _ = applied(place, fault)
    assert undone(report) == {"07.md": Status.FAILED if "fails" in fault else Status.UNKNOWN}
    assert old <= {file.id for file in live(place).stores["docs"]}


def test_a_file_that_had_to_be_uploaded_anew_still_replaces_what_served_meanwhile(place: Place) -> None:
    place.provider = "local,keeps-attached=on"
    assert place.apply().converged
    place.write({"07.md": "# 7, better\n"})
    assert not applied(place, "fails=server_error,file=07.md")[0].converged
    with place.work() as work:
        store = work.client.list_stores()[0].id
        (dead,) = [file.id for file in work.client.list_files(store) if file.status is FileStatus.FAILED]
        work.client.delete_upload(dead)
    assert undone(place.apply(options=Options(retry_failed=True))) == {}
    assert list(place.plan().changes()) == []
    assert (len(live(place).stores["docs"]), live(place).loose) == (64, set())


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("provider", [ALONE, "local,takes-files=off"])
def test_two_stores_that_learn_at_once_what_the_service_lacks_both_go_another_way(
    place: Place, provider: str, files: int
) -> None:
    place.provider = provider
    place.write(dict.fromkeys(list(FILES)[files:]))
    place.write({"vssync.yaml": MANIFEST + '  more: {files: [{path: "*.md"}]}\n'})
    both = threading.Barrier(2, timeout=60)

    def wrap(inner: httpx.BaseTransport) -> Counting:
        def meet(seen: Seen) -> None:
            if seen[-1][0] == "POST" and seen[-1][1].endswith("/file_batches") and not met:
                both.wait()
                met.append(True)

        met: list[bool] = []
        return Counting(inner, meet)

    report = place.apply(wrap, workers=4)
    assert undone(report) == {}
    assert {name: len(attached) for name, attached in live(place).stores.items()} == {"docs": files, "more": files}


class Announced(Silent):
    """Keeps what a run announces, and counts what it then says is done."""

    def __init__(self) -> None:
        self.workload, self.size, self.settled = Workload(), 0, Counter[str]()

    def on_start(self, workload: Workload, throttled_for: Callable[[], float]) -> None:
        self.workload = workload

    def on_upload_ready(self, store_key: str, key: str, file_id: str, size: int) -> None:
        self.size += size

    def on_settled(self, store_key: str, key: str, result: Result) -> None:
        self.settled[store_key] += 1


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("manifest", "batches"),
    [
        (MANIFEST, 1),
        (f"{MANIFEST}service: {{capabilities: {{batches: false}}}}\n", 0),
        (f'{MANIFEST}  more: {{files: [{{path: "*.md"}}]}}\n', 2),  # the uploads are shared
    ],
)
def test_what_the_plan_counts_is_announced_and_done(place: Place, manifest: str, batches: int) -> None:
    place.write({"vssync.yaml": manifest})
    for attributes in ("", "attributes: {level: 1}"):
        place.write({"vssync.yaml": manifest.replace("docs: {", f"docs: {{{attributes}, ") if attributes else manifest})
        announced = Announced()
        with place.work() as work:
            plan = make_plan_now(work, PLAIN)
            assert apply_plan(work, plan, announced).converged
        changes = {store.key: len(store.files) for store in plan.stores if store.files}
        size = 0 if attributes else sum(len(text) for text in FILES.values())
        assert announced.workload == Workload(size, 0 if attributes else batches, changes)
        assert (announced.size, announced.settled) == (size, changes)


def test_a_change_that_takes_two_steps_counts_once(place: Place) -> None:
    """A copy that somebody attached again is detached, and the attributes of the other are written."""
    place.apply()
    with place.work() as work:
        (store,) = work.client.list_stores()
        file = next(file for file in work.client.list_files(store.id) if file.attributes[KEY] == "01.md")
        assert isinstance(file.mark, Mark)
        double = work.client.upload_file(io.BytesIO(FILES["01.md"].encode()), "01.md")
        work.client.attach_file(store.id, AttachmentEntry(double.id, file.attributes, AUTO, file.mark))
    place.write({"vssync.yaml": MANIFEST.replace("docs: {", "docs: {attributes: {level: 1}, ")})
    announced = Announced()
    assert place.apply(watcher=announced).converged
    assert (announced.workload.changes, announced.settled) == ({"docs": 64}, {"docs": 64})


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", ["local", ALONE])
@pytest.mark.parametrize("fault", ["status=422:POST:/vector_stores/*/file*", "status=400:POST:/files"])
def test_the_same_answer_for_all_is_asked_for_a_few_times_and_said_once(
    place: Place, provider: str, fault: str
) -> None:
    place.provider = provider
    report, seen = applied(place, fault)
    assert len(undone(report)) == 64
    assert set(undone(report).values()) == {Status.FAILED, Status.SKIPPED}
    writes = [request for request in seen if request[0] == "POST" and not request[1].endswith("/v1/files")]
    assert len(writes) < 20
    assert applied(place)[0].converged


@pytest.mark.parametrize(
    ("capabilities", "times", "batches"),
    [("{}", "1", 3), ("{batches: true}", "1", 2), ("{batches: true}", "1-3", 4)],  # unless it is stated, it is asked
)
def test_a_404_that_passes_does_not_end_batches(place: Place, capabilities: str, times: str, batches: int) -> None:
    place.write({"vssync.yaml": f"{MANIFEST}service: {{capabilities: {capabilities}}}\n"})
    report, seen = applied(place, f"status=404:POST:{BATCHES}:{times}")
    assert report.converged
    assert count(seen, "POST", "/file_batches") == batches
    assert sum(method == "POST" and path.endswith("/files") and "vector_stores" in path for method, path in seen) == 0


@pytest.mark.parametrize(
    ("provider", "fault", "sent", "number"),
    [
        ("local", f"status=404:GET:{BATCHES}/*:1-3", "/file_batches", 4),
        (ALONE, "status=404:GET:/vector_stores/*/files/*:1-3", "/files", 1),
    ],
)
def test_a_404_just_after_attaching_is_waited_for(
    place: Place, provider: str, fault: str, sent: str, number: int
) -> None:
    """It says nothing of batches, nor of the file."""
    place.provider, place.batches_in_flight = provider, 1
    place.write({"vssync.yaml": SMALL_BATCHES, **dict.fromkeys(list(FILES)[1:] if provider == ALONE else [])})
    report, seen = applied(place, fault)
    assert report.converged
    assert sum(method == "POST" and path.endswith(sent) and "vector_stores" in path for method, path in seen) == number


def test_an_upload_that_is_late_to_be_seen_is_waited_for(place: Place) -> None:
    place.provider = "local,has-batches=off,lists-batches=off"
    report, _ = applied(place, "status=404:POST:/vector_stores/*/files:3")
    assert report.converged


def test_a_definite_error_is_tried_for_a_minute(place: Place) -> None:
    place.write(dict.fromkeys(list(FILES)[1:]))
    before = place.clock.now
    report, seen = applied(place, "status=500:POST:/vector_stores/*/file*")
    assert undone(report) == {"00.md": Status.FAILED}
    assert place.clock.now - before < 80
    assert (count(seen, "POST", "/file_batches"), count(seen, "POST", "00/files")) == (2, 0)
    assert sum(method == "POST" and "/vector_stores/" in path for method, path in seen) >= 4
    assert len(report.orphans) == 1


def test_where_batches_fail_files_are_attached_one_by_one(place: Place) -> None:
    told = Told()
    report = place.apply(faults=(f"status=500:POST:{BATCHES}",), watcher=told)
    assert report.converged
    (line,) = [line for line in told.lines if "one by one" in line]
    way_out = "set `batches: false` under `service.capabilities`, so that plans know"
    assert line.startswith(f"batches cannot be created here, so files are attached one by one ({way_out}): POST ")
