"""What `vssync diff` shows: two environments of one manifest side by side, as they are live or as they are declared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import Any

from vssync.model.digests import chunking_digest, normalise_attributes, values_equal
from vssync.model.marks import DECLARED, NONE, StoreMark, key_digest
from vssync.model.plan import FieldChange, Options, Reason
from vssync.model.service import Capabilities
from vssync.model.state import (
    AUTO,
    Contents,
    Desired,
    DesiredFile,
    DesiredStore,
    FileStatus,
    LiveStore,
    Scalar,
    Snapshot,
    Verdict,
)
from vssync.planner.classify import ClassifiedFiles, OwnedCopy, classify_files, digest_files
from vssync.planner.content_digest import UNKNOWN, content_digest, effective_attributes, live_content_digest
from vssync.planner.context import PlanContext, Scope
from vssync.planner.decide_store import PlannedFiles, StoreDecision, decide_store
from vssync.planner.find_stores import match_stores

Fields = tuple[FieldChange, ...]
Values = Mapping[str, Scalar | None]


@dataclass(frozen=True, slots=True)
class StoreSide:
    """A store in one environment: settings, files by key, content digest; or `problem`, why these are not known.

    The settings of a live store include how many files are unmanaged: without keys, only their number can be compared.
    `note` is set if the service counts more files than it has.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Values] = field(default_factory=dict)
    digest: str = UNKNOWN
    problem: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """One side of a comparison: its stores by key (None for one that is not live), and its service if that is compared.

    Marks have digests of upload names and chunkings; `plain_values` has the names and chunkings themselves, by digest,
    as far as they are known.
    """

    name: str
    stores: Mapping[str, StoreSide | None]
    service: Mapping[str, Any] = field(default_factory=dict)
    plain_values: Mapping[str, str] = field(default_factory=dict)
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class StoreDiff:
    """One store on both sides; a side that lacks it is None, and then nothing is compared."""

    key: str
    left: StoreSide | None
    right: StoreSide | None
    settings: Fields = ()
    only_left: tuple[str, ...] = ()  # keys of files
    only_right: tuple[str, ...] = ()
    changed: tuple[tuple[str, Fields], ...] = ()  # keys of files on both sides, and what differs

    @property
    def problems(self) -> tuple[str, str]:
        """Why the left and the right side cannot be compared; empty where they can."""
        return self._of_both(lambda side: side.problem)

    @property
    def notes(self) -> tuple[str, str]:
        """Whether the service counts more files than it has, on the left and on the right; mostly empty."""
        return self._of_both(lambda side: side.note)

    @property
    def digests(self) -> tuple[str, str]:
        """The content digests of the left and the right side; empty where the store is absent."""
        return self._of_both(lambda side: side.digest)

    def _of_both(self, text_of: Callable[[StoreSide], str]) -> tuple[str, str]:
        return text_of(self.left) if self.left else "", text_of(self.right) if self.right else ""

    @property
    def same_content(self) -> bool:
        """Whether both sides hold the same files, as the content digest sees them: without upload names."""
        left, right = self.digests
        return left == right and left not in ("", UNKNOWN)

    @property
    def same(self) -> bool:
        """Whether both sides have the store, and neither settings nor files differ.

        A file whose key was changed outside has the same content, and counts as another file.
        """
        return self.same_content and not (self.settings or self.only_left or self.only_right or self.changed)


@dataclass(frozen=True, slots=True)
class EnvironmentDiff:
    """Everything that differs between two sides; `left` and `right` are named after their environments."""

    left: str
    right: str
    service: Fields
    stores: tuple[StoreDiff, ...]
    is_live: bool = False

    @property
    def same(self) -> bool:
        """Whether both sides have every store, and nothing differs but the environments' names."""
        return not self.service and all(store.same for store in self.stores)


def declared_environment(name: str, desired: Desired) -> EnvironmentState:
    """An environment as the manifest declares it; its files were read."""
    stores = {
        store.key: StoreSide(declared_settings(store), _declared_files(store), content_digest(digest_files(store)))
        for store in desired.stores
    }
    return EnvironmentState(name, stores, asdict(desired.service))


