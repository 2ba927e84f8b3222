"""What the client takes and returns beside the model's own types, and how answers become the model's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from vssync.errors import ServiceError
from vssync.limits import MAX_LIVE_ID_LENGTH, MAX_LIVE_TEXT
from vssync.model import state
from vssync.model.marks import KEY, MARK, Mark, parse_mark
from vssync.model.questions import CompoundFilter, SearchFilter
from vssync.text import replace_surrogates

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AttachmentEntry:
    """One file to attach; its mark is sent among its attributes."""

    file_id: str
    attributes: state.Attributes
    chunking: state.Chunking
    mark: Mark | None = None

    def body(self) -> dict[str, Any]:
        """As a request has it; without attributes it does not name them, since some services do not know the field."""
        attributes = with_mark(self.attributes, self.mark)
        named = {"attributes": attributes} if attributes else {}
        return {"file_id": self.file_id, **named, **chunking_body(self.chunking)}


@dataclass(frozen=True, slots=True)
class Probe:
    """How one reading request ended: with an error or none, and after how many seconds, attempts included."""

    error: ServiceError | None
    seconds: float


@dataclass(frozen=True, slots=True)
class BatchPoll:
    """A batch as just read, and how many seconds the service asks to wait before the next poll."""

    batch: state.LiveBatch
    poll_after: float | None


def with_mark(attributes: state.Attributes, mark: Mark | None) -> dict[str, state.Scalar]:
    """The attributes to send."""
    return {**attributes, MARK: str(mark)} if mark else dict(attributes)


def filter_body(search_filter: SearchFilter) -> dict[str, Any]:
    """A filter as a search's request has it (OpenAI spec)."""
    if isinstance(search_filter, CompoundFilter):
        return {"type": search_filter.type, "filters": list(map(filter_body, search_filter.filters))}
    kind, values = search_filter.type, search_filter.values
    return {"type": kind, "key": search_filter.key, "value": list(values) if kind in ("in", "nin") else values[0]}


def chunking_body(chunking: state.Chunking) -> dict[str, Any]:
    """A chunking as a request has it: services do `auto` when nothing is said."""
    if chunking.auto:
        return {}
    static = {"max_chunk_size_tokens": chunking.size, "chunk_overlap_tokens": chunking.overlap}
    return {"chunking_strategy": {"type": "static", "static": static}}


Body = Mapping[str, Any]
State = TypeVar("State", bound=StrEnum)
_MAX_VALUE = 10**300  # of a number in an attribute; a plan file takes none beyond, infinities or NaN
_NUMBERS = (int, float)
_MAX_NUMBER = 2**53  # no time, size or count comes near; JSON holds infinities and numbers of any length


class MalformedResponse(Exception):
    """An answer that cannot be read; `api` turns it into a ServiceError that names the request."""


def parse_store(body: Body) -> state.LiveStore:
    """A vector store."""
    store_id = parse_id(body)
    expires = _mapping(body.get("expires_after"))
    return state.LiveStore(
        id=store_id,
        name=_text(body.get("name")),
        status=_state(state.StoreStatus, body.get("status")),
        created_at=_int(body.get("created_at")),
        metadata={_text(k): _text(v) for k, v in _mapping(body.get("metadata")).items()},
        last_active_at=_int(body.get("last_active_at")),
        expires_after_days=_int(expires.get("days")) if expires else None,
        description=_text(body.get("description")),
        counts=_counts(body.get("file_counts")),
    )


def parse_store_file(body: Body) -> state.LiveFile:
    """A File attached to a store."""
    file_id = parse_id(body)
    attributes = _attributes(body.get("attributes"))
    mark = attributes.pop(MARK, None)
    error = _mapping(body.get("last_error"))
    status, reported_status = _file_status(body)
    return state.LiveFile(
        id=file_id,
        status=status,
        created_at=_int(body.get("created_at")),
        attributes=attributes,
        chunking=_chunking(body.get("chunking_strategy")),
        error=state.IngestError(_text(error.get("code")), _text(error.get("message"))) if error else None,
        mark=None if mark is None else parse_mark(str(mark)),
        usage_bytes=_int(body.get("usage_bytes")),
        reported_status=reported_status,
    )


def parse_batch(body: Body) -> state.LiveBatch:
    """A file batch, without its files."""
    batch_id = parse_id(body)
    status, reported_status = _file_status(body)
    return state.LiveBatch(
        id=batch_id,
        status=status,
        created_at=_int(body.get("created_at")),
        counts=_counts(body.get("file_counts")),
        reported_status=reported_status,
    )


