"""What a word or a path that does not exist is taken for: one rule, and what is near and far for it."""

from __future__ import annotations

import pytest

from vssync.manifest.diagnostics import did_you_mean, find_closest

FORMATS = ("text", "json", "markdown", "html", "gitlab")
PAGES = ("docs/keys.md", "docs/api/auth.md", "guide/sso.md", "guide/index.md", "docs/api/index.md")
NEAR: list[tuple[str, tuple[str, ...], str]] = [
    ("jsno", FORMATS, "json"),
    ("JSON", FORMATS, "json"),
    ("mardown", FORMATS, "markdown"),
    ("--formt", ("--log-format", "--out", "--format"), "--format"),
    ("chunk", ("chunking", "name"), "chunking"),
    ("var.hots", ("var.host", "store"), "var.host"),
    ("docs/kesy.md", PAGES, "docs/keys.md"),
    ("docs/keys.mdx", PAGES, "docs/keys.md"),
    ("docs/keys", PAGES, "docs/keys.md"),
    ("Docs/Keys.md", PAGES, "docs/keys.md"),
    ("dosc/keys.md", PAGES, "docs/keys.md"),
    ("manual/sso.md", PAGES, "guide/sso.md"),  # it was moved: there is one of this name
    ("guides/index.md", PAGES, "guide/index.md"),
    ("vsync.yaml", ("kb.yaml", "vssync.yaml"), "vssync.yaml"),
]
FAR: list[tuple[str, tuple[str, ...]]] = [
    ("xyz", FORMATS),
    ("", FORMATS),
    ("--dialect", ("--data", "--fault")),
    ("--zzz", ("--aaa",)),
    ("docs/pricing.md", PAGES),  # a folder and an ending that both have say nothing
    ("docs/api/errors.md", PAGES),
    ("manual/index.md", PAGES),  # of which there are two
    ("docs/none", ("docs",)),
    ("prices.yaml", ("vssync.yaml",)),
    ("json", ()),
]


@pytest.mark.parametrize(("word", "allowed", "meant"), NEAR)
def test_a_word_that_is_near_is_named(word: str, allowed: tuple[str, ...], meant: str) -> None:
    assert find_closest(word, allowed) == meant
    assert did_you_mean(word, allowed) == f"did you mean `{meant}`?"


@pytest.mark.parametrize(("word", "allowed"), FAR)
def test_a_word_that_is_far_is_not_guessed_at(word: str, allowed: tuple[str, ...]) -> None:
    assert find_closest(word, allowed) == did_you_mean(word, allowed) == ""
