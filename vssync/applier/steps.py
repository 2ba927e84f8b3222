"""The steps a plan comes to, and the order in which those of a store are taken.

Nothing is decided here: the plan did that, and knows why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from vssync.model.digests import mark_for, with_key
from vssync.model.marks import Mark, Origin
from vssync.model.plan import Action, Copy, FileChange, Plan, StoreChange, StorePlan
from vssync.model.state import Attributes, Chunking, DesiredFile, FileStatus, Scalar, StoreSettings
from vssync.planner.batches import partition


@dataclass(frozen=True, slots=True)
class Drop:
    """A copy to detach. `kept_id` must be read as completed first, where there is one.

    The File is deleted at the end of the run only when its mark says that it is our upload.
    """

    key: str
    file_id: str
    is_our_upload: bool
    kept_id: str = ""


@dataclass(frozen=True, slots=True)
class Put:
    """A file to bring into a store: upload (or take `existing_id`), attach, wait until completed.

    Old copies are dropped before it is attached, or after it was read as completed. `attributes` is the whole map to
    send beside the mark. `unfinished`: the File was attached and not completed when planned; if it is completed by now,
    it is left as it is.
    """

    key: str
    file: DesiredFile
    attributes: Attributes
    mark: Mark
    chunking: Chunking
    existing_id: str = ""
    before_attach: tuple[Drop, ...] = ()
    afterwards: tuple[Drop, ...] = ()
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """Attributes to write in place; `attributes` is the whole map to send beside the mark."""

    key: str
    file_id: str
    attributes: Attributes
    mark: Mark


@dataclass(frozen=True, slots=True)
class Wait:
    """An up-to-date copy that is still being ingested; `drops` are detached when it is completed."""

    key: str
    file_id: str
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchStep:
    """A live batch of ours, to cancel or to wait for; `key` is its id."""

    key: str


@dataclass(frozen=True, slots=True)
class StoreSteps:
    """All steps of one store; from `setup` on in the order in which they are taken.

    `store_id` is empty until the store is created. `ignored_attributes` are those that others own: `Put` and `Update`
    carry them along, marks leave them out. When `setup` replaces the store, `store_id` is the old one.
    """

    key: str
    store_id: str
    in_flight: int
    ignored_attributes: tuple[str, ...] = ()
    settings: StoreSettings | None = None
    setup: StoreChange | None = None  # the store must exist before anything is put into it
    cancels: tuple[BatchStep, ...] = ()  # what a superseded batch still ingests would only have to be removed again
    waves: tuple[
        tuple[Put, ...], ...
    ] = ()  # the new copies of each batch, in key order; their old ones go afterwards, unless there is a gap
    updates: tuple[Update, ...] = ()  # attributes in place; independent of the waves
    batch_waits: tuple[BatchStep, ...] = ()  # batches under way end before their files are read or removed
    copy_waits: tuple[Wait, ...] = ()  # right copies still being ingested; their superseded copies go afterwards
    removes: tuple[Drop, ...] = ()  # each after its kept copy, if any, was read as completed
    teardown: StoreChange | None = None  # a store goes when nothing of it is wanted

    @property
    def puts(self) -> tuple[Put, ...]:
        """The files of all waves."""
        return tuple(put for wave in self.waves for put in wave)

    @property
    def step_count(self) -> int:
        """How many steps there are beside the store's own."""
        others = (self.cancels, self.updates, self.batch_waits, self.copy_waits, self.removes)
        return len(self.puts) + sum(map(len, others))


Step = Put | Update | Wait | Drop

_SETUP = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.ADOPT)
_TEARDOWN = (Action.DELETE, Action.REPLACE)


def plan_steps(plan: Plan) -> tuple[StoreSteps, ...]:
    """The steps of every store that has any, in the plan's order."""
    all_steps = (_plan_store_steps(plan.owner, store_plan) for store_plan in plan.stores)
    return tuple(steps for steps in all_steps if steps.setup or steps.teardown or steps.step_count)


