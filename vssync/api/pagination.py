"""Listings, read whole or not at all.

A service may repeat a cursor, ignore it, repeat objects across pages or say "more" for ever; SDK pagers then loop
or stop early. Here a listing ends at an empty page or at `has_more: false`, and anything that does not advance is an
error: planning from part of a listing would delete what it did not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vssync.api.parse import MalformedResponse
from vssync.limits import PAGE_SIZE

MOST_PAGES = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its objects, the cursor behind it, and whether the service says there are more."""

    rows: Sequence[Mapping[str, Any]]
    cursor: str
    more: bool


def page_of(body: object) -> Page:
    """Reads a list answer; Misshapen when it is none."""
    if not isinstance(body, Mapping) or not isinstance(body.get("data"), list):
        raise MalformedResponse("a listing without `data`")
    rows = body["data"]
    if not all(isinstance(row, Mapping) for row in rows):
        raise MalformedResponse("a listing of something else than objects")
    last = str(rows[-1].get("id", "")) if rows else ""
    more = body.get("has_more")
    if more is None:  # a service that does not say: a page filled to the limit may not be the last
        more = len(rows) == PAGE_SIZE
    return Page(rows, last, bool(more) and bool(rows))


def read_whole_listing(fetch: Callable[[str], Page]) -> list[Mapping[str, Any]]:
    """All objects of a listing, each id once, in the service's order.

    `fetch` takes the cursor to start behind ("" for the first page). Raises Misshapen when a page brings nothing
    new although more is promised.
    """
    return list(list_pages(fetch))


def list_pages(fetch: Callable[[str], Page]) -> Iterator[Mapping[str, Any]]:
    """The same, with each page fetched when it is needed: complete only for who reads it to the end."""
    found: set[str] = set()
    cursor = ""
    for _ in range(MOST_PAGES):
        page = fetch(cursor)
        before = len(found)
        for row in page.rows:
            if (object_id := str(row.get("id", ""))) not in found:
                found.add(object_id)
                yield row
        if not page.more:
            return
        if len(found) == before or page.cursor == cursor:
            raise MalformedResponse("a listing that does not advance: a page repeats what the pages before it held")
        cursor = page.cursor
    raise MalformedResponse(f"a listing of over {MOST_PAGES:,} pages")


Row = Mapping[str, Any]
Fetch = Callable[[str], Page]
# Runs two fetches, at once where it can.
Both = Callable[[Callable[[], Page], Callable[[], Page]], tuple[Page, Page]]


class _Cursor:
    """How far one direction is."""

    def __init__(self, fetch: Fetch, sign: int) -> None:
        self._fetch, self._sign = fetch, sign
        self._cursors = {""}
        self.last: float | None = None
        self.cursor = ""
        self.ended = False

    def fetch(self) -> Page:
        return self._fetch(self.cursor)

    def take(self, page: Page, found: dict[str, Row]) -> None:
        """Adds a page and goes on behind it; Misshapen when it is out of order or its cursor was here before."""
        for row in page.rows:
            found[str(row.get("id", ""))] = row
            created = row.get("created_at")
            if not isinstance(created, int | float):
                raise MalformedResponse("an object without a time")
            if self.last is not None and created * self._sign < self.last * self._sign:
                raise MalformedResponse("a page out of order")
            self.last = created
        self.ended = not page.more
        if not self.ended and page.cursor in self._cursors:
            raise MalformedResponse("a repeated cursor")
        self.cursor = page.cursor
        self._cursors.add(page.cursor)


def list_bidirectional(rising: Fetch, falling: Fetch, both: Both) -> list[Row]:
    """All objects of a listing, each id once.

    Raises Misshapen when the service's order cannot be relied on; the caller then reads from one end.
    """
    up, down = _Cursor(rising, 1), _Cursor(falling, -1)
    found: dict[str, Row] = {}
    up.take(up.fetch(), found)  # most listings are one page
    for _ in range(MOST_PAGES):
        if up.ended or down.ended or _crossed(up, down):
            return list(found.values())
        rose, fell = both(up.fetch, down.fetch)
        up.take(rose, found)
        down.take(fell, found)
    raise MalformedResponse(f"a listing of over {MOST_PAGES:,} pages")


def _crossed(up: _Cursor, down: _Cursor) -> bool:
    return up.last is not None and down.last is not None and up.last > down.last
