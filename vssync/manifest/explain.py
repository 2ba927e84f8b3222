"""A manifest in full, and where each part of a resolved file came from: worked out when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from vssync.manifest.diagnostics import TreePath
from vssync.manifest.environments import applies_in
from vssync.manifest.front_matter import may_have_front_matter
from vssync.manifest.merge import source_of
from vssync.manifest.placeholders import ENVIRONMENT_FIELDS
from vssync.manifest.spec import Layer, Manifest
from vssync.model.state import Attributes, DesiredFile


def provenance(manifest: Manifest, store: str, file: DesiredFile, fields: Attributes) -> Mapping[str, TreePath | None]:
    """By part (`file`, `chunking`, `filename`, `attributes.lang`), the manifest's path it came from.

    None stands for the file's own front matter, whose values are `fields`. Parts that nobody set are left out.
    """
    layers = _layers_over(manifest, store, file)
    sources: dict[str, TreePath | None] = {"file": layers[1].path}
    for layer in layers:
        for part in ("chunking", "filename"):
            if getattr(layer, part) is not None:
                sources[part] = (*layer.path, part)
    for name in file.attributes:
        sources[f"attributes.{name}"] = source_of(layers, name, fields)
    return sources


def front_matter_fields(manifest: Manifest, store: str, file: DesiredFile) -> frozenset[str]:
    """The fields of a file's own front matter that become attributes."""
    layers = _layers_over(manifest, store, file) if may_have_front_matter(file.path) else ()
    return frozenset(name for layer in layers for name in layer.front_matter)


def _layers_over(manifest: Manifest, store: str, file: DesiredFile) -> tuple[Layer, ...]:
    """The store, the entry, and the overrides that match a file, outermost first."""
    spec = next(spec for spec in manifest.stores if spec.settings.key == store)
    name = normalize("NFC", file.path or file.key)
    overrides = (override.layer for override in spec.overrides if override.pattern.matches(name))
    return (spec.layer, spec.entries.origin(name, file.file_id).layer, *overrides)


def effective_tree(manifest: Manifest) -> dict[str, Any]:
    """The manifest's tree without what its environment leaves out."""
    stores = {key: _effective_store(store, manifest.env) for key, store in manifest.tree["stores"].items()}
    return {**manifest.tree, "stores": stores}


def _effective_store(store: Mapping[str, Any], env: str) -> dict[str, Any]:
    entries = [
        {name: value for name, value in entry.items() if name not in ENVIRONMENT_FIELDS}
        for entry in store.get("files") or ()
        if applies_in(entry, env)
    ]
    others = {name: value for name, value in store.items() if name != "files"}
    return {**store, "files": entries} if entries else others
