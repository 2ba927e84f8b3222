"""Patterns: what they match, where to look for it, and which are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.manifest.globs import FoundFile, Listing, compile_pattern, escape_pattern, pattern_problem

NAMES = [
    ".github/a.md",
    ".hidden.md",
    "Docs/a.md",
    "a.md",
    "a.txt",
    "docs/.b.md",
    "docs/a.md",
    "docs/deep/er/a.md",
    "docs/größe.md",
    "we[ird].md",
]
LISTING = Listing(FoundFile(name, 1) for name in NAMES)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.md", ["a.md", "we[ird].md"]),
        ("./*.txt", ["a.txt"]),
        ("**/*.md", ["Docs/a.md", "a.md", "docs/a.md", "docs/deep/er/a.md", "docs/größe.md", "we[ird].md"]),
        ("docs/**", ["docs/a.md", "docs/deep/er/a.md", "docs/größe.md"]),
        ("docs/*", ["docs/a.md", "docs/größe.md"]),
        ("docs/*/*/a.md", ["docs/deep/er/a.md"]),
        ("[dD]ocs/?.md", ["Docs/a.md", "docs/a.md"]),
        ("{Docs,docs}/a.md", ["Docs/a.md", "docs/a.md"]),
        ("a.{md,txt}", ["a.md", "a.txt"]),
        ("**/.*.md", [".hidden.md", "docs/.b.md"]),
        (".github/**", [".github/a.md"]),
        ("docs/.b.md", ["docs/.b.md"]),
        (r"docs/\.b.md", ["docs/.b.md"]),
        ("docs/a.md", ["docs/a.md"]),
        ("docs//./a.md", ["docs/a.md"]),
        (".//docs/.//*.md", ["docs/a.md", "docs/größe.md"]),
        ("docs/gro\u0308ße.md", ["docs/größe.md"]),
        ("docs/gr*ße.md", ["docs/größe.md"]),
        (r"we\[ird].md", ["we[ird].md"]),
        (r"d\ocs/\a.md", ["docs/a.md"]),
        (r"docs\/a.md", ["docs/a.md"]),
        ("we[[]*", ["we[ird].md"]),
        ("we[[]ird].md", ["we[ird].md"]),
        ("docs", []),
        ("DOCS/**", []),
    ],
)
def test_what_a_pattern_matches(pattern: str, names: list[str]) -> None:
    assert [name for name, _ in LISTING.chosen_by(compile_pattern(pattern))] == names


def test_no_pattern_of_many_stars_takes_for_ever() -> None:
    assert not compile_pattern("*a" * 20 + "b").matches("a" * 250)


@pytest.mark.parametrize(
    ("pattern", "folder", "start", "literal", "hidden"),
    [
        ("docs/**/*.md", "docs", "docs/", False, False),
        ("docs/a-*.md", "docs", "docs/a-", False, False),
        ("*.md", "", "", False, False),
        ("docs/a.md", "docs", "docs/a.md", True, False),
        ("docs/.b/**", "docs/.b", "docs/.b/", False, True),
        ("**/{.a,b}/*", "", "", False, True),
        ("a.b/**", "a.b", "a.b/", False, False),
        (r"\[a\]/\{b/*.md", "[a]/{b", "[a]/{b/", False, False),
        (r"a/\[b\].md", "a", "a/[b].md", True, False),
        (r"\.a/\[b\].md", ".a", ".a/[b].md", True, True),
    ],
)
def test_where_to_look(pattern: str, folder: str, start: str, literal: bool, hidden: bool) -> None:
    compiled = compile_pattern(pattern)
    assert (compiled.folder, compiled.start, compiled.is_literal, compiled.mentions_hidden) == (
        folder,
        start,
        literal,
        hidden,
    )


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("c:/docs/*.md", True),
        ("C:\\docs", True),
        ("/docs", True),
        ("./c:/docs/*.md", False),
        ("c: d/*.md", False),
        ("c:d.md", False),
    ],
)
def test_only_a_drive_or_a_slash_makes_a_pattern_absolute(pattern: str, wrong: bool) -> None:
    assert (pattern_problem(pattern) == ("is an absolute path", "write it relative to `root`")) == wrong


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("**/*.md", [name for name in NAMES if name.endswith(".md")]),  # hidden ones, too
        ("docs", ["docs/.b.md", "docs/a.md", "docs/deep/er/a.md", "docs/größe.md"]),
        ("docs/", ["docs/.b.md", "docs/a.md", "docs/deep/er/a.md", "docs/größe.md"]),
        ("./docs//deep/.", ["docs/deep/er/a.md"]),
        ("**/er", ["docs/deep/er/a.md"]),
        ("{Docs,docs/{deep,none}}", ["Docs/a.md", "docs/deep/er/a.md"]),
        ("docs/*", ["docs/.b.md", "docs/a.md", "docs/größe.md"]),  # the files in it
        ("docs/a.md", ["docs/a.md"]),
        ("doc", []),
        ("docs/gro\u0308ße.md", ["docs/größe.md"]),
    ],
)
def test_what_narrows_a_selection(pattern: str, names: list[str]) -> None:
    assert pattern_problem(pattern, is_filter=True) is None
    assert [name for name, _ in LISTING.chosen_by(compile_pattern(pattern, is_filter=True))] == names


@pytest.mark.parametrize(
    ("pattern", "way_out"),
    [
        ("docs/**.md", "`docs/**/*.md`"),
        ("**.md", "`**/*.md`"),
        ("docs/a**/b.md", "`docs/**/a*/b.md`"),
        ("docs/**{md,txt}", None),
    ],
)
def test_stars_within_a_name(pattern: str, way_out: str | None) -> None:
    problem = pattern_problem(pattern)
    assert problem is not None
    assert problem[0] == "has `**` within a name, where it would mean `*`"
    assert way_out is None or f"write {way_out} for" in problem[1]


@pytest.mark.parametrize(
    ("pattern", "flaw"),
    [
        *((folder, "write `docs/**`") for folder in ("docs/", "docs/.", "docs//", "./docs/./", "docs/./.")),
        *((root, "write `**`") for root in ("", ".", "./", ".//.", "./.")),
        ("docs./", "write `docs./**`"),
        ("[**]", ""),
        ("a[**]b/[!**].md", ""),
        (r"\**.md", ""),
        (r"[**]**", "`**/[**]*`"),
        (r"[\]**].md", ""),
    ],
)
def test_a_folder_and_a_set_of_stars(pattern: str, flaw: str) -> None:
    problem = pattern_problem(pattern)
    assert flaw in problem[1] if flaw and problem else problem is None


@pytest.mark.parametrize("pattern", ["", ".", "./", ".//."])
def test_a_filter_of_everything_is_refused(pattern: str) -> None:
    assert pattern_problem(pattern, is_filter=True) == ("is a folder", "write `**` for every file in it")


@pytest.mark.parametrize("text", [r"\../a.md", r"a/.\./b.md", r"\.git/config", r".g\it/*", r"a/\.vssync/**"])
def test_escapes_lead_nowhere_else(text: str) -> None:
    for is_filter in (False, True):
        problem = pattern_problem(text, is_filter=is_filter)
        assert problem
        assert problem[0] == "leaves `root`" or problem[0].endswith(", which is never read")


ODD_FOLDERS = ["a[id]b", "[id]", "*", "a*b", "{a,b}", "a?", "[open", "back\\slash", "-[!x]"]


@pytest.mark.parametrize("folder", ODD_FOLDERS)
def test_a_filter_of_a_folder_whose_name_has_wildcards(folder: str) -> None:
    names = [f"docs/{folder}/a.md", f"docs/{folder}/deep/.b.md"]
    listing = Listing(FoundFile(name, 1) for name in [*names, "docs/plain/a.md", "docs/i/a.md"])
    pattern = escape_pattern(f"docs/{folder}")
    assert [name for name, _ in listing.chosen_by(compile_pattern(pattern, is_filter=True))] == names
    literal = compile_pattern(f"{pattern}/a.md")
    assert (literal.is_literal, literal.start, literal.leads_to(f"docs/{folder}")) == (True, names[0], True)
    assert compile_pattern(f"{pattern}/**").leads_to(f"docs/{folder}")


def test_a_name_that_ends_in_a_line_break_has_no_other_extension() -> None:
    for pattern in ("*.md", "**", "a.md"):
        for is_filter in (False, True):
            matches = compile_pattern(pattern, is_filter=is_filter).matches("a.md\n")
            assert bool(matches) is (pattern == "**"), (pattern, is_filter)


PIECES = st.sampled_from(
    ["*", "**", "?", "[a-z]", "[", "]", "{a,b}", "{", "}", "a", "docs", ".", "..", "!", "\\", "é", "~"]
)


@given(st.lists(PIECES, min_size=1, max_size=5).map("/".join) | st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_a_pattern_without_flaw_compiles_and_its_start_begins_what_it_matches(pattern: str) -> None:
    if pattern_problem(pattern) is None:
        compiled = compile_pattern(pattern)
        matched = {name for name, _ in LISTING.chosen_by(compiled)}
        assert matched == {name for name in map(str, LISTING_NAMES) if compiled.matches(name)}


LISTING_NAMES = [file.nfc_path for file in (FoundFile(name, 1) for name in NAMES)]
