"""When a listing is whole, when the count is wrong, and when neither can be known."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx
import pytest

from tests.support import Clock, client_of
from vssync.api.pagination import ListingPass, Order, read_uncounted, read_whole
from vssync.model.state import Contents, FileCounts, FileStatus, LiveFile, LiveStore, StoreStatus, Verdict

WHOLE, GHOSTS, SHORT = Verdict.WHOLE, Verdict.GHOSTS, Verdict.SHORT


@dataclass
class Store:
    """A store that shows these readings and counts in turn, each a letter a file, and the last for ever."""

    readings: str
    counts: list[int]
    gone: str = ""  # files that GET does not find
    waits: list[float] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def read(self, order: Order, _count: int | None) -> ListingPass[LiveFile]:
        self.asked.append(order.value or "any")
        shown, _, later = self.readings.partition(" ")
        self.readings = later or shown
        return ListingPass(tuple(LiveFile(letter, FileStatus.COMPLETED, 1) for letter in shown.strip("-")), True, 1)

    def count(self) -> int:
        self.asked.append("count")
        return self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]

    def get(self, file_id: str) -> LiveFile | None:
        self.asked.append(file_id)
        return None if file_id in self.gone else LiveFile(file_id, FileStatus.COMPLETED, 1)

    def listing(self, *, is_settled: bool = True) -> Contents:
        count = self.counts.pop(0)
        return read_whole(self.read, self.count, self.get, self.waits.append, count, is_settled=is_settled)


@pytest.mark.parametrize(
    ("readings", "counts", "verdict", "files", "waits"),
    [
        ("abc", [3], WHOLE, "abc", 0),
        ("abcd", [3], WHOLE, "abcd", 0),  # somebody added one
        ("-", [0], WHOLE, "", 0),
        ("ab", [3, 2], WHOLE, "ab", 0),  # somebody removed one
        ("ab", [3, 1], WHOLE, "ab", 0),
        ("ab abc", [3, 3], WHOLE, "abc", 1),  # late
        ("ab ab abc", [3, 4, 3], WHOLE, "abc", 2),
        ("a ab abc abcd", [4, 4], WHOLE, "abcd", 3),
        ("a ab abc abc dcba", [4, 4], WHOLE, "abcd", 3),  # agreement, and the other end has the rest
        ("ab cd", [4, 4], WHOLE, "abcd", 1),  # each a part
        ("abc ab", [4, 4, 3], WHOLE, "abc", 1),
        ("ab ab ba", [3, 3], GHOSTS, "ab", 1),
        ("abc abc cba", [200, 200], GHOSTS, "abc", 1),
        ("ab abc abc cba", [5, 5], GHOSTS, "abc", 2),
        ("abc ab ab ba", [5, 5], SHORT, "abc", 3),  # a file that GET finds and no listing has
        ("ab ab bc", [4, 4], SHORT, "abc", 3),  # the ends disagree
        ("ab ab abc", [4, 4], SHORT, "abc", 2),
        ("ab ab bc abcd", [4, 4], WHOLE, "abcd", 2),  # and not for ever
        ("ab ab ab", [3, 3], SHORT, "ab", 1),  # the same end: the order was ignored
        ("ab ab -", [3, 3], SHORT, "ab", 3),
        ("ab ac ad ae", [9, 9], SHORT, "abcde", 3),
        ("ab ab ba", [3, 4, 5, 6, 7], SHORT, "ab", 3),  # the count never rests
        ("- - -", [1, 1], GHOSTS, "", 1),
        ("- - -", [10, 10], GHOSTS, "", 1),
        ("- - -", [11, 11], SHORT, "", 1),
        ("a a a", [11, 11], GHOSTS, "a", 1),
        ("a a a", [12, 12], SHORT, "a", 1),
        ("- - ab", [3, 3], SHORT, "ab", 2),
        ("- - ab", [2, 2], WHOLE, "ab", 1),
        ("- a -", [2, 2], SHORT, "a", 3),
        ("ab ab ab", [20_000, 20_000], SHORT, "ab", 1),
        ("ab abc abcd", [20_000, 20_000], SHORT, "abcd", 1),  # large: read again once
        ("ab abc abcd", [20_000, 3], WHOLE, "abc", 1),
    ],
)
def test_what_readings_and_counts_come_to(
    readings: str, counts: list[int], verdict: Verdict, files: str, waits: int
) -> None:
    store = Store(readings, list(counts))
    listing = store.listing()
    assert (listing.verdict, "".join(sorted(file.id for file in listing.files))) == (verdict, files)
    assert store.waits == [1.0, 5.0, 15.0][:waits]
    assert verdict is WHOLE or listing.count > len(files)


@pytest.mark.parametrize(
    ("store", "asked"),
    [
        (Store("abc", [3]), "any"),
        (Store("ab", [3, 2]), "any count"),
        (Store("ab abc", [3, 3]), "any count asc"),
        (Store("ab ab ba", [3, 3]), "any count asc count desc count"),
        (Store("abc abd", [4, 4]), "any count asc c"),
        (Store("abc abd", [4, 4, 3], gone="c"), "any count asc c count"),
        (Store("abc abd bad", [4, 4], gone="c"), "any count asc c count asc count desc count"),
    ],
)
def test_no_request_is_made_that_is_not_needed(store: Store, asked: str) -> None:
    listing = store.listing()
    assert store.asked == asked.split()
    assert not set(store.gone) & {file.id for file in listing.files}


@pytest.mark.parametrize(
    ("readings", "counts", "verdict", "waits"),
    [
        ("- - - - - abc", [3, 3], WHOLE, 3),  # a listing that is 20 s late
        ("a a a ab abc", [3, 3], WHOLE, 3),
        ("ab", [3, 2], WHOLE, 0),
        ("ab ab bc", [3, 3], WHOLE, 1),  # the other end has the rest
        ("ab ab ba ab ba ab ba", [3, 3], GHOSTS, 3),
        ("ab ab ab ba ba", [3, 3], SHORT, 3),
        ("- - - -", [3, 3], GHOSTS, 3),
        ("ab", [20_000, 20_000], SHORT, 1),
    ],
)
def test_shortly_after_a_store_was_used_its_listing_may_be_late(
    readings: str, counts: list[int], verdict: Verdict, waits: int
) -> None:
    store = Store(readings, list(counts))
    assert store.listing(is_settled=False).verdict is verdict
    assert len(store.waits) == waits


@pytest.mark.parametrize(
    ("created_at", "last_active_at", "waits"), [(1, 0, 1), (1, 1, 1), (1, 941, 3), (941, 0, 3), (939, 939, 1)]
)
def test_a_store_is_settled_by_the_services_own_clock(created_at: int, last_active_at: int, waits: int) -> None:
    clock = Clock()

    def answer(request: httpx.Request) -> httpx.Response:
        response = files_page("", more=False)
        if not request.url.path.endswith("/files"):
            row = {"created_at": created_at, "last_active_at": last_active_at, "file_counts": {"total": 1}}
            response = httpx.Response(200, json={"id": "vs_1", **row})
        response.headers["date"] = "Thu, 01 Jan 1970 00:16:40 GMT"
        return response

    client = client_of(answer, clock)
    assert client.list_all_files(client.get_store("vs_1")).verdict is GHOSTS
    assert len(clock.waits) == waits


def test_a_wait_says_for_what_and_how_long() -> None:
    texts = []

    class Listening(Clock):
        def sleep(self, seconds: float) -> None:
            texts.append(client.waiting_for)
            super().sleep(seconds)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/files"):
            return files_page("", more=False)
        return httpx.Response(200, json={"id": "vs_1", "name": "docs", "file_counts": {"total": 3}})

    client = client_of(answer, Listening())
    client.list_all_files(client.get_store("vs_1"))
    assert texts == ["docs (vs_1) lists fewer files than it counts (3): read again in 1 s, at most 3 times"]
    assert client.waiting_for == ""


def test_a_file_that_is_gone_does_not_make_a_listing_whole() -> None:
    listing = Store("abx aby abyz", [5, 5], gone="x").listing()
    assert "x" not in {file.id for file in listing.files}
    assert listing.verdict is SHORT


def files_page(ids: str, *, more: bool) -> httpx.Response:
    rows = [{"id": name, "created_at": 1, "status": "completed"} for name in ids]
    return httpx.Response(200, json={"data": rows, "has_more": more})


@pytest.mark.parametrize(
    ("pages", "count", "verdict"),
    [
        ({"": "abc", "c": ""}, 3, WHOLE),  # has_more is always true
        ({"": "abc", "c": "abc"}, 3, WHOLE),  # and the cursor is ignored
        ({"": "abc", "c": ""}, 4, GHOSTS),
        ({"": "abc", "c": "ab"}, 4, GHOSTS),
        ({"": "abc", "c": "cd", "d": ""}, 4, WHOLE),  # rows shift while others write
    ],
)
def test_a_service_that_promises_more_for_ever(pages: dict[str, str], count: int, verdict: Verdict) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/files"):
            return httpx.Response(200, json={"id": "vs_1", "file_counts": {"total": count}})
        after, descends = request.url.params.get("after", ""), request.url.params["order"] == "desc"
        ids = "".join(sorted(set("".join(pages.values())), reverse=True)) if descends else pages[after]
        return files_page("" if descends and after else ids, more=True)

    store = LiveStore("vs_1", "docs", StoreStatus.COMPLETED, 1, counts=FileCounts(total=count))
    assert client_of(answer).list_all_files(store).verdict is verdict


@pytest.mark.parametrize(
    ("readings", "verdict", "files", "count", "waits"),
    [
        ("abc", WHOLE, "abc", 3, []),
        ("-", WHOLE, "", 0, []),
        ("abc cba", WHOLE, "abc", 3, []),
        ("ab abc", WHOLE, "abc", 3, [1.0]),  # late: the third reading agrees with the second
        ("ab bc", WHOLE, "bc", 2, [1.0]),  # somebody exchanged one meanwhile
        ("ab a ab a", WHOLE, "a", 1, [1.0, 5.0, 15.0]),
        ("ab cd ab cd ab", SHORT, "ab", 4, [1.0, 5.0, 15.0]),  # each end shows a part
        ("a ab abc abcd abcde", SHORT, "abcde", 5, [1.0, 5.0, 15.0]),
    ],
)
def test_readings_that_agree_stand_for_a_count(
    readings: str, verdict: Verdict, files: str, count: int, waits: list[float]
) -> None:
    store = Store(readings, [])
    listing = read_uncounted(store.read, store.waits.append)
    assert {file.id for file in listing.files} == set(files)
    assert (listing.verdict, listing.count, store.waits) == (verdict, count, waits)
    assert store.asked == ["asc", "desc", "asc", "desc", "asc"][: 2 + len(waits)]
