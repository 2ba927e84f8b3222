"""Whether live state or manifest changed since a plan was saved, and how much of it was already applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vssync.document import json_value
from vssync.model.convergence import OPEN_NOTES
from vssync.model.digests import chunking_digest
from vssync.model.marks import STORE_APPLIED, STORE_BATCHES, Mark
from vssync.model.plan import Action, BatchChange, FileChange, Plan, Reason, StoreChange, StorePlan
from vssync.model.state import FileStatus
from vssync.planner.environment_diff import find_differences

_FAILURES = frozenset((Reason.INGEST_FAILED, Reason.INGEST_CANCELLED, Reason.STALLED))
_SET_BY_RUNS = (STORE_BATCHES, STORE_APPLIED)  # metadata that every run may change
_MOST_LINES = 50  # that are shown
_PLACES = {
    "desired": "",
    "settings": "",
    "live": "live ",
    "keep": "the live copy's ",
    "change": "",
    "preserve": "others' ",
}

Change = StoreChange | BatchChange | FileChange


def check_stale(saved: Plan, fresh: Plan) -> tuple[str, ...]:
    """Why a saved plan is stale: a line for each change of `fresh` that `saved` does not hold; empty when it is not."""
    if saved.owner != fresh.owner:
        return (f"owner: the plan was saved for {saved.owner}, and the manifest now says {fresh.owner}",)
    if difference := _describe_difference(json_value(saved.service), json_value(fresh.service)):
        return (f"service: {difference}",)
    saved_stores = {store.key: store for store in saved.stores}
    lines = tuple(line for store in fresh.stores for line in _store_differences(saved_stores.get(store.key), store))
    rest = len(lines) - _MOST_LINES
    return (*lines[:_MOST_LINES], f"and {rest:,} more changes") if rest > 0 else lines


def _store_differences(saved: StorePlan | None, fresh: StorePlan) -> Iterator[str]:
    if saved is None:
        saved = StorePlan(fresh.key, fresh.name, fresh.id)
    before, after = saved.change, fresh.change
    creates_store = before is not None and before.action in (Action.CREATE, Action.REPLACE)
    if fresh.id != saved.id and not creates_store and (after or fresh.files):
        yield f"{fresh.key}: the store was {saved.id or 'not live'}, and is {fresh.id or 'not live'} now"
        return
    if after and after.action is not Action.REFUSE:
        if before is None or before.action is not after.action:
            yield f"{fresh.key}: {_describe_other_action(before, after)}"
        elif difference := _describe_difference(_store_evidence(saved), _store_evidence(fresh)):
            yield f"{fresh.key}: {difference}"
    yield from _batch_differences(saved, fresh)
    yield from _file_differences(saved, fresh)


def _batch_differences(saved: StorePlan, fresh: StorePlan) -> Iterator[str]:
    """Waiting writes nothing; cancelling must have been reviewed with all its files, or belong to a retry."""
    cancelled: dict[str, set[str]] = {}
    for batch in saved.batches:
        if batch.action is Action.CANCEL:
            cancelled.setdefault(batch.id, set()).update(batch.unwanted)
    retried = {change.key for change in fresh.files if _is_retry(change)}
    for batch in fresh.batches:
        if batch.action is Action.CANCEL and not set(batch.unwanted) <= cancelled.get(batch.id, retried):
            yield f"{fresh.key}/{batch.id}: {_action_text(batch)} is not in the saved plan"


def _file_differences(saved: StorePlan, fresh: StorePlan) -> Iterator[str]:
    by_key: dict[str, list[FileChange]] = {}
    for change in saved.files:
        by_key.setdefault(change.key, []).append(change)
    for change in fresh.files:
        candidates = by_key.get(change.key, [])
        if not is_read_only(change) and not any(_permits(candidate, change) for candidate in candidates):
            yield f"{fresh.key}/{change.key}: {_describe_file_difference(candidates, change)}"


def is_read_only(change: FileChange) -> bool:
    """Whether a change writes nothing."""
    return change.action is Action.REFUSE or (change.action is Action.AWAIT and not change.drop and not change.fields)


def _permits(saved: FileChange, fresh: FileChange) -> bool:
    """Whether a saved change allows a fresh one: the same, less of the same, or what is left of it."""
    failed = set[str]()
    if _is_retry(fresh):  # these never worked, and only an apply of the current manifest can have made them
        failed = {copy.id for copy in fresh.drop if copy.status is not FileStatus.COMPLETED}
    if not fresh.leaving_ids <= saved.leaving_ids | failed:
        return False
    if fresh.action is Action.DELETE and fresh.reasons == (Reason.SUPERSEDED,):
        return True  # the new copy works already, and these were to go after it
    # a next try is of a reviewed change, whose File was uploaded and could not be ingested
    is_next_try = _is_retry(fresh) and saved.action in (Action.CREATE, Action.REPLACE)
    if fresh.action is Action.AWAIT or is_next_try:
        return _is_identical(_desired_evidence(saved), _desired_evidence(fresh))
    return _is_identical(_file_evidence(saved), _file_evidence(fresh))


def _is_retry(change: FileChange) -> bool:
    return change.action is Action.REPLACE and bool(change.reasons) and set(change.reasons) <= _FAILURES


def _file_evidence(change: FileChange) -> dict[str, Any]:
    """What must be the same; a File to reuse may come and go, since it has the very bytes that were reviewed."""
    left_out = ("detail", "drop", "reuse", "fields", "desired")
    evidence = {name: value for name, value in json_value(change).items() if name not in left_out}
    dated = change.desired.dated if change.desired else ()
    fields = (field for field in change.fields if field.name not in dated)
    evidence["desired"] = _desired_evidence(change)
    evidence["live"] = {field.name: json_value(field.before) for field in fields}  # `desired` says the rest
    if "keep" in evidence:
        evidence["keep"] = {name: value for name, value in evidence["keep"].items() if name not in ("status", "error")}
    return evidence


def _desired_evidence(change: FileChange) -> Any:
    """The desired file; dates of commits are left out, which may be others after a merge and are sent as they are."""
    evidence = json_value(change.desired)
    if change.desired and change.desired.dated:
        attributes = {name: value for name, value in evidence["attributes"].items() if name not in evidence["dated"]}
        evidence = {**evidence, "attributes": attributes}
    return evidence


def _store_evidence(store: StorePlan) -> dict[str, Any]:
    """A store's change and settings, without the metadata that every run may change."""
    change = {name: value for name, value in json_value(store.change).items() if name not in ("detail", "fields")}
    change["metadata"] = {name: value for name, value in change.get("metadata", {}).items() if name not in _SET_BY_RUNS}
    live = {field.name: json_value(field.before) for field in store.change.fields} if store.change else {}
    return {"change": change, "settings": json_value(store.desired), "live": live}


