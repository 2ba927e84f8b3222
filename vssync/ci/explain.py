"""Whether git explains what a plan takes away: what an apply after a merge may do without asking anybody.

Each store has a base, a commit that it agreed with. A change is explained if a commit since then touches its file, or
the part of the manifest that it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
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
# What another version of vssync makes of the same document; the commit that brought the version may be any.
_BY_VERSION = frozenset((Reason.CONVERTER_CHANGED,))
# Fields of a store that decide nothing about its files, and fields that choose files: what they chose is compared.
_NOT_ABOUT_FILES = ("description", "metadata", "expires_after", "guards", "protect", "name", "was")
_SELECTORS = frozenset(("path", "exclude", "optional", "only", "match"))
_Sides = tuple[Manifest | None, Manifest | None]  # before and after


@dataclass(frozen=True, slots=True)
class Base:
    """The commit that a store agreed with, and what was committed since."""

    range: CommitRange
    origin: str  # how that is known

    def __str__(self) -> str:
        return f"{self.range.base[:7]}, the commit {self.origin}"


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A change that git does not explain; `key` is empty for that of a store itself."""

    store: str
    key: str
    action: Action
    reason: str

    @property
    def address(self) -> str:
        return escape_control("/".join(filter(None, (self.store, self.key))))

    def __str__(self) -> str:
        return f"{self.address}: {self.action}: {escape_control(self.reason)}"


def find_bases(plan: Plan, git: GitHistory, tip: str, deployed: str = "", before: str = "") -> dict[str, Base | None]:
    """The base of each store: the first of these commits that is an ancestor of the tip, or the tip itself.

    That of its stamp, unless the work tree had other changes; that of the last successful deployment of this
    environment; that before this push. A commit that is empty or not here is none.
    """
    range_of = cache(lambda commit: git.range_between(commit, tip))
    bases: dict[str, Base | None] = {}
    for store in plan.stores:
        stamp = parse_stamp(store.applied)
        applied = (stamp.commit if stamp else "", "of its last apply")
        candidates = (applied, (deployed, "of the last deployment"), (before, "before this push"))
        found = (Base(commits, origin) for commit, origin in candidates if (commits := range_of(commit)))
        bases[store.key] = next(found, None)
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
            if base.range.base not in spans:
                spans[base.range.base] = _read_span(base.range, manifests, tip)
            history = _StoreHistory(store, spans[base.range.base], manifests)
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

    commits: CommitRange
    tip: Manifest
    touched: frozenset[str]
    sides: list[_Sides]  # of the manifest: from the base to the tip, and of each step that touched it


def _read_span(commits: CommitRange, manifests: ManifestHistory, tip: str) -> _Span:
    current = manifests.at(tip)
    if current is None:
        problem = "is not committed, so git cannot explain what comes from it; commit it"
        raise VssyncError(f"{manifests.names[0]}: {problem}")
    sides, touched = list(_both_sides(manifests, tip, commits.base)), set[str]()
    for paths, step in zip(manifests.git.paths_by_step(commits.steps), commits.steps, strict=True):
        touched |= paths
        if any(map(manifests.is_document, paths)):
            sides += _both_sides(manifests, *step)
    return _Span(commits, current, frozenset(touched), sides)


def _both_sides(manifests: ManifestHistory, commit: str, parent: str) -> Iterator[_Sides]:
    """The manifest before and after a step, if it differs, and was valid: nothing was applied from an invalid one."""
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
        """What it says of the store without these fields, and where the store and its files are.

        An external store is known by its name, so another name is another store.
        """
        kept = {"name"} if self.tree.get("external") else set()
        fields = {name: value for name, value in self.tree.items() if name in kept or name not in left_out}
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
        self._keys = (store.store_key, *(store.desired.was if store.desired else ()))
        sides = ((self._view(before), self._view(after)) for before, after in span.sides)
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
            if not (self._is_touched(paths) or self._has_changed_part(change.key, paths))
        ]
        if not self._span.commits.commits:
            return [change for change, _ in remaining]
        built = self._built(remaining)
        return [
            change
            for change, paths in remaining
            if built.isdisjoint(paths) and not _BY_VERSION.issuperset(change.reasons)
        ]

    def _is_touched(self, paths: frozenset[str]) -> bool:
        """Whether a commit touched one of these paths, or the link or submodule that it lies behind."""
        return any(not self._span.touched.isdisjoint(folders_of(path, itself=True)) for path in paths)

    def _has_changed_part(self, key: str, paths: frozenset[str]) -> bool:
        def part(view: _View, path: str) -> list[object]:
            return view.part_of(self._manifests.path_in_root(view.manifest, path) or key, key)

        return any(
            part(before, path) != part(after, path) for before, after in self._differing for path in paths or ("",)
        )

    @cached_property
    def _differing(self) -> list[tuple[_View, _View]]:
        both = ((before, after) for before, after in self._sides if before and after)
        return [(before, after) for before, after in both if before.tree != after.tree]

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
                name = self._manifests.path_in_root(view.manifest, path) or ""
                for entry in (entry for entry in view.spec.entries if entry.matches(name)):
                    with suppress(MissingFolder):
                        paths.setdefault(key_attribute(key_of(entry, name)), set()).add(path)
        return paths

    def _built(self, changes: Sequence[tuple[FileChange, frozenset[str]]]) -> frozenset[str]:
        """The paths of files that a build made: git does not track them, and ignores those that are not there now."""
        present, gone = set[str](), set[str]()
        for change, paths in changes:
            untracked = (path for path in paths if not self._manifests.git.is_tracked(path))
            (present if change.desired else gone).update(untracked)
        return self._manifests.git.ignored(gone) | present
