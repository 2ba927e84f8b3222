"""Whether the world moved since a plan was saved, and how much of it an earlier apply has done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vssync.model.digests import chunking_digest
from vssync.model.marks import STORE_BATCHES, Mark
from vssync.model.plan import Action, BatchChange, FileChange, Plan, Reason, StoreChange, StorePlan
from vssync.model.state import FileStatus
from vssync.planfile.codec import Codec
from vssync.planner.compare import find_differences

_DEATHS = frozenset((Reason.INGEST_FAILED, Reason.INGEST_CANCELLED, Reason.STALLED))
_SHOWN = 50  # lines; nobody reads further
_PLAIN = Codec()

Change = StoreChange | BatchChange | FileChange


def check_stale(saved: Plan, fresh: Plan) -> tuple[str, ...]:
    """What `fresh` holds and `saved` does not, a line each that names the object and what moved; empty: go on."""
    if saved.owner != fresh.owner:
        return (f"owner: the plan was saved for {saved.owner}, and the manifest now says {fresh.owner}",)
    if moved := _moved(_PLAIN.encode(saved.service), _PLAIN.encode(fresh.service)):
        return (f"service: {moved}",)
    known = {store.key: store for store in saved.stores}
    lines = tuple(line for store in fresh.stores for line in _of_store(known.get(store.key), store))
    more = len(lines) - _SHOWN
    return (*lines[:_SHOWN], f"and {more:,} more changes") if more > 0 else lines


def _of_store(saved: StorePlan | None, fresh: StorePlan) -> Iterator[str]:
    if saved is None:
        saved = StorePlan(fresh.key, fresh.name, fresh.id)
    before, after = saved.change, fresh.change
    gets_new_id = before is not None and before.action in (Action.CREATE, Action.REPLACE)
    if fresh.id != saved.id and not gets_new_id and (after or fresh.files):
        yield f"{fresh.key}: the store was {saved.id or 'not live'}, and is {fresh.id or 'not live'} now"
        return
    if after and after.action is not Action.REFUSE:
        if before is None or before.action is not after.action:
            yield f"{fresh.key}: {_instead(before, after)}"
        elif moved := _moved(_store_evidence(saved), _store_evidence(fresh)):
            yield f"{fresh.key}: {moved}"
    yield from _batches(saved, fresh)
    yield from _files(saved, fresh)


def _batches(saved: StorePlan, fresh: StorePlan) -> Iterator[str]:
    """Waiting writes nothing; cancelling must have been reviewed, files and all, or is a part of another try."""
    known = {batch.id: set(batch.unwanted) for batch in saved.batches if batch.action is Action.CANCEL}
    retried = {change.key for change in fresh.files if _retries(change)}
    for batch in fresh.batches:
        if batch.action is Action.CANCEL and not set(batch.unwanted) <= known.get(batch.id, retried):
            yield f"{fresh.key}/{batch.id}: {_verdict(batch)} is not in the saved plan"


def _files(saved: StorePlan, fresh: StorePlan) -> Iterator[str]:
    known: dict[str, list[FileChange]] = {}
    for change in saved.files:
        known.setdefault(change.key, []).append(change)
    for change in fresh.files:
        candidates = known.get(change.key, [])
        if not is_read_only(change) and not any(_covers(candidate, change) for candidate in candidates):
            yield f"{fresh.key}/{change.key}: {_file_moved(candidates, change)}"


def is_read_only(change: FileChange) -> bool:
    """Whether a change writes nothing."""
    return change.action is Action.REFUSE or (change.action is Action.AWAIT and not change.drop and not change.fields)


def _covers(saved: FileChange, fresh: FileChange) -> bool:
    """Whether a saved change allows one found now: the same, less of the same, or what is left of it."""
    retries = _retries(fresh)
    # these serve nobody, and only an apply of what is wanted now can have made them
    failed = {copy.id for copy in fresh.drop if copy.status is not FileStatus.COMPLETED} if retries else set[str]()
    if not fresh.leaving_ids <= saved.leaving_ids | failed:
        return False
    if fresh.action is Action.DELETE and fresh.reasons == (Reason.SUPERSEDED,):
        return True  # the new copy works already, and these were to go after it
    is_next_try = retries and saved.action in (Action.CREATE, Action.REPLACE)  # the File is there, not yet ingested
    if fresh.action is Action.AWAIT or is_next_try:
        return _same(_PLAIN.encode(saved.desired), _PLAIN.encode(fresh.desired))
    return _same(_evidence(saved), _evidence(fresh))


def _retries(change: FileChange) -> bool:
    return change.action is Action.REPLACE and bool(change.reasons) and set(change.reasons) <= _DEATHS


def _evidence(change: FileChange) -> dict[str, Any]:
    """What must be the same.

    A File to reuse spares an upload of the very bytes that were reviewed, so it may come and go.
    """
    found = {name: value for name, value in _PLAIN.encode(change).items() if name not in ("detail", "drop", "reuse")}
    if "keep" in found:
        found["keep"] = {name: value for name, value in found["keep"].items() if name not in ("status", "error")}
    return found


def _store_evidence(store: StorePlan) -> dict[str, Any]:
    """A store's change and the settings it makes; the hint about batches moves while a run is under way."""
    change = {name: value for name, value in _PLAIN.encode(store.change).items() if name != "detail"}
    change["metadata"] = {name: value for name, value in change.get("metadata", {}).items() if name != STORE_BATCHES}
    return {"change": change, "settings": _PLAIN.encode(store.desired)}


