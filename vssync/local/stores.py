"""Vector stores. What can be counted is counted when asked, so counts, status and usage always agree."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from vssync.local import queries, search
from vssync.local.paging import Page, listing
from vssync.local.store_files import OWN_SETTINGS, attach
from vssync.local.transaction import Transaction, new_id


def create(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    store_id = new_id(tx.dialect.store_ids)
    metadata = body.get("metadata", {}) | (OWN_SETTINGS if tx.dialect.settings_in_metadata else {})
    seq = tx.run(
        "insert into stores (id, name, description, metadata, created_at, last_active_at, expires_days)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        *(store_id, body.get("name", ""), body.get("description"), json.dumps(metadata)),
        *(tx.now, tx.now, days(body.get("expires_after"))),
    )
    search.create(tx, seq)
    attach(tx, queries.store(tx, store_id), body["attachments"])
    return get(tx, store_id)


def days(expires_after: dict[str, Any] | None) -> int | None:
    return expires_after["days"] if expires_after else None


def get(tx: Transaction, store_id: str) -> dict[str, Any]:
    return shape(tx, queries.store(tx, store_id))


def page(tx: Transaction, page: Page) -> dict[str, Any]:
    return listing(tx, "stores", {}, page, lambda row: shape(tx, row))


def update(tx: Transaction, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Only what was sent changes; null takes the setting away."""
    store = queries.usable_store(tx, store_id)
    changes: dict[str, Any] = {}
    if "name" in body:
        changes["name"] = body["name"] or ""
    if "metadata" in body:
        changes["metadata"] = json.dumps(body["metadata"])
    if "expires_after" in body:
        changes["expires_days"] = days(body["expires_after"])
    for column, value in changes.items():
        tx.run(f"update stores set {column} = ? where seq = ?", value, store["seq"])
    queries.touch(tx, store)
    return get(tx, store_id)


def delete(tx: Transaction, store_id: str) -> dict[str, Any]:
    """Files, batches and chunks of the store go with it; the uploaded Files stay."""
    store = queries.store(tx, store_id)
    search.drop(tx, store["seq"])
    tx.run("delete from stores where seq = ?", store["seq"])
    return {"id": store_id, "object": "vector_store.deleted", "deleted": True}


def shape(tx: Transaction, row: sqlite3.Row) -> dict[str, Any]:
    counts, used = queries.counted(tx, "store", row["seq"])
    creating = queries.age(tx, row) < tx.dialect.creating_seconds
    working = "in_progress" if creating or counts["in_progress"] else "completed"
    policy = row["expires_days"] and {"anchor": "last_active_at", "days": row["expires_days"]}
    return {
        "id": row["id"],
        "object": "vector_store",
        "created_at": row["created_at"],
        "name": row["name"],
        "description": row["description"],
        "usage_bytes": used,
        "file_counts": counts,
        "status": "expired" if queries.expired(tx, row) else working,
        **({"expires_after": policy} if policy else {}),
        "expires_at": queries.expires_at(row),
        "last_active_at": row["last_active_at"],
        "metadata": json.loads(row["metadata"]),
    }
