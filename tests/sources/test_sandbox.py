"""What a manifest may read: links, its root, files that cannot be read, and files that change meanwhile."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.manifest.builders import files_by_key, load_manifest, load_problems, write_files
from tests.sources.test_sources import ALL
from vssync.errors import ManifestError
from vssync.sources.load import load_sources
from vssync.sources.paths import MOST_BYTES, sandbox_around


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the manifest's, with a secret."""
    return write_files(tmp_path / "outside", {"secret.md": "secret", "more/b.md": "b"})


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    return write_files(tmp_path / "inside", {"docs/a.md": "a"})


@pytest.mark.parametrize(
    ("link", "target", "message"),
    [
        ("docs/l.md", "../../outside/secret.md", "leads by a link out of "),
        ("docs/l.md", "nowhere.md", "is a link that leads nowhere"),
        ("docs/l.md", "l.md", "cannot be read"),
    ],
)
def test_bad_links_are_problems_when_chosen(inside: Path, outside: Path, link: str, target: str, message: str) -> None:
    (inside / link).symlink_to(target)
    (problem,) = load_problems(inside, ALL, {})
    assert message in problem.message
    assert problem.file == link
    excluding = "stores: {guide: {files: [{path: docs/**, exclude: [docs/l.md]}]}}"
    assert list(files_by_key(load_manifest(inside, excluding, {}))) == ["docs/a.md"]


@pytest.mark.parametrize("path", ["docs/out/*.md", "docs/out/secret.md", "docs/out/**"])
def test_a_folder_link_leads_nobody_out(inside: Path, outside: Path, path: str) -> None:
    (inside / "docs/out").symlink_to(outside)
    (problem,) = load_problems(inside, f"stores: {{guide: {{files: [{{path: '{path}'}}]}}}}", {})
    assert f"leads by a link out of {inside}, or into" in problem.message


def test_links_inside_are_followed_to_files_and_not_to_folders(inside: Path) -> None:
    write_files(inside, {"more/b.md": "b"})
    (inside / "docs/l.md").symlink_to("../more/b.md")
    (inside / "docs/loop").symlink_to("..")
    (inside / "docs/more").symlink_to("../more")
    resolved = files_by_key(load_manifest(inside, ALL, {}))
    assert list(resolved) == ["docs/a.md", "docs/l.md"]
    assert resolved["docs/l.md"].sha256 == hashlib.sha256(b"b").hexdigest()
    named = "stores: {guide: {files: [{path: docs/*.md}, {path: docs/more/*.md}]}}"
    assert list(files_by_key(load_manifest(inside, named, {}))) == ["docs/a.md", "docs/l.md", "docs/more/b.md"]


def test_only_the_user_can_allow_more(inside: Path, outside: Path) -> None:
    (inside / "docs/l.md").symlink_to(outside / "secret.md")
    assert list(files_by_key(load_manifest(inside, ALL, {}, allow_outside=(outside,)))) == ["docs/a.md", "docs/l.md"]
    root = "root: ../outside\nstores: {guide: {files: [{path: '*.md'}]}}"
    assert "lies outside of" in load_problems(inside, root, {})[0].message
    assert list(files_by_key(load_manifest(inside, root, {}, allow_outside=(outside,)))) == ["secret.md"]


@pytest.mark.parametrize("git", ["folder", "file"])
def test_the_root_may_be_anywhere_in_the_work_tree(tmp_path: Path, git: str) -> None:
    write_files(tmp_path, {".git/HEAD" if git == "folder" else ".git": "gitdir: x", "handbook/a.md": "a"})
    folder = write_files(tmp_path / "tools/vectors", {})
    folder.mkdir(parents=True)
    loaded = load_manifest(folder, "root: ../..\nstores: {s: {files: [{path: handbook/*}]}}", {})
    assert list(files_by_key(loaded)) == ["handbook/a.md"]
    assert loaded.root == tmp_path
    assert "lies outside of" in load_problems(folder, "root: ../../..\nstores: {}", {})[0].message


def test_an_included_file_may_not_be_a_link_out(inside: Path, outside: Path) -> None:
    write_files(outside, {"more.yaml": "stores: {x: {}}"})
    (inside / "more.yaml").symlink_to(outside / "more.yaml")
    (problem,) = load_problems(inside, "include: [more.yaml]\nstores: {}", {})
    assert f"leads by a link out of {inside}, or into" in problem.message


