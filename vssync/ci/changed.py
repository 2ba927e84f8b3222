"""The manifests of a repository, and those of them that a change touches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from posixpath import basename, dirname
from typing import NamedTuple

from vssync.ci.history import GitHistory, ManifestHistory, folders_of
from vssync.errors import ManifestError
from vssync.manifest.spec import Manifest
from vssync.sources.load import MANIFEST_NAMES

_RULES = (".gitignore", ".gitattributes")


class ManifestsByTouch(NamedTuple):
    """The manifests that a change touches, and the others."""

    touched: tuple[ManifestHistory, ...]
    untouched: tuple[ManifestHistory, ...]


def find_manifests(git: GitHistory, named: Iterable[str] = ()) -> tuple[str, ...]:
    """The paths of the manifests named, or else of all that git tracks (every `vssync.yaml` or `.yml`), sorted."""
    usual = (path for path in git.tracked if basename(path) in MANIFEST_NAMES)
    given = (ManifestHistory(git, name).names for name in named)
    return tuple(sorted({next(filter(git.is_tracked, names), names[0]) for names in given} or {*usual}))


def split_touched(manifests: Sequence[ManifestHistory], base: str, head: str) -> ManifestsByTouch:
    """The manifests that the commits of head, since it parted from base, touch in sum.

    A manifest is touched with its own file, those it includes, those its patterns match before or after, and git's
    rules for these. One that cannot be read is touched with anything in its folder. Files that another manifest
    includes are left out.
    """
    if not manifests:
        return ManifestsByTouch((), ())
    start = manifests[0].git.merge_base(base, head)
    paths = frozenset[str]().union(*manifests[0].git.paths_by_step([(head, start)] if start else []))
    sides = [(each, [side for commit in (start, head) for side in _valid(each, commit)]) for each in manifests]
    included = {document.file_name for _, valid in sides for side in valid for document in side.documents.included}
    own = [(each, valid) for each, valid in sides if included.isdisjoint(each.names)]
    touched = [each for each, valid in own if not start or _is_touched(each, valid, paths)]
    return ManifestsByTouch(tuple(touched), tuple(each for each, _ in own if each not in touched))


def _valid(manifest: ManifestHistory, commit: str) -> list[Manifest]:
    with suppress(ManifestError):
        return list(filter(None, [manifest.at(commit)]))
    return []


def _is_touched(history: ManifestHistory, valid: Sequence[Manifest], paths: Iterable[str]) -> bool:
    return any(
        history.is_document(path)
        or any(_concerns(history, manifest, path) for manifest in valid)
        or (not valid and (not history.folder or history.folder in folders_of(path)))
        for path in paths
    )


def _concerns(history: ManifestHistory, manifest: Manifest, path: str) -> bool:
    """Whether a path is of a file that the manifest's patterns match, of a submodule around it, or of rules for it."""
    entries = [entry for spec in manifest.stores for entry in spec.entries]
    if path in history.git.submodules or basename(path) in _RULES:
        around = path if path in history.git.submodules else dirname(path)
        folders = (history.path_in_tree(manifest, entry.pattern.folder) for entry in entries if entry.pattern)
        return any(not around or folder == "." or _overlap(around, folder) for folder in folders)
    name = history.path_in_root(manifest, path)
    return name is not None and any(entry.matches(name) for entry in entries)


def _overlap(one: str, other: str) -> bool:
    """Whether one of two folders lies in the other, or is it."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
