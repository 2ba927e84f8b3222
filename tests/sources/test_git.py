"""What git is asked: dates of files, and what it tracks, without running anything of a stranger's repository."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.manifest.builders import write_files
from vssync.errors import VssyncError
from vssync.sources.git import GitUnreadable, author_dates, changed_files, run_git, tracked_files

DAY = 86_400
ODD_NAMES = [
    "a b.md",
    "quote'\"s.md",
    "tab\tnew\nline.md",
    "-dash.md",
    ":(glob)x.md",
    "*.md",
    "größe.md",
    "M",
    "a" * 40,
]


def git(folder: Path, *arguments: str, day: int = 0) -> str:
    """What git prints, without the configuration of whoever runs the tests; commits are of a day of their own."""
    people = {f"GIT_{role}_{part}": "a@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    dates = {
        "GIT_AUTHOR_DATE": f"{1_000_000_000 + day * DAY} -1100",  # where it is still the day before
        "GIT_COMMITTER_DATE": f"{1_700_000_000 + day} +0000",
    }
    command = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", "-c", "maintenance.auto=false", *arguments]
    environment = {**os.environ, **people, **dates, "GIT_CONFIG_GLOBAL": os.devnull, "TZ": "UTC0"}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def start_repository(folder: Path, files: dict[str, str | bytes]) -> Path:
    """A repository with one commit of these files."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    write_files(folder, files)
    commit(folder, 1)
    return folder


def commit(tree: Path, day: int) -> None:
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "--allow-empty", "-m", f"day {day}\n\n:100644 M", day=day)


def dates_one_by_one(folder: Path, paths: list[str]) -> dict[str, str]:
    """The dates by a `git log -1` for each file."""
    form = ("--date=format-local:%Y-%m-%d", "--format=%ad")
    dates = {path: git(folder, "--literal-pathspecs", "log", "-1", *form, "--", path).strip() for path in paths}
    return {path: date for path, date in dates.items() if date}


def test_each_file_has_the_date_of_the_commit_that_changed_it_last(tmp_path: Path) -> None:
    tree = start_repository(tmp_path, {"docs/a.md": "a", "docs/b.md": "b", **dict.fromkeys(ODD_NAMES, "x")})
    write_files(tree, {"docs/b.md": "changed", "docs/new.md": "not committed"})
    git(tree, "commit", "-qam", "two", day=2)
    assert author_dates(tree, ["docs/a.md", "docs/b.md", "docs/new.md", "none.md"]) == {
        "docs/a.md": "2001-09-10",
        "docs/b.md": "2001-09-11",
    }
    assert author_dates(tree / "docs", ["a.md"]) == {"a.md": "2001-09-10"}
    assert author_dates(tree, ODD_NAMES) == dict.fromkeys(ODD_NAMES, "2001-09-10")


def random_history(choose: random.Random, paths: list[str]) -> str:
    """Sixty commits for `git fast-import`: each file is as in some parent, or other, or gone, and none is named twice.

    So there are merges that take a side for one file and the other side for another, or neither, and equal changes.
    """
    trees: list[dict[str, int]] = []
    lines: list[str] = []
    for number in range(60):
        parents = choose.sample(range(number), min(number, choose.choice([1, 1, 2, 2, 3])))
        tree = {path: choose.randrange(3) for path in paths} if not parents else {}
        for path in paths if parents else ():
            tree |= {path: content} if (content := trees[choose.choice(parents)].get(path)) is not None else {}
            if choose.random() < 0.15:
                tree.pop(path, None)
                tree |= {path: choose.randrange(3)} if choose.random() < 0.8 else {}
        author, committer = choose.randrange(2_000_000_000), 1_000_000_000 + number
        lines += ["commit refs/heads/main", f"mark :{number + 1}"]
        lines += [
            f"author a <a@example.com> {author} -1100",
            f"committer a <a@example.com> {committer} +0000",
            "data 0",
        ]
        lines += [f"{'merge' if place else 'from'} :{parent + 1}" for place, parent in enumerate(parents)]
        lines += ["deleteall", *(f"M 100644 inline {path}\ndata 1\n{content}" for path, content in tree.items())]
        trees.append(tree)
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("seed", range(8))
def test_dates_are_those_of_git_log_in_any_history(tmp_path: Path, seed: int) -> None:
    paths = ["x.md", "docs/x.md", "docs/ö.md", "docs/a b/z.md"]
    git(tmp_path, "init", "-q", "-b", "main")
    history = random_history(random.Random(seed), paths).encode()
    subprocess.run(["git", "-C", tmp_path, "fast-import", "--quiet", "--force"], input=history, check=True)
    assert author_dates(tmp_path, paths) == dates_one_by_one(tmp_path, paths)
    assert author_dates(tmp_path, paths[-1:]) == dates_one_by_one(tmp_path, paths[-1:])


def test_a_submodule_has_dates_of_its_own(tmp_path: Path) -> None:
    start_repository(tmp_path / "other", {"guide.md": "x"})
    git(tmp_path / "other", "commit", "-q", "--amend", "--no-edit", "--date=1990-01-02T00:00:00Z")
    tree = start_repository(tmp_path / "tree", {"a.md": "a"})
    git(tree, "submodule", "--quiet", "add", str(tmp_path / "other"), "docs/größe")
    commit(tree, 5)
    assert author_dates(tree / "docs", ["größe/guide.md"]) == {"größe/guide.md": "1990-01-02"}
    assert author_dates(tree, ["a.md", "docs/größe/guide.md"]) == {
        "a.md": "2001-09-10",
        "docs/größe/guide.md": "1990-01-02",
    }
    assert tracked_files(tree / "docs/größe") >= {"guide.md"}


