"""The first manifest of a folder: it validates for every provider and for whatever lies there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.commands.init import (
    DraftEntry,
    ManifestDraft,
    draft_manifest,
    draft_text,
    load_new_manifest,
    manifest_path,
    propose_entries,
    write_manifest,
)
from vssync.commands.names import is_name, is_placeholder_owner, suggested_name, suggested_owner
from vssync.commands.survey import SENT_AS, FolderSurvey, survey_folder
from vssync.errors import ManifestError, Refused, UsageProblem, VssyncError
from vssync.manifest.yaml_loader import parse_document
from vssync.providers import PROVIDERS
from vssync.sources.load import LoadedManifest, load_sources


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def init_folder(root: Path, provider: str = "local", paths: tuple[str, ...] = ()) -> LoadedManifest:
    """The manifest written for a folder, read back."""
    path = manifest_path(root)
    entries = tuple(map(DraftEntry, paths)) or propose_entries(survey_folder(root), provider)
    write_manifest(path, draft_manifest(path, "shelf-1a2b3c", provider, {}, entries))
    return load_sources(root)


def keys(loaded: LoadedManifest) -> list[str]:
    return [file.key for file in loaded.desired.stores[0].files]


TREES: dict[str, dict[str, str]] = {
    "empty": {},
    "flat": {"a.md": "a", "b.txt": "b", "c.MD": "c"},
    "none a document": {"a.py": "a", "b.png": "b"},
    "folders": {"README.md": "r", "docs/a.md": "a", "docs/deep/b.html": "b", "src/x.py": "x"},
    "many folders": {f"{number}/a.md": "a" for number in range(20)} | {"3/venv/x.md": "x"},
    "empty files": {"docs/a.md": "a", "docs/b.md": ""},
    "blank files": {"docs/a.md": "a", "docs/b.md": " \n"},
    "odd names": {"we[ird]{x}/a.md": "a", "${path}/b.md": "b", "c: d/c.md": "c", "*/d.md": "d", "é/e.md": "e"},
    "others' documents": {
        "site/a.md": "a",
        "site/node_modules/p/README.md": "p",
        ".hidden/b.md": "b",
        "venv/c.md": "c",
    },
}


def test_what_git_ignores_is_not_proposed(tmp_path: Path) -> None:
    pages = {"build/a.md": "a", "docs/b.md": "b", "docs/_site/c.md": "c", "docs/node_modules/d.md": "d"}
    loaded = init_folder(write_files(tmp_path, {**pages, ".gitignore": "build\n_site/\n"}))
    assert keys(loaded) == ["docs/b.md"]
    assert [entry.pattern.text for entry in loaded.manifest.stores[0].entries if entry.pattern] == ["docs/**/*.md"]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("tree", TREES)
def test_it_validates_and_holds_the_documents(tmp_path: Path, tree: str, provider: str) -> None:
    loaded = init_folder(write_files(tmp_path, TREES[tree]), provider)
    readable = tuple(PROVIDERS[provider].documents)
    wanted = {
        name
        for name, text in TREES[tree].items()
        if name.lower().endswith(readable)
        and text.strip()
        and not {"node_modules", "venv", ".hidden"} & set(name.split("/"))
    }
    assert set(keys(loaded)) == wanted
    assert (loaded.desired.owner, loaded.desired.service.provider) == ("shelf-1a2b3c", provider)


@pytest.mark.parametrize(
    ("paths", "found", "skip"),
    [
        (("docs/*.md",), ["docs/a.md"], None),
        (("docs/**/*",), ["docs/a.md"], ["empty", "unsupported"]),
        (("nothing/*.md",), [], None),
        (("**/*",), ["docs/a.md"], ["empty", "unsupported"]),
    ],
)
def test_patterns_a_person_gave(tmp_path: Path, paths: tuple[str, ...], found: list[str], skip: list[str]) -> None:
    loaded = init_folder(write_files(tmp_path, {"docs/a.md": "a", "docs/b.txt": "", "docs/c.png": "c"}), paths=paths)
    assert keys(loaded) == found
    assert loaded.manifest.tree["stores"]["docs"].get("skip") == skip


def test_a_pattern_may_match_the_manifest_itself(tmp_path: Path) -> None:
    assert keys(init_folder(write_files(tmp_path, {"a.md": "a"}), paths=("*",))) == ["a.md"]


def test_what_no_pattern_can_name_is_left_out(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    (tmp_path / os.fsdecode(b"\xff") / "a.md").write_text("a")
    assert keys(init_folder(write_files(tmp_path, {"docs/b.md": "b"}))) == ["docs/b.md"]


@pytest.mark.parametrize(
    ("folders", "entries"),
    [
        ({}, (DraftEntry("docs/**/*.md", optional=True),)),
        ({"": {".md"}}, (DraftEntry("*.md"),)),
        ({"": set(), "docs": {".html", ".md", ".py"}}, (DraftEntry("docs/**/*.{html,md}"),)),
        ({str(number): {".md"} for number in range(7)}, (DraftEntry("**/*.md", ("**/venv/**",)),)),
    ],
)
def test_proposals(folders: dict[str, set[str]], entries: tuple[DraftEntry, ...]) -> None:
    assert propose_entries(FolderSurvey(folders, {"3": ["venv"]}), "local") == entries


@pytest.mark.parametrize(
    ("url", "folder", "owner"),
    [
        ("git@github.com:acme/support-kb.git", "x", "support-kb"),
        ("https://user:secret@gitlab.example/acme/support-kb/", "x/teams/Billing FAQ", "support-kb-teams-billing-faq"),
        ("/srv/git/support-kb.git", "x", "support-kb"),
        ("git@github.com:acme/docs.git", "x", "acme-docs"),
        ("https://user:secret@git.example/docs", "x", "git.example-docs"),
        ("", "handbook", "handbook"),
        ("", "handbook/docs", "handbook-docs"),
        ("", "docs", "docs-1a2b3c"),
        ("", "文書", "docs-1a2b3c"),
        (None, "handbook/docs", "docs-1a2b3c"),
        (None, "handbook", "handbook"),
    ],
)
def test_an_owner_is_named_after_the_repository(tmp_path: Path, url: str | None, folder: str, owner: str) -> None:
    """`url` is the remote's; empty for a repository without one, None for a folder outside any."""
    tree = tmp_path / folder.split("/", maxsplit=1)[0]
    (tmp_path / folder).mkdir(parents=True)
    if url is not None:
        subprocess.run(["git", "init", "-q", tree], check=True)
    if url:
        subprocess.run(["git", "-C", tree, "remote", "add", "upstream", "git@github.com:other/fork.git"], check=True)
        subprocess.run(["git", "-C", tree, "remote", "add", "origin", url], check=True)
    assert suggested_owner(tmp_path / folder, "1a2b3c") == owner
    assert is_placeholder_owner(owner) is owner.endswith("1a2b3c")


