"""Writes a file whole or not at all; what is not a file, such as /dev/null, is written into and never replaced.

And opens what a person named, for reading where that ends, and for writing where somebody reads it.
"""

from __future__ import annotations

import errno
import gzip
import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from vssync.errors import VssyncError

_TYPE_NAMES = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def describe_file_type(mode: int) -> str:
    """What kind of file has this `st_mode`, for messages: "a folder"."""
    return _TYPE_NAMES.get(stat.S_IFMT(mode), "something unknown")


def describe_path(path: Path) -> str:
    """What kind of file is at a path, behind its links; empty where nothing is."""
    return describe_file_type(path.stat().st_mode) if path.exists() else ""


def open_input(path: Path) -> BinaryIO:
    """A file, or a pipe, to read what a person named. Raises OSError for anything else.

    It waits for nobody: a FIFO that no program writes into is empty, and a device, which may have no end, is an error.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise OSError(errno.EINVAL, f"it is {describe_file_type(mode)}", str(path))
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(file, True)
    return os.fdopen(file, "rb")


def read_input(path: Path) -> bytes:
    """All of what `open_input` opens."""
    with open_input(path) as file:
        return file.read()


def open_output(path: str, flags: int, mode: int = 0o644) -> int:
    """Opens for `open` what a person named to write into; `mode` is for a new file.

    Raises OSError for a socket, and for a FIFO that no program reads from.
    """
    try:
        file = os.open(path, flags | os.O_NONBLOCK, mode)
    except OSError as error:
        if error.errno == errno.ENXIO:
            kind = describe_path(Path(path))
            problem = "no program reads from it" if kind == "a FIFO" else f"it is {kind}"
            raise OSError(error.errno, problem, path) from error
        raise
    os.set_blocking(file, True)
    return file


def cannot_write(path: Path | str, error: OSError) -> VssyncError:
    """The error for a file that cannot be written, with the way out."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        way_out = "make room, or name another place"
    elif error.errno in (errno.ENOENT, errno.ENOTDIR):
        way_out = "create its folder first"
    else:
        way_out = "name a place where you may write"
    return VssyncError(f"{path}: cannot be written: {error.strerror}; {way_out}")


def write_file(path: Path, text: str | Iterable[str]) -> None:
    """Writes text to a temporary file beside the path and renames it; compressed if the name ends in `.gz`.

    Raises OSError, which names this path.
    """
    parts = (text,) if isinstance(text, str) else text
    compressed = path.suffix == ".gz"
    try:
        if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
            with open(path, "wb", opener=open_output) as file:
                _write(file, parts, compressed=compressed)
            return
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _write(file, parts, compressed=compressed)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write(file: BinaryIO, parts: Iterable[str], *, compressed: bool) -> None:
    with ExitStack() as stack:
        sink: BinaryIO | gzip.GzipFile = file
        if compressed:  # without name and time: the same plan is the same bytes
            sink = stack.enter_context(gzip.GzipFile("", "wb", 6, file, mtime=0))
        text = TextIOWrapper(sink, encoding="utf-8", newline="\n")
        text.writelines(parts)
        text.flush()
        text.detach()
