"""Files entering and leaving a store, wherever the request came from: store, store file, batch or File."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from vssync.local import index, rows, texts
from vssync.local.errors import ApiError
from vssync.local.rules import Attachment, Chunking
from vssync.local.transaction import Transaction

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
    rows.touch(tx, store)


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
    name = str(rows.file(tx, one.file_id)["filename"])
    refused = tx.fates(one.file_id, name).refused
    found = texts.extension(name)
    accepted = texts.ACCEPTED.difference(tx.dialect.refuses, [found] if refused else ())
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
        there = one.file_id in found or rows.attached(tx, store, one.file_id)
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
            index.remove(tx, entry["store"], other["seq"])
    index.remove(tx, entry["store"], entry["seq"])
    tx.run("delete from store_files where seq = ?", entry["seq"])


def equals(tx: Transaction, entry: sqlite3.Row) -> list[sqlite3.Row]:
    """The other files of a store with the same content."""
    return tx.all(
        "select store_files.seq from store_files join files on files.id = store_files.id"
        " where store = ? and store_files.seq <> ? and blob = (select blob from files where id = ?)",
        *(entry["store"], entry["seq"], entry["id"]),
    )