def test_a_shallow_clone_has_no_dates(tmp_path: Path) -> None:
    tree = start_repository(tmp_path / "tree", {"a.md": "a"})
    commit(tree, 2)
    git(tmp_path, "clone", "-q", "--depth", "1", tree.as_uri(), "clone")
    with pytest.raises(VssyncError, match=r"clone: is a shallow clone.*`fetch-depth: 0`"):
        author_dates(tmp_path / "clone", ["a.md"])
    git(tmp_path / "clone", "fetch", "-q", "--unshallow")
    assert author_dates(tmp_path / "clone", ["a.md"]) == {"a.md": "2001-09-10"}


def test_before_the_first_commit_no_file_has_a_date(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write_files(tmp_path, {"a.md": "a"})
    assert author_dates(tmp_path, ["a.md"]) == {}


def remove_git(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.rename(tree / ".git", tree / "moved")


def break_git(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove_git(tree, monkeypatch)
    (tree / ".git").write_text("gitdir: nowhere")


def hide_git(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree / "nothing"))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (remove_git, "there is no .git"),
        (break_git, "git says: not a git repository: .*nowhere"),
        (hide_git, "git is not installed"),
    ],
)
def test_without_git_there_is_nothing_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, pytest.MonkeyPatch], None], why: str
) -> None:
    tree = start_repository(tmp_path / "tree", {"a.md": "a"})
    spoil(tree, monkeypatch)
    with pytest.raises(GitUnreadable, match=why):
        tracked_files(tree)
    with pytest.raises(VssyncError, match=f"tree: git's dates cannot be read: {why}"):
        author_dates(tree, ["a.md"])


def test_without_an_answer_about_filters_there_is_none_about_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a stranger's filters would be run."""
    tree = start_repository(tmp_path / "tree", {"a.md": "a"})
    assert changed_files(tree, ".", timeout=60) == b""
    real = shutil.which("git")
    old = tmp_path / "bin/git"  # before 2.26
    old.parent.mkdir()
    old.write_text(
        f'#!/bin/sh\ncase "$*" in *--show-scope*) echo "error: unknown option" >&2; exit 129; esac\nexec {real} "$@"\n'
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(old.parent), prepend=os.pathsep)
    with pytest.raises(GitUnreadable, match="unknown option"):
        changed_files(tree, ".", timeout=60)


def test_another_repository_in_the_environment_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a hook of git, which sets them."""
    start_repository(tmp_path / "other", {"b.md": "b"})
    tree = start_repository(tmp_path / "tree", {"a.md": "a"})
    for name, path in {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index", "GIT_WORK_TREE": "."}.items():
        monkeypatch.setenv(name, str(tmp_path / "other" / path))
    assert tracked_files(tree) >= {"a.md"}
    assert author_dates(tree, ["a.md", "b.md"]) == {"a.md": "2001-09-10"}


def test_nothing_of_a_strangers_repository_is_run(tmp_path: Path) -> None:
    """Neither by its configuration, nor by a folder of its tree that is a repository itself."""
    proof, program = tmp_path / "proof", tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(proof))}\ncat\n")
    program.chmod(0o755)
    tree = start_repository(tmp_path / "tree", {"docs/a.md": "a", ".gitattributes": "*.md diff=x filter=x\n"})
    git(tmp_path, "clone", "-q", "--bare", str(tree), str(tmp_path / "bare"))
    os.rename(tmp_path / "bare", tree / "evil")
    commit(tree, 2)
    (tree / ".git/hooks").mkdir(exist_ok=True)
    for hook in ("post-index-change", "post-checkout", "reference-transaction"):
        (tree / ".git/hooks" / hook).symlink_to(program)
    for name in ("core.fsmonitor", "core.pager", "gpg.program", "diff.x.textconv", "diff.external", "core.sshCommand"):
        git(tree, "config", name, str(program))
        git(tree / "evil", "--git-dir=.", "config", name, str(program))
    for name, value in {
        "log.showSignature": "true",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "1",
    }.items():
        git(tree, "config", name, value)
    git(tree, "config", "remote.origin.url", f"ext::{program}")
    for name in ("filter.x.clean", "filter.x.process"):
        git(tree, "config", name, str(program))
    git(tree, "status")
    assert proof.exists(), "the program runs where nothing prevents it"
    proof.unlink()
    assert tracked_files(tree) >= {"docs/a.md"}
    assert author_dates(tree, ["docs/a.md"]) == {"docs/a.md": "2001-09-10"}
    os.utime(tree / "docs/a.md", (1, 1))
    assert changed_files(tree, "docs", timeout=60) == b""
    with pytest.raises(GitUnreadable, match="bare"):
        run_git(tree / "evil", "ls-files")
    blob = git(tree, "rev-parse", "HEAD^{tree}").strip()
    (tree / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(VssyncError):
        author_dates(tree, ["docs/a.md"])
    assert not proof.exists()


def test_a_repository_of_another_user_can_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command that git names; only root can make such a repository, so this git is a stand-in."""
    command = "git config --global --add safe.directory /kb"
    answer = f"fatal: detected dubious ownership in '/kb'\nTo add an exception, call:\n\n\t{command}\n"
    write_files(tmp_path, {"git": f"#!/bin/sh\ncat >&2 <<'END'\n{answer}END\nexit 128\n"})
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(GitUnreadable) as raised:
        run_git(tmp_path, "status")
    assert str(raised.value) == f"git says: detected dubious ownership in '/kb'; if you trust it: `{command}`"
