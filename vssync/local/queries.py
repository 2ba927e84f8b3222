"""What one request works with: its transaction, the rows by the ids clients use, and pages of a listing."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from string import ascii_lowercase, digits
from typing import Any
from uuid import uuid4

from vssync.local.database import Database
from vssync.local.dialects import Dialect, ErrorStyle, LocalOptions, Undeletable
from vssync.local.errors import ApiError
from vssync.local.rules import DAY, STATUSES, invalid_error

ToBody = Callable[[sqlite3.Row], dict[str, Any]]  # how a row looks in a response
CONNECTOR = "connector"  # the purpose of Files that a connector brought into a store
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
    short: bool = False  # a listing leaves rows out

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
    short: dict[str, int] = field(default_factory=dict)  # path of a listing to how many more are short

    @contextmanager
    def transaction(
        self, *, writes: bool, overrides: IngestionOverrides = normal_ingestion, short: bool = False
    ) -> Iterator[Transaction]:
        with (self.database.write if writes else self.database.read)() as connection:
            yield Transaction(connection, self.clock(), self.options, overrides, short)


def new_id(tx: Transaction, prefix: str) -> str:
    if not tx.dialect.long_ids:
        return prefix + secrets.token_hex(16)
    if prefix == tx.dialect.store_ids:
        return prefix + "".join(secrets.choice(ascii_lowercase + digits) for _ in range(48))
    return f"{prefix}{uuid4()}"


def require_file(tx: Transaction, file_id: str) -> sqlite3.Row:
    """A File that clients may see; a connector's is not one of them."""
    file = tx.fetch_one("select * from files where id = ?", file_id)
    if file and file["purpose"] == CONNECTOR:
        raise ApiError(404, "File is a connector file", code="not_found", param="file_id")
    if file:
        return file
    raise ApiError(404, f"File '{file_id}' does not exist.", code="not_found", param="file_id")


def require_store(tx: Transaction, store_id: str) -> sqlite3.Row:
    if store := tx.fetch_one("select * from stores where id = ?", store_id):
        return store
    newest = tx.fetch_all("select id, name from stores order by seq desc limit 3")
    named = ", ".join(f"{row['id']} ({row['name'] or 'no name'})" for row in newest) or "none"
    raise not_found_error(tx, f"Vector store '{store_id}'", f" The newest here: {named}.")


def require_active_store(tx: Transaction, store_id: str) -> sqlite3.Row:
    """A store to write to or search in: an expired one can only be read and deleted."""
    store = require_store(tx, store_id)
    if is_expired(tx, store):
        raise ApiError(400, f"Vector store '{store_id}' has expired.", code="vector_store_expired")
    return store


def require_store_file(tx: Transaction, store: sqlite3.Row, file_id: str) -> sqlite3.Row:
    if entry := find_store_file(tx, store, file_id):
        return entry
    if tx.dialect.errors is ErrorStyle.DETAIL:  # as FastAPI applications put an error of their own code
        raise ApiError(400, f"Invalid value: File {file_id} not found in vector store {store['id']}")
    raise not_found_error(tx, f"File '{file_id}' in vector store '{store['id']}'")


def find_store_file(tx: Transaction, store: sqlite3.Row, file_id: str) -> sqlite3.Row | None:
    return tx.fetch_one("select * from store_files where store = ? and id = ?", store["seq"], file_id)


def require_batch(tx: Transaction, store: sqlite3.Row, batch_id: str) -> sqlite3.Row:
    prefix = tx.dialect.batch_ids
    if tx.dialect.checks_ids and not batch_id.startswith(prefix):
        message = f"Invalid 'batch_id': '{batch_id}'. Expected an ID that begins with '{prefix}'."
        raise ApiError(400, message, code="invalid_value", param="batch_id")
    if batch := tx.fetch_one("select * from batches where store = ? and id = ?", store["seq"], batch_id):
        return batch
    raise not_found_error(tx, f"File batch '{batch_id}' in vector store '{store['id']}'")


def not_found_error(tx: Transaction, name: str, hint: str = "") -> ApiError:
    """For an unknown store, store file or batch."""
    return ApiError(400 if tx.dialect.misses_with_400 else 404, f"{name} does not exist.{hint}", code="not_found")


def decode_attributes(tx: Transaction, stored: str) -> dict[str, Any] | None:
    """Attributes as this service returns them."""
    parse_int = float if tx.dialect.floats else None  # None keeps the decoder that is ready
    attributes: dict[str, Any] = json.loads(stored, parse_int=parse_int)
    return None if tx.dialect.null_attributes and not attributes else attributes


def require_deletable(tx: Transaction, kind: Undeletable, name: str) -> None:
    """Raises the 404 of those who may see an object, and not delete it."""
    if tx.dialect.refuses_deleting in (kind, Undeletable.ALL):
        raise ApiError(404, f"{name} does not exist.", code="not_found")


def store_age(tx: Transaction, store: sqlite3.Row) -> float:
    """Seconds since a store was created."""
    return tx.time - float(store["created_at"])


def expires_at(store: sqlite3.Row) -> int | None:
    if store["expires_days"] is None:
        return None
    return int(store["last_active_at"] + store["expires_days"] * DAY)


def is_expired(tx: Transaction, store: sqlite3.Row) -> bool:
    expiry = expires_at(store)
    return expiry is not None and expiry <= tx.now


def touch_store(tx: Transaction, store: sqlite3.Row) -> None:
    """Put off the expiry of a store in use; one that has expired stays so."""
    if not is_expired(tx, store):
        tx.execute("update stores set last_active_at = ? where seq = ?", tx.now, store["seq"])


