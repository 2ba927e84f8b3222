"""The rules of the OpenAI spec for what a request may say, as tables of checks, one for each body.

A check takes a value and its path in the body, as in `files[3].attributes`, and returns the value to work with
(chunking as `ChunkSizes`, files to attach as `Attachment`s) or raises the 400 that names the path.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vssync.local.errors import ApiError

Check = Callable[[Any, str], Any]

TYPE_NAMES: Mapping[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def invalid_error(path: str, problem: str, code: str = "invalid_value") -> ApiError:
    return ApiError(400, f"Invalid '{path or 'body'}': {problem}.", code=code, param=path or None)


def require_type(value: Any, path: str, *types: type) -> Any:
    """`type()` rather than `isinstance`: true is not an integer here."""
    if type(value) not in types:
        raise invalid_error(path, f"expected {TYPE_NAMES[types[0]]}, got {TYPE_NAMES[type(value)]}", "invalid_type")
    return value


def text(least: int = 0, most: int = sys.maxsize) -> Check:
    def check_text(value: Any, path: str) -> str:
        if not least <= len(require_type(value, path, str)) <= most:
            raise invalid_error(path, "it is empty" if not value else f"it is longer than {most} characters")
        return str(value)

    return check_text


def in_range(low: float, high: float, *types: type) -> Check:
    def check_range(value: Any, path: str) -> Any:
        if not low <= require_type(value, path, *types) <= high:
            raise invalid_error(path, f"it must be between {low} and {high}")
        return value

    return check_range


def integer(low: int, high: int) -> Check:
    return in_range(low, high, int)


def boolean(value: Any, path: str) -> bool:
    return bool(require_type(value, path, bool))


def choice(*names: str) -> Check:
    def check_choice(value: Any, path: str) -> str:
        if require_type(value, path, str) not in names:
            raise invalid_error(path, f"it must be one of {', '.join(names)}")
        return str(value)

    return check_choice


def array(check_entry: Check, least: int, most: int) -> Check:
    def check_array(value: Any, path: str) -> list[Any]:
        if not least <= len(require_type(value, path, list)) <= most:
            raise invalid_error(path, f"it must have between {least} and {most} entries, not {len(value)}")
        return [check_entry(entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    return check_array


def nullable(check: Check) -> Check:
    return lambda value, path: None if value is None else check(value, path)


def record(fields: Mapping[str, Check], required: tuple[str, ...] = (), clearable: tuple[str, ...] = ()) -> Check:
    """An object with these fields and no others; what was not sent is not in the result either.

    Clients send null for what they leave out, so only a required or a clearable field is asked whether it may be null.
    """

    def check_record(value: Any, path: str) -> dict[str, Any]:
        prefix = f"{path}." if path else ""
        for names, expected, problem in (
            (require_type(value, path, dict), fields, "Unknown"),
            (required, value, "Missing required"),
        ):
            if missing := [prefix + name for name in names if name not in expected]:
                code = f"{problem.lower().replace(' ', '_')}_parameter"
                raise ApiError(400, f"{problem} parameter '{missing[0]}'.", code=code, param=missing[0])
        sent = {name: entry for name, entry in value.items() if entry is not None or name in (*required, *clearable)}
        return {name: fields[name](entry, prefix + name) for name, entry in sent.items()}

    return check_record


def tagged(shapes: Mapping[str, Check]) -> Check:
    """An object whose `type` says which of the shapes it has."""
    check_tag = choice(*shapes)

    def check_tagged(value: Any, path: str) -> Any:
        if "type" not in require_type(value, path, dict):
            raise invalid_error(path, "it has no 'type'", "missing_required_parameter")
        return shapes[check_tag(value["type"], f"{path}.type")](value, path)

    return check_tagged


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
        if type(attribute) is str:
            text(most=512)(attribute, f"{path}.{key}")
        elif type(attribute) not in (bool, int, float):
            raise invalid_error(f"{path}.{key}", "it must be a string, a number or a boolean", "invalid_type")
        elif not abs(attribute) <= sys.float_info.max:
            raise invalid_error(f"{path}.{key}", "it is not a finite number")
    return attributes


def check_metadata(value: Any, path: str) -> dict[str, str]:
    return {key: text(most=512)(entry, f"{path}.{key}") for key, entry in check_pairs(value, path).items()}


def chunking_check(least: int, most: int, fits: Callable[[ChunkSizes], bool], rule: str) -> Check:
    fields = {"max_chunk_size_tokens": integer(least, most), "chunk_overlap_tokens": integer(0, most)}
    static = record({"type": text(), "static": record(fields, required=tuple(fields))}, required=("static",))
    check_strategy = tagged({"auto": record({"type": text()}), "static": static})

    def check_chunking(value: Any, path: str) -> ChunkSizes:
        strategy = check_strategy(value, path)
        is_static = strategy["type"] == "static"
        chunking = ChunkSizes(*(strategy["static"][name] for name in fields)) if is_static else ChunkSizes()
        if not fits(chunking):
            raise invalid_error(f"{path}.static.chunk_overlap_tokens", f"it must {rule}")
        return chunking

    return check_chunking


def check_lax_attributes(value: Any, path: str) -> dict[str, Any]:
    """Any number of any length; still no objects or lists."""
    attributes = {} if value is None else dict(require_type(value, path, dict))
    for key, attribute in attributes.items():
        require_type(attribute, f"{path}.{key}", str, bool, int, float)
    return attributes


FILE_ID = text(least=1)


def build_attachment(file_id: str, settings: dict[str, Any]) -> Attachment:
    return Attachment(file_id, settings.get("attributes", {}), settings.get("chunking_strategy", ChunkSizes()))


def attach_checks(check_attributes: Check, check_chunking: Check, most: int) -> tuple[Check, Check, Check]:
    """The checks of bodies that attach a file, attach a batch, and update a file's attributes."""
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

    return check_attachment, check_batch, record({"attributes": check_attributes}, required=("attributes",))


