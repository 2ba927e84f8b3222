"""Makes stores what they should be, and waits until a new one can be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vssync.applier.context import Run
from vssync.applier.polling import until
from vssync.errors import LostReply, VssyncError
from vssync.model import DesiredStore
from vssync.ownership import STORE_OWNER
from vssync.plan import Action, StoreChange
from vssync.steps import StoreSteps


def set_up(run: Run, store: StoreSteps) -> str:
    """The store's id, once it is as desired and answers.

    Raises VssyncError when it cannot be made so.
    """
    change, settings = store.setup, store.settings
    if change is None or settings is None:
        return store.store_id
    if change.action in (Action.CREATE, Action.REPLACE):
        return _create(run, settings, change)
    run.writes.update_store(store.store_id, _settings(settings, change))
    return store.store_id


def _create(run: Run, settings: DesiredStore, change: StoreChange) -> str:
    body = _settings(settings, change)
    if settings.description:
        body["description"] = settings.description
    if body["expires_after"] is None:
        del body["expires_after"]
    store_id = _created(run, body)
    ready = until(run, lambda: (run.client.ready(store_id), None), bool, lambda ready: ready)
    if not ready:
        raise VssyncError(f"{settings.key}: the new store {store_id} does not answer yet; apply again later")
    return store_id


def _created(run: Run, body: Mapping[str, Any]) -> str:
    """The new store's id. After a lost reply it is looked for by its mark: there must never be two."""
    try:
        return run.writes.create_store(body)
    except LostReply:
        mark = body["metadata"][STORE_OWNER]

        def look() -> tuple[list[str], None]:
            return [store.id for store in run.client.stores() if store.metadata.get(STORE_OWNER) == mark], None

        if found := until(run, look, bool, bool, patience=run.grace):
            return found[-1]
        return run.writes.create_store(body)


def _settings(settings: DesiredStore, change: StoreChange) -> dict[str, Any]:
    """OpenAI spec: an expiry of null removes it."""
    days = settings.expires_after_days
    expires = {"anchor": "last_active_at", "days": days} if days else None
    return {"name": settings.name, "metadata": dict(change.metadata), "expires_after": expires}