def declared_settings(store: DesiredStore) -> dict[str, object]:
    """A store's settings by name, without its key; the limits of its guards as in a manifest."""
    guards = (("max_delete", store.guards.max_delete), ("max_replace", store.guards.max_replace))
    limits = {name: str(limit) if limit.count is None else limit.count for name, limit in guards}
    settings = asdict(store.settings) | {"guards": limits}
    del settings["key"]
    return settings


def _declared_files(store: DesiredStore) -> dict[str, Values]:
    return {
        file.key: {
            "content": file.file_id or file.sha256,
            "chunking": str(file.chunking),
            "filename": file.filename,
            **_attribute_values(file.attributes),
        }
        for file in store.files
    }


def _attribute_values(attributes: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {f"attributes.{name}": value for name, value in normalise_attributes(attributes).items()}


def live_environment(name: str, desired: Desired, snapshot: Snapshot, capabilities: Capabilities) -> EnvironmentState:
    """An environment as its service holds it, by the marks of its files.

    The service, and the names, ids and protection of stores, are left out, since every environment has its own. Raises
    Refused for a store of another owner, and where it is not clear which of two live stores is meant.
    """
    matches = match_stores(desired, snapshot.stores, Options(), snapshot.created_here)
    context = PlanContext(desired.owner, Options(), capabilities, Scope.of(Options()), snapshot)
    stores: dict[str, StoreSide | None] = {}
    for store in desired.stores:
        decision = decide_store(store, matches.by_key[store.key], context)
        live, problem = decision.live, _problem_of(decision, snapshot)
        side = _live_side(desired.owner, live, snapshot, store) if live and not problem else None
        stores[store.key] = StoreSide(problem=problem) if problem else side
    for key, live in matches.undeclared:
        unique_key = f"{key}@{live.id}" if key in stores else key
        contents = snapshot.contents.get(live.id, Contents(problem=f"{live.id} is expired"))
        problem = contents.shortfall
        stores[unique_key] = StoreSide(problem=problem) if problem else _live_side(desired.owner, live, snapshot)
    return EnvironmentState(name, stores, plain_values=_plain_values_by_digest(desired, snapshot), is_live=True)


def _plain_values_by_digest(desired: Desired, snapshot: Snapshot) -> dict[str, str]:
    """Maps digests to the manifest's upload names, and to the chunkings that it has or the service reports."""
    files = [file for store in desired.stores for file in store.files]
    reported = (file.chunking for contents in snapshot.contents.values() for file in contents.files if file.chunking)
    chunkings = {AUTO, *reported, *(file.chunking for file in files)}
    names = {file.name_digest: file.filename for file in files}
    return names | {chunking_digest(chunking): str(chunking) for chunking in chunkings}


def _problem_of(decision: StoreDecision, snapshot: Snapshot) -> str:
    """Why it is not known what a store holds; empty where it is known, and where there is no store."""
    live, change = decision.live, decision.change
    contents = snapshot.contents.get(live.id, Contents()) if live else Contents()
    if contents.shortfall:
        return contents.shortfall
    if change is None or decision.planned_files is not PlannedFiles.NONE:
        return ""
    return "" if live is None and Reason.MISSING in change.reasons else change.detail


def _live_side(owner: str, live: LiveStore, snapshot: Snapshot, store: DesiredStore | None = None) -> StoreSide:
    """A store of ours as its service lists it; without `store`, one that left the manifest."""
    files = {key_digest(file.key): file for file in store.files} if store else {}
    ignored_names = store.ignore_attributes if store else ()
    contents = snapshot.contents[live.id]
    classified = classify_files(contents.files, (owner,))
    values = {
        key: _live_values(copy, files.get(copy.mark.key_digest), ignored_names)
        for key, copy in _labelled_copies(classified)
    }
    mark = live.mark if isinstance(live.mark, StoreMark) else None
    settings = {
        "description": live.description,
        "expires_after_days": live.expires_after_days,
        "metadata": {name: value for name, value in live.metadata.items() if mark and mark.set_by_us(name)},
        "unmanaged": len(classified.others),
    }
    note = contents.mismatch if contents.verdict is Verdict.GHOSTS else ""
    return StoreSide(settings, values, live_content_digest(classified, files, ignored_names), note=note)


def _labelled_copies(classified: ClassifiedFiles) -> Iterator[tuple[str, OwnedCopy]]:
    """Our copies with the keys they are shown under: the newest that search finds, then `key (copy 2)` and so on."""
    for copies in (*classified.ours.values(), classified.provisional):
        by_use = [*reversed(copies)]
        by_use.sort(key=lambda copy: copy.file.status is not FileStatus.COMPLETED)
        for number, copy in enumerate(by_use, 1):
            yield copy.key if number == 1 else f"{copy.key} (copy {number})", copy


def _live_values(copy: OwnedCopy, file: DesiredFile | None, ignored_names: Sequence[str]) -> Values:
    mark = copy.mark
    return {
        "status": copy.file.status,
        "content": UNKNOWN if mark.is_uncompared else copy.id if mark.content == DECLARED else mark.content,
        "chunking": mark.chunking_digest,
        "filename": None if copy.upload_name_digest == NONE else copy.upload_name_digest,
        **_attribute_values(effective_attributes(copy, file, ignored_names)),
    }


def compare_environments(left: EnvironmentState, right: EnvironmentState) -> EnvironmentDiff:
    """The differences between two sides, both live or both declared."""
    keys = sorted({*left.stores, *right.stores})
    plain_values = {**left.plain_values, **right.plain_values}
    stores = tuple(_compare_stores(key, left.stores.get(key), right.stores.get(key), plain_values) for key in keys)
    return EnvironmentDiff(left.name, right.name, compare_values(left.service, right.service), stores, left.is_live)


def _compare_stores(
    store_key: str, left: StoreSide | None, right: StoreSide | None, plain_values: Mapping[str, str]
) -> StoreDiff:
    if left is None or right is None or left.problem or right.problem:
        return StoreDiff(store_key, left, right)
    shared_keys = [key for key in left.files if key in right.files]
    differences = ((key, _compare_files(left.files[key], right.files[key], plain_values)) for key in shared_keys)
    return StoreDiff(
        store_key,
        left,
        right,
        settings=compare_values(left.settings, right.settings),
        only_left=tuple(key for key in left.files if key not in right.files),
        only_right=tuple(key for key in right.files if key not in left.files),
        changed=tuple((key, fields) for key, fields in differences if fields),
    )


def _compare_files(left: Values, right: Values, plain_values: Mapping[str, str]) -> Fields:
    def shown(name: str, values: Values) -> Scalar | None:
        value = values.get(name)
        return plain_values.get(str(value), value) if name in ("chunking", "filename") else value

    names = [name for name in dict.fromkeys((*left, *right)) if _differs(name, left.get(name), right.get(name))]
    return tuple(FieldChange(name, shown(name, left), shown(name, right)) for name in names)


def _differs(name: str, left: Scalar | None, right: Scalar | None) -> bool:
    """Whether two values of a file differ, or cannot be shown to agree."""
    match name:
        case "status":
            return (left, right) != (FileStatus.COMPLETED, FileStatus.COMPLETED)
        case "content":
            return left != right or left == UNKNOWN
        case "filename":  # a File that was taken over keeps the name it has
            return None not in (left, right) and left != right
        case _:
            return not values_equal(left, right)


def compare_values(left: Mapping[str, object], right: Mapping[str, object]) -> Fields:
    """The places where two nested values differ, by their dotted names."""
    rows = find_differences(left, right) if left != right else []
    return tuple(FieldChange(name, _as_scalar(before), _as_scalar(after)) for name, before, after in rows)


def find_differences(left: object, right: object) -> list[tuple[str, object, object]]:
    """The places where two nested values differ: (dotted name, left value, right value), sorted by name."""
    from deepdiff import DeepDiff  # takes longer to import than most manifests to compare

    tree = DeepDiff(left, right, view="tree")
    levels = [level for kind in tree.values() for level in kind]
    rows = [(".".join(map(str, level.path(output_format="list"))), level.t1, level.t2) for level in levels]
    return sorted(rows, key=itemgetter(0))


def _as_scalar(value: object) -> Scalar | None:
    """A leaf as it is; a mapping or list as JSON; None for an empty or missing value."""
    if isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value) if isinstance(value, dict | list | tuple) and value else None
