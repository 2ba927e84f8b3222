"""What `vssync diff` shows: two environments of one manifest side by side (not desired against live)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any

from vssync.model.digests import normalise_attributes, values_equal
from vssync.model.plan import FieldChange
from vssync.model.state import Desired, DesiredFile, DesiredStore, Scalar
from vssync.planner.classify import digest_files
from vssync.planner.content_digest import content_digest

Fields = tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class StoreDiff:
    """One store in both environments. If one lacks it, that side is None and nothing is compared."""

    key: str
    left: DesiredStore | None
    right: DesiredStore | None
    settings: Fields = ()
    only_left: tuple[str, ...] = ()  # keys of files
    only_right: tuple[str, ...] = ()
    changed: tuple[tuple[str, Fields], ...] = ()  # keys of files on both sides, and what differs
    digests: tuple[str, str] = ("", "")  # of the content on the left and on the right

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
    """Everything that differs between two environments; `left` and `right` are their names."""

    left: str
    right: str
    service: Fields
    stores: tuple[StoreDiff, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs but the environments' names."""
        return not self.service and all(store.same for store in self.stores)


def compare_environments(left: Desired, right: Desired, names: tuple[str, str]) -> EnvironmentDiff:
    """The differences between two desired states whose files were read; `names` are the names of their environments."""
    left_stores, right_stores = ({store.key: store for store in side.stores} for side in (left, right))
    keys = sorted({*left_stores, *right_stores})
    stores = tuple(_compare_stores(key, left_stores.get(key), right_stores.get(key)) for key in keys)
    return EnvironmentDiff(*names, _compare_values(asdict(left.service), asdict(right.service)), stores)


def _compare_stores(key: str, left: DesiredStore | None, right: DesiredStore | None) -> StoreDiff:
    if left is None or right is None:
        return StoreDiff(key, left, right)
    left_files, right_files = ({file.key: file for file in side.files} for side in (left, right))
    shared_keys = [key for key in left_files if key in right_files]
    differences = ((key, _compare_files(left_files[key], right_files[key])) for key in shared_keys)
    return StoreDiff(
        key,
        left,
        right,
        settings=_compare_values(_setting_values(left), _setting_values(right)),
        only_left=tuple(key for key in left_files if key not in right_files),
        only_right=tuple(key for key in right_files if key not in left_files),
        changed=tuple((key, fields) for key, fields in differences if fields),
        digests=(content_digest(digest_files(left)), content_digest(digest_files(right))),
    )


def _setting_values(store: DesiredStore) -> dict[str, Any]:
    """A store's settings by name, without its key; the limits of its guards as a manifest writes them."""
    settings = asdict(store.settings)
    guards = (("max_delete", store.guards.max_delete), ("max_replace", store.guards.max_replace))
    limits = {name: str(limit) if limit.count is None else limit.count for name, limit in guards}
    return {name: value for name, value in settings.items() if name != "key"} | {"guards": limits}


def _compare_values(left: Mapping[str, Any], right: Mapping[str, Any]) -> Fields:
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
    """A leaf as it is; a whole mapping or list as JSON, and None for what one side lacks."""
    if isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value) if isinstance(value, dict | list | tuple) and value else None


def _compare_files(left: DesiredFile, right: DesiredFile) -> Fields:
    left_attributes, right_attributes = normalise_attributes(left.attributes), normalise_attributes(right.attributes)
    names = sorted({*left_attributes, *right_attributes})
    pairs: dict[str, tuple[Scalar | None, Scalar | None]] = {
        "content": (left.file_id or left.sha256, right.file_id or right.sha256),
        "chunking": (str(left.chunking), str(right.chunking)),
        "filename": (left.filename, right.filename),
        **{f"attributes.{name}": (left_attributes.get(name), right_attributes.get(name)) for name in names},
    }
    return tuple(FieldChange(name, *pair) for name, pair in pairs.items() if not values_equal(*pair))
