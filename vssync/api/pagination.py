"""Listings, page by page: what was read, and whether that came to the end.

Services repeat pages, ignore cursors, promise more for ever and deny that there is more, so where a listing ends is not
theirs alone to say: a store's is compared with its own count. A count larger than the listing has three causes: the
listing is late or cut short, others write meanwhile, or the count is wrong for good (OpenAI counts files that were
deleted while they were attached). So the store is read again for a while, and from the other end, until all is there or
readings agree. A late listing agrees with itself, too: shortly after somebody used the store, only the last two
readings count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from typing import Any, Generic, TypeVar

from vssync.api.parse import MalformedResponse, parse_id
from vssync.model.state import Contents, LiveFile, Verdict

MAX_PAGES = 100_000
_WAITS = (1.0, 5.0, 15.0)  # seconds before each further reading
_LARGE = 10_000  # files; a larger store is read again once
_MAX_LOOKUPS = 1_000  # files that the last reading lacks, asked for one by one
_MAX_GHOSTS = 10  # where fewer than two ids are listed, which cannot be compared with another end
SETTLING_SECONDS = 60  # after which a listing shows what was done
Row = Mapping[str, Any]
Object = TypeVar("Object")


class Order(StrEnum):
    """OpenAI spec, `order` of a listing, by `created_at`; ANY is not a value of it."""

    OLDEST_FIRST = "asc"
    NEWEST_FIRST = "desc"
    ANY = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its objects, the cursor behind it, and whether there are more; None where the service does not say."""

    rows: Sequence[Row]
    cursor: str
    has_more: bool | None


@dataclass(frozen=True, slots=True)
class ListingPass(Generic[Object]):
    """One pass through a listing: its objects, each id once, whether it came to the end, and the pages it took."""

    rows: tuple[Object, ...]
    ended: bool
    pages: int

    def whole(self) -> tuple[Object, ...]:
        """All objects. Raises MalformedResponse where it did not come to the end."""
        if not self.ended:
            raise MalformedResponse("a listing that does not advance: a page repeats the objects of earlier pages")
        return self.rows


Fetch = Callable[[str], Page]  # takes the cursor to start behind, "" for the first page
# Runs two fetches, in parallel where it can.
RunBoth = Callable[[Callable[[], Page], Callable[[], Page]], tuple[Page, Page]]
# Calls a function with each of these texts, in parallel where it can.
ForEach = Callable[[Callable[[str], list[Row]], Iterable[str]], Iterable[list[Row]]]
ReadFiles = Callable[[Order, int | None], ListingPass[LiveFile]]


def parse_page(body: object) -> Page:
    """Reads a list answer; MalformedResponse when it is not one."""
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise MalformedResponse("a listing without `data`")
    rows = body["data"]
    if not all(isinstance(row, dict) for row in rows):
        raise MalformedResponse("a listing of something other than objects")
    has_more = body.get("has_more")
    return Page(rows, str(rows[-1].get("id", "")) if rows else "", None if has_more is None else bool(has_more))


def list_objects(fetch: Fetch) -> Iterator[Row]:
    """All objects of a listing, each id once, in the service's order, each page fetched when it is needed.

    Complete only when it is read to the end. Raises MalformedResponse when it does not come to one.
    """
    cursor = _Cursor(fetch)
    while cursor.ended is None:
        yield from cursor.add_page(cursor.fetch()).values()
    if not cursor.ended:
        raise MalformedResponse("a listing that does not advance: a page repeats the objects of earlier pages")


def list_side_by_side(fetch: Fetch, starts: Iterable[str], count: int, for_each: ForEach) -> list[Row]:
    """A listing, or so much of it, read from its beginning and from behind each of `starts`, which are ids in it.

    Each reading ends where another began, or with `count` objects. Raises MalformedResponse as `list_objects` does.
    """
    ends = frozenset(starts)

    def read_from(start: str) -> list[Row]:
        rows: list[Row] = []
        for row in islice(list_objects(lambda cursor: fetch(cursor or start)), count):
            rows.append(row)
            if row["id"] in ends:
                break
        return rows

    found = [*chain.from_iterable(for_each(read_from, ("", *starts)))]
    if len({row["id"] for row in found}) < len(found):
        raise MalformedResponse("a listing that starts elsewhere than behind its cursor")
    return found


