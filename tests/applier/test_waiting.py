"""How long and how often a run waits: for what hangs no longer than it must, for what moves no oftener than useful."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.applier.test_attaching import ALONE, MANIFEST, applied, count, undone
from tests.applier.world import Counting, Place, Told, killed
from tests.support import Clock, Silent, client_of
from vssync.applier.context import ApplyRun
from vssync.applier.wait import Waiting, poll_until
from vssync.applier.writes import Writes
from vssync.model.report import Status
from vssync.threads import Pool


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    return place


def pauses(states: Sequence[int], hints: Sequence[float | None], timeout: float = 600.0) -> list[float]:
    """Seconds between looks at what is in these states one after the other; the last one is its end."""
    clock = Clock()
    with Pool(1) as pool:
        run = ApplyRun(Writes(client_of(cast(Any, None), clock), cast(Any, None)), pool, Silent())
        polls = iter(zip(states, hints, strict=True))
        poll_until(
            run,
            lambda: next(polls),
            Waiting("it", "nothing happens", timeout=timeout),
            is_done=lambda poll: poll[0] == states[-1],
            progress_of=lambda poll: poll[0],
            hint_of=lambda poll: poll[1],
        )
    return clock.waits


FILES = {f"{number:02}.md": f"# {number}\n" for number in range(12)}
NONE = [None] * 9


@pytest.mark.parametrize(
    ("states", "hints", "expected"),
    [
        ([0], [None], []),
        ([0, 0, 0, 0, 0, 0, 0, 1], NONE[:8], [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]),
        ([0, 1, 2, 3, 4, 5, 6, 7], NONE[:8], [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]),  # also while it moves
        ([0, 1, 2, 3], [0.001] * 4, [0.001] * 3),  # the service knows better
        ([0, 0, 0, 1], [0.001] * 4, [0.001, 0.5, 1.0]),  # and is not pestered when it was wrong
        ([0, 0, 0, 1], [30.0] * 4, [30.0] * 3),
    ],
)
def test_looks_come_at_growing_intervals_unless_the_service_has_a_wish(
    states: Sequence[int], hints: Sequence[float | None], expected: list[float]
) -> None:
    assert pauses(states, hints) == expected


FOR_IT = "waiting for it, at most 1 min 40 s; then nothing happens"


BEGINNING, LATER, LAST = "W" + FOR_IT[1:], f"After 7.5 s still {FOR_IT}", f"After 56 s still {FOR_IT}"


@pytest.mark.parametrize(
    ("waits", "expected"),
    [
        ([3], []),
        ([6], [BEGINNING]),
        ([20], [BEGINNING, LATER]),
        ([90], [BEGINNING, LATER, LAST]),
        ([6, 6, 6], [BEGINNING]),  # many short ones after each other
        ([20, 20], [BEGINNING, LATER]),
        ([90, 90], [BEGINNING, LATER, LAST, LATER, LAST]),  # each of them drags on
        ([6, 90], [BEGINNING, LATER, LAST]),
    ],
)
def test_a_long_wait_is_announced_as_it_grows(waits: list[float], expected: list[str]) -> None:
    clock, told = Clock(), Told()
    with Pool(1) as pool:
        run = ApplyRun(Writes(client_of(cast(Any, None), clock), cast(Any, None)), pool, told)
        for seconds in waits:
            end = clock.now + seconds
            poll_until(
                run,
                partial(_is_past, clock, end),
                Waiting("it", "nothing happens", timeout=100.0),
            )
    assert told.lines == expected


def _is_past(clock: Clock, end: float) -> bool:
    return clock.now >= end


def test_a_wait_with_progress_is_announced_by_the_time_without_it() -> None:
    clock, told = Clock(), Told()
    begin = clock.now
    moving, standing = 300.0, 210.0

    def read() -> float:
        return min(clock.now - begin, moving)

    def is_done(_: float) -> bool:
        return clock.now - begin > moving + standing

    with Pool(1) as pool:
        run = ApplyRun(Writes(client_of(cast(Any, None), clock), cast(Any, None)), pool, told)
        poll_until(
            run,
            read,
            Waiting("it", "nothing happens"),
            is_done=is_done,
            progress_of=lambda seconds: seconds,
        )
    for_it = "aiting for it, at most 10 min without progress; then nothing happens"
    later = [f"After {elapsed} still w{for_it}" for elapsed in ("10 s", "1 min", "2 min", "3 min")]
    assert told.lines == [f"W{for_it}", *later]


def test_what_stands_still_is_given_up() -> None:
    waits = pauses([0] * 99 + [1], [None] * 100, timeout=60.0)
    assert 60 < sum(waits) < 75


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", ["local", ALONE, "local,takes-files=off"])
@pytest.mark.parametrize("fault", ["stuck-in-progress", "stuck-in-progress,file=0*.md"])
def test_many_files_that_hang_take_no_longer_than_one(place: Place, provider: str, fault: str) -> None:
    place.provider = provider
    before = place.clock.now
    report, _ = applied(place, fault)
    hanging = [name for name in FILES if "," not in fault or name.startswith("0")]
    assert undone(report) == dict.fromkeys(hanging, Status.UNKNOWN)
    assert 600 < place.clock.now - before < 700


def test_batches_that_hang_together_are_given_up_together(place: Place) -> None:
    place.write({"vssync.yaml": MANIFEST + "service: {capabilities: {batch_size: 2}}\n"})
    before = place.clock.now
    report, _ = applied(place, "stuck-in-progress")
    assert set(undone(report)) == set(FILES)
    assert 600 < place.clock.now - before < 600 + 6 * 80


def test_a_batch_that_had_to_wait_for_others_is_not_given_up_for_it(place: Place) -> None:
    place.write({"vssync.yaml": MANIFEST + "service: {capabilities: {batch_size: 2}}\n"})
    turns = [
        f"late-ingestion={500_000 * (turn + 1)}:POST:/vector_stores/*/file_batches:{turn + 1}" for turn in range(6)
    ]
    before = place.clock.now
    assert applied(place, *turns)[0].converged
    assert place.clock.now - before > 3000


@pytest.mark.parametrize(
    ("provider", "looks", "most"),
    [("local", "/file_batches/", 40), (ALONE, "/files", 80), ("local,takes-files=off", "/files", 80)],
)
def test_a_look_is_one_request_however_many_files(place: Place, provider: str, looks: str, most: int) -> None:
    place.provider = provider
    report, seen = applied(place, "late-ingestion=300000")  # five minutes
    assert report.converged
    assert 20 < sum(method == "GET" and looks in path for method, path in seen) < most
    assert sum(count(seen, "GET", f"/files/{file_id}") for file_id in _ids(seen)) == 0


def _ids(seen: Sequence[tuple[str, str]]) -> set[str]:
    last = {path.rpartition("/")[2] for _, path in seen}
    return {word for word in last if word.startswith("file-")}


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", ["local", "local,lists-batches=off", ALONE])
def test_what_an_earlier_run_left_under_way_is_waited_for_together(place: Place, provider: str) -> None:
    place.provider, place.ingest_delay = provider, 3600.0
    last = "/files" if provider == ALONE else "/file_batches"
    enough = len(FILES) if provider == ALONE else 1
    assert killed(
        place,
        lambda seen: count([request for request in seen if "vector_stores" in request[1]], "POST", last) == enough,
    )
    before = place.clock.now
    report, seen = applied(place)
    assert undone(report).keys() >= set(FILES)
    assert set(undone(report).values()) == {Status.UNKNOWN}
    assert 600 < place.clock.now - before < 1300
    assert len([method for method, _ in seen if method != "GET"]) == 0
    place.clock.now += 3600
    assert applied(place)[0].converged


class CutOff(Counting):
    """The host is gone once it has taken a batch."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if any(path.endswith("/file_batches") for _, path in self.seen):
            raise httpx.ConnectError("no route to host")
        return super().handle_request(request)


