"""Names of a service become keys and local names that stay where they belong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.commands.dump.entries import free_key, local_name
from vssync.commands.names import make_label
from vssync.manifest.globs import NEVER_READ
from vssync.manifest.schema import LABEL_PATTERN


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("docs/a.md", "docs/a.md"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        (".git/config", "_.git/config"),
        (".vssync/x", "_.vssync/x"),
        ("a\nb\x1b[2J.md", "a_b_[2J.md"),
        ("..", "file-1"),
        ("", "file-1"),
        ("con:.md", "con_.md"),
        ("docs/CON", "docs/_CON"),
        ("aux.en.md", "_aux.en.md"),
        ("nul /COM¹.txt", "_nul/_COM¹.txt"),
        ("console.md", "console.md"),
        ("a. . /b.md..", "a/b.md"),
    ],
)
def test_local_names(key: str, name: str) -> None:
    assert local_name(key, "file-1", set()) == name


@given(st.text(max_size=40), st.sampled_from(["file-1", "../x", ""]))
def test_a_local_name_never_leaves_its_folder(key: str, file_id: str) -> None:
    parts = local_name(key, file_id, set()).split("/")
    assert all(part and not part.startswith(".") and part not in NEVER_READ for part in parts)
    assert all(len(part.encode()) <= 255 and "\0" not in part for part in parts)


@given(st.text("áb." * 3, min_size=150, max_size=400))
def test_long_names_are_cut(key: str) -> None:
    assert len(local_name(f"{key}.md", "file-1", set()).encode()) <= 255


def test_a_taken_name_gets_the_id_before_it() -> None:
    assert local_name("A.md", "file-2", {"a.md"}) == "file-2/A.md"
    assert free_key("A.md", "file-2", {"a.md"}) == "file-2/A.md"
    assert free_key("", "file-2", set()) == "file-2"


@given(st.text(max_size=100))
def test_a_label_is_a_label(text: str) -> None:
    assert LABEL_PATTERN.fullmatch(make_label(text, "store"))
