"""A store's files, attached and read one at a time or as a listing, and file batches, which attach and cancel many.

A batch keeps no counts: it is what its files are, so a detached file leaves its batch too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from vssync.local import ingestion, queries, search
from vssync.local.dialects import ChunkingEcho, ErrorStyle, Undeletable
from vssync.local.errors import ApiError
from vssync.local.queries import PageRequest, ToBody, Transaction, list_page, new_id
from vssync.local.rules import Attachment, BatchRequest, ChunkSizes, invalid_error

# What some services keep among a store's metadata, where an update can erase it.
OWN_SETTINGS: dict[str, str] = {"embedding_model": "words", "embedding_dimension": "1"}


def attach_file(tx: Transaction, store_id: str, body: Attachment) -> dict[str, Any]:
    attach_files(tx, queries.require_active_store(tx, store_id), [body])
    if tx.dialect.attaches_at_once:
        ingestion.advance_ingestion(tx, store_id)
    store = queries.require_store(tx, store_id)
    return body_builder(tx, store, is_attach=True)(queries.require_store_file(tx, store, body.file_id))


def get_store_file(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    store = queries.require_store(tx, store_id)
    return body_builder(tx, store)(queries.require_store_file(tx, store, file_id))


def list_store_files(tx: Transaction, store_id: str, page: PageRequest) -> dict[str, Any]:
    store = queries.require_store(tx, store_id)
    has_lost = "select 1 from gone where list = 'store_files' and store = ?"
    if tx.dialect.breaks_listings and tx.fetch_one(has_lost, store["seq"]):
        raise ApiError(400, "Invalid value: database is locked")
    dialect, to_body = tx.dialect, body_builder(tx, store, in_listing=True)
    rows = queries.shown_rows(tx, "store_files", late=dialect.late_files, ghosts=dialect.ghost_files, short=tx.short)
    return list_page(tx, "store_files", {"store": store["seq"]}, page, to_body, rows=rows)


def update_attributes(tx: Transaction, store_id: str, file_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """The attributes sent replace all there were."""
    store = queries.require_active_store(tx, store_id)
    entry = queries.require_store_file(tx, store, file_id)
    attributes = json.dumps(body["attributes"])
    for column in ("attributes",) if tx.dialect.stale_filters else ("attributes", "filtered"):
        tx.execute(f"update store_files set {column} = ? where seq = ?", attributes, entry["seq"])
    queries.touch_store(tx, store)
    return get_store_file(tx, store_id, file_id)


def detach_file(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    store = queries.require_store(tx, store_id)
    entry = queries.require_store_file(tx, store, file_id)
    queries.require_deletable(tx, Undeletable.STORE_FILES, f"File '{file_id}' in vector store '{store_id}'")
    if not tx.dialect.denies_deletions:
        leave_store(tx, entry)
        queries.touch_store(tx, store)
    return queries.deletion_body(tx, file_id, "vector_store.file.deleted")


def get_chunks(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    """The chunks a file was cut into; none unless it is completed."""
    entry = queries.require_store_file(tx, queries.require_store(tx, store_id), file_id)
    chunks = tx.fetch_all("select text from chunks where store_file = ? order by seq", entry["seq"])
    parts = [{"type": "text", "text": chunk["text"]} for chunk in chunks]
    if tx.dialect.content_pages:
        return {"object": "vector_store.file_content.page", "data": parts, "has_more": False, "next_page": None}
    return {
        "file_id": file_id,
        "filename": next((row[0] for row in tx.fetch_all("select filename from files where id = ?", file_id)), ""),
        "attributes": queries.decode_attributes(tx, entry["attributes"]),
        "content": parts,
    }


def body_builder(tx: Transaction, store: sqlite3.Row, *, in_listing: bool = False, is_attach: bool = False) -> ToBody:
    dialect, has_attributes = tx.dialect, tx.dialect.lists_attributes or not in_listing

    def build(entry: sqlite3.Row) -> dict[str, Any]:
        error = {"code": entry["error_code"], "message": entry["error_message"]}
        has_error = entry["error_code"] is not None and (is_attach or not dialect.forgets_errors)
        sizes = {"max_chunk_size_tokens": entry["chunk_size"], "chunk_overlap_tokens": entry["chunk_overlap"]}
        is_auto = dialect.echoes is ChunkingEcho.AUTO and entry["batch"] is not None
        chunking = {"type": "auto"} if is_auto else {"type": "static", "static": sizes}
        return {
            "id": entry["id"],
            "object": "vector_store.file",
            "usage_bytes": entry["usage_bytes"],
            "created_at": entry["created_at"],
            "vector_store_id": store["id"],
            "status": entry["status"],
            "last_error": error if has_error else None,
            "chunking_strategy": None if dialect.echoes is ChunkingEcho.NULL else chunking,
            "attributes": queries.decode_attributes(tx, entry["attributes"] if has_attributes else "{}"),
        }

    return build


def attach_files(
    tx: Transaction, store: sqlite3.Row, attachments: Sequence[Attachment], batch: int | None = None
) -> None:
    """All or none: one File that is unknown, of a wrong type or attached already refuses the rest too."""
    if tx.dialect.settings_in_metadata and not OWN_SETTINGS.keys() <= json.loads(store["metadata"]).keys():
        raise ApiError(500, f"Vector store '{store['id']}' has no embedding_model.", code="internal_error")
    names = {attachment.file_id: check_attachable(tx, attachment) for attachment in attachments}
    for attachment in attachments:
        name = names[attachment.file_id]
        if queries.find_store_file(tx, store, attachment.file_id):
            if tx.dialect.reattaches:
                continue
            message = f"File '{attachment.file_id}' is already attached to vector store '{store['id']}'."
            raise ApiError(400, message, code="file_already_attached", param="file_id")
        override = tx.overrides(attachment.file_id, name or "")
        chunking = ChunkSizes() if tx.dialect.ignores_chunking else attachment.chunking
        attributes = json.dumps(attachment.attributes)
        row: dict[str, object] = {
            "store": store["seq"],
            "id": attachment.file_id,
            "batch": batch,
            "attributes": attributes,
            "filtered": attributes,
            "chunk_size": chunking.size,
            "chunk_overlap": chunking.overlap,
            "ready_at": tx.time
            + tx.options.ingest_delay
            + override.delay
            + (tx.dialect.queued_seconds if batch else 0),
            "failure_code": override.code,
            "created_at": tx.now,
        }
        if name is None:  # the entry exists, and has failed
            row |= {"status": "failed", "error_code": "server_error", "error_message": "The File does not exist."}
        marks = ", ".join("?" * len(row))
        tx.execute(f"insert into store_files ({', '.join(row)}) values ({marks})", *row.values())
    queries.touch_store(tx, store)


def check_attachable(tx: Transaction, attachment: Attachment) -> str | None:
    """The File's name, if it may be attached; None where a File need not exist."""
    file_id = attachment.file_id
    if attachment.attributes and not tx.dialect.takes_attributes:
        raise ApiError(400, "Unknown parameter 'attributes'.", code="unknown_parameter", param="attributes")
    if tx.dialect.phantom_files and not tx.fetch_one("select 1 from files where id = ?", file_id):
        return None
    name = str(queries.require_file(tx, file_id)["filename"])
    refused_code = tx.overrides(file_id, name).refused
    extension = ingestion.file_extension(name)
    accepted = {*(tx.dialect.accepts or ingestion.ACCEPTED)}.difference(tx.dialect.refuses)
    if refused_code or (extension not in accepted and not tx.dialect.accepts_any_type):
        code = refused_code or "unsupported_file"
        message = (
            f"File '{file_id}' has the type '{extension}', which cannot be searched;"
            f" use one of {', '.join(sorted(accepted - {extension}))}."
        )
        if tx.dialect.errors is ErrorStyle.OCI:
            message = f"Unsupported file type '{extension[1:]}' found for {file_id}"
        raise ApiError(400, message, code=code, param="file_id")
    return name


