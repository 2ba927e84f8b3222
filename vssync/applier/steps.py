"""Turns a plan into the steps that carry it out, in the order in which those of a store are taken.

Nothing is decided here: the plan did that, and knows why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from vssync.model.digests import mark_for, with_key
from vssync.model.marks import Mark, Origin, is_our_upload, short_digest
from vssync.model.plan import Action, FileChange, Plan, Reason, RecordedCopy, StoreChange, StorePlan
from vssync.model.state import Attributes, Chunking, DesiredFile, FileStatus, Scalar, StoreSettings

_MAX_ATTEMPTS = 3  # to ingest a file, in one run
_MANY_RUNS = 5  # that failed to ingest the same bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """A copy to detach."""

    key: str
    file_id: str
    deletes_upload: bool  # at the end of the run: it is ours by its mark, and is not attached again
    kept_id: str = ""  # the copy that stays in its place, which must be read as completed first


@dataclass(frozen=True, slots=True)
class Put:
    """A file to bring into a store: upload it, unless its File exists, attach it, wait until it is completed."""

    key: str
    file: DesiredFile
    attributes: Attributes  # the whole map to send beside the mark
    mark: Mark
    chunking: Chunking
    existing_id: str = ""  # of a File to attach instead of an upload
    before_attach: tuple[Drop, ...] = ()  # old copies that must go first
    after_completion: tuple[Drop, ...] = ()  # old copies that go once the new one was read as completed
    may_have_completed: bool = False  # the existing File may be completed by now; then it stays attached

    @property
    def is_reattached(self) -> bool:
        """Whether the File is in the store already, and is detached only to be attached again."""
        return any(drop.file_id == self.existing_id for drop in self.before_attach)

    @property
    def max_attempts(self) -> int:
        """How often this run may try to ingest it: once where many runs failed to."""
        return 1 if self.mark.tries > _MANY_RUNS else _MAX_ATTEMPTS


@dataclass(frozen=True, slots=True)
class Update:
    """Attributes to write in place; `attributes` is the whole map to send beside the mark."""

    key: str
    file: DesiredFile | None  # None where the file is released: our mark and key go
    file_id: str
    attributes: Attributes
    mark: Mark | None  # None takes the old one away


@dataclass(frozen=True, slots=True)
class Wait:
    """An up-to-date copy that is still being ingested; `drops` are detached once it is completed."""

    key: str
    file_id: str
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchStep:
    """A live batch of ours, to cancel or to wait for; `key` is its id."""

    key: str


@dataclass(frozen=True, slots=True)
class StoreSteps:
    """All steps of one store. From `setup` on they are in the order in which they are taken, but for `late_puts`."""

    key: str
    store_id: str  # empty until the store is created; of the old one where `setup` replaces it
    owner: str = ""
    applied: str = ""  # the store's stamp when this was planned
    others: int = 0  # files in it then that are not known to be ours; counted of a store to delete
    ignored_attributes: tuple[str, ...] = ()  # those that others own: sent along, and left out of the digests in marks
    settings: StoreSettings | None = None  # None for a store that left the manifest
    setup: StoreChange | None = None  # the store must exist before anything is put into it
    adopts: tuple[str, ...] = ()  # keys; until all are adopted, the store's mark says that adoption is unfinished
    cancels: tuple[BatchStep, ...] = ()  # superseded batches to cancel: their files would only be removed again
    # Files to bring in. Old copies go afterwards; or first, with a gap (no completed copy is searchable meanwhile).
    puts: tuple[Put, ...] = ()
    unproven: frozenset[str] = frozenset()  # file types that the service may not support: one file is tried first
    updates: tuple[Update, ...] = ()  # attributes in place; independent of the puts
    batch_waits: tuple[BatchStep, ...] = ()  # batches of earlier runs end before their files are read or removed
    copy_waits: tuple[Wait, ...] = ()  # up-to-date copies still being ingested; their superseded copies go afterwards
    drops: tuple[Drop, ...] = ()  # each after its kept copy, if any, was read as completed
    # Some services keep one set of chunks for files with equal text, which goes when any of them is detached. These are
    # files with the same text as a dropped copy: detached before the drops, and attached after.
    late_puts: tuple[Put, ...] = ()
    leaving: tuple[Drop, ...] = ()  # copies that go with the store
    teardown: StoreChange | None = None  # the store itself is deleted or released, or the old one where it was replaced

    @property
    def all_puts(self) -> tuple[Put, ...]:
        """All files to bring in."""
        return (*self.puts, *self.late_puts)

    @property
    def has_writes(self) -> bool:
        """Whether anything is written, and not only waited for."""
        drops = (*self.drops, *(drop for wait in self.copy_waits for drop in wait.drops))
        return bool(self.setup or self.teardown or self.cancels or self.all_puts or self.updates or drops)

    @property
    def change_count(self) -> int:
        """How many changes there are besides that of the store itself; some take several steps."""
        steps = (self.all_puts, self.cancels, self.updates, self.batch_waits, self.copy_waits, self.drops, self.leaving)
        return len({step.key for steps_of_a_kind in steps for step in steps_of_a_kind})


Step = Put | Update | Wait | Drop

_SETUP = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.ADOPT)
_TEARDOWN = (Action.DELETE, Action.REPLACE)


def plan_steps(plan: Plan) -> tuple[StoreSteps, ...]:
    """The steps that carry out a plan, of every store that has any, in the plan's order."""
    all_steps = (_store_steps(plan.owner, store_plan) for store_plan in plan.stores)
    return tuple(steps for steps in all_steps if steps.setup or steps.teardown or steps.change_count)


