"""Faults in single objects: wrong ids and counts, late appearance and disappearance, attributes, ingestion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from threading import Lock
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
    milliseconds,
    whole_number,
)
from vssync.local.faults.listings import page_entries, with_entries
from vssync.local.gateway import is_within
from vssync.local.queries import OVERRIDES_KEY, IngestionOverride, IngestionOverrides, normal_ingestion

Json = dict[str, Any]
KINDS: list[FaultKind] = []
INGESTION_KINDS: list[FaultKind] = []
STORE = "vector_stores/[^/]+"
is_about_batch = matching(f"(POST {STORE}/file_batches(/[^/]+/[^/]+)?|GET {STORE}/file_batches/[^/]+)")
is_detaching = matching(f"DELETE {STORE}/files/[^/]+")
is_deleting = matching(f"DELETE ([^/]+/[^/]+|{STORE}/files/[^/]+)")  # nothing else can be deleted
is_attaching = matching("POST vector_stores(/(.*/)?(files|file_batches))?")  # whatever puts files into a store
is_writing_attributes = matching("POST vector_stores(/(.*/)?(files|file_batches)|/[^/]+/files/.*)?")
FILE = Setting(str, "*", "GLOB")


def change_body(response: Response, change: Callable[[Json], Json]) -> Response:
    """Changes what a successful response says."""
    return response.with_json(change(response.json)) if is_success(response) else response


def is_success(response: Response) -> bool:
    """Whether it says what was asked for, and no other fault spoilt it."""
    return response.status == 200 and bool(response.json)


@fault(KINDS, "wrong-batch-id", is_about_batch)
def change_batch_id(request: Request, forward: Forward) -> Response:
    """Returns a batch with the id and the type of its store."""
    response = forward(request)
    return change_body(response, lambda body: body | {"id": body.get("vector_store_id"), "object": "vector_store"})


@fault(KINDS, "zero-counts", is_about_batch)
def zero_counts(request: Request, forward: Forward) -> Response:
    """Returns a batch in progress with all counts 0."""

    def zero(body: Json) -> Json:
        counts = body.get("file_counts", {})
        return body | {"file_counts": dict.fromkeys(counts, 0)} if body.get("status") == "in_progress" else body

    return change_body(forward(request), zero)


@fault(KINDS, "wrong-counts", matching(f"GET {STORE}"))
def count_one_more(request: Request, forward: Forward) -> Response:
    """Counts one file more in a store than it has."""

    # As after a File was deleted that was still attached: counted for good, and not listed.
    def add_one(body: Json) -> Json:
        counts = body["file_counts"]
        return body | {"file_counts": counts | {name: counts[name] + 1 for name in ("completed", "total")}}

    return change_body(forward(request), add_one)


@fault(KINDS, "unseen", value=whole_number(1, 1000, 1))
@dataclass
class HideNew:
    """Answers 404 to the first GET of what was just created, and of what is in it; `=N` to the first N."""

    context: FaultContext
    value: int
    remaining: dict[str, int] = field(default_factory=dict)  # path to the 404s that it still answers
    lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request, forward: Forward) -> Response:
        if request.method != "GET":
            return self.forward_other(request, forward)
        with self.lock:
            hiding = [parent for parent, count in self.remaining.items() if count and is_within(request.path, parent)]
            self.remaining.update({parent: self.remaining[parent] - 1 for parent in hiding})
        return answer_not_found(request, forward, "object") if hiding else forward(request)

    def forward_other(self, request: Request, forward: Forward) -> Response:
        body, request = request.read_json()
        response = forward(request)
        if request.method == "POST" and response.status == 200:
            with self.lock:
                self.remaining.update(dict.fromkeys(created_paths(request, body, response.json), self.value))
        return response


def answer_not_found(request: Request, forward: Forward, name: str) -> Response:
    message = f"No {name} found with id '{request.segments[-1]}'."
    return forward(request.with_refusal(ApiError(404, message, code="not_found")))


def created_paths(request: Request, sent: Any, created: Any) -> Iterator[str]:
    """The paths of what a POST created."""
    collection = request.segments[-1] if request.segments else ""
    if collection in ("files", "vector_stores", "file_batches") and created:
        yield f"{request.path}/{created['id']}"
    if collection == "file_batches":
        yield from attached_paths(request, sent)


def attached_paths(request: Request, sent: Any) -> Iterator[str]:
    """The paths of the store files that a POST attaches."""
    body = sent if isinstance(sent, dict) else {}
    listed = body.get("file_ids")
    file_ids = [body.get("file_id"), *(listed if isinstance(listed, list) else ())]
    file_ids += [entry.get("file_id") for entry in files_in(body)]
    yield from (f"/vector_stores/{request.segments[1]}/files/{file_id}" for file_id in file_ids)


def files_in(body: Json) -> list[Json]:
    """The `files` of a body that the service has not checked yet."""
    entries = body.get("files")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


@fault(KINDS, "slow-delete", is_deleting, value=whole_number(1, 1000, 3))
@dataclass
class DeleteLater:
    """Confirms a deletion and does it 3 requests later; `=N` for another number."""

    context: FaultContext
    value: int
    remaining: dict[str, int] = field(default_factory=dict)  # path to the requests still to come before
    lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request, forward: Forward) -> Response:
        confirmation = confirm_deletion(request, forward)
        if is_success(confirmation):
            with self.lock:
                self.remaining[request.path] = self.value
        return confirmation

    def forward_other(self, request: Request, forward: Forward) -> Response:
        with self.lock:
            due = [path for path, count in self.remaining.items() if not count]
            self.remaining = {path: count - 1 for path, count in self.remaining.items() if count}
        for path in due:
            forward(request.own_request("DELETE", path))
        return forward(request)


def confirm_deletion(request: Request, forward: Forward) -> Response:
    """What a deletion would answer; it does not happen."""

    def confirm(body: Json) -> Json:
        kind = body["object"]
        return {"id": body["id"], "object": kind if kind == "file" else f"{kind}.deleted", "deleted": True}

    return change_body(forward(request.with_environ(REQUEST_METHOD="GET")), confirm)


@fault(KINDS, "ghost-search", is_detaching)
@dataclass
class GhostSearch:
    """Confirms a detachment, and searches still find the file."""

    context: FaultContext
    hidden: set[str] = field(default_factory=set)  # paths

    def __call__(self, request: Request, forward: Forward) -> Response:
        if request.path in self.hidden:
            return answer_not_found(request, forward, "file")
        confirmation = confirm_deletion(request, forward)
        if is_success(confirmation):
            self.hidden.add(request.path)
        return confirmation

    def forward_other(self, request: Request, forward: Forward) -> Response:
        if request.path in self.hidden:
            return answer_not_found(request, forward, "file")
        body, request = request.read_json()
        segments = request.segments
        if request.method == "POST" and segments[2:] in (("files",), ("file_batches",)):
            for path in self.hidden.intersection(attached_paths(request, body)):
                self.hidden.discard(path)
                forward(request.own_request("DELETE", path))
        response = forward(request)
        entries = page_entries(response) if request.method == "GET" and segments[2:] and segments[-1] == "files" else []
        if not entries:
            return response
        folder = f"/vector_stores/{segments[1]}/files"
        return with_entries(response, [entry for entry in entries if f"{folder}/{entry['id']}" not in self.hidden])


@fault(KINDS, "garbled-attributes", is_writing_attributes, keys=Setting(str, "!vssync_*", "GLOB"))
def garble_attributes(request: Request, forward: Forward, keys: str) -> Response:
    """Stores other values than were sent, except for marks; `keys=GLOB` chooses the names."""
    return change_attributes(request, forward, keys, lambda key, value: {key: garble_value(value)})


def garble_value(value: Any) -> Any:
    """Text read in the wrong encoding, numbers off by one, booleans as text."""
    if isinstance(value, str):
        encoded = f"{value}\N{LATIN SMALL LETTER E WITH ACUTE}".encode("utf-8", "surrogatepass")
        return encoded.decode("latin-1")[:512]
    if isinstance(value, bool):
        return str(value)
    return value + 1 if isinstance(value, int | float) else value


@fault(KINDS, "erased-mark", is_writing_attributes, keys=Setting(str, "vssync_*", "GLOB"))
def erase_attributes(request: Request, forward: Forward, keys: str) -> Response:
    """Does not store attributes named `vssync_*`; `keys=GLOB` chooses other names."""
    return change_attributes(request, forward, keys, lambda _key, _value: {})


def change_attributes(request: Request, forward: Forward, keys: str, change: Callable[[str, Any], Json]) -> Response:
    """Stores something else for attributes whose names fit a pattern, or do not fit the one after `!`."""
    body, request = request.read_json()
    if not isinstance(body, dict):
        return forward(request)
    for holder in [body, *files_in(body)]:
        if isinstance(sent := holder.get("attributes"), dict):
            holder["attributes"] = {}
            for key, value in sent.items():
                is_chosen = fnmatchcase(key, keys.removeprefix("!")) != keys.startswith("!")
                holder["attributes"] |= change(key, value) if is_chosen else {key: value}
    return forward(request.with_json(body))


@fault(KINDS, "lost-metadata", matching("POST vector_stores(/[^/]+)?"))
def drop_metadata(request: Request, forward: Forward) -> Response:
    """Accepts metadata of a store, and stores none."""
    body, request = request.read_json()
    return forward(request.with_json({**body, "metadata": {}}) if isinstance(body, dict) else request)


# Ingestion: decided while files are attached, carried out by the service itself


def override_ingestion(
    request: Request, forward: Forward, override: IngestionOverride, applies: Callable[[str, str], bool]
) -> Response:
    """Overrides the ingestion of the Files, by id and name, that it applies to."""
    inner: IngestionOverrides = request.environ.get(OVERRIDES_KEY, normal_ingestion)

    def choose_override(file_id: str, filename: str) -> IngestionOverride:
        return override if applies(file_id, filename) else inner(file_id, filename)

    return forward(request.with_environ(**{OVERRIDES_KEY: choose_override}))


def by_name(pattern: str) -> Callable[[str, str], bool]:
    return lambda _file_id, filename: fnmatchcase(filename, pattern)


@fault(INGESTION_KINDS, "stuck-in-progress", is_attaching, file=FILE)
def never_ingest(request: Request, forward: Forward, file: str) -> Response:
    """Never ends the ingestion of a file."""
    return override_ingestion(request, forward, IngestionOverride(delay=math.inf), by_name(file))


@fault(INGESTION_KINDS, "late-ingestion", is_attaching, value=milliseconds(), file=FILE)
def ingest_late(request: Request, forward: Forward, value: int, file: str) -> Response:
    """Begins ingestion this much later."""
    return override_ingestion(request, forward, IngestionOverride(delay=value / 1000), by_name(file))


@fault(INGESTION_KINDS, "fails", is_attaching, value=Setting(str, "invalid_file", "CODE"), file=FILE)
def fail_ingestion(request: Request, forward: Forward, value: str, file: str) -> Response:
    """Fails a file each time with `invalid_file`; `=CODE` for another code."""
    return override_ingestion(request, forward, IngestionOverride(code=value), by_name(file))


@fault(INGESTION_KINDS, "refused-type", is_attaching, file=FILE)
def refuse_type(request: Request, forward: Forward, file: str) -> Response:
    """Refuses to attach a file, and all that come with it, as unsupported."""
    return override_ingestion(request, forward, IngestionOverride(refused="unsupported_file"), by_name(file))


@fault(INGESTION_KINDS, "fails-once", is_attaching, file=FILE)
@dataclass
class FailOnce:
    """Fails a file with `server_error` the first time it is attached."""

    context: FaultContext
    file: str
    failed: set[str] = field(default_factory=set)  # File ids

    def __call__(self, request: Request, forward: Forward) -> Response:
        affected: set[str] = set()

        def applies(file_id: str, filename: str) -> bool:
            if file_id in self.failed or not fnmatchcase(filename, self.file):
                return False
            affected.add(file_id)
            return True

        response = override_ingestion(request, forward, IngestionOverride(code="server_error"), applies)
        if response.status == 200:
            self.failed |= affected
        return response
