"""Turns changes into steps: what each action of a plan means in requests. It makes no decisions; the plan did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from vssync.applier.steps import BatchStep, Drop, Put, StoreSteps, Update, Wait, Wave
from vssync.model.digests import mark_for, with_key
from vssync.model.marks import Mark, Origin
from vssync.model.plan import Action, Copy, FileChange, Plan, StorePlan
from vssync.model.state import DesiredFile, FileStatus, Scalar
from vssync.planner.store_files import partition

Step = Put | Update | Wait | Drop

_SETUP = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.ADOPT)
_TEARDOWN = (Action.DELETE, Action.REPLACE)


def lower(plan: Plan) -> tuple[StoreSteps, ...]:
    """The steps of every store that has any, in the plan's order."""
    stores = (_lower_store(plan.owner, store) for store in plan.stores)
    return tuple(steps for steps in stores if steps.setup or steps.teardown or steps.changes)


def _lower_store(owner: str, store: StorePlan) -> StoreSteps:
    change = store.change
    steps = [step for file in store.files for step in _lower_file(owner, store, file)]
    puts = [step for step in steps if isinstance(step, Put)]
    return StoreSteps(
        key=store.key,
        store_id=store.id,
        in_flight=store.batch.in_flight,
        ignore=_ignore(store),
        setup=change if change and change.action in _SETUP else None,
        settings=store.desired,
        cancels=tuple(BatchStep(batch.id) for batch in store.batches if batch.action is Action.CANCEL),
        waves=tuple(map(Wave, partition(puts, store.batch.size))),
        updates=tuple(step for step in steps if isinstance(step, Update)),
        waits=tuple(step for step in steps if isinstance(step, Wait)),
        awaited=tuple(BatchStep(batch.id) for batch in store.batches if batch.action is Action.AWAIT),
        removes=tuple(step for step in steps if isinstance(step, Drop)),
        teardown=change if change and change.action in _TEARDOWN else None,
    )


def _ignore(store: StorePlan) -> tuple[str, ...]:
    return store.desired.ignore_attributes if store.desired else ()


def _lower_file(owner: str, store: StorePlan, change: FileChange) -> Iterator[Step]:
    """A drop that is not part of a put or wait removes a copy once the copy to keep, if any, was read as completed."""
    kept_id = change.keep.id if change.keep else ""
    match change.action:
        case Action.CREATE | Action.REPLACE:
            yield from _put(owner, store, change)
        case Action.UPDATE | Action.ADOPT:
            yield _update(owner, store, change)
            yield from (_drop(owner, change.key, copy, kept_id) for copy in change.drop)
        case Action.AWAIT:
            if change.fields:
                yield _update(owner, store, change)
            yield Wait(change.key, kept_id, tuple(_drop(owner, change.key, copy) for copy in change.drop))
        case Action.DELETE:
            yield from (_drop(owner, change.key, copy, kept_id) for copy in change.drop)
        case Action.REFUSE:
            return
        case Action.CANCEL:
            raise ValueError(f"{change.key}: a file cannot be cancelled, only its batch")
        case _:
            assert_never(change.action)


def _put(owner: str, store: StorePlan, change: FileChange) -> Iterator[Step]:
    """A File attaches once per store, so its own old copy is detached first; the others stay searchable meanwhile."""
    file = _desired(change)
    attached = file.file_id or change.reuse
    first = [copy for copy in change.drop if change.gap or copy.id == attached]
    later = [copy for copy in change.drop if copy not in first]
    put = Put(
        key=change.key,
        file=file,
        attributes=_attributes(change),
        mark=_put_mark(owner, store, change),
        chunking=file.chunking,
        file_id=attached,
        drops=tuple(_drop(owner, change.key, copy, reattached=attached) for copy in first or later),
        gap=bool(first),
        unfinished=any(copy.id == attached and copy.status is not FileStatus.COMPLETED for copy in first),
    )
    yield put
    if first:
        yield from (_drop(owner, change.key, copy, attached) for copy in later)


def _put_mark(owner: str, store: StorePlan, change: FileChange) -> Mark:
    """A File that is attached again keeps the origin and content of its old mark."""
    file = _desired(change)
    origin = Origin.DECLARED if file.file_id else Origin.UPLOADED
    mark = mark_for(owner, file, _ignore(store), origin=origin, tries=change.tries)
    old = next((copy.mark for copy in change.drop if copy.id == change.reuse), None)
    if isinstance(old, Mark) and not file.file_id:
        return replace(mark, origin=old.origin, content=old.content)
    return mark


def _update(owner: str, store: StorePlan, change: FileChange) -> Update:
    """The attributes to write and the mark that goes with them; content and tries stay what they were."""
    file = _desired(change)
    if change.keep is None:
        raise ValueError(f"{change.key}: an update needs the copy it is about")
    adopted = Origin.DECLARED if file.file_id else Origin.ADOPTED
    mark = mark_for(owner, file, _ignore(store), origin=adopted)
    old = change.keep.mark
    if isinstance(old, Mark):
        mark = replace(mark, content=old.content, chunking=old.chunking, origin=old.origin, tries=old.tries)
    elif not file.file_id:
        mark = replace(mark, content=file.presumed_content)
    return Update(change.key, change.keep.id, _attributes(change), mark)


def _attributes(change: FileChange) -> dict[str, Scalar]:
    """Attributes that others own are sent along unchanged, since a write replaces the whole map."""
    file = _desired(change)
    return {**with_key(file.attributes, file.key), **change.preserve}


def _drop(owner: str, key: str, copy: Copy, kept_id: str = "", *, reattached: str = "") -> Drop:
    """The upload is deleted with its copy only when our own mark says that we made it and it is not attached again."""
    mark = copy.mark
    uploaded = isinstance(mark, Mark) and mark.owner == owner and mark.origin is Origin.UPLOADED
    return Drop(key, copy.id, uploaded and copy.id != reattached, kept_id)


def _desired(change: FileChange) -> DesiredFile:
    if change.desired is None:
        raise ValueError(f"{change.key}: {change.action} needs a desired file")
    return change.desired
