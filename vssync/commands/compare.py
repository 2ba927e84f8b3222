"""Reads the contents of live files, as far as the service gives them, and compares them with local ones."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vssync.api.client import Client
from vssync.commands.session import Session
from vssync.commands.snapshot import read_uploads
from vssync.errors import AccessDenied, NotFound, ServiceError, VssyncError
from vssync.files import write_file
from vssync.journal.folder import prepare_folder
from vssync.model.plan import Options, Plan
from vssync.model.state import DesiredFile, Snapshot, Upload
from vssync.planner.equal_texts import find_unknown_texts
from vssync.planner.takeover import PendingComparison, comparisons_for_adoption
from vssync.sources.convert import FileContents
from vssync.text import count_noun, format_size

MAX_UNASKED_BYTES = 1 << 30  # that are read without `--compare`
_CACHE_NAME = "digests.json"
_DIGEST = re.compile("[0-9a-f]{64}")

Content = TypeVar("Content", bytes, tuple[str, ...])


class ContentReader:
    """Reads contents of files. Thread-safe. A service that refuses one is not asked for the others."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._refused: set[str] = set()

    def read_bytes(self, file_id: str) -> bytes | None:
        """A File's bytes; None where the service does not give them."""
        return self._read("bytes", lambda: self._client.download_file(file_id))

    def read_text(self, store_id: str, file_id: str) -> tuple[str, ...] | None:
        """The parts of a file's text as the service read it; None where the service does not give it."""
        return self._read("text", lambda: self._client.get_text(store_id, file_id))

    def _read(self, kind: str, request: Callable[[], Content]) -> Content | None:
        """None for what does not exist, and from the first refusal on. Raises ServiceError for any other failure."""
        if kind in self._refused:
            return None
        try:
            return request()
        except NotFound:
            return None
        except ServiceError as error:
            if error.answer.status not in range(400, 500):
                raise
            self._refused.add(kind)
            return None


def compare_for_adoption(session: Session, snapshot: Snapshot, options: Options) -> Snapshot:
    """The snapshot with the digests of the unmarked files that may be adopted; those read before are not read again.

    Where that would be too much to read unasked, nothing is read, and the snapshot says how much it is.
    """
    comparisons = list(comparisons_for_adoption(session.loaded.desired, snapshot, options))
    return _compare(session, snapshot, comparisons, options)


