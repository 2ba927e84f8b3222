"""What a glob meets and is left out: drafts, blank files, and what else `skip` names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.builders import files_by_key, load_manifest, load_problems, write_files
from vssync.sources.load import load_sources

ENTRY = "stores: {docs: {files: [{path: %s}]%s}}"


@pytest.mark.parametrize(
    ("text", "is_draft"),
    [
        ("---\ndraft: true\n---\nx", True),
        ("\ufeff---\r\ntitle: t\r\ndraft: True\r\n---\r\nx", True),
        ("---\nDraft: yes\n---\nx", True),
        ("---\ndraft: 'true'\n---\nx", True),
        ("---\n{title: t, draft: true}\n---\nx", True),
        ("---\npublished: false\n---\nx", True),
        ("---\npublished: no\n---\nx", True),
        ("+++\ntitle = 't'\ndraft = true\n+++\nx", True),
        ('{"title": "t", "draft": true}\nx', True),
        (';;;\n"draft": true\n;;;\nx', True),
        ("---\ntitle: How to: win\ndraft: true\n---\nx", True),  # broken, and still not to be published
        ("+++\ntitle = nothing\ndraft = true\n+++\nx", True),
        ('---\ntitle: How to: win\n"draft": "true"\n---\nx', True),
        ("---\ntitle: How to: win\ndraft:\n  yes\n---\nx", True),
        ("---\ntitle: How to: win\n'published': 'no'\n---\nx", True),
        ("---\n{\n  title: [t,\n  draft: true\n}\n---\nx", True),
        ('---\n{"title": [t, "draft": true}\n---\nx', True),
        ('+++\ntitle = nothing\n"draft" = true\n+++\nx', True),
        ('{"title": "t",\n  "draft": true,\n}\nx', True),
        ('{"title": t, "draft": true}\nx', True),
        ('{"title": "t", "draft": "true", "title": "t"}\nx', True),
        (';;;\n"title": t,\n"published" : false\n;;;\nx', True),
        ('{"title": "t",\n  "draft": false,\n}\nx', False),
        ('{"title": "t", "is draft": true,}\nx', False),
        ("---\ntitle: How to: win\ndraft: false\n---\nx", False),
        ("---\ndraft: false\n---\nx", False),
        ("---\npublished: true\n---\nx", False),
        ("---\npublished: 2024-01-31\n---\nx", False),
        ("---\nparams: {draft: true}\n---\nx", False),
        ("---\nparams:\n  draft: true\n---\nx", False),
        ("---\ntitle: t\n---\ndraft: true\n", False),
        ("+++\n[params]\ndraft = true\n+++\nx", False),
        ("draft: true\n", False),
        ("---\ndraft: true\n", False),  # front matter ends
    ],
)
def test_a_draft_is_what_a_site_generator_leaves_out(tmp_path: Path, text: str, is_draft: bool) -> None:
    (store,) = load_manifest(tmp_path, ENTRY % ("'*.md'", ""), {"a.md": text, "b.md": "b"}).desired.stores
    assert (dict(store.skipped), len(store.files)) == (({"a.md": "draft"}, 1) if is_draft else ({}, 2))


@pytest.mark.parametrize(
    ("path", "skip", "skipped"),
    [
        ("'*.*'", "[empty, unsupported]", {"a.md": "draft", "b.md": "empty", "d.mp4": "unsupported"}),
        ("'*.*'", '[empty, unsupported, "!draft"]', {"b.md": "empty", "d.mp4": "unsupported"}),
        ("a.md", "[draft]", {"a.md": "draft"}),  # whoever names it
        ("a.md", "['!draft']", {}),
    ],
)
def test_drafts_are_left_out_whatever_else_is(tmp_path: Path, path: str, skip: str, skipped: dict[str, str]) -> None:
    files = {"a.md": "---\ndraft: true\n---\nx", "b.md": " \r\n\t\u00a0\n", "c.md": "c", "d.mp4": "d"}
    loaded = load_manifest(tmp_path, ENTRY % (f"{path}, exclude: ['*.yaml']", f", skip: {skip}"), files)
    assert dict(loaded.desired.stores[0].skipped) == skipped


def test_a_draft_needs_no_more_than_to_be_one(tmp_path: Path) -> None:
    more = ", attributes: {title: {from: front_matter}}"
    files = {"a.md": "---\ntitle: {nested: x}\ndraft: true\n---\n", "b.md": "---\ntitle: b\n---\n"}
    assert set(files_by_key(load_manifest(tmp_path, ENTRY % ("'*.md'", more), files))) == {"b.md"}


@pytest.mark.parametrize(
    ("path", "way_out"), [("'*.md'", "exclude it, or add `skip: [empty]`"), ("a.md", "exclude it")]
)
def test_a_blank_file_is_an_empty_one(tmp_path: Path, path: str, way_out: str) -> None:
    (problem,) = load_problems(tmp_path, ENTRY % (path, ""), {"a.md": "\ufeff \n\n"})
    assert problem.message == "the file holds nothing but white space, which no search finds"
    assert problem.hint == way_out


def test_what_is_not_read_is_not_judged(tmp_path: Path) -> None:
    load_manifest(tmp_path, ENTRY % ("'*.md'", ""), {"a.md": "---\ndraft: true\n---\nx"})
    write_files(tmp_path, {"b.md": " "})
    assert len(load_sources(tmp_path, hashed=False).desired.stores[0].files) == 2
