"""Another machine may make a store, or a file, for the same key at the same time: both runs must end in one.

Before the first file is attached, and when all is done, the stores are listed for one with the same mark; and when all
is done, the newest files for a second copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from vssync.applier.context import ApplyRun, Result, StoreContext, result_of_error
from vssync.applier.steps import StoreSteps
from vssync.applier.wait import poll_until
from vssync.errors import ServiceError, VssyncError
from vssync.limits import PAGE_SIZE
from vssync.model.marks import Mark, StoreMark
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
        for new in new_stores:  # each was made, and may have a twin
            run.results.record_result(new.store.key, "", replace(result_of_error(error), status=Status.UNKNOWN))
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


def verify_single_copies(run: ApplyRun, store_ids: Mapping[str, str], stores: Sequence[StoreSteps]) -> None:
    """When all is done: a file that another run attached as well is named, since the next apply removes one copy.

    Only the newest files are listed: those of this run, and one page of what came before, while it was planned.
    """

    def verify(store_steps: StoreSteps) -> None:
        puts = {put.mark.key: put for put in store_steps.all_puts}
        old_ids = {drop.file_id for put in puts.values() for drop in (*put.before_attach, *put.afterwards)}
        old_ids |= {drop.file_id for drop in store_steps.drops}
        ids_by_key: dict[str, list[str]] = {}
        with suppress(ServiceError):  # nothing that was done depends on it
            for file in run.client.list_newest_files(store_ids[store_steps.key], len(puts) + PAGE_SIZE):
                put = puts.get(file.mark.key) if isinstance(file.mark, Mark) else None
                is_ours = put is not None and isinstance(file.mark, Mark) and file.mark.owner == put.mark.owner
                if put and is_ours and (file.id == put.existing_id or file.id not in old_ids):
                    ids_by_key.setdefault(put.key, []).append(file.id)
        for key, ids in ids_by_key.items():
            if len(ids) > 1:
                detail = f"another run attached it as well: {' and '.join(ids)} are copies of it; apply again"
                run.results.record_result(store_steps.key, key, Result(Status.UNKNOWN, detail))

    run.pool.map(verify, [steps for steps in stores if steps.all_puts and steps.key in store_ids])


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
