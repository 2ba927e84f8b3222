"""Content digests: equal ones, equal knowledge bases. One of what the manifest wants, one of what the service holds."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

from vssync.model.digests import attributes_digest
from vssync.model.marks import DECLARED, KEY
from vssync.model.state import Attributes, DesiredFile, DesiredStore, FileStatus
from vssync.planner.attributes import compare_attributes
from vssync.planner.classify import ClassifiedFiles, DesiredEntry, OwnedCopy, desired_entries

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
    classified: ClassifiedFiles, files: Mapping[str, DesiredFile], ignored_names: Collection[str]
) -> str:
    """The same of the copies of ours that a store holds, by their marks and live attributes.

    UNKNOWN where one is not completed, or was never compared. `files` are those of the manifest, by key digest.
    """
    digests = _AttributeDigests()
    copies = [copy for copies in (*classified.ours.values(), classified.provisional) for copy in copies]
    if any(copy.file.status is not FileStatus.COMPLETED or copy.mark.unread for copy in copies):
        return UNKNOWN
    return _digest_of(
        (mark.key, mark.content, copy.id if mark.content == DECLARED else "", digests.of(attributes), mark.chunking)
        for copy in copies
        for mark, attributes in [(copy.mark, attributes_sent(copy, files.get(copy.mark.key), ignored_names))]
    )


def attributes_sent(copy: OwnedCopy, file: DesiredFile | None, ignored_names: Collection[str]) -> Attributes:
    """A copy's live attributes; those of its file where the service reports only its own version of them."""
    if file and not compare_attributes(file, copy, ignored_names).fields:
        return file.attributes
    return {name: value for name, value in copy.file.attributes.items() if name not in (KEY, *ignored_names)}


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
