"""The manifests of a repository, and those of them that a change touches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from posixpath import basename, dirname, join, normpath
from typing import NamedTuple

from vssync.ci.forge import CiEvent
from vssync.ci.history import GitHistory, ManifestHistory, folders_of
from vssync.errors import VssyncError
from vssync.manifest.diagnostics import locate_values
from vssync.manifest.spec import Manifest
from vssync.render.comment import FewerMatches, ManifestReview
from vssync.sources.load import MANIFEST_NAMES

_RULES = (".gitignore", ".gitattributes")
_STAYS = (
    "What it made stays live: before this is merged, apply `removed: delete` for its stores, or run `vssync destroy` "
    "with it afterwards."
)


class ManifestsByTouch(NamedTuple):
    """The manifests that a change touches, and the others."""

    touched: tuple[ManifestHistory, ...]
    untouched: tuple[ManifestHistory, ...]


def find_manifests(git: GitHistory, named: Iterable[str] = ()) -> tuple[str, ...]:
    """The paths of the manifests named, or else of all that git tracks (every `vssync.yaml` or `.yml`), sorted.

    Hidden folders are not searched: `.github/workflows/vssync.yml` is no manifest.
    """
    given = (ManifestHistory(git, name).names for name in named)
    return tuple(sorted({next(filter(git.is_tracked, names), names[0]) for names in given} or _usual(git.tracked)))


def _usual(paths: Iterable[str]) -> set[str]:
    return {path for path in paths if basename(path) in MANIFEST_NAMES and "/." not in f"/{path}"}


def review_removed(
    git: GitHistory, base: str, history: Callable[[str], ManifestHistory], present: Sequence[ManifestHistory]
) -> Iterator[ManifestReview]:
    """Says of each manifest of the base whose stores no manifest declares any more that they stay live."""
    owners = {manifest.owner for each in present if (manifest := each.valid_at(git.head))}
    for path in sorted(_usual(git.blobs_at(base)) - {name for each in present for name in each.names}):
        manifest = history(path).valid_at(base)
        if manifest and manifest.owner not in owners and not all(spec.store.removed for spec in manifest.stores):
            yield ManifestReview(manifest.owner_name, notes=(f"The manifest `{path}` goes. {_STAYS}",))


def _check_owners(manifests: Iterable[ManifestHistory], head: str) -> None:
    """Raises VssyncError for two manifests of one owner at one service: each would take away what the other made."""
    known: dict[tuple[str, ...], str] = {}
    for each in manifests:
        manifest = each.valid_at(head)
        if not manifest or (manifest.service.provider, manifest.service.data_url) == ("local", ""):
            continue  # whose stores lie beside the manifest
        service = manifest.service
        place = (service.provider, service.region, service.project, service.compartment, service.data_url)
        other = known.setdefault((manifest.owner, *place), each.path)
        if other != each.path:
            problem = f"has the owner `{manifest.owner}` of {other}, at the same service"
            raise VssyncError(f"{each.path}: {problem}; give one of them another `owner`, or name one manifest by -f")


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
    includes are left out. Raises VssyncError for two of one owner at one service.
    """
    if not manifests:
        return ManifestsByTouch((), ())
    start = manifests[0].git.merge_base(base, head)
    paths = frozenset[str]().union(*manifests[0].git.paths_by_step([(head, start)] if start else []))
    sides = [(each, [side for commit in (start, head) if (side := each.valid_at(commit))]) for each in manifests]
    included = {document.file_name for _, valid in sides for side in valid for document in side.documents.included}
    own = [(each, valid) for each, valid in sides if included.isdisjoint(each.names)]
    _check_owners([each for each, _ in own], head)
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
    """Whether a path is of a file that the manifest's patterns match, of its questions, or of rules or a submodule."""
    entries = [entry for spec in manifest.stores for entry in spec.entries]
    if path in history.git.submodules or basename(path) in _RULES:
        around = path if path in history.git.submodules else dirname(path)
        folders = (history.path_in_tree(manifest, entry.pattern.folder) for entry in entries if entry.pattern)
        return any(not around or folder == "." or _overlap(around, folder) for folder in folders)
    if any(spec.tests and path == normpath(join(history.folder, spec.tests)) for spec in manifest.stores):
        return True
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
