"""What a glob meets and is left out: drafts, blank files, and what else `skip` names."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

import pytest

from tests.cli.test_commands import vssync
from tests.manifest.builders import files_by_key, load_manifest, load_problems, write_files
from vssync.sources.load import load_sources
from vssync.sources.read import LoadOptions

ENTRY = "stores: {docs: {files: [{path: %s}]%s}}"


@pytest.mark.parametrize(
    ("text", "is_draft"),
    [
        ("---\ndraft: true\n---\nx", True),
        ("\ufeff---\r\ntitle: t\r\ndraft: True\r\n---\r\nx", True),
        ("---\nDraft: yes\n---\nx", True),
        ("---\ndraft: 'true'\n---\nx", True),
        ("---\ndraft: true\nDraft: false\n---\nx", True),
        ("---\nPublished: false\npublished: true\n---\nx", True),
        ("---\n{title: t, draft: true}\n---\nx", True),
        ("---\npublished: false\n---\nx", True),
        ("---\npublished: no\n---\nx", True),
        ("+++\ntitle = 't'\ndraft = true\n+++\nx", True),
        ('{"title": "t", "draft": true}\nx', True),
        (';;;\n"draft": true\n;;;\nx', True),
        ("---\ntitle: How to: win\ndraft: true\n---\nx", True),  # broken, and still not to be published
        ("+++\ntitle = nothing\ndraft = true\n+++\nx", True),
        ("---\ndraft: true\n", True),
        ("---\ntitle: never closed\ndraft: true\n\n# x", True),
        ("---\ntitle: never closed\n\n    draft: true\n", False),
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
        ("---\n\ndraft: true\n", False),  # text below a rule
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
    assert len(load_sources(tmp_path, options=LoadOptions(hashed=False)).desired.stores[0].files) == 2


def test_each_file_left_out_counts_though_its_key_is_that_of_another(tmp_path: Path) -> None:
    names = ("a/x.md", "b/x.png", "c/y.md", "d/x.md", "e/y.png", "f/y.png")
    files: dict[str, str | bytes] = {**dict.fromkeys(names, "x"), "c/y.md": "---\ndraft: true\n---\n", "d/x.md": ""}
    text = "stores: {s: {skip: [unsupported, empty], files: [{path: '*/*', key: '${stem}'}]}}"
    store = load_manifest(tmp_path, text, files).desired.stores[0]
    assert [file.path for file in store.files] == ["a/x.md"]
    assert store.skipped == {
        "b/x.png": "unsupported",
        "y": "draft",
        "d/x.md": "empty",
        "e/y.png": "unsupported",
        "f/y.png": "unsupported",
    }


def test_a_file_that_several_entries_leave_out_counts_once(tmp_path: Path) -> None:
    entries = ", ".join(f"{{path: '{path}', key: '${{stem}}', optional: true}}" for path in ("**/*.md", "*/*.md"))
    text = f"stores: {{s: {{files: [{entries}]}}}}"
    files: dict[str, str | bytes] = {".gitignore": "dist/\n", "dist/a.md": "x"}
    assert load_manifest(tmp_path, text, files).desired.stores[0].skipped == {"a": "ignored_without_git"}


SHELF: dict[str, str | bytes] = {
    "vssync.yaml": """
