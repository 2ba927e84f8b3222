"""Finding rows by the ids clients use, and what follows from a row alone: expiry and counts."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from vssync.local.errors import ApiError
from vssync.local.rules import DAY, STATUSES
from vssync.local.transaction import Transaction


def file(tx: Transaction, file_id: str) -> sqlite3.Row:
    if found := tx.one("select * from files where id = ?", file_id):
        return found
    raise ApiError(404, f"File '{file_id}' does not exist.", code="not_found", param="file_id")


def content(tx: Transaction, file_id: str) -> bytes:
    """The bytes of a File; none where it is gone."""
    stored = tx.one("select data from blobs join files on blob = blobs.seq where id = ?", file_id)
    return bytes(stored["data"]) if stored else b""


def store(tx: Transaction, store_id: str) -> sqlite3.Row:
    if found := tx.one("select * from stores where id = ?", store_id):
        return found
    raise tx.missing(f"Vector store '{store_id}'")


def usable_store(tx: Transaction, store_id: str) -> sqlite3.Row:
    """A store to write to or search in: an expired one can only be read and deleted."""
    found = store(tx, store_id)
    if expired(tx, found):
        raise ApiError(400, f"Vector store '{store_id}' has expired.", code="vector_store_expired")
    return found


def store_file(tx: Transaction, store: sqlite3.Row, file_id: str) -> sqlite3.Row:
    if found := attached(tx, store, file_id):
        return found
    raise tx.missing(f"File '{file_id}' in vector store '{store['id']}'")


def attached(tx: Transaction, store: sqlite3.Row, file_id: str) -> sqlite3.Row | None:
    return tx.one("select * from store_files where store = ? and id = ?", store["seq"], file_id)


def attributes(tx: Transaction, entry: sqlite3.Row) -> dict[str, Any] | None:
    """A store file's attributes as this service tells them."""
    parse_int = float if tx.dialect.floats else int
    told: dict[str, Any] = json.loads(entry["attributes"], parse_int=parse_int)
    return None if tx.dialect.null_attributes and not told else told


def batch(tx: Transaction, store: sqlite3.Row, batch_id: str) -> sqlite3.Row:
    if tx.dialect.checks_ids and not batch_id.startswith(tx.dialect.batch_ids):
        raise ApiError(
            400,
            f"Invalid 'batch_id': '{batch_id}'. Expected an ID that begins with '{tx.dialect.batch_ids}'.",
            code="invalid_value",
            param="batch_id",
        )
    found = tx.one("select * from batches where store = ? and id = ?", store["seq"], batch_id)
    if found:
        return found
    raise tx.missing(f"File batch '{batch_id}' in vector store '{store['id']}'")


def age(tx: Transaction, store: sqlite3.Row) -> float:
    """Seconds since a store was created."""
    return tx.moment - float(store["created_at"])


def expires_at(store: sqlite3.Row) -> int | None:
    if store["expires_days"] is None:
        return None
    return int(store["last_active_at"] + store["expires_days"] * DAY)


def expired(tx: Transaction, store: sqlite3.Row) -> bool:
    end = expires_at(store)
    return end is not None and end <= tx.now


def touch(tx: Transaction, store: sqlite3.Row) -> None:
    """Put off the expiry of a store in use; one that has expired stays so."""
    if not expired(tx, store):
        tx.run("update stores set last_active_at = ? where seq = ?", tx.now, store["seq"])


def counted(tx: Transaction, column: str, seq: int) -> tuple[dict[str, int], int]:
    """The `file_counts` of a store or a batch, and the bytes its files use."""
    rows = tx.all(f"select status, count(*), sum(usage_bytes) from store_files where {column} = ? group by status", seq)
    counts = dict.fromkeys(STATUSES, 0) | {row[0]: row[1] for row in rows}
    return {**counts, "total": sum(counts.values())}, sum(row[2] for row in rows)
