"""Taking away everything that one owner has in a service: the manifest planned as if it wanted nothing."""

from __future__ import annotations

from dataclasses import replace

from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session
from vssync.model.plan import Action, Options, Plan, Reason, Refusal, StorePlan
from vssync.model.state import Limit


def plan_destruction(work: Session, *, delete_unmanaged: int | None = None) -> Plan:
    """The plan that deletes every store of this owner, and its files in stores that are external.

    A protected store is a refusal in it, and so is one that holds more than `delete_unmanaged` files of others.
    """
    desired = work.loaded.desired
    external = tuple(replace(store, files=(), skipped={}) for store in desired.stores if store.external)
    nothing = replace(work.loaded, desired=replace(desired, stores=external))
    options = Options(allow_store_deletes=True, delete_unmanaged=delete_unmanaged, max_delete=Limit(share=1.0))
    planned = make_plan_now(replace(work, loaded=nothing), options)
    return replace(planned, refusals=tuple(_kept(store) for store in planned.stores if _refused(store)))


def _refused(store: StorePlan) -> bool:
    return store.change is not None and store.change.action is Action.REFUSE


def _kept(store: StorePlan) -> Refusal:
    """All or nothing: where one store must stay, a person decides first."""
    assert store.change
    if Reason.PROTECTED in store.change.reasons:
        return Refusal("the store is protected.", store.key, ("To let it go, apply it once with `protect: false`.",))
    return Refusal(f"{store.change.detail}.", store.key)
