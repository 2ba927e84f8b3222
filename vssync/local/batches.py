"""File batches: many Files attached by one request, all or none, and cancelled together.

A batch keeps no counts: it is what its files are, so a detached file leaves its batch too.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from vssync.local import queries, store_files
from vssync.local.checks import invalid
from vssync.local.dialects import Dialect
from vssync.local.errors import ApiError
from vssync.local.paging import Page, listing
from vssync.local.rules import BatchRequest
from vssync.local.store_files import attach
from vssync.local.transaction import Transaction, new_id


def create(tx: Transaction, store_id: str, body: BatchRequest) -> dict[str, Any]:
    store = queries.usable_store(tx, store_id)
    dialect = tx.dialect
    if body.by_files and not dialect.takes_files:
        raise invalid("files", "this service takes 'file_ids' only", "unknown_parameter")
    if not dialect.lax and len(body.attachments) > dialect.most_files:
        raise invalid("file_ids", f"it must have between 1 and {dialect.most_files} entries")
    batch_id = new_id(dialect.batch_ids)
    seq = tx.run("insert into batches (id, store, created_at) values (?, ?, ?)", batch_id, store["seq"], tx.now)
    ignored = body.by_files and dialect.ignores_files
    attach(tx, store, () if ignored else body.attachments, seq)
    return get(tx, store_id, batch_id)


def get(tx: Transaction, store_id: str, batch_id: str) -> dict[str, Any]:
    store = queries.store(tx, store_id)
    return shape(tx, store, queries.batch(tx, store, batch_id))


def page(tx: Transaction, store_id: str, page: Page) -> dict[str, Any]:
    if not tx.dialect.lists_batches:
        raise ApiError(405, "File batches cannot be listed.", code="method_not_allowed")
    store = queries.store(tx, store_id)
    return listing(tx, "batches", {"store": store["seq"]}, page, lambda row: shape(tx, store, row))


def files(tx: Transaction, store_id: str, batch_id: str, page: Page) -> dict[str, Any]:
    store = queries.store(tx, store_id)
    scope = {"batch": queries.batch(tx, store, batch_id)["seq"]}
    return listing(tx, "store_files", scope, page, store_files.shaper(tx, store, listed=True))


def cancel(tx: Transaction, store_id: str, batch_id: str) -> dict[str, Any]:
    """What is not done will not be; what is done stays. All of it stays listed."""
    store = queries.store(tx, store_id)
    batch = queries.batch(tx, store, batch_id)
    if shape(tx, store, batch)["status"] == "in_progress":
        tx.run("update batches set cancelled = 1 where seq = ?", batch["seq"])
        tx.run(
            "update store_files set status = 'cancelled' where batch = ? and status = 'in_progress'",
            batch["seq"],
        )
    elif not tx.dialect.cancels_finished:
        raise ApiError(400, f"File batch '{batch_id}' has already ended.", code="batch_ended")
    return get(tx, store_id, batch_id)


def shape(tx: Transaction, store: sqlite3.Row, row: sqlite3.Row) -> dict[str, Any]:
    counts, _ = queries.counted(tx, "batch", row["seq"])
    ended = "cancelled" if row["cancelled"] else "completed"
    return {
        "id": row["id"],
        "object": "vector_store.files_batch",
        "created_at": row["created_at"],
        "vector_store_id": store["id"],
        "status": "in_progress" if counts["in_progress"] else ended,
        "file_counts": told(tx.dialect, counts, cancelled=bool(row["cancelled"])),
    }


def told(dialect: Dialect, counts: dict[str, int], *, cancelled: bool) -> dict[str, int]:
    """The counts as this service tells them: some lag behind, some stop when a batch is cancelled."""
    late = counts["completed"] % dialect.count_steps if counts["in_progress"] else 0
    if cancelled and dialect.cancel_keeps_counts:
        stays = counts["in_progress"] + counts["cancelled"]
        return {**counts, "in_progress": stays, "cancelled": 0}
    return {**counts, "in_progress": counts["in_progress"] + late, "completed": counts["completed"] - late}


def drop(tx: Transaction) -> None:
    """What a restart does to batches under way in a service that keeps them in memory."""
    unfinished = "batch is not null and status = 'in_progress'"
    tx.run(f"update batches set cancelled = 1 where seq in (select batch from store_files where {unfinished})")
    tx.run(f"delete from store_files where {unfinished}")
