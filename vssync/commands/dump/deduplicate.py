"""Says once what many files have in common: at the store, at an entry, in an override.

`plain` says everything of each file; `factored` says the same in fewer lines. That both mean the same files is shown
by `proof`, not believed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vssync.commands.dump.patterns import cover_with_patterns, literal
from vssync.commands.dump.seen import PATH, TEMPLATES, DumpedFile
from vssync.manifest.placeholders import escape_placeholders
from vssync.model.state import AUTO, Attributes, Chunking, Scalar


@dataclass(frozen=True, slots=True)
class SharedLevel:
    """What a store, an entry or an override says; None says nothing."""

    attributes: Attributes = field(default_factory=dict)
    chunking: Chunking | None = None
    filename: str | None = None

    @property
    def silent(self) -> bool:
        return not self.attributes and self.chunking is None and self.filename is None


@dataclass(frozen=True, slots=True)
class DumpedEntry:
    """One of `files`: a pattern or path, or a File's id with its key, and the files it stands for."""

    rows: tuple[DumpedFile, ...]
    level: SharedLevel = SharedLevel()
    path: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class DumpedLayout:
    """A store's levels: its own, its entries, its overrides (by pattern)."""

    level: SharedLevel
    entries: tuple[DumpedEntry, ...]
    overrides: tuple[tuple[str, SharedLevel], ...] = ()


def plain_layout(rows: tuple[DumpedFile, ...]) -> DumpedLayout:
    """An entry for each file, saying all of it."""
    return DumpedLayout(SharedLevel(), tuple(_single(row, SharedLevel()) for row in rows))


def deduplicate(rows: tuple[DumpedFile, ...], known: Collection[str]) -> DumpedLayout:
    """As few entries as are exact. `known` are the names of all local files that patterns could match."""
    store = _less(_shared(rows, usual=True), SharedLevel())
    by_path = {row.path: row for row in rows if row.path and row.key == row.path}
    entries = [
        _entry(pattern, tuple(by_path[name] for name in names), store)
        for pattern, names in (cover_with_patterns(by_path, known) if by_path else ())
    ]
    entries += [_single(row, store) for row in rows if not row.path or row.key != row.path]
    return DumpedLayout(store, tuple(entries), tuple(_overrides(entries, store, [row.key for row in rows])))


def _entry(pattern: str, rows: tuple[DumpedFile, ...], store: SharedLevel) -> DumpedEntry:
    return _many(pattern, rows, store) if len(rows) > 1 else _single(rows[0], store)


def _many(pattern: str, rows: tuple[DumpedFile, ...], store: SharedLevel) -> DumpedEntry:
    return DumpedEntry(rows, _less(_shared(rows, usual=False), store), pattern)


def _single(row: DumpedFile, store: SharedLevel) -> DumpedEntry:
    level = _less(_of(row), store)
    if row.file_id:
        return DumpedEntry((row,), SharedLevel(level.attributes, level.chunking), key=row.key)
    return DumpedEntry((row,), level, literal(row.path), "" if row.key == row.path else row.key)


def _overrides(
    entries: Iterable[DumpedEntry], store: SharedLevel, keys: Collection[str]
) -> Iterator[tuple[str, SharedLevel]]:
    """What is left to say of files under entries of many."""
    left: dict[Hashable, list[tuple[DumpedFile, SharedLevel]]] = {}
    for entry in (entry for entry in entries if len(entry.rows) > 1):
        for row in entry.rows:
            level = _less(_of(row), _joined(store, entry.level))
            if not level.silent:
                left.setdefault(_identity(level), []).append((row, level))
    for members in left.values():
        for pattern, _ in cover_with_patterns([row.key for row, _ in members], keys):
            yield pattern, members[0][1]


def _of(row: DumpedFile) -> SharedLevel:
    return SharedLevel(row.attributes, row.chunking, None if row.file_id else row.filename)


def _shared(rows: tuple[DumpedFile, ...], *, usual: bool) -> SharedLevel:
    """What all files have in common; with `usual`, the commonest chunking and upload name, which inner levels alter.

    A name that is one file's own is not usual: files to come would be uploaded under it.
    """
    counted = Counter(pair for row in rows for pair in _typed(row.attributes))
    shared = {name: value for (name, _, value), count in counted.items() if count == len(rows)}
    pick = _commonest if usual else _only
    chunking = pick([row.chunking for row in rows])
    names = [row.filename for row in rows if not row.file_id]
    return SharedLevel(shared, chunking, pick([name for name in names if not usual or name in TEMPLATES]))


def _only(values: list[Any]) -> Any:
    return values[0] if len(set(values)) == 1 else None


def _commonest(values: list[Any]) -> Any:
    return max(sorted(set(values), key=repr), key=Counter(values).__getitem__) if values else None


def _less(level: SharedLevel, outer: SharedLevel) -> SharedLevel:
    """What a level says beyond an outer one; what nobody said is `auto`, and the path as the upload name."""
    known = set(_typed(outer.attributes))
    attributes = {name: value for name, kind, value in _typed(level.attributes) if (name, kind, value) not in known}
    chunking = None if level.chunking == (outer.chunking or AUTO) else level.chunking
    return SharedLevel(attributes, chunking, None if level.filename == (outer.filename or PATH) else level.filename)


def _joined(outer: SharedLevel, inner: SharedLevel) -> SharedLevel:
    return SharedLevel(
        {**outer.attributes, **inner.attributes}, inner.chunking or outer.chunking, inner.filename or outer.filename
    )


def _typed(attributes: Attributes) -> tuple[tuple[str, str, Scalar], ...]:
    """Kinds count: `true` is not 1."""
    return tuple((name, type(value).__name__, value) for name, value in attributes.items())


def _identity(level: SharedLevel) -> Hashable:
    return (tuple(sorted(_typed(level.attributes), key=repr)), level.chunking, level.filename)


def tree_of(level: SharedLevel) -> dict[str, Any]:
    """A level as a manifest says it."""
    told: dict[str, Any] = {}
    if level.filename is not None:
        told["filename"] = level.filename
    if level.chunking is not None:
        told["chunking"] = _sizes(level.chunking)
    if level.attributes:
        told["attributes"] = {name: _said(value) for name, value in sorted(level.attributes.items())}
    return told


def _sizes(chunking: Chunking) -> str | dict[str, int]:
    if chunking.auto:
        return "auto"
    return {"max_chunk_size_tokens": chunking.size, "chunk_overlap_tokens": chunking.overlap}


def _said(value: Scalar) -> Scalar:
    return escape_placeholders(value) if isinstance(value, str) else value


def entry_tree(entry: DumpedEntry) -> dict[str, Any]:
    """An entry as a manifest says it."""
    (first, *_) = entry.rows
    chosen: Mapping[str, Any] = (
        {"file_id": escape_placeholders(first.file_id)} if first.file_id else {"path": entry.path}
    )
    key = {"key": escape_placeholders(entry.key)} if entry.key else {}
    return {**chosen, **key, **tree_of(entry.level)}
