"""Writes a file whole or not at all; what is not a file, such as /dev/null, is written into and never replaced."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

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
    """What stands in the way, by its mode as `os.stat` gives it."""
    return _TYPE_NAMES.get(stat.S_IFMT(mode), "something unknown")


def write_file(path: Path, text: str) -> None:
    """Puts text into a file by a temporary one beside it and a rename. Raises OSError, which names this path."""
    try:
        if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
