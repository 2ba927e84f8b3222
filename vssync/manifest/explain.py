"""A manifest in full, and where each part of a resolved file came from: worked out when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from vssync.manifest.build import applies_in
from vssync.manifest.diagnostics import TreePath
from vssync.manifest.front_matter import may_have_front_matter
from vssync.manifest.merge import source_of
from vssync.manifest.spec import Layer, Manifest
from vssync.model.state import Attributes, DesiredFile


def provenance(manifest: Manifest, store: str, file: DesiredFile, fields: Attributes) -> Mapping[str, TreePath | None]:
    """By part (`file`, `chunking`, `filename`, `attributes.lang`), the manifest's path that gave it.

    `fields` is the file's own front matter, which None stands for; a part nobody wrote is left out.
    """
    layers = _layers(manifest, store, file)
    found: dict[str, TreePath | None] = {"file": layers[1].path}
    for layer in layers:
        for part in ("chunking", "filename"):
            if getattr(layer, part) is not None:
                found[part] = (*layer.path, part)
    for name in file.attributes:
        found[f"attributes.{name}"] = source_of(layers, name, fields)
    return found


def front_matter_fields(manifest: Manifest, store: str, file: DesiredFile) -> frozenset[str]:
    """The fields of a file's own front matter that some level over it lifts."""
    layers = _layers(manifest, store, file) if may_have_front_matter(file.path) else ()
    return frozenset(name for layer in layers for name in layer.front_matter)


def _layers(manifest: Manifest, store: str, file: DesiredFile) -> tuple[Layer, ...]:
    spec = next(spec for spec in manifest.stores if spec.settings.key == store)
    name = normalize("NFC", file.path or file.key)
    patterns = ((override.pattern, override.layer) for override in spec.overrides)
    over = (layer for pattern, layer in patterns if name.startswith(pattern.start) and pattern.matches(name))
    return (spec.layer, spec.entries.origin(name, file.file_id).layer, *over)


CHOOSING = ("only", "not")


def effective_tree(manifest: Manifest) -> dict[str, Any]:
    """The manifest's tree without what its environment leaves out."""
    stores = {key: _store(store, manifest.env) for key, store in manifest.tree["stores"].items()}
    return {**manifest.tree, "stores": stores}


def _store(store: Mapping[str, Any], env: str) -> dict[str, Any]:
    entries = [
        {name: value for name, value in entry.items() if name not in CHOOSING}
        for entry in store.get("files") or ()
        if applies_in(entry, env)
    ]
    return {**store, "files": entries} if entries else {name: value for name, value in store.items() if name != "files"}
