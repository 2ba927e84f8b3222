"""Markdown that documents were converted to before, on this machine. It saves time; nothing depends on it."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from vssync.errors import VssyncError
from vssync.journal.folder import prepare_folder

_NAME = "conversions.sqlite"
_DAY = 24 * 60 * 60
_KEPT_DAYS = 90  # after the last use
_TABLE = (
    "CREATE TABLE IF NOT EXISTS conversions (source TEXT, extension TEXT, converters TEXT, markdown BLOB, "
    "used INTEGER, PRIMARY KEY (source, extension, converters)) WITHOUT ROWID"
)
_KEY = "source = ? AND extension = ? AND converters = ?"


class ConversionCache:
    """An open cache, or one that holds nothing. What cannot be read or written there counts as not there."""

    def __init__(self, database: sqlite3.Connection | None = None) -> None:
        self._database, self._today = database, _today()

    def get(self, source: str, extension: str, converters: str) -> bytes | None:
        """The Markdown of a document with this SHA-256, by this set of converters."""
        if not self._database:
            return None
        key = (source, extension, converters)
        with suppress(sqlite3.Error, zlib.error):
            row = self._database.execute(f"SELECT markdown, used FROM conversions WHERE {_KEY}", key).fetchone()
            if row:
                if row[1] != self._today:
                    self._write(f"UPDATE conversions SET used = ? WHERE {_KEY}", self._today, *key)
                return zlib.decompress(row[0])
        return None

    def put(self, source: str, extension: str, converters: str, markdown: bytes) -> None:
        """Keeps it."""
        values = (source, extension, converters, zlib.compress(markdown), self._today)
        self._write("INSERT OR REPLACE INTO conversions VALUES (?, ?, ?, ?, ?)", *values)

    def _write(self, statement: str, *values: object) -> None:
        if self._database:
            with suppress(sqlite3.Error):
                self._database.execute(statement, values)


@contextmanager
def open_cache(folder: Path | None, *, cleans: bool = False) -> Iterator[ConversionCache]:
    """The cache in a folder, which is made; one that holds nothing where there is no folder or it cannot be used.

    One that `cleans` drops what nothing has used for long, for which it reads all of the cache.
    """
    database = None
    if folder:
        with suppress(VssyncError, sqlite3.Error):
            path = prepare_folder(folder) / _NAME
            try:
                database = _open_database(path, cleans)
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise
                path.unlink(missing_ok=True)  # damaged
                database = _open_database(path, cleans)
    if not database:
        yield ConversionCache()
        return
    with closing(database):
        yield ConversionCache(database)


def _today() -> int:
    return int(time.time()) // _DAY


def _open_database(path: Path, cleans: bool) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute(_TABLE)
        if cleans:
            with suppress(sqlite3.OperationalError):  # a full disk, and not what is damaged
                database.execute("DELETE FROM conversions WHERE used < ?", (_today() - _KEPT_DAYS,))
    except sqlite3.Error:
        database.close()
        raise
    return database
