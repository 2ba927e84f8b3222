"""Deletes the uploads that a run no longer needs, after a complete listing of every store that may hold them.

Deleting a File takes it out of all its stores, so where a listing fails nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vssync.api.client import Client
from vssync.applier.context import ApplyRun
from vssync.applier.wait import poll_until
from vssync.errors import VssyncError
from vssync.model.marks import StoreMark
from vssync.model.state import Desired, LiveStore
from vssync.threads import Pool

_LISTING_DELAY = 60.0  # seconds for which a detached file may still be listed


def delete_unused_uploads(run: ApplyRun, owner: str) -> None:
    """Deletes the scheduled uploads that no store holds; for one that stays unused, the ledger gets the reason."""
    pending = run.ledger.pending_deletes()
    if not pending:
        return

    def still_listed(held: Mapping[str, frozenset[str]]) -> list[str]:
        """The uploads still listed in the store they were detached from: some services are late."""
        return [file_id for file_id, entry in pending.items() if entry.detached_from in held.get(file_id, ())]

    try:
        held = poll_until(
            run,
            lambda: stores_by_file_id(run.client, run.pool, owner, run.settings.declared_stores),
            is_done=lambda held: not still_listed(held),
            progress_of=frozenset,  # the ids of the Files that any store holds
            timeout=_LISTING_DELAY,
        )
    except VssyncError as error:
        for file_id, entry in pending.items():
            run.ledger.explain(file_id, f"{entry.why}; kept, because {error}")
        return
    for file_id in still_listed(held):
        run.ledger.explain(file_id, f"{pending.pop(file_id).why}; its store still lists it")
    unheld = {file_id: entry for file_id, entry in pending.items() if file_id not in held}
    for file_id in pending.keys() - unheld.keys():  # another store uses it
        run.ledger.record_closed(file_id)

    def delete(file_id: str) -> None:
        try:
            run.writes.delete_upload(file_id)
            run.ledger.record_closed(file_id)
        except VssyncError as error:
            run.ledger.explain(file_id, f"{unheld[file_id].why}; {error}")
        finally:
            run.watcher.on_upload_deleted()

    run.watcher.on_cleanup(len(unheld))
    run.pool.map(delete, unheld)


def declared_stores(desired: Desired) -> frozenset[str]:
    """The id or name of every store of the manifest: an external one carries no mark to recognize it by."""
    return frozenset(store.id or store.name for store in desired.stores)


def stores_by_file_id(
    client: Client, pool: Pool, owner: str, declared: Collection[str]
) -> Mapping[str, frozenset[str]]:
    """The ids of the stores that hold each File, by File id. Raises ServiceError.

    Lists every store that any environment of this manifest owns, and every `declared` one, by id or name.
    """
    manifest_name = owner.partition("/")[0]

    def may_hold_uploads(live: LiveStore) -> bool:
        if live.id in declared or live.name in declared:
            return True
        if isinstance(live.mark, StoreMark):
            return live.mark.owner.partition("/")[0] == manifest_name
        return live.mark is not None  # a mark that cannot be read counts, to be safe

    stores = list(filter(may_hold_uploads, client.list_stores()))
    listings = pool.map(client.require_all_files, stores)
    held: dict[str, frozenset[str]] = {}
    for store, files in zip(stores, listings, strict=True):
        for file in files:
            held[file.id] = held.get(file.id, frozenset()) | {store.id}
    return held
