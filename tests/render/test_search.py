"""How hits look: where they are from, what the manifest says of them, and as much of their text as fits."""

from __future__ import annotations

from typing import Any

import pytest

from vssync.model.state import SearchHit
from vssync.render.layout import View
from vssync.render.search import SearchResults, search_text
from vssync.text import display_width

ATTRIBUTES: dict[str, str | int | float | bool] = {"lang": "en", "vssync_mark": "v1", "added_by_the_service": 1}
NARROW = View(width=60)


def shown(text: str, view: View = NARROW, *, key: str = "docs/a.md", **more: Any) -> list[str]:
    hit = SearchHit(0.824, "docs__a.md", "file-1", key, ATTRIBUTES, text, "kb")
    results = SearchResults((hit,), **{"stores": ("kb",), "attributes": frozenset({"lang"}), **more})
    return search_text(results, view).splitlines()


@pytest.mark.parametrize(
    ("key", "stores", "head"),
    [
        ("docs/a.md", ("kb",), ["0.82  docs/a.md", '      lang "en"', "      text"]),
        ("docs/a.md", ("kb", "faq"), ["0.82  kb/docs/a.md", '      lang "en"', "      text"]),
        ("", ("kb",), ["0.82  docs__a.md", '      added_by_the_service 1, lang "en"', "      text"]),
    ],
)
def test_a_hit_has_its_key_and_the_attributes_of_the_manifest(
    key: str, stores: tuple[str, ...], head: list[str]
) -> None:
    assert shown("text", key=key, stores=stores) == head
    assert shown("text", View(quiet=True), key=key, stores=stores) == head[:1]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("\n one\ntwo\n\n\n    three\n\tfour  \n", ["one", "two", "", "", "    three", "    four"]),
        ("word " * 24, [("word " * 11)[:-1], ("word " * 11)[:-1], "word word"]),
        ("- a\n    " + "word " * 12, ["- a", "    " + ("word " * 10)[:-1], "    word word"]),
        ("x" * 60, ["x" * 54, "x" * 6]),
        ("日" * 30, ["日" * 27, "日" * 3]),
        ("a\x1b[31m\x00b", ["a\\x1b[31m\\x00b"]),
    ],
)
def test_line_breaks_stay_and_long_lines_are_wrapped(text: str, lines: list[str]) -> None:
    printed = shown(text)[2:]
    assert printed == [f"      {line}".rstrip() for line in lines]
    assert max(map(display_width, printed)) <= NARROW.width


def test_a_long_text_is_cut() -> None:
    text = "\n".join(map(str, range(9)))
    assert shown(text)[2:] == [*(f"      {number}" for number in range(7)), "      ... 2 lines more"]
    assert shown(text, View(full=True))[2:] == [f"      {number}" for number in range(9)]
    assert shown("\n".join(map(str, range(8))))[-1] == "      7"


NUMBERS = [f"Number {number}." for number in range(12)]
SECTIONS = "\n\n".join(["# Money", *NUMBERS, "# Refunds", "A refund takes a week.", "# Last", "The end."])


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("", ["# Money", "", "Number 0.", "", "Number 1.", "", "Number 2.", "... 26 lines more"]),
        ("unicorns", ["# Money", "", "Number 0.", "", "Number 1.", "", "Number 2.", "... 26 lines more"]),
        (
            "how long does a REFUND take",
            ["...", "# Refunds", "", "A refund takes a week.", "", "# Last", "", "... 1 line more"],
        ),
        ("the end of it", ["...", "# Last", "", "The end."]),
    ],
)
def test_a_long_text_is_shown_where_the_words_of_the_question_are(question: str, lines: list[str]) -> None:
    assert shown(SECTIONS, question=question)[2:] == [f"      {line}".rstrip() for line in lines]


def test_nothing_found() -> None:
    assert search_text(SearchResults(()), NARROW) == "Nothing found."
