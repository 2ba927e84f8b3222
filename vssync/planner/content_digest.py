"""Comparisons by digest: whether two stores hold the same content, and which changed files differ in line ends alone.

A content digest is computed from what the manifest wants, or from what the service holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from vssync.model.digests import attributes_digest
from vssync.model.marks import DECLARED, KEY, Mark
from vssync.model.plan import FileChange, Note, NoteKind, Plan, Reason, StorePlan
from vssync.model.state import Attributes, DesiredFile, FileStatus
from vssync.planner.attributes import compare_attributes
from vssync.planner.classify import ClassifiedFiles, DigestedFile, OwnedCopy
from vssync.text import join_first

UNKNOWN = "unknown"  # in place of a digest, where it is not known what search finds


def content_digest(wanted_files: Iterable[DigestedFile]) -> str:
    """64 hex digits of SHA-256 over one line per file, sorted: key, content, declared File id, attributes, chunking."""
    digests = _AttributeDigests()
    ordered = sorted(wanted_files, key=lambda wanted: wanted.key_digest)  # as its lines are: all lines take more memory
    return _digest_of(
        (
            wanted.key_digest,
            wanted.content,
            wanted.declared_id,
            digests.of(wanted.file.attributes),
            wanted.chunking_digest,
        )
        for wanted in ordered
    )


def live_content_digest(
    classified: ClassifiedFiles, files: Mapping[str, DesiredFile], ignored_names: Collection[str]
) -> str:
    """The content digest of our copies in a store, by their marks and live attributes.

    UNKNOWN if one is not completed or was never compared. `files` are those of the manifest, by key digest.
    """
    digests = _AttributeDigests()
    copies = classified.our_copies
    if any(copy.file.status is not FileStatus.COMPLETED or copy.mark.is_uncompared for copy in copies):
        return UNKNOWN
    pairs = ((copy, files.get(copy.mark.key_digest)) for copy in copies)
    rows = (
        (
            copy.mark.key_digest,
            # Converted from the same source, a copy is as the manifest wants it, although perhaps of other bytes.
            file.content if file and file.source == copy.mark.source else copy.mark.content,
            copy.id if copy.mark.content == DECLARED else "",
            digests.of(effective_attributes(copy, file, ignored_names)),
            copy.mark.chunking_digest,
        )
        for copy, file in pairs
    )
    return _digest_of(sorted(rows, key=";".join))


def effective_attributes(copy: OwnedCopy, file: DesiredFile | None, ignored_names: Collection[str]) -> Attributes:
    """The manifest's attributes where no write is due, even if the service reports others; else the live ones."""
    if file and not compare_attributes(file, copy, ignored_names).fields:
        return file.attributes
    return {name: value for name, value in copy.file.attributes.items() if name not in (KEY, *ignored_names)}


class _AttributeDigests:
    """Digests of attributes, each computed once per map: many files share one."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[Attributes, str]] = {}  # keeps the object, so that its `id` is not reused

    def of(self, attributes: Attributes) -> str:
        if id(attributes) not in self._by_id:
            self._by_id[id(attributes)] = attributes, attributes_digest(attributes)
        return self._by_id[id(attributes)][1]


def _digest_of(rows: Iterable[tuple[str, ...]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{';'.join(row)}\n".encode())
    return digest.hexdigest()


def paths_of_changed_content(plan: Plan) -> set[str]:
    """The paths of files whose live copies have other bytes."""
    changes = (change for store in plan.stores for change in store.files)
    return {change.desired.path for change in changes if change.desired and _replaced_contents(change)}


def note_line_ends(plan: Plan, digests: Mapping[str, str]) -> Plan:
    """The plan with a note on files that changed in line ends only.

    `digests` maps a path to the digest that the file would have with the other kind of line ends.
    """
    return replace(plan, stores=tuple(_note_in_store(store, digests) for store in plan.stores))


def _note_in_store(store: StorePlan, digests: Mapping[str, str]) -> StorePlan:
    keys = [
        change.key
        for change in store.files
        if change.desired and digests.get(change.desired.path) in _replaced_contents(change)
    ]
    note = Note(NoteKind.LINE_ENDS, count=len(keys), detail=join_first(keys))
    return replace(store, notes=(*store.notes, note)) if keys else store


def _replaced_contents(change: FileChange) -> set[str]:
    """The SHA-256 of each live copy that a file of changed content replaces, by their marks."""
    if Reason.CONTENT_CHANGED not in change.reasons:
        return set()
    copies = (change.keep, *change.drop)
    return {copy.mark.content for copy in copies if copy and isinstance(copy.mark, Mark)}
