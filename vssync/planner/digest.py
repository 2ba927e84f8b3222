"""The content digest of a desired store: equal exactly when two stores hold the same knowledge.

It covers key, content, attributes and chunking of every file, in key order; not names, ids or settings.
"""

from __future__ import annotations

import hashlib

from vssync.model import Attributes, DesiredStore
from vssync.ownership import attributes_digest
from vssync.planner.copies import Want


def digest_of(store: DesiredStore) -> str:
    """The content digest of a store whose files were read."""
    return content_digest(tuple(map(Want.of, sorted(store.files, key=lambda file: file.key))))


def content_digest(wants: tuple[Want, ...]) -> str:
    """64 hex digits of SHA-256 over one line a file: key, content, File id if declared, attributes, chunking."""
    remembered: dict[int, str] = {}  # equal maps are mostly one object, so the work is done once

    def digest(attributes: Attributes) -> str:
        if id(attributes) not in remembered:
            remembered[id(attributes)] = attributes_digest(attributes)
        return remembered[id(attributes)]

    total = hashlib.sha256()
    for want in wants:
        attributes = digest(want.file.attributes)
        line = f"{want.digest};{want.content};{want.file.file_id};{attributes};{want.chunking}\n"
        total.update(line.encode())
    return total.hexdigest()
