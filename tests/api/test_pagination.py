"""Listings are whole or an error, whatever a service does to its pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.api.pagination import Page, list_objects, list_side_by_side, parse_page, read_listing
from vssync.api.parse import MalformedResponse


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


@given(st.lists(st.text("abc", min_size=1), unique=True), st.integers(1, 7), st.data())
def test_side_by_side_nothing_is_lost_or_read_twice(ids: list[str], size: int, data: st.DataObject) -> None:
    starts = data.draw(st.lists(st.sampled_from(ids), unique=True) if ids else st.just([]))
    rows = list_side_by_side(served(ids, size), starts, len(ids), map)
    assert sorted(str(row["id"]) for row in rows) == sorted(ids)


@pytest.mark.parametrize(("starts", "found"), [((), "ab"), (("e",), "abfg"), (("b",), "abcd")])
def test_no_reading_takes_more_than_it_may(starts: tuple[str, ...], found: str) -> None:
    rows = list_side_by_side(served(list("abcdefgh"), 3), starts, 2, map)
    assert "".join(str(row["id"]) for row in rows) == found


@pytest.mark.parametrize("starts", ["b", "be", "eb"])
def test_a_cursor_that_is_ignored_is_an_error_side_by_side_too(starts: str) -> None:
    with pytest.raises(MalformedResponse, match="starts elsewhere"):
        list_side_by_side(lambda _: served(list("abcdef"), 9)(""), tuple(starts), 9, map)


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


@pytest.mark.parametrize("more", [True, False, None])
def test_what_a_service_says_of_there_being_more(more: bool | None) -> None:
    assert parse_page({"data": [{"id": "a"}], "has_more": more}).has_more is more
    assert parse_page({"data": [{"id": "a"}]}).has_more is None


Pages = list[tuple[str, bool | None]]


@pytest.mark.parametrize(
    ("pages", "count", "ids", "ended"),
    [
        ([("ab", False)], None, "ab", True),
        ([("ab", False)], 3, "ab", True),  # whether it is whole is another question
        ([("", None)], None, "", True),
        ([("", True)], 0, "", True),
        ([("", True)], 1, "", False),
        ([("ab", None), ("", None)], 2, "ab", True),
        ([("ab", None), ("ab", None)], None, "ab", True),  # it has no pages at all
        ([("ab", None), ("bc", None), ("c", None)], None, "abc", True),
        ([("ab", True), ("", True)], None, "ab", True),
        ([("ab", True), ("", True)], 2, "ab", True),
        ([("ab", True), ("", True)], 3, "ab", False),
        ([("ab", True), ("ab", True)], None, "ab", False),
        ([("ab", True), ("ab", True)], 2, "ab", True),
        ([("ab", True), ("ab", True)], 3, "ab", False),
        ([("ab", True), ("b", False)], 3, "ab", True),
        ([("ab", True), ("bc", True), ("cd", False)], 4, "abcd", True),  # rows shift while others write
        ([("ab", True), ("bc", True), ("abc", True)], 3, "abc", True),
        ([("aab", True), ("", False)], 2, "ab", True),
        ([("abc", True), ("d", False)], 3, "abcd", True),  # more than the count, which is older
    ],
)
def test_how_a_reading_ends(pages: Pages, count: int | None, ids: str, ended: bool) -> None:
    left = iter(pages)

    def fetch(_cursor: str) -> Page:
        names, more = next(left)
        return parse_page({"data": [{"id": name} for name in names], "has_more": more})

    reading = read_listing(fetch, count, dict)
    assert ("".join(row["id"] for row in reading.rows), reading.ended, reading.pages) == (ids, ended, len(pages))
    assert next(left, None) is None


@pytest.mark.parametrize("row", [{}, {"id": None}, {"id": ""}, {"id": 7}, {"id": "x" * 513}])
def test_an_object_without_a_proper_id_is_no_part_of_a_listing(row: Any) -> None:
    with pytest.raises(MalformedResponse, match=r"an object without an id|an id of 513 characters"):
        read_listing(lambda _: Page([{"id": "a"}, row], "a", False), None, dict)
