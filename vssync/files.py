"""Writes a file whole or not at all; what is not a file, such as /dev/null, is written into and never replaced."""

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
            with path.open("wb") as file:
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
