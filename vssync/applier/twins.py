"""Another machine may make a store for the same key at the same time: both runs must end in one.

Before the first file is attached, and when all is done, the stores are listed for one with the same mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from vssync.applier.context import ApplyRun, Result, StoreContext, result_of_error
from vssync.applier.wait import poll_until
from vssync.errors import ServiceError, VssyncError
from vssync.model.marks import StoreMark
from vssync.model.report import Status
from vssync.model.state import Contents, LiveStore
from vssync.planner.find_stores import twin_order


@dataclass(slots=True)
class NewStore:
    """A store that this run made; `mark` is its own, `replaced_id` that of the store in whose place it comes."""

    store: StoreContext
    mark: StoreMark
    replaced_id: str
    is_own: bool  # an answer said that it was made; one found after a lost reply may be another machine's


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
            subject="new stores to be listed",
            consequence="the report gives their ids",
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
        return store.client.list_all_files(live)
    except ServiceError:
        return None
