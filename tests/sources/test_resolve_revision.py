"""The names of revisions: what `plan --against` says of one that is not there, or that git cannot read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.manifest.builders import write_files
from tests.sources.test_git import commit, git, start_repository
from tests.sources.test_revision import FILES, MANIFEST, changes, compare, edit
from vssync.errors import VssyncError


def plain(tree: Path) -> Path:
    shutil.rmtree(tree / ".git")
    return tree


def damaged(tree: Path) -> Path:
    (tree / ".git/HEAD").unlink()
    return tree


def bare(tree: Path) -> Path:
    git(tree.parent, "clone", "-q", "--bare", str(tree), "bare.git")
    return tree.parent / "bare.git"


def shallow(tree: Path) -> Path:
    git(tree.parent, "clone", "-q", "--depth=1", f"file://{tree}", "shallow")
    return tree.parent / "shallow"


def partial(tree: Path) -> Path:
    git(tree, "config", "uploadpack.allowFilter", "true")
    git(tree.parent, "clone", "-q", "--filter=blob:none", f"file://{tree}", "partial")
    return tree.parent / "partial"


def same(tree: Path) -> Path:
    return tree


def with_tag(tree: Path) -> Path:
    git(tree, "tag", "main", "HEAD^")
    return tree


@pytest.mark.parametrize(
    ("change", "revision", "message"),
    [
        (plain, "main", r"^main: .*tree is in no git work tree; run this in a clone"),
        (bare, "main", r"^main: .*bare\.git is in no git work tree; run this in a clone"),
        (damaged, "main", r"^main: .*tree cannot be read: .*not a git repository.*; run this in a clone"),
        (same, "nowhere", r"^nowhere: no such commit in .*git fetch"),
        (same, "--all", r"^--all: no such commit in .*dash"),
        (same, "HEAD^..HEAD", r"^HEAD\^\.\.HEAD: is a range; write --against HEAD\^ --at HEAD$"),
        (same, "HEAD^...", r"is a range; write --against HEAD\^ --at HEAD$"),
        (same, "HEAD:docs", r"no such commit"),
        (same, "HEAD^{tree}", r"^HEAD\^\{tree\}: is not a commit; name one"),
        (with_tag, "main", r"^main: is a branch and a tag; write refs/heads/main or refs/tags/main"),
        (shallow, "HEAD^", r"^HEAD\^: is not in this shallow clone; .*fetch-depth: 0"),
        (partial, "HEAD^", r"^HEAD\^: a file of that revision cannot be read: .*git fetch --refetch"),
    ],
)
def test_a_revision_that_cannot_be_read(
    tmp_path: Path, change: Callable[[Path], Path], revision: str, message: str
) -> None:
    tree = start_repository(tmp_path / "tree", {"vssync.yaml": MANIFEST, **FILES})
    edit(tree, {"docs/a.md": "edited\n"})
    commit(tree, 2)
    with pytest.raises(VssyncError, match=message):
        compare(change(tree), revision)


def test_a_tag_is_not_a_branch_below_its_name(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **FILES})
    git(tree, "tag", "-a", "v2", "-m", "annotated")
    git(tree, "branch", "v2/next")
    assert changes(compare(tree, "v2")) == {}


def test_the_beginning_of_two_commits_is_not_one(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **FILES})
    commits = "".join(f"commit refs/heads/many\ncommitter a <a> {second} +0000\ndata 0\n\n" for second in range(900))
    subprocess.run(["git", "-C", tree, "fast-import", "--quiet"], input=commits.encode(), check=True)
    starts = Counter(line[:4] for line in git(tree, "rev-list", "many").split())
    (twice, count), *_ = starts.most_common(1)
    assert count > 1
    with pytest.raises(VssyncError, match=rf"^{twice}: several objects of .* begin so; write more of the hash"):
        compare(tree, twice)


def test_without_git_nobody_knows_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = start_repository(tmp_path, {"vssync.yaml": MANIFEST, **FILES})
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VssyncError, match=r"^main: git is not installed, .*; install it$"):
        compare(tree, "main")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("init", "fatal: failed to write new configuration file x/.git/config.lock"),
        ("read-tree", "fatal: sha1 file 'x/.git/index.lock' write error. Out of diskspace"),
        ("checkout-index", "error: unable to create file docs/a.md: No space left on device"),
    ],
)
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: str) -> None:
    """As git 2.39 said it on one."""
    tree = start_repository(tmp_path / "tree", {"vssync.yaml": MANIFEST, **FILES})
    real, full = shutil.which("git"), tmp_path / "bin/git"
    script = f'#!/bin/sh\ncase " $* " in *\' {command} \'*) echo "{words}" >&2; exit 128;; esac\nexec {real} "$@"\n'
    write_files(tmp_path, {"bin/git": script})
    full.chmod(0o755)
    monkeypatch.setenv("PATH", str(full.parent), prepend=os.pathsep)
    said = re.escape(words.partition(": ")[2])
    with pytest.raises(VssyncError, match=rf"vssync-[^/]*: git says: {said}; make room there, or set TMPDIR"):
        compare(tree)


def test_an_ignored_file_that_cannot_be_copied_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = MANIFEST.replace("docs/**/", "build/")
    tree = start_repository(tmp_path, {"vssync.yaml": manifest, ".gitignore": "build/\n"})
    write_files(tree, {"build/a.md": "made\n"})

    def copyfile(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    with pytest.raises(VssyncError, match=r"build/a\.md: cannot be copied to .*: No space left on device"):
        compare(tree)
