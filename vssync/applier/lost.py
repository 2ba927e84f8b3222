"""Finds the File of an upload whose reply was lost, where its name proves it: then nothing is sent twice.

Only a name with a digest of ours and of the bytes is proof; anybody may upload a file of the same name and size.
"""

from __future__ import annotations

from itertools import takewhile

from vssync.api import Interrupted
from vssync.applier.context import StoreRun
from vssync.applier.polling import until
from vssync.errors import LostReply, VssyncError
from vssync.model import DesiredFile

_LISTED = 10.0  # seconds until a File should be listed; when it is later, it is sent again and `gc` finds the first
_SAME_CLOCK = 300  # seconds by which the clocks of a service's machines may differ


def find(at: StoreRun, file: DesiredFile, asked: int | None, error: LostReply) -> str:
    """The id of the File that an upload made, `asked` being the service's time before it.

    Raises the error again where the name proves nothing, or there is no such File.
    """
    uploads = at.run.uploads
    if not uploads.proves(file):
        raise error
    since = (asked or 0) - _SAME_CLOCK

    def look() -> tuple[str, None]:
        """Newest first, so that the whole account is not read."""
        new = takewhile(lambda upload: upload.created_at >= since, at.client.uploads())
        alike = (upload.id for upload in new if (upload.filename, upload.size) == (file.filename, file.size))
        return next((file_id for file_id in alike if _free(at, file_id)), ""), None

    try:
        file_id = until(at.run, look, bool, bool, patience=_LISTED)
    except (VssyncError, Interrupted):
        raise error from None
    if not file_id:
        raise error
    return file_id


def _free(at: StoreRun, file_id: str) -> bool:
    """Whether this run has no other use for a File, and the store does not hold it: it attaches only once."""
    return not at.run.uploads.has(file_id) and not at.client.attached(at.id, file_id)
