"""A manifest as typed values, for one environment, and what its layers say of a file.

A File, with a capital, is the service's uploaded object; a file is one on disk. Files go by their NFC path, relative
to the root: `nfc_path`. For a File declared by id, its key stands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vssync.errors import Problem
from vssync.limits import MAX_ATTRIBUTES, MAX_VALUE_LENGTH
from vssync.manifest.diagnostics import Documents
from vssync.manifest.globs import Pattern
from vssync.manifest.placeholders import MissingFolder, Placeholder, Template, fill_template
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import AUTO, Attributes, Chunking, DesiredStore, Scalar, ServiceSpec

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
    key: Template = ()  # empty where the path is the key; without placeholders for a `file_id`

    def selects(self, nfc_path: str) -> bool:
        """Whether it selects a file."""
        pattern = self.pattern
        is_match = pattern is not None and nfc_path.startswith(pattern.start) and pattern.matches(nfc_path)
        return bool(is_match) and not self.excludes(nfc_path)

    def excludes(self, nfc_path: str) -> bool:
        """Whether `exclude` takes out a file that its pattern matches."""
        return any(exclude.matches(nfc_path) for exclude in self.exclude)


class FileEntries:
    """A store's entries in their order, with an index to find the one that selected a file."""

    def __init__(self, entries: Iterable[FileEntry] = ()) -> None:
        self._all = tuple(entries)
        self._by_id = {entry.file_id: entry for entry in self._all if entry.file_id}
        self._with_wildcards = tuple(entry for entry in self._all if entry.pattern and not entry.pattern.is_literal)
        literal = ((entry.pattern.start, entry) for entry in self._all if entry.pattern and entry.pattern.is_literal)
        self._by_nfc_path = {nfc_path: entry for nfc_path, entry in literal if entry.selects(nfc_path)}

    def __iter__(self) -> Iterator[FileEntry]:
        return iter(self._all)

    def __getitem__(self, index: int) -> FileEntry:
        return self._all[index]

    def entry_of(self, nfc_path: str, file_id: str) -> FileEntry:
        """The entry that declared a file by its id, if it has one, or else selected its path. There must be one."""
        if file_id:
            return self._by_id[file_id]
        if entry := self._by_nfc_path.get(nfc_path):
            return entry
        return next(entry for entry in self._with_wildcards if entry.selects(nfc_path))


@dataclass(frozen=True, slots=True)
class Override:
    """One of a store's `overrides`."""

    layer: Layer
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """One store: what is desired of it, and how its files are selected and adjusted."""

    store: DesiredStore  # without files
    layer: Layer
    entries: FileEntries = field(default_factory=FileEntries)
    overrides: tuple[Override, ...] = ()
    skip: frozenset[str] = frozenset()
    extensions: frozenset[str] | None = None  # None where the service takes any
    has_unknown_selection: bool = False  # a mistake hides which files it takes: none is reported


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest for one environment."""

    owner_name: str  # as written: without the environment
    env: str
    root: str
    service: ServiceSpec
    stores: tuple[StoreSpec, ...]
    tree: Mapping[str, Any]  # all of it, with defaults, environment and variables filled in
    documents: Documents  # the texts it came from, for locations
    problems: tuple[Problem, ...] = ()  # broken parts were left out: use it only to find more problems

    @property
    def owner(self) -> str:
        return f"{self.owner_name}/{self.env}" if self.env else self.owner_name

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Every pattern that selects files, in the order of the manifest."""
        return tuple(entry.pattern for store in self.stores for entry in store.entries if entry.pattern)


PATH_TEMPLATE: Template = (Placeholder("path"),)


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What the layers over some files say together: their store, their entry, and each override that matches them."""

    layers: tuple[Layer, ...]  # outermost first
    chunking: Chunking
    filename: Template
    constant_attributes: Attributes | None  # the same for each of the files; None where they may differ
    front_matter_fields: frozenset[str]  # all fields that some layer takes from front matter


def merge_layers(layers: tuple[Layer, ...]) -> FileSettings:
    """What these layers say together, outermost first."""
    chunkings = [layer.chunking for layer in layers if layer.chunking]
    filenames = [layer.filename for layer in layers if layer.filename]
    merged = {name: value for layer in layers for name, value in layer.attributes.items()}
    front_matter_fields = frozenset(name for layer in layers for name in layer.front_matter)
    varies = front_matter_fields or any(isinstance(value, tuple) for value in merged.values())
    return FileSettings(
        layers=layers,
        chunking=chunkings[-1] if chunkings else AUTO,
        filename=filenames[-1] if filenames else PATH_TEMPLATE,
        constant_attributes=None if varies else _filled_in(merged, ""),
        front_matter_fields=front_matter_fields,
    )


def resolve_attributes(settings: FileSettings, path: str, front_matter: Attributes) -> Attributes:
    """A file's attributes; its front matter takes precedence within a layer. Raises MissingFolder."""
    if settings.constant_attributes is not None:
        return settings.constant_attributes
    merged: dict[str, Scalar | Template | None] = {}
    for layer in settings.layers:
        merged.update(layer.attributes)
        merged.update({name: front_matter[name] for name in layer.front_matter if name in front_matter})
    return _filled_in(merged, path)


def _filled_in(values: Mapping[str, Scalar | Template | None], path: str) -> Attributes:
    """Attributes without those set to null, their templates filled in."""
    attributes: dict[str, Scalar] = {}
    for name, value in values.items():
        if isinstance(value, tuple):
            try:
                attributes[name] = fill_template(value, path)
            except MissingFolder as error:
                error.attribute = name
                raise
        elif value is not None:
            attributes[name] = value
    return attributes


def find_attribute_problems(attributes: Attributes) -> Iterator[tuple[str, str]]:
    """What is wrong with a file's merged attributes: the attribute (empty for all of them), and a message."""
    if len(attributes) > MAX_ATTRIBUTES:
        names = ", ".join(sorted(attributes))
        yield "", f"{len(attributes)} attributes after merging, {MAX_ATTRIBUTES} are allowed: {names}"
    for name, value in attributes.items():
        if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
            yield name, f"the attribute `{name}` has {len(value):,} characters, {MAX_VALUE_LENGTH} are allowed"


def attribute_path(layers: tuple[Layer, ...], name: str, front_matter: Attributes) -> TreePath | None:
    """The path an attribute's value is written at; None if it came from the file's own front matter."""
    for layer in reversed(layers):
        if name in layer.front_matter and name in front_matter:
            return None
        if name in layer.attributes:
            return (*layer.path, "attributes", name)
    return None  # no layer sets it: it came from front matter, which was not passed or has changed since