def read_listing(fetch: Fetch, count: int | None, parse: Callable[[Row], Object]) -> ListingPass[Object]:
    """Reads a listing from one end; `count` is how many objects the service says there are, None where it does not.

    Each page is parsed at once, so that what was read is not in memory twice.
    """
    cursor = _Cursor(fetch, count=count)
    rows: list[Object] = []
    while cursor.ended is None:
        rows += map(parse, cursor.add_page(cursor.fetch()).values())
    return ListingPass(tuple(rows), cursor.ended, cursor.pages)


class _Cursor:
    """How far one direction has come; `sign` is 1 for the oldest first, -1 for the newest first, 0 for any order."""

    def __init__(self, fetch: Fetch, sign: int = 0, count: int | None = None) -> None:
        self._fetch, self._sign, self._count = fetch, sign, count
        self._cursor = ""
        self._ids: set[str] = set()
        self.pages = 0
        self.last_created: float | None = None
        self.ended: bool | None = None  # False: it cannot be read further, though the service promises more

    def fetch(self) -> Page:
        """The page behind the last one."""
        return self._fetch(self._cursor)

    def add_page(self, page: Page) -> dict[str, Row]:
        """Moves behind a page, and returns what is new in it, by id.

        Single known ids are no fault: rows shift while others write.

        Raises MalformedResponse when it is out of order, or one page too many.
        """
        new = {object_id: row for row in page.rows if (object_id := parse_id(row)) not in self._ids}
        if self._sign:
            self._check_order(page)
        self._ids.update(new)  # `|= new.keys()` would copy all of them, for each page
        self._cursor = page.cursor
        self.pages += 1
        if self.pages > MAX_PAGES:
            raise MalformedResponse(f"a listing of over {MAX_PAGES:,} pages")
        if page.has_more is False or (page.has_more is None and not new):
            self.ended = True
        elif not new:
            # Some services promise more for ever, so that an empty page is an end where no count says otherwise.
            self.ended = not page.rows if self._count is None else len(self._ids) >= self._count
        return new

    def _check_order(self, page: Page) -> None:
        for row in page.rows:
            created = row.get("created_at")
            if not isinstance(created, int | float):
                raise MalformedResponse("an object without a time")
            if self.last_created is not None and created * self._sign < self.last_created * self._sign:
                raise MalformedResponse("a page out of order")
            self.last_created = created


def read_bidirectional(
    ascending: Fetch, descending: Fetch, run_both: RunBoth, count: int | None, parse: Callable[[Row], Object]
) -> ListingPass[Object]:
    """Reads a listing from both ends. Raises MalformedResponse where the order is not reliable."""
    oldest, newest = _Cursor(ascending, 1, count), _Cursor(descending, -1, count)
    objects = {each: parse(row) for each, row in oldest.add_page(oldest.fetch()).items()}  # most listings are one page
    have_met = False
    while oldest.ended is None and newest.ended is None and not have_met:
        older, newer = run_both(oldest.fetch, newest.fetch)
        for page in (oldest.add_page(older), newest.add_page(newer)):
            objects |= {each: parse(row) for each, row in page.items()}
        left, right = oldest.last_created, newest.last_created
        have_met = left is not None and right is not None and left > right
    # A page of objects that the other end has brought is not a short one.
    is_counted = count is not None and len(objects) >= count
    ended = have_met or bool(oldest.ended or newest.ended) or is_counted
    return ListingPass(tuple(objects.values()), ended, oldest.pages + newest.pages)


@contextmanager
def fetching_in_parallel() -> Iterator[RunBoth]:
    """Fetches both pages at the same time, with one thread for all of a listing."""
    with ThreadPoolExecutor(1) as thread:

        def fetch_both(left: Callable[[], Page], right: Callable[[], Page]) -> tuple[Page, Page]:
            future = thread.submit(right)
            return left(), future.result()

        yield fetch_both