def test_the_manifest_itself_may_not_be_a_link_out(inside: Path, outside: Path) -> None:
    """An error about it would print what it holds; a folder that is a link leads out of a work tree just so."""
    write_files(inside, {".git/HEAD": ""})
    write_files(outside, {"vssync.yaml": "secret: 1\n"})
    (inside / "vssync.yaml").symlink_to(outside / "vssync.yaml")
    (inside / "kb").symlink_to(outside)
    for path in (inside, inside / "kb", inside / "kb/vssync.yaml"):
        with pytest.raises(ManifestError) as raised:
            load_sources(path)
        assert "the manifest leads by a link out of" in str(raised.value)
        assert "secret" not in str(raised.value)
        with pytest.raises(ManifestError, match="unknown field `secret`"):
            load_sources(path, allow_outside=(outside,))


@pytest.mark.parametrize("never", [".git", ".vssync"])
def test_no_link_leads_to_what_is_never_read(inside: Path, never: str) -> None:
    """A checkout's `.git/config` can hold a credential."""
    write_files(inside, {f"{never}/config.md": "secret", "docs/b.md": "b"})
    (inside / "docs/l.md").symlink_to(f"../{never}/config.md")
    (inside / "docs/folder").symlink_to(f"../{never}")
    for path in ("docs/l.md", "docs/folder/*.md", "docs/folder/config.md"):
        (problem,) = load_problems(inside, f"stores: {{guide: {{files: [{{path: '{path}'}}]}}}}", {})
        assert "or into its .git or .vssync" in problem.message
    assert "lies outside of" in load_problems(inside, f"root: {never}\nstores: {{}}", {})[0].message


def test_a_fence_looks_at_real_paths(tmp_path: Path) -> None:
    write_files(tmp_path, {"in/a": "", "out/b": ""})
    (tmp_path / "in/l").symlink_to("../out/b")
    sandbox = sandbox_around(tmp_path / "in", ())
    assert [sandbox.allows(tmp_path / name) for name in ("in/a", "in/l", "in/../out/b", "inner")] == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("path", "make", "message"),
    [
        ("docs/sub", Path.mkdir, "is a folder; write `docs/sub/**`"),
        ("docs/pipe.md", os.mkfifo, "is not a regular file"),
        ("docs/" + "x" * 300, lambda path: None, "does not exist"),
    ],
)
def test_what_is_named_must_be_a_file(inside: Path, path: str, make: Callable[[Path], None], message: str) -> None:
    make(inside / path)
    (problem,) = load_problems(inside, f"stores: {{s: {{files: [{{path: {path}}}]}}}}", {})
    assert message in problem.message
    assert list(files_by_key(load_manifest(inside, ALL, {}))) == ["docs/a.md"]


def refuse(monkeypatch: pytest.MonkeyPatch, module: str, name: str, path: Path) -> None:
    """The system function says, of one path, what it says to a user without permission (tests may run as root)."""
    real = getattr(sys.modules[module], name)

    def refusing(target: Any, *args: Any, **options: Any) -> Any:
        if str(target) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(target, *args, **options)

    monkeypatch.setattr(f"{module}.{name}", refusing)


