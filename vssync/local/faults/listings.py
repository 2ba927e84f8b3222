"""Faults in pages: stale, repeated, endless, cut short, in any order, or impossible to read."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

from vssync.local.errors import ApiError
from vssync.local.faults.kind import (
    FaultContext,
    FaultKind,
    Forward,
    Request,
    Response,
    Setting,
    fault,
    matching,
    whole_number,
)

KINDS: list[FaultKind] = []
is_listing = matching("GET (.*/)?(files|vector_stores|file_batches)")  # of a store or batch, too


def page_entries(page: Response) -> list[dict[str, Any]]:
    body = page.json if page.status == 200 else None
    return list(body["data"]) if body else []


def with_entries(page: Response, entries: list[dict[str, Any]], **changes: Any) -> Response:
    cursors = {"first_id": entries[0]["id"] if entries else "", "last_id": entries[-1]["id"] if entries else ""}
    return page.with_json(page.json | {"data": entries} | cursors | changes)


def change_page(page: Response, **changes: Any) -> Response:
    """The same entries in a page that says something else about them; an empty page stays as it is."""
    entries = page_entries(page)
    return with_entries(page, entries, **changes) if entries else page


@fault(KINDS, "stale-listing", is_listing)
@dataclass
class StaleListing:
    """Returns a page as it was at the previous request for it."""

    context: FaultContext
    pages: dict[tuple[str, str], Response] = field(default_factory=dict)

    def __call__(self, request: Request, forward: Forward) -> Response:
        """Until the rule no longer picks the request."""
        return self.pages.get(self._page_key(request)) or self.forward_other(request, forward)

    def forward_other(self, request: Request, forward: Forward) -> Response:
        response = forward(request)
        if is_listing(request) and response.status == 200:
            self.pages[self._page_key(request)] = response
        return response

    def _page_key(self, request: Request) -> tuple[str, str]:
        return request.path, request.environ.get("QUERY_STRING", "")


@fault(KINDS, "duplicates", is_listing)
@dataclass
class DuplicateEntries:
    """Begins a page with the last entry of the page before."""

    context: FaultContext
    last_entries: dict[str, dict[str, Any]] = field(default_factory=dict)  # by their ids

    def __call__(self, request: Request, forward: Forward) -> Response:
        page = forward(request)
        entries = page_entries(page)
        duplicate = self.last_entries.get(request.query.get("after", ""))
        self.last_entries.update({entry["id"]: entry for entry in entries[-1:]})
        return with_entries(page, [duplicate, *entries]) if duplicate and entries else page


@fault(KINDS, "repeated-cursor", is_listing)
def repeat_cursor(request: Request, forward: Forward) -> Response:
    """Returns the cursor that led to the page, and says that there is more."""
    page = forward(request)
    after = request.query.get("after")
    return change_page(page, last_id=after, has_more=True) if after else page


@fault(KINDS, "endless-pages", is_listing)
def ignore_after(request: Request, forward: Forward) -> Response:
    """Ignores `after`, and always says that there is more."""
    query = {name: value for name, value in request.query.items() if name != "after"}
    return change_page(forward(request.with_query(query)), has_more=True)


@fault(KINDS, "only-page", is_listing)
def deny_more(request: Request, forward: Forward) -> Response:
    """Always says that there is no more."""
    return change_page(forward(request), has_more=False)


@fault(KINDS, "short-pages", is_listing, value=whole_number(1, 100))
def shorten_page(request: Request, forward: Forward, value: int) -> Response:
    """Returns at most N entries a page."""
    limit = request.query.get("limit", "20")
    shorter = str(min(int(limit), value)) if limit.isdecimal() else limit
    return forward(request.with_query({**request.query, "limit": shorter}))


@fault(KINDS, "ties", is_listing)
@dataclass
class ShuffledTies:
    """Shuffles entries of the same second at each request."""

    context: FaultContext
    count: int = 0

    def __call__(self, request: Request, forward: Forward) -> Response:
        page = forward(request)
        self.count += 1
        rng = random.Random(f"{self.context.seed}:{self.count}")
        ties = [list(group) for _, group in groupby(page_entries(page), key=lambda entry: entry["created_at"])]
        entries = [entry for tie in ties for entry in rng.sample(tie, len(tie))]
        return with_entries(page, entries) if entries else page


@fault(KINDS, "poisoned-page", is_listing, file=Setting(str, "*.svg", "GLOB"))
def poison_page(request: Request, forward: Forward, file: str) -> Response:
    """Answers 500 where a page would show a file of this name: `file=GLOB`, default `*.svg`."""
    page = forward(request)
    for entry in page_entries(page):
        is_named = "filename" in entry  # store files do not carry their names
        upload = entry if is_named else forward(request.own_request("GET", f"/files/{entry['id']}")).json or {}
        if fnmatchcase(upload.get("filename", ""), file):
            error = ApiError(500, "The server had an error while processing your request.", code="server_error")
            return forward(request.with_refusal(error))
    return page
