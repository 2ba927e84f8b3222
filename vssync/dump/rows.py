"""From live files and their matches to the rows of a manifest: keys, attributes and chunking that it can declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vssync.dump.keys import free_key
from vssync.dump.matching import Match
from vssync.dump.seen import Omitted, Row, Seen, Sure
from vssync.manifest.placeholders import escape
from vssync.manifest.schema import check
from vssync.model import AUTO, Attributes, Chunking, FileStatus, LiveFile, Upload
from vssync.ownership import KEY, RESERVED, Mark, read_mark

_MOST = 14  # attributes; the service's 16 less the two of a mark
_SIZES = range(100, 4097)  # tokens, as the manifest's schema has them


def seen(file: LiveFile, upload: Upload | None) -> Seen:
    """A live file as a dump looks at it; `upload` is None where the File is gone."""
    mark = read_mark(file.attributes)
    known = mark if isinstance(mark, Mark) else None
    return Seen(
        id=file.id,
        filename=upload.filename if upload else "",
        size=upload.size if upload else 0,
        attributes={name: value for name, value in file.attributes.items() if not name.startswith(RESERVED)},
        chunking=file.chunking,
        key=str(file.attributes.get(KEY, "")) if known else "",
        sha256=known.content if known and len(known.content) == 64 else "",
    )


def unfinished(file: LiveFile) -> Omitted:
    """A file that cannot be taken over as it is."""
    told = {FileStatus.IN_PROGRESS: "is being ingested; dump again when it is completed"}
    why = told.get(file.status, f"its ingestion {file.status.replace('_', ' ')}")
    return Omitted(file.id, "", f"{why} ({file.error.code})" if file.error else why)


def rows_of(
    files: Iterable[Seen], matched: Mapping[str, Match], schema: Mapping[str, Any], remarks: Mapping[str, str]
) -> tuple[tuple[Row, ...], tuple[Omitted, ...]]:
    """What the manifest declares, sorted by key, and what it cannot; keys of local files are given out first."""
    rows: list[Row] = []
    omitted: list[Omitted] = []
    taken: set[str] = set()
    for file in sorted(files, key=lambda file: (file.id not in matched, file.filename, file.id)):
        if why := _undeclarable(file.attributes, schema):
            omitted.append(Omitted(file.id, file.filename, why))
            continue
        match = matched.get(file.id)
        wanted = file.key or (match.path if match else file.filename)
        key = free_key(wanted, file.id, taken)
        taken.add(key.casefold())
        rows.append(_row(file, match, key, remarks.get(file.id, "")))
    return tuple(sorted(rows, key=lambda row: row.key)), tuple(omitted)


def _row(file: Seen, match: Match | None, key: str, remark: str) -> Row:
    chunking = _declared(file.chunking)
    if match:
        return Row(key, match.path, "", match.filename, file.attributes, chunking, match.sure, remark)
    return Row(key, file_id=file.id, attributes=file.attributes, chunking=chunking, sure=Sure.UNMATCHED, remark=remark)


def _declared(chunking: Chunking | None) -> Chunking:
    """The chunking a service reports, where a manifest may ask for it; otherwise the service's own."""
    if chunking is None or chunking.size not in _SIZES or not 0 <= chunking.overlap * 2 <= chunking.size:
        return AUTO
    return chunking


def _undeclarable(attributes: Attributes, schema: Mapping[str, Any]) -> str:
    """Why a manifest cannot have these attributes; empty when it can."""
    if len(attributes) > _MOST:
        return f"carries {len(attributes)} attributes; {_MOST} fit beside vssync's own: remove some of them"
    said = {name: escape(value) if isinstance(value, str) else value for name, value in attributes.items()}
    faults = check(said, schema, "attributes")
    return f"a manifest cannot have its attributes: {faults[0].message}" if faults else ""
