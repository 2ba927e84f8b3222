"""Attributes lifted from Markdown front matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.builders import files_by_key, load_manifest, load_problems
from vssync.manifest.front_matter import parse_front_matter

PAGE = "---\ntitle: Hello\ntags: [a, b]\ndraft: false\nweight: 3\n---\n# Hello\n"
STORE = """
stores:
  guide: {front_matter: [title, tags], attributes: {title: none, lang: en}, files: [{path: "**/*.{md,txt}"}]}
"""


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (PAGE, {"title": "Hello", "tags": "a,b", "draft": False, "weight": 3}),
        (PAGE.replace("\n", "\r\n"), {"title": "Hello", "tags": "a,b", "draft": False, "weight": 3}),
        ("\ufeff" + PAGE, {"title": "Hello", "tags": "a,b", "draft": False, "weight": 3}),
        ("---\ntitle: x\n...\n", {"title": "x"}),
        ("---\ntags: [1.10, true, null]\n---\n", {"tags": "1.10,true,"}),
        ("---\ndate: 2024-01-31\ntitle: null\n---\n", {}),
        ("---\n---\n", {}),
        ("---\nonly a rule\n---\n", {}),
        ("---\ntitle: never closed\n", {}),
        ("# No front matter\n---\ntitle: x\n---\n", {}),
        ("", {}),
        ("---\nother: {nested: too}\n---\n", {}),
    ],
)
def test_fields_are_typed(text: str, fields: dict[str, object]) -> None:
    assert parse_front_matter(text, "a.md", ("title", "tags", "draft", "weight")) == (fields, ())


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("---\na: 1\ntitle: {x: 1}\n---\n", 3, 8, "the front matter field `title` is nested"),
        ("---\ntitle: [[1]]\n---\n", 2, 8, "is nested"),
        ("---\ntitle: 1.10\n---\n", 2, 8, '1.10 is 1.1; write "1.10" for the text'),
        (f"---\n\ntitle: {'x' * 513}\n---\n", 3, 8, "has 513 characters; 512 are allowed"),
        (f"---\ntitle: [{'x,' * 300}]\n---\n", 2, 8, "has 599 characters; 512 are allowed"),
        ("---\ntitle: 1e300\n---\n", 2, 8, "would not be kept as written"),
        ("---\ntitle: 9007199254740993\n---\n", 2, 8, "is too large a number"),
        (f"---\ntitle: -1{'0' * 310}\n---\n", 2, 8, "is too large a number"),
        ("---\ntitle: *x\n---\n", 2, 8, "the alias `*x` has no anchor before it"),
        ("---\ntitle: [\n---\n", 3, 1, "not YAML"),
    ],
)
def test_what_is_wrong_has_the_documents_own_line(text: str, line: int, column: int, message: str) -> None:
    fields, (problem,) = parse_front_matter(text, "docs/a.md", ("title",))
    assert not fields
    assert message in problem.message
    assert (problem.file, problem.line, problem.column) == ("docs/a.md", line, column)


@pytest.mark.parametrize("hashed", [True, False])
def test_documents_go_before_the_level_that_lifts(tmp_path: Path, hashed: bool) -> None:
    resolved = files_by_key(
        load_manifest(tmp_path, STORE, {"a.md": PAGE, "b.md": "plain", "c.txt": PAGE}, hashed=hashed)
    )
    assert resolved["a.md"].attributes == {"title": "Hello", "tags": "a,b", "lang": "en"}
    assert resolved["b.md"].attributes == {"title": "none", "lang": "en"}
    assert resolved["c.txt"].attributes == {"title": "none", "lang": "en"}


def test_an_inner_level_goes_before_an_outer_lift(tmp_path: Path) -> None:
    text = """
    stores:
      guide:
        front_matter: [title]
        files: [{path: '*.md', front_matter: [weight]}]
        overrides: [{match: a.md, attributes: {title: Mine, weight: null}}]
    """
    resolved = files_by_key(load_manifest(tmp_path, text, {"a.md": PAGE, "b.md": PAGE}))
    assert resolved["a.md"].attributes == {"title": "Mine"}
    assert resolved["b.md"].attributes == {"title": "Hello", "weight": 3}


@pytest.mark.parametrize(("path", "wrong"), [("b.md", False), ("'*.md'", True)])
def test_a_field_matters_in_the_stores_that_lift_it(tmp_path: Path, path: str, wrong: bool) -> None:
    text = f"""
    stores:
      one: {{front_matter: [title], files: [{{path: a.md}}]}}
      two: {{front_matter: [tags], files: [{{path: {path}}}]}}
    """
    pages = {"a.md": "---\ntitle: x\ntags: {a: 1}\n---\n", "b.md": PAGE}
    if wrong:
        (problem,) = load_problems(tmp_path, text, pages)
        assert (problem.file, problem.line) == ("a.md", 3)
    else:
        assert files_by_key(load_manifest(tmp_path, text, pages))["a.md"].attributes == {"title": "x"}


def test_a_bad_document_is_a_problem_of_the_load(tmp_path: Path) -> None:
    (problem,) = load_problems(tmp_path, STORE, {"docs/a.md": "---\ntitle: {a: 1}\n---\n"})
    assert (problem.file, problem.line, problem.column) == ("docs/a.md", 2, 8)
