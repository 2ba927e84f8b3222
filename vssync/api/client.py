"""The typed client: every endpoint `vssync` uses, model types in and out.

It decides nothing beyond how to ask: what a listing's absence or a failed file means is for its callers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, BinaryIO, TypeVar

from vssync.api.capabilities import is_permanent, missing_from_list_error
from vssync.api.http import ATTACH, SEARCH, UPLOAD, Call, Plane, Reply, Sender, malformed_reply_error, url_path
from vssync.api.pagination import PAGE, Page, list_bidirectional, list_pages, page_of, read_whole_listing
from vssync.api.parse import (
    AttachmentEntry,
    BatchPoll,
    Body,
    MalformedResponse,
    Probe,
    parse_batch,
    parse_hit,
    parse_store,
    parse_store_file,
    parse_text,
    parse_upload,
)
from vssync.api.rate_limit import Bucket, Clock
from vssync.errors import AccessDenied, NotFound, ServiceError
from vssync.model.marks import MARK, Mark
from vssync.model.state import Attributes, Chunking, LiveBatch, LiveFile, LiveStore, Scalar, SearchHit, Upload

Typed = TypeVar("Typed")
PURPOSE = "assistants"
_CHILD_STATES = ("in_progress",)


class Client:
    """Thread-safe; every method may raise ServiceError, and writes that are not idempotent LostReply."""

    def __init__(self, sender: Sender, *, lists_batches: bool = True) -> None:
        self._sender = sender
        self._lists_batches = lists_batches
        self.clock: Clock = sender.clock
        self._date: int | None = None
        self._listed = 0

    def close(self) -> None:
        """Gives connections and the embedded service back."""
        self._sender.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""
        return self._sender.requests

    @property
    def repeated(self) -> int:
        """Requests sent again so far, since an earlier answer, or none, made it necessary."""
        return self._sender.repeated

    @property
    def trouble(self) -> str:
        """Why the latest of them was sent again, in a few words."""
        return self._sender.trouble

    @property
    def throttled(self) -> float:
        """Seconds this run was asked to pause so far."""
        return self._sender.limits.throttled

    @property
    def held(self) -> float:
        """Seconds from now until the service may be asked again; 0 for at once."""
        return self._sender.limits.held

    @property
    def listed(self) -> int:
        """Objects that listings have given so far, those met from both ends counted twice."""
        return self._listed

    @property
    def service_date(self) -> int | None:
        """The service's clock at its newest answer, in seconds since the epoch; None while it told none."""
        return self._date

    # -- stores ------------------------------------------------------------------------------------------

    def stores(self) -> tuple[LiveStore, ...]:
        """All stores, complete."""
        return self._list("/vector_stores", parse_store, Plane.CONTROL)

    def create_store(self, body: Mapping[str, Any]) -> LiveStore:
        """A new store with these settings."""
        return self._read(Call("POST", "/vector_stores", Plane.CONTROL, body=body, idempotent=False), parse_store)

    def update_store(self, store_id: str, body: Mapping[str, Any]) -> LiveStore:
        """The store with these settings; name, metadata and expiry only (OpenAI spec)."""
        return self._read(Call("POST", url_path("vector_stores", store_id), Plane.CONTROL, body=body), parse_store)

    def store(self, store_id: str) -> LiveStore:
        """One store; NotFound may also mean that the caller may not see it."""
        return self._read(Call("GET", url_path("vector_stores", store_id), Plane.CONTROL), parse_store)

    def delete_store(self, store_id: str) -> None:
        """Deletes a store; its Files stay (OpenAI spec). One that is gone already is fine."""
        self._gone(Call("DELETE", url_path("vector_stores", store_id), Plane.CONTROL))

    def search(self, store_id: str, query: str, most: int) -> tuple[SearchHit, ...]:
        """The best `most` (1..50) chunks for a question."""
        body = {"query": query, "max_num_results": most}
        call = Call("POST", url_path("vector_stores", store_id, "search"), body=body, patience=SEARCH)
        return self._read(call, lambda body: tuple(parse_hit(row) for row in page_of(body).rows))

    # -- a store's files ---------------------------------------------------------------------------------

    def files(self, store_id: str, expected: int = 0) -> tuple[LiveFile, ...]:
        """All files of a store, complete: from both ends at once, and from one when that gave fewer than expected."""
        path = url_path("vector_stores", store_id, "files")
        try:
            rows = list_bidirectional(self._pages(path, order="asc"), self._pages(path, order="desc"), _at_once)
            found = tuple(parse_store_file(row) for row in rows)
        except MalformedResponse:
            found = None
        return self._list(path, parse_store_file) if found is None or len(found) < expected else found

    def ready(self, store_id: str) -> bool:
        """Whether the store can be used: some services answer 404 for a while after creating it."""
        try:
            self._send(Call("GET", url_path("vector_stores", store_id, "files"), params={"limit": 1}))
        except NotFound:
            return False
        return True

    def file(self, store_id: str, file_id: str) -> LiveFile:
        """One file of a store."""
        return self._read(Call("GET", url_path("vector_stores", store_id, "files", file_id)), parse_store_file)

    def attached(self, store_id: str, file_id: str) -> bool:
        """Whether a store still has this file."""
        return self._there(Call("GET", url_path("vector_stores", store_id, "files", file_id)))

    def set_attributes(self, store_id: str, file_id: str, attributes: Attributes, mark: Mark | None = None) -> LiveFile:
        """Replaces a store file's attributes as a whole, its mark among them."""
        body = {"attributes": _with_mark(attributes, mark)}
        return self._read(
            Call("POST", url_path("vector_stores", store_id, "files", file_id), body=body), parse_store_file
        )

    def detach(self, store_id: str, file_id: str) -> None:
        """Takes a file out of a store; the File stays (OpenAI spec). One that is gone already is fine."""
        self._gone(Call("DELETE", url_path("vector_stores", store_id, "files", file_id)))

    def attach(self, store_id: str, entry: AttachmentEntry) -> LiveFile:
        """Attaches one file. A file that is attached already is an error here, and an answer there: look first."""
        return self._read(_attaching(store_id, "files", _entry(entry), 1), parse_store_file)

    # -- batches -----------------------------------------------------------------------------------------

    def create_batch(self, store_id: str, entries: Sequence[AttachmentEntry]) -> BatchPoll:
        """Attaches up to 2,000 files (OpenAI spec), each with its own attributes and chunking."""
        body = {"files": [_entry(entry) for entry in entries]}
        return self._polled(_attaching(store_id, "file_batches", body, len(entries)))

    def create_batch_of(
        self,
        store_id: str,
        file_ids: Sequence[str],
        attributes: Attributes,
        chunking: Chunking,
        mark: Mark | None = None,
    ) -> BatchPoll:
        """Attaches files that share attributes, chunking and mark, for services that take no `files`."""
        body = {"file_ids": list(file_ids), "attributes": _with_mark(attributes, mark), **_strategy(chunking)}
        return self._polled(_attaching(store_id, "file_batches", body, len(file_ids)))

    def batch(self, store_id: str, batch_id: str) -> BatchPoll:
        """A batch's progress. The id in the answer is not trusted: some services echo another object's."""
        return self._polled(Call("GET", url_path("vector_stores", store_id, "file_batches", batch_id)))

    def batch_files(self, store_id: str, batch_id: str) -> tuple[LiveFile, ...]:
        """All files of a batch, complete."""
        return self._list(url_path("vector_stores", store_id, "file_batches", batch_id, "files"), parse_store_file)

    def cancel_batch(self, store_id: str, batch_id: str) -> None:
        """Asks a batch to stop; what is completed stays, and it may go on for a while."""
        self._send(Call("POST", url_path("vector_stores", store_id, "file_batches", batch_id, "cancel")))

    def batches(self, store_id: str) -> tuple[LiveBatch, ...] | None:
        """A store's unfinished batches with their files; None where the service does not list batches."""
        if not self._lists_batches:
            return None
        try:
            listed = self._list(url_path("vector_stores", store_id, "file_batches"), parse_batch)
        except ServiceError as error:
            if missing_from_list_error(error) is None:
                raise
            self._lists_batches = not is_permanent(error)
            return None
        return tuple(self._with_files(store_id, batch) for batch in listed if batch.status in _CHILD_STATES)

    def _with_files(self, store_id: str, batch: LiveBatch) -> LiveBatch:
        ids = tuple(file.id for file in self.batch_files(store_id, batch.id))
        return LiveBatch(batch.id, batch.status, batch.created_at, batch.counts, ids)

    # -- uploads -----------------------------------------------------------------------------------------

    def upload(self, handle: BinaryIO, filename: str) -> Upload:
        """Uploads from the handle's start to its end, without holding the bytes in memory."""

        def parts() -> Mapping[str, tuple[str, BinaryIO, str]]:
            handle.seek(0)
            return {"file": (filename, handle, "application/octet-stream")}

        call = Call(
            "POST",
            "/files",
            form={"purpose": PURPOSE},
            files=parts,
            idempotent=False,
            patience=UPLOAD,
            costs={Bucket.UPLOADS: 1},
        )
        return self._read(call, parse_upload)

    def uploaded(self, file_id: str) -> Upload:
        """One File object."""
        return self._read(Call("GET", url_path("files", file_id)), parse_upload)

    def uploads(self) -> Iterator[Upload]:
        """All Files for the purpose that ours have, whoever's, newest first; each page is asked for when it is needed.

        Complete for who reads to the end. Raises ServiceError on the way, when a page fails or is misshapen.
        """
        try:
            found = map(parse_upload, list_pages(self._pages("/files", order="desc")))
            yield from (file for file in found if file.purpose in (PURPOSE, ""))
        except MalformedResponse as why:
            raise malformed_reply_error(Call("GET", "/files"), why) from why

    def download(self, file_id: str) -> bytes:
        """A File's bytes, in memory. Many services give back none that were uploaded for stores."""
        body: bytes = self._send(Call("GET", url_path("files", file_id, "content"), patience=UPLOAD, raw=True)).body
        return body

    def text(self, store_id: str, file_id: str) -> str:
        """A store file as the service read it: text, whatever was uploaded."""
        return self._read(Call("GET", url_path("vector_stores", store_id, "files", file_id, "content")), parse_text)

    def delete_upload(self, file_id: str) -> None:
        """Deletes a File. One that is gone already is fine."""
        self._gone(Call("DELETE", url_path("files", file_id)))

    # -- looking around ----------------------------------------------------------------------------------

    def glance(self, path: str, plane: Plane = Plane.DATA) -> Probe:
        """Asks for one object of a listing, and raises nothing for what the service says."""
        begun = self.clock.monotonic()
        error: ServiceError | None = None
        try:
            self._read(Call("GET", path, plane, {"limit": 1}), page_of)
        except ServiceError as why:
            error = why
        return Probe(error, self.clock.monotonic() - begun)

    # -- shared ------------------------------------------------------------------------------------------

    def _send(self, call: Call) -> Reply:
        reply = self._sender.send(call)
        self._date = reply.date or self._date
        return reply

    def _read(self, call: Call, read: Callable[[Any], Typed]) -> Typed:
        reply = self._send(call)
        try:
            return read(reply.body)
        except MalformedResponse as why:
            raise malformed_reply_error(call, why) from why

    def _gone(self, call: Call) -> None:
        """Deletes. A 404 is as good, unless the object can still be read: services hide a missing permission so.

        After an attempt that may have deleted it, what is read may be what was there before.
        """
        try:
            self._send(call)
        except NotFound as refused:
            if refused.attempts == 1 and self._there(call):
                why = "it can be read all the same, so this identity may see it and not delete it"
                raise AccessDenied(f"{refused}; {why}", refused.answer) from None

    def _there(self, call: Call) -> bool:
        try:
            self._send(replace(call, method="GET"))
        except NotFound:
            return False
        return True

    def _polled(self, call: Call) -> BatchPoll:
        reply = self._send(call)
        try:
            return BatchPoll(parse_batch(reply.body), reply.poll_after)
        except MalformedResponse as why:
            raise malformed_reply_error(call, why) from why

    def _pages(self, path: str, plane: Plane = Plane.DATA, *, order: str = "asc") -> Callable[[str], Page]:
        def fetch(cursor: str) -> Page:
            params: dict[str, str | int] = {"limit": PAGE, "order": order}
            if cursor:
                params["after"] = cursor
            page = self._read(Call("GET", path, plane, params), page_of)
            self._listed += len(page.rows)
            return page

        return fetch

    def _list(self, path: str, read: Callable[[Body], Typed], plane: Plane = Plane.DATA) -> tuple[Typed, ...]:
        """A whole listing from one end; ServiceError when it is misshapen."""
        try:
            return tuple(read(row) for row in read_whole_listing(self._pages(path, plane)))
        except MalformedResponse as why:
            raise malformed_reply_error(Call("GET", path, plane), why) from why


def _at_once(one: Callable[[], Page], other: Callable[[], Page]) -> tuple[Page, Page]:
    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(other)
        return one(), ahead.result()


def _attaching(store_id: str, where: str, body: Mapping[str, Any], files: int) -> Call:
    return Call(
        "POST",
        url_path("vector_stores", store_id, where),
        body=body,
        idempotent=False,
        patience=ATTACH,
        costs={Bucket.ATTACHES: 1, Bucket.FILES: files},
        scope=store_id,
    )


def _entry(entry: AttachmentEntry) -> dict[str, Any]:
    attributes = _with_mark(entry.attributes, entry.mark)
    return {"file_id": entry.file_id, "attributes": attributes, **_strategy(entry.chunking)}


def _with_mark(attributes: Attributes, mark: Mark | None) -> dict[str, Scalar]:
    """The attributes to send."""
    return {**attributes, MARK: str(mark)} if mark else dict(attributes)


def _strategy(chunking: Chunking) -> dict[str, Any]:
    """`auto` is what a service does without a word about it."""
    if chunking.auto:
        return {}
    static = {"max_chunk_size_tokens": chunking.size, "chunk_overlap_tokens": chunking.overlap}
    return {"chunking_strategy": {"type": "static", "static": static}}
