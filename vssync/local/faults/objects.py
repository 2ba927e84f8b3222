"""Faults in single objects: wrong ids and counts, late appearance and disappearance, changed attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any

from vssync.local.errors import ApiError
from vssync.local.faults.exchange import Answer, Go, Request
from vssync.local.faults.kind import Fault, Kind, World, about_batch, about_store, number, text, writing_attributes
from vssync.local.faults.listings import entries, showing

Attributes = dict[str, Any]


def rewriting(change: Callable[[Any], Any]) -> Fault:
    """A fault that changes what is said in a successful answer."""

    def fault(request: Request, go: Go) -> Answer:
        answer = go(request)
        return answer.saying(change(answer.said)) if answer.status == 200 and answer.said else answer

    return fault


def wrong_batch_id(_world: World) -> Fault:
    return rewriting(lambda said: said | {"id": said.get("vector_store_id"), "object": "vector_store"})


def zero_counts(_world: World) -> Fault:
    def change(said: Any) -> Any:
        counts = said.get("file_counts")
        return said | {"file_counts": dict.fromkeys(counts, 0)} if said.get("status") == "in_progress" else said

    return rewriting(change)


def wrong_counts(_world: World) -> Fault:
    """As after a File was deleted that was still attached: counted for good, and not listed."""

    def change(said: Any) -> Any:
        counts = said["file_counts"]
        return said | {"file_counts": counts | {name: counts[name] + 1 for name in ("completed", "total")}}

    return rewriting(change)


@dataclass
class Unseen:
    """What was just created is 404 for a while, itself and everything under it."""

    world: World
    value: int
    left: dict[str, int] = field(default_factory=dict)  # path to 404s still to be answered
    lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request, go: Go) -> Answer:
        if request.method == "GET" and self.hides(request.path):
            return missing(request, go, "object")
        return self.others(request, go)

    def hides(self, path: str) -> bool:
        with self.lock:
            new = [one for one, left in self.left.items() if left and within(path, one)]
            self.left.update({one: self.left[one] - 1 for one in new})
        return bool(new)

    def others(self, request: Request, go: Go) -> Answer:
        said, request = request.read()
        answer = go(request)
        if request.method == "POST" and answer.status == 200:
            with self.lock:
                self.left.update(dict.fromkeys(created(request, said, answer.said), self.value))
        return answer


def missing(request: Request, go: Go, what: str) -> Answer:
    """The service's own answer to a request for what is not there."""
    message = f"No {what} found with id '{request.parts[-1]}'."
    return go(request.refused(ApiError(404, message, code="not_found")))


def within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(f"{parent}/")


def created(request: Request, said: Any, told: Any) -> Iterator[str]:
    """The paths of what a POST made."""
    last = request.parts[-1] if request.parts else ""
    if last in ("files", "vector_stores", "file_batches") and told:
        yield f"{request.path}/{told['id']}"
    if last == "file_batches":
        yield from created_files(request, said)


@dataclass
class SlowDelete:
    """A deletion is confirmed at once and done some requests later."""

    world: World
    value: int
    pending: dict[str, int] = field(default_factory=dict)  # path to requests still to come before
    lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request, go: Go) -> Answer:
        there = go(request.changed(REQUEST_METHOD="GET"))
        if not readable(there):
            return there
        with self.lock:
            self.pending[request.path] = self.value
        return deleted(there)

    def others(self, request: Request, go: Go) -> Answer:
        for path in self.due():
            go(request.other("DELETE", path))
        return go(request)

    def due(self) -> list[str]:
        """What is to be deleted before this request."""
        with self.lock:
            due = [path for path, left in self.pending.items() if not left]
            self.pending = {path: left - 1 for path, left in self.pending.items() if left}
        return due


def readable(there: Answer) -> bool:
    """Whether an object is there, and no other fault spoilt the answer that says so."""
    return there.status == 200 and bool(there.said)


def deleted(there: Answer) -> Answer:
    said = there.said
    kind = said["object"] if said["object"] == "file" else f"{said['object']}.deleted"
    return Answer.json(200, {"id": said["id"], "object": kind, "deleted": True})


