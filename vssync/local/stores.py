"""Vector stores. What can be counted is counted when asked, so counts, status and usage always agree."""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from io import BytesIO
from typing import Any

from vssync.local import queries, search
from vssync.local.dialects import Undeletable
from vssync.local.files import ReceivedUpload, create_file
from vssync.local.queries import PageRequest, Transaction, list_page, new_id
from vssync.local.rules import Attachment, ChunkSizes
from vssync.local.store_files import OWN_SETTINGS, attach_files


def create_store(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    store_id = new_id(tx, tx.dialect.store_ids)
    metadata = body.get("metadata", {}) | (OWN_SETTINGS if tx.dialect.settings_in_metadata else {})
    seq = tx.execute(
        "insert into stores (id, name, description, metadata, created_at, last_active_at, expires_days)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        *(store_id, body.get("name", ""), body.get("description"), json.dumps(metadata)),
        *(tx.now, tx.now, expiry_days(body.get("expires_after"))),
    )
    search.create_index(tx, seq)
    store = queries.require_store(tx, store_id)
    attach_files(tx, store, body["attachments"])
    for number in range(tx.dialect.connector_files):
        add_connector_file(tx, store, number)
    return get_store(tx, store_id)


def add_connector_file(tx: Transaction, store: sqlite3.Row, number: int) -> None:
    """What a connector brings into a store from elsewhere; its File is no client's."""
    content = f"bucket object {number}\n".encode()
    digest = sha256(content).hexdigest()
    upload = ReceivedUpload(BytesIO(content), len(content), digest, f"{number}.md", "assistants", None)
    file_id = create_file(tx, upload)["id"]
    attach_files(tx, store, [Attachment(file_id, {}, ChunkSizes())])
    tx.execute("update files set purpose = ? where id = ?", queries.CONNECTOR, file_id)


def expiry_days(expires_after: dict[str, Any] | None) -> int | None:
    return expires_after["days"] if expires_after else None


def get_store(tx: Transaction, store_id: str) -> dict[str, Any]:
    return store_body(tx, queries.require_store(tx, store_id))


def list_stores(tx: Transaction, page: PageRequest) -> dict[str, Any]:
    dialect = tx.dialect
    rows = queries.shown_rows(tx, "stores", late=dialect.late_stores, ghosts=dialect.ghost_stores, short=tx.short)
    return list_page(tx, "stores", {}, page, lambda row: store_body(tx, row), rows=rows)


def update_store(tx: Transaction, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Only what was sent changes; null removes the setting."""
    store = queries.require_active_store(tx, store_id)
    changes: dict[str, Any] = {}
    if "name" in body:
        changes["name"] = body["name"] or ""
    if "metadata" in body:
        changes["metadata"] = json.dumps(body["metadata"])
    if "expires_after" in body:
        changes["expires_days"] = expiry_days(body["expires_after"])
    for column, value in changes.items():
        tx.execute(f"update stores set {column} = ? where seq = ?", value, store["seq"])
    queries.touch_store(tx, store)
    return get_store(tx, store_id)


def delete_store(tx: Transaction, store_id: str) -> dict[str, Any]:
    """Files, batches and chunks of the store go with it; the uploaded Files stay."""
    store = queries.require_store(tx, store_id)
    queries.require_deletable(tx, Undeletable.STORES, f"Vector store '{store_id}'")
    if not tx.dialect.denies_deletions:
        tx.execute(f"drop table {search.index_name(store['seq'])}")
        queries.keep_ghost(tx, "stores", store["seq"], tx.dialect.ghost_stores)
        tx.execute("delete from stores where seq = ?", store["seq"])
    return queries.deletion_body(tx, store_id, "vector_store.deleted")


def store_body(tx: Transaction, row: sqlite3.Row) -> dict[str, Any]:
    late = tx.dialect.late_counts
    files = queries.shown_rows(tx, "store_files", late=late, ghosts=max(late, tx.dialect.ghost_counts))
    counts, usage = queries.count_by_status(tx, "store", row["seq"], files)
    is_creating = queries.store_age(tx, row) < tx.dialect.creating_seconds
    status = "in_progress" if is_creating or counts["in_progress"] else "completed"
    days = row["expires_days"]
    expiry = {"expires_after": {"anchor": "last_active_at", "days": days}} if days else {}
    return {
        "id": row["id"],
        "object": "vector_store",
        "created_at": row["created_at"],
        "name": row["name"],
        "description": row["description"],
        "usage_bytes": usage,
        "file_counts": counts,
        "status": "expired" if queries.is_expired(tx, row) else status,
        **expiry,
        "expires_at": queries.expires_at(row),
        "last_active_at": row["last_active_at"],
        "metadata": json.loads(row["metadata"]),
    }
