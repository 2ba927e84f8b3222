"""Deletes everything that one owner has in a service: the manifest is planned as if it declared nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session
from vssync.errors import Refused
from vssync.model.plan import Action, FileChange, Options, Plan, Reason, Refusal, StoreChange, StorePlan
from vssync.model.state import Limit

Change = TypeVar("Change", FileChange, StoreChange)


def plan_destruction(
    session: Session, delete_unmanaged: int | None = None, delete_unlisted: tuple[str, ...] = ()
) -> Plan:
    """The plan that deletes every store of this owner, and its files in stores that are external.

    It refuses a protected store, one that holds more than `delete_unmanaged` files of others, one whose files cannot be
    listed and that `delete_unlisted` does not name by key or id, and an external one of which not all is listed.
    """
    desired = session.loaded.desired
    external = (store for store in (*desired.stores, *desired.removed) if store.external)
    emptied_stores = tuple(replace(store, files=(), skipped={}, removed=None) for store in external)
    emptied = replace(session.loaded, desired=replace(desired, stores=emptied_stores, removed=()))
    options = Options(
        allow_store_deletes=True,
        delete_unmanaged=delete_unmanaged,
        delete_unlisted=delete_unlisted,
        max_delete=Limit(share=1.0),
    )
    plan = make_plan_now(replace(session, loaded=emptied), options)
    if denied := session.client.stores_denied:
        raise Refused(f"{denied}; what this manifest owns is only known to those who may list all stores")
    stores = tuple(replace(store, files=tuple(map(_as_destroyed, store.files))) for store in plan.stores)
    stores = tuple(replace(store, change=store.change and _as_destroyed(store.change)) for store in stores)
    return replace(plan, stores=stores, refusals=tuple(filter(None, map(_refusal, stores))))


def _as_destroyed(change: Change) -> Change:
    """The same change, with the right reason: the manifest may still declare what goes."""
    reasons = (Reason.DESTROY if reason is Reason.NOT_IN_MANIFEST else reason for reason in change.reasons)
    return replace(change, reasons=tuple(reasons))


def _refusal(store: StorePlan) -> Refusal | None:
    """All or nothing: where one store must stay, a person decides first."""
    if store.change is None or store.change.action is not Action.REFUSE:
        return None
    if Reason.UNREADABLE in store.change.reasons:  # what somebody wrote into one store stops no other
        return None
    if Reason.PROTECTED in store.change.reasons:
        return Refusal("the store is protected.", store.key, ("To delete it, first apply it with `protect: false`.",))
    return Refusal(f"{store.change.detail}.", store.key)
