"""Answering a search: words of the question against the store's full-text index, best chunks first.

Not semantic, and words are what lies between spaces and signs: text without spaces is found as a whole only.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from vssync.local import index, rows
from vssync.local.filters import Predicate
from vssync.local.transaction import Transaction

MOST_WORDS = 64  # of one question; FTS5 limits how large an expression may be


def search(tx: Transaction, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
    store = rows.usable_store(tx, store_id)
    rows.touch(tx, store)
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
    for chunk, attributes, score in index.matches(tx, store["seq"], words) if words else ():
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
        "attributes": rows.attributes(tx, row),
        "content": [{"type": "text", "text": row["text"]}],
    }
