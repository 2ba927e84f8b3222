"""What was done of a saved plan since it was saved, so that applying it again goes on where an earlier apply ended.

It takes work away and adds none: what is fulfilled is not done twice, what is already so is only said.
"""

from __future__ import annotations

from collections.abc import Iterator

from vssync.model import FileStatus
from vssync.ownership import MARK, Mark, chunking_digest, content_of, read_mark
from vssync.plan import Action, FileChange, Plan, Reason, StorePlan
from vssync.planfile.stale import passive

Key = tuple[str, str]  # a store's key and a file's
Seen = set[tuple[str, int]]  # copies by id and time: a File that is detached and attached again keeps its id


def fulfilled(saved: Plan, fresh: Plan) -> frozenset[Key]:
    """The keys whose `--replace` was carried out since: planned anew, their new copies would be replaced again."""
    seen: dict[Key, Seen] = {}
    for store in saved.stores:
        for change in store.files:
            seen.setdefault((store.key, change.key), set()).update(_copies(change))
    requested = [
        (store.key, change)
        for store in fresh.stores
        for change in store.files
        if Reason.REQUESTED in change.reasons and (store.key, change.key) in seen
    ]
    return frozenset((store, change.key) for store, change in requested if _right(change, seen[store, change.key]))


def _copies(change: FileChange) -> Seen:
    return {(copy.id, copy.created_at) for copy in (*change.drop, change.keep) if copy}


def _right(change: FileChange, seen: Seen) -> bool:
    """Whether the newest copy that works is a later one than the saved plan saw, of the bytes that are wanted."""
    copy, file = change.keep, change.desired
    if not copy or not file or copy.status is not FileStatus.COMPLETED or (copy.id, copy.created_at) in seen:
        return False
    mark = read_mark({MARK: copy.mark})
    wanted = (content_of(file), chunking_digest(file.chunking))
    return isinstance(mark, Mark) and (mark.content, mark.chunking) == wanted


def already(saved: Plan, fresh: Plan) -> tuple[str, ...]:
    """The addresses of saved changes that are not needed any more, in the plan's order, each once."""
    left = {address for store in fresh.stores for address, _ in _addressed(store)}
    needed = [(address, writes) for store in saved.stores for address, writes in _addressed(store)]
    return tuple(dict.fromkeys(address for address, writes in needed if writes and address not in left))


def _addressed(store: StorePlan) -> Iterator[tuple[str, bool]]:
    """The address of every change, and whether the change writes."""
    if store.change:
        yield store.key, store.change.action is not Action.REFUSE
    for batch in store.batches:
        yield f"{store.key}/{batch.id}", batch.action is Action.CANCEL
    for change in store.files:
        yield f"{store.key}/{change.key}", not passive(change)
