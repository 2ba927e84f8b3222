"""Listings, read whole or not at all.

A listing ends at an empty page or at `has_more: false`, and one that does not advance is an error: planning from part
of a listing would delete what it did not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vssync.api.parse import MalformedResponse
from vssync.limits import PAGE_SIZE

MAX_PAGES = 100_000
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its objects, the cursor behind it, and whether the service says there are more."""

    rows: Sequence[Row]
    cursor: str
    has_more: bool


Fetch = Callable[[str], Page]  # takes the cursor to start behind, "" for the first page
# Runs two fetches, in parallel where it can.
RunBoth = Callable[[Callable[[], Page], Callable[[], Page]], tuple[Page, Page]]


def parse_page(body: object) -> Page:
    """Reads a list answer; MalformedResponse when it is not one."""
    if not isinstance(body, Mapping) or not isinstance(body.get("data"), list):
        raise MalformedResponse("a listing without `data`")
    rows = body["data"]
    if not all(isinstance(row, Mapping) for row in rows):
        raise MalformedResponse("a listing of something other than objects")
    has_more = body.get("has_more")
    if has_more is None:  # a service that does not say: a page filled to the limit may not be the last
        has_more = len(rows) == PAGE_SIZE
    return Page(rows, str(rows[-1].get("id", "")) if rows else "", bool(has_more) and bool(rows))


def list_objects(fetch: Fetch) -> Iterator[Row]:
    """All objects of a listing, each id once, in the service's order, each page fetched when it is needed.

    Complete only when it is read to the end. Raises MalformedResponse when a page brings nothing new although more is
    promised.
    """
    ids: set[str] = set()
    cursor = ""
    for _ in range(MAX_PAGES):
        page = fetch(cursor)
        before = len(ids)
        for row in page.rows:
            if (object_id := str(row.get("id", ""))) not in ids:
                ids.add(object_id)
                yield row
        if not page.has_more:
            return
        if len(ids) == before or page.cursor == cursor:
            raise MalformedResponse("a listing that does not advance: a page repeats the objects of earlier pages")
        cursor = page.cursor
    raise MalformedResponse(f"a listing of over {MAX_PAGES:,} pages")


class _Cursor:
    """How far one direction has come; `sign` is 1 for the oldest first, -1 for the newest first."""

    def __init__(self, fetch: Fetch, sign: int) -> None:
        self._fetch, self._sign = fetch, sign
        self._cursors = {""}
        self._cursor = ""
        self.last_created: float | None = None
        self.has_ended = False

    def fetch(self) -> Page:
        return self._fetch(self._cursor)

    def add_page(self, page: Page, objects: dict[str, Row]) -> None:
        """Moves behind a page; MalformedResponse when it is out of order or its cursor is a repeated one."""
        for row in page.rows:
            objects[str(row.get("id", ""))] = row
            created = row.get("created_at")
            if not isinstance(created, int | float):
                raise MalformedResponse("an object without a time")
            if self.last_created is not None and created * self._sign < self.last_created * self._sign:
                raise MalformedResponse("a page out of order")
            self.last_created = created
        self.has_ended = not page.has_more
        if page.has_more and page.cursor in self._cursors:
            raise MalformedResponse("a repeated cursor")
        self._cursor = page.cursor
        self._cursors.add(page.cursor)


def list_bidirectional(ascending: Fetch, descending: Fetch, run_both: RunBoth) -> list[Row]:
    """All objects, each id once, read from both ends. Raises MalformedResponse where the order is not reliable."""
    oldest, newest = _Cursor(ascending, 1), _Cursor(descending, -1)
    objects: dict[str, Row] = {}
    oldest.add_page(oldest.fetch(), objects)  # most listings are one page
    for _ in range(MAX_PAGES):
        left, right = oldest.last_created, newest.last_created
        have_met = left is not None and right is not None and left > right
        if oldest.has_ended or newest.has_ended or have_met:
            return list(objects.values())
        older, newer = run_both(oldest.fetch, newest.fetch)
        oldest.add_page(older, objects)
        newest.add_page(newer, objects)
    raise MalformedResponse(f"a listing of over {MAX_PAGES:,} pages")