def test_what_nobody_can_read_is_left_out(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"
    path = write_files(tmp_path, {"a.md": "a", "b.md": pointer}) / "vssync.yaml"
    (tmp_path / "c.md").write_bytes(b"Gr\xf6\xdfe")
    draft = draft_manifest(path, "shelf", "local", {}, (DraftEntry("*.md"),))
    write_manifest(path, draft)
    (store,) = load_new_manifest(path, draft).stores
    assert ([file.key for file in store.files], store.left_out) == (["a.md"], {"broken": ("b.md", "c.md")})
    twice = replace(draft, entries=(DraftEntry("*.md"), DraftEntry("a.*")))
    write_manifest(path, twice)
    with pytest.raises(ManifestError, match="chosen by two entries"):
        load_new_manifest(path, twice)
    assert path.read_text() == draft_text(twice)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_texts_of_other_kinds_are_sent_as_one_that_is_accepted(tmp_path: Path, provider: str) -> None:
    pages = {f"docs/a{suffix}": "text" for suffix in SENT_AS}
    loaded = init_folder(write_files(tmp_path, {**pages, "docs/b.png": "x"}), provider)
    assert set(keys(loaded)) == set(pages)
    takes = PROVIDERS[provider].documents
    for file in loaded.desired.stores[0].files:
        own = os.path.splitext(file.key)[1]
        assert file.extension == (own if own in takes else SENT_AS[own])


@given(st.text(), st.text("0123456789abcdef", min_size=6, max_size=6))
def test_any_folder_has_a_name(folder: str, suffix: str) -> None:
    name = suggested_name(folder, suffix)
    assert is_name(name)
    assert name.endswith(f"-{suffix}")


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("", ".vssync/\n"),
        ("dist/\n", ".vssync/\n"),
        ("dist/", "\n.vssync/\n"),
        (".vssync/\n", None),
        ("dist\n /.vssync \n", None),
        ("# .vssync/\n", ".vssync/\n"),
    ],
)
def test_git_ignores_what_lies_beside_the_manifest(tmp_path: Path, text: str, added: str | None) -> None:
    write_files(tmp_path, {".gitignore": text} if text else {})
    init_folder(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == text + (added or "")


def test_the_work_tree_may_ignore_it_already(tmp_path: Path) -> None:
    write_files(tmp_path, {".git/HEAD": "", ".gitignore": ".vssync/\n", "docs/a.md": "a"})
    init_folder(tmp_path / "docs")
    assert not (tmp_path / "docs" / ".gitignore").exists()


@pytest.mark.parametrize("kind", ["link", "dangling link", "FIFO", "folder"])
def test_a_gitignore_that_git_does_not_read_is_not_written(tmp_path: Path, kind: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "checkout"
    folder.mkdir()
    if kind == "link":
        outside.write_text(".vssync/\n")
    if kind == "FIFO":
        os.mkfifo(folder / ".gitignore")
    elif kind == "folder":
        (folder / ".gitignore").mkdir()
    else:
        (folder / ".gitignore").symlink_to(outside)
    found = kind.removeprefix("dangling ")
    with pytest.raises(VssyncError, match=rf"\.gitignore: is a {found}, which git does not read; nothing was written"):
        init_folder(folder)
    assert not (folder / "vssync.yaml").exists()
    assert not outside.exists() or outside.read_text() == ".vssync/\n"


def test_a_manifest_is_never_overwritten(tmp_path: Path) -> None:
    write_files(tmp_path, {"vssync.yaml": "mine"})
    with pytest.raises(Refused, match=r"vssync\.yaml: exists already"):
        manifest_path(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"), [("absent", UsageProblem), ("x.json", UsageProblem), ("no/x.yaml", VssyncError)]
)
def test_where_no_manifest_can_be_written(tmp_path: Path, name: str, kind: type[VssyncError]) -> None:
    with pytest.raises(kind, match=Path(name).parts[0]):
        manifest_path(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "path", "words"), [("a b", "*.md", "--owner a b"), ("ab", "../x", "--path ../x"), ("ab", "/x", "absolute")]
)
def test_invalid_input_is_refused_before_anything_is_written(tmp_path: Path, name: str, path: str, words: str) -> None:
    with pytest.raises(UsageProblem, match=words):
        draft_manifest(tmp_path / "vssync.yaml", name, "local", {}, (DraftEntry(path),))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_fields_of_the_service(provider: str) -> None:
    given = {field.name: f"https://mine.example/{field.name}" for field in PROVIDERS[provider].wizard_fields}
    text = draft_text(ManifestDraft("shelf", provider, given, (DraftEntry("*.md"),)))
    assert parse_document(text, "vssync.yaml").tree["service"] == {"provider": provider, **given}
    usual = draft_text(ManifestDraft("shelf", provider, {}, (DraftEntry("*.md"),)))
    assert usual.count("write yours") == len(PROVIDERS[provider].wizard_fields)
