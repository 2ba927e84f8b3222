"""The store and files of the write probes, and what was seen of them.

They are remembered from before they are created until they are seen removed. They belong to no manifest, so no journal
records them. Their names begin with a random word, by which `doctor --clean-up` finds what a killed process left; the
store expires within a day by itself.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from vssync.api.client import Client
from vssync.api.http import Call, Plane, store_path
from vssync.api.pagination import Page, Row, parse_page
from vssync.api.parse import AttachmentEntry
from vssync.commands.doctor.facts import Fact
from vssync.commands.doctor.finding import Emit, Finding, failed, ok
from vssync.commands.doctor.redact import id_prefix
from vssync.errors import AccessDenied, NotDeleted, ServiceError, UsageProblem, VssyncError
from vssync.limits import MAX_VALUE_LENGTH
from vssync.model.questions import AttributeFilter
from vssync.model.state import Attributes, Chunking, FileStatus, LiveFile, Scalar, SearchHit, Upload
from vssync.text import count_noun

Value = TypeVar("Value")
TIMEOUT = 300.0  # seconds for a store to answer, or a file to be ingested
FOLLOW_TIMEOUT = 30.0  # seconds for a listing, a count or a search to follow a change
_POLL_INTERVAL = 1.0
_TRIES_AT_ONCE = 4  # before time passes: some services are late by requests rather than by seconds
_WORD = re.compile(r"vssyncdoctor[0-9a-f]{8}")


def new_word() -> str:
    return f"vssyncdoctor{secrets.token_hex(4)}"


CHUNKING = Chunking(200, 50)
# Values that services are known to change: other alphabets, fractions, large numbers, booleans, empty and long texts.
ATTRIBUTES: Attributes = {
    "accent": "é",
    "fraction": 0.1,
    "large": 2**53,
    "yes": True,
    "empty": "",
    "long": "x" * MAX_VALUE_LENGTH,
}


@dataclass(frozen=True, slots=True)
class RawReply:
    """What a service answered, as it was sent; no fields where that is not an object, `error` where it is an error."""

    status: int
    body: Row = field(default_factory=dict)
    error: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class Lateness:
    """How long a change took to show: seconds, or, where it took no time, the number of requests before it did."""

    seconds: float
    requests: int = 0


@dataclass(slots=True)
class ScratchStore:
    """A store and its files."""

    client: Client
    word: str = field(default_factory=new_word)
    store_id: str = ""
    uploads: dict[str, Upload | None] = field(default_factory=dict)  # by name; None until the reply
    _store_may_exist: bool = False
    _removed: int = 0

    def create_store(self) -> None:
        """Creates the store. It expires by itself, should everything else fail."""
        body = {
            "name": self.word,
            "metadata": {"made_by": "vssync doctor --probe"},
            "expires_after": {"anchor": "last_active_at", "days": 1},
        }
        self._store_may_exist = True
        self.store_id = self.client.create_store(body).id

    def upload(self, text: str | bytes, suffix: str = ".txt") -> Upload:
        """A new File with the text and the random word, or with these bytes; the suffix ends its name."""
        name = f"{self.word}-{len(self.uploads) + 1}{suffix}"
        self.uploads[name] = None
        content = text if isinstance(text, bytes) else f"{self.word} {text}\n".encode()
        upload = self.uploads[name] = self.client.upload_file(io.BytesIO(content), name)
        return upload

    def path(self, *segments: str) -> str:
        return store_path(self.store_id, *segments)

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
        plane: Plane = Plane.DATA,
    ) -> RawReply:
        """One request, its answer as it is. Raises ServiceError only where there is none."""
        is_raw = path.startswith("/files/") and path.endswith("/content")
        call = Call(method, path, plane, params or {}, body, idempotent=method != "POST", raw=is_raw, is_probe=True)
        try:
            sent = self.client.sender.send(call).body
            return RawReply(200, sent if isinstance(sent, Mapping) else {})
        except ServiceError as error:
            if not error.answer.status:
                raise
            return RawReply(error.answer.status, error=error)

    def page(
        self, path: str, params: Mapping[str, str | int] | None = None, query: Mapping[str, object] | None = None
    ) -> Page:
        """A page of a listing, or of what a search finds, as it was sent. Raises ServiceError where it is none."""
        call = Call("POST" if query else "GET", path, params=params or {}, body=query, is_search=query is not None)
        page: Page = self.client.sender.send(call, parse_page).body
        return page

    def listed(self) -> Mapping[str, Row]:
        """The first page of the store's files, by id."""
        return by_id(self.page(self.path("files"), {"limit": 100}))

    def find_file(self, file_id: str) -> LiveFile | None:
        """A file of the store; None where it is not visible."""
        return self.client.find_file(self.store_id, file_id)

    def wait_for_file(self, file_id: str) -> LiveFile:
        """A file of the store, once it is completed. Raises VssyncError when it ends otherwise, or not in time."""
        file = self.wait_until(lambda: self.find_file(file_id), lambda file: file is not None and file.status.ended)
        if file is None or file.status is not FileStatus.COMPLETED:
            status = f"{file.status} {file.error.code if file.error else ''}".strip() if file else "not visible"
            raise VssyncError(f"{file_id}: a small text file was not ingested: {status}")
        return file

    def wait_until(
        self, read: Callable[[], Value], is_done: Callable[[Value], bool], timeout: float = TIMEOUT
    ) -> Value:
        """What `read` returns when it is done, or at the end of so many seconds."""
        clock = self.client.clock
        end = clock.monotonic() + timeout
        while not is_done(value := read()) and clock.monotonic() < end:
            clock.sleep(_POLL_INTERVAL)
        return value

    def watch(self, checks: Mapping[str, Callable[[], bool]], timeout: float = FOLLOW_TIMEOUT) -> dict[str, Lateness]:
        """How long each check took to hold, from now; those that did not hold in time are left out."""
        clock = self.client.clock
        started, tries = clock.monotonic(), 0
        delays: dict[str, Lateness] = {}
        while True:
            is_at_once = tries < _TRIES_AT_ONCE
            for name in [name for name in checks if name not in delays]:
                if checks[name]():
                    seconds = clock.monotonic() - started
                    delays[name] = Lateness(0.0 if is_at_once else seconds, tries if is_at_once else 0)
            if len(delays) == len(checks) or clock.monotonic() - started >= timeout:
                return delays
            tries += 1
            if tries >= _TRIES_AT_ONCE:
                clock.sleep(_POLL_INTERVAL)

    def find_store(self) -> bool:
        """Whether it is there; it is looked for by its name when the reply with the id was lost."""
        if not self.store_id:
            self.store_id = next((store.id for store in self.client.list_stores() if store.name == self.word), "")
        return bool(self.store_id)

    def delete_store(self) -> None:
        if self.find_store():
            self.client.delete_store(self.store_id)
            self._removed += 1
        self._store_may_exist = False

    def delete_upload(self, name: str) -> None:
        if upload := self.uploads[name]:
            self.client.delete_upload(upload.id)
            self._removed += 1
        del self.uploads[name]

    def clean(self, emit: Emit) -> bool:
        """Removes everything whatever fails, and emits what is left; whether nothing is.

        It is finished even if it is interrupted once, which is raised at its end.
        """
        removals: list[tuple[str, Callable[[], None]]] = []
        if self._store_may_exist:
            removals.append((self.store_id or f"store {self.word}", self.delete_store))
        for name, upload in self.uploads.items():
            if upload:
                removals.append((upload.id, partial(self.delete_upload, name)))
        left = [f"{name}: its reply was lost, so it may exist" for name, upload in self.uploads.items() if not upload]
        errors: list[VssyncError] = []
        interruption: KeyboardInterrupt | None = None
        try:
            while removals:
                name, remove = removals[0]
                try:
                    remove()
                except KeyboardInterrupt as again:
                    if interruption:
                        raise
                    interruption = again
                    continue
                except VssyncError as error:
                    left.append(name)
                    errors.append(error)
                removals.pop(0)
        finally:
            left += [name for name, _ in removals]
            if left:
                text = f"{count_noun(len(left), 'object')} may be left:"
                emit(failed("clean up", text, *left, *_reasons(errors), self._way_out(errors)))
            elif self._removed:
                emit(ok("clean up", f"removed: {count_noun(self._removed, 'object')}; nothing is left"))
        if interruption:
            raise interruption
        return not left

    def _way_out(self, errors: list[VssyncError]) -> str:
        command = f"`vssync doctor --clean-up {self.word}`, with the options of this run"
        if any(isinstance(error, AccessDenied) for error in errors):
            return f"To remove them, run {command} and a credential that may delete."
        if errors and all(isinstance(error, NotDeleted) for error in errors):
            return f"Remove them in the service's own console; or later, if it deletes again, run {command}."
        return f"To remove them, run {command}."


