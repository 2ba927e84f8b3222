"""Attaches uploaded files: one batch where the service has them, and what else works where it has not.

A service may refuse a whole batch for one file, refuse or ignore the form that gives each file its own attributes, or
have no batches at all. And a reply may be lost: then the files are looked for, never attached again blindly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from vssync.api.capabilities import MissingCapability, missing_from_create_error
from vssync.applier.context import StoreContext
from vssync.applier.results import Result, failed
from vssync.applier.upload import InFlightBatch, PendingFile, refused_type_result
from vssync.applier.wait import poll_until
from vssync.errors import LostReply, ServiceError, VssyncError
from vssync.model.state import Capabilities

_LOOKS = 3  # attempts to attach what a lost reply left missing
_REJECTED = (400, 404, 413, 415, 422)


def attach(at: StoreContext, loads: Sequence[PendingFile], looks: int = _LOOKS) -> list[InFlightBatch]:
    """The flights on which the loads are now; what could not be attached has its result recorded."""
    if arrived := tuple(load for load in loads if load.arrived):
        return [
            _record_accepted(at, InFlightBatch(arrived)),
            *attach(at, [load for load in loads if not load.arrived], looks),
        ]
    if not loads:
        return []
    ways = at.run.ways  # as they are known now: other stores may close one meanwhile
    if len(loads) > 1 and ways.one_by_one:
        return _one_by_one(at, loads, looks)
    try:
        flight = _send(at, loads, ways)
    except LostReply as error:
        return _look_for_attached(at, loads, error, looks)
    except ServiceError as error:
        return _handle_refusal(at, loads, error, looks, ways)
    except VssyncError as error:  # the journal cannot be written: nothing was sent
        for load in loads:
            _discard(at, load, failed(error))
        return []
    return [_record_accepted(at, flight)]


def _record_accepted(at: StoreContext, flight: InFlightBatch) -> InFlightBatch:
    """Notes that the service took these files."""
    at.run.attached(load.file_id for load in flight.loads)
    for load in flight.loads:
        at.run.judge(load.put.file.extension, taken=True)
    return replace(flight, sent=at.client.clock.monotonic())


def _one_by_one(at: StoreContext, loads: Sequence[PendingFile], looks: int) -> list[InFlightBatch]:
    """A request each: what one is answered says nothing of the others. Together again they cost one listing a look."""
    flights = at.run.pool.map(lambda load: attach(at, [load], looks), loads)
    there = tuple(load for found in flights for flight in found for load in flight.loads)
    return [InFlightBatch(there, sent=at.client.clock.monotonic())] if there else []


def _handle_refusal(
    at: StoreContext, loads: Sequence[PendingFile], error: ServiceError, looks: int, tried: Capabilities
) -> list[InFlightBatch]:
    """Another way, the halves of what cannot go together, or the end of the one that is not taken."""
    lack = missing_from_create_error(error, [load.file_id for load in loads])
    try:
        if lack is MissingCapability.BATCHES and not at.client.ready(
            at.id
        ):  # the store is gone: that says nothing of these files
            _leave_unattached(at, loads, error)
            return []
        if _record_missing(at, lack, tried):
            return attach(at, loads, looks)
        if _is_already_attached(at, loads, error):
            return _look_for_attached(at, loads, error, looks)
    except ServiceError as why:
        _leave_unattached(at, loads, why)
        return []
    if error.answer.status not in _REJECTED:  # it says nothing of these files: the next run takes their uploads
        _leave_unattached(at, loads, error)
        return []
    if len(loads) > 1 and lack is not MissingCapability.ATTRIBUTES:
        if len(wanted := _without_refused_types(at, loads)) < len(loads):
            return attach(at, wanted, looks)
        half = len(loads) // 2
        return attach(at, loads[:half], looks) + attach(at, loads[half:], looks)
    for load in loads:
        _reject(at, load, error)
    return []


def _is_already_attached(at: StoreContext, loads: Sequence[PendingFile], error: ServiceError) -> bool:
    """Whether the store has such a file, in whatever words it says so: "already attached" is an answer."""
    code = error.answer.code
    if len(loads) > 1 or code in ("file_already_attached", "unsupported_file"):
        return code == "file_already_attached"
    return at.client.attached(at.id, loads[0].file_id)


def _leave_unattached(at: StoreContext, loads: Sequence[PendingFile], error: VssyncError) -> None:
    """Ends loads whose uploads stay as they are, to be named: they may be attached, and are good for the next run."""
    for load in loads:
        at.result(load.put.key, failed(error))
    at.settled(len(loads))


def _without_refused_types(at: StoreContext, loads: Sequence[PendingFile]) -> list[PendingFile]:
    """Of loads refused together, those of kinds that were not refused alone; the others end here, and are not halved.

    Bad files that come first must not speak for their kind, so each half is tried once before its files end here.
    """
    refused = [load for load in loads if at.run.refused(load.put.file.extension)]
    for load in refused:
        _discard(at, load, refused_type_result(load.put))
    return [load for load in loads if load not in refused] if refused else list(loads)


def _send(at: StoreContext, loads: Sequence[PendingFile], ways: Capabilities) -> InFlightBatch:
    """One request for all loads in the best of these ways; only one load where each needs its own."""
    if ways.batches and ways.batch_files:
        polled = at.writes.create_batch(at.id, [load.entry for load in loads])
        at.run.watcher.on_batch_sent(at.key)
        # Some services answer with the store's id: then nothing is known of the batch, and its files are looked at.
        return InFlightBatch(tuple(loads), "" if polled.batch.id == at.id else polled.batch.id)
    if ways.batches and ways.attribute_updates:
        for _, same in groupby(sorted(loads, key=_chunking), _chunking):
            _send_shared_batch(at, list(same))
        return InFlightBatch(tuple(loads))
    (load,) = loads
    at.writes.attach(at.id, load.entry)
    return InFlightBatch((load,))


def _chunking(load: PendingFile) -> tuple[int, int]:
    return load.put.chunking.size, load.put.chunking.overlap


def _send_shared_batch(at: StoreContext, loads: list[PendingFile]) -> None:
    """A batch whose files share one chunking and a provisional mark; each file's own attributes come after it."""
    first = loads[0]
    at.writes.create_batch_of(at.id, [load.file_id for load in loads], first.put.chunking, first.mark.as_provisional())
    at.run.watcher.on_batch_sent(at.key)


