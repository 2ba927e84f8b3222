"""The sandbox a manifest may read in, and one walk for the files that any of its patterns may match.

Libraries leave out folders they may not read. A file left out would be deleted from its store, so here such a folder is
a problem. Links to folders are not followed; links to files only inside the sandbox.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vssync.errors import ManifestError, Problem
from vssync.manifest.globs import NEVER_READ, FoundFile, Listing, Pattern

ALLOW_HINT = "whoever runs vssync can allow it with --allow-outside DIR"
_OUTSIDE = "leads by a link out of the manifest's root, or into .git or .vssync"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Real, absolute folders below which a manifest may read: its git work tree, or its own folder if there is none.

    A manifest may come from a stranger's pull request: everything it names, and itself, is judged by its real path.
    Only the person who runs vssync can allow more. `.git`, which may hold a credential, and `.vssync` are never read.
    """

    folders: tuple[Path, ...]

    def allows(self, path: Path | str) -> bool:
        """Whether a path, links followed, lies inside."""
        real = Path(os.path.realpath(path))
        return any(
            real.is_relative_to(folder) and not set(NEVER_READ).intersection(real.relative_to(folder).parts)
            for folder in self.folders
        )

    def around(self, folder: Path) -> Sandbox:
        """The sandbox of one folder in the work tree, with what else is allowed."""
        return Sandbox((folder, *self.folders[1:]))


def sandbox_around(folder: Path, allowed: tuple[Path, ...]) -> Sandbox:
    """The sandbox of a manifest in this folder; `allowed` are more folders, from `--allow-outside`."""
    return Sandbox((find_work_tree(folder), *(Path(os.path.realpath(path)) for path in allowed)))


def find_work_tree(folder: Path) -> Path:
    """The git work tree that a folder lies in, without links; the folder itself if there is none.

    The path as typed is searched first: a folder that is a link may belong to a stranger.
    """
    real = Path(os.path.realpath(folder))
    typed = Path(os.path.abspath(folder))
    parents = (typed, *typed.parents, real, *real.parents)
    return Path(os.path.realpath(next((parent for parent in parents if (parent / ".git").exists()), real)))


def walk_files(root: str, patterns: Iterable[Pattern], sandbox: Sandbox) -> Listing:
    """Every file below `root` that the patterns could match. Raises ManifestError for folders it cannot read."""
    patterns = tuple(patterns)
    walker = _Walker(root, sandbox, any(pattern.mentions_hidden for pattern in patterns))
    files: dict[str, FoundFile] = {}
    for folder in walker.starting_folders({pattern.folder for pattern in patterns if not pattern.is_literal}):
        files.update((file.path, file) for file in walker.walk(folder))
    for path in {pattern.start for pattern in patterns if pattern.is_literal}:
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
        """Where to start so that each folder is walked once; no walk meets one that lies behind a link."""
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
            self.problems.append(Problem(start, 0, 0, _OUTSIDE, ALLOW_HINT))
            return
        folders = [start]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self._absolute(folder)) as scan:
                    entries = list(scan)
            except OSError as error:
                message = f"the folder cannot be read: {_reason(error)}"
                hint = "make it readable, or choose files elsewhere; its files cannot be told from deleted ones"
                self.problems.append(Problem(_printable(folder) or ".", 0, 0, message, hint))
                continue
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in NEVER_READ and (self._enters_hidden or not entry.name.startswith(".")):
                        folders.append(path)
                elif file := self._to_file(entry, path):
                    yield file

    def look_up(self, path: str) -> FoundFile | None:
        """A file by its path from the root; None if it does not exist."""
        absolute = self._absolute(path)
        try:
            status = os.stat(absolute)
        except FileNotFoundError:
            return FoundFile(path, 0, "is a link that leads nowhere") if os.path.islink(absolute) else None
        except (OSError, ValueError) as error:
            return FoundFile(path, 0, f"cannot be read: {_reason(error)}")
        if stat.S_ISDIR(status.st_mode):
            return FoundFile(path, 0, f"is a folder; write `{path}/**` for every file in it")
        if not stat.S_ISREG(status.st_mode):
            return FoundFile(path, 0, "is not a regular file")
        return FoundFile(path, status.st_size, "" if self._sandbox.allows(absolute) else f"{_OUTSIDE}; {ALLOW_HINT}")

    def _to_file(self, entry: os.DirEntry[str], path: str) -> FoundFile | None:
        """The file an entry of a folder is or links to; None for a link to a folder, a socket and the like."""
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