@dataclass(slots=True)
class Trial:
    """One run of the write probes. `seconds` are how long things took, by name."""

    scratch: ScratchStore
    emit: Emit
    facts: dict[str, Fact] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    batch_id: str = ""  # the batch that attached them
    pair: tuple[str, ...] = ()  # the two files that are attached first, by id, once they are completed
    deletions: dict[str, bool] = field(default_factory=dict)  # the kinds of objects that were to go: whether they may

    @property
    def client(self) -> Client:
        return self.scratch.client

    def record(self, name: str, value: Fact, finding: Finding | None = None) -> None:
        self.facts[name] = value
        if finding:
            self.emit(finding)

    def record_delay(self, name: str, delay: Lateness | None, by_seconds: str = "", by_requests: str = "") -> None:
        """Notes how long something took, and the switches that are late so; nothing where it never came."""
        if delay is None:
            return
        self.seconds[name] = round(delay.seconds, 1)
        if by_seconds:
            self.facts[by_seconds] = round(delay.seconds)
        if by_requests:
            self.facts[by_requests] = delay.requests

    def record_prefix(self, name: str, id_: str) -> None:
        """Notes what an id begins with, if that is one of the usual beginnings."""
        if prefix := id_prefix(id_):
            self.facts[name] = prefix
            self.facts["long_ids"] = len(id_) - len(prefix) > 32

    @contextmanager
    def recording_deletion(self, kind: str) -> Iterator[None]:
        """Notes whether the block, which deletes an object of a kind, may, or what is answered instead."""
        error: ServiceError | None = None
        try:
            yield
        except (AccessDenied, NotDeleted) as refusal:
            error = refusal
        self.facts["denies_deletions"] = isinstance(error, NotDeleted)
        self.deletions[kind] = not isinstance(error, AccessDenied)
        if self.deletions.keys() == {"store-files", "files", "stores"}:
            self.facts["refuses_deleting"] = " ".join(kind for kind, may in self.deletions.items() if not may)
        if error:
            raise error

    def search(self, attribute: tuple[str, Scalar] | None = None) -> tuple[SearchHit, ...]:
        """The hits that hold the scratch word: of the files with an attribute, or of all."""
        query = f"{self.scratch.word} stands in two files reads one way chapter"
        wanted = AttributeFilter("eq", attribute[0], attribute[1:]) if attribute else None
        hits = self.client.search_store(self.scratch.store_id, query, 50, wanted)
        return tuple(hit for hit in hits if self.scratch.word in hit.text)

    def entry(self, file_id: str, **attributes: Scalar) -> AttachmentEntry:
        """A file as the probes attach it."""
        return AttachmentEntry(file_id, attributes or ATTRIBUTES, CHUNKING)


