"""What a manifest says and does not mean: folders and patterns that narrow a selection, and meet nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import vssync
from tests.manifest.builders import PAGES, files_by_key, load_manifest, load_problems
from vssync.errors import ManifestError

ENTRY = "stores: {guide: {files: [{path: 'docs/**/*.md', exclude: [%s]}]}}"
TWO = """
defaults: {files: [{path: "${store}/**/*.md", exclude: [draft, "**/draft"]}]}
stores: {docs: {}, more: {}}
"""


@pytest.mark.parametrize(
    "pattern", ["docs/drafts", "docs/drafts/", "./docs//drafts", "docs/./drafts/.", "'**/drafts'", "'docs/{drafts,x}'"]
)
def test_a_folder_stands_for_all_that_is_in_it(tmp_path: Path, pattern: str) -> None:
    loaded = load_manifest(tmp_path, ENTRY % pattern, {**PAGES, "docs/drafts/deep/.er/x.md": "x"})
    assert set(files_by_key(loaded)) == {"docs/intro.md", "docs/api/call.md"}
    assert not loaded.warnings


def test_an_override_of_a_folder_is_for_all_that_is_in_it(tmp_path: Path) -> None:
    text = "stores: {guide: {files: [{path: docs/**}], overrides: [{match: docs/api, attributes: {kind: api}}]}}"
    files = files_by_key(load_manifest(tmp_path, text))
    assert {key: file.attributes for key, file in files.items() if file.attributes} == {
        "docs/api/call.md": {"kind": "api"}
    }


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (ENTRY % "docs/darfts", "`docs/darfts` matches no file that this entry chooses", "did you mean `docs/drafts`?"),
        (ENTRY % "'**/draft'", "`**/draft` matches no file", "did you mean `drafts`?"),
        (ENTRY % "drafts", "`drafts` matches no file", "write `**/drafts` for one in any folder"),
        (ENTRY % "docs/intr.md", "`docs/intr.md` matches no file", "did you mean `docs/intro.md`?"),
        (ENTRY % "'*.mdx'", "`*.mdx` matches no file", "fix it, or remove it"),
        (ENTRY % "docs/drafts, docs/drafts/idea.md, docs/none", "`docs/none` matches no file", "fix it, or remove it"),
        (
            "stores: {guide: {files: [{path: docs/**}], overrides: [{match: docs/apy}]}}",
            "`docs/apy` matches no file that an entry chooses",
            "did you mean `docs/api`?",
        ),
        (TWO, "`draft` matches no file", "write `**/draft` for one in any folder"),
    ],
)
def test_what_meets_nothing_in_any_store_is_a_warning(tmp_path: Path, text: str, message: str, hint: str) -> None:
    files = {**PAGES, "more/draft/x.md": "x", "more/y.md": "y"}
    (warning,) = load_manifest(tmp_path, text, files).warnings
    assert message in warning.message
    assert hint in warning.hint
    assert warning.line > 2


@pytest.mark.parametrize(
    "text",
    [
        "stores: {guide: {files: [{path: none/**, optional: true, exclude: [docs/none]}], overrides: [{match: x}]}}",
        "environments: {dev: {}}\nstores: {a: {files: [{path: docs/**}, {path: x, only: ['!dev'], exclude: [y]}]}}",
        TWO.replace("draft, ", ""),
    ],
)
def test_where_there_is_nothing_to_meet_nothing_is_said(tmp_path: Path, text: str) -> None:
    env = "dev" if "dev" in text else None
    assert load_manifest(tmp_path, text, {**PAGES, "more/draft/x.md": "x", "more/y.md": "y"}, env=env).warnings == ()


def test_a_warning_stops_only_a_strict_validation(tmp_path: Path) -> None:
    load_manifest(tmp_path, ENTRY % "docs/darfts")
    for arguments, code in ((("validate",), 0), (("plan",), 0), (("validate", "--strict"), 1)):
        end = vssync(tmp_path, *arguments)
        assert (end.code, end.err.count("vssync.yaml:3:"), end.err.count("did you mean `docs/drafts`?")) == (code, 1, 1)
        assert end.err.startswith("warning: ") is not bool(code)
        assert ("nothing was done" in end.err) is bool(code)


def test_files_of_one_kind_are_one_line_of_text(tmp_path: Path) -> None:
    files = {f"docs/{number}.{kind}": "x" for number in range(13) for kind in ("mp4", "exe")}
    text = "stores: {guide: {files: [{path: docs/**}, {path: none}]}}"
    problems = load_problems(tmp_path, text, {**PAGES, **files})
    assert len(problems) == 27
    missing, *lines = str(ManifestError(problems)).split("\n")[::2]
    assert "`none` does not exist" in missing
    assert [(line.partition(":")[0], line.partition("; ")[2]) for line in lines] == [
        ("docs/0.exe", "the same for 12 more files"),
        ("docs/0.mp4", "the same for 12 more files"),
    ]


def test_a_hint_is_a_pattern_that_matches(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"docs/[id]/a.md": "x", "docs/b.md": "x"}
    (warning,) = load_manifest(tmp_path, ENTRY % "'docs/[idd]'", files).warnings
    assert warning.hint == r"did you mean `docs/\[id\]`?"
    loaded = load_manifest(tmp_path, ENTRY % r"'docs/\[id\]'", files)
    assert (list(files_by_key(loaded)), loaded.warnings) == (["docs/b.md"], ())
