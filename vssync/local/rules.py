"""The rules of the OpenAI spec for what a request may say, as tables of checks, one for each body.

Results are ready to use: chunking as `ChunkSizes`, files to attach as `Attachment`s, filters as predicates.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vssync.local.checks import (
    Check,
    array,
    boolean,
    choice,
    in_range,
    integer,
    invalid_error,
    nullable,
    record,
    require_type,
    tagged,
    text,
)

Predicate = Callable[[Mapping[str, Any]], bool]
PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
STATUSES = ("in_progress", "completed", "failed", "cancelled")
DAY = 86_400
MOST_IN_BATCH = 2000
LAX_MOST = 1_000_000  # where no limit is enforced
BATCH_FILE_LIFETIME = 30 * DAY  # of Files uploaded for the Batch API, unless they say otherwise


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    size: int = 800
    overlap: int = 400


@dataclass(frozen=True, slots=True)
class Attachment:
    """A File on its way into a store."""

    file_id: str
    attributes: dict[str, Any]
    chunking: ChunkSizes


@dataclass(frozen=True, slots=True)
class BatchRequest:
    attachments: tuple[Attachment, ...]
    by_files: bool  # sent as `files` rather than `file_ids`


@dataclass(frozen=True, slots=True)
class AttachChecks:
    """The checks of bodies that say how files are attached."""

    attachment: Check
    batch: Check
    update: Check


def check_pairs(value: Any, path: str) -> dict[str, Any]:
    """What `attributes` and `metadata` share: at most 16 keys of at most 64 characters."""
    pairs = {} if value is None else dict(require_type(value, path, dict))
    if len(pairs) > 16:
        raise invalid_error(path, "it must not have more than 16 keys")
    for key in pairs:
        if len(key) > 64:
            raise invalid_error(path, f"the key '{key[:64]}...' is longer than 64 characters")
    return pairs


def check_attributes(value: Any, path: str) -> dict[str, Any]:
    attributes = check_pairs(value, path)
    for key, attribute in attributes.items():
        check_scalar(attribute, f"{path}.{key}")
    return attributes


def check_scalar(value: Any, path: str) -> None:
    if type(value) is str:
        text(most=512)(value, path)
    elif type(value) not in (bool, int, float):
        raise invalid_error(path, "it must be a string, a number or a boolean", "invalid_type")
    elif not abs(value) <= sys.float_info.max:
        raise invalid_error(path, "it is not a finite number")


def check_metadata(value: Any, path: str) -> dict[str, str]:
    return {key: text(most=512)(entry, f"{path}.{key}") for key, entry in check_pairs(value, path).items()}


def strategy_check(check_size: Check, check_overlap: Check) -> Check:
    fields = {"max_chunk_size_tokens": check_size, "chunk_overlap_tokens": check_overlap}
    static = record(fields, required=tuple(fields))
    return tagged(
        {
            "auto": record({"type": text()}),
            "static": record({"type": text(), "static": static}, required=("static",)),
        }
    )


STRATEGY = strategy_check(integer(100, 4096), integer(0, 4096))
LAX_STRATEGY = strategy_check(integer(1, LAX_MOST), integer(0, LAX_MOST))


def check_chunking(value: Any, path: str) -> ChunkSizes:
    chunking = chunk_sizes(STRATEGY(value, path))
    if chunking.overlap * 2 > chunking.size:
        raise invalid_error(f"{path}.static.chunk_overlap_tokens", "it must not exceed half of the chunk size")
    return chunking


def chunk_sizes(strategy: dict[str, Any]) -> ChunkSizes:
    if strategy["type"] == "auto":
        return ChunkSizes()
    return ChunkSizes(*(strategy["static"][name] for name in ("max_chunk_size_tokens", "chunk_overlap_tokens")))


def check_lax_attributes(value: Any, path: str) -> dict[str, Any]:
    """Any number of any length; still no objects or lists."""
    attributes = {} if value is None else dict(require_type(value, path, dict))
    for key, attribute in attributes.items():
        require_type(attribute, f"{path}.{key}", str, bool, int, float)
    return attributes


def check_lax_chunking(value: Any, path: str) -> ChunkSizes:
    """Any sizes with an overlap below the size."""
    chunking = chunk_sizes(LAX_STRATEGY(value, path))
    if chunking.overlap >= chunking.size:
        raise invalid_error(f"{path}.static.chunk_overlap_tokens", "it must be smaller than the chunk size")
    return chunking


FILE_ID = text(least=1)


def build_attachment(file_id: str, settings: dict[str, Any]) -> Attachment:
    return Attachment(file_id, settings.get("attributes", {}), settings.get("chunking_strategy", ChunkSizes()))


def attach_checks(check_attributes: Check, check_chunking: Check, most: int) -> AttachChecks:
    """The checks for given rules of attributes, chunking, and the size of a batch."""
    settings = {"attributes": check_attributes, "chunking_strategy": check_chunking}
    check_file = record({"file_id": FILE_ID, **settings}, required=("file_id",))

    def check_attachment(value: Any, path: str) -> Attachment:
        body = check_file(value, path)
        return build_attachment(body["file_id"], body)

    check_files = record({"file_ids": array(FILE_ID, 1, most), "files": array(check_attachment, 1, most), **settings})

    def check_batch(value: Any, path: str) -> BatchRequest:
        """`files` carry their own attributes and chunking; those beside them count for `file_ids` only."""
        body = check_files(value, path)
        if ("file_ids" in body) == ("files" in body):
            raise invalid_error("file_ids", "exactly one of 'file_ids' and 'files' must be given")
        if "files" in body:
            return BatchRequest(tuple(body["files"]), by_files=True)
        return BatchRequest(tuple(build_attachment(file_id, body) for file_id in body["file_ids"]), by_files=False)

    check_update = record({"attributes": check_attributes}, required=("attributes",))
    return AttachChecks(check_attachment, check_batch, check_update)


STRICT = attach_checks(check_attributes, check_chunking, MOST_IN_BATCH)
LAX = attach_checks(check_lax_attributes, check_lax_chunking, LAX_MOST)

STORE_EXPIRY = record({"anchor": choice("last_active_at"), "days": integer(1, 365)}, required=("anchor", "days"))
NEW_STORE = record(
    {
        "name": text(),
        "description": text(),
        "metadata": check_metadata,
        "expires_after": STORE_EXPIRY,
        "file_ids": array(FILE_ID, 0, 500),
        "chunking_strategy": check_chunking,
    }
)


def check_new_store(value: Any, path: str) -> dict[str, Any]:
    body: dict[str, Any] = NEW_STORE(value, path)
    return {**body, "attachments": [build_attachment(file_id, body) for file_id in body.get("file_ids", ())]}


STORE_UPDATE = record({"name": nullable(text()), "metadata": check_metadata, "expires_after": nullable(STORE_EXPIRY)})

UPLOAD_EXPIRY = record(
    {"anchor": choice("created_at"), "seconds": integer(3600, 30 * DAY)}, required=("anchor", "seconds")
)
UPLOAD = record({"purpose": choice(*PURPOSES), "expires_after": UPLOAD_EXPIRY}, required=("purpose",))

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
    if require_type(value, path, dict).get("type") not in COMPOUNDS:
        return parse_comparison(value, path)
    if not depth:
        raise invalid_error(path, f"filters are nested deeper than {MAX_FILTER_DEPTH}")
    body = COMPOUND(value, path)
    combine = COMPOUNDS[body["type"]]
    inner = [parse_filter(entry, f"{path}.filters[{n}]", depth - 1) for n, entry in enumerate(body["filters"])]
    return lambda attributes: combine(holds(attributes) for holds in inner)


def filter_types(value: Mapping[str, Any]) -> Iterator[str]:
    """The types of a filter that was checked, and of all within it."""
    yield value["type"]
    for inner in value.get("filters", ()):
        yield from filter_types(inner)


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
    for kind in (str, int | float):
        if isinstance(left, kind) and isinstance(right, kind):
            return not isinstance(left, bool) and not isinstance(right, bool) and compare(left, right)
    return False


def check_queries(value: Any, path: str) -> list[str]:
    query = text(least=1)
    return [query(value, path)] if isinstance(value, str) else list(array(query, 1, 100)(value, path))


SEARCH = record(
    {
        "query": check_queries,
        "filters": parse_filter,
        "max_num_results": integer(1, 50),
        "ranking_options": record(
            {"ranker": choice("none", "auto", "default-2024-11-15"), "score_threshold": in_range(0, 1, float, int)}
        ),
        "rewrite_query": boolean,
    },
    required=("query",),
)
