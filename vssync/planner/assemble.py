"""Makes a plan from the resolved manifest and one complete reading of the service: values in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vssync.errors import VssyncError
from vssync.model.digests import store_mark_for
from vssync.model.marks import NEEDS_ATTRIBUTES, STORE_APPLIED, STORE_OWNER, StoreMark, read_batch_note
from vssync.model.plan import (
    Action,
    BatchChange,
    FileChange,
    Note,
    NoteKind,
    Options,
    Plan,
    Reason,
    StoreChange,
    StorePlan,
)
from vssync.model.service import Capabilities
from vssync.model.state import Contents, Desired, DesiredStore, FileStatus, LiveBatch, LiveStore, Snapshot, Verdict
from vssync.planner import store_files
from vssync.planner.classify import ClassifiedFiles, classify_files, digest_files
from vssync.planner.content_digest import UNKNOWN, content_digest, live_content_digest
from vssync.planner.context import PlanContext, Scope, StorePlanContext
from vssync.planner.decide_store import PlannedFiles, StoreDecision, decide_store, describe_unused
from vssync.planner.estimate import count_lookups
from vssync.planner.find_stores import StoreMatches, match_stores
from vssync.planner.guards import check_guards, is_unrelated
from vssync.planner.removal import plan_removed, plan_undeclared
from vssync.planner.score import lost_questions
from vssync.planner.store_files import StoreDraft
from vssync.providers import PROVIDERS
from vssync.text import count_noun

_DEFAULT_CAPABILITIES = Capabilities()
_NOT_ALL_PLANNED = (PlannedFiles.NONE, PlannedFiles.ONLY_LISTED)
_EXPIRED = Contents(problem="it is expired")  # of a store that is in scope and was not listed: no other reason is left
_UNMARKABLE = (
    f"service.capabilities: says `attributes: false`, and {NEEDS_ATTRIBUTES}; use a service that keeps attributes, "
    "or take the line out if `vssync doctor --probe` finds that this one does"
)


def make_plan(
    desired: Desired,
    snapshot: Snapshot,
    options: Options,
    capabilities: Capabilities = _DEFAULT_CAPABILITIES,
    already_replaced: frozenset[tuple[str, str]] = frozenset(),
) -> Plan:
    """The plan that makes the live state what the manifest says, including the guards' refusals.

    The snapshot holds the contents of `match_stores(...).ids_to_list`; `already_replaced` are files, by store and key,
    whose `--replace` was done by an earlier apply of the same saved plan. Raises VssyncError for a service without
    attributes, Refused where it is not clear which live store is meant or who owns it, UsageProblem for an address that
    matches nothing.
    """
    if not capabilities.attributes:
        raise VssyncError(_UNMARKABLE)
    matches = match_stores(desired, snapshot.stores, options, snapshot.created_here)
    scope, proven = Scope.of(options, already_replaced), PROVIDERS[desired.service.provider].proven_extensions
    context = PlanContext(desired.owner, options, capabilities, scope, snapshot, proven)
    stores = {store.key: store for store in desired.stores if store.key in matches.by_key}
    decisions = {key: decide_store(stores[key], match, context) for key, match in sorted(matches.by_key.items())}
    drafts = store_files.share_uploads([_draft(stores[key], decision, context) for key, decision in decisions.items()])
    decided = list(zip(drafts, decisions.values(), strict=True))
    complete = [draft for draft, decision in decided if decision.planned_files not in _NOT_ALL_PLANNED]
    _check_addresses(desired, complete, matches, context)
    store_plans = [_plan_store(draft, decision, context) for draft, decision in decided]
    duplicates = [(key, live) for key, decision in decisions.items() for live in decision.duplicates]
    store_plans += plan_undeclared(matches, duplicates, context)
    for store in desired.removed:
        if store.key in matches.removed and scope.includes_all_files(store.key):
            store_plans += plan_removed(store, matches.removed[store.key], context)
    sorted_plans = sorted(store_plans, key=lambda store: store.key)
    plans = tuple(_note_denial(sorted_plans, snapshot.stores_denied))
    plan = Plan(
        desired.owner,
        desired.service,
        plans,
        options,
        declared=len(desired.stores) + len(desired.removed),
        batches_unlisted=not capabilities.list_batches
        or any(read.batches_unlisted for read in snapshot.contents.values()),
    )
    return replace(plan, refusals=check_guards(plan), lookups=count_lookups(plan, snapshot.stores, capabilities))


def _draft(store: DesiredStore, decision: StoreDecision, context: PlanContext) -> StoreDraft:
    store_context = StorePlanContext(context, store, _is_adopting(store, decision, context))
    if decision.planned_files is PlannedFiles.NONE:
        return StoreDraft(store_context, digest_files(store), ClassifiedFiles())
    draft = store_files.draft_files(_contents_of(decision, context), store_context)
    if decision.planned_files is PlannedFiles.ONLY_LISTED:
        return store_files.limit_to_listed(draft)
    return store_files.refuse_removals(draft) if decision.planned_files is PlannedFiles.WITHOUT_REMOVALS else draft


def _is_adopting(store: DesiredStore, decision: StoreDecision, context: PlanContext) -> bool:
    """Whether a store's adoption is still under way: its mark says so, or it has none and holds nothing of ours yet.

    An external store carries no mark, so there `--adopt` always applies to all its files, and `adopt: true` only to
    those with equal bytes. A store without a mark that holds files of ours has lost its mark. Its unmarked files were
    added later, so they are not part of an adoption.
    """
    live = decision.planned_live
    if live is None:
        return False
    if store.external:
        return context.options.adopt
    if isinstance(live.mark, StoreMark):
        return live.mark.is_adopting
    return not any(file.owner in context.owners for file in context.snapshot.contents[live.id].files)


def _contents_of(decision: StoreDecision, context: PlanContext) -> Contents:
    live = decision.planned_live
    return context.snapshot.contents[live.id] if live else Contents()


def _check_addresses(
    desired: Desired, complete_drafts: Sequence[StoreDraft], matches: StoreMatches, context: PlanContext
) -> None:
    """Raises UsageProblem for an address of a store or key that is neither desired, skipped, nor live under our mark.

    Where not all files were listed, as in a store out of scope, an address may name any key: such a store has None.
    """
    scope = context.scope
    if not (scope.targets or scope.excludes or scope.replace_requests):
        return
    claims = (live.claim for live in context.snapshot.stores)
    keys_by_store: dict[str, set[str] | None] = {key: None for owner, key in claims if key and owner == desired.owner}
    contents = context.snapshot.contents
    for store_key in {key for key, _ in matches.undeclared}:
        same_key = [contents.get(live.id, _EXPIRED) for key, live in matches.undeclared if key == store_key]
        if not any(store.shortfall for store in same_key):
            files = [file for store in same_key for file in store.files]
            keys_by_store[store_key] = classify_files(files, (context.owner,)).our_keys
    keys_by_store |= dict.fromkeys(store.key for store in (*desired.stores, *desired.removed))
    for draft in complete_drafts:
        store = draft.context.store
        desired_keys = (file.key for file in store.files)
        keys_by_store[store.key] = {*desired_keys, *store.skipped, *draft.classified.our_keys}
    scope.check_addresses(keys_by_store)


def _plan_store(draft: StoreDraft, decision: StoreDecision, context: PlanContext) -> StorePlan:
    store, live = draft.context.store, decision.live
    contents, digest = _contents_of(decision, context), content_digest(draft.wanted_files)
    batches = _decide_batches(draft, live, contents)
    duplicates = () if context.options.allow_store_deletes else decision.duplicates
    way_out = "--allow-store-deletes removes it"
    duplicate_notes = (Note(NoteKind.LEFT_STORE, detail=f"{describe_unused(other)}; {way_out}") for other in duplicates)
    changes = tuple(_replan_lost(change, batches.retry_ids, context) for change in draft.changes)
    return StorePlan(
        key=store.key,
        name=store.name,
        id=live.id if live else "",
        desired=store.settings,
        change=_scoped_change(draft, decision, context),
        files=changes,
        batches=batches.changes,
        notes=(*decision.notes, *duplicate_notes, *draft.notes, *batches.notes, *lost_questions(store, changes)),
        unchanged=draft.unchanged,
        owned=len(draft.classified.ours),
        live=_count_live(decision, contents),
        unlisted=contents.unlisted,
        wanted=len(store.files),
        unproven=draft.unproven_extensions,
        unrelated=is_unrelated(draft),
        digest=digest,
        live_digest=_live_digest(draft, contents, digest) if decision.planned_live else "",
        applied=live.metadata.get(STORE_APPLIED, "") if live else "",
        left_out=store.left_out if draft.context.includes_all_files else {},
    )


def _count_live(decision: StoreDecision, contents: Contents) -> int:
    """How many files a store holds: those listed, or as many as the service counts in one that is refused or replaced.

    The files of an expired store that is replaced are lost, so none of them are counted.
    """
    live = decision.live
    is_lost = live is not None and live.is_expired and decision.planned_files is PlannedFiles.NEW
    return len(contents.files) if live is None or decision.planned_live or is_lost else live.counts.total


def _scoped_change(draft: StoreDraft, decision: StoreDecision, context: PlanContext) -> StoreChange | None:
    """The store's own change; None for an update of settings out of scope. Any other stays: its files depend on it."""
    change, store = decision.change, draft.context.store
    if change and change.action is Action.ADOPT and draft.context.is_adopting:
        change = _keep_adopting(change, draft, decision.live)
    is_update = change is not None and change.action is Action.UPDATE
    restores_mark = decision.planned_files is PlannedFiles.WITHOUT_REMOVALS
    if is_update and not restores_mark and not context.scope.includes_settings(store.key):
        return None
    if change and decision.planned_files is PlannedFiles.ONLY_LISTED:
        postponed = f"{count_noun(draft.postponed, 'change')} left for later; " if draft.postponed else ""
        detail = f"{change.detail}: {postponed}nothing is added or removed until it lists all; plan again later"
        return replace(change, detail=detail)
    return change


