"""What one request works with: a connection in its transaction, the time, the options, and overrides of ingestion."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from vssync.local.database import Database
from vssync.local.dialects import Dialect, LocalOptions

OVERRIDES_KEY = "vssync.ingestion_overrides"  # in the WSGI environment


@dataclass(frozen=True, slots=True)
class IngestionOverride:
    """What a fault changes in the ingestion of one file."""

    delay: float = 0.0  # seconds before ingestion may begin; infinite means never
    code: str = ""  # ingestion fails with this
    refused: str = ""  # attaching is refused with this


IngestionOverrides = Callable[[str, str], IngestionOverride]  # by File id and file name


def normal_ingestion(_file_id: str, _filename: str) -> IngestionOverride:
    return IngestionOverride()


@dataclass(frozen=True, slots=True)
class Transaction:
    connection: sqlite3.Connection
    time: float  # seconds, by the service's clock
    options: LocalOptions
    overrides: IngestionOverrides = normal_ingestion

    @property
    def now(self) -> int:
        """As in every `..._at`."""
        return int(self.time)

    @property
    def dialect(self) -> Dialect:
        return self.options.dialect

    def fetch_one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.connection.execute(sql, values).fetchone()
        return row

    def fetch_all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.connection.execute(sql, values).fetchall()

    def execute(self, sql: str, *values: Any) -> int:
        """The row id, where the statement inserts."""
        return self.connection.execute(sql, values).lastrowid or 0


@dataclass(frozen=True, slots=True)
class Engine:
    """What all requests share."""

    database: Database
    clock: Callable[[], float]
    options: LocalOptions
    unsettled: dict[str, int] = field(default_factory=dict)  # new store to the 404s that it still answers

    @contextmanager
    def transaction(self, *, writes: bool, overrides: IngestionOverrides = normal_ingestion) -> Iterator[Transaction]:
        with (self.database.write if writes else self.database.read)() as connection:
            yield Transaction(connection, self.clock(), self.options, overrides)


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(16)
