"""Files: uploaded objects. Equal contents share their bytes; the last File to go takes them along."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import IO, Any

from vssync.local import queries
from vssync.local.database import PIECE_BYTES
from vssync.local.dialects import Undeletable
from vssync.local.errors import ApiError
from vssync.local.queries import PageRequest, Transaction, list_page, new_id
from vssync.local.store_files import leave_store


@dataclass(frozen=True, slots=True)
class FileContent:
    """The bytes of a File, to be streamed after the transaction has ended."""

    blob: int
    size: int


@dataclass(frozen=True, slots=True)
class ReceivedUpload:
    content: IO[bytes]
    size: int
    sha256: str
    filename: str
    purpose: str
    lifetime: int | None


def create_file(tx: Transaction, body: ReceivedUpload) -> dict[str, Any]:
    file_id = new_id(tx, tx.dialect.file_ids)
    expires_at = None if body.lifetime is None else tx.now + body.lifetime
    filename = body.filename.encode().decode("latin-1") if tx.dialect.garbles_names else body.filename
    filename = re.sub(r"[^A-Za-z0-9._-]", "", filename) if tx.dialect.plain_names else filename
    tx.execute(
        "insert into files (id, blob, filename, bytes, purpose, created_at, expires_at) values (?, ?, ?, ?, ?, ?, ?)",
        *(file_id, store_bytes(tx, body), filename, body.size, body.purpose, tx.now, expires_at),
    )
    return get_file(tx, file_id)


def store_bytes(tx: Transaction, upload: ReceivedUpload) -> int:
    if existing := tx.fetch_one("select seq from blobs where sha256 = ?", upload.sha256):
        return int(existing["seq"])
    blob = tx.execute("insert into blobs (sha256, data) values (?, zeroblob(?))", upload.sha256, upload.size)
    with tx.connection.blobopen("blobs", "data", blob) as target:
        while piece := upload.content.read(PIECE_BYTES):
            target.write(piece)
    return blob


def get_file(tx: Transaction, file_id: str) -> dict[str, Any]:
    return file_body(queries.require_file(tx, file_id))


def list_files(tx: Transaction, page: PageRequest) -> dict[str, Any]:
    rows = queries.shown_rows(tx, "files", late=tx.dialect.late_uploads)
    if tx.dialect.connector_files:
        rows = f"(select * from {rows} where purpose != '{queries.CONNECTOR}')"
    return list_page(tx, "files", {}, page, file_body, rows=rows)


def read_file(tx: Transaction, file_id: str) -> FileContent:
    row = queries.require_file(tx, file_id)
    if (purpose := row["purpose"]) in tx.dialect.refuses_content:
        raise ApiError(400, f"Not allowed to download files of purpose: {purpose}")
    return FileContent(row["blob"], row["bytes"])


def delete_file(tx: Transaction, file_id: str) -> dict[str, Any]:
    row = queries.require_file(tx, file_id)
    queries.require_deletable(tx, Undeletable.FILES, f"File '{file_id}'")
    if not tx.dialect.denies_deletions:
        remove_file(tx, row)
    return queries.deletion_body(tx, file_id, "file")


def remove_file(tx: Transaction, row: sqlite3.Row) -> None:
    """A File leaves its stores first, in all services but some."""
    if not tx.dialect.keeps_attached:
        for entry in tx.fetch_all("select * from store_files where id = ?", row["id"]):
            leave_store(tx, entry)
    tx.execute("delete from files where seq = ?", row["seq"])
    unused = "not exists (select 1 from files where files.blob = blobs.seq)"
    tx.execute(f"delete from blobs where seq = ? and {unused}", row["blob"])


def expired_files(tx: Transaction) -> list[sqlite3.Row]:
    return tx.fetch_all("select * from files where expires_at <= ?", tx.now)


def file_body(row: sqlite3.Row) -> dict[str, Any]:
    expiry = {} if row["expires_at"] is None else {"expires_at": row["expires_at"]}
    copied = {name: row[name] for name in ("id", "bytes", "created_at", "filename", "purpose")}
    return {**copied, "object": "file", "status": "processed", **expiry}