def _file_moved(candidates: list[FileChange], fresh: FileChange) -> str:
    alike = next((candidate for candidate in candidates if candidate.action is fresh.action), None)
    if alike is None:
        return _instead(candidates[0] if candidates else None, fresh)
    more = ", ".join(sorted(fresh.leaving_ids - alike.leaving_ids))
    moved = _moved(_evidence(alike), _evidence(fresh)) or f"{more} would go as well"
    before, after = (change.desired.sha256 if change.desired else "" for change in (alike, fresh))
    return f"the file's bytes changed: {moved}" if before != after else moved


def _instead(saved: Change | None, fresh: Change) -> str:
    if saved is None:
        return f"{_verdict(fresh)} is not in the saved plan"
    return f"the saved plan says {_verdict(saved)}, and now it is {_verdict(fresh)}"


def _verdict(change: Change) -> str:
    return f"{change.action} ({', '.join(change.reasons)})"


def _moved(saved: Any, fresh: Any) -> str:
    """Where two encoded values differ: "desired.sha256 9f2c... -> 77aa..."; nothing when they do not."""
    rows = [] if _same(saved, fresh) else find_differences(saved, fresh)
    return ", ".join(f"{path} {_brief(before)} -> {_brief(after)}" for path, before, after in rows)


def _same(saved: Any, fresh: Any) -> bool:
    """Whether two encoded values agree in kind and value: 1 is not true."""
    return bool(saved == fresh) and repr(saved) == repr(fresh)


def _brief(value: Any) -> str:
    text = str(value) if isinstance(value, (str, int, float, bool, dict, list)) else "(none)"
    return text if len(text) <= 60 else f"{text[:16]}...{text[-16:]}"


Key = tuple[str, str]  # a store's key and a file's
SeenCopies = set[tuple[str, int]]  # copies by id and time: a File that is detached and attached again keeps its id


def replaced_since(saved: Plan, fresh: Plan) -> frozenset[Key]:
    """The keys whose `--replace` was carried out since: planned anew, their new copies would be replaced again."""
    seen: dict[Key, SeenCopies] = {}
    for store in saved.stores:
        for change in store.files:
            copies = {(copy.id, copy.created_at) for copy in (*change.drop, change.keep) if copy}
            seen.setdefault((store.key, change.key), set()).update(copies)
    requested = [
        ((store.key, change.key), change)
        for store in fresh.stores
        for change in store.files
        if Reason.REQUESTED in change.reasons
    ]
    return frozenset(key for key, change in requested if key in seen and _right(change, seen[key]))


def _right(change: FileChange, seen: SeenCopies) -> bool:
    """Whether the newest copy that works is a later one than the saved plan saw, of the bytes that are wanted."""
    copy, file = change.keep, change.desired
    if not copy or not file or copy.status is not FileStatus.COMPLETED or (copy.id, copy.created_at) in seen:
        return False
    wanted = (file.content, chunking_digest(file.chunking))
    return isinstance(copy.mark, Mark) and (copy.mark.content, copy.mark.chunking) == wanted


def already_applied(saved: Plan, fresh: Plan) -> tuple[str, ...]:
    """The addresses of saved changes that are not needed any more, in the plan's order, each once."""
    left = {address for store in fresh.stores for address, _ in _addressed(store)}
    needed = [(address, writes) for store in saved.stores for address, writes in _addressed(store)]
    return tuple(dict.fromkeys(address for address, writes in needed if writes and address not in left))


def _addressed(store: StorePlan) -> Iterator[tuple[str, bool]]:
    if store.change:
        yield store.key, store.change.action is not Action.REFUSE
    for batch in store.batches:
        yield f"{store.key}/{batch.id}", batch.action is Action.CANCEL
    for change in store.files:
        yield f"{store.key}/{change.key}", not is_read_only(change)
