"""A file on its way into a store, and the uploads that get it there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vssync.api import Entry
from vssync.applier.context import StoreRun
from vssync.applier.files import unchanged
from vssync.applier.polling import until
from vssync.applier.results import Result, failed
from vssync.errors import LostReply, VssyncError
from vssync.model import Attributes
from vssync.ownership import MARK, Mark, read_mark
from vssync.report import Status
from vssync.steps import Put

_SENDS = 3  # of one upload, when replies are lost


@dataclass(frozen=True, slots=True)
class Load:
    """A put with its File; `attributes` are the put's, but for the tries in the mark."""

    put: Put
    file_id: str
    attributes: Attributes

    @property
    def entry(self) -> Entry:
        return Entry(self.file_id, self.attributes, self.put.chunking)

    @property
    def tries(self) -> int:
        mark = read_mark(self.attributes)
        return mark.tries if isinstance(mark, Mark) else 1

    def again(self) -> Load:
        """The same File for one more ingestion."""
        mark = read_mark(self.attributes)
        if not isinstance(mark, Mark):
            return self
        return replace(self, attributes={**self.attributes, MARK: str(replace(mark, tries=mark.tries + 1))})


@dataclass(frozen=True, slots=True)
class Flight:
    """Loads on their way; without a batch each is looked at by itself."""

    loads: tuple[Load, ...]
    batch_id: str = ""


def extension(filename: str) -> str:
    """What a service judges a file by."""
    return filename[filename.rfind(".") :].lower() if "." in filename else ""


def not_taken(put: Put) -> Result:
    """The result of a file of a kind that the service refused before."""
    why = f"the service refused {extension(put.file.filename)} files in this run; `skip: [unsupported]` leaves them out"
    return Result(Status.FAILED, f"not tried: {why}")


def load(at: StoreRun, put: Put) -> Load | None:
    """The put with its File, uploaded where there is none; None when that failed, with its result recorded."""
    at.begin(put.key)
    if at.run.refused(extension(put.file.filename)):
        _fail(at, put, not_taken(put))
        return None
    uploaded = ""
    try:
        if not put.file_id:
            uploaded = _upload(at, put)
        if put.gap:
            _make_room(at, put)
    except VssyncError as error:
        if uploaded:
            at.run.throw(uploaded, f"upload of {put.key} that was not used")
        _fail(at, put, failed(error))
        return None
    return Load(put, put.file_id or uploaded, put.attributes)


def _fail(at: StoreRun, put: Put, result: Result) -> None:
    at.result(put.key, result)
    at.run.watcher.settled(1)


def _upload(at: StoreRun, put: Put) -> str:
    """The new File's id. A lost reply cannot be looked up by content, so the file is sent again and that is said."""
    for sends in range(1, _SENDS + 1):
        uploaded = ""
        try:
            with unchanged(at.run.root, put.file) as handle:
                uploaded = at.client.upload(handle, put.file.filename).id
                at.run.uploaded(uploaded, f"upload of {put.key} that was not attached yet")
        except LostReply as error:
            at.run.suspect(f"upload of {put.key} as {put.file.filename}, {put.file.size} bytes: {error}")
            if sends == _SENDS:
                raise
        except VssyncError:
            if uploaded:
                at.run.throw(uploaded, f"upload of {put.key} that was not used")
            raise
        else:
            at.run.watcher.uploaded(put.file.size)
            break
    return uploaded


def _make_room(at: StoreRun, put: Put) -> None:
    """Detaches what must go first, and sees it gone: attaching too early is ignored as "already attached"."""
    for drop in put.drops:
        if drop.file_id == put.file_id:
            at.client.detach(at.id, drop.file_id)
        else:
            at.detach(drop)
        see_gone(at, drop.file_id)


def see_gone(at: StoreRun, file_id: str) -> None:
    """Waits until a detached file is not listed any more.

    Raises VssyncError when it stays.
    """
    if until(at.run, lambda: (at.client.attached(at.id, file_id), None), lambda there: not there, bool):
        raise VssyncError(f"{file_id}: still attached to {at.id} long after it was detached; apply again later")
