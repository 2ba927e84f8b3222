"""What a kind of fault is made of. The kinds themselves stand in modules by subject, and all in `KINDS`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from vssync.local.errors import OptionError
from vssync.local.faults.exchange import Answer, Go, Request


class Fault(Protocol):
    """What stands between client and service: called for the requests its rule picks."""

    def __call__(self, request: Request, go: Go, /) -> Answer: ...


@runtime_checkable
class Watching(Protocol):
    """A fault whose effect outlives the request it began with: it passes all other requests on, too."""

    def others(self, request: Request, go: Go, /) -> Answer: ...


@dataclass(frozen=True, slots=True)
class World:
    """What faults take from outside; seconds."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in a rule: how it is read from text, and what it is when not given."""

    read: Callable[[str], Any]
    default: Any = None  # None: it must be given
    form: str = "TEXT"


@dataclass(frozen=True, slots=True)
class Kind:
    """`make` takes the world and the rule's settings by name; `value` is the one after the fault's own name."""

    name: str
    summary: str
    make: Callable[..., Fault]
    concerns: Callable[[Request], bool] = lambda _request: True
    settings: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))


def number(low: int, high: int, default: int | None = None, form: str = "N") -> Setting:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
            raise OptionError(f"{text!r} must be a whole number between {low} and {high:,}")
        return int(text)

    return Setting(read, default, form)


def milliseconds(default: int | None = None) -> Setting:
    return number(0, 86_400_000, default, "MS")


def text(default: str, form: str = "TEXT") -> Setting:
    return Setting(str, default, form)


def listing(request: Request) -> bool:
    """GET on a collection: `/files`, `/vector_stores`, and everything of a store or batch that pages."""
    collections = ("files", "vector_stores", "file_batches")
    return request.method == "GET" and bool(request.parts) and request.parts[-1] in collections


def attaching(request: Request) -> bool:
    """Whatever puts files into a store."""
    stores, last = request.parts[:1] == ("vector_stores",), request.parts[-1:]
    return request.method == "POST" and stores and (len(request.parts) == 1 or last in (("files",), ("file_batches",)))


def writing_attributes(request: Request) -> bool:
    return attaching(request) or (request.method == "POST" and request.parts[2:3] == ("files",))


def about_batch(request: Request) -> bool:
    """A batch itself: created, read, or cancelled."""
    rest = request.parts[2:]
    return rest[:1] == ("file_batches",) and (request.method, len(rest)) in (("POST", 1), ("GET", 2), ("POST", 3))


def about_store(request: Request) -> bool:
    return request.method == "GET" and request.parts[:1] == ("vector_stores",) and len(request.parts) == 2