def deletion_body(tx: Transaction, object_id: str, kind: str) -> dict[str, Any]:
    return {"id": object_id, "object": kind, "deleted": not tx.dialect.denies_deletions}


def keep_ghost(tx: Transaction, table: str, seq: int, seconds: int) -> None:
    """Remembers a row that is about to be deleted, where it is shown for some seconds more."""
    if seconds:
        tx.execute(f"insert into {table}_ghosts select *, ? from {table} where seq = ?", tx.time, seq)


def shown_rows(tx: Transaction, table: str, *, late: int = 0, ghosts: int = 0, short: bool = False) -> str:
    """What stands for a table where new rows are shown late, deleted ones for some time more, or some not at all.

    Times in seconds.
    """
    rows = table
    if ghosts:
        rows = (
            f"(select *, null as gone_at from {table}"
            f" union all select * from {table}_ghosts where gone_at > {tx.time - ghosts!r})"
        )
    if late:
        rows = f"(select * from {rows} where created_at <= {tx.time - late!r})"
    if short:
        window = f"{'partition by store' if table == 'store_files' else ''} order by seq desc"
        numbered = f"select *, row_number() over ({window}) as number from {rows}"
        rows = f"(select * from ({numbered}) where number % 2 = 0)"
    return rows


def count_by_status(tx: Transaction, column: str, seq: int, files: str = "store_files") -> tuple[dict[str, int], int]:
    """The `file_counts` of a store or a batch, and the bytes its files use."""
    rows = tx.fetch_all(
        f"select status, count(*), sum(usage_bytes) from {files} where {column} = ? group by status", seq
    )
    counts = dict.fromkeys(STATUSES, 0) | {row[0]: row[1] for row in rows}
    return {**counts, "total": sum(counts.values())}, sum(row[2] for row in rows)


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What a listing accepts: its limits, and which query parameters select by which column's values."""

    most: int = 100
    default: int = 20
    backwards: bool = True
    filters: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageRequest:
    limit: int
    descending: bool
    after: str | None
    before: str | None
    selected: Mapping[str, str]  # column to value


def parse_page(query: Mapping[str, str], limits: PageLimits) -> PageRequest:
    """Read the query parameters; unknown ones are ignored, as elsewhere in HTTP."""
    limit = query.get("limit") or str(limits.default)
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= limits.most):
        raise invalid_error("limit", f"it must be between 1 and {limits.most}")
    return PageRequest(
        limit=int(limit),
        descending=parse_choice(query, "order", ("desc", "asc")) == "desc",
        after=query.get("after") or None,
        before=(query.get("before") or None) if limits.backwards else None,
        selected={
            column: parse_choice(query, name, values)
            for name, (column, values) in limits.filters.items()
            if query.get(name)
        },
    )


def parse_choice(query: Mapping[str, str], name: str, values: Sequence[str]) -> str:
    if (value := query.get(name) or values[0]) not in values:
        raise invalid_error(name, f"it must be one of {', '.join(values)}")
    return value


def list_page(
    tx: Transaction, table: str, scope: Mapping[str, Any], page: PageRequest, to_body: ToBody, *, rows: str = ""
) -> dict[str, Any]:
    """One page of the rows of `table` whose columns equal `scope`, in order of creation.

    By key rather than by offset, so page 1,000 costs what page 1 does. `rows` are those shown of the table.
    """
    dialect = tx.dialect
    page = replace(page, descending=page.descending or dialect.ignores_order)
    limit = min(filter(None, (page.limit, dialect.cut_after, dialect.empty_after)))
    backwards = bool(page.before and not page.after)  # the page that ends before the cursor
    descending = page.descending != backwards
    where = {f"{column} = ?": value for column, value in {**scope, **page.selected}.items()}
    for cursor, parameter, is_after in ((page.after, "after", True), (page.before, "before", False)):
        if cursor is None:
            continue
        if position := find_cursor(tx, table, scope, cursor):
            where[f"{position[0]} {'<' if page.descending == is_after else '>'} ?"] = position[1]
        elif not dialect.restarts_unknown_cursor:
            raise ApiError(400, f"'{cursor}' is not in this list.", code="invalid_value", param=parameter)
    entries = tx.fetch_all(
        f"select * from {rows or table} where {' and '.join(where) or 'true'}"
        f" order by seq {'desc' if descending else 'asc'} limit ?",
        *where.values(),
        limit + 1,
    )
    has_more = len(entries) > limit and not dialect.cut_after
    if dialect.empty_after and (page.after or page.before):
        entries, has_more = [], bool(entries)
    bodies = [to_body(row) for row in entries[:limit]]
    if backwards:
        bodies.reverse()
    return {
        "object": "list",
        "data": bodies,
        "first_id": bodies[0]["id"] if bodies else "",  # the spec makes both ids strings
        "last_id": bodies[-1]["id"] if bodies else "",
        **({"has_more": has_more} if dialect.sends_has_more else {}),
    }


def find_cursor(tx: Transaction, table: str, scope: Mapping[str, Any], cursor: str) -> tuple[str, int] | None:
    """A column that orders the listing, and its value at the cursor, also after the row was deleted."""
    where = " and ".join(f"{column} = ?" for column in ("id", *scope))
    values = (cursor, *scope.values())
    if row := tx.fetch_one(f"select * from {table} where {where}", *values):
        column = "created_at" if table == "files" and tx.dialect.skips_same_second else "seq"
        return column, row[column]
    row = tx.fetch_one(f"select seq from gone where {where} and list = ? order by number desc", *values, table)
    return ("seq", row["seq"]) if row else None
