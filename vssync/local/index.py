"""The full-text index of a store: one FTS5 table each, over the shared table of chunks.

The index keeps no text of its own, so every change of `chunks` is told to it here, in the same transaction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from vssync.local.transaction import Transaction

SATURATION = 2.2  # FTS5's bm25: no term is worth more than this many times its rarity (k1 + 1)


def table(store: int) -> str:
    return f"fts_{int(store)}"


def create(tx: Transaction, store: int) -> None:
    tx.run(
        f"create virtual table {table(store)} using fts5(text, content='chunks', content_rowid='seq',"
        " tokenize='porter unicode61 remove_diacritics 2')"
    )


def drop(tx: Transaction, store: int) -> None:
    tx.run(f"drop table {table(store)}")


def add(tx: Transaction, store: int, store_file: int, pieces: Sequence[str]) -> None:
    tx.connection.executemany(
        "insert into chunks (store_file, text) values (?, ?)", [(store_file, piece) for piece in pieces]
    )
    tx.run(
        f"insert into {table(store)} (rowid, text) select seq, text from chunks where store_file = ?",
        store_file,
    )


def remove(tx: Transaction, store: int, store_file: int) -> None:
    name = table(store)
    tx.run(
        f"insert into {name} ({name}, rowid, text) select 'delete', seq, text from chunks where store_file = ?",
        store_file,
    )
    tx.run("delete from chunks where store_file = ?", store_file)


def texts(tx: Transaction, store_file: int) -> list[str]:
    """A file's chunks, in its order."""
    return [row["text"] for row in tx.all("select text from chunks where store_file = ? order by seq", store_file)]


def matches(tx: Transaction, store: int, words: Sequence[str]) -> Iterator[tuple[int, str, float]]:
    """Chunks with any of the words, best first: chunk, its file's attributes as JSON, score in 0..1.

    The score is the share of what an ideal chunk would get, which keeps it comparable between questions and
    low where the rare word of the question is missing.
    """
    name = table(store)
    terms = [f'"{word}"' for word in words]
    ideal = SATURATION * sum(rarities(tx, name, terms))
    found = tx.connection.execute(
        f"select chunks.seq, filtered, {name}.rank from {name}"
        f" join chunks on chunks.seq = {name}.rowid join store_files on store_files.seq = chunks.store_file"
        f" where {name} match ? order by {name}.rank, chunks.seq",
        (" OR ".join(terms),),
    )
    for chunk, attributes, rank in found:
        yield chunk, attributes, min(1.0, -rank / ideal)


def rarities(tx: Transaction, name: str, terms: Sequence[str]) -> Iterator[float]:
    """Each term's inverse document frequency, by the formula FTS5 itself uses."""
    (total,) = tx.connection.execute(f"select count(*) from {name}_docsize").fetchone()
    for term in terms:
        (holding,) = tx.connection.execute(f"select count(*) from {name} where {name} match ?", (term,)).fetchone()
        yield max(math.log((total - holding + 0.5) / (holding + 0.5)), 1e-6)
