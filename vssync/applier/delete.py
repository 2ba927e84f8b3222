"""Deletes the uploads a run has no more use for, after one complete look at every store that could hold them.

A File can be attached to several stores, and deleting it takes it out of all of them. So an upload goes only when
a complete listing of every store of this manifest's name, under all its environments, lacks it. When a listing
fails, the upload stays and is reported as an orphan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vssync.api.client import Client
from vssync.applier.context import ApplyRun, PendingDelete
from vssync.applier.wait import poll_until
from vssync.errors import VssyncError
from vssync.model.marks import StoreMark
from vssync.model.report import Orphan
from vssync.model.state import Desired, LiveStore
from vssync.threads import Pool

_LATE = 60.0  # seconds a detached file may still be listed


def delete_unused_uploads(run: ApplyRun, owner: str) -> tuple[Orphan, ...]:
    """Deletes what may go; the rest, as orphans, with why it is still there. What another store holds is in use."""
    trash = run.trash()
    if not trash:
        return ()
    try:
        held = poll_until(
            run,
            lambda: (held_file_ids(run.client, run.pool, owner, run.declared), None),
            lambda held: not _ghosts(trash, held),
            _ids,
            patience=_LATE,
        )
    except VssyncError as error:
        return tuple(Orphan(file_id, f"{waste.why}; kept, since {error}") for file_id, waste in trash.items())
    ghosts = _ghosts(trash, held)
    free = [(file_id, waste.why) for file_id, waste in trash.items() if file_id not in held]
    run.watcher.on_cleanup(len(free))
    ends = run.pool.map(lambda pair: _delete(run, *pair), free)
    still = [Orphan(file_id, f"{trash[file_id].why}; its store still lists it") for file_id in ghosts]
    return (*still, *(orphan for orphan in ends if orphan))


def _ghosts(trash: Mapping[str, PendingDelete], held: Mapping[str, frozenset[str]]) -> list[str]:
    """What is still listed where it was detached: some services are late."""
    return [file_id for file_id, waste in trash.items() if waste.store_id in held.get(file_id, ())]


def _ids(held: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset(held)


def _delete(run: ApplyRun, file_id: str, why: str) -> Orphan | None:
    try:
        run.writes.delete_upload(file_id)
    except VssyncError as error:
        return Orphan(file_id, f"{why}; {error}")
    finally:
        run.watcher.on_upload_deleted()
    return None


def declared_stores(desired: Desired) -> frozenset[str]:
    """What the stores of a manifest can be told by without a mark, which an external one does not carry: id or name."""
    return frozenset(store.id or store.name for store in desired.stores)


def held_file_ids(client: Client, pool: Pool, owner: str, declared: Collection[str]) -> Mapping[str, frozenset[str]]:
    """By File id, the stores of this manifest's name, in all its environments, and those it declares, that list it.

    Raises ServiceError when any of the listings fails.
    """
    stores = [
        store
        for store in client.stores()
        if store.id in declared or store.name in declared or _of_this_name(store, owner)
    ]
    listings = pool.map(lambda store: client.files(store.id, store.counts.total), stores)
    held: dict[str, frozenset[str]] = {}
    for store, files in zip(stores, listings, strict=True):
        for file in files:
            held[file.id] = held.get(file.id, frozenset()) | {store.id}
    return held


def _of_this_name(store: LiveStore, owner: str) -> bool:
    """Marks of all environments of a name count; so does one that cannot be read, to be safe."""
    mark = store.mark
    return mark is not None and (
        not isinstance(mark, StoreMark) or mark.owner.split("/")[0] == owner.split("/", maxsplit=1)[0]
    )
