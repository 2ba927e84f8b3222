"""Pages of a listing, in order of creation: by key rather than by offset, so page 1,000 costs what page 1 does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vssync.local.checks import invalid
from vssync.local.errors import ApiError
from vssync.local.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Paging:
    """What a listing accepts: its limits, and which query parameters select by which column's values."""

    most: int = 100
    usual: int = 20
    backwards: bool = True
    filters: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    limit: int
    descending: bool
    after: str | None
    before: str | None
    selected: Mapping[str, str]  # column to value


def page(query: Mapping[str, str], paging: Paging) -> Page:
    """Read the query parameters; those nobody knows are ignored, as elsewhere in HTTP."""
    return Page(
        limit=limit(query.get("limit"), paging),
        descending=one_of(query, "order", ("desc", "asc")) != "asc",
        after=query.get("after") or None,
        before=(query.get("before") or None) if paging.backwards else None,
        selected={
            column: one_of(query, name, values) for name, (column, values) in paging.filters.items() if query.get(name)
        },
    )


def limit(sent: str | None, paging: Paging) -> int:
    if not sent:
        return paging.usual
    if not (sent.isascii() and sent.isdecimal() and len(sent) < 9 and 1 <= int(sent) <= paging.most):
        raise invalid("limit", f"it must be between 1 and {paging.most}")
    return int(sent)


def one_of(query: Mapping[str, str], name: str, values: Sequence[str]) -> str:
    if (sent := query.get(name) or values[0]) not in values:
        raise invalid(name, f"it must be one of {', '.join(values)}")
    return sent


def listing(
    tx: Transaction,
    table: str,
    scope: Mapping[str, Any],
    page: Page,
    shape: Callable[[sqlite3.Row], dict[str, Any]],
) -> dict[str, Any]:
    """One page of the rows of `table` whose columns equal `scope`, each shaped for the answer."""
    backwards = bool(page.before and not page.after)  # the page that ends before the cursor
    descending = page.descending != backwards
    where = {f"{column} = ?": value for column, value in {**scope, **page.selected}.items()}
    for cursor, name, beyond in ((page.after, "after", True), (page.before, "before", False)):
        if cursor:
            sign = "<" if page.descending == beyond else ">"
            where |= beyond_row(tx, table, position(tx, table, scope, cursor, name), sign)
    rows = tx.all(
        f"select * from {table} where {' and '.join(where) or 'true'}"
        f" order by seq {'desc' if descending else 'asc'} limit ?",
        *where.values(),
        page.limit + 1,
    )
    shown = [shape(row) for row in rows[: page.limit]]
    return envelope(shown[::-1] if backwards else shown, has_more=len(rows) > page.limit)


def beyond_row(tx: Transaction, table: str, seq: int | None, sign: str) -> dict[str, int]:
    """The condition that a row stands on the far side of this one; none where the cursor is ignored."""
    if seq is None:
        return {}
    if table == "files" and tx.dialect.skips_same_second:
        row = tx.one("select created_at from files where seq = ?", seq)
        return {f"created_at {sign} ?": row["created_at"]} if row else {f"seq {sign} ?": seq}
    return {f"seq {sign} ?": seq}


def position(tx: Transaction, table: str, scope: Mapping[str, Any], cursor: str, name: str) -> int | None:
    """Where the cursor stands, or stood until it was deleted."""
    where = " and ".join(f"{column} = ?" for column in ("id", *scope))
    values = (cursor, *scope.values())
    row = tx.one(f"select seq from {table} where {where}", *values) or tx.one(
        f"select seq from gone where {where} and list = ? order by number desc", *values, table
    )
    if not row and tx.dialect.restarts_unknown_cursor:
        return None
    if not row:
        raise ApiError(400, f"'{cursor}' is not in this list.", code="invalid_value", param=name)
    return int(row["seq"])


def envelope(shown: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """The spec makes both ids strings, so an empty page has empty ones."""
    return {
        "object": "list",
        "data": list(shown),
        "first_id": shown[0]["id"] if shown else "",
        "last_id": shown[-1]["id"] if shown else "",
        "has_more": has_more,
    }
