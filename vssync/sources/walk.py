"""Finds the files that patterns may match: one walk over the folders they start in, shared by all of them.

It walks by itself because libraries leave out folders they may not read, and a file left out is a file deleted. A
folder that cannot be read is a problem. Folder links are not followed; file links only inside the fence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from vssync.errors import ManifestError, Problem
from vssync.manifest.globs import NEVER_READ, FoundFile, Listing, Pattern
from vssync.sources.sandbox import Sandbox


def walk_files(root: str, patterns: Iterable[Pattern], fence: Sandbox) -> Listing:
    """Every file below `root` that the patterns could match. Raises ManifestError for folders it cannot read."""
    patterns = tuple(patterns)
    walker = _Walker(root, fence, any(pattern.hidden for pattern in patterns))
    found: dict[str, FoundFile] = {}
    for folder in walker.starts({pattern.folder for pattern in patterns if not pattern.literal}):
        found.update((file.path, file) for file in walker.below(folder))
    for path in {pattern.folder for pattern in patterns if pattern.literal}:
        if path not in found and (file := walker.one(path)):
            found[path] = file
    if walker.problems:
        raise ManifestError(tuple(walker.problems))
    return Listing(found.values())


def _outermost(folders: Iterable[str]) -> list[str]:
    """The folders that lie in no other of them."""
    kept: list[str] = []
    for folder in sorted(folders, key=lambda folder: folder.split("/") if folder else []):
        if not kept or not (kept[-1] == "" or folder.startswith(kept[-1] + "/")):
            kept.append(folder)
    return kept


class _Walker:
    """Reads folders below one root and keeps the problems it meets."""

    def __init__(self, root: str, fence: Sandbox, hidden: bool) -> None:
        self._root, self._fence, self._hidden = root, fence, hidden
        self.problems: list[Problem] = []

    def starts(self, folders: Iterable[str]) -> list[str]:
        """Where to start so that each folder is walked; one reached by a link is not met on the way."""
        linked = [folder for folder in folders if os.path.realpath(self._whole(folder)) != self._whole(folder)]
        return [*_outermost(set(folders).difference(linked)), *linked]

    def _whole(self, path: str) -> str:
        return os.path.join(self._root, path) if path else self._root

    def below(self, folder: str) -> Iterator[FoundFile]:
        """Every file in a folder and the folders in it; none where the folder does not exist."""
        start = self._whole(folder)
        if not os.path.isdir(start):
            return
        if not self._fence.holds(start):
            self.problems.append(Problem(folder, 0, 0, *OUTSIDE))
            return
        folders = [folder]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if self._enters(entry.name):
                        folders.append(path)
                elif file := self._file(entry, path):
                    yield file

    def one(self, path: str) -> FoundFile | None:
        """A file that a pattern names in full; None where it does not exist."""
        whole = self._whole(path)
        try:
            status = os.stat(whole)
        except FileNotFoundError:
            return FoundFile(path, 0, DANGLING) if os.path.islink(whole) else None
        except (OSError, ValueError) as error:
            return FoundFile(path, 0, f"cannot be looked at: {_words(error)}")
        if stat.S_ISDIR(status.st_mode):
            return FoundFile(path, 0, f"is a folder; write `{path}/**` for every file in it")
        if not stat.S_ISREG(status.st_mode):
            return FoundFile(path, 0, "is no ordinary file")
        return FoundFile(path, status.st_size, "" if self._fence.holds(whole) else ". ".join(OUTSIDE))

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._whole(folder)) as entries:
                return list(entries)
        except OSError as error:
            hint = "make it readable, or choose files elsewhere; its files cannot be told from deleted ones"
            self.problems.append(Problem(folder or ".", 0, 0, f"the folder cannot be read: {_words(error)}", hint))
            return []

    def _enters(self, name: str) -> bool:
        return name not in NEVER_READ and (self._hidden or not name.startswith("."))

    def _file(self, entry: os.DirEntry[str], path: str) -> FoundFile | None:
        """A file as found; None for links to folders, sockets and the like."""
        if not entry.name.isascii() and not _is_text(entry.name):
            return FoundFile(path.encode("utf-8", "replace").decode(), 0, "the file's name is not UTF-8; rename it")
        if entry.is_symlink():
            return None if os.path.isdir(entry.path) else self.one(path)
        try:
            return FoundFile(path, entry.stat(follow_symlinks=False).st_size) if entry.is_file() else None
        except OSError as error:
            return FoundFile(path, 0, f"cannot be looked at: {_words(error)}")


OUTSIDE = (
    "leads by a link out of the manifest's root, or into .git or .vssync",
    "The person who runs vssync can say --allow-outside DIR",
)
DANGLING = "is a link that leads nowhere"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
