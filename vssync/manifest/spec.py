"""A manifest understood: typed, for one environment, and not yet met with any file.

Texts of a layer (`filename`, attribute values, `key`) may still hold placeholders of single files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vssync.errors import Problem
from vssync.manifest.diagnostics import TreePath
from vssync.manifest.globs import Pattern
from vssync.manifest.source_map import Documents
from vssync.model.state import Chunking, DesiredStore, Scalar, ServiceSpec

SKIP_REASONS = frozenset(("unsupported", "empty", "too_large"))  # why a file may be left out


@dataclass(frozen=True, slots=True)
class Layer:
    """What one level (store, entry, override) says of the files it covers; None and empty say nothing.

    A null attribute removes the one of an outer level. `path` is where the level is written.
    """

    path: TreePath
    attributes: Mapping[str, Scalar | None] = field(default_factory=dict)
    chunking: Chunking | None = None
    filename: str | None = None
    front_matter: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One of a store's `files`; exactly one of `pattern` and `file_id` is set."""

    layer: Layer
    pattern: Pattern | None = None
    exclude: tuple[Pattern, ...] = ()
    optional: bool = False
    file_id: str = ""
    key: str = ""

    def chooses(self, name: str) -> bool:
        """Whether it chooses the file of this name."""
        pattern = self.pattern
        if pattern is None or not name.startswith(pattern.start) or not pattern.matches(name):
            return False
        return not any(exclude.matches(name) for exclude in self.exclude)


class Entries:
    """A store's entries in their order, which know without asking all of them which one chose a file."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._all = tuple(entries)
        self._declared = {entry.file_id: entry for entry in self._all if entry.file_id}
        self._searching = tuple(entry for entry in self._all if entry.pattern and not entry.pattern.literal)
        named = ((entry.pattern.start, entry) for entry in self._all if entry.pattern and entry.pattern.literal)
        self._named = {name: entry for name, entry in named if entry.chooses(name)}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._all)

    def __getitem__(self, number: int) -> Entry:
        return self._all[number]

    def origin(self, name: str, file_id: str) -> Entry:
        """The entry that chose a file by its name, or declared it by its id. It must be one of theirs."""
        if file_id:
            return self._declared[file_id]
        if named := self._named.get(name):
            return named
        return next(entry for entry in self._searching if entry.chooses(name))


@dataclass(frozen=True, slots=True)
class Override:
    """One of a store's `overrides`."""

    layer: Layer
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """One store: `settings` without files, and how its files are chosen and adjusted.

    `extensions` is None where the service takes any. Of a `doubtful` store nobody can say what
    it skips and what becomes of its files, since that is written wrong; which files it means is known.
    """

    settings: DesiredStore
    layer: Layer
    entries: Entries = field(default_factory=Entries)
    overrides: tuple[Override, ...] = ()
    skip: frozenset[str] = frozenset()
    extensions: frozenset[str] | None = None
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest for one environment.

    `tree` is what it says in full, with defaults, environment and variables filled in: a manifest again.
    `documents` are the texts it came from, for places. With `problems`, it is what is left when the wrong parts are
    taken out: good for finding more of them, and nothing else.
    """

    name: str
    env: str
    root: str
    service: ServiceSpec
    stores: tuple[StoreSpec, ...]
    tree: Mapping[str, Any]
    documents: Documents
    problems: tuple[Problem, ...] = ()

    @property
    def owner(self) -> str:
        return f"{self.name}/{self.env}" if self.env else self.name

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Every pattern that chooses files, in the order of the manifest."""
        return tuple(entry.pattern for store in self.stores for entry in store.entries if entry.pattern)
