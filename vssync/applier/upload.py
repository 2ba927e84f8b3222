"""A file on its way into a store, and the uploads that get it there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

from vssync.api.parse import AttachmentEntry
from vssync.api.rate_limit import Interrupted
from vssync.applier.context import StoreContext
from vssync.applier.results import Result, failed
from vssync.applier.steps import Put
from vssync.applier.wait import poll_until
from vssync.errors import LostReply, NotFound, VssyncError
from vssync.model.marks import Mark, Origin
from vssync.model.report import Status
from vssync.model.state import DesiredFile, FileStatus

_SENDS = 5  # of one upload, when replies are lost


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A put with its File; `mark` is the put's, but for its tries.

    One that `arrived` is attached and completed already.
    """

    put: Put
    file_id: str
    mark: Mark
    arrived: bool = False

    @property
    def entry(self) -> AttachmentEntry:
        return AttachmentEntry(self.file_id, self.put.attributes, self.put.chunking, self.mark)

    def again(self) -> PendingFile:
        """The same File for one more ingestion."""
        return replace(self, arrived=False, mark=replace(self.mark, tries=self.mark.tries + 1))


@dataclass(frozen=True, slots=True)
class InFlightBatch:
    """Loads on their way, since the monotonic second `sent`; without a batch each is looked at by itself."""

    loads: tuple[PendingFile, ...]
    batch_id: str = ""
    sent: float = 0.0


def is_our_upload(put: Put) -> bool:
    """Whether the put's File is an upload of ours, as its mark says; one that was declared or adopted is not."""
    return put.mark.origin is Origin.UPLOADED


def refused_type_result(put: Put) -> Result:
    """The result of a file of a kind that the service refused before."""
    why = f"the service refused {put.file.extension} files in this run; `skip: [unsupported]` leaves them out"
    return Result(Status.FAILED, f"not tried: {why}")


def upload_pending(at: StoreContext, put: Put) -> PendingFile | None:
    """The put with its File, uploaded where there is none; None when that failed, with its result recorded."""
    if at.run.refused(put.file.extension):
        _fail(at, put, refused_type_result(put))
        return None
    at.begin(put.key)
    uploaded = ""
    try:
        if put.unfinished and _has_completed(at, put):
            return PendingFile(put, put.file_id, put.mark, arrived=True)
        if put.file_id and not put.file.file_id and not _exists(at, put.file_id):
            put = _as_new_upload(put)
        if not put.file_id:
            uploaded = _obtain_upload(at, put)
        if put.gap:
            _detach_before_attach(at, put)
    except VssyncError as error:
        if uploaded:
            at.run.throw(uploaded, f"upload of {put.key} that was not used")
        _fail(at, put, failed(error))
        return None
    return PendingFile(put, put.file_id or uploaded, put.mark)


def _has_completed(at: StoreContext, put: Put) -> bool:
    """Whether a File was completed since the plan, made as is wanted now: a batch can be cancelled too late."""
    try:
        file = at.file(put.file_id)
    except NotFound:
        return False
    live, wanted = file.mark, put.mark
    if file.status is not FileStatus.COMPLETED or not isinstance(live, Mark):
        return False
    return (live.key, live.content, live.chunking) == (wanted.key, wanted.content, wanted.chunking)


def _exists(at: StoreContext, file_id: str) -> bool:
    """Whether a File is there: some services list one as attached that somebody deleted."""
    try:
        at.client.uploaded(file_id)
    except NotFound:
        return False
    return True


def _as_new_upload(put: Put) -> Put:
    """The put with an upload of its own in place of the File that it was to reuse, and a mark that says so."""
    return replace(put, file_id="", mark=replace(put.mark, content=put.file.sha256, origin=Origin.UPLOADED))


def _fail(at: StoreContext, put: Put, result: Result) -> None:
    at.result(put.key, result)
    at.settled()


def _obtain_upload(at: StoreContext, put: Put) -> str:
    form = (put.file.sha256, put.file.filename)
    file_id = at.run.uploads.obtain(at.id, form, lambda spare: _usable(at, put, spare), lambda: _upload(at, put))
    at.run.watcher.on_uploaded(at.key, put.file.size)
    return file_id


def _usable(at: StoreContext, put: Put, file_id: str) -> bool:
    """Whether an upload of an earlier run is still there, as it was made."""
    try:
        found = at.client.uploaded(file_id)
    except NotFound:
        return False
    if found.size != put.file.size or not found.created_at:
        return False
    at.run.uploaded(file_id, f"upload of {put.key} that was not attached yet")
    return True


def _upload(at: StoreContext, put: Put) -> str:
    """The new File's id. What a lost reply made and no name proves is sent again, and that is said."""
    sends = 1
    while True:
        try:
            return _sent(at, put)
        except LostReply as error:
            at.run.suspect(f"upload of {put.key} as {put.file.filename}, {put.file.size} bytes: {error}")
            if sends == _SENDS:
                raise
        sends += 1
        at.again(put.key)


def _sent(at: StoreContext, put: Put) -> str:
    made: list[str] = []
    asked = at.client.service_date
    try:
        file_id = at.writes.upload(
            at.run.root, put.file, made.append, lambda why: recover_upload(at, put.file, asked, why)
        )
    except VssyncError:
        for file_id in made:
            at.run.throw(file_id, f"upload of {put.key} that was not used")
        raise
    at.run.uploaded(file_id, f"upload of {put.key} that was not attached yet")
    return file_id


def _detach_before_attach(at: StoreContext, put: Put) -> None:
    """Detaches what must go first, and sees it gone: attaching too early is ignored as "already attached"."""
    for drop in put.drops:
        if drop.file_id == put.file_id:
            at.writes.detach(at.id, drop.file_id, ours=is_our_upload(put), file=put.file)
        else:
            at.detach(drop)
        wait_until_detached(at, drop.file_id)


def wait_until_detached(at: StoreContext, file_id: str) -> None:
    """Waits until a detached file is not listed any more.

    Raises VssyncError when it stays.
    """
    if poll_until(at.run, lambda: (at.client.attached(at.id, file_id), None), lambda there: not there, bool):
        raise VssyncError(f"{file_id}: still attached to {at.id} long after it was detached; apply again later")


_LISTED = 10.0  # seconds until a File should be listed; when it is later, it is sent again and `gc` finds the first
_SAME_CLOCK = 300  # seconds by which the clocks of a service's machines may differ


def recover_upload(at: StoreContext, file: DesiredFile, asked: int | None, error: LostReply) -> str:
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
        file_id = poll_until(at.run, look, bool, bool, patience=_LISTED)
    except (VssyncError, Interrupted):
        raise error from None
    if not file_id:
        raise error
    return file_id


def _free(at: StoreContext, file_id: str) -> bool:
    """Whether this run has no other use for a File, and the store does not hold it: it attaches only once."""
    return not at.run.uploads.has(file_id) and not at.client.attached(at.id, file_id)