@pytest.mark.parametrize("names", [["00.md"], list(FILES)])
def test_files_whose_end_cannot_be_read_are_unknown_and_not_attached_once_more(place: Place, names: list[str]) -> None:
    place.write({name: None for name in FILES if name not in names})
    transports: list[CutOff] = []

    def wrap(inner: httpx.BaseTransport) -> CutOff:
        transports.append(CutOff(inner))
        return transports[0]

    report = place.apply(wrap)
    assert {outcome.key: outcome.status for outcome in report.outcomes if outcome.key} == dict.fromkeys(
        names, Status.UNKNOWN
    )
    assert transports[0].seen[-1][1].endswith("/file_batches")


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        ("local,cut-after=3", ""),
        ("local,cut-after=3", "lost-reply:POST:/vector_stores/*/file_batches:1"),
        (f"{ALONE},cut-after=3", ""),
        (f"{ALONE},cut-after=3", "lost-reply:POST:/vector_stores/*/files:1"),
    ],
)
def test_files_that_a_short_listing_lacks_are_asked_for(place: Place, provider: str, fault: str) -> None:
    place.provider, place.ingest_delay = provider, 5
    before = place.clock.now
    assert place.apply(faults=filter(None, [fault])).converged
    assert place.clock.now - before < 90
    with place.work() as work:
        (store,) = work.client.list_stores()
    assert store.counts.completed == store.counts.total == len(FILES)
