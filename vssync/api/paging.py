"""Listings, read whole or not at all.

A service may repeat a cursor, ignore it, repeat objects across pages or say "more" for ever; SDK pagers then loop
or stop early. Here a listing ends at an empty page or at `has_more: false`, and anything that does not advance is an
error: planning from part of a listing would delete what it did not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vssync.api.parse import Misshapen

PAGE = 100  # OpenAI spec: at most 100 objects a page
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
        raise Misshapen("a listing without `data`")
    rows = body["data"]
    if not all(isinstance(row, Mapping) for row in rows):
        raise Misshapen("a listing of something else than objects")
    last = str(rows[-1].get("id", "")) if rows else ""
    more = body.get("has_more")
    if more is None:  # a service that does not say: a page filled to the limit may not be the last
        more = len(rows) == PAGE
    return Page(rows, last, bool(more) and bool(rows))


def whole(fetch: Callable[[str], Page]) -> list[Mapping[str, Any]]:
    """All objects of a listing, each id once, in the service's order.

    `fetch` takes the cursor to start behind ("" for the first page). Raises Misshapen when a page brings nothing
    new although more is promised.
    """
    return list(one_by_one(fetch))


def one_by_one(fetch: Callable[[str], Page]) -> Iterator[Mapping[str, Any]]:
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
            raise Misshapen("a listing that does not advance: a page repeats what the pages before it held")
        cursor = page.cursor
    raise Misshapen(f"a listing of over {MOST_PAGES:,} pages")