def _store_steps(owner: str, store_plan: StorePlan) -> StoreSteps:
    change = store_plan.change
    ignored = store_plan.desired.ignore_attributes if store_plan.desired else ()
    steps = [step for file_change in store_plan.files for step in _plan_file_steps(owner, ignored, file_change)]
    late_keys = {change.key for change in store_plan.files if Reason.SHARED_CHUNKS in change.reasons}
    # Files with a single attempt come last.
    puts = sorted((step for step in steps if isinstance(step, Put)), key=lambda put: -put.max_attempts)
    is_release = change is not None and change.action is Action.UPDATE and Reason.RELEASED in change.reasons
    setup = change if change and change.action in _SETUP and not is_release else None
    drops = tuple(step for step in steps if isinstance(step, Drop))
    is_deleted = change is not None and change.action is Action.DELETE
    return StoreSteps(
        key=store_plan.key,
        store_id=store_plan.id,
        owner=owner,
        applied=store_plan.applied,
        others=store_plan.live + store_plan.unlisted - len(drops) if is_deleted else 0,
        ignored_attributes=ignored,
        setup=setup,
        adopts=tuple(file.key for file in store_plan.files if file.takes_over) if setup else (),
        settings=store_plan.desired,
        cancels=tuple(BatchStep(batch.id) for batch in store_plan.batches if batch.action is Action.CANCEL),
        puts=tuple(put for put in puts if put.key not in late_keys),
        late_puts=tuple(put for put in puts if put.key in late_keys),
        unproven=frozenset(store_plan.unproven),
        updates=tuple(step for step in steps if isinstance(step, Update)),
        copy_waits=tuple(step for step in steps if isinstance(step, Wait)),
        batch_waits=tuple(BatchStep(batch.id) for batch in store_plan.batches if batch.action is Action.AWAIT),
        drops=() if is_deleted else drops,
        leaving=drops if is_deleted else (),
        teardown=change if change and (is_release or change.action in _TEARDOWN) else None,
    )


