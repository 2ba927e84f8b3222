"""Makes a plan from the resolved manifest and one complete reading of the service: values in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from vssync.errors import VssyncError
from vssync.model.marks import NEEDS_ATTRIBUTES, STORE_APPLIED, STORE_OWNER, Mark, StoreMark, parse_store_mark
from vssync.model.plan import Action, Note, NoteKind, Options, Plan, Reason, StoreChange, StorePlan
from vssync.model.state import Capabilities, Contents, Desired, DesiredStore, LiveStore, Snapshot, Verdict
from vssync.planner import store_files
from vssync.planner.addresses import Scope
from vssync.planner.batches import decide_batches
from vssync.planner.classify import ClassifiedFiles, classify_files, desired_entries
from vssync.planner.content_digest import UNKNOWN, content_digest, live_content_digest
from vssync.planner.context import PlanContext, StorePlanContext
from vssync.planner.decide_file import retry_after_cancel
from vssync.planner.decide_store import StoreDecision, decide_store, decide_undeclared_store
from vssync.planner.find_stores import StoreMatches, claim_of, match_stores
from vssync.planner.guards import check_guards, is_unrelated
from vssync.planner.store_files import StoreDraft
from vssync.providers import PROVIDERS
from vssync.text import count_noun

_DEFAULT_CAPABILITIES = Capabilities()
_UNMARKABLE = (
    f"service.capabilities: says `attributes: false`, and {NEEDS_ATTRIBUTES}; use a service that keeps attributes, "
    "or take the line out if `vssync doctor --write` finds that this one does"
)


def make_plan(
    desired: Desired,
    snapshot: Snapshot,
    options: Options,
    capabilities: Capabilities = _DEFAULT_CAPABILITIES,
    already_replaced: frozenset[tuple[str, str]] = frozenset(),
) -> Plan:
    """The plan that makes the live state what the manifest says, with the guards' refusals in it.

    The snapshot holds the contents of `match_stores(...).ids_to_list`; `already_replaced` are files, by store and key,
    whose `--replace` was done by an earlier apply of the same saved plan. Raises Refused for a store of another owner
    and for two of ours with one key, UsageProblem for an address that matches nothing.
    """
    if not capabilities.attributes:
        raise VssyncError(_UNMARKABLE)
    matches = match_stores(desired, snapshot.stores, options, snapshot.made_here)
    scope, vouched = Scope.of(options, already_replaced), PROVIDERS[desired.service.provider].vouched_extensions
    context = PlanContext(desired.owner, options, capabilities, scope, snapshot, vouched)
    stores = {store.key: store for store in desired.stores if store.key in matches.by_key}
    decisions = {key: decide_store(stores[key], match, context) for key, match in sorted(matches.by_key.items())}
    drafts = store_files.share_uploads([_draft(stores[key], decision, context) for key, decision in decisions.items()])
    listed_drafts = [draft for draft in drafts if not decisions[draft.context.store.key].is_held]
    _check_addresses(desired, listed_drafts, matches, context)
    planned = [_plan_store(draft, decisions[draft.context.store.key], context) for draft in drafts]
    planned += _plan_undeclared(matches, decisions, context)
    by_key = tuple(_note_denial(sorted(planned, key=lambda store: store.key), snapshot.stores_denied))
    plan = Plan(desired.owner, desired.service, by_key, options, declared=len(desired.stores))
    return replace(plan, refusals=check_guards(plan))


def _draft(store: DesiredStore, decision: StoreDecision, context: PlanContext) -> StoreDraft:
    store_context = StorePlanContext(context, store, _is_adopting(store, decision, context))
    if decision.is_held:
        return StoreDraft(store_context, desired_entries(store), ClassifiedFiles(ours={}, unmarked=(), foreign={}))
    draft = store_files.draft_files(_contents_of(decision, context), store_context)
    if decision.is_short:
        return store_files.hold_unlisted(draft)
    return store_files.hold_removals(draft) if decision.restores_mark else draft


def _is_adopting(store: DesiredStore, decision: StoreDecision, context: PlanContext) -> bool:
    """Whether a store's adoption goes on: its mark says so, or it has none and holds nothing of ours yet.

    An external store carries no mark, so that `--adopt` always means all of it. A store without a mark that holds files
    of ours has lost it: what else is in there came later.
    """
    if decision.live is None or decision.is_new or decision.is_held:
        return False
    if store.external:
        return context.options.adopt
    mark = decision.live.mark
    if isinstance(mark, StoreMark):
        return mark.is_adopting
    files = context.snapshot.contents[decision.live.id].files
    return not any(isinstance(file.mark, Mark) and file.mark.owner in context.owners for file in files)


def _with_mark(draft: StoreDraft, decision: StoreDecision, scope: Scope) -> StoreChange | None:
    """The store's change; where the plan leaves anything to adopt, its mark says `adopting` afterwards, too."""
    change, live, store = decision.change, decision.live, draft.context.store
    if change is None or change.action is not Action.ADOPT or live is None or not draft.context.is_adopting:
        return change
    is_left = any(note.kind is NoteKind.ADOPTABLE for note in draft.notes)
    is_refused = any(change.action is Action.REFUSE and Reason.UNMARKED in change.reasons for change in draft.changes)
    if scope.includes_all_files(store.key) and not (is_left or is_refused):
        return change
    mark = parse_store_mark(change.metadata[STORE_OWNER])
    assert isinstance(mark, StoreMark)
    metadata = {**change.metadata, STORE_OWNER: str(mark.as_adopting())}
    return None if not change.fields and metadata == live.metadata else replace(change, metadata=metadata)


