"""Where each part of a resolved file came from, worked out again when somebody asks: nothing keeps it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from unicodedata import normalize

from vssync.manifest.attributes import giver
from vssync.manifest.faults import Path
from vssync.manifest.spec import Entry, Layer, Manifest, StoreSpec
from vssync.model import Attributes, DesiredFile


def provenance(manifest: Manifest, store: str, file: DesiredFile, fields: Attributes) -> Mapping[str, Path | None]:
    """By part (`file`, `chunking`, `filename`, `attributes.lang`), the manifest's path that gave it.

    `fields` is the file's own front matter, which None stands for; a part nobody wrote is left out.
    """
    spec = next(spec for spec in manifest.stores if spec.settings.key == store)
    layers = _layers(spec, file)
    found: dict[str, Path | None] = {"file": layers[1].path}
    for layer in layers:
        for part in ("chunking", "filename"):
            if getattr(layer, part) is not None:
                found[part] = (*layer.path, part)
    for name in file.attributes:
        found[f"attributes.{name}"] = giver(layers, name, fields)
    return found


def _layers(spec: StoreSpec, file: DesiredFile) -> tuple[Layer, ...]:
    name = normalize("NFC", file.path or file.key)
    entry = next(entry for entry in spec.entries if _chose(entry, name, file))
    over = (override.layer for override in spec.overrides if override.pattern.matches(name))
    return (spec.layer, entry.layer, *over)


def _chose(entry: Entry, name: str, file: DesiredFile) -> bool:
    if file.file_id:
        return entry.file_id == file.file_id
    chosen = entry.pattern is not None and entry.pattern.matches(name)
    return bool(chosen) and not any(exclude.matches(name) for exclude in entry.exclude)
