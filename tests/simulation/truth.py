"""What is so: the service's own tables, read past its HTTP, and the requests that a run sent it."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import unicodedata
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import httpx

DAY = 86_400


@cache
def digest16(text: str) -> str:
    """How marks hold the identity of a key: 16 hex digits of SHA-256 over its NFC form."""
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class TrueFile:
    """A file in a store, with the bytes and the name of its upload; `chunks` are what search can find."""

    id: str
    status: str
    created_at: int
    attributes: Mapping[str, Any]
    chunking: str
    error: tuple[str, str]
    batch: str
    found_by: Mapping[str, Any]  # the attributes that search filters by
    sha256: str
    filename: str
    size: int
    chunks: int
    is_leaving: bool = False  # somebody detached it, which has yet to take effect
    is_hidden: bool = False  # the chunks that it shared with another went with that

    @property
    def mark(self) -> str:
        return str(self.attributes.get("vssync_mark", ""))

    @cached_property
    def mark_parts(self) -> list[str]:
        """The parts of a mark of the known form, which all have the same order; empty without one."""
        parts = self.mark.split(";")
        return parts if len(parts) >= 8 and parts[0] == "v1" else []

    @property
    def has_odd_mark(self) -> bool:
        """Whether something stands where a mark belongs, and is none."""
        return "vssync_mark" in self.attributes and not self.mark_parts

    @property
    def owner(self) -> str:
        return self.mark_parts[1] if self.mark_parts else ""

    @property
    def key_digest(self) -> str:
        return self.mark_parts[2] if self.mark_parts else ""

    @property
    def echo(self) -> str:
        """What a mark says the service made of the attributes; the last part, and not always there."""
        return self.mark_parts[-1] if len(self.mark_parts) in (9, 11) else ""

    @property
    def is_provisional(self) -> bool:
        return self.key_digest == "0" * 16

    @property
    def is_uncompared(self) -> bool:
        return bool(self.mark_parts) and self.mark_parts[3].startswith("?")

    @property
    def plain_attributes(self) -> dict[str, Any]:
        return {name: value for name, value in self.attributes.items() if not name.startswith("vssync_")}


@dataclass(frozen=True)
class TrueStore:
    id: str
    name: str
    metadata: Mapping[str, str]
    expires_after_days: int | None
    is_expired: bool
    created_at: int
    files: tuple[TrueFile, ...] = ()
    batches: tuple[str, ...] = ()  # ids of those with a file in progress

    @property
    def mark(self) -> tuple[str, str]:
        """The owner and the store key of its mark; empty without one."""
        parts = self.metadata.get("vssync_owner", "").split(";")
        return (parts[1], parts[2]) if len(parts) >= 4 and parts[0] == "v1" else ("", "")

    @property
    def is_adopting(self) -> bool:
        """Whether its mark says that files are still being adopted."""
        return self.metadata.get("vssync_owner", "").split(";")[3:4] == ["adopting"]

    @property
    def has_newer_mark(self) -> bool:
        """Whether a form of its mark is not known."""
        return bool(re.match(r"v(?!1;)\d+;", self.metadata.get("vssync_owner", "")))

    def copies(self, owner: str) -> dict[str, list[TrueFile]]:
        """An owner's files by the digest of their key, without those that have none yet."""
        return self._copies_by_owner.get(owner, {})

    @cached_property
    def _copies_by_owner(self) -> dict[str, dict[str, list[TrueFile]]]:
        found: dict[str, dict[str, list[TrueFile]]] = {}
        for file in self.files:
            if file.owner and not file.is_provisional:
                found.setdefault(file.owner, {}).setdefault(file.key_digest, []).append(file)
        return found

    def file(self, file_id: str) -> TrueFile | None:
        return self._files_by_id.get(file_id)

    def staying_file(self, file_id: str) -> TrueFile | None:
        """A file that nobody detached."""
        file = self.file(file_id)
        return None if file and file.is_leaving else file

    @cached_property
    def _files_by_id(self) -> dict[str, TrueFile]:
        return {file.id: file for file in self.files}


@dataclass(frozen=True, slots=True)
class State:
    """Everything the service holds; `uploads` are the SHA-256 and name of every File, by id."""

    stores: Mapping[str, TrueStore] = field(default_factory=dict)
    uploads: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    uploaded_at: Mapping[str, int] = field(default_factory=dict)  # by id

    @property
    def attached(self) -> set[str]:
        return {file.id for store in self.stores.values() for file in store.files}


