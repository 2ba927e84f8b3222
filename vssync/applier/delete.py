"""Deletes the uploads that nothing needs any more, after one complete look at every store that could hold them."""

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


# Deletes the uploads that a run no longer needs: those that a complete listing of every store of this manifest's name,
# under all its environments, lacks. Deleting a File takes it out of all its stores, so when a listing fails it stays.


def delete_unused_uploads(run: ApplyRun, owner: str) -> None:
    """Deletes what may go; what another store holds is in use. The ledger says of the rest why it is still there."""
    deletes = run.ledger.pending_deletes()
    if not deletes:
        return

    def still_listed(held: Mapping[str, frozenset[str]]) -> list[str]:
        """What is still listed where it was detached: some services are late."""
        return [file_id for file_id, entry in deletes.items() if entry.detached_from in held.get(file_id, ())]

    try:
        held = poll_until(
            run,
            lambda: held_file_ids(run.client, run.pool, owner, run.settings.declared),
            lambda held: not still_listed(held),
            frozenset,
            timeout=_LATE,
        )
    except VssyncError as error:
        for file_id, entry in deletes.items():
            run.ledger.schedule_delete(file_id, f"{entry.why}; kept, because {error}")
        return
    for file_id in still_listed(held):
        run.ledger.schedule_delete(file_id, f"{deletes.pop(file_id).why}; its store still lists it")
    unheld = {file_id: entry for file_id, entry in deletes.items() if file_id not in held}
    for file_id in deletes.keys() - unheld.keys():
        run.ledger.record_gone(file_id)

    def delete(file_id: str) -> None:
        try:
            run.writes.delete_upload(file_id)
            run.ledger.record_gone(file_id)
        except VssyncError as error:
            run.ledger.schedule_delete(file_id, f"{unheld[file_id].why}; {error}")
        finally:
            run.watcher.on_upload_deleted()

    run.watcher.on_cleanup(len(unheld))
    run.pool.map(delete, unheld)


def declared_stores(desired: Desired) -> frozenset[str]:
    """Id or name of every store of the manifest: an external one carries no mark to recognize it by."""
    return frozenset(store.id or store.name for store in desired.stores)


def held_file_ids(client: Client, pool: Pool, owner: str, declared: Collection[str]) -> Mapping[str, frozenset[str]]:
    """By File id, the stores that list it, of this manifest's name or declared by it. Raises ServiceError."""

    def is_ours(store: LiveStore) -> bool:
        """Marks of all environments of a name count; so does one that cannot be read, to be safe."""
        mark, name = store.mark, owner.partition("/")[0]
        has_same_name = mark.owner.partition("/")[0] == name if isinstance(mark, StoreMark) else mark is not None
        return store.id in declared or store.name in declared or has_same_name

    stores = list(filter(is_ours, client.list_stores()))
    listings = pool.map(lambda store: client.list_files(store.id, store.counts.total), stores)
    held: dict[str, frozenset[str]] = {}
    for store, files in zip(stores, listings, strict=True):
        for file in files:
            held[file.id] = held.get(file.id, frozenset()) | {store.id}
    return held