def _describe_file_difference(candidates: list[FileChange], fresh: FileChange) -> str:
    saved = next((candidate for candidate in candidates if candidate.action is fresh.action), None)
    if saved is None:
        return _describe_other_action(candidates[0] if candidates else None, fresh)
    added_ids = ", ".join(sorted(fresh.leaving_ids - saved.leaving_ids))
    difference = _describe_difference(_file_evidence(saved), _file_evidence(fresh))
    difference = difference or f"{added_ids} would go as well"
    before, after = (change.desired.sha256 if change.desired else "" for change in (saved, fresh))
    return f"the file's bytes changed: {difference}" if before != after else difference


def _describe_other_action(saved: Change | None, fresh: Change) -> str:
    if saved is None:
        return f"{_action_text(fresh)} is not in the saved plan"
    return f"the saved plan says {_action_text(saved)}, and now it is {_action_text(fresh)}"


def _action_text(change: Change) -> str:
    return f"{change.action} ({', '.join(change.reasons)})"


def _describe_difference(saved: Any, fresh: Any) -> str:
    """Where two encoded values differ: "sha256 9f2c... -> 77aa..."; nothing when they do not."""
    rows = [] if _is_identical(saved, fresh) else find_differences(saved, fresh)
    return ", ".join(f"{_place_in_words(path)} {_shorten(before)} -> {_shorten(after)}" for path, before, after in rows)


def _place_in_words(path: str) -> str:
    """A place in the evidence as a manifest or `status` calls it: "attributes.level", "live attribute level"."""
    part, _, name = path.partition(".")
    return f"{_PLACES.get(part, f'{part}.')}{name}" if name else path


def _is_identical(saved: Any, fresh: Any) -> bool:
    """Whether two encoded values agree in kind and value: 1 is not true."""
    return bool(saved == fresh) and repr(saved) == repr(fresh)


def _shorten(value: Any) -> str:
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
    return frozenset(key for key, change in requested if key in seen and _is_requested_copy(change, seen[key]))


def _is_requested_copy(change: FileChange, seen: SeenCopies) -> bool:
    """Whether the newest copy that works is a later one than the saved plan saw, of the bytes that are wanted."""
    copy, file = change.keep, change.desired
    if not copy or not file or copy.status is not FileStatus.COMPLETED or (copy.id, copy.created_at) in seen:
        return False
    wanted = (file.content, chunking_digest(file.chunking), file.name_digest)
    mark = copy.mark
    return isinstance(mark, Mark) and (mark.content, mark.chunking_digest, mark.name_digest) == wanted


def already_applied(saved: Plan, fresh: Plan) -> tuple[str, ...]:
    """The addresses of saved changes that are no longer needed, in the plan's order, each once."""
    left = {address for store in fresh.stores for address, _ in _addressed_changes(store)}
    left |= {f"{store.key}/{note.key}" for store in fresh.stores for note in store.notes if note.kind in OPEN_NOTES}
    needed = [(address, writes) for store in saved.stores for address, writes in _addressed_changes(store)]
    return tuple(dict.fromkeys(address for address, writes in needed if writes and address not in left))


def _addressed_changes(store: StorePlan) -> Iterator[tuple[str, bool]]:
    """The address of every change, and whether the change writes."""
    if store.change:
        yield store.key, store.change.action is not Action.REFUSE
    for batch in store.batches:
        yield f"{store.key}/{batch.id}", batch.action is Action.CANCEL
    for change in store.files:
        yield f"{store.key}/{change.key}", not is_read_only(change)