def _record_missing(at: StoreContext, lack: MissingCapability | None, tried: Capabilities) -> bool:
    """Closes, for this run, a way that was tried and that the service lacks; whether another one is left to try."""
    was_tried = {
        MissingCapability.BATCHES: tried.batches,
        MissingCapability.BATCH_FILES: tried.batches and tried.batch_files,
        MissingCapability.ATTRIBUTES: True,
    }
    if lack is None or not was_tried.get(lack):
        return False
    at.run.lacks(lack)
    return lack is not MissingCapability.ATTRIBUTES


def _look_for_attached(
    at: StoreContext, loads: Sequence[PendingFile], lost: ServiceError, looks: int
) -> list[InFlightBatch]:
    """After a lost reply: what is attached flies on, what stays missing for the time of grace is attached again."""
    wanted = {load.file_id for load in loads}
    one_request = len(loads) == 1 or (at.run.ways.batches and at.run.ways.batch_files)  # then one file tells of all

    def seen() -> set[str]:
        return wanted.intersection(file.id for file in at.client.files(at.id))

    def whole() -> tuple[bool, None]:
        return at.client.attached(at.id, loads[0].file_id) if one_request else seen() == wanted, None

    try:
        poll_until(at.run, whole, bool, bool, patience=at.run.grace)
        there = seen()
    except VssyncError:
        there, looks = set[str](), 0
    missing = [load for load in loads if load.file_id not in there]
    flights = (
        [_record_accepted(at, InFlightBatch(tuple(load for load in loads if load.file_id in there)))] if there else []
    )
    if missing and looks:
        for load in missing:
            at.again(load.put.key)
        return flights + attach(at, missing, looks - 1)
    _leave_unattached(at, missing, lost)
    return flights


def _reject(at: StoreContext, load: PendingFile, error: ServiceError) -> None:
    """The service refused this file: its upload goes at once, and so does trying more files of a refused kind."""
    if error.answer.code == "unsupported_file":
        at.run.judge(load.put.file.extension, taken=False)
    _discard(at, load, failed(error))


def _discard(at: StoreContext, load: PendingFile, result: Result) -> None:
    """Ends a load. Its fresh upload goes at once where no other store of this run took it, else after a look."""
    if not load.put.file_id:
        try:
            if not at.run.uploads.withdraw(load.file_id):
                raise VssyncError("another store may hold it")
            at.writes.delete_upload(load.file_id)
        except VssyncError:
            at.run.throw(load.file_id, f"upload of {load.put.key} that could not be attached")
        at.run.attached((load.file_id,))
    at.result(load.put.key, result)
    at.settled()
