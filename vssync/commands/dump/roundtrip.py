"""Reads a written manifest back, with the local files it may choose from, and tells whether it means the very rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from vssync.commands.dump.seen import DumpedFile
from vssync.errors import ManifestError
from vssync.manifest.build import build_manifest, check_document
from vssync.manifest.diagnostics import Documents
from vssync.manifest.globs import FoundFile, Listing
from vssync.manifest.placeholders import parse_template, upload_name
from vssync.manifest.resolve import resolve_desired
from vssync.manifest.select import select_files
from vssync.manifest.yaml_loader import parse_document
from vssync.model.state import Attributes, DesiredFile


def is_equivalent(
    text: str, rows: Collection[DumpedFile], local: Iterable[FoundFile], schema: Mapping[str, Any]
) -> bool:
    """Whether the manifest is valid and declares exactly these files."""
    try:
        files = declared_files(text, local, schema)
    except ManifestError:
        return False
    found = {file.key: _form(file) for file in files}
    return len(files) == len(rows) and found == {row.key: _row_form(row) for row in rows}


def declared_files(text: str, local: Iterable[FoundFile], schema: Mapping[str, Any]) -> tuple[DesiredFile, ...]:
    """The files of a manifest with one store. Raises ManifestError."""
    manifest = build_manifest(Documents(check_document(parse_document(text, "vssync.yaml"), schema)), schema, None, {})
    chosen, problems = select_files(manifest, Listing(local))
    if wrong := (*manifest.problems, *problems):
        raise ManifestError(wrong)
    (store,) = resolve_desired(manifest, chosen, {}).stores
    return store.files


def _form(file: DesiredFile) -> tuple[object, ...]:
    return (file.path, file.file_id, file.filename, file.chunking, _typed(file.attributes))


def _row_form(row: DumpedFile) -> tuple[object, ...]:
    filename = upload_name(parse_template(row.filename), row.path or row.key, "")
    return (row.path, row.file_id, filename, row.chunking, _typed(row.attributes))


def _typed(attributes: Attributes) -> frozenset[tuple[str, type, object]]:
    return frozenset((name, type(value), value) for name, value in attributes.items())
