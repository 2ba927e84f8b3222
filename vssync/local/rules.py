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
MOST_IN_BATCH = 2000
LAX_MOST = 1_000_000  # where no limit is enforced
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


@dataclass(frozen=True, slots=True)
class Attaching:
    """The checks of bodies that say how files are attached."""

    attachment: Check
    batch: Check
    update: Check


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


def strategy(size: Check, overlap: Check) -> Check:
    fields = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    static = record(fields, required=tuple(fields))
    return tagged(
        {
            "auto": record({"type": text()}),
            "static": record({"type": text(), "static": static}, required=("static",)),
        }
    )


STRATEGY = strategy(integer(100, 4096), integer(0, 4096))
LAX_STRATEGY = strategy(integer(1, LAX_MOST), integer(0, LAX_MOST))


def chunking(value: Any, where: str) -> Chunking:
    found = sizes(STRATEGY(value, where))
    if found.overlap * 2 > found.size:
        raise invalid(f"{where}.static.chunk_overlap_tokens", "it must not exceed half of the chunk size")
    return found


def sizes(strategy: dict[str, Any]) -> Chunking:
    if strategy["type"] == "auto":
        return Chunking()
    return Chunking(*(strategy["static"][name] for name in ("max_chunk_size_tokens", "chunk_overlap_tokens")))


def lax_attributes(value: Any, where: str) -> dict[str, Any]:
    """As many and as long as one likes; still no objects or lists."""
    found = {} if value is None else dict(typed(value, where, dict))
    for key, one in found.items():
        typed(one, f"{where}.{key}", str, bool, int, float)
    return found


def lax_chunking(value: Any, where: str) -> Chunking:
    """Any sizes with an overlap below the size."""
    found = sizes(LAX_STRATEGY(value, where))
    if found.overlap >= found.size:
        raise invalid(f"{where}.static.chunk_overlap_tokens", "it must be smaller than the chunk size")
    return found


FILE = text(least=1)


def attach(file_id: str, said: dict[str, Any]) -> Attachment:
    return Attachment(file_id, said.get("attributes", {}), said.get("chunking_strategy", Chunking()))


def attaching(attributes: Check, chunking: Check, most: int) -> Attaching:
    """The checks for given rules of attributes, chunking, and the size of a batch."""
    ingestion = {"attributes": attributes, "chunking_strategy": chunking}
    one_file = record({"file_id": FILE, **ingestion}, required=("file_id",))

    def attachment(value: Any, where: str) -> Attachment:
        said = one_file(value, where)
        return attach(said["file_id"], said)

    files = record({"file_ids": array(FILE, 1, most), "files": array(attachment, 1, most), **ingestion})

    def batch(value: Any, where: str) -> BatchRequest:
        """`files` carry their own attributes and chunking; those beside them count for `file_ids` only."""
        said = files(value, where)
        if ("file_ids" in said) == ("files" in said):
            raise invalid("file_ids", "exactly one of 'file_ids' and 'files' must be given")
        if "files" in said:
            return BatchRequest(tuple(said["files"]), by_files=True)
        return BatchRequest(tuple(attach(file_id, said) for file_id in said["file_ids"]), by_files=False)

    return Attaching(attachment, batch, record({"attributes": attributes}, required=("attributes",)))


STRICT = attaching(attributes, chunking, MOST_IN_BATCH)
LAX = attaching(lax_attributes, lax_chunking, LAX_MOST)
attachment, batch, ATTRIBUTES = STRICT.attachment, STRICT.batch, STRICT.update

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
