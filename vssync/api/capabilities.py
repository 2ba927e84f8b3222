"""What tells that a service lacks something, by how it refuses. Pure; what to do instead is for the callers.

A refusal of one file, or of a store that is not there, must not look like a missing way: then every later file
would go the long way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from vssync.errors import ServiceError


class MissingCapability(StrEnum):
    """What a service refused to know; the values are the manifest's `capabilities`."""

    ATTRIBUTES = "attributes"
    ATTRIBUTE_UPDATES = "attribute_updates"
    BATCHES = "batches"
    BATCH_FILES = "batch_files"
    LIST_BATCHES = "list_batches"


_NO_SUCH_ROUTE = (404, 405, 501)
_BAD_FORM = (400, 422)
_ABOUT_ONE_FILE = ("unsupported_file", "invalid_file", "file_already_attached")
_NO_ATTRIBUTES = re.compile(r"\bunknown (?:parameter|field)\W+(?:files\b\W*\d*\W*)?attributes\b", re.IGNORECASE)
_FORM = re.compile(r"\bfile_ids\b|\bunknown (?:parameter|field)\W+files\b", re.IGNORECASE)


def missing_from_create_error(error: ServiceError, file_ids: Iterable[str] = ()) -> MissingCapability | None:
    """What refusing to attach files of these ids, in a batch with `files` or one by one, tells of the service.

    A 404 tells BATCHES only of a store that is known to be there: ask `Client.is_ready` before you believe it.
    """
    answer = error.answer
    if any(file_id in answer.message for file_id in file_ids) or answer.code in _ABOUT_ONE_FILE:
        return None
    if answer.status in _NO_SUCH_ROUTE:
        return MissingCapability.BATCHES
    if answer.status in _BAD_FORM and _NO_ATTRIBUTES.search(answer.message):
        return MissingCapability.ATTRIBUTES
    about_form = answer.param in ("files", "file_ids") or _FORM.search(answer.message)
    return MissingCapability.BATCH_FILES if answer.status in _BAD_FORM and about_form else None


def missing_from_update_error(error: ServiceError) -> MissingCapability | None:
    """What refusing to change a store file's attributes tells; a 404 may also mean that the file is not there."""
    return MissingCapability.ATTRIBUTE_UPDATES if is_permanent(error) else None


def missing_from_list_error(error: ServiceError) -> MissingCapability | None:
    """What refusing to list batches tells; a 400 or 404 may also mean that this store is not there."""
    return MissingCapability.LIST_BATCHES if error.answer.status in (400, *_NO_SUCH_ROUTE) else None


def is_permanent(error: ServiceError) -> bool:
    """Whether the refusal concerns the whole service, so that asking for another store is a waste."""
    return error.answer.status in (405, 501)
