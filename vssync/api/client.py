"""The typed client: every endpoint `vssync` uses, model types in and out.

It decides nothing beyond how to ask: what a listing's absence or a failed file means is for its callers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, BinaryIO, TypeVar

from vssync.api import parse
from vssync.api.errors import is_permanent, lost_reply_error, missing_from_list_error
from vssync.api.http import (
    SEARCH_TIMEOUT,
    UPLOAD_TIMEOUT,
    Call,
    Plane,
    Reply,
    Sender,
    attach_call,
    naming_request,
    store_path,
    url_path,
)
from vssync.api.pagination import (
    SETTLING_SECONDS,
    Fetch,
    ForEach,
    ListingPass,
    Order,
    Page,
    fetching_in_parallel,
    list_objects,
    list_side_by_side,
    parse_page,
    read_bidirectional,
    read_listing,
    read_uncounted,
    read_whole,
)
from vssync.api.parse import AttachmentEntry, BatchPoll, Body, MalformedResponse, Probe, chunking_body, with_mark
from vssync.api.rate_limit import Clock
from vssync.errors import AccessDenied, Answer, NotDeleted, NotFound, ServiceError
from vssync.limits import PAGE_SIZE
from vssync.model.marks import Mark
from vssync.model.questions import SearchFilter
from vssync.model.state import (
    CONNECTOR,
    Attributes,
    Chunking,
    Contents,
    FileCounts,
    LiveBatch,
    LiveFile,
    LiveStore,
    SearchHit,
    StoreStatus,
    Upload,
)
from vssync.providers import Bucket

Typed = TypeVar("Typed")
PURPOSE = "assistants"


class Client:
    """Thread-safe; every method may raise ServiceError, and writes that are not idempotent LostReply."""

    def __init__(self, sender: Sender, *, lists_batches: bool) -> None:
        self.sender = sender
        self.clock: Clock = sender.clock
        self.service_date: int | None = None  # its clock at its newest answer, in seconds since the epoch
        self._may_read_uploads = False  # whether this credential was seen to read Files
        self.listed_count = 0  # objects that listings returned so far; those seen from both ends count twice
        self.waiting_for = ""  # what a reading waits for just now, and how long
        self.lists_batches = lists_batches  # as far as it is known
        self.pinned_stores: Mapping[str, str] | None = None  # names by id, of stores that a manifest pins
        self.stores_denied: ServiceError | None = None  # why the stores themselves cannot be read
        self._usable_pinned: dict[str, LiveStore] = {}  # the pinned stores that stand for every store then

    def close(self) -> None:
        """Closes its connections, and the embedded service."""
        self.sender.close()

    def list_stores(self, order: Order = Order.OLDEST_FIRST) -> tuple[LiveStore, ...]:
        """All stores, complete. Where this credential may not list them, the pinned ones whose files it may list.

        Raises ServiceError where no manifest could pin one, and where the credential may list no uploads, either: then
        it is of no use here.
        """
        if self.stores_denied is None:
            try:
                return self._list("/vector_stores", parse.parse_store, Plane.CONTROL, order)
            except (AccessDenied, NotFound) as error:
                if self.pinned_stores is None:
                    raise
                usable = {
                    id_: LiveStore(id_, name, StoreStatus.UNKNOWN, 0)
                    for id_, name in self.pinned_stores.items()
                    if not self.probe(store_path(id_, "files")).error
                }
                if not usable and self.probe("/files").error:
                    raise
                self._usable_pinned = usable
                self.stores_denied = self.sender.denied_stores_error(error)
        return tuple(self._usable_pinned.values())

    def create_store(self, body: Mapping[str, Any]) -> LiveStore:
        return self._read(Call("POST", "/vector_stores", Plane.CONTROL, body=body, idempotent=False), parse.parse_store)

    def update_store(self, store_id: str, body: Mapping[str, Any]) -> LiveStore:
        """The store with these settings; name, metadata and expiry only (OpenAI spec)."""
        return self._read(Call("POST", store_path(store_id), Plane.CONTROL, body=body), parse.parse_store)

    def get_store(self, store_id: str) -> LiveStore:
        """One store; NotFound may also mean that the caller may not see it."""
        if store_id in self._usable_pinned:
            return self._usable_pinned[store_id]
        return self._read(Call("GET", store_path(store_id), Plane.CONTROL), parse.parse_store)

    def delete_store(self, store_id: str) -> None:
        """Deletes a store; its Files stay (OpenAI spec). Deleting it twice is fine."""
        self._delete(Call("DELETE", store_path(store_id), Plane.CONTROL))

    def search_store(
        self, store_id: str, query: str, max_results: int, search_filter: SearchFilter | None = None
    ) -> tuple[SearchHit, ...]:
        """The best chunks for a question, at most so many (1..50)."""
        filters = {"filters": parse.filter_body(search_filter)} if search_filter else {}
        body = {"query": query, "max_num_results": max_results, **filters}
        call = Call("POST", store_path(store_id, "search"), body=body, is_search=True, timeout=SEARCH_TIMEOUT)
        return self._read(call, lambda body: tuple(parse.parse_hit(row) for row in parse_page(body).rows))

    def list_files(self, store_id: str) -> tuple[LiveFile, ...]:
        """A store's files as the service lists them; those that it counts and does not list are not looked for."""
        with naming_request(Call("GET", store_path(store_id, "files"))):
            return self.read_files(store_id).whole()

    def list_newest_files(
        self, store_id: str, count: int = PAGE_SIZE, starts: Sequence[str] = (), for_each: ForEach = map
    ) -> tuple[LiveFile, ...]:
        """At most so many of a store's newest files, where `order` is known; read from behind each of `starts`, too."""
        path = store_path(store_id, "files")
        with naming_request(Call("GET", path)):
            rows = list_side_by_side(self._pages(path, order=Order.NEWEST_FIRST), starts, count, for_each)
            return tuple(map(parse.parse_store_file, rows))

    def list_all_files(self, store: LiveStore) -> Contents:
        """A store's files, and whether these are all: where the service counts more, it is read again for a while."""
        is_counted = store.id not in self._usable_pinned
        lists = f"fewer files than it counts ({store.counts.total:,})" if is_counted else "other files than before"

        def wait(seconds: float) -> None:
            self.waiting_for = f"{store.label} lists {lists}: read again in {seconds:.0f} s, at most 3 times"
            self.clock.sleep(seconds)
            self.waiting_for = ""

        if not is_counted:
            listing = read_uncounted(partial(self.read_files, store.id), wait)
            self._usable_pinned[store.id] = replace(store, counts=FileCounts(total=len(listing.files)))
            return listing
        now = self.service_date or self.clock.wall_time()
        return read_whole(
            partial(self.read_files, store.id),
            lambda: self.get_store(store.id).counts.total,
            partial(self.find_file, store.id),
            wait,
            store.counts.total,
            is_settled=now - max(store.created_at, store.last_active_at) > SETTLING_SECONDS,
        )

    def read_files(self, store_id: str, order: Order = Order.ANY, count: int | None = None) -> ListingPass[LiveFile]:
        """One pass through a store's files, from both ends at once for any order; `count` is the service's own."""
        path = store_path(store_id, "files")
        with naming_request(Call("GET", path)):
            if order is Order.ANY:
                oldest, newest = (self._pages(path, order=end) for end in (Order.OLDEST_FIRST, Order.NEWEST_FIRST))
                with suppress(MalformedResponse), fetching_in_parallel() as run_both:
                    reading = read_bidirectional(oldest, newest, run_both, count, parse.parse_store_file)
                    if reading.ended:
                        return reading
            one_end = Order.OLDEST_FIRST if order is Order.ANY else order
            return read_listing(self._pages(path, order=one_end), count, parse.parse_store_file)

    def can_list_files(self, store_id: str) -> bool:
        """Whether the store answers: some services say 404 to what is in it for a while after creating it."""
        return self._exists(Call("GET", store_path(store_id, "files"), params={"limit": 1}))

    def get_file(self, store_id: str, file_id: str) -> LiveFile:
        return self._read(Call("GET", store_path(store_id, "files", file_id)), parse.parse_store_file)

    def find_file(self, store_id: str, file_id: str) -> LiveFile | None:
        """A store's file; None where it is not there, or not visible yet."""
        try:
            return self.get_file(store_id, file_id)
        except NotFound:
            return None

    def is_attached(self, store_id: str, file_id: str) -> bool:
        """Whether a store still has this file."""
        return self._exists(Call("GET", store_path(store_id, "files", file_id)))

    def set_attributes(self, store_id: str, file_id: str, attributes: Attributes, mark: Mark | None = None) -> LiveFile:
        """Replaces a store file's attributes as a whole, its mark among them; without a good answer the file tells."""
        body = {"attributes": with_mark(attributes, mark)}
        try:
            return self._read(Call("POST", store_path(store_id, "files", file_id), body=body), parse.parse_store_file)
        except ServiceError as error:
            with suppress(ServiceError):
                file = self.get_file(store_id, file_id) if error.is_ambiguous else None
                if file and (file.attributes, file.mark) == (attributes, mark):
                    return file
            raise

    def detach_file(self, store_id: str, file_id: str) -> None:
        """Takes a file out of a store; the File stays (OpenAI spec). Deleting it twice is fine."""
        self._delete(Call("DELETE", store_path(store_id, "files", file_id)))

    def attach_file(self, store_id: str, entry: AttachmentEntry) -> LiveFile:
        """Attaches one file. A file that is attached already is an error for some services: check first."""
        return self._read(attach_call(store_id, "files", entry.body(), 1), parse.parse_store_file)

    def has_route(self, store_id: str, collection: str) -> bool:
        """Whether files can be attached at an address: an empty request is refused there, and elsewhere not found."""
        try:
            self._send(attach_call(store_id, collection, {}, 0), parse.parse_done)
        except ServiceError as error:
            return error.answer.status not in (404, 410, 501)
        return True

    def create_batch(self, store_id: str, entries: Sequence[AttachmentEntry]) -> BatchPoll:
        """Attaches up to 2,000 files (OpenAI spec), each with its own attributes and chunking."""
        body = {"files": [entry.body() for entry in entries]}
        return self._poll(attach_call(store_id, "file_batches", body, len(entries)))

    def create_uniform_batch(
        self,
        store_id: str,
        file_ids: Sequence[str],
        attributes: Attributes,
        chunking: Chunking,
        mark: Mark | None = None,
    ) -> BatchPoll:
        """Attaches files that share attributes, chunking and mark, for services that take no `files`."""
        body = {"file_ids": list(file_ids), "attributes": with_mark(attributes, mark), **chunking_body(chunking)}
        return self._poll(attach_call(store_id, "file_batches", body, len(file_ids)))

    def get_batch(self, store_id: str, batch_id: str) -> BatchPoll:
        """A batch's progress. The id in the answer is not trusted: some services echo another object's."""
        return self._poll(Call("GET", store_path(store_id, "file_batches", batch_id)))

    def list_batch_files(self, store_id: str, batch_id: str) -> tuple[LiveFile, ...]:
        """All files of a batch, complete."""
        return self._list(store_path(store_id, "file_batches", batch_id, "files"), parse.parse_store_file)

    def cancel_batch(self, store_id: str, batch_id: str) -> None:
        """Asks a batch to stop; what is completed stays, and it may go on for a while."""
        self._read(Call("POST", store_path(store_id, "file_batches", batch_id, "cancel")), parse.parse_done)

    def list_batches(self, store_id: str) -> tuple[LiveBatch, ...] | None:
        """A store's unfinished batches, without their files; None where the service does not list batches."""
        if not self.lists_batches:
            return None
        try:
            batches = self._list(store_path(store_id, "file_batches"), parse.parse_batch)
        except ServiceError as error:
            if missing_from_list_error(error) is None:
                raise
            self.lists_batches = not (is_permanent(error) or error.answer.status >= 500)
            return None
        return tuple(batch for batch in batches if not batch.status.ended)

    def upload_file(self, handle: BinaryIO, filename: str) -> Upload:
        """Uploads from the handle's start to its end, without holding the bytes in memory."""

        def parts() -> Mapping[str, tuple[str, BinaryIO, str]]:
            handle.seek(0)
            return {"file": (filename, handle, "application/octet-stream")}

        form, costs = {"purpose": PURPOSE}, {Bucket.UPLOADS: 1}
        call = Call("POST", "/files", form=form, files=parts, idempotent=False, timeout=UPLOAD_TIMEOUT, costs=costs)
        return self._read(call, parse.parse_upload)

    def get_upload(self, file_id: str) -> Upload:
        """A File; of one that a connector brought, only that is known."""
        try:
            upload = self._read(Call("GET", url_path("files", file_id)), parse.parse_upload)
        except NotFound as error:
            if "connector file" not in error.answer.message.lower():  # reported of OCI
                raise
            return Upload(file_id, "", 0, 0, purpose=CONNECTOR)
        self._may_read_uploads = True
        return upload

    def find_upload(self, file_id: str) -> Upload | None:
        """A File; None where it was deleted, though some services still list it as attached."""
        try:
            return self.get_upload(file_id)
        except NotFound:
            return None

    def list_uploads(self) -> Iterator[Upload]:
        """All Files of our purpose, whoever's, newest first; each page is fetched when it is needed.

        Complete only when it is read to the end. Raises ServiceError on the way, when a page fails or is malformed.
        """
        with naming_request(Call("GET", "/files")):
            uploads = map(parse.parse_upload, list_objects(self._pages("/files", order=Order.NEWEST_FIRST)))
            yield from (upload for upload in uploads if upload.purpose in (PURPOSE, ""))

    def download_file(self, file_id: str) -> bytes:
        """A File's bytes, in memory. Many services return none that were uploaded for stores."""
        return self._read(Call("GET", url_path("files", file_id, "content"), timeout=UPLOAD_TIMEOUT, raw=True), bytes)

    def get_text(self, store_id: str, file_id: str) -> tuple[str, ...]:
        """A store file as the service read it: the parts of a text, whatever was uploaded. They may overlap."""
        return self._read(Call("GET", store_path(store_id, "files", file_id, "content")), parse.parse_text)

    def delete_upload(self, file_id: str) -> None:
        """Deletes a File. Deleting it twice is fine, for those who may read Files: others get a 404 for every one."""
        call = Call("DELETE", url_path("files", file_id))
        if not self._delete(call, is_last_look=True) and not self._may_read_uploads:
            if error := self.probe("/files").error:
                problem = f"404, and whether that means that it is gone is not known, as Files cannot be read: {error}"
                raise AccessDenied(f"{call.method} {call.path}: {problem}", error.answer)
            self._may_read_uploads = True

    def probe(self, path: str, plane: Plane = Plane.DATA) -> Probe:
        """Asks for one object of a listing; what the service answers is returned, not raised."""
        started = self.clock.monotonic()
        try:
            self._read(Call("GET", path, plane, {"limit": 1}), parse_page)
        except ServiceError as error:
            return Probe(error, self.clock.monotonic() - started)
        return Probe(None, self.clock.monotonic() - started)

    def _send(self, call: Call, parse: Callable[[Any], Any]) -> Reply:
        reply = self.sender.send(call, parse)
        self.service_date = reply.date or self.service_date
        return reply

    def _read(self, call: Call, parse: Callable[[Any], Typed]) -> Typed:
        body: Typed = self._send(call, parse).body
        return body

    def _poll(self, call: Call) -> BatchPoll:
        reply = self._send(call, parse.parse_batch)
        return BatchPoll(reply.body, reply.poll_after)

    def _delete(self, call: Call, *, is_last_look: bool = False) -> bool:
        """Deletes; returns whether the service said that it did, or had: a 404 says only that nothing was found.

        A 404 for an object that can be read hides a missing permission, unless an earlier attempt may have deleted it:
        what is read may be late, then, which is an error only where nobody looks later. May raise NotDeleted.
        """
        try:
            is_deleted = self._read(call, parse.parse_done)
        except NotFound as error:
            if error.answer.status == HTTPStatus.GONE:
                return True
            was_read = error.answer.method == "GET"
            if (error.attempts == 1 or is_last_look) and not was_read and self._exists(call):
                if error.attempts > 1:
                    reason = "404, after an attempt without a good answer, and it can still be read"
                    raise lost_reply_error(call.method, call.path, reason) from None
                reason = "it can be read all the same, so this identity may see but not delete it"
                raise AccessDenied(f"{error}; {reason}", error.answer) from None
            return False
        if not is_deleted:
            answer = Answer(call.method, call.path, HTTPStatus.OK, message='`"deleted": false`')
            raise NotDeleted(f"{call.method} {call.path}: the service answered `deleted: false`", answer)
        return True

    def _exists(self, call: Call) -> bool:
        with suppress(NotFound):
            self._read(replace(call, method="GET"), lambda body: body)
            return True
        return False

    def _pages(self, path: str, plane: Plane = Plane.DATA, *, order: Order = Order.OLDEST_FIRST) -> Fetch:
        def fetch(cursor: str) -> Page:
            params: dict[str, str | int] = {"limit": PAGE_SIZE, "order": order}
            if cursor:
                params["after"] = cursor
            page = self._read(Call("GET", path, plane, params), parse_page)
            self.listed_count += len(page.rows)
            return page

        return fetch

    def _list(
        self, path: str, parse: Callable[[Body], Typed], plane: Plane = Plane.DATA, order: Order = Order.OLDEST_FIRST
    ) -> tuple[Typed, ...]:
        """A listing of which there is no count, from one end; ServiceError when it is malformed or does not end."""
        with naming_request(Call("GET", path, plane)):
            return read_listing(self._pages(path, plane, order=order), None, parse).whole()
