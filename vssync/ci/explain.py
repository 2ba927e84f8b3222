"""Whether git explains what a plan takes away: what an apply after a merge may do without asking anybody.

Each store has a base, a commit that it agreed with. A change is explained if a commit since then touches its file, or
the part of the manifest that it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from vssync.ci.history import CommitRange, GitHistory, ManifestHistory, folders_of
from vssync.errors import ManifestError, Refused, VssyncError
from vssync.limits import MAX_VALUE_LENGTH
from vssync.manifest.placeholders import MissingFolder
from vssync.manifest.select import key_of
from vssync.manifest.spec import Manifest, StoreSpec
from vssync.model.marks import key_attribute, parse_stamp
from vssync.model.plan import Action, FileChange, Plan, Reason, StoreChange, StorePlan
from vssync.model.state import FileStatus
from vssync.text import count_noun, escape_control

# What only tidies up after another change: the copy that stays has these bytes already.
_FOLLOWING = frozenset((Reason.SUPERSEDED, Reason.SHARED_CHUNKS))
_NOT_ABOUT_FILES = ("description", "metadata", "expires_after", "guards", "protect")  # fields of a store
_SELECTORS = (
    "path",
    "exclude",
    "optional",
    "only",
    "match",
)  # fields that say which files; what they chose is compared


class BaseKind(StrEnum):
    """Why a commit is a store's base."""

    APPLIED = "of its last apply"
    DEPLOYED = "of the last deployment"
    PUSHED = "before this push"


