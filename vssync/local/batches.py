"""File batches: many Files attached by one request, all or none, and cancelled together.

A batch keeps no counts: it is what its files are, so a detached file leaves its batch too.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from vssync.local import queries, store_files
from vssync.local.checks import invalid_error
from vssync.local.dialects import Dialect
from vssync.local.errors import ApiError
from vssync.local.queries import PageRequest, list_page
from vssync.local.rules import BatchRequest
from vssync.local.store_files import attach_files
from vssync.local.transaction import Transaction, new_id


def create_batch(tx: Transaction, store_id: str, body: BatchRequest) -> dict[str, Any]:
    store = queries.require_active_store(tx, store_id)
    dialect = tx.dialect
    if body.by_files and not dialect.takes_files:
        raise invalid_error("files", "this service accepts 'file_ids' only", "unknown_parameter")
    if not dialect.lax and len(body.attachments) > dialect.most_files:
        raise invalid_error("file_ids", f"it must have between 1 and {dialect.most_files} entries")
    batch_id = new_id(dialect.batch_ids)
    seq = tx.execute("insert into batches (id, store, created_at) values (?, ?, ?)", batch_id, store["seq"], tx.now)
    attach_files(tx, store, () if body.by_files and dialect.ignores_files else body.attachments, seq)
    return get_batch(tx, store_id, batch_id)


def get_batch(tx: Transaction, store_id: str, batch_id: str) -> dict[str, Any]:
    store = queries.require_store(tx, store_id)
    return batch_body(tx, store, queries.require_batch(tx, store, batch_id))


def list_batches(tx: Transaction, store_id: str, page: PageRequest) -> dict[str, Any]:
    if not tx.dialect.lists_batches:
        raise ApiError(405, "File batches cannot be listed.", code="method_not_allowed")
    store = queries.require_store(tx, store_id)
    return list_page(tx, "batches", {"store": store["seq"]}, page, lambda row: batch_body(tx, store, row))


def list_batch_files(tx: Transaction, store_id: str, batch_id: str, page: PageRequest) -> dict[str, Any]:
    store = queries.require_store(tx, store_id)
    scope = {"batch": queries.require_batch(tx, store, batch_id)["seq"]}
    return list_page(tx, "store_files", scope, page, store_files.body_builder(tx, store, in_listing=True))


def cancel_batch(tx: Transaction, store_id: str, batch_id: str) -> dict[str, Any]:
    """Files in progress end as cancelled, the others stay as they are, and all stay listed."""
    store = queries.require_store(tx, store_id)
    batch = queries.require_batch(tx, store, batch_id)
    if batch_body(tx, store, batch)["status"] == "in_progress":
        tx.execute("update batches set cancelled = 1 where seq = ?", batch["seq"])
        tx.execute(
            "update store_files set status = 'cancelled' where batch = ? and status = 'in_progress'",
            batch["seq"],
        )
    elif not tx.dialect.cancels_finished:
        raise ApiError(400, f"File batch '{batch_id}' has already ended.", code="batch_ended")
    return get_batch(tx, store_id, batch_id)


def batch_body(tx: Transaction, store: sqlite3.Row, row: sqlite3.Row) -> dict[str, Any]:
    counts, _ = queries.count_by_status(tx, "batch", row["seq"])
    ended = "cancelled" if row["cancelled"] else "completed"
    return {
        "id": row["id"],
        "object": "vector_store.files_batch",
        "created_at": row["created_at"],
        "vector_store_id": store["id"],
        "status": "in_progress" if counts["in_progress"] else ended,
        "file_counts": reported_counts(tx.dialect, counts, cancelled=bool(row["cancelled"])),
    }


def reported_counts(dialect: Dialect, counts: dict[str, int], *, cancelled: bool) -> dict[str, int]:
    """The counts as this service returns them: some lag behind, some stop when a batch is cancelled."""
    lag = counts["completed"] % dialect.count_steps if counts["in_progress"] else 0
    if cancelled and dialect.cancel_keeps_counts:
        unfinished = counts["in_progress"] + counts["cancelled"]
        return {**counts, "in_progress": unfinished, "cancelled": 0}
    return {**counts, "in_progress": counts["in_progress"] + lag, "completed": counts["completed"] - lag}


def drop_unfinished(tx: Transaction) -> None:
    """What a restart does to unfinished batches in a service that keeps them in memory."""
    unfinished = "batch is not null and status = 'in_progress'"
    tx.execute(f"update batches set cancelled = 1 where seq in (select batch from store_files where {unfinished})")
    tx.execute(f"delete from store_files where {unfinished}")
