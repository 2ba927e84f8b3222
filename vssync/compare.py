"""Two environments of one manifest side by side: which stores, settings and files differ, and which hold the same.

Both sides are desired states: no service is asked. Values in, values and strings out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from vssync.model import Desired, DesiredFile, DesiredStore, Limit, Scalar
from vssync.ownership import normalise, same
from vssync.plan import FieldChange
from vssync.planner import digest_of
from vssync.render import View, words
from vssync.render.layout import BELOW, field_lines, sentences

_SHOWN = 5  # files of one kind, unless everything is asked for
Fields = tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class StorePair:
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
        """Whether both sides hold the same knowledge."""
        return bool(self.left and self.right) and self.digests[0] == self.digests[1]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that differs between two sides, which are called by their environments."""

    left: str
    right: str
    service: Fields
    stores: tuple[StorePair, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs but the environments' names."""
        return not self.service and all(pair.same_content and not pair.settings for pair in self.stores)


def compare(left: Desired, right: Desired, names: tuple[str, str]) -> Comparison:
    """The differences between two desired states whose files were read."""
    lefts, rights = ({store.key: store for store in side.stores} for side in (left, right))
    pairs = tuple(_pair(key, lefts.get(key), rights.get(key)) for key in sorted({*lefts, *rights}))
    return Comparison(*names, _between(asdict(left.service), asdict(right.service)), pairs)


def _pair(key: str, left: DesiredStore | None, right: DesiredStore | None) -> StorePair:
    if left is None or right is None:
        return StorePair(key, left, right)
    lefts, rights = ({file.key: file for file in side.files} for side in (left, right))
    both = [(name, _file_fields(lefts[name], rights[name])) for name in lefts if name in rights]
    return StorePair(
        key,
        left,
        right,
        settings=_between(_settings(left), _settings(right)),
        only_left=tuple(name for name in lefts if name not in rights),
        only_right=tuple(name for name in rights if name not in lefts),
        changed=tuple((name, fields) for name, fields in both if fields),
        digests=(digest_of(left), digest_of(right)),
    )


def _settings(store: DesiredStore) -> dict[str, Any]:
    """What a store is beside its files."""
    told = asdict(replace(store, files=(), skipped={}))
    limits = {"max_delete": _limit(store.guards.max_delete), "max_replace": _limit(store.guards.max_replace)}
    return {name: value for name, value in told.items() if name not in ("key", "files", "skipped")} | {"guards": limits}


def _limit(limit: Limit) -> Scalar:
    return f"{limit.share * 100:g}%" if limit.count is None else limit.count


def _between(left: Mapping[str, Any], right: Mapping[str, Any]) -> Fields:
    """Where two nested values differ, by dotted name."""
    if left == right:
        return ()
    from deepdiff import DeepDiff  # takes longer to import than most manifests to compare

    tree = DeepDiff(left, right, view="tree")
    levels = [level for kind in tree.values() for level in kind]
    rows = [(".".join(map(str, level.path(output_format="list"))), level.t1, level.t2) for level in levels]
    return tuple(FieldChange(name, _scalar(before), _scalar(after)) for name, before, after in sorted(rows, key=_name))


def _name(row: tuple[str, Any, Any]) -> str:
    return row[0]


def _scalar(value: Any) -> Scalar | None:
    """A leaf as it is; a whole mapping or list as JSON, and None for what one side lacks."""
    if isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value) if isinstance(value, dict | list | tuple) and value else None


def _file_fields(left: DesiredFile, right: DesiredFile) -> Fields:
    before, after = normalise(left.attributes), normalise(right.attributes)
    pairs: dict[str, tuple[Scalar | None, Scalar | None]] = {
        "content": (left.file_id or left.sha256, right.file_id or right.sha256),
        "chunking": (_sizes(left), _sizes(right)),
        "filename": (left.filename, right.filename),
        **{f"attributes.{name}": (before.get(name), after.get(name)) for name in sorted({*before, *after})},
    }
    return tuple(FieldChange(name, *pair) for name, pair in pairs.items() if not same(*pair))


