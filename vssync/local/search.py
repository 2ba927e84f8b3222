"""Search: its filters, as predicates, and the full-text index of a store, one FTS5 table over the shared chunks.

The index keeps no text of its own, so every change of `chunks` is applied to it here, in the same transaction.
"""

from __future__ import annotations

import json
import math
import operator
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice, pairwise
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from vssync.local import queries
from vssync.local.database import UNSPACED, fold
from vssync.local.queries import Transaction
from vssync.local.rules import array, boolean, choice, in_range, integer, invalid_error, record, require_type, text

Span = tuple[int, int]  # where a part of a text begins and ends
Predicate = Callable[[Mapping[str, Any]], bool]
MAX_FILTER_DEPTH = 16  # nested compounds; more would be an attack, not a query
ORDERINGS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
COMPOUNDS = {"and": all, "or": any}
COMPARISON = record(
    {"type": choice("eq", "ne", *ORDERINGS, "in", "nin"), "key": text(), "value": lambda value, _path: value},
    required=("type", "key", "value"),
)
COMPOUND = record(
    {"type": choice(*COMPOUNDS), "filters": lambda value, path: require_type(value, path, list)},
    required=("type", "filters"),
)


def parse_filter(value: Any, path: str, depth: int = MAX_FILTER_DEPTH) -> Predicate:
    """A missing attribute equals nothing: `ne` and `nin` hold for it and every other comparison fails."""
    if require_type(value, path, dict).get("type") not in tuple(COMPOUNDS):  # whatever it is, hashable or not
        return parse_comparison(value, path)
    if not depth:
        raise invalid_error(path, f"filters are nested deeper than {MAX_FILTER_DEPTH}")
    body = COMPOUND(value, path)
    combine = COMPOUNDS[body["type"]]
    inner = [parse_filter(entry, f"{path}.filters[{n}]", depth - 1) for n, entry in enumerate(body["filters"])]
    return lambda attributes: combine(holds(attributes) for holds in inner)


def filter_types(value: Mapping[str, Any]) -> set[str]:
    """The types of a filter that was checked, and of all within it."""
    return {value["type"]}.union(*map(filter_types, value.get("filters", ())))


def parse_comparison(value: Any, path: str) -> Predicate:
    body = COMPARISON(value, path)
    kind, key, operand = body["type"], body["key"], body["value"]
    takes_list = kind in ("in", "nin")
    options = operand if takes_list else [operand]
    allowed = (str, int, float) if takes_list else (str, int, float, bool)
    if takes_list != isinstance(operand, list) or not all(type(option) in allowed for option in options):
        expected = "an array of strings and numbers" if takes_list else "a string, a number or a boolean"
        raise invalid_error(f"{path}.value", f"'{kind}' needs {expected}", "invalid_type")
    if kind in ORDERINGS:
        return lambda attributes: key in attributes and compare_ordered(ORDERINGS[kind], attributes[key], operand)
    negated = kind in ("ne", "nin")
    return lambda attributes: (
        negated != (key in attributes and any(equal_values(attributes[key], option) for option in options))
    )


