"""Reading requests: each `RequestReader` turns one into keyword arguments for the function that handles it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NoReturn

import falcon
from falcon.media.multipart import BodyPart

from vssync.local import responses, rules, search
from vssync.local.database import PIECE_BYTES
from vssync.local.errors import ApiError
from vssync.local.files import ReceivedUpload
from vssync.local.queries import Engine, PageLimits, parse_page
from vssync.local.rules import Check, invalid_error

Arguments = dict[str, Any]
RequestReader = Callable[[falcon.Request, Engine], AbstractContextManager[Arguments]]

MOST_JSON_BYTES = 128 << 20  # above the largest batch the rules allow
IN_MEMORY = 1 << 20
FORM_OVERHEAD = 1 << 20  # what the form may add to the file
NESTED_FIELD = re.compile(r"(\w+)\[(\w+)\]")  # expires_after[seconds]
FILENAME_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}  # how clients write these in a form's file name

FILENAME_ESCAPE = re.compile("|".join(FILENAME_ESCAPES))


def no_input(_req: falcon.Request, _engine: Engine) -> AbstractContextManager[Arguments]:
    return nullcontext({})


def json_body(strict: Check, lax: Check | None = None) -> RequestReader:
    """`lax` is the check of services that do not enforce their limits."""

    def read_body(req: falcon.Request, engine: Engine) -> AbstractContextManager[Arguments]:
        return nullcontext({"body": (lax if lax and engine.options.dialect.lax else strict)(read_json(req), "")})

    return read_body


def search_body(req: falcon.Request, engine: Engine) -> AbstractContextManager[Arguments]:
    body = read_json(req)
    checked = search.SEARCH(body, "")
    require_filter_types(body, "filters", engine)
    return nullcontext({"body": checked})


def response_body(req: falcon.Request, engine: Engine) -> AbstractContextManager[Arguments]:
    body = read_json(req)
    checked = responses.check_response(body, "")
    for number, tool in enumerate(body["tools"]):
        require_filter_types(tool, f"tools[{number}].filters", engine)
    return nullcontext({"body": checked})


def require_filter_types(searching: dict[str, Any], path: str, engine: Engine) -> None:
    """Refuses, in `filters` that were checked, what the dialect lacks."""
    types = search.filter_types(searching["filters"]) if searching.get("filters") else set()
    if not engine.options.dialect.searches_in and (unsupported := types & {"in", "nin"}):
        raise invalid_error(path, f"'{min(unsupported)}' is not supported")


def page_query(limits: PageLimits) -> RequestReader:
    def read_query(req: falcon.Request, _engine: Engine) -> AbstractContextManager[Arguments]:
        query = {name: value[-1] if isinstance(value, list) else value for name, value in req.params.items()}
        return nullcontext({"page": parse_page(query, limits)})

    return read_query


def read_json(req: falcon.Request) -> Any:
    if (req.content_type or "").partition(";")[0].strip().lower() != falcon.MEDIA_JSON:
        raise ApiError(400, "Content-Type must be application/json.", code="invalid_content_type")
    if (length := req.content_length or 0) > MOST_JSON_BYTES:
        raise ApiError(413, f"The body is larger than {MOST_JSON_BYTES:,} bytes.", code="body_too_large")
    try:
        return json.loads(req.stream.read(length), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The body is not valid JSON: {error}.", code="invalid_json") from None


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


@contextmanager
def upload_form(req: falcon.Request, engine: Engine) -> Iterator[Arguments]:
    """The temporary file has no name and lies where the data goes: as private, and on a disk with room."""
    limit = engine.options.max_file_bytes
    if (req.content_length or 0) > limit + FORM_OVERHEAD:
        raise too_large_error(limit)
    if not (req.content_type or "").lower().startswith("multipart/form-data"):
        raise ApiError(400, "Content-Type must be multipart/form-data.", code="invalid_content_type")
    with SpooledTemporaryFile(IN_MEMORY, dir=str(engine.database.path.parent)) as spool:
        fields: dict[str, Any] = {}
        filename, size, sha256 = "", 0, ""
        for part in req.get_media():
            if part.name == "file" and not filename:
                if not part.filename:
                    raise ApiError(400, "'file' must be a file with a name.", code="invalid_value", param="file")
                filename = FILENAME_ESCAPE.sub(lambda escape: FILENAME_ESCAPES[escape[0]], part.filename)
                size, sha256 = spool_part(part, spool, limit)
            else:
                add_field(fields, part)
        if not filename:
            raise ApiError(400, "Missing required parameter 'file'.", code="missing_required_parameter", param="file")
        checked = rules.UPLOAD(fields, "")
        if not size:
            raise ApiError(400, "File is empty.", code="invalid_value", param="file")
        default = rules.BATCH_FILE_LIFETIME if checked["purpose"] == "batch" else None
        lifetime = checked["expires_after"]["seconds"] if "expires_after" in checked else default
        spool.seek(0)
        yield {"body": ReceivedUpload(spool, size, sha256, filename, checked["purpose"], lifetime)}


def spool_part(part: BodyPart, spool: IO[bytes], limit: int) -> tuple[int, str]:
    """Its size and SHA-256."""
    size, digest = 0, hashlib.sha256()
    while piece := part.stream.read(PIECE_BYTES):
        size += len(piece)
        if size > limit:
            raise too_large_error(limit)
        digest.update(piece)
        spool.write(piece)
    return size, digest.hexdigest()


def add_field(fields: dict[str, Any], part: BodyPart) -> None:
    """Form fields are text; nested ones come as `outer[inner]`, where digits stand for an integer."""
    name, value = part.name or "", part.get_data().decode()
    nested = NESTED_FIELD.fullmatch(name)
    outer = fields.setdefault(nested[1], {}) if nested else None
    if nested and isinstance(outer, dict):
        outer[nested[2]] = int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else value
    else:
        fields[name] = value


def too_large_error(limit: int) -> ApiError:
    return ApiError(413, f"The file is larger than {limit:,} bytes.", code="file_too_large", param="file")
