"""Deletes the uploads a run has no more use for, after one complete look at every store that could hold them.

A File can be attached to several stores, and deleting it takes it out of all of them. So an upload goes only when
a complete listing of every store of this manifest's name, under all its environments, lacks it. When a listing
fails, the upload stays and is reported as an orphan.
"""

from __future__ import annotations

from collections.abc import Mapping

from vssync.applier.context import Run, Waste
from vssync.applier.holders import holders
from vssync.applier.polling import until
from vssync.errors import VssyncError
from vssync.report import Orphan

_LATE = 60.0  # seconds a detached file may still be listed


def empty_trash(run: Run, owner: str) -> tuple[Orphan, ...]:
    """Deletes what may go; the rest, as orphans, with why it is still there. What another store holds is in use."""
    trash = run.trash()
    if not trash:
        return ()
    try:
        held = until(
            run,
            lambda: (holders(run.client, run.pool, owner, run.declared), None),
            lambda held: not _ghosts(trash, held),
            _ids,
            patience=_LATE,
        )
    except VssyncError as error:
        return tuple(Orphan(file_id, f"{waste.why}; kept, since {error}") for file_id, waste in trash.items())
    ghosts = _ghosts(trash, held)
    free = [(file_id, waste.why) for file_id, waste in trash.items() if file_id not in held]
    run.watcher.clear(len(free))
    ends = run.pool.map(lambda pair: _delete(run, *pair), free)
    still = [Orphan(file_id, f"{trash[file_id].why}; its store still lists it") for file_id in ghosts]
    return (*still, *(orphan for orphan in ends if orphan))


def _ghosts(trash: Mapping[str, Waste], held: Mapping[str, frozenset[str]]) -> list[str]:
    """What is still listed where it was detached: some services are late."""
    return [file_id for file_id, waste in trash.items() if waste.store_id in held.get(file_id, ())]


def _ids(held: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset(held)


def _delete(run: Run, file_id: str, why: str) -> Orphan | None:
    try:
        run.writes.delete_upload(file_id)
    except VssyncError as error:
        return Orphan(file_id, f"{why}; {error}")
    finally:
        run.watcher.cleared()
    return None
