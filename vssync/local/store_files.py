"""A store's files, one at a time or as a listing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vssync.local import ingestion, queries, search
from vssync.local.dialects import Echo
from vssync.local.errors import ApiError
from vssync.local.paging import Page, listing
from vssync.local.rules import Attachment, Chunking
from vssync.local.transaction import Transaction


def create(tx: Transaction, store_id: str, body: Attachment) -> dict[str, Any]:
    attach(tx, queries.usable_store(tx, store_id), [body])
    if tx.dialect.attaches_at_once:
        ingestion.advance(tx, store_id)
    return get(tx, store_id, body.file_id)


def get(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    store = queries.store(tx, store_id)
    return shaper(tx, store)(queries.store_file(tx, store, file_id))


def page(tx: Transaction, store_id: str, page: Page) -> dict[str, Any]:
    store = queries.store(tx, store_id)
    return listing(tx, "store_files", {"store": store["seq"]}, page, shaper(tx, store, listed=True))


def update(tx: Transaction, store_id: str, file_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """The attributes sent replace all there were."""
    store = queries.usable_store(tx, store_id)
    entry = queries.store_file(tx, store, file_id)
    attributes = json.dumps(body["attributes"])
    columns = ("attributes",) if tx.dialect.stale_filters else ("attributes", "filtered")
    for column in columns:
        tx.run(f"update store_files set {column} = ? where seq = ?", attributes, entry["seq"])
    queries.touch(tx, store)
    return get(tx, store_id, file_id)


def delete(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    store = queries.store(tx, store_id)
    detach(tx, queries.store_file(tx, store, file_id))
    queries.touch(tx, store)
    return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}


def content(tx: Transaction, store_id: str, file_id: str) -> dict[str, Any]:
    """The chunks a file was cut into; none unless it is completed."""
    entry = queries.store_file(tx, queries.store(tx, store_id), file_id)
    parts = [{"type": "text", "text": text} for text in search.texts(tx, entry["seq"])]
    if tx.dialect.content_pages:
        kind = "vector_store.file_content.page"
        return {"object": kind, "data": parts, "has_more": False, "next_page": None}
    return {
        "file_id": file_id,
        "filename": queries.file(tx, file_id)["filename"],
        "attributes": queries.attributes(tx, entry),
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
            "attributes": queries.attributes(tx, entry),
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


# What some services keep among a store's metadata, where an update can erase it.
OWN_SETTINGS: Mapping[str, str] = MappingProxyType({"embedding_model": "words", "embedding_dimension": "1"})

COLUMNS = (
    "store, id, batch, status, error_code, error_message, attributes, filtered, chunk_size, chunk_overlap,"
    " ready_at, fate, created_at"
)


def attach(tx: Transaction, store: sqlite3.Row, wanted: Sequence[Attachment], batch: int | None = None) -> None:
    """All or none: one File that is unknown, of a wrong type or attached already refuses the rest too."""
    if tx.dialect.settings_in_metadata and not OWN_SETTINGS.keys() <= json.loads(store["metadata"]).keys():
        raise ApiError(500, f"Vector store '{store['id']}' has no embedding_model.", code="internal_error")
    names = {one.file_id: accepted_name(tx, one) for one in wanted}
    places = ", ".join("?" * len(COLUMNS.split(",")))
    tx.connection.executemany(
        f"insert into store_files ({COLUMNS}) values ({places})",
        [row(tx, store, one, batch, names[one.file_id]) for one in unattached(tx, store, wanted)],
    )
    queries.touch(tx, store)


def row(
    tx: Transaction, store: sqlite3.Row, one: Attachment, batch: int | None, name: str | None
) -> tuple[object, ...]:
    """A File without a name is no File: its entry is there, and has failed."""
    attributes = json.dumps(one.attributes)
    chunking = Chunking() if tx.dialect.ignores_chunking else one.chunking
    fate = tx.fates(one.file_id, name or "")
    ready_at = tx.moment + tx.options.ingest_delay + fate.delay
    state = ("failed", "server_error", "The File does not exist.") if name is None else ("in_progress", None, None)
    return (
        *(store["seq"], one.file_id, batch, *state, attributes, attributes),
        *(chunking.size, chunking.overlap, ready_at, fate.code, tx.now),
    )


def accepted_name(tx: Transaction, one: Attachment) -> str | None:
    """The File's name, once it is clear that it may be attached; None where a File need not exist."""
    if one.attributes and not tx.dialect.takes_attributes:
        raise ApiError(400, "Unknown parameter 'attributes'.", code="unknown_parameter", param="attributes")
    if tx.dialect.phantom_files and not tx.one("select 1 from files where id = ?", one.file_id):
        return None
    name = str(queries.file(tx, one.file_id)["filename"])
    refused = tx.fates(one.file_id, name).refused
    found = ingestion.extension(name)
    accepted = ingestion.ACCEPTED.difference(tx.dialect.refuses, [found] if refused else ())
    if refused or (found not in accepted and not tx.dialect.accepts_any_type):
        raise ApiError(
            400,
            f"File '{one.file_id}' has the type '{found}', which cannot be searched;"
            f" use one of {', '.join(sorted(accepted))}.",
            code=refused or "unsupported_file",
            param="file_id",
        )
    return name


def unattached(tx: Transaction, store: sqlite3.Row, wanted: Sequence[Attachment]) -> list[Attachment]:
    found: dict[str, Attachment] = {}
    for one in wanted:
        there = one.file_id in found or queries.attached(tx, store, one.file_id)
        if there and not tx.dialect.reattaches:
            raise ApiError(
                400,
                f"File '{one.file_id}' is already attached to vector store '{store['id']}'.",
                code="file_already_attached",
                param="file_id",
            )
        if not there:
            found[one.file_id] = one
    return list(found.values())


def detach(tx: Transaction, entry: sqlite3.Row) -> None:
    if tx.dialect.shares_chunks:
        for other in equals(tx, entry):
            search.remove(tx, entry["store"], other["seq"])
    search.remove(tx, entry["store"], entry["seq"])
    tx.run("delete from store_files where seq = ?", entry["seq"])


def equals(tx: Transaction, entry: sqlite3.Row) -> list[sqlite3.Row]:
    """The other files of a store with the same content."""
    return tx.all(
        "select store_files.seq from store_files join files on files.id = store_files.id"
        " where store = ? and store_files.seq <> ? and blob = (select blob from files where id = ?)",
        *(entry["store"], entry["seq"], entry["id"]),
    )
