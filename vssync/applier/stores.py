"""Creates, updates and deletes stores, and waits until a new one can be used.

The mark is checked after each write: without it the next plan would not recognize the store as ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vssync.applier.context import DONE, ApplyRun, Deletion, Result, StoreContext, result_of_error
from vssync.applier.steps import StoreSteps, is_our_upload
from vssync.applier.twins import NewStore
from vssync.applier.upload import InFlightBatch
from vssync.applier.wait import poll_until
from vssync.errors import LostReply, ServiceError, VssyncError
from vssync.model.convergence import HELD_BACK
from vssync.model.digests import store_mark_for
from vssync.model.marks import (
    NEEDS_METADATA,
    RESERVED_PREFIX,
    STORE_APPLIED,
    STORE_BATCHES,
    STORE_OWNER,
    STORE_PROTECT,
    StoreMark,
    batch_note_text,
    fit_metadata,
    parse_store_mark,
)
from vssync.model.plan import Action, Plan, Reason, StoreChange
from vssync.model.report import Status
from vssync.model.state import LiveStore, StoreSettings
from vssync.planner.addresses import Scope

_MAX_ATTEMPTS = 3  # to create a store, where replies are lost and no new store appears
_NOTE_INTERVAL = 5.0  # seconds at least between two notes in a store; removing the note does not wait


def set_up_store(run: ApplyRun, store_steps: StoreSteps) -> tuple[StoreContext, NewStore | None]:
    """Creates or updates a store where the steps say so. Raises VssyncError where that fails."""
    change, settings = store_steps.setup, store_steps.settings
    store = StoreContext(
        run, store_steps.key, store_steps.store_id, store_steps.ignored_attributes, store_steps.unproven
    )
    if change is None or settings is None:
        return store, None
    if change.action in (Action.CREATE, Action.REPLACE):
        store.id, is_own = _create(run, settings, change, store_steps.store_id)
        mark = parse_store_mark(change.metadata[STORE_OWNER])
        return store, NewStore(store, mark, store_steps.store_id, is_own) if isinstance(mark, StoreMark) else None
    if store_steps.adopts:
        change = replace(change, metadata={**change.metadata, STORE_OWNER: _adopting_mark(change)})
    live = run.writes.update_store(store_steps.store_id, _request_body(settings, change), settings.key)
    _verify_mark(run, settings.key, live, change)
    return store, None


def _adopting_mark(change: StoreChange) -> str:
    """The mark that a store carries while its files are adopted."""
    mark = parse_store_mark(change.metadata[STORE_OWNER])
    assert isinstance(mark, StoreMark)
    return str(mark.as_adopting())


def end_adoption(run: ApplyRun, store_steps: StoreSteps) -> Result:
    """Writes the store's mark as it is to stay, if every file was adopted; other metadata is sent along unchanged."""
    change = store_steps.setup
    assert change
    if run.stopping or not run.results.are_done(store_steps.key, store_steps.adopts):
        return Result(
            Status.SKIPPED, "its adoption goes on, because not every file was adopted: apply again with --adopt"
        )
    mark, store_id = change.metadata[STORE_OWNER], store_steps.store_id
    try:
        if mark != _adopting_mark(change):
            live = run.client.get_store(store_id).metadata
            _verify_mark(
                run,
                store_steps.key,
                run.writes.update_store(store_id, {"metadata": {**live, STORE_OWNER: mark}}),
                change,
            )
    except VssyncError as error:
        return result_of_error(error)
    return DONE


def delete_store(run: ApplyRun, store_steps: StoreSteps) -> Result:
    """Deletes a store if everything else was done, and schedules the deletion of our uploads in it.

    Its files go with it: a request for each would change nothing that lasts.
    """
    if run.stopping or not run.results.all_done(store_steps.key, [put.key for put in store_steps.all_puts]):
        return Result(Status.SKIPPED, "the store is kept, because not everything else was done")
    change = store_steps.teardown
    if change and change.action is Action.REPLACE and Reason.UNLISTED in change.reasons:
        _release_store(run, store_steps)
        return DONE
    key, store_id, leaving = store_steps.key, store_steps.store_id, store_steps.leaving
    # No plan reads the files of an expired store.
    uploads = tuple(drop.file_id for drop in leaving if drop.is_our_upload) if leaving else _uploads_in(run, store_id)
    try:
        with suppress(LostReply):  # whether it is gone is seen at the end of the run in any case
            run.writes.delete_store(store_id, uploads)
    except VssyncError as error:
        return result_of_error(error)
    run.deletions += [Deletion(key, change_key, store_id) for change_key in ("", *(drop.key for drop in leaving))]
    for file_id in uploads:
        run.ledger.schedule_delete(file_id, f"upload in {key}'s deleted store")
    return DONE


