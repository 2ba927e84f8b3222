"""Content digests: two stores with equal ones hold the same knowledge.

One is computed from what the manifest wants, the other from what the service holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from vssync.model.digests import attributes_digest
from vssync.model.marks import DECLARED, KEY
from vssync.model.state import Attributes, FileStatus
from vssync.planner.attributes import compare_attributes
from vssync.planner.classify import ClassifiedFiles, DigestedFile, OwnedCopy

UNKNOWN = "unknown"  # in place of a digest, where nobody knows what search finds


def content_digest(wanted_files: Iterable[DigestedFile]) -> str:
    """64 hex digits of SHA-256 over one line per file, sorted: key, content, declared File id, attributes, chunking."""
    digests = _AttributeDigests()
    return _digest_of(
        (
            wanted.key_digest,
            wanted.content,
            wanted.declared_id,
            digests.of(wanted.file.attributes),
            wanted.chunking_digest,
        )
        for wanted in wanted_files
    )


def live_content_digest(
    classified: ClassifiedFiles, wanted_files: Iterable[DigestedFile], ignored_names: Collection[str]
) -> str:
    """The content digest of our copies in a store, by their marks and live attributes.

    UNKNOWN if one is not completed or was never compared. Attributes that the service reports in its own version count
    as they were sent.
    """
    digests, wanted_by_key = _AttributeDigests(), {wanted.key_digest: wanted for wanted in wanted_files}

    def attributes_of(copy: OwnedCopy) -> Attributes:
        wanted = wanted_by_key.get(copy.mark.key_digest)
        if wanted and not compare_attributes(wanted.file, copy, ignored_names).fields:
            return wanted.file.attributes
        return {name: value for name, value in copy.file.attributes.items() if name not in (KEY, *ignored_names)}

    copies = classified.our_copies
    if any(copy.file.status is not FileStatus.COMPLETED or copy.mark.is_uncompared for copy in copies):
        return UNKNOWN
    return _digest_of(
        (
            copy.mark.key_digest,
            copy.mark.content,
            copy.id if copy.mark.content == DECLARED else "",
            digests.of(attributes_of(copy)),
            copy.mark.chunking_digest,
        )
        for copy in copies
    )


class _AttributeDigests:
    """Digests of attributes, each computed once per map: many files share one."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[Attributes, str]] = {}  # the object, too: while it lives, no other has its `id`

    def of(self, attributes: Attributes) -> str:
        if id(attributes) not in self._by_id:
            self._by_id[id(attributes)] = attributes, attributes_digest(attributes)
        return self._by_id[id(attributes)][1]


def _digest_of(rows: Iterable[tuple[str, ...]]) -> str:
    return hashlib.sha256("".join(sorted(f"{';'.join(row)}\n" for row in rows)).encode()).hexdigest()
