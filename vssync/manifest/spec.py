"""A manifest as typed values, for one environment; the texts of a layer may still hold placeholders of single files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vssync.errors import Problem
from vssync.manifest.diagnostics import Documents
from vssync.manifest.globs import Pattern
from vssync.manifest.placeholders import Template
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import Chunking, DesiredStore, Scalar, ServiceSpec

SKIP_REASONS = frozenset(("unsupported", "empty", "too_large"))  # why a file may be left out


@dataclass(frozen=True, slots=True)
class Layer:
    """What a store, an entry or an override sets for the files it covers; None and empty set nothing.

    A null attribute removes the one of an outer layer, and a template is filled in for each file. `path` is where the
    layer is written.
    """

    path: TreePath
    attributes: Mapping[str, Scalar | Template | None] = field(default_factory=dict)
    chunking: Chunking | None = None
    filename: Template | None = None
    front_matter: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One of a store's `files`; exactly one of `pattern` and `file_id` is set."""

    layer: Layer
    pattern: Pattern | None = None
    exclude: tuple[Pattern, ...] = ()
    optional: bool = False
    file_id: str = ""
    key: str = ""

    def selects(self, name: str) -> bool:
        """Whether it selects the file of this name."""
        pattern = self.pattern
        if pattern is None or not name.startswith(pattern.start) or not pattern.matches(name):
            return False
        return not self.excludes(name)

    def excludes(self, name: str) -> bool:
        """Whether a file that its pattern matches is excluded."""
        return any(exclude.matches(name) for exclude in self.exclude)


class FileEntries:
    """A store's entries in their order, with an index to find the one that selected a file."""

    def __init__(self, entries: Iterable[FileEntry] = ()) -> None:
        self._all = tuple(entries)
        self._by_id = {entry.file_id: entry for entry in self._all if entry.file_id}
        self._with_wildcards = tuple(entry for entry in self._all if entry.pattern and not entry.pattern.is_literal)
        literal = ((entry.pattern.start, entry) for entry in self._all if entry.pattern and entry.pattern.is_literal)
        self._by_name = {name: entry for name, entry in literal if entry.selects(name)}

    def __iter__(self) -> Iterator[FileEntry]:
        return iter(self._all)

    def __getitem__(self, number: int) -> FileEntry:
        return self._all[number]

    def origin(self, name: str, file_id: str) -> FileEntry:
        """The entry that selected a file by its name, or declared it by its id. There must be one."""
        if file_id:
            return self._by_id[file_id]
        if entry := self._by_name.get(name):
            return entry
        return next(entry for entry in self._with_wildcards if entry.selects(name))


@dataclass(frozen=True, slots=True)
class Override:
    """One of a store's `overrides`."""

    layer: Layer
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """One store: `settings` without files, and how its files are selected and adjusted.

    `extensions` is None where the service takes any. If the store `is_indeterminate`, its mistakes leave open what it
    skips and what its overrides change, so that nothing is reported that may only follow from them.
    """

    settings: DesiredStore
    layer: Layer
    entries: FileEntries = field(default_factory=FileEntries)
    overrides: tuple[Override, ...] = ()
    skip: frozenset[str] = frozenset()
    extensions: frozenset[str] | None = None
    is_indeterminate: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest for one environment.

    `tree` is all of it as a manifest again, with defaults, environment and variables filled in; `documents` are the
    texts it came from, for locations. With `problems`, their parts are missing, and it serves only to find more.
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
        """Every pattern that selects files, in the order of the manifest."""
        return tuple(entry.pattern for store in self.stores for entry in store.entries if entry.pattern)
