"""Makes stores what they should be, and waits until a new one can be used.

Each is looked at once after it was written: without its mark it would be nobody's, and the next plan would adopt it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vssync.applier.context import ApplyRun, StoreContext
from vssync.applier.steps import StoreSteps
from vssync.applier.wait import poll_until
from vssync.errors import LostReply, VssyncError
from vssync.model.marks import NEEDS_METADATA, STORE_BATCHES, STORE_OWNER, Mark, Origin, StoreMark, batch_note_text
from vssync.model.plan import Action, StoreChange
from vssync.model.state import LiveStore, StoreSettings, StoreStatus

_SENDS = 3  # of a create, when replies are lost and no store is to be seen


def set_up_store(run: ApplyRun, store: StoreSteps) -> str:
    """The store's id, once it is as desired and answers.

    Raises VssyncError when it cannot be made so.
    """
    change, settings = store.setup, store.settings
    if change is None or settings is None:
        return store.store_id
    if change.action in (Action.CREATE, Action.REPLACE):
        return _create(run, settings, change)
    _owned(run, settings.key, run.writes.update_store(store.store_id, _settings(settings, change)), change)
    return store.store_id


def delete_store(run: ApplyRun, store: StoreSteps) -> None:
    """Deletes a store. What was uploaded for one that the plan did not look into goes as well, once nothing holds it.

    Raises VssyncError when it is still there.
    """
    uploads = () if store.removes else _uploads_in(run, store.store_id)
    run.writes.delete_store(store.store_id, uploads)
    for file_id in uploads:
        run.throw(file_id, f"upload in {store.key}'s deleted store", store.store_id)


def _uploads_in(run: ApplyRun, store_id: str) -> tuple[str, ...]:
    """Our own uploads in an expired store, which no plan looks into; some services do not list one any more."""
    try:
        owner = run.client.store(store_id).mark
        files = run.client.files(store_id)
    except VssyncError as error:
        run.suspect(f"uploads in the store {store_id}, which could not be listed before it was deleted: {error}")
        return ()
    return tuple(file.id for file in files if _uploaded_by(owner, file.mark))


def _uploaded_by(owner: object, mark: object) -> bool:
    if not (isinstance(owner, StoreMark) and isinstance(mark, Mark)):
        return False
    return mark.owner == owner.owner and mark.origin is Origin.UPLOADED


def _create(run: ApplyRun, settings: StoreSettings, change: StoreChange) -> str:
    body = _settings(settings, change)
    if settings.description:
        body["description"] = settings.description
    if body["expires_after"] is None:
        del body["expires_after"]
    live = _created(run, body)
    ready = poll_until(run, lambda: (run.client.ready(live.id), None), bool, lambda ready: ready)
    if not ready:
        raise VssyncError(f"{settings.key}: the new store {live.id} does not answer yet; apply again later")
    _owned(run, settings.key, live, change)
    return live.id


def _owned(run: ApplyRun, key: str, live: LiveStore, change: StoreChange) -> None:
    """Raises VssyncError for a store that was written and carries no mark; an answer may leave metadata out."""
    mark = change.metadata[STORE_OWNER]
    if mark != (live.metadata.get(STORE_OWNER) or run.client.store(live.id).metadata.get(STORE_OWNER)):
        raise VssyncError(
            f"{key}: the service lost the metadata of {live.id}; {NEEDS_METADATA}: "
            f"declare this one with `id: {live.id}` and `external: true`"
        )


def _created(run: ApplyRun, body: Mapping[str, Any]) -> LiveStore:
    """The new store. After a lost reply it is looked for by its mark: there must never be two."""
    mark = body["metadata"][STORE_OWNER]
    sends = 1
    while True:
        try:
            return run.writes.create_store(body)
        except LostReply:
            if found := poll_until(run, lambda: (_with_mark(run, mark), None), bool, bool, patience=run.grace):
                return found
            if sends == _SENDS:
                raise
        sends += 1


def _with_mark(run: ApplyRun, mark: str) -> LiveStore | None:
    """The store with this mark, if any; an expired one is that which the new one replaces."""
    usable = (store for store in run.client.stores() if store.status is not StoreStatus.EXPIRED)
    return next((store for store in usable if store.metadata.get(STORE_OWNER) == mark), None)


def _settings(settings: StoreSettings, change: StoreChange) -> dict[str, Any]:
    """OpenAI spec: an expiry of null removes it."""
    days = settings.expires_after_days
    expires = {"anchor": "last_active_at", "days": days} if days else None
    return {"name": settings.name, "metadata": dict(change.metadata), "expires_after": expires}


EVERY = 5.0  # seconds between two notes of a store, but for the last


class BatchNote:
    """One store's note; only where the service lists no batches and its stores can be updated safely.

    None is written into a store that is not `ours`: an external one's metadata is somebody else's.
    """

    def __init__(self, at: StoreContext, *, ours: bool) -> None:
        self._at = at
        self._wanted: bool | None = None if ours else False
        self._said: tuple[str, ...] = ()
        self._next = 0.0

    def say(self, batch_ids: Iterable[str]) -> None:
        """These batches are under way."""
        found = tuple(filter(None, batch_ids))
        now = self._at.client.clock.monotonic()
        if found and found != self._said and now >= self._next and self._useful():
            self._next = now + EVERY
            self._write(found)

    def end(self) -> None:
        """None is under way any more."""
        if self._said:
            self._write(())

    def _useful(self) -> bool:
        """Asked once a store, and only when there is a batch to speak of."""
        if self._wanted is None:
            ways = self._at.run.ways
            self._wanted = ways.store_updates and ways.batches and self._lists_none()
        return self._wanted

    def _lists_none(self) -> bool:
        try:
            return self._at.client.batches(self._at.id) is None
        except VssyncError:
            return False

    def _write(self, batch_ids: tuple[str, ...]) -> None:
        """What others keep in the store's metadata goes along as it is: a write replaces the whole map."""
        try:
            live = self._at.client.store(self._at.id).metadata
            others = {name: value for name, value in live.items() if name != STORE_BATCHES}
            note = {STORE_BATCHES: batch_note_text(batch_ids)} if batch_ids else {}
            self._at.writes.update_store(self._at.id, {"metadata": {**others, **note}})
            self._said = batch_ids
        except VssyncError:
            self._wanted, self._said = False, ()
