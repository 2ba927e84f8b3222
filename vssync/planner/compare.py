"""Two environments of one manifest side by side: which stores, settings and files differ, and which hold the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any

from vssync.model.digests import normalise_attributes, values_equal
from vssync.model.plan import FieldChange
from vssync.model.state import Desired, DesiredFile, DesiredStore, Scalar
from vssync.planner.classify import store_content_digest

Fields = tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class StoreDiff:
    """One store on both sides; a side that lacks it is None. `changed` are files of both sides that differ."""

    key: str
    left: DesiredStore | None
    right: DesiredStore | None
    settings: Fields = ()
    only_left: tuple[str, ...] = ()
    only_right: tuple[str, ...] = ()
    changed: tuple[tuple[str, Fields], ...] = ()
    digests: tuple[str, str] = ("", "")

    @property
    def same_content(self) -> bool:
        """Whether both sides hold the same files, as the content digest sees them: without upload names."""
        return bool(self.left and self.right) and self.digests[0] == self.digests[1]

    @property
    def same(self) -> bool:
        """Whether nothing differs, neither settings nor files."""
        return self.same_content and not (self.settings or self.changed)


@dataclass(frozen=True, slots=True)
class EnvironmentDiff:
    """Everything that differs between two sides, which are called by their environments."""

    left: str
    right: str
    service: Fields
    stores: tuple[StoreDiff, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs but the environments' names."""
        return not self.service and all(pair.same for pair in self.stores)


def compare_environments(left: Desired, right: Desired, names: tuple[str, str]) -> EnvironmentDiff:
    """The differences between two desired states whose files were read."""
    lefts, rights = ({store.key: store for store in side.stores} for side in (left, right))
    pairs = tuple(_compare_stores(key, lefts.get(key), rights.get(key)) for key in sorted({*lefts, *rights}))
    return EnvironmentDiff(*names, _compare_values(asdict(left.service), asdict(right.service)), pairs)


def _compare_stores(key: str, left: DesiredStore | None, right: DesiredStore | None) -> StoreDiff:
    if left is None or right is None:
        return StoreDiff(key, left, right)
    lefts, rights = ({file.key: file for file in side.files} for side in (left, right))
    both = [(name, _compare_files(lefts[name], rights[name])) for name in lefts if name in rights]
    return StoreDiff(
        key,
        left,
        right,
        settings=_compare_values(_setting_values(left), _setting_values(right)),
        only_left=tuple(name for name in lefts if name not in rights),
        only_right=tuple(name for name in rights if name not in lefts),
        changed=tuple((name, fields) for name, fields in both if fields),
        digests=(store_content_digest(left), store_content_digest(right)),
    )


def _setting_values(store: DesiredStore) -> dict[str, Any]:
    settings = asdict(store.settings)
    guards = (("max_delete", store.guards.max_delete), ("max_replace", store.guards.max_replace))
    limits = {name: str(limit) if limit.count is None else limit.count for name, limit in guards}
    return {name: value for name, value in settings.items() if name != "key"} | {"guards": limits}


def _compare_values(left: Mapping[str, Any], right: Mapping[str, Any]) -> Fields:
    rows = find_differences(left, right) if left != right else []
    return tuple(FieldChange(name, _as_scalar(before), _as_scalar(after)) for name, before, after in rows)


def find_differences(left: object, right: object) -> list[tuple[str, object, object]]:
    """The places where two nested values differ, by dotted name, and what each holds there."""
    from deepdiff import DeepDiff  # takes longer to import than most manifests to compare

    tree = DeepDiff(left, right, view="tree")
    levels = [level for kind in tree.values() for level in kind]
    rows = [(".".join(map(str, level.path(output_format="list"))), level.t1, level.t2) for level in levels]
    return sorted(rows, key=itemgetter(0))


def _as_scalar(value: object) -> Scalar | None:
    """A leaf as it is; a whole mapping or list as JSON, and None for what one side lacks."""
    if isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value) if isinstance(value, dict | list | tuple) and value else None


def _compare_files(left: DesiredFile, right: DesiredFile) -> Fields:
    before, after = normalise_attributes(left.attributes), normalise_attributes(right.attributes)
    pairs: dict[str, tuple[Scalar | None, Scalar | None]] = {
        "content": (left.file_id or left.sha256, right.file_id or right.sha256),
        "chunking": (str(left.chunking), str(right.chunking)),
        "filename": (left.filename, right.filename),
        **{f"attributes.{name}": (before.get(name), after.get(name)) for name in sorted({*before, *after})},
    }
    return tuple(FieldChange(name, *pair) for name, pair in pairs.items() if not values_equal(*pair))
