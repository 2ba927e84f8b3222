"""Prepares files to be attached: finds or makes the upload of each, and detaches what must go first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile

from vssync.api.parse import AttachmentEntry
from vssync.applier.context import StoreContext, result_of_error, send_deletion
from vssync.applier.steps import Drop, Put
from vssync.applier.wait import STILL_LISTED, Waiting, poll_until, wait_until_detached
from vssync.applier.watcher import Result
from vssync.errors import Interrupted, LostReply, ServiceError, VssyncError
from vssync.model.marks import NONE, PROVISIONAL, Mark, Origin
from vssync.model.report import Status
from vssync.model.state import TYPE_WAYS_OUT, FileStatus, IngestError
from vssync.planner.classify import DigestedFile, OwnedCopy

_MAX_SENDS = 5  # of one upload, when replies are lost
_APPEARS_WITHIN = 10.0  # seconds until a File should be listed; then it is sent again, and `gc` finds the first
_NO_CHUNKING = PROVISIONAL  # in place of a digest of chunking: it agrees with none, so a plan attaches the file again
_SERVICE_CLOCK_SKEW = 300  # seconds by which the clocks of a service's machines may differ


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A Put with the id of its File (the service's object)."""

    put: Put
    file_id: str
    is_attached: bool = False  # already, so the run only waits for it
    attempts: int = 1  # of this run to ingest it
    error: IngestError | None = None  # in the answer to the attach: some services report it nowhere else
    detached: tuple[str, ...] = ()  # Files that must be gone from the store before this one is attached

    @property
    def entry(self) -> AttachmentEntry:
        return AttachmentEntry(self.file_id, self.put.attributes, self.put.chunking, self.put.mark)


@dataclass(frozen=True, slots=True)
class InFlightBatch:
    """Files accepted for ingestion at `sent`, on the monotonic clock; without a `batch_id`, only the files are read."""

    files: tuple[PendingFile, ...]
    batch_id: str = ""
    sent: float = 0.0


def refused_type_message(put: Put) -> str:
    """Why a file is not attached whose type the service refused before."""
    return f"the service refused {put.file.extension or 'such'} files in this run; {TYPE_WAYS_OUT}"


def result_of_unattached(put: Put, cause: str, status: Status = Status.SKIPPED) -> Result:
    """The result of a file that was prepared and is not attached; it has failed if its old copy went first."""
    if put.before_attach:
        return Result(Status.FAILED, f"its old copy was detached, and it was not attached: {cause}")
    return Result(status, f"{'not attached' if put.existing_id else 'uploaded, and not attached'}: {cause}")


def prepare_files(store: StoreContext, puts: Iterable[Put]) -> list[PendingFile]:
    """Uploads the Files that are missing, and detaches what must go before these files are attached.

    Records the results of those for which that failed, and leaves them out.
    """
    pending = store.run.pool.map(lambda put: _prepare(store, put), puts)
    return keep_attachable(store, [file for file in pending if file])


def keep_attachable(store: StoreContext, files: Sequence[PendingFile]) -> list[PendingFile]:
    """Waits until detached copies have left the store; returns the files that can be attached, and fails the others.

    Call it after the last detach: it asks for files that are gone, and some servers stall after such a 404, with
    deletions half done.
    """
    error: VssyncError | None = None
    detached = [file_id for file in files for file_id in file.detached]
    lingering = set(detached)
    try:
        lingering = wait_until_detached(store, detached) if detached else set()
    except VssyncError as failure:
        error = failure
    stuck = [file for file in files if lingering.intersection(file.detached)]
    for file in stuck:
        unused_id = "" if file.file_id in file.detached else file.file_id
        if error:
            put_back(store, file.put, file.entry)
        _settle_unprepared(store, file.put, unused_id, error or VssyncError(f"{file.detached[0]}: {STILL_LISTED}"))
    return [file for file in files if file not in stuck]


def _settle_unprepared(store: StoreContext, put: Put, unused_id: str, error: VssyncError) -> None:
    """Records the failure of a file that could not be prepared; an upload made for it is deleted at the end."""
    store.record_refusal(error, [put.key])
    if unused_id and not put.existing_id:
        store.run.ledger.schedule_delete(unused_id, f"upload of {put.key} that was not used")
    store.settle(put.key, result_of_error(error))


