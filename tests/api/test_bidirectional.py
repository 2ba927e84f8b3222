"""Both ends of a listing meet without losing anything, however many objects share a second."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.api.pagination import Fetch, Page, read_bidirectional
from vssync.api.parse import MalformedResponse


def in_turn(one: Callable[[], Page], other: Callable[[], Page]) -> tuple[Page, Page]:
    return one(), other()


def side(rows: list[tuple[str, int]], size: int) -> Fetch:
    """A service's listing in one direction, in this order."""
    ids = [name for name, _ in rows]

    def fetch(cursor: str) -> Page:
        start = ids.index(cursor) + 1 if cursor else 0
        page = rows[start : start + size]
        more = start + size < len(rows)
        return Page([{"id": name, "created_at": at} for name, at in page], page[-1][0] if page else "", more)

    return fetch


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 7), st.booleans(), st.randoms())
def test_nothing_is_lost_in_either_order_of_ties(times: list[int], size: int, flip: bool, random: Random) -> None:
    rows = [(f"file-{number}", at) for number, at in enumerate(times)]
    shuffled = sorted(rows, key=lambda _: random.random())
    rising = sorted(rows, key=lambda row: row[1])
    falling = sorted(reversed(shuffled) if flip else shuffled, key=lambda row: -row[1])
    reading = read_bidirectional(side(rising, size), side(falling, size), in_turn, None, dict)
    assert {row["id"] for row in reading.rows} == {name for name, _ in rows}
    assert reading.ended


def test_each_side_reads_about_half() -> None:
    rows = [(f"file-{number}", number) for number in range(1000)]
    seen: list[str] = []

    def counted(fetch: Fetch) -> Fetch:
        def count(cursor: str) -> Page:
            seen.append(cursor)
            return fetch(cursor)

        return count

    reading = read_bidirectional(counted(side(rows, 100)), counted(side(rows[::-1], 100)), in_turn, None, dict)
    assert (len(reading.rows), reading.ended) == (1000, True)
    assert reading.pages == len(seen) <= 12


@pytest.mark.parametrize(
    "page",
    [
        Page([{"id": "a", "created_at": 5}, {"id": "b", "created_at": 4}], "b", True),
        Page([{"id": "a", "created_at": "2026-08-01"}], "a", True),
        Page([{"id": "a"}], "a", True),
    ],
    ids=["out of order", "another kind of time", "no time"],
)
def test_an_order_that_cannot_be_relied_on_is_said(page: Page) -> None:
    with pytest.raises(MalformedResponse):
        read_bidirectional(
            lambda _: page, lambda _: Page([{"id": "z", "created_at": 9}], "z", True), in_turn, None, dict
        )


@pytest.mark.parametrize(("count", "ended"), [(None, False), (2, True), (3, False)])
def test_both_ends_that_do_not_advance_are_a_short_reading(count: int | None, ended: bool) -> None:
    left, right = (Page([{"id": name, "created_at": at}], name, True) for name, at in (("a", 1), ("z", 9)))
    reading = read_bidirectional(lambda _: left, lambda _: right, in_turn, count, dict)
    assert ([row["id"] for row in reading.rows], reading.ended) == (["a", "z"], ended)
