"""Deletes the uploads that a run no longer needs, after a complete listing of every store that may hold them.

Deleting a File takes it out of all its stores, so when a listing fails it stays.
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

_LATE = 60.0  # seconds a detached file may still be listed


def delete_unused_uploads(run: ApplyRun, owner: str) -> None:
    """Deletes what no store holds. What a store holds is in use, and the ledger explains what else is still there."""
    deletes = run.ledger.pending_deletes()
    if not deletes:
        return

    def still_listed(held: Mapping[str, frozenset[str]]) -> list[str]:
        """What is still listed where it was detached: some services are late."""
        return [file_id for file_id, entry in deletes.items() if entry.detached_from in held.get(file_id, ())]

    try:
        held = poll_until(
            run,
            lambda: stores_by_file_id(run.client, run.pool, owner, run.settings.declared_stores),
            lambda held: not still_listed(held),
            frozenset,
            timeout=_LATE,
        )
    except VssyncError as error:
        for file_id, entry in deletes.items():
            run.ledger.explain(file_id, f"{entry.why}; kept, because {error}")
        return
    for file_id in still_listed(held):
        run.ledger.explain(file_id, f"{deletes.pop(file_id).why}; its store still lists it")
    unheld = {file_id: entry for file_id, entry in deletes.items() if file_id not in held}
    for file_id in deletes.keys() - unheld.keys():
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
    """Id or name of every store of the manifest: an external one carries no mark to recognize it by."""
    return frozenset(store.id or store.name for store in desired.stores)


def stores_by_file_id(
    client: Client, pool: Pool, owner: str, declared: Collection[str]
) -> Mapping[str, frozenset[str]]:
    """Lists every store of this manifest's name, or declared by it. Raises ServiceError."""

    def may_hold_uploads(live: LiveStore) -> bool:
        """Marks of all environments of a name count; so does one that cannot be read, to be safe."""
        mark, name = live.mark, owner.partition("/")[0]
        has_same_name = mark.owner.partition("/")[0] == name if isinstance(mark, StoreMark) else mark is not None
        return live.id in declared or live.name in declared or has_same_name

    stores = list(filter(may_hold_uploads, client.list_stores()))
    listings = pool.map(client.require_all_files, stores)
    held: dict[str, frozenset[str]] = {}
    for store, files in zip(stores, listings, strict=True):
        for file in files:
            held[file.id] = held.get(file.id, frozenset()) | {store.id}
    return held
