"""Says once what many files have in common: at the store, at a pattern, or in an override. Pure.

Patterns stand for many files only where they match exactly these. `manifest` reads the result back to make sure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vssync.commands.dump.entries import DumpedFile
from vssync.commands.dump.matching import PATH, TEMPLATES
from vssync.commands.init import suffix_pattern
from vssync.manifest.globs import compile_filter, compile_pattern, escape_pattern, pattern_problem
from vssync.manifest.placeholders import escape_placeholders, path_part
from vssync.model.state import AUTO, Attributes, Chunking, Scalar

_PLAIN_SUFFIX = re.compile(r"\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class SharedLevel:
    """What a store, an entry or an override declares for its files; None declares nothing."""

    attributes: Attributes = field(default_factory=dict)
    chunking: Chunking | None = None
    filename: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it declares nothing at all."""
        return not self.attributes and self.chunking is None and self.filename is None


@dataclass(frozen=True, slots=True)
class DumpedEntry:
    """One of the store's `files`: a pattern or path, or a File's id with its key; and the files it stands for."""

    files: tuple[DumpedFile, ...]
    level: SharedLevel = SharedLevel()
    path: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class DumpedLayout:
    """What the store declares for all files, its entries, and its overrides by pattern."""

    level: SharedLevel
    entries: tuple[DumpedEntry, ...]
    overrides: tuple[tuple[str, SharedLevel], ...] = ()


def plain_layout(files: tuple[DumpedFile, ...]) -> DumpedLayout:
    """An entry for each file, which declares all of it."""
    return DumpedLayout(SharedLevel(), tuple(_single_entry(file, SharedLevel()) for file in files))


def deduplicate(files: tuple[DumpedFile, ...], local_names: Collection[str]) -> DumpedLayout:
    """As few entries as are exact. `local_names` are those of all local files that patterns could match."""
    store = _beyond(_common_level(files, with_exceptions=True), SharedLevel())
    by_path = {file.path: file for file in files if file.path and file.key == file.path}
    entries = [_single_entry(file, store) for file in files if not file.path or file.key != file.path]
    patterns = []
    for pattern, names in cover_with_patterns(by_path, local_names) if by_path else ():
        if len(names) == 1:
            patterns.append(_single_entry(by_path[names[0]], store))
        else:
            matched = tuple(by_path[name] for name in names)
            level = _beyond(_common_level(matched, with_exceptions=False), store)
            patterns.append(DumpedEntry(matched, level, pattern))
    overrides = _overrides(patterns, store, [file.key for file in files])
    return DumpedLayout(store, (*patterns, *entries), tuple(overrides))


def _single_entry(file: DumpedFile, store: SharedLevel) -> DumpedEntry:
    level = _beyond(_level_of(file), store)
    if file.file_id:
        return DumpedEntry((file,), SharedLevel(level.attributes, level.chunking), key=file.key)
    return DumpedEntry((file,), level, literal_pattern(file.path), "" if file.key == file.path else file.key)


def _overrides(
    entries: Iterable[DumpedEntry], store: SharedLevel, keys: Collection[str]
) -> Iterator[tuple[str, SharedLevel]]:
    """What files under patterns have that neither the store nor the pattern declares."""
    by_level: dict[Hashable, tuple[SharedLevel, list[str]]] = {}
    for entry in (entry for entry in entries if len(entry.files) > 1):
        for file in entry.files:
            level = _beyond(_level_of(file), _merge(store, entry.level))
            if not level.is_empty:
                identity = (frozenset(_typed_items(level.attributes)), level.chunking, level.filename)
                by_level.setdefault(identity, (level, []))[1].append(file.key)
    for level, wanted in by_level.values():
        for pattern, _ in cover_with_patterns(wanted, keys):
            yield pattern, level


def _level_of(file: DumpedFile) -> SharedLevel:
    return SharedLevel(file.attributes, file.chunking, None if file.file_id else file.filename)


def _common_level(files: tuple[DumpedFile, ...], *, with_exceptions: bool) -> SharedLevel:
    """What all files have in common; `with_exceptions` the most common chunking and upload name, where they differ.

    An upload name that only one file has is never taken for common: files to come would be uploaded under it.
    """
    counts = Counter(item for file in files for item in _typed_items(file.attributes))
    attributes = {name: value for (name, _, value), count in counts.items() if count == len(files)}
    names = [file.filename for file in files if not file.file_id]
    if with_exceptions:
        names = [name for name in names if name in TEMPLATES]
        return SharedLevel(attributes, _most_common([file.chunking for file in files]), _most_common(names))
    return SharedLevel(attributes, _only_value([file.chunking for file in files]), _only_value(names))


def _only_value(values: list[Any]) -> Any:
    return values[0] if len(set(values)) == 1 else None