def _plan_file_steps(owner: str, ignored: tuple[str, ...], change: FileChange) -> Iterator[Step]:
    """The steps of one file, in no order: `StoreSteps` sorts them by kind."""
    kept_id = change.keep.id if change.keep else ""
    match change.action:
        case Action.CREATE | Action.REPLACE:
            yield _put(owner, ignored, change)
        case Action.UPDATE | Action.ADOPT:
            yield _update(owner, ignored, change)
            yield from (_drop(owner, change.key, copy, kept_id) for copy in change.drop)
        case Action.AWAIT:
            if change.fields:
                yield _update(owner, ignored, change)
            yield Wait(change.key, kept_id, tuple(_drop(owner, change.key, copy) for copy in change.drop))
        case Action.DELETE:
            yield from (_drop(owner, change.key, copy, kept_id) for copy in change.drop)
        case Action.REFUSE:
            return
        case Action.CANCEL:
            raise ValueError(f"{change.key}: a file cannot be cancelled, only its batch")
        case _:
            assert_never(change.action)


def _put(owner: str, ignored: tuple[str, ...], change: FileChange) -> Put:
    """The step that brings a file in, with the copies it replaces.

    A File attaches once per store, so its own old copy is detached first. With a gap (no completed copy is searchable
    meanwhile), the other copies are detached first, too. A File that is attached again keeps what its old mark says of
    the upload.
    """
    file = change.desired
    assert file
    origin = Origin.DECLARED if file.file_id else Origin.UPLOADED
    mark = mark_for(owner, file, ignored, origin=origin, tries=change.tries)
    old = next((copy for copy in change.drop if copy.id == change.reuse), None)
    if old and not file.file_id:
        if isinstance(old_mark := old.mark, Mark):
            origin, content, name_digest = old_mark.origin, old_mark.content, old_mark.name_digest
            mark = replace(mark, origin=origin, content=content, name_digest=name_digest, source=old_mark.source)
        else:
            mark = _mark_of_adopted(mark, file, change, old)
    existing_id = file.file_id or change.reuse
    drop_first = [copy for copy in change.drop if change.gap or copy.id == existing_id]
    return Put(
        key=change.key,
        file=file,
        attributes=_attributes(file, change),
        mark=mark,
        chunking=file.chunking,
        existing_id=existing_id,
        before_attach=tuple(_drop(owner, change.key, copy, reattached_id=existing_id) for copy in drop_first),
        after_completion=tuple(_drop(owner, change.key, copy) for copy in change.drop if copy not in drop_first),
        may_have_completed=any(
            copy.id == existing_id and copy.status is not FileStatus.COMPLETED for copy in drop_first
        ),
    )


def _update(owner: str, ignored: tuple[str, ...], change: FileChange) -> Update:
    """The attributes to write, and a mark that keeps what the old one says of the upload and of its ingestion.

    A File that the manifest declares is marked as declared, whoever uploaded it.
    """
    file, old = change.desired, change.keep
    assert old
    if file is None:
        return Update(change.key, None, old.id, change.preserve, None)
    mark = mark_for(owner, file, ignored, origin=Origin.DECLARED, tries=change.tries)  # for a File declared by id
    if not file.file_id and isinstance(old.mark, Mark):
        mark = replace(
            old.mark, owner=mark.owner, key_digest=mark.key_digest, attributes_digest=mark.attributes_digest, echo=""
        )
    elif not file.file_id:
        mark = _mark_of_adopted(mark, file, change, old)
    return Update(change.key, file, old.id, _attributes(file, change), mark)


def _mark_of_adopted(mark: Mark, file: DesiredFile, change: FileChange, old: RecordedCopy) -> Mark:
    """The mark of a File that others uploaded: what was not compared is presumed to be what is wanted."""
    content = file.presumed_content if Reason.UNCOMPARED in change.reasons else file.content
    return replace(mark, origin=Origin.ADOPTED, content=content, name_digest=short_digest(old.filename))


def _attributes(file: DesiredFile, change: FileChange) -> dict[str, Scalar]:
    """The whole map to send: a write replaces it, so attributes that others own are sent along unchanged."""
    return {**with_key(file.attributes, file.key), **change.preserve}


def _drop(owner: str, key: str, copy: RecordedCopy, kept_id: str = "", *, reattached_id: str = "") -> Drop:
    return Drop(key, copy.id, is_our_upload(copy.mark, owner) and copy.id != reattached_id, kept_id)