CHUNKING = chunking_check(100, 4096, lambda sizes: sizes.overlap * 2 <= sizes.size, "not exceed half of the chunk size")
LAX_CHUNKING = chunking_check(1, LAX_MOST, lambda sizes: sizes.overlap < sizes.size, "be smaller than the chunk size")
ATTACHMENT, BATCH, ATTRIBUTES = zip(  # each by the spec, and for services that do not enforce their limits
    attach_checks(check_attributes, CHUNKING, MOST_IN_BATCH),
    attach_checks(check_lax_attributes, LAX_CHUNKING, LAX_MOST),
    strict=True,
)

STORE_EXPIRY = record({"anchor": choice("last_active_at"), "days": integer(1, 365)}, required=("anchor", "days"))
NEW_STORE = record(
    {
        "name": text(),
        "description": text(),
        "metadata": check_metadata,
        "expires_after": STORE_EXPIRY,
        "file_ids": array(FILE_ID, 0, 500),
        "chunking_strategy": CHUNKING,
    }
)


def check_new_store(value: Any, path: str) -> dict[str, Any]:
    body: dict[str, Any] = NEW_STORE(value, path)
    return {**body, "attachments": [build_attachment(file_id, body) for file_id in body.get("file_ids", ())]}


UPDATE_FIELDS = {"name": nullable(text()), "metadata": check_metadata, "expires_after": nullable(STORE_EXPIRY)}
STORE_UPDATE = record(UPDATE_FIELDS, clearable=tuple(UPDATE_FIELDS))

FILE_LIFETIME = integer(3600, 30 * DAY)
UPLOAD_EXPIRY = record({"anchor": choice("created_at"), "seconds": FILE_LIFETIME}, required=("anchor", "seconds"))
UPLOAD = record({"purpose": choice(*PURPOSES), "expires_after": UPLOAD_EXPIRY}, required=("purpose",))
