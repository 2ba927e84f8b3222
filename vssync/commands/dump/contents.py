"""Contents of live files, as far as the service gives them: to compare with local files, or to save as new ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vssync.api.client import Client
from vssync.commands.dump.entries import local_name
from vssync.commands.dump.matching import (
    Comparison,
    Confidence,
    LocalMatch,
    RemoteFile,
    is_loadable,
    template_for,
    unique_ids,
)
from vssync.errors import NotFound, Refused, ServiceError, VssyncError
from vssync.manifest.globs import FoundFile

Content = TypeVar("Content", bytes, str)


class ContentReader:
    """Reads contents of one store's files. Thread-safe. A service that refuses one is not asked for the others."""

    def __init__(self, client: Client, store_id: str) -> None:
        self._client, self._store_id = client, store_id
        self._refused: set[str] = set()

    def read_bytes(self, file_id: str) -> bytes | None:
        """A File's bytes; None where the service does not give them."""
        return self._read("bytes", lambda: self._client.download_file(file_id))

    def read_text(self, file_id: str) -> str | None:
        """A file's text as the service read it; None where the service does not give it."""
        return self._read("text", lambda: self._client.get_text(self._store_id, file_id))

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


def compare_contents(
    reader: ContentReader, file: RemoteFile, paths: Iterable[str], root: Path
) -> dict[tuple[str, str], Comparison]:
    """A live file compared with local ones, by File id and path."""
    sha256 = file.sha256
    if not sha256 and (content := reader.read_bytes(file.id)) is not None:
        sha256 = hashlib.sha256(content).hexdigest()
    if sha256:
        return {(file.id, path): _compare_digest(sha256, root / path) for path in paths}
    text = reader.read_text(file.id)
    return {(file.id, path): _compare_text(text, root / path) for path in paths}


def _compare_digest(sha256: str, path: Path) -> Comparison:
    is_same = hashlib.sha256(_read_local(path)).hexdigest() == sha256
    return Comparison(Confidence.BYTES) if is_same else Comparison(differs=True)


def _compare_text(text: str | None, path: Path) -> Comparison:
    """Texts that differ in white space only are the same. Other texts may still be: services read files differently."""
    if text is None:
        return Comparison()
    local = _read_local(path).decode("utf-8-sig", "replace")
    return Comparison(Confidence.TEXT if local.split() == text.split() else Confidence.SIZE)


@dataclass(frozen=True, slots=True)
class DownloadTarget:
    """Where downloads go: a folder below a root, with its slash, and the provider whose manifest will choose them."""

    root: Path
    folder: str
    provider: str


def download_files(
    reader: ContentReader, files: tuple[RemoteFile, ...], others: tuple[RemoteFile, ...], target: DownloadTarget
) -> tuple[dict[str, LocalMatch], dict[str, str]]:
    """Saves the contents of files: the local file of each by File id, or a remark why it has none.

    Only what `plan --adopt` would find again is fetched; `others` are the rest of the store. Raises Refused where
    another file is in the way.
    """
    unique = unique_ids((*files, *others))
    matches: dict[str, LocalMatch] = {}
    remarks: dict[str, str] = {}
    taken: set[str] = set()
    for file in files:
        name = local_name(file.key or file.filename, file.id, taken)
        taken.add(name.casefold())
        path = f"{target.folder}{name}"
        template = template_for(path, file.filename)
        if not (template and file.id in unique and is_loadable(FoundFile(path, file.size), target.provider)):
            remarks[file.id] = "not downloaded: by name and size, no local file could stand for this one alone"
        elif (content := reader.read_bytes(file.id)) is None:
            remarks[file.id] = "not downloaded: the service does not give its content"
        else:
            _save(target.root, path, content)
            matches[file.id] = LocalMatch(path, template, Confidence.BYTES)
    return matches, remarks


def _save(root: Path, path: str, content: bytes) -> None:
    """Writes a new file inside the root, links followed; a file with the same bytes may stay."""
    file = root / path
    try:
        if not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root)):
            raise Refused(f"{file}: leads out of {root}; choose another --download folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            if not file.is_file() or file.read_bytes() != content:
                raise Refused(f"{file}: exists already, with other content; choose another --download folder")
            return
        with file.open("xb") as handle:
            handle.write(content)
    except OSError as error:
        raise VssyncError(f"{file}: cannot be written: {error.strerror}") from error


def _read_local(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VssyncError(f"{path}: cannot be read: {error.strerror}") from error
