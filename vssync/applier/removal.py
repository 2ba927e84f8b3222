"""Deletes the uploads a run has no more use for, after one complete look at every store that could hold them.

A File can be attached to several stores, and deleting it takes it out of all of them. So an upload goes only when
a complete listing of every store of this manifest's name, under all its environments, lacks it. When a listing
fails, the upload stays and is reported as an orphan.
"""

from __future__ import annotations

from vssync.applier.context import Run
from vssync.errors import VssyncError
from vssync.model import LiveStore
from vssync.ownership import StoreMark, read_store_mark
from vssync.report import Orphan


def empty_trash(run: Run, owner: str) -> tuple[Orphan, ...]:
    """Deletes what may go; the rest, as orphans, with why it is still there."""
    trash = run.trash()
    if not trash:
        return ()
    try:
        stores = [store.id for store in run.client.stores() if _of_this_name(store, owner)]
        listings = run.pool.map(run.client.files, stores)
    except VssyncError as error:
        return tuple(Orphan(file_id, f"{why}; kept, since {error}") for file_id, why in trash.items())
    held = {file.id for files in listings for file in files}
    ends = run.pool.map(lambda pair: _delete(run, *pair), [pair for pair in trash.items() if pair[0] not in held])
    still = [Orphan(file_id, f"{why}; a store still lists it") for file_id, why in trash.items() if file_id in held]
    return (*still, *(orphan for orphan in ends if orphan))


def _of_this_name(store: LiveStore, owner: str) -> bool:
    """Marks of all environments of a name count; so does one that cannot be read, to be safe."""
    mark = read_store_mark(store.metadata)
    return mark is not None and (
        not isinstance(mark, StoreMark) or mark.owner.split("/")[0] == owner.split("/", maxsplit=1)[0]
    )


def _delete(run: Run, file_id: str, why: str) -> Orphan | None:
    try:
        run.client.delete_upload(file_id)
    except VssyncError as error:
        return Orphan(file_id, f"{why}; {error}")
    return None