def _keep_adopting(change: StoreChange, draft: StoreDraft, live: LiveStore | None) -> StoreChange | None:
    """The change of a store that is being adopted: its mark says `adopting` while files are left to adopt."""
    has_adoptable = any(note.kind is NoteKind.ADOPTABLE for note in draft.notes)
    has_refused = any(file.action is Action.REFUSE and Reason.UNMARKED in file.reasons for file in draft.changes)
    if draft.context.includes_all_files and not (has_adoptable or has_refused):
        return change
    mark = store_mark_for(draft.context.common.owner, draft.context.store).as_adopting()
    metadata = {**change.metadata, STORE_OWNER: str(mark)}
    is_unchanged = live is not None and not change.fields and metadata == live.metadata
    return None if is_unchanged else replace(change, metadata=metadata)


def _live_digest(draft: StoreDraft, contents: Contents, digest: str) -> str:
    """The digest of what the store holds: the desired one where each key has one copy, compared and as desired."""
    if contents.verdict is Verdict.SHORT or draft.classified.our_ids & draft.context.common.snapshot.gone_uploads:
        return UNKNOWN
    copies = draft.classified.our_copies
    if draft.unchanged == len(draft.wanted_files) == len(copies) and not any(
        copy.mark.is_uncompared for copy in copies
    ):
        return digest
    files = {wanted.key_digest: wanted.file for wanted in draft.wanted_files}
    return live_content_digest(draft.classified, files, draft.context.store.ignore_attributes)


