"""From live files and their matches to the rows of a manifest: keys, attributes and chunking that it can declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vssync.commands.dump.keys import free_key
from vssync.commands.dump.matching import LocalMatch
from vssync.commands.dump.seen import Confidence, DumpedFile, OmittedFile, RemoteFile
from vssync.limits import CHUNK_SIZES, MAX_ATTRIBUTES
from vssync.manifest.placeholders import escape_placeholders
from vssync.manifest.schema import validate_tree
from vssync.model.marks import KEY, RESERVED_PREFIX, Mark
from vssync.model.state import AUTO, Attributes, Chunking, FileStatus, LiveFile, Upload


def remote_file(file: LiveFile, upload: Upload | None) -> RemoteFile:
    """A live file as a dump looks at it; `upload` is None where the File is gone."""
    mark = file.mark if isinstance(file.mark, Mark) else None
    return RemoteFile(
        id=file.id,
        filename=upload.filename if upload else "",
        size=upload.size if upload else 0,
        attributes={name: value for name, value in file.attributes.items() if not name.startswith(RESERVED_PREFIX)},
        chunking=file.chunking,
        key=str(file.attributes.get(KEY, "")) if mark else "",
        sha256=mark.content if mark and len(mark.content) == 64 else "",
    )


def is_unfinished(file: LiveFile) -> OmittedFile:
    """A file that cannot be taken over as it is."""
    told = {FileStatus.IN_PROGRESS: "is being ingested; dump again when it is completed"}
    why = told.get(file.status, f"its ingestion {file.status.replace('_', ' ')}")
    return OmittedFile(file.id, "", f"{why} ({file.error.code})" if file.error else why)


def dumped_files(
    files: Iterable[RemoteFile],
    matched: Mapping[str, LocalMatch],
    schema: Mapping[str, Any],
    remarks: Mapping[str, str],
) -> tuple[tuple[DumpedFile, ...], tuple[OmittedFile, ...]]:
    """What the manifest declares, sorted by key, and what it cannot; keys of local files are given out first."""
    rows: list[DumpedFile] = []
    omitted: list[OmittedFile] = []
    taken: set[str] = set()
    for file in sorted(files, key=lambda file: (file.id not in matched, file.filename, file.id)):
        if why := _undeclarable(file.attributes, schema):
            omitted.append(OmittedFile(file.id, file.filename, why))
            continue
        match = matched.get(file.id)
        wanted = file.key or (match.path if match else file.filename)
        key = free_key(wanted, file.id, taken)
        taken.add(key.casefold())
        rows.append(_row(file, match, key, remarks.get(file.id, "")))
    return tuple(sorted(rows, key=lambda row: row.key)), tuple(omitted)


def _row(file: RemoteFile, match: LocalMatch | None, key: str, remark: str) -> DumpedFile:
    chunking = _declared(file.chunking)
    if match:
        return DumpedFile(key, match.path, "", match.filename, file.attributes, chunking, match.sure, remark)
    return DumpedFile(
        key, file_id=file.id, attributes=file.attributes, chunking=chunking, sure=Confidence.UNMATCHED, remark=remark
    )


def _declared(chunking: Chunking | None) -> Chunking:
    """The chunking a service reports, where a manifest may ask for it; otherwise the service's own."""
    if chunking is None or chunking.size not in CHUNK_SIZES or not 0 <= chunking.overlap * 2 <= chunking.size:
        return AUTO
    return chunking


def _undeclarable(attributes: Attributes, schema: Mapping[str, Any]) -> str:
    """Why a manifest cannot have these attributes; empty when it can."""
    if len(attributes) > MAX_ATTRIBUTES:
        return f"carries {len(attributes)} attributes; {MAX_ATTRIBUTES} fit beside vssync's own: remove some of them"
    said = {name: escape_placeholders(value) if isinstance(value, str) else value for name, value in attributes.items()}
    faults = validate_tree(said, schema, "attributes")
    return f"a manifest cannot have its attributes: {faults[0].message}" if faults else ""
