"""Contents of live files, as far as the service gives them: to compare with local files, or to save as new ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vssync.commands.compare import ContentReader, has_same_words
from vssync.commands.dump.entries import local_name
from vssync.commands.dump.matching import (
    Candidates,
    Comparison,
    Confidence,
    LocalMatch,
    RemoteFile,
    is_loadable,
    template_for,
    unique_ids,
)
from vssync.errors import Refused, VssyncError
from vssync.files import cannot_write
from vssync.manifest.globs import FoundFile
from vssync.sources.paths import on_disk


class ContentComparer:
    """Compares the contents of live files with those of local ones below a root. Thread-safe.

    Of a local file that is read several times the digest is kept, since many live ones may have its size.
    """

    def __init__(self, reader: ContentReader, root: Path) -> None:
        self._reader, self._root = reader, root
        self._digest = cache(lambda path: hashlib.sha256(self._read(path)).hexdigest())

    def by_digest(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """Local files by SHA-256. Raises VssyncError."""
        found: dict[str, list[str]] = {}
        for path in paths:
            found.setdefault(self._digest(path), []).append(path)
        return found

    def compare(self, store_id: str, file: RemoteFile, candidates: Candidates) -> dict[tuple[str, str], Comparison]:
        """A live file compared with those that it could be, by File id and path. Raises VssyncError."""
        sha256 = file.sha256
        if not sha256 and (content := self._reader.read_bytes(file.id)) is not None:
            sha256 = hashlib.sha256(content).hexdigest()
        if sha256:
            same, other = Comparison(Confidence.BYTES), Comparison(differs=True)
            return {(file.id, path): same if self._digest(path) == sha256 else other for path in candidates.paths}
        parts = self._reader.read_text(store_id, file.id) if candidates.by_name else None
        return {(file.id, path): self._compare_text(parts, path) for path in candidates.by_name}

    def _compare_text(self, parts: tuple[str, ...] | None, path: str) -> Comparison:
        is_same = parts is not None and has_same_words(self._read(path), parts)
        return Comparison(Confidence.TEXT if is_same else Confidence.SIZE)

    def _read(self, path: str) -> bytes:
        return _read_local(self._root / on_disk(path))


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
    file = root / on_disk(path)
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
        raise cannot_write(file, error) from error


def _read_local(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VssyncError(f"{path}: cannot be read: {error.strerror}") from error
