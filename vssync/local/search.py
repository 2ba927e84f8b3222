"""The full-text index of a store: one FTS5 table each, over the shared table of chunks.

The index keeps no text of its own, so every change of `chunks` is applied to it here, in the same transaction.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from vssync.local import queries
from vssync.local.rules import Predicate
from vssync.local.transaction import Transaction

TERM_SATURATION = 2.2  # FTS5's bm25: no term is worth more than this many times its rarity (k1 + 1)


def index_name(store: int) -> str:
    return f"fts_{int(store)}"


def create_index(tx: Transaction, store: int) -> None:
    tx.execute(
        f"create virtual table {index_name(store)} using fts5(text, content='chunks', content_rowid='seq',"
        " tokenize='porter unicode61 remove_diacritics 2')"
    )


def drop_index(tx: Transaction, store: int) -> None:
    tx.execute(f"drop table {index_name(store)}")


def add_chunks(tx: Transaction, store: int, store_file: int, chunks: Sequence[str]) -> None:
    tx.connection.executemany(
        "insert into chunks (store_file, text) values (?, ?)", [(store_file, chunk) for chunk in chunks]
    )
    tx.execute(
        f"insert into {index_name(store)} (rowid, text) select seq, text from chunks where store_file = ?",
        store_file,
    )


def remove_chunks(tx: Transaction, store: int, store_file: int) -> None:
    name = index_name(store)
    tx.execute(
        f"insert into {name} ({name}, rowid, text) select 'delete', seq, text from chunks where store_file = ?",
        store_file,
    )
    tx.execute("delete from chunks where store_file = ?", store_file)


def chunk_texts(tx: Transaction, store_file: int) -> list[str]:
    """A file's chunks, in its order."""
    return [
        row["text"] for row in tx.fetch_all("select text from chunks where store_file = ? order by seq", store_file)
    ]


def match_chunks(tx: Transaction, store: int, words: Sequence[str]) -> Iterator[tuple[int, str, float]]:
    """Chunks with any of the words, best first: chunk, its file's attributes as JSON, score in 0..1.

    The score is the share of what an ideal chunk would get, which keeps it comparable between queries and
    low where the rare word of the query is missing.
    """
    name = index_name(store)
    terms = [f'"{word}"' for word in words]
    ideal = TERM_SATURATION * sum(term_rarities(tx, name, terms))
    rows = tx.connection.execute(
        f"select chunks.seq, filtered, {name}.rank from {name}"
        f" join chunks on chunks.seq = {name}.rowid join store_files on store_files.seq = chunks.store_file"
        f" where {name} match ? order by {name}.rank, chunks.seq",
        (" OR ".join(terms),),
    )
    for chunk, attributes, rank in rows:
        yield chunk, attributes, min(1.0, -rank / ideal)


def term_rarities(tx: Transaction, name: str, terms: Sequence[str]) -> Iterator[float]:
    """Each term's inverse document frequency, by the formula FTS5 itself uses."""
    (total,) = tx.connection.execute(f"select count(*) from {name}_docsize").fetchone()
    for term in terms:
        (matching,) = tx.connection.execute(f"select count(*) from {name} where {name} match ?", (term,)).fetchone()
        yield max(math.log((total - matching + 0.5) / (matching + 0.5)), 1e-6)


MOST_WORDS = 64  # of one query; FTS5 limits how large an expression may be


def search_store(tx: Transaction, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
    store = queries.require_active_store(tx, store_id)
    queries.touch_store(tx, store)
    limit = body.get("max_num_results", 10)
    best: dict[int, float] = {}
    for query in body["query"]:
        for chunk, score in best_chunks(tx, store, query, body, limit):
            best[chunk] = max(score, best.get(chunk, 0))
    ranked = sorted(best.items(), key=lambda hit: (-hit[1], hit[0]))[:limit]
    return {
        "object": "vector_store.search_results.page",
        "search_query": body["query"],
        "data": [hit_body(tx, chunk, score) for chunk, score in ranked],
        "has_more": False,
        "next_page": None,
    }


def best_chunks(
    tx: Transaction, store: sqlite3.Row, query: str, body: dict[str, Any], limit: int
) -> Iterator[tuple[int, float]]:
    """The best chunks for one query that pass the filter and the threshold."""
    words = list(dict.fromkeys(re.findall(r"\w+", query.casefold())))[:MOST_WORDS]
    passes_filter: Predicate = body.get("filters", lambda _attributes: True)
    threshold = body.get("ranking_options", {}).get("score_threshold", 0)
    for chunk, attributes, score in match_chunks(tx, store["seq"], words) if words else ():
        if score < threshold or not limit:
            return
        if passes_filter(json.loads(attributes)):
            limit -= 1
            yield chunk, score


def hit_body(tx: Transaction, chunk: int, score: float) -> dict[str, Any]:
    row = tx.fetch_all(
        "select store_files.id, filename, attributes, text from chunks"
        " join store_files on store_files.seq = store_file left join files on files.id = store_files.id"
        " where chunks.seq = ?",
        chunk,
    )[0]
    return {
        "file_id": row["id"],
        "filename": row["filename"] or "",
        "score": score,
        "attributes": queries.decode_attributes(tx, row),
        "content": [{"type": "text", "text": row["text"]}],
    }