def leave_store(tx: Transaction, entry: sqlite3.Row) -> None:
    if not tx.dialect.late_deletions:
        remove_store_file(tx, entry)
    elif entry["leaves_at"] is None:
        leaves_at = tx.time + tx.dialect.late_deletions
        tx.execute("update store_files set leaves_at = ? where seq = ?", leaves_at, entry["seq"])


def leaving_files(tx: Transaction) -> list[sqlite3.Row]:
    """Those whose time has come."""
    return tx.fetch_all("select * from store_files where leaves_at <= ?", tx.time) if tx.dialect.late_deletions else []


def remove_store_file(tx: Transaction, entry: sqlite3.Row) -> None:
    search.remove_chunks(tx, entry["store"], entry["seq"])
    dialect = tx.dialect
    kept = max(dialect.ghost_files, dialect.ghost_counts, dialect.late_counts)
    queries.keep_ghost(tx, "store_files", entry["seq"], kept)
    tx.execute("delete from store_files where seq = ?", entry["seq"])


def create_batch(tx: Transaction, store_id: str, body: BatchRequest) -> dict[str, Any]:
    store = queries.require_active_store(tx, store_id)
    dialect = tx.dialect
    if body.by_files and not dialect.takes_files:
        raise invalid_error("files", "this service accepts 'file_ids' only", "unknown_parameter")
    if not dialect.lax and len(body.attachments) > dialect.most_files:
        raise invalid_error("file_ids", f"it must have between 1 and {dialect.most_files} entries")
    batch_id = new_id(tx, dialect.batch_ids)
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
    return list_page(tx, "store_files", scope, page, body_builder(tx, store, in_listing=True))