def parse_upload(body: Body) -> state.Upload:
    """An uploaded File."""
    return state.Upload(
        id=parse_id(body),
        filename=_text(body.get("filename")),
        size=_int(body.get("bytes")),
        created_at=_int(body.get("created_at")),
        purpose=_text(body.get("purpose")),
    )


def parse_hit(body: Body) -> state.SearchHit:
    """One search result; its texts joined."""
    parts = body.get("content")
    texts = _contents(parts) if isinstance(parts, list) else ()
    attributes = _attributes(body.get("attributes"))
    file_id = _text(body.get("file_id"))
    if UUID.fullmatch(file_id):  # of the hit itself: ogx has the File's id among the attributes
        file_id = _text(attributes.get("file_id")) or file_id
    return state.SearchHit(
        score=_float(body.get("score")),
        filename=_text(body.get("filename")),
        file_id=file_id,
        key=_text(attributes.get(KEY)),
        attributes=attributes,
        text="\n".join(texts),
    )


def parse_text(body: Body) -> tuple[str, ...]:
    """The parts of a file's text; older services call the parts `content`."""
    parts = _mapping(body).get("data", _mapping(body).get("content"))
    if not isinstance(parts, list):
        raise MalformedResponse("a file's content without its parts")
    return _contents(parts)


def parse_id(body: object) -> str:
    """An object's id."""
    value = body.get("id") if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise MalformedResponse("an object without an id")
    if len(value) > MAX_LIVE_ID_LENGTH:
        raise MalformedResponse(f"an id of {len(value):,} characters")
    if replace_surrogates(value) != value:
        raise MalformedResponse("an id with half of a character")
    return value


def parse_success(body: Any, parse: Callable[[Any], Any]) -> Any:
    """What a good answer holds. Some services and gateways send errors as one: MalformedResponse."""
    if isinstance(body, dict) and body.get("error"):
        raise MalformedResponse("an error")
    return parse(body)


def parse_done(body: object) -> bool:
    """Whether a deletion or cancellation was done; services say so in many ways, and OpenAI's with `deleted`."""
    if not isinstance(body, dict):
        raise MalformedResponse("something other than an object")
    return body.get("deleted") is not False


def _state(kind: type[State], value: object) -> State:
    try:
        return kind(str(value))
    except ValueError:
        return kind("unknown")


def _file_status(body: Body) -> tuple[state.FileStatus, str]:
    """A status, and the service's own word where it is none of OpenAI's."""
    status = _state(state.FileStatus, body.get("status"))
    return status, _text(body.get("status")) if status is state.FileStatus.UNKNOWN else ""


def _contents(parts: list[Any]) -> tuple[str, ...]:
    """What a service read in a file, however long."""
    return tuple(replace_surrogates(str(part.get("text") or "")) for part in parts if isinstance(part, dict))


def _text(value: object) -> str:
    return "" if value is None else replace_surrogates(str(value)[:MAX_LIVE_TEXT])


def _int(value: object) -> int:
    return int(_float(value))


def _float(value: object) -> float:
    return float(value) if isinstance(value, _NUMBERS) and abs(value) < _MAX_NUMBER else 0.0


def _mapping(value: object) -> Body:
    return value if isinstance(value, dict) else {}


def _attributes(value: object) -> dict[str, state.Scalar]:
    present = ((_text(k), v) for k, v in _mapping(value).items() if v is not None)
    return {name: v if isinstance(v, _NUMBERS) and abs(v) < _MAX_VALUE else _text(v) for name, v in present}


_shared_chunking = lru_cache(maxsize=64)(state.Chunking)  # most files of a store have the same


def _chunking(value: object) -> state.Chunking | None:
    """None for `other` and null, which do not tell how a text was split."""
    kind = _mapping(value).get("type")
    if kind == "auto":
        return state.AUTO
    static = _mapping(_mapping(value).get("static"))
    if kind != "static" or not static:
        return None
    return _shared_chunking(_int(static.get("max_chunk_size_tokens")), _int(static.get("chunk_overlap_tokens")))


def _counts(value: object) -> state.FileCounts:
    counts = _mapping(value)
    return state.FileCounts(**{name: _int(counts.get(name)) for name in state.FileCounts.__slots__})
