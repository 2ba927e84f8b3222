"""Files: uploaded objects. Equal contents share their bytes; the last File to go takes them along."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from vssync.local import rows
from vssync.local.attaching import detach
from vssync.local.paging import Page, listing
from vssync.local.transaction import Transaction, new_id
from vssync.local.uploads import PIECE, Upload


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a File, to be streamed after the transaction has ended."""

    blob: int
    size: int


def create(tx: Transaction, body: Upload) -> dict[str, Any]:
    file_id = new_id(tx.dialect.file_ids)
    expires_at = None if body.lifetime is None else tx.now + body.lifetime
    tx.run(
        "insert into files (id, blob, filename, bytes, purpose, created_at, expires_at) values (?, ?, ?, ?, ?, ?, ?)",
        *(file_id, store_bytes(tx, body), stored_name(tx, body.filename), body.size, body.purpose, tx.now, expires_at),
    )
    return get(tx, file_id)


def stored_name(tx: Transaction, sent: str) -> str:
    if tx.dialect.garbles_names:
        sent = sent.encode().decode("latin-1")
    return re.sub(r"[^A-Za-z0-9._-]", "", sent) if tx.dialect.plain_names else sent


def store_bytes(tx: Transaction, upload: Upload) -> int:
    if known := tx.one("select seq from blobs where sha256 = ?", upload.sha256):
        return int(known["seq"])
    blob = tx.run("insert into blobs (sha256, data) values (?, zeroblob(?))", upload.sha256, upload.size)
    with tx.connection.blobopen("blobs", "data", blob) as target:
        while piece := upload.content.read(PIECE):
            target.write(piece)
    return blob


def get(tx: Transaction, file_id: str) -> dict[str, Any]:
    return shape(rows.file(tx, file_id))


def page(tx: Transaction, page: Page) -> dict[str, Any]:
    return listing(tx, "files", {}, page, shape)


def content(tx: Transaction, file_id: str) -> Content:
    row = rows.file(tx, file_id)
    return Content(row["blob"], row["bytes"])


def delete(tx: Transaction, file_id: str) -> dict[str, Any]:
    remove(tx, rows.file(tx, file_id))
    return {"id": file_id, "object": "file", "deleted": True}


def remove(tx: Transaction, row: sqlite3.Row) -> None:
    """A File leaves its stores first, in all services but some."""
    if not tx.dialect.keeps_attached:
        for entry in tx.all("select * from store_files where id = ?", row["id"]):
            detach(tx, entry)
    tx.run("delete from files where seq = ?", row["seq"])
    unused = "not exists (select 1 from files where files.blob = blobs.seq)"
    tx.run(f"delete from blobs where seq = ? and {unused}", row["blob"])


def expired(tx: Transaction) -> list[sqlite3.Row]:
    return tx.all("select * from files where expires_at <= ?", tx.now)


def shape(row: sqlite3.Row) -> dict[str, Any]:
    expiry = {} if row["expires_at"] is None else {"expires_at": row["expires_at"]}
    return {
        "id": row["id"],
        "object": "file",
        "bytes": row["bytes"],
        "created_at": row["created_at"],
        "filename": row["filename"],
        "purpose": row["purpose"],
        "status": "processed",
        **expiry,
    }
