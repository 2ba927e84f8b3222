"""What live files hold, as far as a service gives it: to compare with local files, or to write down as new ones.

A service that refuses to give contents is not asked for each of them. Nothing on disk is ever overwritten.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from vssync.api.client import Client
from vssync.commands.dump.keys import local_name
from vssync.commands.dump.matching import Comparison, LocalMatch, is_loadable, template_for, unique_files
from vssync.commands.dump.seen import Confidence, RemoteFile
from vssync.errors import NotFound, Refused, ServiceError, VssyncError
from vssync.manifest.globs import FoundFile

Got = TypeVar("Got")


class ContentReader:
    """Reads contents of one store's files. Thread-safe."""

    def __init__(self, client: Client, store_id: str) -> None:
        self._client, self._store = client, store_id
        self._closed: set[str] = set()

    def content(self, file_id: str) -> bytes | None:
        """A File's bytes; None where they cannot be had."""
        return self._asked("bytes", lambda: self._client.download_file(file_id))

    def text(self, file_id: str) -> str | None:
        """A file's text as the service read it; None where it cannot be had."""
        return self._asked("text", lambda: self._client.get_text(self._store, file_id))

    def _asked(self, kind: str, ask: Callable[[], Got]) -> Got | None:
        """None for what is not there, and from the first refusal on. Raises ServiceError for a service in trouble."""
        if kind in self._closed:
            return None
        try:
            return ask()
        except NotFound:
            return None
        except ServiceError as error:
            if error.answer.status not in range(400, 500):
                raise
            self._closed.add(kind)
            return None


def compare_contents(
    reader: ContentReader, file: RemoteFile, paths: Iterable[str], root: Path
) -> dict[tuple[str, str], Comparison]:
    """What comparing a live file with local ones came to."""
    sha256 = file.sha256
    if not sha256 and (content := reader.content(file.id)) is not None:
        sha256 = hashlib.sha256(content).hexdigest()
    if sha256:
        return {(file.id, path): _by_digest(sha256, root / path) for path in paths}
    text = reader.text(file.id)
    return {(file.id, path): _by_text(text, root / path) for path in paths}


def _by_digest(sha256: str, path: Path) -> Comparison:
    same = hashlib.sha256(_read(path)).hexdigest() == sha256
    return Comparison(Confidence.BYTES) if same else Comparison(other=True)


def _by_text(text: str | None, path: Path) -> Comparison:
    """Texts that agree but for spaces are the same; others may only be read in another way."""
    if text is None:
        return Comparison()
    local = _read(path).decode("utf-8-sig", "replace")
    return Comparison(Confidence.TEXT if local.split() == text.split() else Confidence.SIZE)


@dataclass(frozen=True, slots=True)
class DownloadTarget:
    """Where downloads go: a folder below a root, with its slash, and the provider whose manifest will choose them."""

    root: Path
    folder: str
    provider: str


def download_files(
    reader: ContentReader, files: tuple[RemoteFile, ...], others: tuple[RemoteFile, ...], into: DownloadTarget
) -> tuple[dict[str, LocalMatch], dict[str, str]]:
    """Writes the contents of files: what each became by File id, or why it did not.

    Only what `plan --adopt` would find again is fetched; `others` are the rest of the store. Raises Refused where a
    file is in the way.
    """
    single = unique_files((*files, *others))
    found: dict[str, LocalMatch] = {}
    remarks: dict[str, str] = {}
    taken: set[str] = set()
    for file in files:
        path = f"{into.folder}{local_name(file.key or file.filename, file.id, taken)}"
        taken.add(path.removeprefix(into.folder).casefold())
        template = template_for(path, file.filename)
        if not (template and file.id in single and is_loadable(FoundFile(path, file.size), into.provider)):
            remarks[file.id] = "not downloaded: no local file of this name and size could stand for it alone"
        elif (content := reader.content(file.id)) is None:
            remarks[file.id] = "not downloaded: the service does not give its content"
        else:
            _save(into.root, path, content)
            found[file.id] = LocalMatch(path, template, Confidence.BYTES)
    return found, remarks


def _save(root: Path, path: str, content: bytes) -> None:
    """A new file below the root, links followed; one with the same bytes is as good."""
    place = root / path
    try:
        if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(root)):
            raise Refused(f"{place}: leads out of {root}; choose another --download folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            if not place.is_file() or place.read_bytes() != content:
                raise Refused(f"{place}: is there already, with other content; choose another --download folder")
            return
        with place.open("xb") as handle:
            handle.write(content)
    except OSError as error:
        raise VssyncError(f"{place}: cannot be written: {error.strerror}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VssyncError(f"{path}: cannot be read: {error.strerror}") from error
