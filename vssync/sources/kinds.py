"""What people call the kinds of things that a path can lead to."""

from __future__ import annotations

import stat

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def describe_file_type(mode: int) -> str:
    """By a mode as `os.stat` gives it."""
    return _KINDS.get(stat.S_IFMT(mode), "something unknown")