def _sizes(file: DesiredFile) -> str:
    return "auto" if file.chunking.auto else f"{file.chunking.size}/{file.chunking.overlap}"


def comparison_text(found: Comparison, view: View) -> str:
    """The differences for a terminal, in the order service, stores, and one line that sums up."""
    blocks = [
        [words.clean(f"{found.left} -> {found.right}")],
        *([["service", *_indented(found.service, view)]] if found.service else []),
        *([*_store(pair, found, view)] for pair in found.stores),
        [_total(found)],
    ]
    return words.tame("\n\n".join("\n".join(block) for block in blocks))


def _store(pair: StorePair, found: Comparison, view: View) -> Iterator[str]:
    key = words.clean(pair.key)
    side = pair.left or pair.right
    if not (pair.left and pair.right):
        assert side is not None
        name = found.left if pair.left else found.right
        yield f"{key}  only in {words.clean(name)}, {words.number(len(side.files), 'file')}"
        return
    same_files = f"the same {words.number(len(pair.left.files), 'file')}, digest {pair.digests[0][:16]}"
    yield f"{key}  {same_files if pair.same_content else 'other content'}"
    yield from _indented(pair.settings, view)
    yield from _only(pair.only_left, "-", found.left, view)
    yield from _only(pair.only_right, "+", found.right, view)
    by_fields = sorted(pair.changed, key=lambda row: repr(row[1]))
    for fields, rows in groupby(by_fields, key=lambda row: row[1]):
        keys = tuple(key for key, _ in rows)
        yield from _listed("~", words.number(len(keys), "file"), keys, view)
        yield from (f"    {line}" for line in _indented(fields, view))


def _only(keys: tuple[str, ...], sign: str, side: str, view: View) -> Iterator[str]:
    if keys:
        yield from _listed(sign, f"{words.number(len(keys), 'file')} only in {words.clean(side)}", keys, view)


def _listed(sign: str, what: str, keys: tuple[str, ...], view: View) -> Iterator[str]:
    first, *more = sentences(f"{what}: {', '.join(_some(keys, view))}", BELOW, view)
    yield f"  {sign}   {first}"
    yield from (f"{' ' * BELOW}{line}" for line in more)


def _some(keys: tuple[str, ...], view: View) -> list[str]:
    shown = [words.clean(key) for key in (keys if view.full else keys[:_SHOWN])]
    more = len(keys) - len(shown)
    return [*shown, *([f"and {more:,} more"] if more else [])]


def _indented(fields: Fields, view: View) -> list[str]:
    return [f"    {line}" for line in field_lines(fields, view)]


def _total(found: Comparison) -> str:
    equal = sum(pair.same_content for pair in found.stores)
    stores = words.number(len(found.stores), "store")
    if found.same:
        return f"No differences in {stores}."
    return f"Same content: {equal:,} of {stores}."


def comparison_json(found: Comparison) -> str:
    """The same for a program."""
    told = {
        "left": found.left,
        "right": found.right,
        "same": found.same,
        "service": _plain(found.service),
        "stores": {pair.key: _plain_pair(pair) for pair in found.stores},
    }
    return words.tame_json(json.dumps(told, indent=2))


def _plain_pair(pair: StorePair) -> dict[str, Any]:
    return {
        "in": [side for side, store in (("left", pair.left), ("right", pair.right)) if store],
        "same_content": pair.same_content,
        "digests": list(pair.digests),
        "settings": _plain(pair.settings),
        "only_left": list(pair.only_left),
        "only_right": list(pair.only_right),
        "changed": {key: _plain(fields) for key, fields in pair.changed},
    }


def _plain(fields: Fields) -> list[dict[str, Scalar | None]]:
    return [{"name": field.name, "left": field.before, "right": field.after} for field in fields]