def _note_denial(stores: Sequence[StorePlan], status: int) -> Iterator[StorePlan]:
    """The stores, with a note if reading them was denied (by HTTP `status`): on the first live one, else the first."""
    detail = (
        f"the service answers {status} for them, so only the stores pinned by `id:` are planned; none is created, "
        "deleted or looked for"
    )
    first = next((store for store in stores if store.id), next(iter(stores), None)) if status else None
    for store in stores:
        notes = (*store.notes, Note(NoteKind.PINNED_ONLY, detail=detail))
        yield replace(store, notes=notes) if store is first else store


@dataclass(frozen=True, slots=True)
class BatchDecisions:
    """What becomes of a store's unfinished batches; `retry_ids` are the wanted files in those to cancel."""

    changes: tuple[BatchChange, ...] = ()
    notes: tuple[Note, ...] = ()
    retry_ids: frozenset[str] = frozenset()


def _decide_batches(draft: StoreDraft, live: LiveStore | None, contents: Contents) -> BatchDecisions:
    """Changes and notes, oldest batch first; none unless the whole store is in scope.

    A batch is ours when the store's metadata names it (`vssync_batches`) or every file in it carries our mark; any
    other is shown, but never cancelled or waited for.
    """
    if live is None or not draft.context.includes_all_files:
        return BatchDecisions()
    noted_ids, dropped_keys_by_id = read_batch_note(live.metadata), draft.dropped_keys_by_id
    our_ids, listed_ids = draft.classified.our_ids, draft.classified.attached_ids
    unfinished_ids = {file.id for file in contents.files if not file.status.ended}
    awaited_ids = {change.keep.id for change in draft.changes if change.action is Action.AWAIT and change.keep}
    changes: list[BatchChange] = []
    notes: list[Note] = []
    retry_ids: set[str] = set()
    for batch in sorted(contents.batches, key=lambda batch: (batch.created_at, batch.id)):
        if batch.status.ended:
            continue
        if batch.id not in noted_ids and not (batch.file_ids and our_ids.issuperset(batch.file_ids)):
            notes.append(Note(NoteKind.FOREIGN_BATCH, batch.id, count=batch.counts.total))
            continue
        # A batch whose files are not listed may hold any file of the store.
        unfinished = unfinished_ids if batch.file_ids is None else unfinished_ids.intersection(batch.file_ids)
        if unfinished:  # else there is nothing to wait for, whatever the batch's own status
            change = _decide_batch(batch, unfinished, awaited_ids, listed_ids, dropped_keys_by_id)
            changes.append(change)
            if change.action is Action.CANCEL:
                retry_ids |= unfinished & awaited_ids
    return BatchDecisions(tuple(changes), tuple(notes), frozenset(retry_ids))


