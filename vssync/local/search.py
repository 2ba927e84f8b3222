"""The full-text index of a store: one FTS5 table each, over the shared table of chunks.

The index keeps no text of its own, so every change of `chunks` is told to it here, in the same transaction.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from vssync.local import queries
from vssync.local.filters import Predicate
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


MOST_WORDS = 64  # of one question; FTS5 limits how large an expression may be


def search(tx: Transaction, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
    store = queries.usable_store(tx, store_id)
    queries.touch(tx, store)
    most = body.get("max_num_results", 10)
    best: dict[int, float] = {}
    for query in body["query"]:
        for chunk, score in found(tx, store, query, body, most):
            best[chunk] = max(score, best.get(chunk, 0))
    ranked = sorted(best.items(), key=lambda hit: (-hit[1], hit[0]))[:most]
    return {
        "object": "vector_store.search_results.page",
        "search_query": body["query"],
        "data": [shape(tx, chunk, score) for chunk, score in ranked],
        "has_more": False,
        "next_page": None,
    }


def found(
    tx: Transaction, store: sqlite3.Row, query: str, body: dict[str, Any], most: int
) -> Iterator[tuple[int, float]]:
    """The best chunks for one query that pass the filter and the threshold."""
    words = list(dict.fromkeys(re.findall(r"\w+", query.casefold())))[:MOST_WORDS]
    passes: Predicate = body.get("filters", lambda _attributes: True)
    threshold = body.get("ranking_options", {}).get("score_threshold", 0)
    for chunk, attributes, score in matches(tx, store["seq"], words) if words else ():
        if score < threshold or not most:
            return
        if passes(json.loads(attributes)):
            most -= 1
            yield chunk, score


def shape(tx: Transaction, chunk: int, score: float) -> dict[str, Any]:
    row = tx.all(
        "select store_files.id, filename, attributes, text from chunks"
        " join store_files on store_files.seq = store_file left join files on files.id = store_files.id"
        " where chunks.seq = ?",
        chunk,
    )[0]
    return {
        "file_id": row["id"],
        "filename": row["filename"] or "",
        "score": score,
        "attributes": queries.attributes(tx, row),
        "content": [{"type": "text", "text": row["text"]}],
    }
