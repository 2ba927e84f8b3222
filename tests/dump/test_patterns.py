"""A cover matches every wanted name once and no other, whatever the folders and names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.commands.dump.patterns import cover_with_patterns, literal_pattern
from vssync.manifest.globs import compile_filter, compile_pattern, pattern_problem

DOCS = ("docs/a.md", "docs/b.md", "docs/api/c.md", "docs/api/d.html", "top.md")


@pytest.mark.parametrize(
    ("wanted", "known", "patterns"),
    [
        (("docs/a.md", "docs/b.md", "docs/api/c.md"), (), ["docs/**/*.md"]),
        (("docs/api/c.md", "docs/api/d.html"), (), ["docs/api/**/*.{html,md}"]),
        (("docs/a.md", "docs/b.md"), ("docs/api/c.md",), ["docs/*.md"]),
        (("docs/a.md", "docs/api/c.md"), ("docs/b.md",), ["docs/a.md", "docs/api/c.md"]),
        (("docs/a.md",), (), ["docs/a.md"]),
        (("x/LICENSE", "x/NOTICE"), (), ["x/LICENSE", "x/NOTICE"]),
        (("a/.b.md", "a/c.md"), (), ["a/.b.md", "a/c.md"]),
        (("a[1]/x.md", "a[1]/y.md"), ("a1/x.md",), [r"a\[1\]/**/*.md"]),
        (DOCS, ("other.txt",), ["**/*.{html,md}"]),
        (DOCS, ("docs/c.md", "docs/old/d.md", "docs/old/e.md"), ["**/*.{html,md} but docs/c.md docs/old"]),
        (DOCS, ("docs/api/a.md", "docs/api/x/b.md"), ["**/*.{html,md} but docs/api/a.md docs/api/x/b.md"]),
    ],
)
def test_covers(wanted: tuple[str, ...], known: tuple[str, ...], patterns: list[str]) -> None:
    covers = cover_with_patterns(wanted, (*wanted, *known))
    assert [" but ".join(filter(None, (cover.pattern, " ".join(cover.exclude)))) for cover in covers] == patterns
    assert sorted(name for cover in covers for name in cover.names) == sorted(wanted)


NAMES = st.text("ab.-[]{}*?!$c: ", min_size=1, max_size=5).filter(lambda name: name.strip(".") and name == name.strip())
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(st.sets(PATHS, min_size=1, max_size=12), st.sets(PATHS, max_size=8))
def test_each_wanted_name_is_matched_once_and_no_other(wanted: set[str], others: set[str]) -> None:
    known = wanted | others
    hits = [
        name
        for cover in cover_with_patterns(wanted, known)
        for name in known
        if compile_pattern(cover.pattern).matches(name)
        and not any(compile_filter(exclude).matches(name) for exclude in cover.exclude)
    ]
    assert sorted(hits) == sorted(wanted)


@given(PATHS)
def test_a_literal_is_a_pattern_that_means_itself(path: str) -> None:
    pattern = literal_pattern(path)
    assert pattern_problem(pattern) is None
    assert compile_pattern(pattern).matches(path)
    assert not compile_pattern(pattern).matches(f"{path}x")
