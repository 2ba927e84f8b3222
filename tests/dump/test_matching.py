"""Which local file a live one is, and how sure that is: a table."""

from __future__ import annotations

import pytest

from vssync.commands.dump.matching import (
    Comparison,
    Confidence,
    LocalMatch,
    RemoteFile,
    candidate_paths,
    match_files,
    paths_by_form,
    template_for,
)
from vssync.manifest.globs import FoundFile

SAME, TEXT, OTHER = Comparison(Confidence.BYTES), Comparison(Confidence.TEXT), Comparison(differs=True)


def live(id: str = "f1", name: str = "a.md", size: int = 5) -> RemoteFile:
    return RemoteFile(id, name, size)


@pytest.mark.parametrize(
    ("files", "local", "candidates"),
    [
        ((live(),), ("a.md",), {"f1": ("a.md",)}),
        ((live(),), ("docs/a.md",), {"f1": ("docs/a.md",)}),  # by its last name
        ((live(name="docs__a.md"),), ("docs/a.md",), {"f1": ("docs/a.md",)}),  # by its whole path
        ((live(),), ("a.md", "docs/a.md"), {"f1": ("a.md", "docs/a.md")}),
        ((live(),), ("b.md",), {}),
        ((live(name="A.md"),), ("a.md",), {}),
        ((live(), live("f2")), ("a.md",), {}),  # nobody could tell the two apart
        ((live(), live("f2", size=6)), ("a.md",), {"f1": ("a.md",)}),
        ((live(name="a.exe"),), ("a.exe",), {}),  # no manifest for this provider may choose it
    ],
)
def test_candidates(
    files: tuple[RemoteFile, ...], local: tuple[str, ...], candidates: dict[str, tuple[str, ...]]
) -> None:
    forms = paths_by_form([FoundFile(path, 5) for path in local], "openai")
    assert candidate_paths(files, forms) == candidates


def test_an_empty_file_or_one_in_trouble_is_no_candidate() -> None:
    assert candidate_paths((live(size=0),), paths_by_form([FoundFile("a.md", 0)], "local")) == {}
    broken = FoundFile("a.md", 5, "is a link that leads nowhere")
    assert candidate_paths((live(),), paths_by_form([broken], "local")) == {}


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
    assert match_files([live()], {"f1": paths}, compared).get("f1") == match


def test_two_live_files_never_share_a_local_one() -> None:
    candidates = {"f1": ("a.md",), "f2": ("a.md",)}
    assert match_files([live(), live("f2")], candidates, {("f1", "a.md"): SAME}) == {}


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
