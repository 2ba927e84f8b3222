"""Reads a written manifest back, with the local files it may choose from, and tells whether it means the very rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from vssync.dump.seen import Row
from vssync.errors import ManifestError
from vssync.manifest import Documents, Found, Listing, build, checked, choose, parse, resolve
from vssync.manifest.filenames import upload_name
from vssync.manifest.placeholders import split
from vssync.model import Attributes, DesiredFile


def means(text: str, rows: Collection[Row], local: Iterable[Found], schema: Mapping[str, Any]) -> bool:
    """Whether the manifest is valid and declares exactly these files."""
    try:
        files = declared(text, local, schema)
    except ManifestError:
        return False
    found = {file.key: _form(file) for file in files}
    return len(files) == len(rows) and found == {row.key: _row_form(row) for row in rows}


def declared(text: str, local: Iterable[Found], schema: Mapping[str, Any]) -> tuple[DesiredFile, ...]:
    """The files of a manifest with one store. Raises ManifestError."""
    manifest = build(Documents(checked(parse(text, "vssync.yaml"), schema)), schema, None, {})
    chosen, problems = choose(manifest, Listing(local))
    if wrong := (*manifest.problems, *problems):
        raise ManifestError(wrong)
    (store,) = resolve(manifest, chosen, {}).stores
    return store.files


def _form(file: DesiredFile) -> tuple[object, ...]:
    return (file.path, file.file_id, file.filename, file.chunking, _typed(file.attributes))


def _row_form(row: Row) -> tuple[object, ...]:
    filename = upload_name(split(row.filename), row.path or row.key, "")
    return (row.path, row.file_id, filename, row.chunking, _typed(row.attributes))


def _typed(attributes: Attributes) -> frozenset[tuple[str, type, object]]:
    return frozenset((name, type(value), value) for name, value in attributes.items())