def _prepare(store: StoreContext, put: Put) -> PendingFile | None:
    """The file, uploaded if need be, its old copies just detached; None where that failed or was not tried."""
    if store.run.stopping:
        return None
    if store.is_refused_type(put.file.extension):
        store.settle(put.key, Result(Status.FAILED, f"not tried: {refused_type_message(put)}"))
        return None
    if store.stop_reason:
        store.settle_untried(put.key)
        return None
    store.run.results.record_start(store.key, put.key)
    preparing = Result(Status.UNKNOWN, "interrupted while it was prepared; plan again")
    store.run.results.set_result_if_interrupted(store.key, [put.key], preparing)
    if put.mark.key_digest in store.concurrent_copies:
        return _use_concurrent_copy(store, put)
    file_id, detached_id = "", ""
    try:
        if put.may_have_completed and _may_stay(store, put) and _is_completed_as_wanted(store, put):
            others = tuple(drop for drop in put.before_attach if drop.file_id != put.existing_id)
            put = replace(put, before_attach=(), after_completion=(*put.after_completion, *others))
            return PendingFile(put, put.existing_id, is_attached=True)
        if put.existing_id and not put.file.file_id and store.client.find_upload(put.existing_id) is None:
            # Somebody deleted it: a new upload takes its place, with a mark that says so.
            file, source = put.file, put.file.source or NONE
            new_mark = replace(
                put.mark, content=file.sha256, origin=Origin.UPLOADED, name_digest=file.name_digest, source=source
            )
            put = replace(put, existing_id="", mark=new_mark)
        file_id = put.existing_id or _reuse_or_upload(store, put)
        if store.run.capabilities.shares_chunks:  # once the first is detached, the others have no chunks
            _mark_without_chunks(store, put.before_attach[1:])
        for drop in put.before_attach:
            if drop.file_id == put.existing_id:
                detach_to_reattach(store, put, drop.file_id)
                detached_id = drop.file_id
            else:
                store.detach_copy(drop, file_id)
    except VssyncError as error:
        if detached_id:
            put_back(store, put, PendingFile(put, detached_id).entry)
        _settle_unprepared(store, put, file_id, error)
        return None
    result = result_of_unattached(put, "the run ended before; apply again")
    store.run.results.set_result_if_interrupted(store.key, [put.key], result)
    return PendingFile(put, file_id, detached=tuple(drop.file_id for drop in put.before_attach))


def _mark_without_chunks(store: StoreContext, drops: Sequence[Drop]) -> None:
    """Marks copies that lose their chunks when another is detached (see `StoreSteps.late_puts`) as having none.

    If the run is killed after that, no copy looks right, so the next plan attaches each again.
    """
    for drop in drops:
        with suppress(VssyncError):  # the service may be unable to update attributes
            live = store.client.get_file(store.id, drop.file_id)
            if isinstance(live.mark, Mark):
                mark = replace(live.mark, chunking_digest=_NO_CHUNKING)
                store.writes.set_attributes(store.id, drop.file_id, live.attributes, mark)


def use_concurrent_copies(store: StoreContext, files: Sequence[PendingFile]) -> list[PendingFile]:
    """The files to attach, with copies that another run attached to the same new store in place of uploads."""
    remaining: list[PendingFile] = []
    for file in files:
        if file.is_attached or file.put.mark.key_digest not in store.concurrent_copies:
            remaining.append(file)
        elif copy := _use_concurrent_copy(store, file.put):
            remaining.append(copy)
            if not file.put.existing_id:
                store.run.ledger.schedule_delete(file.file_id, f"upload of {file.put.key} that was not used")
    return remaining


def _use_concurrent_copy(store: StoreContext, put: Put) -> PendingFile | None:
    """The copy that another run attached; None for another version, which is for the next plan to deal with."""
    live = store.concurrent_copies[put.mark.key_digest]
    assert isinstance(live.mark, Mark)
    is_same = DigestedFile.of(put.file).matches(OwnedCopy(live, live.mark))
    if is_same and live.mark.attributes_digest == put.mark.attributes_digest:
        return PendingFile(replace(put, mark=live.mark), live.id, is_attached=True)
    detail = f"another run attached another version of it meanwhile, {live.id}; apply again"
    store.settle(put.key, Result(Status.SKIPPED, detail))
    return None


def detach_to_reattach(store: StoreContext, put: Put, file_id: str) -> None:
    """Detaches a put's File. An upload of ours is loose until it is attached again, so that a report can name it.

    Wait until it is gone before attaching it again: attaching before the detach took effect would be ignored.
    """
    is_our_upload = put.mark.origin is Origin.UPLOADED
    if is_our_upload:
        store.run.ledger.record_loose(file_id, f"upload of {put.key} that was to be attached again")
        store.run.ledger.record_uncertain([file_id])
    try:
        send_deletion(lambda: store.writes.detach(store.id, file_id, is_our_upload=is_our_upload, file=put.file))
    except ServiceError:  # a refusal, so nothing changed; without a clear answer, nothing is raised
        if is_our_upload:
            store.run.ledger.record_attached([file_id])
        raise


