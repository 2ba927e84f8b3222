"""What git knows of a work tree, asked so that nothing in a stranger's repository is run or fetched.

A hostile repository may bring its own configuration, or folders that are bare repositories themselves. Every setting
that could run a program or contact another machine is switched off; git itself refuses a repository of another user.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired, run
from tempfile import TemporaryFile
from threading import Timer
from typing import IO
from unicodedata import normalize

from vssync.errors import VssyncError
from vssync.sources.paths import find_work_tree, has_git, on_disk

_SAFE = (
    "--no-pager",
    "--no-optional-locks",  # otherwise git may write the index, and run the hook for that
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "safe.bareRepository=explicit"),
)
_FILTERS = r"^filter\..*\.(clean|smudge|process)$"
_NO_TRANSPORT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}  # fetch no objects that a partial clone lacks
_CHUNK_BYTES = 1 << 16
_LISTING_TIMEOUT, _HISTORY_TIMEOUT = 60.0, 600.0  # seconds


class GitUnreadable(VssyncError):
    """Git gave no answer; the message says why: "git is not installed"."""


def run_git(
    folder: Path, *arguments: str, timeout: float = _LISTING_TIMEOUT, empty_code: int = 0, given: bytes = b""
) -> bytes:
    """What a git command prints in a folder, with `given` as its standard input.

    `empty_code` is the command's exit code for "found nothing".

    Raises GitUnreadable if git is not installed, takes too long (`timeout` is in seconds), or fails.
    """
    try:
        command = _command(folder, arguments)
        done = run(command, capture_output=True, timeout=timeout, input=given, env=_environment(), check=False)
    except TimeoutExpired:
        raise GitUnreadable(f"git took longer than {timeout:.0f} s") from None
    except OSError:
        raise GitUnreadable("git is not installed") from None
    if done.returncode not in (0, empty_code):
        raise GitUnreadable(_explain(done.stderr))
    return done.stdout


def _command(folder: Path, arguments: Iterable[str]) -> list[str]:
    return ["git", "-C", str(folder), *_SAFE, *arguments]


def _environment() -> dict[str, str]:
    """The user's environment for git, with dates in UTC and messages in English.

    It lacks variables such as GIT_DIR, which a hook sets and which name another repository. GIT_CONFIG_* stays: it may
    hold `safe.directory`.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    config = {name: value for name, value in os.environ.items() if name.startswith("GIT_CONFIG_")}
    return {**kept, **config, **_NO_TRANSPORT, "TZ": "UTC0", "LC_ALL": "C"}


def _explain(stderr: bytes) -> str:
    """Git's first line, and the command by which it says that a repository of another user can be trusted."""
    first, *others = stderr.decode("utf-8", "replace").strip().split("\n")
    command = next((line.strip() for line in others if line.startswith("\tgit config --global ")), "")
    way_out = f"; if you trust it: `{command}`" if command else ""
    return f"git says: {first.removeprefix('fatal: ').removeprefix('error: ')}{way_out}" if first else "git failed"


def filter_drivers(folder: Path, scopes: Collection[str] = (), *, timeout: float = _LISTING_TIMEOUT) -> frozenset[str]:
    """The names of the filters, which are programs, in these scopes of the configuration, or in any.

    Raises GitUnreadable.
    """
    question = ("config", "--show-scope", "--name-only", "-z", "--get-regexp", _FILTERS)
    listed = run_git(folder, *question, timeout=timeout, empty_code=1).decode("utf-8", "surrogateescape").split("\0")
    entries = zip(listed[::2], listed[1::2], strict=False)
    return frozenset(
        name[len("filter.") : name.rindex(".")] for scope, name in entries if not scopes or scope in scopes
    )


def disabled_filters(drivers: Collection[str]) -> tuple[str, ...]:
    """Options by which git does not run these filters: files stay as they were committed. Raises GitUnreadable."""
    if any("=" in driver for driver in drivers):
        raise GitUnreadable("there is a filter whose name holds `=`, so that it cannot be switched off")
    rules = ("clean=", "smudge=", "process=", "required=false")
    return tuple(word for driver in sorted(drivers) for rule in rules for word in ("-c", f"filter.{driver}.{rule}"))


