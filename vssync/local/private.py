"""Checks the files where the service keeps its data, before SQLite opens them.

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
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")  # at its end, it says that the name of a super-journal precedes
FILE_TYPES = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def database_exists(database: Path) -> bool:
    """Whether there is a database. Raises LocalDataError for anything that is not the service's own."""
    for folder in own_folders(database.parent):
        check_folder(folder)
    for suffix in SIDE_FILES:
        check_file(Path(f"{database}{suffix}"))
    check_journal(Path(f"{database}-journal"))
    return check_file(database)


def create_private(database: Path) -> None:
    """Uploads may be confidential: folder and file are the owner's alone, and SQLite's side files inherit that."""
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(database, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))


def own_folders(folder: Path) -> Iterator[Path]:
    """The folders that are the service's own, outermost first.

    Folders above them are the user's, who may keep them behind a link; so is a folder outside of `.vssync`.
    """
    lineage = (folder, *folder.parents)
    names = [ancestor.name for ancestor in lineage]
    if CHECKOUT in names:
        yield from reversed(lineage[: names.index(CHECKOUT) + 1])
    else:
        yield Path(os.path.realpath(folder))


def check_folder(path: Path) -> None:
    if (status := lstat_if_exists(path)) and not stat.S_ISDIR(status.st_mode):
        raise wrong_type_error(path, status, "a folder")


def check_file(path: Path) -> bool:
    """Whether it exists. Two names of one database have two logs, which damages it."""
    if not (status := lstat_if_exists(path)):
        return False
    if not stat.S_ISREG(status.st_mode):
        raise wrong_type_error(path, status, "a file")
    if status.st_nlink > 1:
        raise LocalDataError(f"{path}: has a second name (a hard link); put a copy in its place")
    return True


def check_journal(path: Path) -> None:
    """A journal of the service's own, which a killed process may leave, names no other file."""
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


def wrong_type_error(path: Path, status: os.stat_result, expected: str) -> LocalDataError:
    actual = FILE_TYPES[stat.S_IFMT(status.st_mode)]
    return LocalDataError(f"{path}: is {actual}, but must be {expected}; remove it")


def lstat_if_exists(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalDataError(f"{path}: cannot be opened: {error.strerror}") from error
