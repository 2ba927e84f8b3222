"""Listings are whole or an error, whatever a service does to its pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.api.pagination import Page, list_objects, parse_page
from vssync.api.parse import MalformedResponse
from vssync.limits import PAGE_SIZE


def served(ids: list[str], size: int, more: Callable[[bool], bool] = bool) -> Callable[[str], Page]:
    """A service that pages through ids; `more` bends what it says of there being more."""

    def fetch(cursor: str) -> Page:
        start = ids.index(cursor) + 1 if cursor else 0
        rows = [{"id": name} for name in ids[start : start + size]]
        return parse_page({"data": rows, "has_more": more(start + size < len(ids))})

    return fetch


@given(st.lists(st.text("abc", min_size=1), unique=True), st.integers(1, 7))
def test_nothing_is_lost(ids: list[str], size: int) -> None:
    assert [row["id"] for row in list_objects(served(ids, size))] == ids


def test_more_for_ever_ends_at_an_empty_page() -> None:
    assert len(list(list_objects(served(list("abcde"), 2, more=lambda _: True)))) == 5


def test_duplicates_across_pages_count_once() -> None:
    pages = {"": (["a", "b"], True), "b": (["b", "c"], False)}

    def fetch(cursor: str) -> Page:
        ids, more = pages[cursor]
        return Page([{"id": name} for name in ids], ids[-1], more)

    assert [row["id"] for row in list_objects(fetch)] == ["a", "b", "c"]


def test_an_ignored_cursor_is_an_error_and_not_a_loop() -> None:
    with pytest.raises(MalformedResponse, match="does not advance"):
        list(list_objects(lambda cursor: Page([{"id": "a"}], "a", True)))


@pytest.mark.parametrize(
    "body", [[], {}, {"data": None}, "text", None, {"data": ["file-1"]}, {"data": [{"id": "a"}, None]}]
)
def test_what_is_no_listing_is_said_so(body: Any) -> None:
    with pytest.raises(MalformedResponse):
        parse_page(body)


@pytest.mark.parametrize(("rows", "more"), [(0, False), (99, False), (PAGE_SIZE, True), (PAGE_SIZE + 1, False)])
def test_a_service_that_does_not_say_whether_there_is_more(rows: int, more: bool) -> None:
    """A page filled to the limit may not be the last; one beyond it is all there is."""
    assert parse_page({"data": [{"id": str(number)} for number in range(rows)]}).has_more is more