def changed_files(folder: Path, *pathspecs: str, timeout: float) -> bytes:
    """What `git status` prints of a folder, without the filters that a repository brings. Raises GitUnreadable.

    Filters of the user's own configuration do run. Changes inside submodules are ignored.
    """
    options = disabled_filters(filter_drivers(folder, ("local", "worktree"), timeout=timeout))
    command = ("status", "--porcelain", "--ignore-submodules=dirty", "--", *pathspecs)
    return run_git(folder, *options, *command, timeout=timeout)


def _require_git(tree: Path) -> None:
    if not has_git(tree):
        raise GitUnreadable("there is no .git")


def tracked_files(tree: Path) -> frozenset[str]:
    """The paths of a work tree that git tracks, relative to it and in NFC. Raises GitUnreadable."""
    _require_git(tree)
    names = run_git(tree, "ls-files", "-z").decode("utf-8", "surrogateescape")
    return frozenset((names if names.isascii() else normalize("NFC", names)).split("\0"))


def remote_url(tree: Path) -> str:
    """The URL of `origin`, or of another remote, without its user and password, which are nobody's business here.

    Empty where there is none, or git cannot be asked.
    """
    if not has_git(tree):
        return ""
    with suppress(GitUnreadable):
        question = ("config", "--local", "--get-regexp", r"^remote\..*\.url$")
        lines = run_git(tree, *question, empty_code=1).decode("utf-8", "replace").splitlines()
        urls = dict(line.partition(" ")[::2] for line in reversed(lines))
        url = urls.get("remote.origin.url") or next(reversed(urls.values()), "")
        return re.sub(r"^(\w[\w+.-]*://)?[^/]*@", r"\1", url)
    return ""


def is_shallow(tree: Path) -> bool:
    """Whether the repository's history is cut off. Raises GitUnreadable."""
    return run_git(tree, "rev-parse", "--is-shallow-repository").strip() == b"true"


