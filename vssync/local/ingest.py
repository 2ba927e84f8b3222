"""Ingestion: files in progress become completed or failed, a bounded amount whenever somebody looks.

There is no background thread, so nothing is lost in a crash and nothing happens that a test did not cause.
"""

from __future__ import annotations

import sqlite3

from vssync.local import index, rows, texts
from vssync.local.transaction import Transaction

SENTENCES = {  # of failures that were asked for
    "unsupported_file": "The file type is not supported.",
    "invalid_file": "The file could not be parsed because it is not valid.",
}


def advance(tx: Transaction, store_id: str | None) -> None:
    """Take the oldest waiting files, of one store or of all."""
    budget = tx.options.bytes_per_look
    for entry in waiting(tx, store_id, tx.options.files_per_look):
        ingest(tx, entry)
        budget -= entry["bytes"]
        if budget <= 0:
            return


def waiting(tx: Transaction, store_id: str | None, most: int) -> list[sqlite3.Row]:
    """The oldest files whose turn has come. Every look asks for one, so that must cost next to nothing."""
    scope = "and store = (select seq from stores where id = ?)" if store_id else ""
    return tx.all(
        "select store_files.*, filename, bytes from store_files join files on files.id = store_files.id"
        f" where status = 'in_progress' and ready_at <= ? {scope} order by store_files.seq limit ?",
        *(tx.moment, *([store_id] if store_id else []), most),
    )


def ingest(tx: Transaction, entry: sqlite3.Row) -> None:
    try:
        texts.check(entry["filename"], entry["bytes"], tx.dialect.unreadable)
        if entry["fate"]:
            raise texts.Unreadable(entry["fate"], SENTENCES.get(entry["fate"], "An internal error occurred."))
        text = texts.decode(rows.content(tx, entry["id"]))
        pieces = list(texts.chunks(text, entry["chunk_size"], entry["chunk_overlap"]))
    except texts.Unreadable as error:
        fail(tx, entry, error)
    else:
        index.add(tx, entry["store"], entry["seq"], pieces)
        used = sum(len(piece.encode()) for piece in pieces)
        tx.run("update store_files set status = 'completed', usage_bytes = ? where seq = ?", used, entry["seq"])


def fail(tx: Transaction, entry: sqlite3.Row, error: texts.Unreadable) -> None:
    tx.run(
        "update store_files set status = 'failed', error_code = ?, error_message = ? where seq = ?",
        *(error.code, str(error), entry["seq"]),
    )
