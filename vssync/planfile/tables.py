"""The compact form of a saved plan: what many changes share is written once and named by its number.

Folders, attribute maps and field changes go into tables. A desired file says only what its change does not say
already. Nothing is lost: what a packer leaves out, the unpacker beside it puts back.
"""

from __future__ import annotations

import json
from typing import Any

from vssync.model.plan import BatchChange, Copy, FileChange, Note, StorePlan
from vssync.model.state import FileStatus
from vssync.planfile.codec import Object, Repack, Wrong

_COMPLETED = ("status", FileStatus.COMPLETED.value)  # what nearly every copy is


class Table:
    """Values in order of first use, each once."""

    def __init__(self, rows: list[Any] | None = None) -> None:
        self.rows = rows if rows is not None else []
        self._known: dict[str, int] = {}

    def number(self, row: Any) -> int:
        """The number of a value, which is added when it is new; 1, 1.0 and true are different values."""
        text = row if isinstance(row, str) else json.dumps(row, sort_keys=True)
        if text not in self._known:
            self._known[text] = len(self.rows)
            self.rows.append(row)
        return self._known[text]

    def row(self, number: Any) -> Any:
        """The value of a number.

        Raises Wrong when there is none.
        """
        if type(number) is not int or not 0 <= number < len(self.rows):
            raise Wrong(f"{number!r} is no row of its table")
        return self.rows[number]


class Tables:
    """What changes share, and how an object of each class is packed and unpacked."""

    NAMES = ("folders", "attributes", "fields")

    def __init__(self, found: Object | None = None) -> None:
        found = found or {}
        self.folders, self.attributes, self.fields = (Table(_rows(found, name)) for name in self.NAMES)

    def written(self) -> Object:
        """The tables as JSON."""
        return {name: getattr(self, name).rows for name in self.NAMES}

    @property
    def packers(self) -> dict[type, Repack]:
        return {
            StorePlan: _pack_store,
            FileChange: self._pack_change,
            Copy: _pack_copy,
            Note: self._pack_key,
            BatchChange: self._pack_batch,
        }

    @property
    def unpackers(self) -> dict[type, Repack]:
        return {
            StorePlan: _unpack_store,
            FileChange: self._unpack_change,
            Copy: _unpack_copy,
            Note: self._unpack_key,
            BatchChange: self._unpack_batch,
        }

    def _pack_change(self, change: Object) -> Object:
        sha256 = change.get("desired", {}).get("sha256", "")
        if "desired" in change:
            change["desired"] = self._pack_desired(change["desired"], change["key"])
        for name, table in (("fields", self.fields), ("preserve", self.attributes)):
            if name in change:
                change[name] = table.number(change[name])
        if "drop" in change:
            change["drop"] = ["keep" if copy == change.get("keep") else copy for copy in change["drop"]]
        return self._pack_key(_each_copy(change, lambda copy: _pack_mark(copy, sha256)))

    def _unpack_change(self, change: Object) -> Object:
        change = self._unpack_key(change)
        if isinstance(change.get("desired"), dict):
            change["desired"] = self._unpack_desired(change["desired"], change.get("key"))
        for name, table in (("fields", self.fields), ("preserve", self.attributes)):
            if name in change:
                change[name] = table.row(change[name])
        if isinstance(change.get("drop"), list):
            change["drop"] = [change.get("keep") if copy == "keep" else copy for copy in change["drop"]]
        desired = change.get("desired")
        sha256 = desired.get("sha256", "") if isinstance(desired, dict) else ""
        return _each_copy(change, lambda copy: _unpack_mark(copy, sha256))

    def _pack_desired(self, desired: Object, key: str) -> Object:
        usual = _usual(key, "file_id" in desired)
        packed = {name: value for name, value in desired.items() if usual.get(name) != value}
        # A default is left out already, so a usual value that is not the default must be denied openly.
        packed |= {name: "" for name, value in usual.items() if value and name not in desired}
        return packed | {"attributes": self.attributes.number(desired["attributes"])}

    def _unpack_desired(self, desired: Object, key: object) -> Object:
        usual = _usual(key, "file_id" in desired) if isinstance(key, str) else {}
        found = {**usual, **desired}
        return found | ({"attributes": self.attributes.row(found["attributes"])} if "attributes" in found else {})

    def _pack_batch(self, batch: Object) -> Object:
        return batch | ({"unwanted": [self._split(key) for key in batch["unwanted"]]} if "unwanted" in batch else {})

    def _unpack_batch(self, batch: Object) -> Object:
        keys = batch.get("unwanted")
        return batch | ({"unwanted": [self._join(key) for key in keys]} if isinstance(keys, list) else {})

    def _pack_key(self, found: Object) -> Object:
        return found | ({"key": self._split(found["key"])} if "key" in found else {})

    def _unpack_key(self, found: Object) -> Object:
        return found | ({"key": self._join(found["key"])} if "key" in found else {})

    def _split(self, key: str) -> list[Any]:
        cut = key.rfind("/") + 1
        return [self.folders.number(key[:cut]), key[cut:]]

    def _join(self, key: Any) -> str:
        if not isinstance(key, list) or len(key) != 2 or not isinstance(key[1], str):
            raise Wrong("a key is a folder's number and a name")
        return f"{self.folders.row(key[0])}{key[1]}"


def _pack_store(store: Object) -> Object:
    """Each change names its store, which it stands in."""
    for change in store.get("files", ()):
        if change["store"] == store["key"]:
            del change["store"]
    return store


def _unpack_store(store: Object) -> Object:
    if not isinstance(store.get("files"), list) or "key" not in store:
        return store
    files = [{"store": store["key"], **each} if isinstance(each, dict) else each for each in store["files"]]
    return store | {"files": files}


def _pack_copy(copy: Object) -> Object:
    return {name: value for name, value in copy.items() if (name, value) != _COMPLETED}


def _unpack_copy(copy: Object) -> Object:
    return dict([_COMPLETED]) | copy


def _each_copy(change: Object, repack: Repack) -> Object:
    """The change with its copies repacked."""
    if isinstance(change.get("keep"), dict):
        change["keep"] = repack(change["keep"])
    if isinstance(change.get("drop"), list):
        change["drop"] = [repack(copy) if isinstance(copy, dict) else copy for copy in change["drop"]]
    return change


def _pack_mark(copy: Object, sha256: str) -> Object:
    """The content in a mark is mostly the one to send, which the change says already: the mark is cut around it."""
    parts = copy.get("mark", "").split(sha256) if sha256 else []
    return copy | {"mark": parts} if len(parts) == 2 else copy


def _unpack_mark(copy: Object, sha256: object) -> Object:
    parts = copy.get("mark")
    if not isinstance(parts, list):
        return copy
    if not isinstance(sha256, str) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise Wrong("a mark is a text, or what stands before and after the content")
    return copy | {"mark": sha256.join(parts)}


def _usual(key: str, declared: bool) -> dict[str, str]:
    """What a desired file nearly always is, given its key."""
    return {"key": key, "filename": key.replace("/", "__"), "path": "" if declared else key}


def _rows(found: Object, name: str) -> list[Any]:
    rows = found.get(name, [])
    if not isinstance(rows, list):
        raise Wrong("a list belongs here").within(f".{name}")
    return rows