def clean_up(client: Client, word: str, emit: Emit) -> bool:
    """Removes what an earlier run left, found by its word; whether nothing is left.

    Raises UsageProblem for what is not such a word, VssyncError where stores or Files cannot be listed.
    """
    if not _WORD.fullmatch(word):
        raise UsageProblem(
            f"--clean-up {word}: must be the word that `doctor --probe` named, `vssyncdoctor` and 8 more characters"
        )
    uploads = {upload.filename: upload for upload in client.list_uploads() if upload.filename.startswith(f"{word}-")}
    scratch = ScratchStore(client, word, uploads=dict(uploads), _store_may_exist=True)
    if not uploads and not scratch.find_store():
        emit(ok("clean up", f"nothing is named {word}"))
        return True
    with suppress(ServiceError):  # which its deletion will meet again, and Files can go all the same
        scratch.find_store()
    return scratch.clean(emit)


def _reasons(errors: list[VssyncError]) -> list[str]:
    """Each kind of refusal once, in the words of the first."""
    first: dict[tuple[object, ...], str] = {}
    for error in errors:
        answer = error.answer if isinstance(error, ServiceError) else None
        first.setdefault((type(error), answer and (answer.status, answer.code)), str(error))
    return [*first.values()]


def by_id(page: Page) -> dict[str, Row]:
    """The objects of a page, by id; those without one are left out."""
    return {str(row["id"]): row for row in page.rows if row.get("id")}


def is_refusal(error: ServiceError) -> bool:
    """Whether the service says that it does not do this, rather than that something went wrong."""
    return error.answer.status in (400, 404, 405, 422, 501)


def unknown_id(id_: str) -> str:
    """An id of the same form that names nothing."""
    return id_[:-1] + ("1" if id_[-1] == "0" else "0")