_FILES = """
select store_files.*, sha256, filename, bytes, batches.id as batch_id,
    (select count(*) from chunks where store_file = store_files.seq) as chunk_count,
    (select count(*) from chunks where store_file = store_files.seq
        and identity is not null
        and identity not in (select identity from chunks where found and identity is not null)) as hidden_count
from store_files left join files on files.id = store_files.id left join blobs on blobs.seq = blob
left join batches on batches.seq = batch order by store_files.seq
"""


def read_state(database: Path, now: float) -> State:
    """The tables of a local service, as they are at its time `now`."""
    if not database.exists():
        return State()
    with closing(open_tables(database)) as connection:
        return read_tables(connection, now)


def open_tables(database: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, check_same_thread=False, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def read_tables(connection: sqlite3.Connection, now: float) -> State:
    """What all tables hold at one moment."""
    connection.execute("begin")
    files: dict[int, list[TrueFile]] = {}
    for row in connection.execute(_FILES):
        files.setdefault(row["store"], []).append(_true_file(row))
    query = "select id, sha256, filename, created_at from files join blobs on blobs.seq = blob"
    uploads = connection.execute(query).fetchall()
    stores = {
        row["id"]: _true_store(row, files.get(row["seq"], []), now)
        for row in connection.execute("select * from stores order by seq")
    }
    connection.execute("commit")
    named = {row["id"]: (row["sha256"], row["filename"]) for row in uploads}
    return State(stores, named, {row["id"]: row["created_at"] for row in uploads})


def _true_file(row: sqlite3.Row) -> TrueFile:
    return TrueFile(
        id=row["id"],
        status=row["status"],
        created_at=row["created_at"],
        attributes=json.loads(row["attributes"]),
        chunking=f"{row['chunk_size']}/{row['chunk_overlap']}",
        error=(row["error_code"] or "", row["error_message"] or ""),
        batch=row["batch_id"] or "",
        found_by=json.loads(row["filtered"]),
        sha256=row["sha256"] or "",
        filename=row["filename"] or "",
        size=row["bytes"] or 0,
        chunks=row["chunk_count"],
        is_leaving=row["leaves_at"] is not None,
        is_hidden=bool(row["hidden_count"]),
    )


def _true_store(row: sqlite3.Row, files: list[TrueFile], now: float) -> TrueStore:
    days = row["expires_days"]
    return TrueStore(
        id=row["id"],
        name=row["name"],
        metadata=json.loads(row["metadata"]),
        expires_after_days=days,
        is_expired=days is not None and row["last_active_at"] + days * DAY <= now,
        created_at=row["created_at"],
        files=tuple(files),
        batches=tuple(dict.fromkeys(file.batch for file in files if file.batch and file.status == "in_progress")),
    )


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back; status 0 stands for no answer."""

    method: str
    url: str
    status: int
    request_id: str = ""
    made: str = ""  # the id of what the answer says was created
    attached: frozenset[str] = frozenset()  # the ids of the Files that the request asked to attach

    @property
    def is_write(self) -> bool:
        return self.method != "GET" and not self.url.endswith("/search")

    @property
    def went_wrong(self) -> bool:
        return not 200 <= self.status < 300


def _id_in(body: bytes) -> str:
    """The id that an answer tells, if it is one."""
    with suppress(ValueError, AttributeError):
        return found if len(found := str(json.loads(body).get("id", ""))) <= 512 else ""
    return ""


def _attached_by(request: httpx.Request) -> frozenset[str]:
    if request.method != "POST" or not re.search(r"/vector_stores/[^/]+/(files|file_batches)$", request.url.path):
        return frozenset()
    body = json.loads(request.content)
    entries = [body, *body.get("files", ())]
    return frozenset([*body.get("file_ids", ()), *(entry["file_id"] for entry in entries if "file_id" in entry)])


class RequestLog(httpx.BaseTransport):
    """Passes requests on, and keeps them with their answers."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.exchanges: list[Exchange] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        status, headers, made = 0, httpx.Headers(), ""
        try:
            response = self.inner.handle_request(request)
            status, headers = response.status_code, response.headers
            if request.method == "POST" and response.is_success:
                made = _id_in(response.read())
            return response
        finally:
            request_id = headers.get("opc-request-id", "") or headers.get("x-request-id", "")
            url, attached = str(request.url), _attached_by(request)
            self.exchanges.append(Exchange(request.method, url, status, request_id, made, attached))

    def close(self) -> None:
        self.inner.close()
