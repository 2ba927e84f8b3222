"""The manifest in full, as a manifest that reads back to the same, and every file it chooses with what made it so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vssync.document import json_text
from vssync.manifest.resolve import effective_tree
from vssync.manifest.spec import Manifest
from vssync.model.state import DesiredFile
from vssync.render.yaml_writer import yaml_scalar, yaml_text
from vssync.text import display_width, escape_control, format_size, pad_right

_WIDEST = 48  # columns of values; a longer one pushes its place to the right


@dataclass(frozen=True, slots=True)
class TracedFile:
    """A file of a store, and by part (`chunking`, `attributes.lang`) the place that gave it: vssync.yaml:14:9."""

    store: str
    file: DesiredFile
    origins: Mapping[str, str]


def manifest_yaml(manifest: Manifest, files: tuple[TracedFile, ...] = ()) -> str:
    blocks = ["\n".join(f"# {line}" for line in _file_lines(traced)) for traced in files]
    return "\n\n".join([yaml_text(_manifest_tree(manifest)), *blocks])


def manifest_json(manifest: Manifest, files: tuple[TracedFile, ...] = ()) -> str:
    """The resolved manifest as JSON, its files under `x-files`, a name that manifests leave free."""
    listed = {"x-files": [_file_values(traced) for traced in files]} if files else {}
    return json_text(_manifest_tree(manifest) | listed, indent=2)


def _manifest_tree(manifest: Manifest) -> dict[str, Any]:
    """The manifest's fields, with the provider even where nobody wrote it: where things go is never left unsaid."""
    tree = effective_tree(manifest)
    return tree | {"service": {"provider": manifest.service.provider, **tree["service"]}}


def _file_lines(traced: TracedFile) -> Iterator[str]:
    """A file's address, then its parts in columns: what, its value, where that came from."""
    rows = list(_file_rows(traced.file, traced.origins))
    named = max(display_width(name) for name, _, _ in rows)
    valued = max(min(display_width(value), _WIDEST) for _, value, origin in rows if origin)
    yield escape_control(f"{traced.store}/{traced.file.key}")
    for name, value, origin in rows:
        yield f"  {pad_right(name, named)}  {pad_right(value, valued)}  {origin}".rstrip()


def _file_rows(file: DesiredFile, origins: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    yield "file_id" if file.file_id else "path", yaml_scalar(file.file_id or file.path), escape_control(origins["file"])
    content = {"filename": yaml_scalar(file.filename), "size": format_size(file.size), "sha256": file.sha256}
    attributes = {f"attributes.{name}": yaml_scalar(value) for name, value in sorted(file.attributes.items())}
    for part, value in ((content if file.path else {}) | {"chunking": str(file.chunking)} | attributes).items():
        yield escape_control(part), value, escape_control(origins.get(part, ""))


def _file_values(traced: TracedFile) -> dict[str, Any]:
    file = traced.file
    source = {"file_id": file.file_id} if file.file_id else {"path": file.path, "filename": file.filename}
    content = {} if file.file_id else {"size": file.size, "sha256": file.sha256}
    sizes = {"size": file.chunking.size, "overlap": file.chunking.overlap}
    return {
        "address": f"{traced.store}/{file.key}",
        **source,
        **content,
        "chunking": "auto" if file.chunking.auto else sizes,
        "attributes": dict(sorted(file.attributes.items())),
        "from": dict(traced.origins),
    }