def _check_addresses(
    desired: Desired, listed_drafts: Sequence[StoreDraft], matches: StoreMatches, context: PlanContext
) -> None:
    """An address may name a store or key that is desired, skipped, or live under our mark.

    Nobody listed the files of a store that is out of scope or held, so there it may name any key.
    """
    scope = context.scope
    if not (scope.targets or scope.excludes or scope.replace_requests):
        return
    claims = map(claim_of, context.snapshot.stores)
    live_stores = (key for owner, key in claims if key and owner == desired.owner)
    declared_stores = (store.key for store in desired.stores)
    keys_by_store: dict[str, set[str] | None] = dict.fromkeys((*live_stores, *declared_stores))
    for store_key, live in matches.undeclared:
        contents = context.snapshot.contents.get(live.id)
        if contents and not contents.problem:
            classified = classify_files(contents.files, (context.owner,))
            keys_by_store[store_key] = {*(keys_by_store[store_key] or ()), *classified.our_keys}
    for draft in listed_drafts:
        store = draft.context.store
        desired_keys = (file.key for file in store.files)
        keys_by_store[store.key] = {*desired_keys, *store.skipped, *draft.classified.our_keys}
    scope.check_addresses(keys_by_store)


def _contents_of(decision: StoreDecision, context: PlanContext) -> Contents:
    """The files and batches that a store is planned from: none where it is new or held."""
    if decision.live is None or decision.is_new or decision.is_held:
        return Contents()
    return context.snapshot.contents[decision.live.id]


