"""A manifest understood: typed, for one environment, and not yet met with any file.

Texts of a layer (`filename`, attribute values, `key`) may still hold placeholders of single files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from vssync.manifest.faults import Path
from vssync.manifest.globs import Pattern
from vssync.manifest.places import Documents
from vssync.model import Chunking, DesiredStore, Scalar, ServiceSpec


@dataclass(frozen=True, slots=True)
class Layer:
    """What one level (store, entry, override) says of the files it covers; None and empty say nothing.

    A null attribute removes the one of an outer level. `path` is where the level is written.
    """

    path: Path
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


@dataclass(frozen=True, slots=True)
class Override:
    """One of a store's `overrides`."""

    layer: Layer
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """One store: `settings` without files, and how its files are chosen and adjusted.

    `extensions` is None where the service takes any.
    """

    settings: DesiredStore
    layer: Layer
    entries: tuple[Entry, ...] = ()
    overrides: tuple[Override, ...] = ()
    skip: frozenset[str] = frozenset()
    extensions: frozenset[str] | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All levels of the store."""
        entries = tuple(entry.layer for entry in self.entries)
        return (self.layer, *entries, *(override.layer for override in self.overrides))


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest for one environment.

    `tree` is what it says in full, with defaults, environment and variables filled in: a manifest again.
    `documents` are the texts it came from, for places.
    """

    name: str
    env: str
    root: str
    service: ServiceSpec
    stores: tuple[StoreSpec, ...]
    tree: Mapping[str, Any]
    documents: Documents

    @property
    def owner(self) -> str:
        return f"{self.name}/{self.env}" if self.env else self.name

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """Every pattern that chooses files, in the order of the manifest."""
        return tuple(entry.pattern for store in self.stores for entry in store.entries if entry.pattern)

    @property
    def lifted(self) -> frozenset[str]:
        """Every front matter field that some layer lifts."""
        layers = chain.from_iterable(store.layers for store in self.stores)
        return frozenset(chain.from_iterable(layer.front_matter for layer in layers))