def _decide_batch(
    batch: LiveBatch,
    unfinished: set[str],
    awaited_ids: set[str],
    listed_ids: frozenset[str],
    dropped_keys_by_id: Mapping[str, str],
) -> BatchChange:
    """Cancels a batch of ours if most of its unfinished files would only be removed again; else waits for it.

    The files that are still wanted have to be attached again, so all of its files must be known.
    """
    file_ids = batch.file_ids or ()
    unwanted = unfinished.intersection(file_ids, dropped_keys_by_id)
    can_retry = listed_ids.issuperset(file_ids) and unfinished - unwanted <= awaited_ids
    is_cancelled = can_retry and len(unwanted) * 2 > len(unfinished)
    return BatchChange(
        id=batch.id,
        action=Action.CANCEL if is_cancelled else Action.AWAIT,
        reasons=(Reason.UNWANTED,) if is_cancelled else (Reason.INGESTING,),
        counts=batch.counts,
        unwanted=tuple(sorted({dropped_keys_by_id[file_id] for file_id in unwanted})),
    )


def _replan_lost(change: FileChange, retry_ids: frozenset[str], context: PlanContext) -> FileChange:
    """The change, planned anew where its copy is lost: ingested again if its batch is cancelled, uploaded if gone."""
    if change.keep and change.keep.id in retry_ids:
        change = _retry_after_cancel(change, shares_chunks=context.capabilities.shares_chunks)
    return replace(change, reuse="") if change.reuse in context.snapshot.gone_uploads else change


def _retry_after_cancel(change: FileChange, *, shares_chunks: bool) -> FileChange:
    """A wait turned into a new ingestion of the same File, because the batch that contains it is cancelled.

    This does not count as a try: the file did not fail, and cancelling often must not make the planner give up on it.
    """
    assert change.keep
    serving = [copy for copy in change.drop if copy.status is FileStatus.COMPLETED]  # oldest first
    return replace(
        change,
        action=Action.REPLACE,
        reasons=(Reason.INGEST_CANCELLED,),
        keep=serving[-1] if serving else None,
        drop=(change.keep, *change.drop),
        fields=(),
        reuse="" if change.desired and change.desired.file_id else change.keep.id,
        gap=shares_chunks or not serving,
    )
