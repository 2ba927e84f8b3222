"""Contents of live files, as far as the service gives them: to compare with local files, or to save as new ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vssync.commands.compare import ContentReader, has_same_words
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
from vssync.errors import Refused, VssyncError
from vssync.files import cannot_write
from vssync.manifest.globs import FoundFile
from vssync.sources.paths import on_disk


def compare_contents(
    reader: ContentReader, store_id: str, file: RemoteFile, paths: Iterable[str], root: Path
) -> dict[tuple[str, str], Comparison]:
    """A live file compared with local ones, by File id and path."""
    sha256 = file.sha256
    if not sha256 and (content := reader.read_bytes(file.id)) is not None:
        sha256 = hashlib.sha256(content).hexdigest()
    if sha256:
        return {(file.id, path): _compare_digest(sha256, root / on_disk(path)) for path in paths}
    parts = reader.read_text(store_id, file.id)
    return {(file.id, path): _compare_text(parts, root / on_disk(path)) for path in paths}


def _compare_digest(sha256: str, path: Path) -> Comparison:
    is_same = hashlib.sha256(_read_local(path)).hexdigest() == sha256
    return Comparison(Confidence.BYTES) if is_same else Comparison(differs=True)


def _compare_text(parts: tuple[str, ...] | None, path: Path) -> Comparison:
    is_same = parts is not None and has_same_words(_read_local(path), parts)
    return Comparison(Confidence.TEXT if is_same else Confidence.SIZE)


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