def _most_common(values: list[Any]) -> Any:
    return max(sorted(set(values), key=repr), key=Counter(values).__getitem__) if values else None


def _beyond(level: SharedLevel, outer: SharedLevel) -> SharedLevel:
    """What a level declares beyond an outer one. By default, chunking is `auto` and the upload name is the path."""
    inherited = set(_typed_items(outer.attributes))
    attributes = {item[0]: item[2] for item in _typed_items(level.attributes) if item not in inherited}
    chunking = None if level.chunking == (outer.chunking or AUTO) else level.chunking
    return SharedLevel(attributes, chunking, None if level.filename == (outer.filename or PATH) else level.filename)


def _merge(outer: SharedLevel, inner: SharedLevel) -> SharedLevel:
    return SharedLevel(
        {**outer.attributes, **inner.attributes}, inner.chunking or outer.chunking, inner.filename or outer.filename
    )


def _typed_items(attributes: Attributes) -> tuple[tuple[str, str, Scalar], ...]:
    """Attributes with their types: `true` is not 1."""
    return tuple((name, type(value).__name__, value) for name, value in attributes.items())


def level_tree(level: SharedLevel) -> dict[str, Any]:
    """A level as a manifest declares it."""
    tree: dict[str, Any] = {}
    if level.filename is not None:
        tree["filename"] = level.filename
    if level.chunking is not None:
        sizes = {"size": level.chunking.size, "overlap": level.chunking.overlap}
        tree["chunking"] = "auto" if level.chunking.auto else sizes
    if level.attributes:
        tree["attributes"] = {
            name: escape_placeholders(value) if isinstance(value, str) else value
            for name, value in sorted(level.attributes.items())
        }
    return tree


def entry_tree(entry: DumpedEntry) -> dict[str, Any]:
    """An entry as a manifest declares it."""
    file_id = entry.files[0].file_id
    source = {"file_id": escape_placeholders(file_id)} if file_id else {"path": entry.path}
    key = {"key": escape_placeholders(entry.key)} if entry.key else {}
    return {**source, **key, **level_tree(entry.level)}


def cover_with_patterns(wanted: Collection[str], known: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Patterns with the names they match: each wanted name once, and no other of the known, which include them."""
    folder = _common_folder(wanted)
    return _cover_folder(sorted(wanted), [name for name in known if name.startswith(folder)], folder)


def _cover_folder(wanted: list[str], known: list[str], folder: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """One pattern for everything below a folder; where none is exact, its own files and then each folder in it."""
    if pattern := _exact_pattern(wanted, known, f"{escape_pattern(folder)}**/"):
        yield pattern, tuple(wanted)
        return
    wanted_here, wanted_below = _split_by_folder(wanted, folder)
    known_here, known_below = _split_by_folder(known, folder)
    if pattern := _exact_pattern(wanted_here, known_here, escape_pattern(folder)):
        yield pattern, tuple(wanted_here)
    else:
        yield from ((literal_pattern(name), (name,)) for name in wanted_here)
    for inner, names in wanted_below.items():
        yield from _cover_folder(names, known_below[inner], inner)


def _split_by_folder(names: list[str], folder: str) -> tuple[list[str], dict[str, list[str]]]:
    """The names directly in a folder, and the others by the folder next below it, with its slash."""
    direct: list[str] = []
    below: dict[str, list[str]] = {}
    for name in names:
        slash = name.find("/", len(folder))
        if slash < 0:
            direct.append(name)
        else:
            below.setdefault(name[: slash + 1], []).append(name)
    return direct, below


def _exact_pattern(wanted: list[str], known: list[str], start: str) -> str:
    """The pattern of the wanted names' extensions, where it matches just these of the known; empty otherwise."""
    suffixes = sorted({path_part(name, "ext") for name in wanted})
    if len(wanted) < 2 or not all(_PLAIN_SUFFIX.fullmatch(suffix) for suffix in suffixes):
        return ""
    pattern = start + suffix_pattern(suffixes)
    if pattern_problem(pattern):
        return ""
    with_hidden, compiled = compile_filter(pattern), compile_pattern(pattern)
    is_exact = {name for name in known if with_hidden.matches(name)} == set(wanted)
    return pattern if is_exact and all(compiled.matches(name) for name in wanted) else ""


def literal_pattern(path: str) -> str:
    """A path as a manifest's `path` or `match` that matches it and nothing else.

    No placeholder is left in it, since `{` is escaped. A name that looks like a drive (`c:`) needs the dot before it.
    """
    escaped = escape_pattern(path)
    return f"./{escaped}" if pattern_problem(escaped) else escaped


def _common_folder(names: Iterable[str]) -> str:
    """The innermost folder of all names, with its slash; empty for the top."""
    common: list[str] = []
    for parts in zip(*(name.split("/")[:-1] for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "".join(f"{folder}/" for folder in common)