def test_a_folder_that_cannot_be_read_is_a_problem(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(inside, {"docs/closed/b.md": "b"})
    refuse(monkeypatch, "os", "scandir", inside / "docs/closed")
    (problem,) = load_problems(inside, ALL, {})
    assert (problem.file, problem.message) == ("docs/closed", "the folder cannot be read: Permission denied")


def test_a_file_that_cannot_be_read_is_a_problem(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "os", "open", inside / "docs/a.md")
    (problem,) = load_problems(inside, ALL, {})
    assert (problem.file, problem.message) == ("docs/a.md", "the file cannot be read: Permission denied")


@pytest.mark.parametrize("times", [1, 2])
def test_a_file_that_changes_while_it_is_read(inside: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    path, left = inside / "docs/a.md", [times]
    real = os.fstat

    def fstat(handle: int) -> os.stat_result:
        before = real(handle)
        if left[0] and os.path.samestat(before, path.stat()):
            left[0] -= 1
            path.write_text(f"changed, {left[0]} to go")
        return before

    monkeypatch.setattr(os, "fstat", fstat)
    if times == 1:
        assert (
            files_by_key(load_manifest(inside, ALL, {}))["docs/a.md"].sha256
            == hashlib.sha256(b"changed, 0 to go").hexdigest()
        )
        left[0] = times
        assert sandbox_around(inside, ()).read(path) == b"changed, 0 to go"  # to be converted
    else:
        assert "the file changed while it was read, twice" in load_problems(inside, ALL, {})[0].message
        left[0] = times
        with pytest.raises(OSError, match="it changed while it was read, twice"):
            sandbox_around(inside, ()).read(path)


def test_a_file_that_went_away_is_a_problem(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fstat

    def fstat(handle: int) -> os.stat_result:
        before, path = real(handle), inside / "docs/a.md"
        if path.exists() and os.path.samestat(before, path.stat()):
            path.unlink()
        return before

    monkeypatch.setattr(os, "fstat", fstat)
    assert "the file cannot be read: No such file" in load_problems(inside, ALL, {})[0].message


@pytest.mark.parametrize("swapped", ["docs/a.md", "docs", "vssync.yaml", "more.yaml", "questions.yaml", "fifo"])
@pytest.mark.parametrize("has_proc", [True, False])
def test_what_is_opened_is_what_was_looked_at(
    inside: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, swapped: str, *, has_proc: bool
) -> None:
    """A link, or a FIFO, takes the place of a file, or of a folder around it, just before the file is opened."""
    write_files(outside, {"a.md": "secret", **dict.fromkeys(("more.yaml", "questions.yaml"), "secret: 1\n")})
    write_files(outside, {"vssync.yaml": "secret: 1\n"})
    write_files(inside, {"more.yaml": "stores: {}\n", "questions.yaml": "questions: [{ask: why, expect: docs/a.md}]\n"})
    real, readlink, path = os.open, os.readlink, inside / ("docs/a.md" if swapped == "fifo" else swapped)

    def swap_and_open(name: str, flags: int) -> int:
        if name == str(inside / "docs/a.md" if path.is_dir() else path) and not path.is_symlink():
            path.rename(outside / "was")
            if swapped == "fifo":
                os.mkfifo(path)
            else:
                path.symlink_to(outside if swapped == "docs" else outside / path.name)
        return real(name, flags)

    def read_link(name: str) -> str:
        if name.startswith("/proc/self/fd/") and not has_proc:
            raise FileNotFoundError
        return readlink(name)

    monkeypatch.setattr(os, "open", swap_and_open)
    monkeypatch.setattr(os, "readlink", read_link)
    text = "include: [more.yaml]\nstores: {guide: {files: [{path: docs/**}], tests: questions.yaml}}\n"
    (problem, *_) = load_problems(inside, text, {})
    assert "cannot be read: it leads by a link out of" in problem.message or "it is not a regular" in problem.message
    assert "secret" not in str(problem)


@pytest.mark.parametrize(
    ("large", "message"),
    [
        ("vssync.yaml", "the manifest is larger than 16.0 MB"),
        ("more.yaml", "the manifest and its included files are larger than 16.0 MB"),
        ("questions.yaml", "the question file is larger than 16.0 MB"),
    ],
)
def test_a_manifest_of_any_size_is_read_only_where_the_user_says_so(inside: Path, large: str, message: str) -> None:
    files = {
        "vssync.yaml": "version: 1\nowner: kb\ninclude: [more.yaml]\n"
        "stores: {guide: {files: [{path: docs/**}], tests: questions.yaml}}\n",
        "more.yaml": "stores: {}\n",
        "questions.yaml": "questions: [{ask: why, expect: docs/a.md}]\n",
    }
    files[large] += "#" + " " * (MOST_BYTES - 20)
    with pytest.raises(ManifestError) as raised:
        load_sources(write_files(inside, files))
    (problem,) = raised.value.problems
    assert (problem.file, problem.message) == (str(inside / large), message)
    assert problem.hint.endswith("can allow it with --allow-large")
    assert load_sources(inside, allow_large=True).desired.owner == "kb"
