"""Receiving a file: the multipart body goes through a temporary file, never through memory or a held lock.

Only a body that arrived whole, with its size and digest known, reaches the database.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import falcon
from falcon.media.multipart import BodyPart, MultipartForm

from vssync.local import rules
from vssync.local.errors import ApiError

IN_MEMORY = 1 << 20
PIECE = 256 << 10
OVERHEAD = 1 << 20  # what the form may add to the file

NESTED = re.compile(r"(\w+)\[(\w+)\]")  # expires_after[seconds]
ESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n"}  # how clients write these in a form's file name


@dataclass(frozen=True, slots=True)
class Upload:
    content: IO[bytes]
    size: int
    sha256: str
    filename: str
    purpose: str
    lifetime: int | None


@contextmanager
def received(req: falcon.Request, most: int, folder: Path) -> Iterator[Upload]:
    """The temporary file has no name and lies where the data goes: as private, and on a disk with room."""
    if (req.content_length or 0) > most + OVERHEAD:
        raise too_large(most)
    with SpooledTemporaryFile(IN_MEMORY, dir=str(folder)) as spool:
        fields: dict[str, Any] = {}
        arrived = None
        for part in form(req):
            if part.name == "file" and arrived is None:
                arrived = (file_name(part), *keep(part, spool, most))
            else:
                add_field(fields, part)
        if arrived is None:
            raise ApiError(400, "Missing required parameter 'file'.", code="missing_required_parameter", param="file")
        yield upload(spool, *arrived, fields)


def upload(spool: IO[bytes], filename: str, size: int, sha256: str, fields: dict[str, Any]) -> Upload:
    said = rules.UPLOAD(fields, "")
    if not size:
        raise ApiError(400, "File is empty.", code="invalid_value", param="file")
    usual = rules.BATCH_FILE_LIFETIME if said["purpose"] == "batch" else None
    lifetime = said["expires_after"]["seconds"] if "expires_after" in said else usual
    spool.seek(0)
    return Upload(spool, size, sha256, filename, said["purpose"], lifetime)


def form(req: falcon.Request) -> MultipartForm:
    if not (req.content_type or "").lower().startswith("multipart/form-data"):
        raise ApiError(400, "Content-Type must be multipart/form-data.", code="invalid_content_type")
    parts: MultipartForm = req.get_media()
    return parts


def keep(part: BodyPart, spool: IO[bytes], most: int) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while piece := part.stream.read(PIECE):
        size += len(piece)
        if size > most:
            raise too_large(most)
        digest.update(piece)
        spool.write(piece)
    return size, digest.hexdigest()


def file_name(part: BodyPart) -> str:
    if not part.filename:
        raise ApiError(400, "'file' must be a file with a name.", code="invalid_value", param="file")
    return re.sub("|".join(ESCAPED), lambda escape: ESCAPED[escape[0]], part.filename)


def add_field(fields: dict[str, Any], part: BodyPart) -> None:
    """Form fields are text; nested ones come as `outer[inner]`, and an integer is meant where digits stand."""
    name, value = part.name or "", part.get_data().decode()
    nested = NESTED.fullmatch(name)
    inner = fields.setdefault(nested[1], {}) if nested else None
    if nested and isinstance(inner, dict):
        inner[nested[2]] = int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else value
    else:
        fields[name] = value


def too_large(most: int) -> ApiError:
    return ApiError(413, f"The file is larger than {most:,} bytes.", code="file_too_large", param="file")
