"""Decides what to do: the manifest resolved on one side, one complete reading of the service on the other.

Values in, values out: it reads no clock, file or network, and the same inputs in any order give the same plan.
`matching` finds the stores, `stores` decides about each, `files` about what is in it (`table` for a key with copies,
`claims` for one without), `sharing` looks across stores, `assembly` puts one store's part together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from vssync.errors import VssyncError
from vssync.model.marks import NEEDED, StoreMark, attributes_digest, hinted, read_store_mark
from vssync.model.plan import Action, Note, NoteKind, Options, Plan, StorePlan
from vssync.model.state import (
    Attributes,
    Capabilities,
    Contents,
    Desired,
    DesiredStore,
    LiveStore,
    Snapshot,
    StoreStatus,
)
from vssync.planner.addresses import Scope
from vssync.planner.batches import BatchContext, BatchDecisions, decide_batches
from vssync.planner.classify import DesiredEntry, classify_files
from vssync.planner.decide_file import FileContext, retry_after_cancel
from vssync.planner.decide_store import PlanContext, StoreDecision, decide_store, delete_store
from vssync.planner.find_stores import StoreMatches, match_stores
from vssync.planner.guards import check_guards
from vssync.planner.reuse import share_uploads
from vssync.planner.store_files import StoreDraft, delete, draft_files, in_order, undecided

_COMMON = Capabilities()
_UNMARKABLE = (
    f"service.capabilities: says `attributes: false`, and {NEEDED}; use a service that keeps attributes, or take the "
    "line out if `vssync doctor --write` finds that this one does"
)


def make_plan(
    desired: Desired,
    snapshot: Snapshot,
    options: Options,
    capabilities: Capabilities = _COMMON,
    fulfilled: frozenset[tuple[str, str]] = frozenset(),
) -> Plan:
    """The plan that makes the live state what the manifest says, with the guards' refusals in it.

    The snapshot holds the contents of every store in `match_stores(...).wanted_ids`; `fulfilled` are files, by store
    and key, whose `--replace` was done by an earlier apply of the same saved plan.

    Raises Refused for a store of another owner and for two live stores of ours with one key, UsageProblem for an
    address that meets nothing, VssyncError for a mark that a newer version wrote, and for a service where no file can
    carry one.
    """
    if not capabilities.attributes:
        raise VssyncError(_UNMARKABLE)
    matches = match_stores(desired, snapshot.stores, options)
    terms = PlanContext(desired.owner, options, capabilities, replace(Scope.of(options), fulfilled=fulfilled), snapshot)
    stores = {store.key: store for store in desired.stores if store.key in matches.found}
    decisions = {key: decide_store(stores[key], match, terms) for key, match in sorted(matches.found.items())}
    drafts = share_uploads([_draft(stores[key], decision, terms) for key, decision in decisions.items()])
    _check_addresses(desired, drafts, snapshot.stores, terms.scope)
    planned = [store_plan(draft, decisions[draft.rules.store.key], terms) for draft in drafts]
    planned += left_plans(matches, decisions, terms)
    plan = Plan(desired.owner, desired.service, tuple(sorted(planned, key=lambda store: store.key)), options)
    return replace(plan, refusals=check_guards(plan))


def _draft(store: DesiredStore, decision: StoreDecision, terms: PlanContext) -> StoreDraft:
    rules = FileContext(terms.owner, store, terms.snapshot.now, terms.options, terms.capabilities, terms.scope)
    if decision.held:
        return undecided(rules)
    return draft_files(contents_of(decision, terms), terms.snapshot.uploads, rules)


def _check_addresses(desired: Desired, drafts: tuple[StoreDraft, ...], live: Iterable[LiveStore], scope: Scope) -> None:
    """An address may name what is desired, what is skipped, and what is live under our mark, in scope or not."""
    if not (scope.targets or scope.excludes or scope.replaced):
        return
    known = {store.key: {*store.skipped, *(file.key for file in store.files)} for store in desired.stores}
    for draft in drafts:
        known[draft.rules.store.key].update(copies[-1].key for copies in draft.census.ours.values())
    for mark in (read_store_mark(store.metadata) for store in live):
        if isinstance(mark, StoreMark) and mark.owner == desired.owner:
            known.setdefault(mark.key, set())
    scope.check(known)


_NOTHING = Contents()


def contents_of(decision: StoreDecision, terms: PlanContext) -> Contents:
    """What a store holds that matters to the plan: nothing while it does not exist for us."""
    if decision.live is None or decision.fresh or decision.held:
        return _NOTHING
    return terms.snapshot.contents[decision.live.id]


def store_plan(draft: StoreDraft, decision: StoreDecision, terms: PlanContext) -> StorePlan:
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
        files=tuple(
            retry_after_cancel(file) if file.keep and file.keep.id in live.recalled else file for file in draft.changes
        ),
        batches=live.changes,
        notes=(*decision.notes, *_leftover_notes(decision, terms), *draft.notes, *live.notes),
        unchanged=draft.unchanged,
        owned=len(draft.census.ours),
        live=decision.live.counts.total if decision.live and decision.held else len(contents.files),
        unlisted=contents.unlisted,
        wanted=len(store.files),
        digest=content_digest(draft.wants),
    )


def left_plans(matches: StoreMatches, decisions: Mapping[str, StoreDecision], terms: PlanContext) -> list[StorePlan]:
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


def _left_plan(key: str, shown: str, live: LiveStore, terms: PlanContext) -> StorePlan:
    contents = _NOTHING if live.status is StoreStatus.EXPIRED else terms.snapshot.contents[live.id]
    census = classify_files(contents.files, (terms.owner,), shown)
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


def _leftover_notes(decision: StoreDecision, terms: PlanContext) -> tuple[Note, ...]:
    if terms.options.allow_store_deletes:
        return ()
    why = "carries the same mark and is not in use; --allow-store-deletes removes it"
    return tuple(Note(NoteKind.LEFT_STORE, detail=f"{live.id} {why}") for live in decision.leftovers)


def _decide_batches(draft: StoreDraft, live: LiveStore | None, contents: Contents) -> BatchDecisions:
    """Batches are nobody's while only a part of the store is in scope: what they hold may not be judged."""
    if live is None or not draft.rules.scope.whole(draft.rules.store.key):
        return BatchDecisions()
    around = BatchContext(
        files={file.id: file for file in contents.files},
        hint=hinted(live.metadata),
        ours=draft.census.our_ids,
        unwanted=draft.dropped,
        again={file.keep.id for file in draft.changes if file.action is Action.AWAIT and file.keep},
    )
    return decide_batches(contents.batches, around)


def digest_of(store: DesiredStore) -> str:
    """The content digest of a store whose files were read."""
    return content_digest(tuple(map(DesiredEntry.of, sorted(store.files, key=lambda file: file.key))))


def content_digest(wants: tuple[DesiredEntry, ...]) -> str:
    """64 hex digits of SHA-256 over one line a file: key, content, File id if declared, attributes, chunking."""
    remembered: dict[int, str] = {}  # equal maps are mostly one object, so the work is done once

    def digest(attributes: Attributes) -> str:
        if id(attributes) not in remembered:
            remembered[id(attributes)] = attributes_digest(attributes)
        return remembered[id(attributes)]

    total = hashlib.sha256()
    for want in wants:
        attributes = digest(want.file.attributes)
        line = f"{want.digest};{want.content};{want.file.file_id};{attributes};{want.chunking}\n"
        total.update(line.encode())
    return total.hexdigest()