def _plan_store(draft: StoreDraft, decision: StoreDecision, context: PlanContext) -> StorePlan:
    store = draft.context.store
    contents = _contents_of(decision, context)
    batches = decide_batches(draft, decision.live, contents)
    store_change = _with_mark(draft, decision, context.scope)
    if store_change and store_change.action is Action.UPDATE and not context.scope.includes_settings(store.key):
        store_change = None
    if store_change and decision.is_short:
        waiting = f"{count_noun(draft.held, 'change')} held back; " if draft.held else ""
        detail = f"{store_change.detail}: {waiting}nothing is added or removed until it lists all; plan again later"
        store_change = replace(store_change, detail=detail)
    leftovers = () if context.options.allow_store_deletes else decision.leftovers
    unused = "carries the same mark and is not in use; --allow-store-deletes removes it"
    leftover_notes = (Note(NoteKind.LEFT_STORE, detail=f"{live.id} {unused}") for live in leftovers)
    # Where no live file is planned, the service's own count is shown.
    is_counted = decision.is_held or (decision.is_new and decision.live and not decision.live.is_expired)
    live_count = decision.live.counts.total if decision.live and is_counted else len(contents.files)
    shares_chunks = context.capabilities.shares_chunks
    return StorePlan(
        key=store.key,
        name=store.name,
        id=decision.live.id if decision.live else "",
        desired=store.settings,
        change=store_change,
        files=tuple(
            retry_after_cancel(change, shares_chunks=shares_chunks)
            if change.keep and change.keep.id in batches.cancelled_wait_ids
            else replace(change, reuse="")
            if change.reuse in context.snapshot.gone_uploads
            else change
            for change in draft.changes
        ),
        batches=batches.changes,
        notes=(*decision.notes, *leftover_notes, *draft.notes, *batches.notes),
        unchanged=draft.unchanged,
        owned=len(draft.classified.ours),
        live=live_count,
        unlisted=contents.unlisted,
        wanted=len(store.files),
        unproven=draft.unproven_extensions,
        unrelated=is_unrelated(draft),
        digest=content_digest(draft.entries),
        live_digest=_live_digest(draft, decision, contents),
        applied=decision.live.metadata.get(STORE_APPLIED, "") if decision.live else "",
    )


def _live_digest(draft: StoreDraft, decision: StoreDecision, contents: Contents) -> str:
    if decision.live is None or decision.is_new or decision.is_held:
        return ""
    if contents.verdict is Verdict.SHORT or draft.classified.our_ids & draft.context.common.snapshot.gone_uploads:
        return UNKNOWN
    return live_content_digest(draft.classified, draft.entries, draft.context.ignored_attributes)


def _plan_undeclared(
    matches: StoreMatches, decisions: Mapping[str, StoreDecision], context: PlanContext
) -> Iterator[StorePlan]:
    """The plans of stores of ours that the manifest does not declare.

    Of several with one key, all but the first are called `key@id`. Leftovers beside a store in use come only where
    stores may be deleted; otherwise the plan of the store in use has a note of them.
    """
    undeclared = list(matches.undeclared)
    if context.options.allow_store_deletes:
        undeclared += [(key, live) for key, decision in decisions.items() for live in decision.leftovers]
    used_keys = set(decisions)
    for key, live in undeclared:
        unique_key = f"{key}@{live.id}" if key in used_keys else key
        used_keys.add(unique_key)
        contents = Contents() if live.is_expired else context.snapshot.contents[live.id]
        classified = classify_files(contents.files, (context.owner,))
        not_ours = len(contents.files) - len(classified.our_ids)
        in_scope = context.scope.includes_all_files(key)
        change = decide_undeclared_store(unique_key, live, not_ours, contents, context.options) if in_scope else None
        copies_by_key = (*classified.ours.values(), *([copy] for copy in classified.provisional))
        leaving = copies_by_key if change and change.action is Action.DELETE else ()
        yield StorePlan(
            key=unique_key,
            name=live.name,
            id=live.id,
            change=change,
            files=store_files.sort_changes(store_files.deletion_of(unique_key, copies) for copies in leaving),
            notes=() if change else (_left_note(live, contents), *store_files.count_others(classified)),
            owned=len(classified.ours),
            live=len(contents.files),
            unlisted=contents.unlisted,
        )


def _note_denial(stores: list[StorePlan], status: int) -> Iterator[StorePlan]:
    """The stores, of which the first that is live says what the plan could not see; `status` is 0 where that is all."""
    detail = (
        f"the service answers {status} for them, so the stores that are pinned here stand for all: none is created, "
        "deleted or looked for"
    )
    for store in stores:
        is_first = bool(status and store.id)
        status = 0 if is_first else status
        notes = (*store.notes, Note(NoteKind.PINNED_ONLY, detail=detail))
        yield replace(store, notes=notes) if is_first else store


def _left_note(live: LiveStore, contents: Contents) -> Note:
    detail = f"{live.id}: {contents.problem}" if contents.problem else live.id
    return Note(NoteKind.LEFT_STORE, count=len(contents.files), detail=detail)
