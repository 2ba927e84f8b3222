"""YAML that every reader takes for the same: ours, and those of YAML 1.1."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vssync.manifest.yaml_loader import parse_document
from vssync.render.yaml_writer import yaml_scalar, yaml_text
from vssync.text import escape_control

ODD = ["no", "On", "Y", "~", "null", "True", "1_000", "0o17", "0x1F", "1e3", ".5", "12:30:00", "2026-05-01", "<<", "=",
       "- a", "a: b", "a #b", "#", "*x", "&x", "!x", "{a}", "[a]", "%", "@", "`", "|", ">", "?", "'", '"', " a", "a ",
       "", "\n", "a\nb", "\t", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe", "\u202e", "\U000e0041", "é", "😀", "::x",
       "##[x", "\\", "---", "...", "a,b", "docs/**/*.md", "a -b"]  # fmt: skip
TEXTS = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = TEXTS | st.booleans() | st.none() | st.integers(-(2**53), 2**53)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(ODD[:-1]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    inner = st.recursive(
        leaves,
        lambda under: st.lists(under, max_size=3) | st.dictionaries(names, under, max_size=3),
        max_leaves=12,
    )
    return st.dictionaries(names, inner, min_size=1, max_size=4)


@given(trees(PLAIN | NUMBERS))
def test_we_read_back_what_was_written(tree: dict[str, Any]) -> None:
    assert repr(parse_document(yaml_text(tree), "vssync.yaml").tree) == repr(tree)


@given(trees(PLAIN))
def test_readers_of_yaml_1_1_agree(tree: dict[str, Any]) -> None:
    assert repr(yaml.safe_load(yaml_text(tree))) == repr(tree)


@given(trees(PLAIN))
def test_nothing_steers_a_terminal_or_a_runner(tree: dict[str, Any]) -> None:
    lines = yaml_text(tree).split("\n")
    assert [escape_control(line) for line in lines] == lines
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("en", "en"),
        ("docs/**/*.md", "docs/**/*.md"),
        ("two words", "two words"),
        ("no", '"no"'),
        ("1.10", '"1.10"'),
        ("${path}", '"${path}"'),
        ("https://x", '"https://x"'),
        (True, "true"),
        (None, "null"),
        (1.0, "1.0"),
    ],
)
def test_quotes_only_where_they_are_needed(value: Any, text: str) -> None:
    assert yaml_scalar(value) == text


def test_the_form() -> None:
    tree = {"skip": ["empty"], "none": {}, "files": [{"path": "a", "attributes": {"n": 1}}, {"path": "b"}]}
    assert yaml_text(tree).split("\n") == [
        "skip: [empty]",
        "none: {}",
        "files:",
        "  - path: a",
        "    attributes:",
        '      "n": 1',
        "  - path: b",
    ]
