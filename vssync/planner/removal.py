"""Stores that leave: those of ours that the manifest no longer declares, and those it says to remove.

`removed: delete` deletes a store with our files; `removed: keep` only takes our marks away. Both act only on a store
that carries our mark for its key; in an external store, only on our files. A store that merely has the right name or id
is not ours to remove.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from vssync.model.marks import STORE_APPLIED, STORE_PROTECT, Removal, without_ours
from vssync.model.plan import Action, FieldChange, FileChange, Note, NoteKind, Reason, StoreChange, StorePlan
from vssync.model.state import Contents, DesiredStore, LiveStore
from vssync.planner.classify import ClassifiedFiles, OwnedCopy, classify_files
from vssync.planner.context import PlanContext, StorePlanContext
from vssync.planner.decide_store import describe_denial, describe_ours, is_denied, newer_mark_problem
from vssync.planner.find_stores import StoreMatch, StoreMatches
from vssync.planner.store_files import deletion_of, draft_files, note_others, sort_changes
from vssync.text import count_noun


class _RemovalDecision(NamedTuple):
    change: StoreChange | None = None
    files: tuple[FileChange, ...] = ()


@dataclass(frozen=True, slots=True)
class _LeavingStore:
    """A live store that is to go, with its files grouped by owner.

    `key` is the one in the manifest or the store's mark; of several stores of one key, all but the first are `key@id`
    in the plan.
    """

    key: str
    plan_key: str
    live: LiveStore
    contents: Contents
    classified: ClassifiedFiles
    context: PlanContext

    @classmethod
    def of(cls, key: str, live: LiveStore, context: PlanContext, *, is_first: bool) -> _LeavingStore:
        """The store with what it holds: of an expired one, which cannot be listed, nothing is known."""
        contents = Contents() if live.is_expired else context.snapshot.contents[live.id]
        classified = classify_files(contents.files, (context.owner,))
        return cls(key, key if is_first else f"{key}@{live.id}", live, contents, classified, context)

    def plan(self, decision: _RemovalDecision, notes: Sequence[Note]) -> StorePlan:
        return StorePlan(
            key=self.plan_key,
            name=self.live.name,
            id=self.live.id,
            change=decision.change,
            files=decision.files,
            notes=tuple(notes),
            owned=len(self.classified.ours),
            live=self.contents.size,
            unlisted=self.contents.unlisted,
            applied=self.live.metadata.get(STORE_APPLIED, ""),
        )


def plan_undeclared(
    matches: StoreMatches, duplicates: Iterable[tuple[str, LiveStore]], context: PlanContext
) -> Iterator[StorePlan]:
    """The plans of stores of ours that the manifest does not declare.

    Duplicates of a store in use are included only where stores may be deleted; otherwise the plan of the store in use
    has a note on them.
    """
    options, used_keys = context.options, {*matches.by_key, *matches.removed}
    for key, live in (*matches.undeclared, *(duplicates if options.allow_store_deletes else ())):
        store = _LeavingStore.of(key, live, context, is_first=key not in used_keys)
        used_keys.add(key)
        decision = _RemovalDecision()
        if options.allow_store_deletes and context.scope.includes_all_files(key):
            decision = _delete_store(store, Reason.NOT_IN_MANIFEST)
        left_note = Note(NoteKind.LEFT_STORE, count=store.contents.size, detail=store.contents.problem)
        yield store.plan(decision, () if decision.change else (left_note, *note_others(store.classified)))


def plan_removed(store: DesiredStore, match: StoreMatch, context: PlanContext) -> Iterator[StorePlan]:
    """The plans of the live stores that the manifest says to remove; one without changes if nothing is left to do."""
    if is_denied(store, match, context.snapshot):
        refusal = _refuse((Reason.DENIED,), describe_denial(store, context.snapshot))
        yield StorePlan(store.key, store.name, desired=store.settings, change=refusal.change)
        return
    yielded = 0
    # An expired store without our mark need not be removed: it holds nothing that could still be used.
    candidates = match.live if match.lacks_mark else (*match.live, *match.expired)
    for live in candidates:
        leaving = _LeavingStore.of(store.key, live, context, is_first=not yielded)
        decision = _remove(leaving, store, match)
        if decision.change or decision.files:
            is_deleted = decision.change is not None and decision.change.action is Action.DELETE
            plan = leaving.plan(decision, () if is_deleted else note_others(leaving.classified))
            yield plan if yielded else replace(plan, desired=store.settings)
            yielded += 1
    if not yielded:
        yield StorePlan(store.key, store.name, desired=store.settings)


def _remove(leaving: _LeavingStore, store: DesiredStore, match: StoreMatch) -> _RemovalDecision:
    """What becomes of one live store that has the name, the id or the mark of a store to remove."""
    is_release = store.removed is Removal.KEEP
    if store.external:
        if shortfall := leaving.contents.shortfall:  # why not all of its files are known
            return _refuse((Reason.UNLISTED,), shortfall)
        if len(match.live) > 1 and leaving.classified.our_copies:
            detail = f"several stores are named {store.name}; choose one with `id:`"
            return _refuse((Reason.UNMARKED,), f"{leaving.live.id} holds files of ours, and {detail}")
        if is_release:
            return _release(leaving, has_store_mark=False)
        return _RemovalDecision(files=_delete_files(store, leaving))
    if match.lacks_mark:
        return _refuse_unmarked(leaving, store)
    return _release(leaving) if is_release else _delete_store(leaving, Reason.REMOVED)


def _refuse(reasons: tuple[Reason, ...], detail: str) -> _RemovalDecision:
    return _RemovalDecision(StoreChange(Action.REFUSE, reasons, detail=detail))


def _refuse_unmarked(leaving: _LeavingStore, store: DesiredStore) -> _RemovalDecision:
    """Refuses to remove a store that has the right name or id, but not the mark.

    `removed: keep` is not refused if none of its files carries our mark: then nothing is left to do.
    """
    live, contents, ours = leaving.live, leaving.contents, len(leaving.classified.our_copies)
    if store.removed is Removal.KEEP and not ours:
        return _refuse((Reason.UNLISTED,), contents.shortfall) if contents.shortfall else _RemovalDecision()
    owner, key = live.claim
    has = f"the mark of {owner} for {key}" if owner else "no mark of this key"
    has += f", and {describe_ours(ours, len(contents.files))}" if ours else ""
    way_out = (
        "take the entry out of the manifest if the store is to stay"
        if owner or not ours
        else f"to restore its mark, declare the store once more with `id: {live.id}` and apply with --adopt"
    )
    found = live.id if store.id else f"{live.id}, which has this name,"
    detail = f"{found} carries {has}, so nothing is removed; {way_out}"
    return _refuse((Reason.UNMARKED if owner in ("", leaving.context.owner) else Reason.OTHER_OWNER,), detail)


def _delete_store(leaving: _LeavingStore, reason: Reason) -> _RemovalDecision:
    """The deletion of a store of ours with its files, or its refusal.

    Files that the service counts but does not list are treated as others', since their owner is unknown.
    """
    live, contents, options = leaving.live, leaving.contents, leaving.context.options
    if problem := newer_mark_problem(live):
        return _refuse((reason, Reason.UNREADABLE), problem)
    if live.metadata.get(STORE_PROTECT):
        return _refuse((reason, Reason.PROTECTED), "it is protected")
    if contents.problem:
        unknown = f"neither the content nor the owner of its {count_noun(contents.count, 'file')} is known"
        if {leaving.key, leaving.plan_key, live.id}.intersection(options.delete_unlisted):
            return _RemovalDecision(StoreChange(Action.DELETE, (reason, Reason.UNLISTED), detail=unknown))
        detail = f"{contents.problem}\n{unknown}; `vssync destroy --delete-unlisted {live.id}` deletes it nevertheless"
        return _refuse((reason, Reason.UNLISTED, Reason.NOT_ALLOWED), detail)
    not_ours, unlisted = len(leaving.classified.others), contents.unlisted
    if not_ours + unlisted > (options.delete_unmanaged or 0):
        way_out = f"--delete-unmanaged {not_ours + unlisted}"
        is_or_are = "is" if not_ours == 1 else "are"
        problems = [f"{count_noun(not_ours, 'file')} in it {is_or_are} not ours"] if not_ours else []
        if unlisted:
            problems.append(f"{contents.mismatch}, so {unlisted:,} more may not be ours")
            way_out = f"try again later, or {way_out}"
        return _refuse((reason, Reason.NOT_ALLOWED), f"{', and '.join(problems)}: {way_out}")
    copy_groups = (*leaving.classified.ours.values(), *([copy] for copy in leaving.classified.provisional))
    deletions = (replace(deletion_of(leaving.plan_key, copies), reasons=(reason,)) for copies in copy_groups)
    return _RemovalDecision(StoreChange(Action.DELETE, (reason,)), sort_changes(deletions))


def _delete_files(store: DesiredStore, leaving: _LeavingStore) -> tuple[FileChange, ...]:
    """The deletions of all our files in a store, as if the manifest chose none."""
    changes = draft_files(leaving.contents, StorePlanContext(leaving.context, store)).changes
    reasons = {Reason.NOT_IN_MANIFEST: Reason.REMOVED}
    return tuple(
        replace(change, reasons=tuple(reasons.get(reason, reason) for reason in change.reasons)) for change in changes
    )


def _release(leaving: _LeavingStore, *, has_store_mark: bool = True) -> _RemovalDecision:
    """The writes that take our marks from the files of a store and, after that, from the store itself."""
    live, contents, capabilities = leaving.live, leaving.contents, leaving.context.capabilities
    our_copies = leaving.classified.our_copies
    problem = newer_mark_problem(live) if has_store_mark else ""
    reason = Reason.UNREADABLE
    if contents.shortfall:
        problem, reason = contents.shortfall, Reason.UNLISTED
    elif live.is_expired:
        problem, reason = "an expired store cannot be changed; `removed: delete` deletes it", Reason.EXPIRED
    elif (has_store_mark and not capabilities.store_updates) or (our_copies and not capabilities.attribute_updates):
        problem, reason = "the service cannot take marks away: it changes nothing in place", Reason.IMPOSSIBLE
    if problem:
        return _refuse((Reason.RELEASED, reason), problem)
    fields = (FieldChange("protect", True, False),) if live.metadata.get(STORE_PROTECT) else ()
    released = StoreChange(Action.UPDATE, (Reason.RELEASED,), fields, without_ours(live.metadata))
    change = released if has_store_mark else None
    return _RemovalDecision(change, sort_changes(_release_files(leaving.plan_key, our_copies)))


def _release_files(store_key: str, copies: Sequence[OwnedCopy]) -> Iterator[FileChange]:
    """The writes that take our marks from files. Of several copies of a key, all but the newest are called `key@id`."""
    used_keys = set[str]()
    for copy in reversed(copies):
        key = f"{copy.key}@{copy.id}" if copy.key in used_keys else copy.key
        used_keys.add(key)
        yield FileChange(
            store_key,
            key,
            Action.UPDATE,
            (Reason.RELEASED,),
            keep=copy.recorded,
            preserve=without_ours(copy.file.attributes),
        )
