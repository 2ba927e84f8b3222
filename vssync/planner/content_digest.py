"""Content digests: equal ones, equal knowledge bases. One of what the manifest wants, one of what the service holds.

And what changed by its line ends alone, since the digests of files say no more than that they differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from vssync.model.digests import attributes_digest
from vssync.model.marks import DECLARED, KEY, Mark
from vssync.model.plan import FileChange, Note, NoteKind, Plan, Reason, StorePlan
from vssync.model.state import Attributes, DesiredStore, FileStatus
from vssync.planner.attributes import compare_attributes
from vssync.planner.classify import ClassifiedFiles, DesiredEntry, OwnedCopy, desired_entries
from vssync.text import join_first

UNKNOWN = "unknown"  # in place of a digest, where nobody knows what search finds


def store_content_digest(store: DesiredStore) -> str:
    """The content digest of what the manifest wants in a store whose files were read."""
    return content_digest(desired_entries(store))


def content_digest(entries: Iterable[DesiredEntry]) -> str:
    """64 hex digits of SHA-256 over a line a file, sorted: key, content, File id if declared, attributes, chunking."""
    digests = _AttributeDigests()
    return _digest_of(
        (entry.key_digest, entry.content, entry.declared_id, digests.of(entry.file.attributes), entry.chunking_digest)
        for entry in entries
    )


def live_content_digest(
    classified: ClassifiedFiles, entries: Iterable[DesiredEntry], ignored_names: Collection[str]
) -> str:
    """The same of the copies of ours that a store holds, by their marks and live attributes.

    UNKNOWN where one is not completed, or was never compared. Attributes that the service reports in its own version
    count as they were sent.
    """
    digests, entries_by_key = _AttributeDigests(), {entry.key_digest: entry for entry in entries}

    def attributes_of(copy: OwnedCopy) -> Attributes:
        entry = entries_by_key.get(copy.mark.key)
        if entry and not compare_attributes(entry.file, copy, ignored_names).fields:
            return entry.file.attributes
        return {name: value for name, value in copy.file.attributes.items() if name not in (KEY, *ignored_names)}

    copies = [copy for copies in (*classified.ours.values(), classified.provisional) for copy in copies]
    if any(copy.file.status is not FileStatus.COMPLETED or copy.mark.unread for copy in copies):
        return UNKNOWN
    return _digest_of(
        (mark.key, mark.content, copy.id if mark.content == DECLARED else "", digests.of(attributes), mark.chunking)
        for copy in copies
        for mark, attributes in [(copy.mark, attributes_of(copy))]
    )


class _AttributeDigests:
    """Digests of attributes: equal ones are mostly one object, so the work is done once."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[Attributes, str]] = {}  # with the object, which keeps its `id` its own

    def of(self, attributes: Attributes) -> str:
        if id(attributes) not in self._by_id:
            self._by_id[id(attributes)] = attributes, attributes_digest(attributes)
        return self._by_id[id(attributes)][1]


def _digest_of(rows: Iterable[tuple[str, ...]]) -> str:
    return hashlib.sha256("".join(sorted(f"{';'.join(row)}\n" for row in rows)).encode()).hexdigest()


def paths_of_changed_content(plan: Plan) -> set[str]:
    """The paths of files whose live copies have other bytes."""
    changes = (change for store in plan.stores for change in store.files)
    return {change.desired.path for change in changes if change.desired and _live_contents(change)}


def note_line_ends(plan: Plan, digests: Mapping[str, str]) -> Plan:
    """The plan with a note on files that changed in line ends only.

    `digests` are, by path, those of the files' bytes with the other line ends.
    """
    return replace(plan, stores=tuple(_note_in_store(store, digests) for store in plan.stores))


def _note_in_store(store: StorePlan, digests: Mapping[str, str]) -> StorePlan:
    keys = [
        change.key
        for change in store.files
        if change.desired and digests.get(change.desired.path) in _live_contents(change)
    ]
    note = Note(NoteKind.LINE_ENDS, count=len(keys), detail=join_first(keys))
    return replace(store, notes=(*store.notes, note)) if keys else store


def _live_contents(change: FileChange) -> set[str]:
    """The contents of the live copies, of a file that is replaced since its content changed."""
    if Reason.CONTENT_CHANGED not in change.reasons:
        return set()
    copies = (change.keep, *change.drop)
    return {copy.mark.content for copy in copies if copy and isinstance(copy.mark, Mark)}
