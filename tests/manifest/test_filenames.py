"""Upload names: what templates make of a path, and what services take."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifest.builders import files_by_key, load_manifest
from vssync.manifest.placeholders import MissingFolder, parse_template, path_part, upload_digest, upload_name
from vssync.manifest.spec import PATH_TEMPLATE
from vssync.model.state import extension_of


@pytest.mark.parametrize(
    ("template", "path", "name"),
    [
        ("${path}", "docs/guide/intro.md", "docs__guide__intro.md"),
        ("${path}", "Report.PDF", "Report.pdf"),
        ("${path}", "docs/größe.md", "docs__größe.md"),
        ("${path}.txt", "notes/a.rst", "notes__a.rst.txt"),
        ("${stem}-${digest}${ext}", "docs/a.md", "a-0123456789abcdef.md"),
        ("${dir.1}: ${name}", "docs/guide/a.md", "guide: a.md"),
        ("${path}", "LICENSE", "LICENSE"),
        ("${path}", ".env", ".env"),
        ("${path}", "x" * 300 + ".MD", "x" * 252 + ".md"),
        ("${path}", "ü" * 200 + ".md", "ü" * 126 + ".md"),
        ("${path}", "v1.2/README", "v1.2__README"),
        ("${path}", "v1.2/READ.ME", "v1.2__READ.me"),
        ("${path}", "docs/.MD", "docs__.md"),
        ("${name}", "v1.2/README", "README"),
        ("${path}", "v1." + "X" * 200 + "/" + "Y" * 200, "v1." + "X" * 200 + "__" + "Y" * 50),
        ("${path}." + "X" * 300, "a.md", "." + "x" * 254),
    ],
)
def test_upload_names(template: str, path: str, name: str) -> None:
    assert upload_name(parse_template(template), path, "0123456789abcdef") == name


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("a/b/c.tar.gz", "ext", ".gz"),
        ("a/b/c.tar.gz", "stem", "c.tar"),
        ("a/b/c.md", "dir", "a/b"),
        ("a/b/c.md", "dir.0", "a"),
        ("a/b/c.md", "dir.1", "b"),
        ("c.md", "dir", ""),
        ("a.d/c", "ext", ""),
        ("a/.hidden", "stem", ".hidden"),
    ],
)
def test_parts_of_a_path(path: str, name: str, value: str) -> None:
    assert path_part(path, name) == value


@pytest.mark.parametrize(("path", "name"), [("c.md", "dir.0"), ("a/c.md", "dir.1")])
def test_folders_that_are_not_there(path: str, name: str) -> None:
    with pytest.raises(MissingFolder, match="they count from 0"):
        path_part(path, name)


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=400))
def test_an_upload_name_is_one_short_name(path: str) -> None:
    name = upload_name(PATH_TEMPLATE, path, "")
    assert "/" not in name
    assert len(name.encode()) <= 255


def test_the_digest_is_of_the_owner_and_the_bytes(tmp_path: Path) -> None:
    text = "stores: {guide: {filename: '${stem}-${digest}${ext}', files: [{path: docs/*}]}}"
    (file,) = files_by_key(load_manifest(tmp_path, text)).values()
    assert file.filename == f"intro-{upload_digest('docs', file.sha256)}.md"
    assert upload_digest("docs", file.sha256) != upload_digest("other", file.sha256)


@pytest.mark.parametrize(
    ("path", "extension"),
    [
        ("a.md", ".md"),
        ("a.PDF", ".pdf"),
        ("a.tar.gz", ".gz"),
        ("a", ""),
        ("a.", "."),
        (".md", ""),
        ("docs/.md", ""),
        ("docs/.a.md", ".md"),
        ("v1.2/a", ""),
    ],
)
def test_a_hidden_name_is_no_extension_and_placeholders_agree(path: str, extension: str) -> None:
    assert extension_of(path) == path_part(path, "ext").lower() == extension


def test_a_hidden_file_has_no_extension_that_could_be_taken(tmp_path: Path) -> None:
    text = "stores: {guide: {skip: [unsupported], filename: '${name}', files: [{path: '.*'}, {path: '*.md'}]}}"
    (store,) = load_manifest(tmp_path, text, {".md": "x", "a.md": "x"}).desired.stores
    assert [file.extension for file in store.files] == [".md"]
    assert store.skipped == {".md": "unsupported"}


def test_an_upload_name_decides_whether_an_extension_is_taken(tmp_path: Path) -> None:
    text = "stores: {guide: {filename: '${path}.txt', files: [{path: '*.rst'}]}}"
    assert files_by_key(load_manifest(tmp_path, text, {"a.rst": "x"}))["a.rst"].filename == "a.rst.txt"