def _plan_store_steps(owner: str, store_plan: StorePlan) -> StoreSteps:
    change = store_plan.change
    steps = [step for file_change in store_plan.files for step in _plan_file_steps(owner, store_plan, file_change)]
    puts = [step for step in steps if isinstance(step, Put)]
    return StoreSteps(
        key=store_plan.key,
        store_id=store_plan.id,
        in_flight=store_plan.batch.in_flight,
        ignored_attributes=_ignored_attributes(store_plan),
        setup=change if change and change.action in _SETUP else None,
        settings=store_plan.desired,
        cancels=tuple(BatchStep(batch.id) for batch in store_plan.batches if batch.action is Action.CANCEL),
        waves=partition(puts, store_plan.batch.size),
        updates=tuple(step for step in steps if isinstance(step, Update)),
        copy_waits=tuple(step for step in steps if isinstance(step, Wait)),
        batch_waits=tuple(BatchStep(batch.id) for batch in store_plan.batches if batch.action is Action.AWAIT),
        removes=tuple(step for step in steps if isinstance(step, Drop)),
        teardown=change if change and change.action in _TEARDOWN else None,
    )


def _ignored_attributes(store_plan: StorePlan) -> tuple[str, ...]:
    return store_plan.desired.ignore_attributes if store_plan.desired else ()


def _plan_file_steps(owner: str, store_plan: StorePlan, change: FileChange) -> Iterator[Step]:
    """A drop that is not part of a put or wait removes a copy once the copy to keep, if any, was read as completed."""
    kept_id = change.keep.id if change.keep else ""
    match change.action:
        case Action.CREATE | Action.REPLACE:
            yield _put(owner, store_plan, change)
        case Action.UPDATE | Action.ADOPT:
            yield _update(owner, store_plan, change)
            yield from (_drop(owner, change.key, copy, kept_id) for copy in change.drop)
        case Action.AWAIT:
            if change.fields:
                yield _update(owner, store_plan, change)
            yield Wait(change.key, kept_id, tuple(_drop(owner, change.key, copy) for copy in change.drop))
        case Action.DELETE:
            yield from (_drop(owner, change.key, copy, kept_id) for copy in change.drop)
        case Action.REFUSE:
            return
        case Action.CANCEL:
            raise ValueError(f"{change.key}: a file cannot be cancelled, only its batch")
        case _:
            assert_never(change.action)


def _put(owner: str, store_plan: StorePlan, change: FileChange) -> Put:
    """A File attaches once per store, so its own old copy is detached first; the others too, if there is a gap.

    A File that is attached again keeps the origin and content of its old mark.
    """
    file = _desired(change)
    origin = Origin.DECLARED if file.file_id else Origin.UPLOADED
    mark = mark_for(owner, file, _ignored_attributes(store_plan), origin=origin, tries=change.tries)
    old = next((copy.mark for copy in change.drop if copy.id == change.reuse), None)
    if isinstance(old, Mark) and not file.file_id:
        mark = replace(mark, origin=old.origin, content=old.content)
    existing_id = file.file_id or change.reuse
    first = [copy for copy in change.drop if change.gap or copy.id == existing_id]
    return Put(
        key=change.key,
        file=file,
        attributes=_attributes(change),
        mark=mark,
        chunking=file.chunking,
        existing_id=existing_id,
        before_attach=tuple(_drop(owner, change.key, copy, reattached=existing_id) for copy in first),
        afterwards=tuple(_drop(owner, change.key, copy) for copy in change.drop if copy not in first),
        unfinished=any(copy.id == existing_id and copy.status is not FileStatus.COMPLETED for copy in first),
    )


def _update(owner: str, store_plan: StorePlan, change: FileChange) -> Update:
    """The attributes to write and the mark that goes with them; it keeps content, chunking, origin and tries."""
    file = _desired(change)
    if change.keep is None:
        raise ValueError(f"{change.key}: an update needs the copy it is about")
    origin = Origin.DECLARED if file.file_id else Origin.ADOPTED
    mark = mark_for(owner, file, _ignored_attributes(store_plan), origin=origin)
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
    return Drop(key, copy.id, is_our_upload(copy.mark, owner) and copy.id != reattached, kept_id)


def is_our_upload(mark: object, owner: str) -> bool:
    """Whether a mark says that its File is an upload of this owner's, not one that was declared or adopted."""
    return isinstance(mark, Mark) and mark.owner == owner and mark.origin is Origin.UPLOADED


def _desired(change: FileChange) -> DesiredFile:
    if change.desired is None:
        raise ValueError(f"{change.key}: {change.action} needs a desired file")
    return change.desired