@dataclass(frozen=True, slots=True)
class Base:
    """The commit that a store agreed with, and what was committed since."""

    kind: BaseKind
    range: CommitRange

    @property
    def commit(self) -> str:
        return self.range.base

    def __str__(self) -> str:
        return f"{self.commit[:7]}, the commit {self.kind}"


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A change that git does not explain; `key` is empty for that of a store itself."""

    store: str
    key: str
    action: Action
    reason: str

    def __str__(self) -> str:
        address = "/".join(filter(None, (self.store, self.key)))
        return escape_control(f"{address}: {self.action}: {self.reason}")


def find_bases(plan: Plan, git: GitHistory, tip: str, deployed: str = "", before: str = "") -> dict[str, Base | None]:
    """The base of each store: the first of these commits that is an ancestor of the tip, or the tip itself.

    That of its stamp, unless the work tree had other changes; that of the last successful deployment of this
    environment; that before this push. A commit that is empty or not here is none.
    """
    ranges: dict[str, CommitRange | None] = {}
    bases: dict[str, Base | None] = {}
    for store in plan.stores:
        stamp = parse_stamp(store.applied)
        candidates = ((BaseKind.APPLIED, stamp.commit if stamp else ""), (BaseKind.DEPLOYED, deployed))
        bases[store.key] = None
        for kind, commit in (*candidates, (BaseKind.PUSHED, before)):
            if commit not in ranges:
                ranges[commit] = git.range_between(commit, tip)
            if found := ranges[commit]:
                bases[store.key] = Base(kind, found)
                break
    return bases


def find_unexplained(
    plan: Plan, manifests: ManifestHistory, tip: str, bases: Mapping[str, Base | None]
) -> tuple[Unexplained, ...]:
    """The replacements, deletions, adoptions and removals of a plan of the tip that git does not explain."""
    spans: dict[str, _Span] = {}
    unexplained: list[Unexplained] = []
    for store in plan.stores:
        files = [change for change in store.files if needs_explanation(change)]
        own = [store.change] if store.change and needs_explanation(store.change) else []
        base = bases.get(store.key)
        if base and (files or own):
            if base.commit not in spans:
                spans[base.commit] = _read_span(base.range, manifests, tip)
            history = _StoreHistory(store, spans[base.commit], manifests)
            files = history.unexplained(files)
            own = [] if history.has_changed_settings() else own
        reason = _why(base, manifests.names[0])
        unexplained += (Unexplained(store.key, "", change.action, reason) for change in own)
        unexplained += (Unexplained(store.key, change.key, change.action, reason) for change in files)
    return tuple(unexplained)


def unexplained_error(unexplained: Sequence[Unexplained]) -> Refused:
    """The error of a job that found changes which git does not explain."""
    head = f"Nothing was written: git does not explain {count_noun(len(unexplained), 'change')}."
    way_out = "If this is intended, run this job by hand with `unexplained: true`: the environment's approvers decide."
    return Refused("\n".join((head, *(f"  {each}" for each in unexplained), way_out)))


def _why(base: Base | None, manifest: str) -> str:
    if base is None:
        return "no commit of this history is known that its store agreed with"
    if not base.range.commits:
        return f"nothing was committed since {base}"
    return f"no commit since {base}, touches it or its part of {manifest}"


def needs_explanation(change: StoreChange | FileChange) -> bool:
    """Whether a change takes away something that works, or takes over or gives up what somebody else may use."""
    if change.action is Action.ADOPT or Reason.RELEASED in change.reasons:
        return True
    if change.action not in (Action.REPLACE, Action.DELETE) or _FOLLOWING.issuperset(change.reasons):
        return False
    if isinstance(change, StoreChange) or change.takes_over or change.action is Action.DELETE:
        return True
    return any(copy.status is FileStatus.COMPLETED for copy in (*filter(None, [change.keep]), *change.drop))


class _Span(NamedTuple):
    """What happened between a base and the tip."""

    has_commits: bool
    touched: frozenset[str]
    tip: Manifest
    manifests: tuple[tuple[Manifest | None, Manifest | None], ...]  # before and after: of all, and of each step


def _read_span(commits: CommitRange, manifests: ManifestHistory, tip: str) -> _Span:
    """Reads a range. Where the manifest of a commit is invalid, that step says nothing: the ends are compared, too."""
    current = manifests.at(tip)
    if current is None:
        problem = "is not committed, so git cannot explain what comes from it; commit it"
        raise VssyncError(f"{manifests.names[0]}: {problem}")
    sides = list(_both_sides(manifests, tip, commits.base))
    touched = set[str]()
    for paths, (commit, parent) in zip(manifests.git.paths_by_step(commits.steps), commits.steps, strict=True):
        touched |= paths
        if any(map(manifests.is_document, paths)):
            sides += _both_sides(manifests, commit, parent)
    return _Span(bool(commits.commits), frozenset(touched), current, tuple(sides))


def _both_sides(
    manifests: ManifestHistory, commit: str, parent: str
) -> Iterator[tuple[Manifest | None, Manifest | None]]:
    """The manifest before and after a step, if both are valid and differ."""
    with suppress(ManifestError):
        after, before = manifests.at(commit), manifests.at(parent)
        if before is not after:
            yield before, after


class _View(NamedTuple):
    """A store in the manifest of one commit."""

    manifest: Manifest
    spec: StoreSpec

    @property
    def tree(self) -> Mapping[str, Any]:
        tree: Mapping[str, Any] = self.manifest.tree["stores"][self.spec.store.key]
        return tree

    def settings(self, *left_out: str) -> tuple[object, ...]:
        """What it says of the store without these fields, and where the store and its files are."""
        fields = {name: value for name, value in self.tree.items() if name not in left_out}
        return self.manifest.owner, self.manifest.service, self.manifest.root, fields

    def part_of(self, name: str, key: str) -> list[object]:
        """What the entries and overrides that cover one file say; `name` is its path, as patterns see it."""
        covering = [
            self.tree["files"][entry.layer.path[-1]]
            for entry in self.spec.entries
            if (key == key_of(entry, "") if entry.file_id else entry.matches(name))
        ]
        overrides = zip(self.spec.overrides, self.tree.get("overrides") or (), strict=True)
        covering += [tree for override, tree in overrides if override.pattern.matches(name)]
        return [{field: value for field, value in each.items() if field not in _SELECTORS} for each in covering]


class _StoreHistory:
    """What git says of one store between its base and the tip."""

    def __init__(self, store: StorePlan, span: _Span, manifests: ManifestHistory) -> None:
        self._span, self._manifests = span, manifests
        self._keys = (store.key.partition("@")[0], *(store.desired.was if store.desired else ()))
        sides = ((self._view(before), self._view(after)) for before, after in span.manifests)
        self._sides = [(before, after) for before, after in sides if before or after]
        views = (self._view(span.tip), *(view for side in self._sides for view in side))
        self._views = [view for view in views if view]
        entries = [entry for view in self._views for entry in view.spec.entries]
        self._keys_are_paths = not any(entry.key and not entry.file_id for entry in entries)

    def _view(self, manifest: Manifest | None) -> _View | None:
        specs = {spec.store.key: spec for spec in manifest.stores} if manifest else {}
        key = next((key for key in self._keys if key in specs), None)
        return _View(manifest, specs[key]) if manifest and key else None

    def has_changed_settings(self, *left_out: str) -> bool:
        """Whether a commit changed what the manifest says of the store besides its files, and besides these fields."""
        left_out = ("files", "overrides", *left_out)
        return any(
            before is None or after is None or before.settings(*left_out) != after.settings(*left_out)
            for before, after in self._sides
        )

    def unexplained(self, changes: Sequence[FileChange]) -> list[FileChange]:
        """Those of these changes that git does not explain."""
        if self.has_changed_settings(*_NOT_ABOUT_FILES):
            return []
        remaining = [
            (change, paths)
            for change, paths in ((change, self._paths_of(change)) for change in changes)
            if not (self._is_touched(change, paths) or self._has_changed_part(change, paths))
        ]
        built = self._built(remaining) if self._span.has_commits else frozenset()
        return [change for change, paths in remaining if built.isdisjoint(paths)]

    def _is_touched(self, change: FileChange, paths: frozenset[str]) -> bool:
        """Whether a commit touched a file, the link or submodule that it lies behind, or git's rules that decide it."""
        rules = ((Reason.IGNORED, ".gitignore"), (Reason.CONTENT_CHANGED, ".gitattributes"))
        names = [name for reason, name in rules if reason in change.reasons]
        return any(
            not self._span.touched.isdisjoint(folders_of(path, itself=True))
            or any(
                f"{folder}/{name}".lstrip("/") in self._span.touched
                for name in names
                for folder in (*folders_of(path), "")
            )
            for path in paths
        )

    def _has_changed_part(self, change: FileChange, paths: frozenset[str]) -> bool:
        return any(
            before.part_of(self._name_in(before, path) or change.key, change.key)
            != after.part_of(self._name_in(after, path) or change.key, change.key)
            for before, after in self._differing_entries
            for path in paths or ("",)
        )

    @cached_property
    def _differing_entries(self) -> list[tuple[_View, _View]]:
        both = ((before, after) for before, after in self._sides if before and after)
        return [(before, after) for before, after in both if before.tree != after.tree]

    def _name_in(self, view: _View, path: str) -> str | None:
        return self._manifests.path_in_root(view.manifest, path)

    def _paths_of(self, change: FileChange) -> frozenset[str]:
        """The paths in the work tree that a change may be about; none for a File that the manifest declares by id."""
        keys, paths = {change.was, "" if change.desired else change.key} - {""}, set[str]()
        if change.desired and change.desired.path:
            paths.add(self._manifests.path_in_tree(self._span.tip, change.desired.path))
        for key in keys:
            if self._keys_are_paths and len(key) < MAX_VALUE_LENGTH:
                paths.update(self._manifests.path_in_tree(view.manifest, key) for view in self._views)
            else:
                paths |= self._paths_by_key.get(key, set())
        return frozenset(paths)

    @cached_property
    def _paths_by_key(self) -> dict[str, set[str]]:
        """The paths that git knows of, by the keys, as live files carry them, that any of the manifests gave them."""
        paths: dict[str, set[str]] = {}
        for path in self._manifests.git.tracked | self._span.touched:
            for view in self._views:
                name = self._name_in(view, path)
                for entry in view.spec.entries if name else ():
                    with suppress(MissingFolder):
                        if name and entry.matches(name):
                            paths.setdefault(key_attribute(key_of(entry, name)), set()).add(path)
        return paths

    def _built(self, changes: Sequence[tuple[FileChange, frozenset[str]]]) -> frozenset[str]:
        """The paths of files that a build made: git does not track them, and ignores those that are not there now."""
        is_tracked = self._manifests.git.is_tracked
        present = {path for change, paths in changes if change.desired for path in paths if not is_tracked(path)}
        gone = {path for change, paths in changes if not change.desired for path in paths if not is_tracked(path)}
        return self._manifests.git.ignored(gone) | present