def equal_values(left: Any, right: Any) -> bool:
    """1 and 1.0 are equal; true and 1 are not."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def compare_ordered(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """Numbers among numbers and strings among strings; nothing else has an order."""
    if isinstance(left, bool) or isinstance(right, bool) or isinstance(left, str) != isinstance(right, str):
        return False
    return compare(left, right)


def check_queries(value: Any, path: str) -> list[str]:
    query = text(least=1)
    return [query(value, path)] if isinstance(value, str) else list(array(query, 1, 100)(value, path))


RANKING = {"ranker": choice("none", "auto", "default-2024-11-15"), "score_threshold": in_range(0, 1, float, int)}
SEARCH = record(
    {
        "query": check_queries,
        "filters": parse_filter,
        "max_num_results": integer(1, 50),
        "ranking_options": record(RANKING),
        "rewrite_query": boolean,
    },
    required=("query",),
)


MOST_WORDS = 64  # of one query; FTS5 limits how large an expression may be
TOKENIZER = "porter unicode61 remove_diacritics 2"
TERM_SATURATION = 2.2  # FTS5's bm25: no term is worth more than this many times its rarity (k1 + 1)


def index_name(store: int) -> str:
    return f"fts_{int(store)}"


def create_index(tx: Transaction, store: int) -> None:
    tx.execute(f"create virtual table {index_name(store)} using fts5(text, content='', tokenize='{TOKENIZER}')")


# Chunks of the files of a store that are the same chunk: of one text, from the same place in it.
SAME_CHUNKS = "found and identity in (select identity from chunks where store_file = ?)"


def add_chunks(tx: Transaction, store: int, store_file: int, text: str, spans: Sequence[Span]) -> None:
    """Chunks of a text, by where each begins and ends. A service that shares them finds them in one file only."""
    whole = f"{store}:{sha256(text.encode()).hexdigest()}" if tx.dialect.shares_chunks else None
    tx.connection.executemany(
        "insert into chunks (store_file, text, identity) values (?, ?, ?)",
        [(store_file, text[start:end], whole and f"{whole}:{start}-{end}") for start, end in spans],
    )
    if whole:
        hide_chunks(tx, store, f"store_file <> ? and {SAME_CHUNKS}", store_file, store_file)
    tx.execute(
        f"insert into {index_name(store)} (rowid, text) select seq, indexed(text) from chunks where store_file = ?",
        store_file,
    )


def remove_chunks(tx: Transaction, store: int, store_file: int) -> None:
    hide_chunks(tx, store, SAME_CHUNKS, store_file)
    hide_chunks(tx, store, "found and store_file = ?", store_file)
    tx.execute("delete from chunks where store_file = ?", store_file)


def hide_chunks(tx: Transaction, store: int, condition: str, *values: object) -> None:
    name = index_name(store)
    chosen = f"select 'delete', seq, indexed(text) from chunks where {condition}"
    tx.execute(f"insert into {name} ({name}, rowid, text) {chosen}", *values)
    tx.execute(f"update chunks set found = 0 where {condition}", *values)


def match_chunks(tx: Transaction, store: int, words: Sequence[str]) -> Iterator[tuple[int, str, float]]:
    """Chunks with any of the words, best first: chunk, its file's attributes as JSON, score in 0..1.

    The score is the share of what an ideal chunk would get, which keeps it comparable between queries and
    low where the rare word of the query is missing. Each word's rarity is its inverse document frequency, by the
    formula FTS5 itself uses.
    """
    name = index_name(store)
    (total,) = tx.connection.execute(f"select count(*) from {name}_docsize").fetchone()
    rarity = 0.0
    for word in words:
        (matching,) = tx.connection.execute(
            f"select count(*) from {name} where {name} match ?", (match_expression([word]),)
        ).fetchone()
        rarity += max(math.log((total - matching + 0.5) / (matching + 0.5)), 1e-6)
    rows = tx.connection.execute(
        f"select chunks.seq, filtered, {name}.rank from {name}"
        f" join chunks on chunks.seq = {name}.rowid join store_files on store_files.seq = chunks.store_file"
        f" where {name} match ? order by {name}.rank, chunks.seq",
        (match_expression(words),),
    )
    for chunk, attributes, rank in rows:
        yield chunk, attributes, min(1.0, -rank / (TERM_SATURATION * rarity))


def search_store(tx: Transaction, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "vector_store.search_results.page",
        "search_query": body["query"],
        "data": find_hits(tx, store_id, body["query"], body),
        "has_more": False,
        "next_page": None,
    }


def find_hits(tx: Transaction, store_id: str, asked: Sequence[str], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The best chunks of a store for any of the queries, as a response has them, best first."""
    store = queries.require_active_store(tx, store_id)
    queries.touch_store(tx, store)
    limit = options.get("max_num_results", 10)
    best: dict[int, float] = {}
    for query in asked:
        for chunk, score in islice(best_chunks(tx, store, query, options), limit):
            best[chunk] = max(score, best.get(chunk, 0))
    ranked = sorted(best.items(), key=lambda hit: (-hit[1], hit[0]))[:limit]
    return [hit_body(tx, chunk, score) for chunk, score in ranked]


def query_words(query: str) -> list[str]:
    """What is searched for: each term once, and no more than the index can take."""
    return list(dict.fromkeys(query_terms(query)))[:MOST_WORDS]


def match_expression(words: Sequence[str]) -> str:
    """What FTS5 calls a text with any of the words."""
    return " OR ".join(f'"{word}"' for word in words)


def query_terms(query: str) -> Iterator[str]:
    """The words of a query; of a script without spaces, each two characters in a row."""
    for word in re.findall(r"\w+", fold(query)):
        for part in re.findall(f"{UNSPACED}+|(?:(?!{UNSPACED}).)+", word):
            if len(part) > 1 and re.match(UNSPACED, part):
                yield from (f"{first} {second}" for first, second in pairwise(part))
            else:
                yield part


def best_chunks(
    tx: Transaction, store: sqlite3.Row, query: str, options: Mapping[str, Any]
) -> Iterator[tuple[int, float]]:
    """The chunks for one query that pass the filter and the threshold, best first."""
    words = query_words(query)
    passes_filter: Predicate = options.get("filters", lambda _attributes: True)
    threshold = options.get("ranking_options", {}).get("score_threshold", 0)
    for chunk, attributes, score in match_chunks(tx, store["seq"], words) if words else ():
        if score < threshold:
            return
        if passes_filter(json.loads(attributes)):
            yield chunk, score


def hit_body(tx: Transaction, chunk: int, score: float) -> dict[str, Any]:
    row = tx.fetch_all(
        "select store_files.seq, store_files.id, filename, filtered, text from chunks"
        " join store_files on store_files.seq = store_file left join files on files.id = store_files.id"
        " where chunks.seq = ?",
        chunk,
    )[0]
    attributes = queries.decode_attributes(tx, row["filtered"])
    own_id = str(uuid5(NAMESPACE_OID, str(row["seq"]))) if tx.dialect.own_hit_ids else ""
    return {
        "file_id": own_id or row["id"],
        "filename": row["filename"] or "",
        "score": score,
        "attributes": {**(attributes or {}), "file_id": row["id"]} if own_id else attributes,
        "content": [{"type": "text", "text": row["text"]}],
    }