def compare_equal_texts(session: Session, snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The snapshot with the texts that files without a mark, or declared by id, share with what the plan removes.

    Only where equal texts share chunks; the same snapshot if there is nothing more to look for. A File is read if it
    has the size of such a text. One that is gone, or is not read, may have each text of that size. A connector's, which
    nobody can read, is taken to have none: it would hold back every removal from its store.
    """
    if not session.capabilities.shares_chunks or plan.options.allow_gap:
        return snapshot
    files = {store.key: store.files for store in session.loaded.desired.stores}
    for unknown in find_unknown_texts(plan, snapshot):
        desired = {file.sha256: file.size for file in files.get(unknown.store_key, ()) if file.sha256}
        asked = {file_id for text, file_id in unknown.removed.items() if text not in desired} | unknown.file_ids
        uploads = dict(snapshot.uploads)
        with suppress(AccessDenied):  # then no size is known
            uploads |= read_uploads(session.client, session.pool, asked - uploads.keys())
        sizes = {text: _size_of(uploads.get(file_id)) for text, file_id in unknown.removed.items()}
        sizes |= {text: size for text, size in desired.items() if unknown.removes_unknown or text in sizes}
        texts, comparisons = dict(snapshot.texts), []
        for file_id in sorted(unknown.file_ids):
            upload = uploads.get(file_id)
            is_connectors = upload is not None and upload.is_connector_file
            equal_in_size = frozenset[str]() if is_connectors else _texts_of_size(_size_of(upload), sizes)
            texts[file_id] = texts.get(file_id, frozenset()) | equal_in_size
            if upload and equal_in_size:
                comparisons.append(PendingComparison(unknown.store_id, upload, ()))
        snapshot = replace(snapshot, uploads=uploads, texts=texts)
        snapshot = _compare(session, snapshot, comparisons, plan.options)
    return snapshot


def _size_of(upload: Upload | None) -> int:
    return upload.size if upload else 0


def _texts_of_size(size: int, sizes: Mapping[str, int]) -> frozenset[str]:
    """The texts that a File of this size may have; 0 is a size that is not known."""
    return frozenset(text for text, other in sizes.items() if 0 in (size, other) or size == other)


def _compare(session: Session, snapshot: Snapshot, comparisons: list[PendingComparison], options: Options) -> Snapshot:
    if not comparisons:
        return snapshot
    folder = session.state_folder
    digests = _load_digests(folder)
    uncompared = [comparison for comparison in comparisons if comparison.upload.id not in digests]
    size = sum(comparison.upload.size for comparison in uncompared)
    if size > MAX_UNASKED_BYTES and not options.compare:
        snapshot = replace(snapshot, uncompared_bytes=snapshot.uncompared_bytes + size)
    elif uncompared:
        session.client.waiting_for = f"{count_noun(len(uncompared), 'file')} to compare, {format_size(size)}"
        new_digests = _read_digests(session, uncompared)
        session.client.waiting_for = ""
        digests |= new_digests
        with suppress(OSError, VssyncError):  # then the next run reads them again
            kept = {**_load_digests(folder), **new_digests}  # beside those of a run at the same time
            write_file(prepare_folder(folder) / _CACHE_NAME, json.dumps(kept, indent=0, sort_keys=True))
    compared = {
        upload.id: replace(upload, sha256=digests[upload.id])
        for upload in (comparison.upload for comparison in comparisons)
        if upload.id in digests
    }
    return replace(snapshot, uploads={**snapshot.uploads, **compared})


def _read_digests(session: Session, comparisons: list[PendingComparison]) -> dict[str, str]:
    """The SHA-256 of each File whose content the service gives, by id."""
    reader, contents = ContentReader(session.client), session.loaded.contents
    digests = session.pool.map(lambda comparison: _digest_of(reader, comparison, contents), comparisons)
    ids = (comparison.upload.id for comparison in comparisons)
    return {file_id: digest for file_id, digest in zip(ids, digests, strict=True) if digest}


def _digest_of(reader: ContentReader, comparison: PendingComparison, contents: FileContents) -> str:
    """The digest of a File's bytes; else of the desired file whose text it has, by the service's reading; else ""."""
    upload, content = comparison.upload, None
    try:
        content = reader.read_bytes(upload.id)
    except ServiceError:
        if comparison.files:
            raise
    if content is not None:
        return hashlib.sha256(content).hexdigest()
    parts = reader.read_text(comparison.store_id, upload.id) if comparison.files else None
    same = (file.sha256 for file in comparison.files if parts and has_same_words(_read_whole(contents, file), parts))
    with suppress(OSError):  # the file went since it was hashed
        return next(same, "")
    return ""


def _read_whole(contents: FileContents, file: DesiredFile) -> bytes:
    with contents.open(file) as handle:
        return handle.read()


def has_same_words(local: bytes, parts: Iterable[str]) -> bool:
    """Whether the parts of a text, each of which may begin in the one before it, are together this local text.

    White space does not count. False says nothing: services read files differently.
    """
    text = "".join(local.decode("utf-8-sig", "replace").split())
    end = 0  # of what the parts so far cover
    for part in ("".join(part.split()) for part in parts):
        start = text.rfind(part, 0, end + len(part))  # the last place that leaves nothing out
        if start < 0:
            return False
        end = max(end, start + len(part))
    return end == len(text)


def _load_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of Files that were compared before, by id: a File's bytes never change. Empty where none are kept."""
    with suppress(OSError, ValueError, RecursionError):
        digests = json.loads((folder / _CACHE_NAME).read_text("utf-8"))
        entries = digests.items() if isinstance(digests, dict) else ()
        return {file_id: digest for file_id, digest in entries if _DIGEST.fullmatch(str(digest))}
    return {}