def read_whole(
    read: ReadFiles,
    read_count: Callable[[], int],
    get_file: Callable[[str], LiveFile | None],
    sleep: Callable[[float], None],
    count_before: int,
    *,
    is_settled: bool,
) -> Contents:
    """Reads a store's files. Its count was read before; `read_count` reads it again, and `get_file` a single file.

    `is_settled`: nobody has used the store for so long that its listing cannot be late any more.
    A store whose first reading has as many files as are counted takes no further request.
    """
    first = read(Order.ANY, count_before)
    if len(first.rows) >= count_before:
        return Contents(first.rows, count=count_before)
    union = _Union(read, read_count, get_file, first, count_before)
    verdict = Verdict.WHOLE if union.is_whole() else None
    for seconds in _WAITS[:1] if union.newest_count > _LARGE else _WAITS:
        if verdict is Verdict.WHOLE or (verdict and is_settled and union.agrees):  # else the other end has others
            break
        sleep(seconds)
        union.read_again(Order.OLDEST_FIRST)
        verdict = union.compare_ends() if union.agrees or union.is_whole() else None
    return union.listing(verdict or union.compare_ends())


def read_uncounted(read: ReadFiles, sleep: Callable[[float], None]) -> Contents:
    """Reads a store's files where no count is known: readings from both ends that agree stand for it.

    Where they do not, it is read again from either end in turn, until the last two agree.
    """
    ends = (Order.OLDEST_FIRST, Order.NEWEST_FIRST)
    files: dict[str, LiveFile] = {}
    shown: set[str] = set()
    for number, seconds in enumerate((0.0, 0.0, *_WAITS)):
        if seconds:
            sleep(seconds)
        reading = read(ends[number % 2], None)
        last, files = files, {file.id: file for file in reading.rows}
        shown.update(files)
        if number and reading.ended and last.keys() == files.keys():
            return Contents(tuple(files.values()), count=len(files), is_counted=False)
    return Contents(tuple(files.values()), count=len(shown), verdict=Verdict.SHORT, is_counted=False)


class _Union:
    """What several readings of one store have brought together.

    `total` is the smaller of the counts read before and after the last reading, as others may write meanwhile.
    """

    def __init__(
        self,
        read: ReadFiles,
        read_count: Callable[[], int],
        get_file: Callable[[str], LiveFile | None],
        first: ListingPass[LiveFile],
        count_before: int,
    ) -> None:
        self._read, self._read_count, self._get_file = read, read_count, get_file
        self.reading = first
        self.files = {file.id: file for file in first.rows}
        self.newest_count = read_count()
        self.total = min(count_before, self.newest_count)
        self.agrees = False  # whether the last two readings brought the same ids and count, and no other id is there

    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return len(self.files) >= self.total

    def read_again(self, order: Order) -> None:
        """Adds another reading. A file that it lacks is asked for: it may be gone by now."""
        last, before = self.reading, self.newest_count
        self.reading = self._read(order, before)
        listed = {file.id: file for file in self.reading.rows}
        lacking = [file_id for file_id in self.files if file_id not in listed]
        answered = {file_id: file for file_id in lacking[:_MAX_LOOKUPS] if (file := self._get_file(file_id))}
        self.files = listed | answered
        if len(self.files) < before:
            self.newest_count = self._read_count()
        self.total = min(before, self.newest_count)
        is_same = listed.keys() == {file.id for file in last.rows} and before == self.newest_count
        self.agrees = is_same and not answered

    def compare_ends(self) -> Verdict:
        """What the readings come to, after another one from the other end where something is still missing."""
        if self.is_whole():
            return Verdict.WHOLE
        one_end, agreed = self.reading, self.agrees
        self.read_again(Order.NEWEST_FIRST)
        if self.is_whole():
            return Verdict.WHOLE
        if len(self.files) < 2:
            is_evidence = self.total - len(self.files) <= _MAX_GHOSTS
        else:  # a service that ignores `order` shows the same end again
            is_evidence = [file.id for file in one_end.rows[:1]] != [file.id for file in self.reading.rows[:1]]
        return Verdict.GHOSTS if agreed and self.agrees and is_evidence else Verdict.SHORT

    def listing(self, verdict: Verdict) -> Contents:
        """All files so far, with what they come to."""
        return Contents(tuple(self.files.values()), count=self.total, verdict=verdict)
