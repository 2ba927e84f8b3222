"""Which capability a service lacks, told from how it refuses a request. Pure; the fallbacks are the callers'.

A refusal of one file, or of a store that does not exist, must not look like a missing capability: then all later files
would take the slower fallback.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from vssync.errors import ServiceError


class MissingCapability(StrEnum):
    """What a service cannot do; the values are the names of the manifest's `capabilities`."""

    ATTRIBUTES = "attributes"
    ATTRIBUTE_UPDATES = "attribute_updates"
    BATCHES = "batches"
    BATCH_FILES = "batch_files"
    LIST_BATCHES = "list_batches"


_MISSING_ROUTE = (404, 405, 501)
_INVALID_BODY = (400, 422)
_ABOUT_ONE_FILE = ("unsupported_file", "invalid_file", "file_already_attached")
_NO_ATTRIBUTES = re.compile(r"\bunknown (?:parameter|field)\W+(?:files\b\W*\d*\W*)?attributes\b", re.IGNORECASE)
_FILES_FORM = re.compile(r"\bfile_ids\b|\bunknown (?:parameter|field)\W+files\b", re.IGNORECASE)


def missing_from_create_error(error: ServiceError, file_ids: Iterable[str] = ()) -> MissingCapability | None:
    """What a service lacks that refuses to attach files of these ids, in a batch with `files` or one by one.

    A 404 means BATCHES only for a store that is known to exist: ask `Client.is_ready` before you believe it.
    """
    answer = error.answer
    if any(file_id in answer.message for file_id in file_ids) or answer.code in _ABOUT_ONE_FILE:
        return None
    if answer.status in _MISSING_ROUTE:
        return MissingCapability.BATCHES
    if answer.status in _INVALID_BODY and _NO_ATTRIBUTES.search(answer.message):
        return MissingCapability.ATTRIBUTES
    is_about_form = answer.param in ("files", "file_ids") or _FILES_FORM.search(answer.message)
    return MissingCapability.BATCH_FILES if answer.status in _INVALID_BODY and is_about_form else None


def missing_from_update_error(error: ServiceError) -> MissingCapability | None:
    """What a service lacks that refuses to change a store file's attributes; a 404 may also mean a missing file."""
    return MissingCapability.ATTRIBUTE_UPDATES if is_permanent(error) else None


def missing_from_list_error(error: ServiceError) -> MissingCapability | None:
    """What a service lacks that refuses to list batches; a 400 or 404 may also mean that the store does not exist."""
    return MissingCapability.LIST_BATCHES if error.answer.status in (400, *_MISSING_ROUTE) else None


def is_permanent(error: ServiceError) -> bool:
    """Whether the refusal concerns the whole service, so that asking for another store is useless."""
    return error.answer.status in (405, 501)
