"""Files entering and leaving a store, wherever the request came from: store, store file, batch or File."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from vssync.local import index, rows, texts
from vssync.local.errors import ApiError
from vssync.local.rules import Attachment
from vssync.local.transaction import Transaction


def attach(tx: Transaction, store: sqlite3.Row, wanted: Sequence[Attachment], batch: int | None = None) -> None:
    """All or none: one File that is unknown, of a wrong type or attached already refuses the rest too."""
    for one in wanted:
        refuse_type(one.file_id, rows.file(tx, one.file_id)["filename"])
    tx.connection.executemany(
        "insert into store_files (store, id, batch, attributes, chunk_size, chunk_overlap, created_at)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        [row(tx, store, one, batch) for one in unattached(tx, store, wanted)],
    )
    rows.touch(tx, store)


def row(tx: Transaction, store: sqlite3.Row, one: Attachment, batch: int | None) -> tuple[object, ...]:
    attributes = json.dumps(one.attributes)
    return (store["seq"], one.file_id, batch, attributes, one.chunking.size, one.chunking.overlap, tx.now)


def refuse_type(file_id: str, filename: str) -> None:
    if (found := texts.extension(filename)) not in texts.ACCEPTED:
        raise ApiError(
            400,
            f"File '{file_id}' has the type '{found}', which cannot be searched;"
            f" use one of {', '.join(sorted(texts.ACCEPTED))}.",
            code="unsupported_file",
            param="file_id",
        )


def unattached(tx: Transaction, store: sqlite3.Row, wanted: Sequence[Attachment]) -> list[Attachment]:
    found: dict[str, Attachment] = {}
    for one in wanted:
        there = one.file_id in found or rows.attached(tx, store, one.file_id)
        if there and not tx.options.dialect.reattaches:
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
    index.remove(tx, entry["store"], entry["seq"])
    tx.run("delete from store_files where seq = ?", entry["seq"])
