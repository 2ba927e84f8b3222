"""A file on its way into a store, and the uploads that get it there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vssync.api import Entry
from vssync.applier import lost
from vssync.applier.context import StoreRun
from vssync.applier.polling import until
from vssync.applier.results import Result, failed
from vssync.errors import LostReply, NotFound, VssyncError
from vssync.model import Attributes, FileStatus
from vssync.ownership import MARK, Mark, Origin, read_mark
from vssync.report import Status
from vssync.steps import Put

_SENDS = 5  # of one upload, when replies are lost


@dataclass(frozen=True, slots=True)
class Load:
    """A put with its File; `attributes` are the put's, but for the tries in the mark.

    One that `arrived` is attached and completed already.
    """

    put: Put
    file_id: str
    attributes: Attributes
    arrived: bool = False

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
        return replace(
            self, arrived=False, attributes={**self.attributes, MARK: str(replace(mark, tries=mark.tries + 1))}
        )


@dataclass(frozen=True, slots=True)
class Flight:
    """Loads on their way, since the monotonic second `sent`; without a batch each is looked at by itself."""

    loads: tuple[Load, ...]
    batch_id: str = ""
    sent: float = 0.0


def ours(put: Put) -> bool:
    """Whether the put's File is an upload of ours, as its mark says; one that was declared or adopted is not."""
    mark = read_mark(put.attributes)
    return isinstance(mark, Mark) and mark.origin is Origin.UPLOADED


def extension(filename: str) -> str:
    """What a service judges a file by."""
    return filename[filename.rfind(".") :].lower() if "." in filename else ""


def not_taken(put: Put) -> Result:
    """The result of a file of a kind that the service refused before."""
    why = f"the service refused {extension(put.file.filename)} files in this run; `skip: [unsupported]` leaves them out"
    return Result(Status.FAILED, f"not tried: {why}")


def load(at: StoreRun, put: Put) -> Load | None:
    """The put with its File, uploaded where there is none; None when that failed, with its result recorded."""
    if at.run.refused(extension(put.file.filename)):
        _fail(at, put, not_taken(put))
        return None
    at.begin(put.key)
    uploaded = ""
    try:
        if put.unfinished and _arrived(at, put):
            return Load(put, put.file_id, put.attributes, arrived=True)
        if put.file_id and not put.file.file_id and not _exists(at, put.file_id):
            put = _anew(put)
        if not put.file_id:
            uploaded = _obtained(at, put)
        if put.gap:
            _make_room(at, put)
    except VssyncError as error:
        if uploaded:
            at.run.throw(uploaded, f"upload of {put.key} that was not used")
        _fail(at, put, failed(error))
        return None
    return Load(put, put.file_id or uploaded, put.attributes)


def _arrived(at: StoreRun, put: Put) -> bool:
    """Whether a File was completed since the plan, made as is wanted now: a batch can be cancelled too late."""
    try:
        file = at.file(put.file_id)
    except NotFound:
        return False
    made, wanted = read_mark(file.attributes), read_mark(put.attributes)
    if file.status is not FileStatus.COMPLETED or not (isinstance(made, Mark) and isinstance(wanted, Mark)):
        return False
    return (made.key, made.content, made.chunking) == (wanted.key, wanted.content, wanted.chunking)


def _exists(at: StoreRun, file_id: str) -> bool:
    """Whether a File is there: some services list one as attached that somebody deleted."""
    try:
        at.client.uploaded(file_id)
    except NotFound:
        return False
    return True


def _anew(put: Put) -> Put:
    """The put with an upload of its own in place of the File that it was to reuse, and a mark that says so."""
    mark = read_mark(put.attributes)
    if not isinstance(mark, Mark):
        return put
    mark = replace(mark, content=put.file.sha256, origin=Origin.UPLOADED)
    return replace(put, file_id="", attributes={**put.attributes, MARK: str(mark)})


def _fail(at: StoreRun, put: Put, result: Result) -> None:
    at.result(put.key, result)
    at.settled()


def _obtained(at: StoreRun, put: Put) -> str:
    form = (put.file.sha256, put.file.filename)
    file_id = at.run.uploads.obtain(at.id, form, lambda spare: _usable(at, put, spare), lambda: _upload(at, put))
    at.run.watcher.uploaded(at.key, put.file.size)
    return file_id


def _usable(at: StoreRun, put: Put, file_id: str) -> bool:
    """Whether an upload of an earlier run is still there, as it was made."""
    try:
        found = at.client.uploaded(file_id)
    except NotFound:
        return False
    if found.size != put.file.size or not found.created_at:
        return False
    at.run.uploaded(file_id, f"upload of {put.key} that was not attached yet")
    return True


def _upload(at: StoreRun, put: Put) -> str:
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


def _sent(at: StoreRun, put: Put) -> str:
    made: list[str] = []
    asked = at.client.service_date
    try:
        file_id = at.writes.upload(at.run.root, put.file, made.append, lambda why: lost.find(at, put.file, asked, why))
    except VssyncError:
        for file_id in made:
            at.run.throw(file_id, f"upload of {put.key} that was not used")
        raise
    at.run.uploaded(file_id, f"upload of {put.key} that was not attached yet")
    return file_id


def _make_room(at: StoreRun, put: Put) -> None:
    """Detaches what must go first, and sees it gone: attaching too early is ignored as "already attached"."""
    for drop in put.drops:
        if drop.file_id == put.file_id:
            at.writes.detach(at.id, drop.file_id, ours=ours(put), file=put.file)
        else:
            at.detach(drop)
        see_gone(at, drop.file_id)


def see_gone(at: StoreRun, file_id: str) -> None:
    """Waits until a detached file is not listed any more.

    Raises VssyncError when it stays.
    """
    if until(at.run, lambda: (at.client.attached(at.id, file_id), None), lambda there: not there, bool):
        raise VssyncError(f"{file_id}: still attached to {at.id} long after it was detached; apply again later")
