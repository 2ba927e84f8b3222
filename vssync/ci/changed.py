"""The manifests of a repository, and those of them that a change touches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from posixpath import basename, dirname
from typing import NamedTuple

from vssync.ci.forge import CiEvent
from vssync.ci.history import GitHistory, ManifestHistory, folders_of
from vssync.errors import VssyncError
from vssync.manifest.diagnostics import locate_values
from vssync.manifest.spec import Manifest
from vssync.render.comment import FewerMatches
from vssync.sources.load import MANIFEST_NAMES

_RULES = (".gitignore", ".gitattributes")


class ManifestsByTouch(NamedTuple):
    """The manifests that a change touches, and the others."""

    touched: tuple[ManifestHistory, ...]
    untouched: tuple[ManifestHistory, ...]


def find_manifests(git: GitHistory, named: Iterable[str] = ()) -> tuple[str, ...]:
    """The paths of the manifests named, or else of all that git tracks (every `vssync.yaml` or `.yml`), sorted.

    Hidden folders are not searched: `.github/workflows/vssync.yml` is no manifest.
    """
    usual = (path for path in git.tracked if basename(path) in MANIFEST_NAMES and "/." not in f"/{path}")
    given = (ManifestHistory(git, name).names for name in named)
    return tuple(sorted({next(filter(git.is_tracked, names), names[0]) for names in given} or {*usual}))


def base_of(git: GitHistory, event: CiEvent) -> str:
    """The commit that a change is compared with: its target's in the forge's merge of both, or where they parted.

    Raises VssyncError if there is none.
    """
    _, *parents = git.ask("rev-list", "--parents", "--max-count=1", git.head).decode().split()
    if event.head_sha in parents[1:]:
        return parents[0]
    base = git.merge_base(event.base_sha, git.head) if event.base_sha else ""
    if not base:
        raise VssyncError(f"{git.head[:7]}: has no commit in common with `{event.branch}`; rebase it on that branch")
    return base


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
    sides = [(each, [side for commit in (start, head) if (side := each.valid_at(commit))]) for each in manifests]
    included = {document.file_name for _, valid in sides for side in valid for document in side.documents.included}
    own = [(each, valid) for each, valid in sides if included.isdisjoint(each.names)]
    touched = [each for each, valid in own if not start or _is_touched(each, valid, paths)]
    return ManifestsByTouch(tuple(touched), tuple(each for each, _ in own if each not in touched))


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


def fewer_matches(
    history: ManifestHistory, manifest: Manifest, base: str, stores: Collection[str]
) -> dict[str, tuple[FewerMatches, ...]]:
    """By store, of those given, the patterns that match fewer of git's files than at the base."""
    entries = [
        (spec.store.key, entry) for spec in manifest.stores if spec.store.key in stores for entry in spec.entries
    ]
    places = locate_values(manifest.documents, [entry.layer.path for _, entry in entries])
    sides = [
        [name for path in paths if (name := history.path_in_root(manifest, path)) is not None]
        for paths in (history.git.tracked, history.git.blobs_at(base) if entries else ())
    ]
    fewer: dict[str, tuple[FewerMatches, ...]] = {}
    for key, entry in entries:
        now, before = (sum(map(entry.matches, names)) for names in sides)
        if entry.pattern and now < before:
            match = FewerMatches(str(places[entry.layer.path]), entry.pattern.text, now, before)
            fewer[key] = (*fewer.get(key, ()), match)
    return fewer
