"""A manifest as typed values, for one environment, and the settings that its layers give to a file.

A File, with a capital, is an uploaded object of the service; a file is on disk. A file on disk is known by `nfc_path`,
its NFC path relative to the root; a File that an entry declares by `file_id` has no path, and its key is used instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vssync.errors import Problem
from vssync.limits import MAX_ATTRIBUTES, MAX_VALUE_LENGTH
from vssync.manifest.diagnostics import Documents
from vssync.manifest.globs import Pattern
from vssync.manifest.lookups import Lookup
from vssync.manifest.placeholders import MissingFolder, Placeholder, Template, fill_template, fit_name
from vssync.manifest.yaml_loader import TreePath
from vssync.model.service import ServiceSpec
from vssync.model.state import AUTO, Attributes, Chunking, DesiredStore, Scalar, extension_of
from vssync.providers import COMPATIBLE, Provider

# The reasons that `skip` may name. It may also hold `draft`, which is the default, and `!draft`, which loads drafts.
SKIP_REASONS = frozenset(("unsupported", "empty", "too_large", "broken"))
MARKDOWN = "markdown"  # in `formats`, of files to convert before their upload
CONVERTIBLE_EXTENSIONS = frozenset((".csv", ".docx", ".htm", ".html", ".ipynb", ".pdf", ".pptx", ".xlsx"))
AttributeValue = Scalar | Template | Lookup | None


@dataclass(frozen=True, slots=True)
class Layer:
    """What a store, an entry or an override sets for the files it covers; None and empty set nothing.

    A null attribute removes the one of an outer layer; a template is filled in for each file; a lookup takes its
    value from the file, and sets nothing where the file has none. `path` is where the layer is written.
    """

    path: TreePath
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    chunking: Chunking | None = None
    filename: Template | None = None


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One of a store's `files`; exactly one of `pattern` and `file_id` is set."""

    layer: Layer
    pattern: Pattern | None = None
    exclude: tuple[Pattern, ...] = ()
    optional: bool = False
    file_id: str = ""
    key: Template = ()  # empty where the path is the key; plain text beside a `file_id`

    @property
    def has_wildcards(self) -> bool:
        """Whether it may match many files, so that `skip` may leave out some of them."""
        return self.pattern is not None and not self.pattern.is_literal

    def matches(self, nfc_path: str) -> bool:
        """Whether its pattern matches a path, even if it does not lead there (see `globs`), and `exclude` does not."""
        return self.pattern is not None and bool(self.pattern.matches(nfc_path)) and not self.excludes(nfc_path)

    def excludes(self, nfc_path: str) -> bool:
        """Whether `exclude` takes out a file that its pattern matches."""
        return any(exclude.matches(nfc_path) for exclude in self.exclude)


class FileEntries:
    """A store's entries in their order, with an index to find the one that selected a file."""

    def __init__(self, entries: Iterable[FileEntry] = ()) -> None:
        self._all = tuple(entries)
        self._by_id = {entry.file_id: entry for entry in self._all if entry.file_id}
        selecting = [(entry.pattern, entry) for entry in self._all if entry.pattern]
        literal = [(pattern.start, entry) for pattern, entry in selecting if pattern.is_literal]
        self._by_nfc_path = {nfc_path: entry for nfc_path, entry in literal if not entry.excludes(nfc_path)}
        # The innermost folder first: if several entries match a file behind a link or in an ignored folder, that is the
        # one that leads there (see `globs`), and so the one that chose it.
        by_depth = sorted(selecting, key=lambda pair: len(pair[0].folder), reverse=True)
        self._with_wildcards = [entry for _, entry in by_depth if entry.has_wildcards]

    def __iter__(self) -> Iterator[FileEntry]:
        return iter(self._all)

    def entry_of(self, nfc_path: str, file_id: str) -> FileEntry:
        """The entry that declares this `file_id`, or if that is empty, the entry that selected the path."""
        if file_id:
            return self._by_id[file_id]
        if entry := self._by_nfc_path.get(nfc_path):
            return entry
        return next(entry for entry in self._with_wildcards if entry.matches(nfc_path))


