"""Puts one store's part of a plan together: its own change, its files, its live batches, its notes and counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vssync.batches import Around, Decisions, decide
from vssync.model import Contents, LiveStore, StoreStatus
from vssync.ownership import hinted
from vssync.plan import Action, Note, NoteKind, StorePlan
from vssync.planner.copies import take_census
from vssync.planner.digest import content_digest
from vssync.planner.files import Draft, delete, in_order
from vssync.planner.matching import Matches
from vssync.planner.stores import Decision, Terms, delete_store
from vssync.planner.table import again

_NOTHING = Contents()


def contents_of(decision: Decision, terms: Terms) -> Contents:
    """What a store holds that matters to the plan: nothing while it does not exist for us."""
    if decision.live is None or decision.fresh or decision.held:
        return _NOTHING
    return terms.snapshot.contents[decision.live.id]


def store_plan(draft: Draft, decision: Decision, terms: Terms) -> StorePlan:
    """The plan of a store that the manifest declares."""
    store = draft.rules.store
    contents = contents_of(decision, terms)
    live = _decide_batches(draft, decision.live, contents)
    change = decision.change
    if change and change.action is Action.UPDATE and not terms.scope.settings(store.key):
        change = None
    return StorePlan(
        key=store.key,
        name=store.name,
        id=decision.live.id if decision.live else "",
        desired=replace(store, files=(), skipped={}),
        change=change,
        files=tuple(again(file) if file.keep and file.keep.id in live.recalled else file for file in draft.changes),
        batches=live.changes,
        notes=(*decision.notes, *_leftover_notes(decision, terms), *draft.notes, *live.notes),
        unchanged=draft.unchanged,
        owned=len(draft.census.ours),
        live=decision.live.counts.total if decision.live and decision.held else len(contents.files),
        unlisted=contents.unlisted,
        wanted=len(store.files),
        digest=content_digest(draft.wants),
    )


def left_plans(matches: Matches, decisions: Mapping[str, Decision], terms: Terms) -> list[StorePlan]:
    """The plans of stores of ours that no manifest store uses.

    Several of one key are told apart by id; those beside a store in use are only notes until deleting is allowed.
    """
    found = [(key, live, key in decisions) for key, live in matches.left]
    if terms.options.allow_store_deletes:
        found += [(key, live, True) for key, decision in decisions.items() for live in decision.leftovers]
    plans: list[StorePlan] = []
    for key, live, beside in found:
        again_named = beside or any(plan.key == key for plan in plans)
        plans.append(_left_plan(key, f"{key}@{live.id}" if again_named else key, live, terms))
    return plans


def _left_plan(key: str, shown: str, live: LiveStore, terms: Terms) -> StorePlan:
    contents = _NOTHING if live.status is StoreStatus.EXPIRED else terms.snapshot.contents[live.id]
    census = take_census(contents.files, (terms.owner,), shown)
    others = len(contents.files) - len(census.our_ids)
    change = delete_store(live, others, contents, terms.options) if terms.scope.whole(key) else None
    unkeyed = [(copy,) for copy in census.provisional]
    goes = change is not None and change.action is Action.DELETE
    return StorePlan(
        key=shown,
        name=live.name,
        id=live.id,
        change=change,
        files=in_order(delete(shown, copies) for copies in (*census.ours.values(), *unkeyed)) if goes else (),
        notes=() if change else (Note(NoteKind.LEFT_STORE, count=len(contents.files), detail=live.id),),
        owned=len(census.ours),
        live=len(contents.files),
        unlisted=contents.unlisted,
    )


def _leftover_notes(decision: Decision, terms: Terms) -> tuple[Note, ...]:
    if terms.options.allow_store_deletes:
        return ()
    why = "carries the same mark and is not in use; --allow-store-deletes removes it"
    return tuple(Note(NoteKind.LEFT_STORE, detail=f"{live.id} {why}") for live in decision.leftovers)


def _decide_batches(draft: Draft, live: LiveStore | None, contents: Contents) -> Decisions:
    """Batches are nobody's while only a part of the store is in scope: what they hold may not be judged."""
    if live is None or not draft.rules.scope.whole(draft.rules.store.key):
        return Decisions()
    around = Around(
        files={file.id: file for file in contents.files},
        hint=hinted(live.metadata),
        ours=draft.census.our_ids,
        unwanted=draft.dropped,
        again={file.keep.id for file in draft.changes if file.action is Action.AWAIT and file.keep},
    )
    return decide(contents.batches, around)
