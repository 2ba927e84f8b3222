"""Creates, updates and deletes stores, and waits until a new one can be used.

The mark is checked after each write: without it the next plan would not recognize the store as ours. A store may be
made by another machine at the same time: before the first file is attached, and when all is done, the stores are listed
for one with the same mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vssync.applier.context import DONE, ApplyRun, Result, StoreContext, result_of_error
from vssync.applier.steps import StoreSteps, is_our_upload
from vssync.applier.upload import InFlightBatch
from vssync.applier.wait import poll_until
from vssync.errors import LostReply, ServiceError, VssyncError
from vssync.model.marks import (
    NEEDS_METADATA,
    RESERVED_PREFIX,
    STORE_BATCHES,
    STORE_OWNER,
    StoreMark,
    batch_note_text,
    parse_store_mark,
)
from vssync.model.plan import Action, Reason, StoreChange
from vssync.model.report import Status
from vssync.model.state import Contents, LiveStore, StoreSettings
from vssync.planner.find_stores import twin_order

_MAX_ATTEMPTS = 3  # to create a store, where replies are lost and no new store appears
_NOTE_INTERVAL = 5.0  # seconds at least between two notes in a store; only the last comes at once


@dataclass(slots=True)
class NewStore:
    """A store that this run made; `mark` is its own, `replaced_id` that of the store in whose place it comes."""

    store: StoreContext
    mark: StoreMark
    replaced_id: str
    is_own: bool  # an answer said that it was made; one found after a lost reply may be another machine's


def set_up_store(run: ApplyRun, store_steps: StoreSteps) -> tuple[StoreContext, NewStore | None]:
    """Creates or updates a store where the steps say so. Raises VssyncError where that fails."""
    change, settings = store_steps.setup, store_steps.settings
    store = StoreContext(run, store_steps.key, store_steps.store_id, store_steps.ignored_attributes)
    if change is None or settings is None:
        return store, None
    if change.action in (Action.CREATE, Action.REPLACE):
        store.id, is_own = _create(run, settings, change, store_steps.store_id)
        mark = parse_store_mark(change.metadata[STORE_OWNER])
        return store, NewStore(store, mark, store_steps.store_id, is_own) if isinstance(mark, StoreMark) else None
    live = run.writes.update_store(store_steps.store_id, _request_body(settings, change))
    _verify_mark(run, settings.key, live, change)
    return store, None


def join_twin(new: NewStore) -> None:
    """Before the first attach: goes on in another machine's store where that comes first, and deletes its own.

    Raises VssyncError where the stores cannot be listed.
    """
    store = new.store
    twins = _list_twins(new, store.client.list_stores())
    if not twins:
        return
    contents_by_id = {live.id: _read_contents(store, live) for live in twins}
    own = store.client.get_store(store.id)
    candidates = {own.id: own, **{live.id: live for live in twins}}
    contents_by_id[own.id] = _read_contents(store, own)
    first = min(candidates.values(), key=lambda live: twin_order(live, contents_by_id[live.id], (new.mark.owner,)))
    if first.id == own.id:
        return
    contents = contents_by_id[own.id]
    if new.is_own and contents and not (contents.files or contents.unlisted):
        with suppress(VssyncError):  # it stays, then, and the run says so at its end
            store.writes.delete_store(own.id, ())
    store.run.say_once(f"{store.key}: another run made {first.id} at the same time; this one goes on in that store")
    store.id, new.is_own = first.id, False


def verify_new_stores(run: ApplyRun, new_stores: Sequence[NewStore]) -> None:
    """When all is done: a store that no listing shows, or that has a twin, is named, since the next plan meets it."""
    if not new_stores:
        return
    ids = {new.store.id for new in new_stores}
    try:
        listed = poll_until(
            run,
            run.client.list_stores,
            is_done=lambda stores: ids <= {live.id for live in stores},
            timeout=run.settings.grace,
        )
    except VssyncError as error:
        for new in new_stores:
            run.results.record_result(new.store.key, "", result_of_error(error))
        return
    for new in new_stores:
        store_id = new.store.id
        if store_id not in {live.id for live in listed}:
            detail = (
                f"the service does not list the new store, so another run may make a second one; add this line to "
                f"{new.store.key} in the manifest:\nid: {store_id}"
            )
        elif twins := _list_twins(new, listed):
            others = " and ".join(live.id for live in twins)
            detail = f"another run made {others} for the same key while this one made {store_id}; plan again"
        else:
            continue
        run.results.record_result(new.store.key, "", Result(Status.UNKNOWN, detail))


def _list_twins(new: NewStore, stores: Sequence[LiveStore]) -> list[LiveStore]:
    """Other stores with the mark of this owner and key."""
    known_ids = (new.store.id, new.replaced_id)
    others = (live for live in stores if live.id not in known_ids and not live.is_expired)
    marks = ((live, live.mark) for live in others)
    key = (new.mark.owner, new.mark.key)
    return [live for live, mark in marks if isinstance(mark, StoreMark) and (mark.owner, mark.key) == key]


def _read_contents(store: StoreContext, live: LiveStore) -> Contents | None:
    """What a store holds; None where that cannot be listed."""
    try:
        listing = store.client.list_all_files(live)
    except ServiceError:
        return None
    return Contents(listing.files, count=listing.count, verdict=listing.verdict)


def delete_store(run: ApplyRun, store_steps: StoreSteps) -> Result:
    """Deletes a store if everything else was done, and schedules the deletion of our uploads in it."""
    if run.stopping or not run.results.all_done(store_steps.key, [put.key for put in store_steps.puts]):
        return Result(Status.SKIPPED, "the store is kept, because not everything else was done")
    change = store_steps.teardown
    if change and change.action is Action.REPLACE and Reason.UNLISTED in change.reasons:
        _release_store(run, store_steps)
        return DONE
    # The steps that removed its files have scheduled that already; no plan reads the files of an expired store.
    uploads = () if store_steps.removes else _uploads_in(run, store_steps.store_id)
    try:
        run.writes.delete_store(store_steps.store_id, uploads)
    except VssyncError as error:
        return result_of_error(error)
    for file_id in uploads:
        run.ledger.schedule_delete(file_id, f"upload in {store_steps.key}'s deleted store", store_steps.store_id)
    return DONE


def _release_store(run: ApplyRun, store_steps: StoreSteps) -> None:
    """Takes our metadata from a store that was replaced and is kept: nobody knows what is in it.

    Where that cannot be written it stays, and so does the store's place behind the new one.
    """
    store_id = store_steps.store_id
    with suppress(VssyncError):
        live = run.client.get_store(store_id)
        others = {name: value for name, value in live.metadata.items() if not name.startswith(RESERVED_PREFIX)}
        run.writes.update_store(store_id, {"metadata": others})
    run.say_once(f"{store_steps.key}: {store_id} was replaced and is kept, since its files cannot be listed")


def _uploads_in(run: ApplyRun, store_id: str) -> tuple[str, ...]:
    """The ids of our uploads in a store.

    Some services do not list an expired one: then none is returned, and the ledger records that there may be some.
    """
    try:
        mark = run.client.get_store(store_id).mark
        files = run.client.list_files(store_id)
    except VssyncError as error:
        unlisted = f"uploads in the store {store_id}, which could not be listed before it was deleted"
        run.ledger.record_suspect(f"{unlisted}: {error}")
        return ()
    if not isinstance(mark, StoreMark):
        return ()
    return tuple(file.id for file in files if is_our_upload(file.mark, mark.owner))


def _create(run: ApplyRun, settings: StoreSettings, change: StoreChange, replaced_id: str) -> tuple[str, bool]:
    """Creates a store; returns its id, and whether an answer gave it.

    After a lost reply it is looked up by its mark: there must never be two.
    """
    fields = {**_request_body(settings, change), "description": settings.description}
    body = {name: value for name, value in fields.items() if value}

    def find() -> LiveStore | None:
        """The store with the mark; one that the new one replaces does not count."""
        usable = (live for live in run.client.list_stores() if not live.is_expired and live.id != replaced_id)
        return next((live for live in usable if live.metadata.get(STORE_OWNER) == change.metadata[STORE_OWNER]), None)

    live, attempts, is_answered = None, 0, False
    while live is None:
        attempts += 1
        try:
            live = run.writes.create_store(settings.key, body)
            is_answered = True
        except LostReply:
            live = poll_until(run, find, timeout=run.settings.grace)
            if live is None and attempts == _MAX_ATTEMPTS:
                raise
    store_id = live.id
    if not poll_until(run, lambda: run.client.is_ready(store_id)):
        raise VssyncError(f"{settings.key}: the new store {store_id} does not answer yet; apply again later")
    _verify_mark(run, settings.key, live, change)
    return store_id, is_answered


def _verify_mark(run: ApplyRun, key: str, live: LiveStore, change: StoreChange) -> None:
    """Raises VssyncError for a store that was written and carries no mark. A response without one is no proof."""
    mark = change.metadata[STORE_OWNER]
    if mark != (live.metadata.get(STORE_OWNER) or run.client.get_store(live.id).metadata.get(STORE_OWNER)):
        raise VssyncError(
            f"{key}: the service lost the metadata of {live.id}; {NEEDS_METADATA}: "
            f"declare this one with `id: {live.id}` and `external: true`"
        )


def _request_body(settings: StoreSettings, change: StoreChange) -> dict[str, Any]:
    """The body that creates or updates a store. OpenAI spec: an expiry of null removes it."""
    days = settings.expires_after_days
    expires = {"anchor": "last_active_at", "days": days} if days else None
    return {"name": settings.name, "metadata": dict(change.metadata), "expires_after": expires}


class UnfinishedBatchNote:
    """A note of the batches under way in the store's metadata, so that a later run finds them.

    Only where the service lists no batches and its stores can be updated safely; and never in an external store, whose
    metadata is somebody else's.
    """

    def __init__(self, store: StoreContext, *, is_external: bool) -> None:
        self._store = store
        self._is_enabled = not is_external
        self._is_checked = False
        self._written: tuple[str, ...] = ()
        self._next_write = 0.0

    def update(self, batches: Iterable[InFlightBatch]) -> None:
        """Notes that these batches are under way, unless the last note says so or was written just now."""
        batch_ids = tuple(batch.batch_id for batch in batches if batch.batch_id)
        now = self._store.client.clock.monotonic()
        if not self._is_enabled or not batch_ids or batch_ids == self._written or now < self._next_write:
            return
        if not self._is_checked:  # once for each store, and only where there is a batch to note
            self._is_checked, self._is_enabled = True, self._is_needed()
        if self._is_enabled:
            self._next_write = now + _NOTE_INTERVAL
            self._write(batch_ids)

    def _is_needed(self) -> bool:
        """Whether the service has batches, does not list them, and lets a store be updated."""
        capabilities = self._store.run.capabilities
        if capabilities.store_updates and capabilities.batches:
            with suppress(VssyncError):
                return self._store.client.list_batches(self._store.id) is None
        return False

    def clear(self) -> None:
        """Removes the note: no batch is under way any more."""
        if self._written:
            self._write(())

    def _write(self, batch_ids: tuple[str, ...]) -> None:
        """Writes the note. The write replaces the whole map, so other metadata is sent along unchanged."""
        store = self._store
        try:
            live = store.client.get_store(store.id).metadata
            others = {name: value for name, value in live.items() if name != STORE_BATCHES}
            note = {STORE_BATCHES: batch_note_text(batch_ids)} if batch_ids else {}
            store.writes.update_store(store.id, {"metadata": {**others, **note}})
            self._written = batch_ids
        except VssyncError:
            self._is_enabled, self._written = False, ()
