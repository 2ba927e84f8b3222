"""Deletes everything that one owner has in a service: the manifest is planned as if it declared nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from vssync.api.errors import describe_answer
from vssync.api.pagination import Order
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session
from vssync.commands.snapshot import stores_created_here
from vssync.errors import Refused
from vssync.model.plan import Action, FileChange, Options, Plan, Reason, Refusal, StoreChange, StorePlan
from vssync.model.state import DesiredStore, Limit

Change = TypeVar("Change", FileChange, StoreChange)


def plan_destruction(
    session: Session,
    delete_unmanaged: int | None = None,
    delete_unlisted: tuple[str, ...] = (),
    *,
    allow_gap: bool = False,
) -> Plan:
    """The plan that deletes every store of this owner, and its files in stores that are external.

    It refuses a protected store, one that holds more than `delete_unmanaged` files of others, one whose files cannot be
    listed and that `delete_unlisted` does not name by key or id, an external one of which not all is listed, and one
    that lost its mark. `allow_gap` deletes files of an external store though search then misses others of their text.
    """
    desired = session.loaded.desired
    external = (store for store in (*desired.stores, *desired.removed) if store.external)
    emptied_stores = tuple(replace(store, files=(), skipped={}, removed=None) for store in external)
    emptied = replace(session.loaded, desired=replace(desired, stores=emptied_stores, removed=()))
    options = Options(
        allow_store_deletes=True,
        delete_unmanaged=delete_unmanaged,
        delete_unlisted=delete_unlisted,
        allow_gap=allow_gap,
        max_delete=Limit(share=1.0),
    )
    plan = make_plan_now(replace(session, loaded=emptied), options)
    if denied := session.client.stores_denied:
        raise Refused(
            f"{describe_answer(denied.answer)}; what this manifest owns is known only to a credential that may list "
            "all stores: use one"
        )
    refusals = tuple(filter(None, map(_refusal, plan.stores)))
    refused = {refusal.store for refusal in refusals}
    stores = tuple(_as_destroyed(store, is_refused=store.key in refused) for store in plan.stores)
    found = {store.key for store in stores}
    missed = [store for store in desired.stores if not store.external and store.key not in found]
    missing = (*_refuse_lost(session, missed), *_refuse_unlisted(session, missed)) if missed else ()
    return replace(plan, stores=stores, refusals=(*refusals, *missing))


def _refuse_lost(session: Session, stores: Iterable[DesiredStore]) -> Iterator[Refusal]:
    """A refusal for each of these stores that is there without its mark: an apply would take it back, so it is ours."""
    unmarked = [live for live in session.client.list_stores() if live.mark is None]
    names, created_here = {live.name for live in unmarked}, stores_created_here(session)
    ids = {live.id for live in unmarked}
    keys_created_here = {key for store_id, key in created_here.items() if store_id in ids}
    for store in stores:
        if not (store.name in names or store.id in ids or not keys_created_here.isdisjoint((store.key, *store.was))):
            continue
        alone = replace(session.loaded.desired, stores=(replace(store, files=(), skipped={}),), removed=())
        with suppress(Refused):  # another owner's
            plan = make_plan_now(replace(session, loaded=replace(session.loaded, desired=alone)), Options())
            planned = next(planned for planned in plan.stores if planned.key == store.key)
            if planned.change and planned.change.action is Action.UPDATE:
                way_out = "`vssync apply` restores the mark; after that, `vssync destroy` deletes the store."
                yield Refusal(f"{planned.id} lost its mark, and its files carry ours.", store.key, (way_out,))


def _refuse_unlisted(session: Session, stores: Iterable[DesiredStore]) -> Iterator[Refusal]:
    """A refusal for each of these stores where the list of stores is cut: from each end it shows others."""
    ends = (Order.OLDEST_FIRST, Order.NEWEST_FIRST)
    oldest, newest = ({live.id for live in session.client.list_stores(end)} for end in ends)
    if oldest - newest and newest - oldest:
        problem = "the service lists only some of its stores, so it is not known whether this one exists."
        way_out = "Destroy from the machine that created the store, which knows its id, or delete the store by hand."
        yield from (Refusal(problem, store.key, (way_out,)) for store in stores)


def _as_destroyed(store: StorePlan, *, is_refused: bool) -> StorePlan:
    """The same plan, with the right reasons: the manifest may still declare what goes. A refusal has its own detail."""
    change = _with_reason(store.change) if store.change else None
    change = replace(change, detail="") if change and is_refused else change
    return replace(store, change=change, files=tuple(map(_with_reason, store.files)))


def _with_reason(change: Change) -> Change:
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
