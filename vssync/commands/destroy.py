"""Taking away everything that one owner has in a service: the manifest planned as if it wanted nothing."""

from __future__ import annotations

from dataclasses import replace

from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session
from vssync.model.plan import Action, Options, Plan, Reason, Refusal, StorePlan
from vssync.model.state import Limit


def plan_destruction(work: Session, *, delete_unmanaged: int | None = None) -> Plan:
    """The plan that deletes every store of this owner, and its files in stores that are external.

    A protected store is a refusal in it, and so is one that holds more than `delete_unmanaged` files of others, or of
    which the service lists fewer files than it counts.
    """
    desired = work.loaded.desired
    external = tuple(replace(store, files=(), skipped={}) for store in desired.stores if store.external)
    nothing = replace(work.loaded, desired=replace(desired, stores=external))
    options = Options(allow_store_deletes=True, delete_unmanaged=delete_unmanaged, max_delete=Limit(share=1.0))
    planned = make_plan_now(replace(work, loaded=nothing), options)
    return replace(planned, refusals=tuple(filter(None, map(_refusal, planned.stores))))


def _refusal(store: StorePlan) -> Refusal | None:
    """All or nothing: where one store must stay, a person decides first."""
    if store.desired and store.unlisted:  # an external one, of which ours would be left behind
        numbers = f"{store.live + store.unlisted:,} files in it and lists {store.live:,}"
        return Refusal(
            f"the service counts {numbers}, so not all of ours can be found.", store.key, ("Try again later.",)
        )
    if store.change is None or store.change.action is not Action.REFUSE:
        return None
    if Reason.PROTECTED in store.change.reasons:
        return Refusal("the store is protected.", store.key, ("To delete it, first apply it with `protect: false`.",))
    return Refusal(f"{store.change.detail}.", store.key)
