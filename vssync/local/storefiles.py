"""A store's files, one at a time or as a listing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from vssync.local import index, ingest, rows
from vssync.local.attaching import attach, detach
from vssync.local.options import Echo
from vssync.local.paging import Page, listing
from vssync.local.rules import Attachment
from vssync.local.transaction import Transaction


def create(tx: Transaction, store_id: str, body: Attachment) -> dict[str, Any]:
    attach(tx, rows.usable_store(tx, store_id), [body])
    if tx.dialect.attaches_at_once:
        ingest.advance(tx, store_id)
    return get(tx, store_id, body.file_id)


def get(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    store = rows.store(tx, store_id)
    return shaper(tx, store)(rows.store_file(tx, store, file_id))


def page(tx: Transaction, store_id: str, page: Page) -> dict[str, Any]:
    store = rows.store(tx, store_id)
    return listing(tx, "store_files", {"store": store["seq"]}, page, shaper(tx, store, listed=True))


def update(tx: Transaction, store_id: str, file_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """The attributes sent replace all there were."""
    store = rows.usable_store(tx, store_id)
    entry = rows.store_file(tx, store, file_id)
    attributes = json.dumps(body["attributes"])
    columns = ("attributes",) if tx.dialect.stale_filters else ("attributes", "filtered")
    for column in columns:
        tx.run(f"update store_files set {column} = ? where seq = ?", attributes, entry["seq"])
    rows.touch(tx, store)
    return get(tx, store_id, file_id)


def delete(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    store = rows.store(tx, store_id)
    detach(tx, rows.store_file(tx, store, file_id))
    rows.touch(tx, store)
    return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}


def content(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    """The chunks a file was cut into; none unless it is completed."""
    entry = rows.store_file(tx, rows.store(tx, store_id), file_id)
    parts = [{"type": "text", "text": text} for text in index.texts(tx, entry["seq"])]
    if tx.dialect.content_pages:
        kind = "vector_store.file_content.page"
        return {"object": kind, "data": parts, "has_more": False, "next_page": None}
    return {
        "file_id": file_id,
        "filename": rows.file(tx, file_id)["filename"],
        "attributes": rows.attributes(tx, entry),
        "content": parts,
    }


def shaper(tx: Transaction, store: sqlite3.Row, *, listed: bool = False) -> Callable[[sqlite3.Row], dict[str, Any]]:
    """How a row of this store looks in an answer."""
    forgets = listed and tx.dialect.forgets_errors

    def shape(entry: sqlite3.Row) -> dict[str, Any]:
        return {
            "id": entry["id"],
            "object": "vector_store.file",
            "usage_bytes": entry["usage_bytes"],
            "created_at": entry["created_at"],
            "vector_store_id": store["id"],
            "status": entry["status"],
            "last_error": None if forgets else last_error(entry),
            "chunking_strategy": chunking_strategy(entry, tx.dialect.echoes),
            "attributes": rows.attributes(tx, entry),
        }

    return shape


def last_error(entry: sqlite3.Row) -> dict[str, str] | None:
    if entry["error_code"] is None:
        return None
    return {"code": entry["error_code"], "message": entry["error_message"]}


def chunking_strategy(entry: sqlite3.Row, echoes: Echo) -> dict[str, Any] | None:
    if echoes is Echo.NULL:
        return None
    if echoes is Echo.AUTO and entry["batch"] is not None:
        return {"type": "auto"}
    sizes = {
        "max_chunk_size_tokens": entry["chunk_size"],
        "chunk_overlap_tokens": entry["chunk_overlap"],
    }
    return {"type": "static", "static": sizes}