def _release_store(run: ApplyRun, store_steps: StoreSteps) -> None:
    """Takes our metadata from a store that was replaced and is kept: nobody knows what is in it.

    If that fails, the store keeps our mark, and later plans list it after the new one.
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
            live = poll_until(
                run,
                find,
                timeout=run.settings.grace,
                subject=f"{settings.key} to be listed, since the reply to creating it was lost",
                consequence="it is created again" if attempts < _MAX_ATTEMPTS else "its files are not tried",
            )
            if live is None and attempts == _MAX_ATTEMPTS:
                raise
    store_id = live.id
    with _unseen_if_unanswered():
        is_ready = poll_until(
            run,
            lambda: run.client.is_ready(store_id),
            subject=f"the new store of {settings.key} to answer",
            consequence="its files are not tried",
        )
    if not is_ready:
        raise VssyncError(f"{settings.key}: the new store {store_id} does not answer yet; apply again later")
    _verify_mark(run, settings.key, live, change)
    return store_id, is_answered


@contextmanager
def _unseen_if_unanswered() -> Iterator[None]:
    """Turns an error of reading what was written into one that leaves open whether it was."""
    try:
        yield
    except ServiceError as error:
        raise LostReply(str(error), error.answer) from error


def _verify_mark(run: ApplyRun, key: str, live: LiveStore, change: StoreChange) -> None:
    """Raises VssyncError for a store that was written and carries no mark. A response without one is no proof."""
    mark = change.metadata[STORE_OWNER]
    with _unseen_if_unanswered():
        live_mark = live.metadata.get(STORE_OWNER) or run.client.get_store(live.id).metadata.get(STORE_OWNER)
    if mark != live_mark:
        raise VssyncError(
            f"{key}: the service lost the metadata of {live.id}; {NEEDS_METADATA}: "
            f"declare this one with `id: {live.id}` and `external: true`"
        )


def _request_body(settings: StoreSettings, change: StoreChange) -> dict[str, Any]:
    """The body that creates or updates a store. OpenAI spec: an expiry of null removes it."""
    days = settings.expires_after_days
    expires = {"anchor": "last_active_at", "days": days} if days else None
    return {"name": settings.name, "metadata": dict(change.metadata), "expires_after": expires}


def stamp_stores(run: ApplyRun, plan: Plan, written: Mapping[str, str]) -> None:
    """Leaves the run's stamp in each store that it wrote to, in whole, and left as the manifest wants it.

    `written` are the ids of these stores by their keys. An external store's metadata is somebody else's.
    """
    stamp, scope = run.settings.stamp, Scope.of(plan.options)
    if stamp is None or not run.capabilities.store_updates:
        return
    failed = {outcome.store for outcome in run.results.outcomes(plan) if outcome.status is not Status.DONE}
    time = datetime.fromtimestamp(run.client.service_date or run.client.clock.wall_time(), UTC)
    text = str(replace(stamp, time=f"{time:%Y-%m-%dT%H:%M:%SZ}"))
    stamped = [
        (written[store.key], store.desired)
        for store in plan.stores
        if store.key in written
        and store.key not in failed
        and store.desired
        and not (store.desired.external or store.unlisted)
        and scope.includes_all_files(store.key)
        and not any(note.kind in HELD_BACK for note in store.notes)
    ]
    run.pool.map(lambda entry: _stamp(run, plan.owner, *entry, text), stamped)


def _stamp(run: ApplyRun, owner: str, store_id: str, settings: StoreSettings, text: str) -> None:
    """Adds a stamp to a store's metadata; not where what is read of that is old, or there is no room."""
    with suppress(VssyncError):
        live = run.client.get_store(store_id).metadata
        is_current = live.get(STORE_OWNER) == str(store_mark_for(owner, settings))
        metadata = fit_metadata({**live, STORE_APPLIED: text})
        if is_current and bool(live.get(STORE_PROTECT)) is settings.protect and STORE_APPLIED in metadata:
            run.writes.update_store(store_id, {"metadata": metadata})


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
            store.writes.update_store(store.id, {"metadata": fit_metadata({**others, **note})})
            self._written = batch_ids
        except VssyncError:
            self._is_enabled, self._written = False, ()
