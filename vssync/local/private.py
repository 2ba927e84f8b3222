"""Looks at what lies where the service keeps its data, before SQLite does.

The folder may have come with a checkout, which anybody may have written. SQLite follows links, waits for a FIFO, and
deletes the file that a rollback journal names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vssync.local.errors import LocalDataError

CHECKOUT = ".vssync"  # in a checkout, the data lies below this folder
SIDE_FILES = ("-wal", "-shm", "-journal")
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # at its end, it says that the name of a super-journal stands before
KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def is_there(database: Path) -> bool:
    """Whether there is a database. Raises LocalDataError for anything that is not the service's own."""
    for folder in folders(database.parent):
        check_folder(folder)
    for suffix in SIDE_FILES:
        check_file(Path(f"{database}{suffix}"))
    check_journal(Path(f"{database}-journal"))
    return check_file(database)


def make(database: Path) -> None:
    """Uploads may be confidential: folder and file are the owner's alone, and SQLite's side files inherit that."""
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(database, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))


def folders(folder: Path) -> Iterator[Path]:
    """The folders that are the service's own, outermost first.

    What is above them is its user's, who may keep it behind a link; so is a folder outside of `.vssync`.
    """
    lineage = (folder, *folder.parents)
    names = [one.name for one in lineage]
    if CHECKOUT in names:
        yield from reversed(lineage[: names.index(CHECKOUT) + 1])
    else:
        yield Path(os.path.realpath(folder))


def check_folder(path: Path) -> None:
    if status := looked_at(path):
        refuse_unless(stat.S_ISDIR(status.st_mode), path, KINDS[stat.S_IFMT(status.st_mode)], "a folder")


def check_file(path: Path) -> bool:
    """Whether it exists. Two names of one database have two logs, which damages it."""
    if not (status := looked_at(path)):
        return False
    refuse_unless(stat.S_ISREG(status.st_mode), path, KINDS[stat.S_IFMT(status.st_mode)], "a file")
    if status.st_nlink > 1:
        raise LocalDataError(f"{path}: has a second name (a hard link); put a copy in its place")
    return True


def check_journal(path: Path) -> None:
    """What a process leaves that is killed while it makes the database names no other file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - len(JOURNAL_MAGIC)))
            end = file.read()
    except FileNotFoundError:
        return
    except OSError as error:
        raise LocalDataError(f"{path}: cannot be opened: {error.strerror}") from error
    if end == JOURNAL_MAGIC:
        raise LocalDataError(f"{path}: names another file, which SQLite would delete; remove this journal")


def refuse_unless(fine: bool, path: Path, found: str, wanted: str) -> None:
    if not fine:
        raise LocalDataError(f"{path}: is {found}; the local service needs {wanted} of its own there; remove it")


def looked_at(path: Path) -> os.stat_result | None:
    """What a path is, no link followed; None for nothing."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalDataError(f"{path}: cannot be opened: {error.strerror}") from error