def cancel_batch(tx: Transaction, store_id: str, batch_id: str) -> dict[str, Any]:
    """Files in progress end as cancelled, the others stay as they are, and all stay listed."""
    store = queries.require_store(tx, store_id)
    batch = queries.require_batch(tx, store, batch_id)
    if batch_body(tx, store, batch)["status"] == "in_progress":
        tx.execute("update batches set cancelled = 1 where seq = ?", batch["seq"])
        in_progress = "batch = ? and status = 'in_progress'"
        tx.execute(f"update store_files set status = 'cancelled' where {in_progress}", batch["seq"])
    elif not tx.dialect.cancels_finished:
        raise ApiError(400, f"File batch '{batch_id}' has already ended.", code="batch_ended")
    return get_batch(tx, store_id, batch_id)


def batch_body(tx: Transaction, store: sqlite3.Row, row: sqlite3.Row) -> dict[str, Any]:
    """Some services' counts lag behind, some stop when a batch is cancelled."""
    counts, _ = queries.count_by_status(tx, "batch", row["seq"])
    status = "in_progress" if counts["in_progress"] else "cancelled" if row["cancelled"] else "completed"
    is_queued = status == "in_progress" and tx.time - row["created_at"] < tx.dialect.queued_seconds
    if row["cancelled"] and tx.dialect.cancel_keeps_counts:
        counts |= {"in_progress": counts["in_progress"] + counts["cancelled"], "cancelled": 0}
    elif counts["in_progress"]:
        lag = counts["completed"] % tx.dialect.count_steps
        counts |= {"in_progress": counts["in_progress"] + lag, "completed": counts["completed"] - lag}
    return {
        "id": row["id"],
        "object": "vector_store.files_batch",
        "created_at": row["created_at"],
        "vector_store_id": store["id"],
        "status": "queued" if is_queued else status,
        "file_counts": counts,
    }


def drop_unfinished(tx: Transaction) -> None:
    """What a restart does to unfinished batches in a service that keeps them in memory."""
    unfinished = "batch is not null and status = 'in_progress'"
    tx.execute(f"update batches set cancelled = 1 where seq in (select batch from store_files where {unfinished})")
    tx.execute(f"delete from store_files where {unfinished}")