def put_back(store: StoreContext, put: Put, entry: AttachmentEntry) -> None:
    """Attaches a File of others again that was detached, and could not be attached as the plan wants it.

    Its owners can then still search it. An upload of ours stays detached: the next run uses it. A File that the store
    did not hold before this run stays out.
    """
    if put.is_reattached and put.mark.origin is not Origin.UPLOADED:
        with suppress(VssyncError):
            store.writes.attach(store.id, entry)


def _reuse_or_upload(store: StoreContext, put: Put) -> str:
    """The id of an upload: one that an earlier run left, one that this run made for another store, or a new one."""

    def is_usable(file_id: str) -> bool:
        """Whether an upload of an earlier run is still there, as large as it was made."""
        upload = store.client.find_upload(file_id)
        return upload is not None and upload.size == put.file.size

    file_id, is_new = store.run.ledger.obtain(store.id, put.file, is_usable, lambda: _upload(store, put))
    if is_new:
        store.run.watcher.on_upload_ready(store.key, put.key, file_id, put.file.size)
    return file_id


def _may_stay(store: StoreContext, put: Put) -> bool:
    """Whether a File keeps its chunks if it stays attached: no other of its text goes (see `StoreSteps.late_puts`)."""
    others_go = len(put.before_attach) > 1 or put in store.steps.late_puts
    return not (store.run.capabilities.shares_chunks and others_go)


def _is_completed_as_wanted(store: StoreContext, put: Put) -> bool:
    """Whether a File was completed since the plan, with the content, name and chunking that are wanted now."""
    file, wanted = store.client.find_file(store.id, put.existing_id), put.mark
    if file is None or file.status is not FileStatus.COMPLETED or not isinstance(file.mark, Mark):
        return False
    live = file.mark
    live_digests = (live.key_digest, live.content, live.name_digest, live.chunking_digest)
    return live_digests == (wanted.key_digest, wanted.content, wanted.name_digest, wanted.chunking_digest)


def _upload(store: StoreContext, put: Put) -> str:
    """Uploads a file and returns the File's id.

    Where a reply is lost and the File cannot be found, it is sent again, and the report names the one that may exist.
    """
    sends = 0
    while True:
        sends += 1
        try:
            return _upload_once(store, put)
        except LostReply as error:
            upload = f"upload of {put.key} as {put.file.filename}, {put.file.size} bytes"
            store.run.ledger.record_suspect(f"{upload}: {error}")
            if sends == _MAX_SENDS:
                raise
        store.run.results.record_retry(store.key, put.key)


def _upload_once(store: StoreContext, put: Put) -> str:
    """Uploads a file and returns the File's id.

    Raises LostReply where the reply is lost and no File can be shown to be this one, VssyncError where the upload fails
    or the file changes meanwhile: the File of those bytes is deleted at the end of the run.
    """
    file, ledger = put.file, store.run.ledger
    since = (store.client.service_date or 0) - _SERVICE_CLOCK_SKEW
    created: list[str] = []

    def find() -> str:
        """The newest File like this one that neither the run nor the store uses; "" where there is none.

        Files are listed newest first, so the whole account is not read.
        """
        recent = takewhile(lambda upload: upload.created_at >= since, store.client.list_uploads())
        alike = (upload.id for upload in recent if (upload.filename, upload.size) == (file.filename, file.size))
        unused = (file_id for file_id in alike if not ledger.is_known(file_id))
        return next((file_id for file_id in unused if not store.client.is_attached(store.id, file_id)), "")

    def recover(lost: LostReply) -> str:
        """The File that was made although the reply was lost, where its name proves it. Raises `lost` otherwise."""
        with suppress(VssyncError, Interrupted):
            subject = f"files of {store.key} whose upload got no reply to be listed"
            waiting = Waiting(subject, "they are uploaded again", _APPEARS_WITHIN)
            if ledger.is_proven_by_name(file) and (file_id := poll_until(store.run, find, waiting)):
                return file_id
        raise lost

    def record(file_id: str) -> None:
        """Records the File while the journal has it under way, so that an interruption finds it here or there."""
        created.append(file_id)
        ledger.record_loose(file_id, f"upload of {put.key} that was not attached yet")

    try:
        return store.writes.upload(store.run.settings.contents, file, record, recover)
    except VssyncError:
        for file_id in created:
            ledger.schedule_delete(file_id, f"upload of {put.key} that was not used")
        raise
