"""Deletes everything that one owner has in a service: the manifest is planned as if it declared nothing."""

from __future__ import annotations

from dataclasses import replace

from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session
from vssync.model.plan import Action, FileChange, Options, Plan, Reason, Refusal, StoreChange, StorePlan
from vssync.model.state import Limit


def plan_destruction(session: Session, *, delete_unmanaged: int | None = None) -> Plan:
    """The plan that deletes every store of this owner, and its files in stores that are external.

    It refuses a protected store, one that holds more than `delete_unmanaged` files of others, and an external one of
    which the service lists fewer files than it counts.
    """
    desired = session.loaded.desired
    external = tuple(replace(store, files=(), skipped={}) for store in desired.stores if store.external)
    emptied = replace(session.loaded, desired=replace(desired, stores=external))
    options = Options(allow_store_deletes=True, delete_unmanaged=delete_unmanaged, max_delete=Limit(share=1.0))
    plan = make_plan_now(replace(session, loaded=emptied), options)
    refusals = tuple(filter(None, map(_refusal, plan.stores)))
    return replace(plan, stores=tuple(map(_as_destruction, plan.stores)), refusals=refusals)


def _as_destruction(store: StorePlan) -> StorePlan:
    """The plan of a store with the true reason: nothing was looked up in the manifest."""

    def reasons(change: StoreChange | FileChange) -> tuple[Reason, ...]:
        return tuple(Reason.DESTROY if each is Reason.NOT_IN_MANIFEST else each for each in change.reasons)

    files = tuple(replace(change, reasons=reasons(change)) for change in store.files)
    return replace(store, files=files, change=store.change and replace(store.change, reasons=reasons(store.change)))


def _refusal(store: StorePlan) -> Refusal | None:
    """All or nothing: where one store must stay, a person decides first."""
    if store.desired and store.unlisted:
        message = (
            f"the service counts {store.live + store.unlisted:,} files in it but lists {store.live:,}, so not all of "
            "vssync's files can be found."
        )
        return Refusal(message, store.key, ("Try again later.",))
    if store.change is None or store.change.action is not Action.REFUSE:
        return None
    if Reason.UNREADABLE in store.change.reasons:  # what somebody wrote into one store stops no other
        return None
    if Reason.PROTECTED in store.change.reasons:
        return Refusal("the store is protected.", store.key, ("To delete it, first apply it with `protect: false`.",))
    return Refusal(f"{store.change.detail}.", store.key)
