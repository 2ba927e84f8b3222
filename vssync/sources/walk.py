"""Finds the files that patterns may match: one walk over the folders they start in, shared by all of them.

No library does it, because they leave out folders they may not read, and a file left out is a file deleted: here such a
folder is a problem. Links to folders are not followed; links to files only inside the sandbox.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from vssync.errors import ManifestError, Problem
from vssync.manifest.globs import NEVER_READ, FoundFile, Listing, Pattern
from vssync.sources.sandbox import Sandbox

_OUTSIDE = (
    "leads by a link out of the manifest's root, or into .git or .vssync",
    "The person who runs vssync can say --allow-outside DIR",
)
_DANGLING = "is a link that leads nowhere"


def walk_files(root: str, patterns: Iterable[Pattern], sandbox: Sandbox) -> Listing:
    """Every file below `root` that the patterns could match. Raises ManifestError for folders it cannot read."""
    patterns = tuple(patterns)
    walker = _Walker(root, sandbox, any(pattern.names_hidden for pattern in patterns))
    files: dict[str, FoundFile] = {}
    for folder in walker.starting_folders({pattern.folder for pattern in patterns if not pattern.is_literal}):
        files.update((file.path, file) for file in walker.walk(folder))
    for path in {pattern.folder for pattern in patterns if pattern.is_literal}:
        if path not in files and (file := walker.look_up(path)):
            files[path] = file
    if walker.problems:
        raise ManifestError(tuple(walker.problems))
    return Listing(files.values())


class _Walker:
    """Reads folders below one root and collects the problems it meets."""

    def __init__(self, root: str, sandbox: Sandbox, enters_hidden: bool) -> None:
        self._root, self._sandbox, self._enters_hidden = root, sandbox, enters_hidden
        self.problems: list[Problem] = []

    def starting_folders(self, folders: set[str]) -> list[str]:
        """Where to start so that each folder is walked once; one reached by a link is not met on the way."""
        linked = {folder for folder in folders if os.path.realpath(self._absolute(folder)) != self._absolute(folder)}
        outermost: list[str] = []
        for folder in sorted(folders - linked, key=lambda folder: folder.split("/") if folder else []):
            if not outermost or not (outermost[-1] == "" or folder.startswith(outermost[-1] + "/")):
                outermost.append(folder)
        return [*outermost, *linked]

    def _absolute(self, path: str) -> str:
        return os.path.join(self._root, path) if path else self._root

    def walk(self, start: str) -> Iterator[FoundFile]:
        """Every file in a folder and the folders in it; none if the folder does not exist."""
        if not os.path.isdir(self._absolute(start)):
            return
        if not self._sandbox.allows(self._absolute(start)):
            self.problems.append(Problem(start, 0, 0, *_OUTSIDE))
            return
        folders = [start]
        while folders:
            folder = folders.pop()
            for entry in self._list_folder(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in NEVER_READ and (self._enters_hidden or not entry.name.startswith(".")):
                        folders.append(path)
                elif file := self._to_file(entry, path):
                    yield file

    def look_up(self, path: str) -> FoundFile | None:
        """A file by its path in full; None if it does not exist."""
        absolute = self._absolute(path)
        try:
            status = os.stat(absolute)
        except FileNotFoundError:
            return FoundFile(path, 0, _DANGLING) if os.path.islink(absolute) else None
        except (OSError, ValueError) as error:
            return FoundFile(path, 0, f"cannot be read: {_reason(error)}")
        if stat.S_ISDIR(status.st_mode):
            return FoundFile(path, 0, f"is a folder; write `{path}/**` for every file in it")
        if not stat.S_ISREG(status.st_mode):
            return FoundFile(path, 0, "is not a regular file")
        return FoundFile(path, status.st_size, "" if self._sandbox.allows(absolute) else ". ".join(_OUTSIDE))

    def _list_folder(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._absolute(folder)) as entries:
                return list(entries)
        except OSError as error:
            hint = "make it readable, or choose files elsewhere; its files cannot be told from deleted ones"
            self.problems.append(
                Problem(_printable(folder) or ".", 0, 0, f"the folder cannot be read: {_reason(error)}", hint)
            )
            return []

    def _to_file(self, entry: os.DirEntry[str], path: str) -> FoundFile | None:
        """A file as found; None for links to folders, sockets and the like."""
        if not path.isascii() and (printable := _printable(path)) != path:
            return FoundFile(printable, 0, "the name of the file, or of a folder it is in, is not UTF-8; rename it")
        if entry.is_symlink():
            return None if os.path.isdir(entry.path) else self.look_up(path)
        try:
            return FoundFile(path, entry.stat(follow_symlinks=False).st_size) if entry.is_file() else None
        except OSError as error:
            return FoundFile(path, 0, f"cannot be read: {_reason(error)}")


def _printable(path: str) -> str:
    """A path, with `?` for what is not UTF-8 in it."""
    return path.encode("utf-8", "replace").decode()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
