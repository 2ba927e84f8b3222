"""The rules of the OpenAI spec for what a request may say, as tables of checks, one for each body.

Outcomes are ready to use: chunking as a `Chunking`, files to attach as `Attachment`s, absent values filled in.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from vssync.local.checks import (
    Check,
    array,
    boolean,
    choice,
    integer,
    invalid,
    nullable,
    number,
    record,
    tagged,
    text,
    typed,
)
from vssync.local.filters import predicate

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
STATUSES = ("in_progress", "completed", "failed", "cancelled")
DAY = 86_400
BATCH_FILE_LIFETIME = 30 * DAY  # of Files uploaded for the Batch API, unless they say otherwise


@dataclass(frozen=True, slots=True)
class Chunking:
    size: int = 800
    overlap: int = 400


@dataclass(frozen=True, slots=True)
class Attachment:
    """A File on its way into a store."""

    file_id: str
    attributes: dict[str, Any]
    chunking: Chunking


@dataclass(frozen=True, slots=True)
class BatchRequest:
    attachments: tuple[Attachment, ...]
    by_files: bool  # sent as `files` rather than `file_ids`


def pairs(value: Any, where: str) -> dict[str, Any]:
    """What `attributes` and `metadata` share: at most 16 keys of at most 64 characters."""
    if len(typed(value, where, dict)) > 16:
        raise invalid(where, "it must not have more than 16 keys")
    for key in value:
        if len(key) > 64:
            raise invalid(where, f"the key '{key[:64]}...' is longer than 64 characters")
    return dict(value)


def attributes(value: Any, where: str) -> dict[str, Any]:
    found = {} if value is None else pairs(value, where)
    for key, one in found.items():
        scalar(one, f"{where}.{key}")
    return found


def scalar(value: Any, where: str) -> None:
    if type(value) is str:
        text(most=512)(value, where)
    elif type(value) not in (bool, int, float):
        raise invalid(where, "it must be a string, a number or a boolean", "invalid_type")
    elif not abs(value) <= sys.float_info.max:
        raise invalid(where, "it is not a finite number")


def metadata(value: Any, where: str) -> dict[str, str]:
    found = {} if value is None else pairs(value, where)
    return {key: text(most=512)(one, f"{where}.{key}") for key, one in found.items()}


STATIC = record(
    {"max_chunk_size_tokens": integer(100, 4096), "chunk_overlap_tokens": integer(0, 4096)},
    required=("max_chunk_size_tokens", "chunk_overlap_tokens"),
)
STRATEGY = tagged(
    {
        "auto": record({"type": text()}),
        "static": record({"type": text(), "static": STATIC}, required=("static",)),
    }
)


def chunking(value: Any, where: str) -> Chunking:
    strategy = STRATEGY(value, where)
    if strategy["type"] == "auto":
        return Chunking()
    size, overlap = (strategy["static"][name] for name in ("max_chunk_size_tokens", "chunk_overlap_tokens"))
    if overlap * 2 > size:
        raise invalid(f"{where}.static.chunk_overlap_tokens", "it must not exceed half of the chunk size")
    return Chunking(size, overlap)


FILE = text(least=1)
INGESTION: dict[str, Check] = {"attributes": attributes, "chunking_strategy": chunking}
ONE_FILE = record({"file_id": FILE, **INGESTION}, required=("file_id",))


def attachment(value: Any, where: str) -> Attachment:
    said = ONE_FILE(value, where)
    return attach(said["file_id"], said)


def attach(file_id: str, said: dict[str, Any]) -> Attachment:
    return Attachment(file_id, said.get("attributes", {}), said.get("chunking_strategy", Chunking()))


BATCH = record(
    {"file_ids": array(FILE, 1, 2000), "files": array(attachment, 1, 2000), **INGESTION},
)


def batch(value: Any, where: str) -> BatchRequest:
    """`files` carry their own attributes and chunking; those beside them count for `file_ids` only."""
    said = BATCH(value, where)
    if ("file_ids" in said) == ("files" in said):
        raise invalid("file_ids", "exactly one of 'file_ids' and 'files' must be given")
    if "files" in said:
        return BatchRequest(tuple(said["files"]), by_files=True)
    return BatchRequest(tuple(attach(file_id, said) for file_id in said["file_ids"]), by_files=False)


STORE_EXPIRY = record({"anchor": choice("last_active_at"), "days": integer(1, 365)}, required=("anchor", "days"))
NEW_STORE = record(
    {
        "name": text(),
        "description": text(),
        "metadata": metadata,
        "expires_after": STORE_EXPIRY,
        "file_ids": array(FILE, 0, 500),
        "chunking_strategy": chunking,
    }
)


def new_store(value: Any, where: str) -> dict[str, Any]:
    said: dict[str, Any] = NEW_STORE(value, where)
    return {**said, "attachments": [attach(file_id, said) for file_id in said.get("file_ids", ())]}


STORE_UPDATE = record({"name": nullable(text()), "metadata": metadata, "expires_after": nullable(STORE_EXPIRY)})
ATTRIBUTES = record({"attributes": attributes}, required=("attributes",))

UPLOAD_EXPIRY = record(
    {"anchor": choice("created_at"), "seconds": integer(3600, 30 * DAY)}, required=("anchor", "seconds")
)
UPLOAD = record({"purpose": choice(*PURPOSES), "expires_after": UPLOAD_EXPIRY}, required=("purpose",))

QUERY = text(least=1)


def queries(value: Any, where: str) -> list[str]:
    return [QUERY(value, where)] if isinstance(value, str) else list(array(QUERY, 1, 100)(value, where))


SEARCH = record(
    {
        "query": queries,
        "filters": predicate,
        "max_num_results": integer(1, 50),
        "ranking_options": record(
            {"ranker": choice("none", "auto", "default-2024-11-15"), "score_threshold": number(0, 1)}
        ),
        "rewrite_query": boolean,
    },
    required=("query",),
)
