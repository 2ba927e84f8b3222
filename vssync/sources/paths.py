"""Paths: where a manifest may read, and how file names are decoded the same on every machine."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from vssync.manifest.globs import NEVER_READ

MOST_BYTES = 16 << 20  # of a manifest with its included files, and of a file of questions
# A FIFO that took a file's place must not hold up whoever opens it. Only Windows has O_BINARY.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
ALLOW_HINT = "whoever runs vssync can allow it with --allow-outside DIR"
_DECODES_UTF_8 = sys.getfilesystemencoding() == "utf-8"


def from_disk(name: str) -> str:
    """A name as Python gives it, decoded as UTF-8 whatever the locale says; what is not UTF-8 stays as surrogates."""
    return name if _DECODES_UTF_8 or name.isascii() else os.fsencode(name).decode("utf-8", "surrogateescape")


def on_disk(path: str) -> str:
    """The path as Python takes it: the reverse of `from_disk`."""
    return path if _DECODES_UTF_8 or path.isascii() else os.fsdecode(path.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Real, absolute folders below which a manifest may read: its git work tree, or its own folder if there is none.

    A manifest may come from a stranger's pull request: its own real path and that of every file it names must lie here.
    Only the person who runs vssync can allow more. `.git`, which may hold a credential, and `.vssync` are never read.
    """

    folders: tuple[Path, ...]  # that of the manifest first, then those of `--allow-outside`
    most_bytes: float = MOST_BYTES  # of the manifest; infinite with `--allow-large`

    @property
    def way_out(self) -> str:
        """The problem of a link that leads out of the sandbox."""
        return f"leads by a link out of {self.folders[0]}, or into its .git or .vssync"

    def allows(self, path: Path | str) -> bool:
        """Whether a path lies inside the sandbox after its links are followed."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(folder) and not _is_never_read(real, folder) for folder in self.folders)

    def around(self, folder: Path) -> Sandbox:
        """The sandbox for one folder of the work tree, with the folders of `--allow-outside`."""
        return replace(self, folders=(folder, *self.folders[1:]))

    @contextmanager
    def open(self, path: str) -> Iterator[tuple[int, os.stat_result]]:
        """A file's descriptor, for reading, and its status. Raises OSError, also where it is no regular file inside.

        A link may have been put there, or into a folder around it, since the path was looked at.
        """
        file = os.open(path, _READ)  # for a small file, `open` takes twice the time
        try:
            real, status = _opened_path(file, path), os.fstat(file)
            if not (real == path or self.allows(real)):
                raise PermissionError(0, f"it {self.way_out}")
            if not stat.S_ISREG(status.st_mode):
                raise PermissionError(0, "it is not a regular file")
            yield file, status
        finally:
            os.close(file)

    def read(self, path: Path) -> bytes:
        """The bytes of a file. Raises OSError as `open` does, and where it changes while it is read, twice."""
        for _ in range(2):
            with self.open(str(path)) as (file, before), os.fdopen(file, "rb", closefd=False) as stream:
                data = stream.read()
            if is_unchanged(before, os.stat(path)):
                return data
        raise OSError(errno.EBUSY, "it changed while it was read, twice; wait until nothing writes to it")


def is_unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file is still as it was when it was opened."""
    states = [(status.st_size, status.st_mtime_ns, status.st_ino) for status in (before, after)]
    return states[0] == states[1]


def _is_never_read(real: Path, folder: Path) -> bool:
    """Whether a path below a folder lies in `.git` or `.vssync`, also under another spelling that the disk accepts."""
    inner = [part for part in (real, *real.parents) if part != folder and part.is_relative_to(folder)]
    return any(_is_same(part, part.with_name(name)) for part in inner for name in NEVER_READ)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.name.lower() == other.name or os.path.samefile(path, other)
    except OSError:
        return False


def _opened_path(file: int, path: str) -> str:
    """The real path of an open file. Raises OSError where its path leads to another by now, and only it could tell."""
    try:
        return os.readlink(f"/proc/self/fd/{file}")  # only Linux has it
    except FileNotFoundError:
        real = os.path.realpath(path)
        if not os.path.samestat(os.fstat(file), os.lstat(real)):
            raise PermissionError(0, "it was replaced a moment ago") from None
        return real


def sandbox_around(folder: Path, allowed: tuple[Path, ...], *, allow_large: bool = False) -> Sandbox:
    """The sandbox of a manifest in this folder; `allowed` are more folders, from `--allow-outside`."""
    folders = (find_work_tree(folder), *(Path(os.path.realpath(path)) for path in allowed))
    return Sandbox(folders, inf if allow_large else MOST_BYTES)


def has_git(folder: Path) -> bool:
    """Whether a folder is a git work tree: its `.git` is a folder, or a file in a submodule or second work tree."""
    return (folder / ".git").exists()


def find_work_tree(folder: Path) -> Path:
    """The real path of the git work tree that a folder lies in; the folder itself if there is none.

    The path as typed is searched before its real path: a folder that is a link may belong to a stranger.
    """
    real = Path(os.path.realpath(folder))
    typed = Path(os.path.abspath(folder))
    parents = dict.fromkeys((typed, *typed.parents, real, *real.parents))
    return Path(os.path.realpath(next((parent for parent in parents if has_git(parent)), real)))
