"""Where each part of a resolved file came from, worked out again when somebody asks: nothing keeps it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from unicodedata import normalize

from vssync.manifest.attributes import giver
from vssync.manifest.faults import Path
from vssync.manifest.front_matter import may_hold
from vssync.manifest.spec import Layer, Manifest
from vssync.model import Attributes, DesiredFile


def provenance(manifest: Manifest, store: str, file: DesiredFile, fields: Attributes) -> Mapping[str, Path | None]:
    """By part (`file`, `chunking`, `filename`, `attributes.lang`), the manifest's path that gave it.

    `fields` is the file's own front matter, which None stands for; a part nobody wrote is left out.
    """
    layers = _layers(manifest, store, file)
    found: dict[str, Path | None] = {"file": layers[1].path}
    for layer in layers:
        for part in ("chunking", "filename"):
            if getattr(layer, part) is not None:
                found[part] = (*layer.path, part)
    for name in file.attributes:
        found[f"attributes.{name}"] = giver(layers, name, fields)
    return found


def lifted(manifest: Manifest, store: str, file: DesiredFile) -> frozenset[str]:
    """The fields of a file's own front matter that some level over it lifts."""
    layers = _layers(manifest, store, file) if may_hold(file.path) else ()
    return frozenset(name for layer in layers for name in layer.front_matter)


def _layers(manifest: Manifest, store: str, file: DesiredFile) -> tuple[Layer, ...]:
    spec = next(spec for spec in manifest.stores if spec.settings.key == store)
    name = normalize("NFC", file.path or file.key)
    patterns = ((override.pattern, override.layer) for override in spec.overrides)
    over = (layer for pattern, layer in patterns if name.startswith(pattern.start) and pattern.matches(name))
    return (spec.layer, spec.entries.origin(name, file.file_id).layer, *over)