version: 1
owner: shelf
service: {provider: local}
defaults: {skip: [empty, unsupported, broken, too_large]}
stores:
  all: {files: [{path: "**/*", exclude: [archive, "*.yaml"]}]}
  built: {files: [{path: build/*.md}]}
  plain: {files: [{path: "docs/*.md", exclude: ["docs/*t*"]}]}
""",
    ".gitignore": "build/\n*.tmp\n!kept.tmp\n/docs/*.log.md\n",
    "docs/.gitignore": "private*\n",
    "docs/a.md": "a",
    "docs/zero.md": "",
    "docs/blank.md": "\ufeff \n",
    "docs/draft.md": "---\ndraft: true\n---\nx",
    "docs/latin.md": "stra\u00dfe".encode("latin-1"),
    "docs/pointer.md": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "docs/run.log.md": "ignored",
    "docs/tracked.log.md": "ignored, and tracked",
    "docs/private.md": "ignored",
    "docs/gro\u0308\u00dfe/private/b.md": "ignored",
    "docs/gro\u0308\u00dfe/c.PNG": "c",
    "docs/.hidden/private.md": "x",
    "a.tmp": "ignored",
    "kept.tmp": "x",
    "LICENSE": "x",
    "empty.png": "",
    "build/a.md": "named",
    "build/draft.md": "---\ndraft: true\n---\nx",
    "build/api/b.md": "x",
    "archive/c.png": "x",
}


def walk_alone(root: Path, ignored: frozenset[str], top: str = "") -> Iterator[tuple[str, str]]:
    """Every file that is not hidden, with its kind in a store that skips everything; empty where it is taken."""
    for folder, folders, names in os.walk(root / top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            yield normalize("NFC", path.relative_to(root).as_posix()), kind_of(path, root, ignored)
        for link in links:
            linked = walk_alone(root, ignored, Path(folder, link).relative_to(root).as_posix())
            yield from ((name, "linked") for name, _ in linked)


def kind_of(path: Path, root: Path, ignored: frozenset[str]) -> str:
    content = path.read_bytes() if path.stat().st_size < 1 << 20 else b"large"
    if path.relative_to(root).as_posix() in ignored:
        return "ignored"
    if path.suffix != ".md":
        return path.suffix.lower() or "unsupported"
    if path.stat().st_size >= 1 << 29:
        return "too_large"
    if content.startswith(b"version https://git-lfs") or b"\xdf" in content:
        return "broken"
    return "draft" if b"draft: true" in content else "" if content.strip(b"\xef\xbb\xbf \n") else "empty"


def test_every_output_counts_what_an_own_walk_finds(tmp_path: Path) -> None:
    write_files(tmp_path, SHELF)
    with open(tmp_path / "docs/huge.md", "wb") as file:
        file.truncate((1 << 29) + 1)
    (tmp_path / "linked").symlink_to("docs")
    git = ("git", "-C", tmp_path)
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-f", "docs/tracked.log.md"], check=True)
    listed = (*git, "ls-files", "-zoi", "--exclude-per-directory=.gitignore")
    ignored = frozenset(subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"))
    expected: dict[str, dict[str, list[str]]] = {"all": {}, "built": {"draft": ["build/draft.md"]}, "plain": {}}
    for path, kind in sorted(walk_alone(tmp_path, ignored)):
        if kind and not path.startswith("archive/") and path != "vssync.yaml":
            expected["all"].setdefault(kind, []).append(path)
            if path.startswith("docs/") and path.count("/") == 1 and path.endswith(".md") and "t" not in path[5:]:
                expected["plain"].setdefault(kind, []).append(path)
    assert len(expected["all"]) == 9

    checked = json.loads(vssync(tmp_path, "validate", "--format", "json").out)["left_out"]
    planned = json.loads(vssync(tmp_path, "plan", "--format", "json", "--out", ".plan.json").out)["stores"]
    assert vssync(tmp_path, "apply", ".plan.json").code == 0
    status = json.loads(vssync(tmp_path, "status", "--format", "json").out)["stores"]
    assert checked == expected
    assert {store["key"]: store["left_out"] for store in planned} == expected
    assert {store["key"]: store["left_out"] for store in status} == expected

    text = vssync(tmp_path, "show", ".plan.json", "--full").out
    shown = [line.split("left out: ")[0].strip() for line in text.splitlines() if "left out: " in line]
    assert sorted(shown) == sorted(path for kinds in expected.values() for paths in kinds.values() for path in paths)


@pytest.mark.parametrize("change", ["docs/b.png", "docs/late.md"])
def test_what_is_left_out_does_not_make_a_saved_plan_stale(tmp_path: Path, change: str) -> None:
    files = {"vssync.yaml": "version: 1\nowner: x\n" + ENTRY % ("docs/**", ", skip: [unsupported]"), "docs/a.md": "a"}
    write_files(tmp_path, {**files, "docs/a.png": "a"})
    assert vssync(tmp_path, "plan", "--out", ".plan.json").code == 0
    write_files(tmp_path, {change: "---\ndraft: true\n---\nx"})
    assert vssync(tmp_path, "apply", ".plan.json").code == 0
