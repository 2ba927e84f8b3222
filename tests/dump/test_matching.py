"""Which local file a live one is, and how sure that is: a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vssync.commands.dump.matching import (
    Candidates,
    Comparison,
    Confidence,
    LocalMatch,
    RemoteFile,
    find_candidates,
    match_files,
    match_sources,
    template_for,
)
from vssync.manifest.globs import FoundFile

SAME, TEXT, OTHER = Comparison(Confidence.BYTES), Comparison(Confidence.TEXT), Comparison(differs=True)


def live(id: str = "f1", name: str = "a.md", size: int = 5) -> RemoteFile:
    return RemoteFile(id, name, size)


@pytest.mark.parametrize(
    ("files", "local", "by_name", "by_size"),
    [
        ((live(),), ("a.md",), ("a.md",), ()),
        ((live(),), ("docs/a.md",), ("docs/a.md",), ()),  # by its last name
        ((live(name="docs__a.md"),), ("docs/a.md",), ("docs/a.md",), ()),  # by its whole path
        ((live(),), ("a.md", "docs/a.md"), ("a.md", "docs/a.md"), ()),
        ((live(),), ("a.md", "b.md"), ("a.md",), ("b.md",)),
        ((live(),), ("b.md",), (), ("b.md",)),
        ((live(name=""),), ("a.md",), (), ("a.md",)),  # whose upload is gone
        ((live(name="A.md"),), ("a.md",), (), ("a.md",)),
        ((live(), live("f2")), ("a.md",), (), ("a.md",)),  # only their bytes could tell the two apart
        ((live(), live("f2", size=6)), ("a.md",), ("a.md",), ()),
        ((live(size=6),), ("a.md",), (), ()),
        ((replace(live(name="b.md"), is_named=True),), ("a.md",), (), ()),
        ((replace(live(), is_named=True),), ("a.md",), ("a.md",), ()),
        ((live(name="a.exe"),), ("a.exe",), (), ()),  # no manifest for this provider may choose it
    ],
)
def test_candidates(
    files: tuple[RemoteFile, ...], local: tuple[str, ...], by_name: tuple[str, ...], by_size: tuple[str, ...]
) -> None:
    found = find_candidates(files, [FoundFile(path, 5) for path in local], "openai")
    assert found.get("f1", Candidates()) == Candidates(by_name, by_size)


def test_an_empty_file_or_one_in_trouble_is_no_candidate() -> None:
    assert find_candidates((live(size=0),), [FoundFile("a.md", 0)], "local") == {}
    assert find_candidates((live(),), [FoundFile("a.md", 5, "is a link that leads nowhere")], "local") == {}


@pytest.mark.parametrize(
    ("paths", "comparisons", "match"),
    [
        (("a.md",), {}, LocalMatch("a.md", "${path}", Confidence.SIZE)),
        (("d/a.md",), {"d/a.md": SAME}, LocalMatch("d/a.md", "${name}", Confidence.BYTES)),
        (("a.md",), {"a.md": TEXT}, LocalMatch("a.md", "${path}", Confidence.TEXT)),
        (("a.md",), {"a.md": OTHER}, None),
        (("a.md", "d/a.md"), {}, None),
        (("a.md", "d/a.md"), {"a.md": OTHER}, LocalMatch("d/a.md", "${name}", Confidence.SIZE)),
        (("a.md", "d/a.md"), {"d/a.md": SAME}, LocalMatch("d/a.md", "${name}", Confidence.BYTES)),
        (("a.md", "d/a.md"), {"a.md": SAME, "d/a.md": SAME}, None),
        (("a.md", "d/a.md"), {"a.md": SAME, "d/a.md": TEXT}, LocalMatch("a.md", "${path}", Confidence.BYTES)),
    ],
)
def test_content_takes_precedence_over_names(
    paths: tuple[str, ...], comparisons: dict[str, Comparison], match: LocalMatch | None
) -> None:
    compared = {("f1", path): comparison for path, comparison in comparisons.items()}
    assert match_files([live()], {"f1": Candidates(paths)}, compared).get("f1") == match


@pytest.mark.parametrize(
    ("name", "comparison", "template"),
    [
        ("other.md", SAME, "${path}"),
        ("a.md", SAME, "${name}"),  # as where another live file has its name and size
        ("other.md", TEXT, ""),
        ("other.md", OTHER, ""),
        ("other.md", Comparison(), ""),
    ],
)
def test_by_its_size_alone_a_file_matches_only_with_its_bytes(name: str, comparison: Comparison, template: str) -> None:
    candidates = {"f1": Candidates(by_size=("d/a.md",))}
    match = LocalMatch("d/a.md", template, Confidence.BYTES) if template else None
    assert match_files([live(name=name)], candidates, {("f1", "d/a.md"): comparison}).get("f1") == match
    assert match_files([live(name=name)], candidates, {}) == {}


def test_two_live_files_never_share_a_local_one() -> None:
    candidates = {"f1": Candidates(("a.md",)), "f2": Candidates(by_size=("a.md",))}
    assert match_files([live(), live("f2")], candidates, {("f1", "a.md"): SAME, ("f2", "a.md"): SAME}) == {}


@pytest.mark.parametrize(
    ("path", "filename", "template"),
    [
        ("a.md", "a.md", "${path}"),
        ("d/a.md", "d__a.md", "${path}"),
        ("d/a.md", "a.md", "${name}"),
        ("d/a.md", "other.md", "other.md"),
        ("d/a.md", "${x}.md", "$${x}.md"),
        ("d/A.MD", "A.MD", ""),  # extensions are lowered on upload
        ("d/a.md", "x/a.md", ""),
        ("d/a.md", "", ""),
    ],
)
def test_templates(path: str, filename: str, template: str) -> None:
    assert template_for(path, filename) == template


@pytest.mark.parametrize(
    ("name", "key", "documents", "others", "found"),
    [
        ("guide__a.docx.md", "guide/a.docx", ("guide/a.docx",), "", ("guide/a.docx", "${path}", ".docx")),
        ("a.docx.md", "guide/a.docx", ("guide/a.docx",), "", ("guide/a.docx", "${name}", ".docx")),
        ("a.docx.md", "gone/a.docx", ("guide/a.docx",), "", ("guide/a.docx", "${name}", ".docx")),  # it moved
        (
            "guide__a.docx.md",
            "guide/a.docx",
            ("guide/a.docx", "guide/b.docx"),
            "",
            ("guide/a.docx", "${path}", ".docx"),
        ),
        ("a.docx.md", "x/a.docx", ("x/a.docx", "y/a.docx"), "", ("x/a.docx", "${name}", ".docx")),
        ("guide__a.docx.md", "gone.docx", ("guide/a.docx", "b.docx"), "", ("guide/a.docx", "${path}", ".docx")),
        ("a.docx.md", "gone/a.docx", ("x/a.docx", "y/a.docx"), "", None),
        ("page.html.md", "page.data", ("page.data",), "", ("page.data", "page.html", ".html")),  # by its upload name
        ("a.docx.md", "a.docx", (), "", None),  # edited, or not here
        ("a.docx.md", "a.docx", ("a.docx",), ".docx", None),  # another is uploaded as it is
        ("a.md", "a.md", ("a.docx",), "", None),
        ("", "a.docx", ("a.docx",), "", None),  # whose upload is gone
    ],
)
def test_a_document_that_was_converted(
    name: str, key: str, documents: tuple[str, ...], others: str, found: tuple[str, str, str] | None
) -> None:
    """By the digest of the document in its mark: the size is that of its Markdown."""
    file = replace(live(name=name), key=key, source="digest", is_named=True)
    expected = {"f1": LocalMatch(found[0], found[1], Confidence.BYTES, found[2])} if found else {}
    assert match_sources([file, live("f2")], {"digest": documents}, {others}) == expected
    if found:
        twin = replace(file, id="f2")
        assert match_sources([file, twin], {"digest": documents}, {others}) == {}
