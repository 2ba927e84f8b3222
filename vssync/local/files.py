"""Files: uploaded objects. Equal contents share their bytes; the last File to go takes them along."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import falcon
from falcon.media.multipart import BodyPart, MultipartForm

from vssync.local import queries, rules
from vssync.local.errors import ApiError
from vssync.local.paging import Page, listing
from vssync.local.store_files import detach
from vssync.local.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a File, to be streamed after the transaction has ended."""

    blob: int
    size: int


def create(tx: Transaction, body: Upload) -> dict[str, Any]:
    file_id = new_id(tx.dialect.file_ids)
    expires_at = None if body.lifetime is None else tx.now + body.lifetime
    tx.run(
        "insert into files (id, blob, filename, bytes, purpose, created_at, expires_at) values (?, ?, ?, ?, ?, ?, ?)",
        *(file_id, store_bytes(tx, body), stored_name(tx, body.filename), body.size, body.purpose, tx.now, expires_at),
    )
    return get(tx, file_id)


def stored_name(tx: Transaction, sent: str) -> str:
    if tx.dialect.garbles_names:
        sent = sent.encode().decode("latin-1")
    return re.sub(r"[^A-Za-z0-9._-]", "", sent) if tx.dialect.plain_names else sent


def store_bytes(tx: Transaction, upload: Upload) -> int:
    if known := tx.one("select seq from blobs where sha256 = ?", upload.sha256):
        return int(known["seq"])
    blob = tx.run("insert into blobs (sha256, data) values (?, zeroblob(?))", upload.sha256, upload.size)
    with tx.connection.blobopen("blobs", "data", blob) as target:
        while piece := upload.content.read(PIECE):
            target.write(piece)
    return blob


def get(tx: Transaction, file_id: str) -> dict[str, Any]:
    return shape(queries.file(tx, file_id))


def page(tx: Transaction, page: Page) -> dict[str, Any]:
    return listing(tx, "files", {}, page, shape)


def content(tx: Transaction, file_id: str) -> Content:
    row = queries.file(tx, file_id)
    return Content(row["blob"], row["bytes"])


def delete(tx: Transaction, file_id: str) -> dict[str, Any]:
    remove(tx, queries.file(tx, file_id))
    return {"id": file_id, "object": "file", "deleted": True}


def remove(tx: Transaction, row: sqlite3.Row) -> None:
    """A File leaves its stores first, in all services but some."""
    if not tx.dialect.keeps_attached:
        for entry in tx.all("select * from store_files where id = ?", row["id"]):
            detach(tx, entry)
    tx.run("delete from files where seq = ?", row["seq"])
    unused = "not exists (select 1 from files where files.blob = blobs.seq)"
    tx.run(f"delete from blobs where seq = ? and {unused}", row["blob"])


def expired(tx: Transaction) -> list[sqlite3.Row]:
    return tx.all("select * from files where expires_at <= ?", tx.now)


def shape(row: sqlite3.Row) -> dict[str, Any]:
    expiry = {} if row["expires_at"] is None else {"expires_at": row["expires_at"]}
    return {
        "id": row["id"],
        "object": "file",
        "bytes": row["bytes"],
        "created_at": row["created_at"],
        "filename": row["filename"],
        "purpose": row["purpose"],
        "status": "processed",
        **expiry,
    }


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
