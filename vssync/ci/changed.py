"""The manifests of a repository, and those of them that a change touches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from posixpath import basename, dirname, join, normpath
from typing import NamedTuple

from vssync.address import is_loopback, parse_address
from vssync.ci.forge import CiEvent
from vssync.ci.history import GitHistory, ManifestHistory, folders_of
from vssync.errors import VssyncError
from vssync.manifest.diagnostics import find_source_locations
from vssync.manifest.spec import FileEntry, Manifest, StoreSpec
from vssync.model.service import ServiceSpec
from vssync.providers import PROVIDERS
from vssync.render.comment import FewerMatches, ManifestReview
from vssync.sources.load import MANIFEST_NAMES
from vssync.sources.paths import on_disk
from vssync.text import join_first

_RULES = (".gitignore", ".gitattributes")


class ManifestsByTouch(NamedTuple):
    """The manifests that a change touches, the others, and those that it removes."""

    touched: tuple[ManifestHistory, ...]
    untouched: tuple[ManifestHistory, ...]
    removed: tuple[ManifestHistory, ...] = ()


def find_manifests(git: GitHistory, named: Iterable[str] = ()) -> tuple[str, ...]:
    """The paths of the manifests named, or else of all that git tracks (every `vssync.yaml` or `.yml`), sorted.

    Hidden folders are not searched: `.github/workflows/vssync.yml` is no manifest.
    """
    given = (ManifestHistory(git, name).names for name in named)
    return tuple(sorted({next(filter(git.is_tracked, names), names[0]) for names in given} or _usual(git.tracked)))


def _usual(paths: Iterable[str]) -> set[str]:
    return {path for path in paths if basename(path) in MANIFEST_NAMES and "/." not in f"/{path}"}


def find_removed(git: GitHistory, base: str, named: Iterable[str] = ()) -> tuple[str, ...]:
    """The paths of the manifests named, or else of all, that the base had, and that are not there now."""
    before = git.blobs_at(base)
    given = [ManifestHistory(git, name).names for name in named or sorted(_usual(before))]
    had = (next((name for name in names if name in before), "") for names in given if git.tracked.isdisjoint(names))
    return tuple(dict.fromkeys(name for name in had if name and not (git.tree / on_disk(name)).exists()))


def review_removed(
    removed: Iterable[ManifestHistory], base: str, owners: Collection[str], *, is_merged: bool = False
) -> Iterator[ManifestReview]:
    """Says of each manifest that went, and whose stores none of the other owners declares, that these stay live."""
    for history in removed:
        manifest = history.valid_at(base)
        stores = [spec.store.key for spec in manifest.stores if not spec.store.removed] if manifest else []
        if not (manifest and stores) or manifest.owner in owners:
            continue
        path, named = history.path, join_first([f"`{key}`" for key in stores])
        verb = "is gone" if is_merged else "goes"
        way_out = f"To delete it, run `vssync destroy` with the manifest of {base[:7]}."
        if not is_merged:
            way_out = (
                "To delete it, apply `removed: delete` for each store before this is merged, or run `vssync destroy` "
                "with the manifest afterwards."
            )
        note = f"The manifest `{path}` {verb}. What it made stays live: {named}. {way_out}"
        yield ManifestReview(manifest.owner_name, notes=(note,))


def _check_owners(manifests: Iterable[ManifestHistory], head: str) -> None:
    """Raises VssyncError for two manifests of one owner at one service: each would take away what the other made."""
    known: dict[tuple[str, ...], str] = {}
    for each in manifests:
        manifest = each.valid_at(head)
        if not manifest or (manifest.service.provider, manifest.service.data_url) == ("local", ""):
            continue  # whose stores lie beside the manifest
        other = known.setdefault((manifest.owner, *_place_of(manifest.service)), each.path)
        if other != each.path:
            problem = f"has the owner `{manifest.owner}` of {other}, at the same service"
            raise VssyncError(f"{each.path}: {problem}; give one of them another `owner`, or name one manifest by -f")


def _place_of(service: ServiceSpec) -> tuple[str, ...]:
    """Where a service is, however its address is written, and which part of it is meant."""
    provider, url = PROVIDERS[service.provider], service.data_url
    if not url and provider.regions and service.region:
        domain = provider.regions.domain_of(service.region)
        url = provider.regions.data_url.format(region=service.region, domain=domain)
    address = parse_address(url or provider.url)
    if address and is_loopback(address.host):
        address = replace(address, host="localhost")
    where = (str(address),) if address else (service.provider, service.region, url)
    return (*where, service.project, service.compartment)


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
    """By store, of those given, the patterns that match fewer of git's files than they did at the base.

    A pattern that was edited is compared with what it was. Of one that is gone, the files count that no other matches.
    """
    specs = [spec for spec in manifest.stores if spec.store.key in stores]
    if not specs:
        return {}
    earlier = history.valid_at(base) or manifest
    names, names_before = (
        [name for path in paths if (name := history.path_in_root(each, path)) is not None]
        for each, paths in ((manifest, history.git.tracked), (earlier, history.git.blobs_at(base)))
    )
    places = find_source_locations(manifest.documents, [entry.layer.path for spec in specs for entry in spec.entries])
    fewer: dict[str, tuple[FewerMatches, ...]] = {}
    for spec in specs:
        keys = (spec.store.key, *spec.store.was)
        before = next((each for key in keys for each in earlier.stores if each.store.key == key), None)
        matched = {name for entry in spec.entries for name in filter(entry.matches, names)}
        pairs = _pair_entries(_by_pattern(spec), _by_pattern(before) if before else {})
        matches = []
        for entry, was in pairs:
            files = [] if entry is None else list(filter(entry.matches, names))
            lost = [name for name in filter(was.matches, names_before) if entry or name not in matched]
            place = str(places[entry.layer.path]) if entry else ""
            text, text_before = (each.pattern.text if each and each.pattern else "" for each in (entry, was))
            matches.append(FewerMatches(place, text, len(files), len(lost), text_before))
        if lost_some := tuple(match for match in matches if match.files < match.before):
            fewer[spec.store.key] = lost_some
    return fewer


def _by_pattern(spec: StoreSpec) -> dict[str, FileEntry]:
    return {entry.pattern.text: entry for entry in spec.entries if entry.pattern}


def _pair_entries(
    entries: Mapping[str, FileEntry], earlier: Mapping[str, FileEntry]
) -> Iterator[tuple[FileEntry | None, FileEntry]]:
    """Entries beside what they were: by their patterns, else in order; without one now for those that are gone."""
    gone = iter([entry for text, entry in earlier.items() if text not in entries])
    for text, entry in entries.items():
        if was := earlier.get(text) or next(gone, None):
            yield entry, was
    yield from ((None, was) for was in gone)
