"""What one request works with: a connection in its transaction, the moment, the options, the fate of its files."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vssync.local.dialects import Dialect, LocalOptions
from vssync.local.errors import ApiError

FATES_ENVIRON = "vssync.fates"


@dataclass(frozen=True, slots=True)
class IngestionOverride:
    delay: float = 0.0  # seconds before ingestion may begin; infinite means never
    code: str = ""  # ingestion fails with this
    refused: str = ""  # attaching is refused with this


IngestionOverrides = Callable[[str, str], IngestionOverride]  # File id and file name to fate


def usual_ingestion(_file_id: str, _filename: str) -> IngestionOverride:
    return IngestionOverride()


@dataclass(frozen=True, slots=True)
class Transaction:
    connection: sqlite3.Connection
    moment: float  # seconds, by the service's clock
    options: LocalOptions
    fates: IngestionOverrides = usual_ingestion

    @property
    def now(self) -> int:
        """As in every `..._at`."""
        return int(self.moment)

    @property
    def dialect(self) -> Dialect:
        return self.options.dialect

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.connection.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        """Execute, and give the row id an insert made."""
        return self.connection.execute(sql, values).lastrowid or 0

    def missing(self, what: str) -> ApiError:
        """The error for an unknown store, store file or batch."""
        status = 400 if self.dialect.misses_with_400 else 404
        return ApiError(status, f"{what} does not exist.", code="not_found")


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(16)