@dataclass
class Ghosts:
    """A detached file is gone from every listing, and searches find it for good."""

    world: World
    hidden: set[str] = field(default_factory=set)  # paths

    def __call__(self, request: Request, go: Go) -> Answer:
        if request.path in self.hidden:
            return missing(request, go, "file")
        there = go(request.changed(REQUEST_METHOD="GET"))
        if not readable(there):
            return there
        self.hidden.add(request.path)
        return deleted(there)

    def others(self, request: Request, go: Go) -> Answer:
        if request.path in self.hidden:
            return missing(request, go, "file")
        said, request = request.read()
        if request.method == "POST" and request.parts[2:] in (("files",), ("file_batches",)):
            for path in self.hidden.intersection(created_files(request, said)):
                self.hidden.discard(path)
                go(request.other("DELETE", path))
        answer = go(request)
        if request.method == "GET" and request.parts[2:3] and request.parts[-1] == "files" and entries(answer):
            folder = f"/vector_stores/{request.parts[1]}/files"
            return showing(answer, [one for one in entries(answer) if f"{folder}/{one['id']}" not in self.hidden])
        return answer


def created_files(request: Request, said: Any) -> Iterator[str]:
    """The paths of the store files a POST would make."""
    body = said if isinstance(said, dict) else {}
    attached = [body.get("file_id"), *listed(body, "file_ids"), *(one.get("file_id") for one in each_file(body))]
    yield from (f"/vector_stores/{request.parts[1]}/files/{one}" for one in attached)


def listed(body: dict[str, Any], name: str) -> list[Any]:
    """A list in a body that the service has not checked yet."""
    found = body.get(name)
    return found if isinstance(found, list) else []


def each_file(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in listed(body, "files") if isinstance(one, dict)]


def garbled_attributes(_world: World, keys: str) -> Fault:
    """Text read in the wrong encoding, numbers off by one, booleans as text."""

    def garble(value: Any) -> Any:
        if isinstance(value, str):
            sent = f"{value}\N{LATIN SMALL LETTER E WITH ACUTE}".encode("utf-8", "surrogatepass")
            return sent.decode("latin-1")[:512]
        if isinstance(value, bool):
            return str(value)
        return value + 1 if isinstance(value, int | float) else value

    return storing(lambda sent: {key: garble(one) if chosen(key, keys) else one for key, one in sent.items()})


def erased_attributes(_world: World, keys: str) -> Fault:
    return storing(lambda sent: {key: one for key, one in sent.items() if not chosen(key, keys)})


def chosen(key: str, keys: str) -> bool:
    """Whether a key fits a pattern, or a pattern after `!` does not fit it."""
    return fnmatchcase(key, keys.removeprefix("!")) != keys.startswith("!")


def storing(change: Callable[[Attributes], Attributes]) -> Fault:
    """A fault that stores other attributes than were sent; the client learns of it when it looks."""

    def fault(request: Request, go: Go) -> Answer:
        said, request = request.read()
        if not isinstance(said, dict):
            return go(request)
        for body in [said, *each_file(said)]:
            if isinstance(body.get("attributes"), dict):
                body["attributes"] = change(body["attributes"])
        return go(request.saying(said))

    return fault


def lost_metadata(_world: World) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        said, request = request.read()
        return go(request.saying({**said, "metadata": {}}) if isinstance(said, dict) else request)

    return fault


def writing_store(request: Request) -> bool:
    return request.method == "POST" and request.parts[:1] == ("vector_stores",) and len(request.parts) < 3


def deleting(request: Request) -> bool:
    """A File, a store, or a file of a store: nothing else can be deleted."""
    return detaching(request) or (request.method == "DELETE" and len(request.parts) == 2)


def detaching(request: Request) -> bool:
    return request.method == "DELETE" and len(request.parts) == 4 and request.parts[2] == "files"


KINDS = (
    Kind("wrong-batch-id", "gives a batch the id and the type of its store", wrong_batch_id, about_batch),
    Kind("zero-counts", "gives a batch in progress no counts but 0", zero_counts, about_batch),
    Kind("wrong-counts", "counts one file more in a store than it has", wrong_counts, about_store),
    Kind(
        "unseen",
        "answers 404 to so many GETs of what was just created",
        Unseen,
        settings={"value": number(1, 1000, 1)},
    ),
    Kind(
        "slow-delete",
        "confirms a deletion and does it so many requests later",
        SlowDelete,
        deleting,
        {"value": number(1, 1000, 3)},
    ),
    Kind("ghost-search", "confirms a detachment, and searches still find the file", Ghosts, detaching),
    Kind(
        "garbled-attributes",
        "stores attributes of these names with other values",
        garbled_attributes,
        writing_attributes,
        {"keys": text("!vssync_*", "GLOB")},
    ),
    Kind(
        "lost-metadata",
        "takes metadata of a store, and stores none",
        lost_metadata,
        writing_store,
    ),
    Kind(
        "erased-mark",
        "does not store attributes of these names",
        erased_attributes,
        writing_attributes,
        {"keys": text("vssync_*", "GLOB")},
    ),
)