def author_dates(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """By path, the author date (YYYY-MM-DD, UTC) of the commit that `git log -1 -- PATH` names, if there is one.

    Paths are relative to `root`, spelled as on disk. Each work tree's history is read once, however many files it has.
    Raises VssyncError if git cannot be read, and for a shallow clone, whose oldest commit seems to add every file.
    """
    dates: dict[str, str] = {}
    for tree, group in _group_by_tree(root, paths).items():
        try:
            _require_git(tree)
            if is_shallow(tree):
                way_out = "fetch all of it: `fetch-depth: 0` in a workflow, or `git fetch --unshallow`"
                raise VssyncError(f"{tree}: is a shallow clone, whose history has no dates of most files; {way_out}")
            dates |= _dates_in_tree(tree, group)
        except GitUnreadable as error:
            way_out = "run this in a clone, with git, or take the date from front matter"
            raise VssyncError(f"{tree}: git's dates cannot be read: {error}; {way_out}") from None
    return dates


def _group_by_tree(root: Path, paths: Iterable[str]) -> dict[Path, dict[str, str]]:
    """Work tree (around `root`, or inside it) -> path relative to the tree -> path relative to `root`."""
    outermost = find_work_tree(root)
    prefix = f"{root.relative_to(outermost).as_posix()}/" if root != outermost else ""
    trees: dict[str, tuple[Path, int]] = {"": (outermost, 0)}  # folder -> (work tree, length of the prefix to cut off)
    groups: dict[Path, dict[str, str]] = {}

    def tree_of(folder: str) -> tuple[Path, int]:
        if folder not in trees:
            path = root / on_disk(folder)
            trees[folder] = (path, len(folder) + 1) if has_git(path) else tree_of(folder.rpartition("/")[0])
        return trees[folder]

    for path in paths:
        tree, start = tree_of(path.rpartition("/")[0])
        groups.setdefault(tree, {})[path[start:] if start else prefix + path] = path
    return groups


@dataclass(frozen=True, slots=True)
class _Commit:
    id: bytes
    date: str
    parents: tuple[bytes, ...]


def _dates_in_tree(tree: Path, group: dict[str, str]) -> dict[str, str]:
    """Dates by the path from `root`. Git may have a path in NFC that macOS spells in NFD, so both are looked for."""
    spellings = {path: {path, normalize("NFC", path)} for path in group}
    wanted = {_encode(spelling) for both in spellings.values() for spelling in both}
    log = run_git(
        *(tree, "log", "--topo-order", "--ignore-missing", "--no-show-signature", "--date=format-local:%Y-%m-%d"),
        *("--format=%H %ad %P", "HEAD"),
        timeout=_HISTORY_TIMEOUT,
    )
    commits = [
        _Commit(commit_id, date.decode(), tuple(parents))
        for commit_id, date, *parents in (line.split() for line in log.splitlines())
    ]
    pairs = [(commit.id, parent) for commit in commits for parent in commit.parents or (b"",)]
    with open_diffs(tree, pairs, os.path.commonpath(wanted)) as diffs:
        dates = _resolve_dates(commits, wanted, diffs)
    found = {path: [dates[name] for name in map(_encode, sorted(spellings[path])) if name in dates] for path in group}
    return {group[path]: candidates[0] for path, candidates in found.items() if candidates}


def _encode(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _resolve_dates(
    commits: Iterable[_Commit], wanted: Collection[bytes], diffs: Iterator[frozenset[bytes]]
) -> dict[bytes, str]:
    """Follows each path from the newest commit to the commit that `git log -1` names.

    As git does: if a parent has the same file, go on to the first such parent; if no parent has, this is the commit.
    `diffs` has the paths that differ for each commit and parent; for a commit without parents, all its paths.
    """
    dates: dict[bytes, str] = {}
    pending: dict[bytes, set[bytes]] = {}
    remaining = len(wanted)
    for number, commit in enumerate(commits):
        reached = pending.pop(commit.id, set()) if number else set(wanted)
        for parent in commit.parents or (None,):
            difference = next(diffs)
            if same := reached - difference:
                reached -= same
                if parent is None:
                    remaining -= len(same)
                else:
                    pending.setdefault(parent, set()).update(same)
        dates |= dict.fromkeys(reached, commit.date)
        remaining -= len(reached)
        if not remaining:
            break
    return dates


@contextmanager
def open_diffs(
    tree: Path, pairs: Collection[tuple[bytes, bytes]], folder: bytes = b""
) -> Iterator[Iterator[frozenset[bytes]]]:
    """The paths in a folder that differ within each pair of a commit and its parent, in order, from one process.

    For a commit whose parent is empty, these are all its paths. Reading them raises GitUnreadable.
    """
    arguments = ("diff-tree", "--stdin", "--always", "--root", "--no-renames", "-r", "-z", "--name-status")
    command = _command(tree, ("--literal-pathspecs", *arguments, "--", os.fsdecode(folder or b".")))
    with TemporaryFile() as file:
        file.writelines(b" ".join(pair) + b"\n" for pair in pairs)
        file.seek(0)
        process = Popen(command, stdin=file, stdout=PIPE, stderr=DEVNULL, env=_environment())
        timer = Timer(_HISTORY_TIMEOUT, process.kill)
        timer.start()
        try:
            assert process.stdout
            yield _parse_diffs(_split(process.stdout), len(pairs))
        finally:
            timer.cancel()
            process.kill()
            process.communicate()


def _parse_diffs(tokens: Iterator[bytes], count: int) -> Iterator[frozenset[bytes]]:
    """The paths of each of `count` diffs. Git prints the commit, then for each path one letter and the path.

    Raises GitUnreadable if the output ends early.
    """
    token = next(tokens, b"")
    for _ in range(count):
        if not token:
            raise GitUnreadable("git stopped while it read the history")
        paths: list[bytes] = []
        while len(token := next(tokens, b"")) == 1:
            paths.append(next(tokens, b""))
        yield frozenset(paths)


def _split(stream: IO[bytes]) -> Iterator[bytes]:
    """The parts of a stream, each of which ends with a NUL character."""
    rest = b""
    while chunk := stream.read(_CHUNK_BYTES):
        *parts, rest = (rest + chunk).split(b"\0")
        yield from parts
