"""Faults in pages: stale, repeated, endless, cut short, in any order, or impossible to read."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

from vssync.local.errors import ApiError
from vssync.local.faults.exchange import Answer, Go, Request
from vssync.local.faults.kind import Fault, Kind, World, listing, number, text


def entries(answer: Answer) -> list[dict[str, Any]]:
    said = answer.said if answer.status == 200 else None
    return list(said["data"]) if said else []


def showing(answer: Answer, shown: list[dict[str, Any]], **more: Any) -> Answer:
    """The page with other entries."""
    ends = {"first_id": shown[0]["id"] if shown else "", "last_id": shown[-1]["id"] if shown else ""}
    return answer.saying(answer.said | {"data": shown} | ends | more)


@dataclass
class Stale:
    """Answers as the last time, until the rule no longer picks the request."""

    world: World
    before: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def __call__(self, request: Request, go: Go) -> Answer:
        return self.before.get(self._key(request)) or self.others(request, go)

    def others(self, request: Request, go: Go) -> Answer:
        answer = go(request)
        if listing(request) and answer.status == 200:
            self.before[self._key(request)] = answer
        return answer

    def _key(self, request: Request) -> tuple[str, str]:
        return request.path, request.environ.get("QUERY_STRING", "")


@dataclass
class Duplicates:
    """A page begins with the entry that ended the page before."""

    world: World
    last: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, request: Request, go: Go) -> Answer:
        answer = go(request)
        shown = entries(answer)
        again = self.last.get(request.query.get("after", ""))
        self.last.update({one["id"]: one for one in shown[-1:]})
        return showing(answer, [again, *shown]) if again and shown else answer


def repeated_cursor(_world: World) -> Fault:
    """The next page's cursor is the one that led here."""

    def fault(request: Request, go: Go) -> Answer:
        answer = go(request)
        after = request.query.get("after")
        return showing(answer, entries(answer), last_id=after, has_more=True) if after and entries(answer) else answer

    return fault


def endless_pages(_world: World) -> Fault:
    """`after` is ignored, and there is always more."""

    def fault(request: Request, go: Go) -> Answer:
        answer = go(request.asked({name: said for name, said in request.query.items() if name != "after"}))
        return showing(answer, entries(answer), has_more=True) if entries(answer) else answer

    return fault


def only_page(_world: World) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        answer = go(request)
        return showing(answer, entries(answer), has_more=False) if entries(answer) else answer

    return fault


def short_pages(_world: World, value: int) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        asked = request.query.get("limit", "20")
        fewer = min(int(asked), value) if asked.isdecimal() else asked
        return go(request.asked({**request.query, "limit": str(fewer)}))

    return fault


@dataclass
class Ties:
    """Entries of one second come in another order each time."""

    world: World
    count: int = 0

    def __call__(self, request: Request, go: Go) -> Answer:
        answer = go(request)
        self.count += 1
        dice = random.Random(f"{self.world.seed}:{self.count}")
        seconds = [list(same) for _, same in groupby(entries(answer), key=lambda one: one["created_at"])]
        shown = [one for same in seconds for one in dice.sample(same, len(same))]
        return showing(answer, shown) if shown else answer


def poisoned_page(_world: World, file: str) -> Fault:
    """A page that would show such a file cannot be had."""

    def fault(request: Request, go: Go) -> Answer:
        answer = go(request)
        if any(fnmatchcase(filename(request, go, one), file) for one in entries(answer)):
            error = ApiError(500, "The server had an error while processing your request.", code="server_error")
            return go(request.refused(error))
        return answer

    return fault


def filename(request: Request, go: Go, one: dict[str, Any]) -> str:
    """Store files do not tell their names, so their Files are asked."""
    told = one if "filename" in one else go(request.other("GET", f"/files/{one['id']}")).said or {}
    return str(told.get("filename", ""))


KINDS = (
    Kind("stale-listing", "gives a page as it was the last time it was asked for", Stale, listing),
    Kind("duplicates", "begins a page with the entry that ended the page before", Duplicates, listing),
    Kind("repeated-cursor", "gives a page the cursor that led to it, and says there is more", repeated_cursor, listing),
    Kind("endless-pages", "ignores `after`, and always says there is more", endless_pages, listing),
    Kind("only-page", "says there is no more, whatever there is", only_page, listing),
    Kind("short-pages", "gives at most so many entries a page", short_pages, listing, {"value": number(1, 100)}),
    Kind("ties", "shuffles entries of the same second, anew for each request", Ties, listing),
    Kind(
        "poisoned-page",
        "answers 500 where a page would show a file of this name",
        poisoned_page,
        listing,
        {"file": text("*.svg", "GLOB")},
    ),
)
