"""What git says of the time between two commits: the paths that were touched, and the manifest as it was at each.

All is read from git's objects, and nothing is checked out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from posixpath import basename, dirname, normpath
from typing import Any
from unicodedata import normalize

from vssync.errors import ManifestError, Problem, VssyncError
from vssync.manifest.build import build_manifest, check_document, declared_variables, resolve_includes
from vssync.manifest.diagnostics import Documents
from vssync.manifest.globs import Pattern
from vssync.manifest.spec import Manifest
from vssync.manifest.yaml_loader import Document, parse_document
from vssync.sources.git import GitUnreadable, open_diffs, run_git
from vssync.sources.load import MANIFEST_NAMES
from vssync.sources.paths import find_work_tree, has_git, on_disk
from vssync.sources.schemas import load_schema

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # a whole one: a branch may be named like the beginning of one
_LINK, _SUBMODULE, _FILE_TYPES = "120000", "160000", ("100644", "100755")
_TIMEOUT = 600.0  # seconds
_FETCH_ALL = '`fetch-depth: 0` for actions/checkout on GitHub, `GIT_DEPTH: "0"` on GitLab'


@dataclass(frozen=True, slots=True)
class CommitRange:
    """What the tip has and the base has not: its commits, oldest first, and the steps from parent to commit.

    A step of a merge counts only from a parent that descends from the base: towards another parent, a merge differs by
    what the base had already.
    """

    base: str
    commits: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]  # (commit, parent); without a parent for the first commit of a history


class GitHistory:
    """The history of a work tree. Raises VssyncError where git cannot be read, and for a shallow clone."""

    def __init__(self, folder: Path) -> None:
        self.tree = find_work_tree(folder)
        if not has_git(self.tree):
            raise VssyncError(f"{folder}: is in no git work tree, and only git says what was committed; run in a clone")
        is_shallow, self.head = self.ask("rev-parse", "--is-shallow-repository", "HEAD").decode().split()
        if is_shallow == "true":
            problem = "is a shallow clone, so git cannot say what was committed since the last apply"
            raise VssyncError(f"{self.tree}: {problem}; fetch all of it: {_FETCH_ALL}")
        listed = (entry.partition("\t") for entry in self._entries("ls-files", "--stage", "-z"))
        modes = {normalize("NFC", path): entry[:6] for entry, _, path in listed}
        self.tracked = frozenset(modes)  # of the work tree, in NFC
        self.submodules = frozenset(path for path, mode in modes.items() if mode == _SUBMODULE)
        self._links_by_target: dict[str, list[str]] = {}
        for link in (path for path, mode in modes.items() if mode == _LINK):
            target = os.path.relpath(os.path.realpath(self.tree / on_disk(link)), self.tree)
            self._links_by_target.setdefault(target, []).append(link)

    def ask(self, *arguments: str, given: bytes = b"", empty_code: int = 0) -> bytes:
        """What git answers. Raises VssyncError."""
        try:
            return run_git(self.tree, *arguments, timeout=_TIMEOUT, given=given, empty_code=empty_code)
        except GitUnreadable as error:
            raise VssyncError(f"{self.tree}: its history cannot be read: {error}") from None

    def _entries(self, *arguments: str) -> Iterator[str]:
        return filter(None, self.ask(*arguments).decode("utf-8", "surrogateescape").split("\0"))

    def range_between(self, base: str, tip: str) -> CommitRange | None:
        """The range, or None unless the base is a whole hash of an ancestor of the tip, or of the tip itself."""
        if not _COMMIT.fullmatch(base) or not base.strip("0"):
            return None
        try:
            log = run_git(self.tree, "rev-list", "--parents", "--topo-order", "--reverse", tip, f"^{base}")
        except GitUnreadable:
            return None  # a commit that a force-push took away is not even here
        since_base, commits, steps = {base}, list[str](), list[tuple[str, str]]()
        for line in log.decode().splitlines():
            commit, *parents = line.split()
            descending = [parent for parent in parents if parent in since_base]
            since_base.update([commit] if descending else [])
            commits.append(commit)
            steps += [(commit, parent) for parent in (descending if parents[1:] else parents or [""])]
        return CommitRange(base, tuple(commits), tuple(steps)) if tip in since_base else None

    def paths_by_step(self, steps: Collection[tuple[str, str]]) -> Iterator[frozenset[str]]:
        """For each step, the paths that it touches, in NFC, by every name that the work tree's links give them."""
        with open_diffs(self.tree, [(commit.encode(), parent.encode()) for commit, parent in steps]) as diffs:
            for paths in diffs:
                names = (normalize("NFC", path.decode("utf-8", "surrogateescape")) for path in paths)
                yield frozenset(name for path in names for name in (path, *self._aliases(path)))

    def _aliases(self, path: str) -> Iterator[str]:
        for target in folders_of(path, itself=True) if self._links_by_target else ():
            yield from (link + path[len(target) :] for link in self._links_by_target.get(target, ()))

    def merge_base(self, one: str, other: str) -> str:
        """The commit where two commits parted; empty if their histories have nothing in common."""
        return self.ask("merge-base", one, other, empty_code=1).decode().strip()

    def ignored(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of these paths, none of them tracked, that git ignores; whatever is behind a link, as the link is."""
        queries = {path: f"./{self._first_link(path) or path}" for path in paths if path.split("/")[0] != ".."}
        names = "\0".join(queries.values()).encode("utf-8", "surrogateescape")
        listed = self.ask("check-ignore", "-z", "--stdin", given=names, empty_code=1) if queries else b""
        ignored = frozenset(listed.decode("utf-8", "surrogateescape").split("\0"))
        return frozenset(path for path, query in queries.items() if query in ignored)

    def _first_link(self, path: str) -> str:
        links = [folder for folder in folders_of(path) if (self.tree / on_disk(folder)).is_symlink()]
        return links[-1] if links else ""

    def is_tracked(self, path: str) -> bool:
        """Whether git tracks a path, or the link or submodule that it lies behind."""
        return any(each in self.tracked for each in folders_of(path, itself=True))

    def blobs_at(self, commit: str, *paths: str) -> dict[str, str]:
        """The regular files at or below these paths of a commit, in NFC, and the ids of their contents."""
        entries = (
            entry.partition("\t")
            for entry in self._entries("--literal-pathspecs", "ls-tree", "-r", "-z", commit, "--", *paths)
        )
        return {normalize("NFC", path): info.split()[2] for info, _, path in entries if info[:6] in _FILE_TYPES}

    def text_of(self, blob: str, path: str) -> str:
        """The text of a file's content. Raises ManifestError if it is not UTF-8."""
        try:
            return self.ask("cat-file", "blob", blob).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ManifestError((Problem(path, 0, 0, "the manifest is not UTF-8 text"),)) from None


@cache
def _schema() -> Mapping[str, Any]:
    return load_schema("manifest.schema.json")


def folders_of(path: str, *, itself: bool = False) -> Iterator[str]:
    """The folders around a path, innermost first, without the root."""
    path = path if itself else dirname(path)
    while path:
        yield path
        path = dirname(path)


class ManifestHistory:
    """One manifest, by its path in the work tree or that of its folder, for one environment, as it was at commits."""

    def __init__(self, git: GitHistory, path: str, env: str = "", variables: Mapping[str, str] | None = None) -> None:
        self.git, self.path, self._env, self._variables = git, normpath(path), env or None, variables or {}
        folder = self.path if (git.tree / on_disk(self.path)).is_dir() else dirname(self.path)
        is_usual = folder == self.path or basename(self.path) in MANIFEST_NAMES
        # The paths that it may have: a folder's is `vssync.yaml` or `vssync.yml`.
        self.names = tuple(normpath(f"{folder or '.'}/{name}") for name in MANIFEST_NAMES) if is_usual else (self.path,)
        self.folder = dirname(self.names[0])  # empty for the work tree itself
        self._patterns = set[Pattern]()  # of `include`, at any commit that was asked for
        self._by_blobs: dict[tuple[str, ...], Manifest] = {}
        self._by_commit: dict[str, Manifest | ManifestError | None] = {"": None}

    def at(self, commit: str) -> Manifest | None:
        """The manifest as of a commit; None where there was none. Raises ManifestError where it is invalid."""
        if commit not in self._by_commit:
            try:
                self._by_commit[commit] = self._load(commit)
            except ManifestError as error:
                self._by_commit[commit] = error
        manifest = self._by_commit[commit]
        if isinstance(manifest, ManifestError):
            raise manifest
        return manifest

    def valid_at(self, commit: str) -> Manifest | None:
        """The manifest as of a commit; None if there was none, or an invalid one, of which nothing was applied."""
        try:
            return self.at(commit)
        except ManifestError:
            return None

    @property
    def name(self) -> str:
        """What people call it: its owner without the environment, or its path where that cannot be read."""
        manifest = self.valid_at(self.git.head)
        return manifest.owner_name if manifest else self.path

    def is_document(self, path: str) -> bool:
        """Whether a path is the manifest's, or is included by the manifest of any commit that was asked for."""
        inner = _relative(path, self.folder)
        return path in self.names or (inner is not None and any(pattern.matches(inner) for pattern in self._patterns))

    def _load(self, commit: str) -> Manifest | None:
        blobs = self.git.blobs_at(commit, *self.names)
        path = next((name for name in self.names if name in blobs), None)
        if path is None:
            return None
        main = self._document(path, blobs[path])
        variables = {name: self._variables[name] for name in declared_variables(main) & self._variables.keys()}
        patterns = {*resolve_includes(main, self._env, variables).values()}
        self._patterns |= patterns
        if patterns:
            blobs |= self.git.blobs_at(commit, self.folder or ".")
        names = {each: _relative(each, self.folder) or "" for each in sorted(blobs) if each != path}
        included = [each for each, name in names.items() if any(pattern.matches(name) for pattern in patterns)]
        key = tuple(text for each in (path, *included) for text in (each, blobs[each]))
        if key not in self._by_blobs:
            others = tuple(self._document(each, blobs[each], "included") for each in included)
            manifest = build_manifest(Documents(main, others), _schema(), self._env, variables)
            if manifest.problems:
                raise ManifestError(manifest.problems)
            self._by_blobs[key] = manifest
        return self._by_blobs[key]

    def _document(self, path: str, blob: str, definition: str = "") -> Document:
        return check_document(parse_document(self.git.text_of(blob, path), path), _schema(), definition)

    def path_in_tree(self, manifest: Manifest, path: str) -> str:
        """The path in the work tree of a file that this manifest's patterns see under `path`."""
        return normalize("NFC", normpath(f"{self.folder or '.'}/{manifest.root}/{path}"))

    def path_in_root(self, manifest: Manifest, path: str) -> str | None:
        """A path of the work tree as this manifest's patterns see it; None outside of its `root`."""
        root = self.path_in_tree(manifest, "")
        return _relative(path, "" if root == "." else root)


def _relative(path: str, folder: str) -> str | None:
    if not folder:
        return path
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else None