@dataclass(frozen=True, slots=True)
class Override:
    """One of a store's `overrides`."""

    layer: Layer
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Formats:
    """Which files a store takes by the extension of their upload names, and what it sends them as."""

    provider: Provider
    declared: Mapping[str, str | None] = field(default_factory=dict)  # in the manifest; the provider's come second

    def sent_as(self, extension: str) -> str | None:
        """The extension to send a file under; None for a kind that is not supported."""
        if extension in self.declared:
            return ".md" if self.converts(extension) else self.declared[extension]
        return extension if self.provider.takes(extension) else None

    def converts(self, extension: str) -> bool:
        """Whether a file is converted before its upload."""
        return self.declared.get(extension) == MARKDOWN

    def sent_name(self, name: str) -> str:
        """The name a file is sent under: `a.adoc` becomes `a.adoc.txt`, so that it cannot clash with an `a.txt`.

        Empty for a kind that is not supported.
        """
        extension = extension_of(name)
        sent_as = self.sent_as(extension)
        if sent_as == extension:
            return name
        return fit_name(f"{name}{sent_as}") if sent_as else ""  # cut where it is too long


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """One store: what is desired of it, and how its files are selected and adjusted."""

    store: DesiredStore  # without files
    layer: Layer
    entries: FileEntries = field(default_factory=FileEntries)
    overrides: tuple[Override, ...] = ()
    skip: frozenset[str] = frozenset()  # as written: SKIP_REASONS that apply, `draft`, `!draft`
    formats: Formats = Formats(COMPATIBLE)
    tests: str = ""  # a file of questions, relative to the manifest's folder
    # A mistake makes it uncertain which files it takes; what is wrong with files may only follow from that.
    has_unknown_selection: bool = False

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All that may set something for a file."""
        return self.layer, *(entry.layer for entry in self.entries), *(override.layer for override in self.overrides)

    @property
    def lookup_names(self) -> frozenset[str]:
        """The names of attributes that are looked up in files."""
        values = (item for layer in self.layers for item in layer.attributes.items())
        return frozenset(name for name, value in values if isinstance(value, Lookup))

    @property
    def names_hold_digests(self) -> bool:
        """Whether upload names hold a digest of the file, which proves whose an upload is."""
        return any(Placeholder("digest") in layer.filename for layer in self.layers if layer.filename)


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
    # If there are any, the invalid parts are left out, and the manifest is only used to find more problems.
    problems: tuple[Problem, ...] = ()

    @property
    def owner(self) -> str:
        return f"{self.owner_name}/{self.env}" if self.env else self.owner_name

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Every pattern that selects files, in the order of the manifest."""
        return tuple(entry.pattern for store in self.stores for entry in store.entries if entry.pattern)


PATH_TEMPLATE: Template = (Placeholder("path"),)
# By name, what an attribute's value may be: lookups, the innermost layer's first, and then at most one other value. The
# first that the file has is taken.
CandidateValues = Mapping[str, tuple[AttributeValue, ...]]


@dataclass(frozen=True, slots=True)
class FileSettings:
    """The merged layers of some files: those of their store, their entry, and each override that matches them."""

    layers: tuple[Layer, ...]  # outermost first
    chunking: Chunking
    filename: Template
    filename_has_digest: bool
    candidates: CandidateValues
    constant_attributes: Attributes | None  # the same for each of the files; None where they may differ
    lookups: frozenset[Lookup]  # all that may give an attribute of a file


def merge_layers(layers: tuple[Layer, ...]) -> FileSettings:
    """These layers merged; the outermost comes first."""
    chunkings = [layer.chunking for layer in layers if layer.chunking]
    filenames = [layer.filename for layer in layers if layer.filename]
    candidates: dict[str, tuple[AttributeValue, ...]] = {}
    for layer in layers:
        for name, value in layer.attributes.items():
            candidates[name] = (value, *candidates.get(name, ())) if isinstance(value, Lookup) else (value,)
    lookups = frozenset(value for values in candidates.values() for value in values if isinstance(value, Lookup))
    templates = [value for values in candidates.values() for value in values if isinstance(value, tuple)]
    filename = filenames[-1] if filenames else PATH_TEMPLATE
    return FileSettings(
        layers=layers,
        chunking=chunkings[-1] if chunkings else AUTO,
        filename=filename,
        filename_has_digest=Placeholder("digest") in filename,
        candidates=candidates,
        constant_attributes=None if lookups or templates else _choose_values(candidates, "", {}),
        lookups=lookups,
    )


def first_found(values: Iterable[AttributeValue], looked_up: Mapping[Lookup, Scalar]) -> AttributeValue:
    """The first of an attribute's candidates that a file has: a lookup that found something, or any other value."""
    return next((value for value in values if not isinstance(value, Lookup) or value in looked_up), None)


def resolve_attributes(settings: FileSettings, path: str, looked_up: Mapping[Lookup, Scalar] | None) -> Attributes:
    """A file's attributes; `looked_up` is what its lookups found, None where it was not read. Raises MissingFolder."""
    if settings.constant_attributes is not None:
        return settings.constant_attributes
    return _choose_values(settings.candidates, path, looked_up)


def _choose_values(candidates: CandidateValues, path: str, looked_up: Mapping[Lookup, Scalar] | None) -> Attributes:
    """The attributes, with templates filled in; without those that are null, or that their lookups did not find."""
    attributes: dict[str, Scalar] = {}
    found = looked_up or {}
    for name, values in candidates.items():
        if looked_up is None and isinstance(values[0], Lookup):
            continue
        value = first_found(values, found)
        if isinstance(value, Lookup):
            attributes[name] = found[value]
        elif isinstance(value, tuple):
            try:
                attributes[name] = fill_template(value, path)
            except MissingFolder as error:
                raise MissingFolder(str(error), name) from None
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


def attribute_origin(
    layers: tuple[Layer, ...], name: str, looked_up: Mapping[Lookup, Scalar]
) -> tuple[TreePath, AttributeValue]:
    """Where the value of an attribute is written, and what is written there; some layer must set the attribute."""
    written = [(layer.path, layer.attributes[name]) for layer in reversed(layers) if name in layer.attributes]
    present = ((path, value) for path, value in written if not isinstance(value, Lookup) or value in looked_up)
    path, value = next(present, written[0])
    return (*path, "attributes", name), value
