"""What to do about a store itself: its existence, its owner, its settings, and whether its files may be planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import compress

from vssync.errors import Refused
from vssync.limits import MAX_PAIRS
from vssync.model.digests import settings_digest, store_mark_for
from vssync.model.marks import (
    RESERVED_PREFIX,
    STORE_APPLIED,
    STORE_BATCHES,
    STORE_OWNER,
    STORE_PROTECT,
    StoreMark,
    UnreadableMark,
    fit_metadata,
)
from vssync.model.plan import Action, FieldChange, Note, NoteKind, Reason, StoreChange
from vssync.model.state import DesiredStore, LiveStore, Scalar, Snapshot, Verdict
from vssync.planner.context import PlanContext
from vssync.planner.find_stores import StoreMatch, is_duplicate, order_of_use
from vssync.text import count_noun

MIN_DUPLICATE_AGE = 600  # seconds; the apply that created a younger duplicate may be about to fill it


class PlannedFiles(Enum):
    """What is planned of a store's files."""

    ALL = "all"
    NEW = "new"  # the store will be created, so none is live yet
    ONLY_LISTED = "only_listed"  # not all of them are listed, so nothing is added and nothing removed
    WITHOUT_REMOVALS = "without_removals"  # others removed the mark: it is written back before any copy is removed
    NONE = "none"  # the store needs attention first


@dataclass(frozen=True, slots=True)
class StoreDecision:
    """What to do about one desired store.

    `duplicates` are other live stores that match it, are not in use, and may be deleted: stores that are expired, and
    those from a parallel first apply or from a create whose reply was lost.
    """

    live: LiveStore | None = None  # the live store it is about
    change: StoreChange | None = None
    notes: tuple[Note, ...] = ()
    duplicates: tuple[LiveStore, ...] = ()
    planned_files: PlannedFiles = PlannedFiles.ALL

    @property
    def planned_live(self) -> LiveStore | None:
        """The live store whose files are planned; None if the store is new, or its files are not planned."""
        return None if self.planned_files in (PlannedFiles.NEW, PlannedFiles.NONE) else self.live


def decide_store(store: DesiredStore, match: StoreMatch, context: PlanContext) -> StoreDecision:
    """What becomes of a desired store.

    Raises Refused when two live stores match it for a reason other than parallel first applies or a lost reply.
    """
    if is_denied(store, match, context.snapshot):
        live = match.live[0] if match.live else None
        return _refuse_store(live, (Reason.DENIED,), describe_denial(store, context.snapshot))
    for live in (*match.live, *match.expired):
        if problem := newer_mark_problem(live):
            return _refuse_store(live, (Reason.UNREADABLE,), f"{live.id}: {problem}")
    if len(match.live) > 1 and match.lacks_mark:
        ids = ", ".join(live.id for live in match.live)
        detail = f"several stores are named {store.name}: {ids}; choose one with `id:`"
        return _refuse_store(None, (Reason.UNMARKED,), detail)
    if match.live:
        return _decide_existing(store, match, context)
    if match.expired:
        *others, live = match.expired
        decision = _replace_unusable(store, live, Reason.EXPIRED, f"{live.id} is expired", context)
        # An external store is matched by name, so stores of other owners may be among them.
        return replace(decision, duplicates=tuple(other for other in others if other.owner == context.owner))
    if store.external or store.id:
        missing = f"no store {store.id} exists" if store.id else f"no store is named {store.name}"
        detail = with_location(store, context.snapshot, f"{missing}; create it before its files can be managed")
        return _refuse_store(None, (Reason.MISSING,), detail)
    change = StoreChange(Action.CREATE, (Reason.MISSING,), metadata=_merge_metadata(store, None, context.owner))
    return _create_store(None, change, context)


def _decide_existing(store: DesiredStore, match: StoreMatch, context: PlanContext) -> StoreDecision:
    """What becomes of a store that exists: its settings are compared only if it is ours and can be listed."""
    contents_by_id = context.snapshot.contents
    live, *others = sorted(match.live, key=lambda live: order_of_use(live, contents_by_id[live.id], context.owners))
    contents = contents_by_id[live.id]
    # Listings leave attributes out, and the marks with them. Adopting it or creating another would not change that.
    if contents.verdict is Verdict.BARE:
        return _refuse_store(live, (Reason.UNLISTED,), contents.problem)
    if contents.problem:
        refusal = None if store.external else _refuse_unless_adopted(store, live, match, context)
        return refusal or _replace_unusable(store, live, Reason.UNLISTED, contents.problem, context)
    duplicates, notes = _decide_duplicates(store, live, others, context)
    duplicates += match.expired
    restores_mark = not store.external and _has_lost_mark(store, live, context)
    if not (store.external or restores_mark) and (refusal := _refuse_unless_adopted(store, live, match, context)):
        return refusal
    if contents.verdict is Verdict.GHOSTS:  # the service counts files that are gone
        notes.append(Note(NoteKind.GHOSTS, count=contents.unlisted, detail=contents.mismatch))
    if contents.verdict is Verdict.SHORT:  # the listing may lack files
        short = StoreChange(Action.REFUSE, (Reason.UNLISTED,), detail=contents.mismatch)
        return StoreDecision(live, short, tuple(notes), planned_files=PlannedFiles.ONLY_LISTED)
    if store.external:
        return StoreDecision(live, notes=tuple(notes))
    if store.description and store.description != live.description:
        detail = f'live "{live.description}", wanted "{store.description}"'
        notes.append(Note(NoteKind.DESCRIPTION, detail=detail))
    change = _update_settings(store, live, context, restores_mark=restores_mark)
    # The files of a store that is ours can be planned even if its settings cannot be changed.
    is_refused = change is not None and change.action is Action.REFUSE and live.owner != context.owner
    files = PlannedFiles.WITHOUT_REMOVALS if restores_mark else PlannedFiles.ALL
    return StoreDecision(live, change, tuple(notes), duplicates, PlannedFiles.NONE if is_refused else files)


def _decide_duplicates(
    store: DesiredStore, in_use: LiveStore, others: Sequence[LiveStore], context: PlanContext
) -> tuple[tuple[LiveStore, ...], list[Note]]:
    """The duplicates of the store in use that may be deleted, and notes on those that may not be deleted yet.

    Raises Refused for one that neither a first apply on another machine nor a lost reply explains.
    """
    duplicates: list[LiveStore] = []
    notes: list[Note] = []
    for live in others:
        contents = context.snapshot.contents[live.id]
        if contents.problem:
            notes.append(Note(NoteKind.LEFT_STORE, detail=f"{describe_unused(live)}: {contents.problem}"))
        elif not is_duplicate(live, in_use, contents, context.owners):
            raise Refused(
                f"{store.key}: two live stores match it: {in_use.label} and {live.label}. "
                f"Pin the right one with `id: {in_use.id}` or `id: {live.id}`. The other then stays; if it carries "
                "your mark, a plan shows it, and --allow-store-deletes removes it."
            )
        elif context.snapshot.now - live.created_at <= MIN_DUPLICATE_AGE:
            detail = "was created by a parallel first apply, which may still be running; plan again in 10 minutes"
            notes.append(Note(NoteKind.LEFT_STORE, detail=f"{live.id} {detail}"))
        else:
            duplicates.append(live)
    return tuple(duplicates), notes


def describe_unused(live: LiveStore) -> str:
    return f"{live.id} matches this store as well, but is not in use"


def _has_lost_mark(store: DesiredStore, live: LiveStore, context: PlanContext) -> bool:
    """Whether a store is ours and only its mark is gone: an application replaced its metadata as a whole.

    A store copied through the API has copies of our file marks. So it must be pinned by id, created by this machine or
    the only one of its name; no other store may carry our mark for the key; and at least half of its files must be
    ours, none another owner's.
    """
    snapshot, contents = context.snapshot, context.snapshot.contents[live.id]
    if _readable_mark(live) or contents.unlisted:
        return False
    names = [other.name for other in snapshot.stores]
    is_created_here = snapshot.created_here.get(live.id) in (store.key, *store.was)
    if not (store.id or is_created_here or names.count(live.name) == 1):
        return False
    if any(other.claim == (context.owner, store.key) for other in snapshot.stores if other.id != live.id):
        return False
    owners = [file.owner for file in contents.files]
    ours = owners.count(context.owner)
    has_others = not {context.owner, ""}.issuperset(owners)
    return not has_others and 2 * ours >= len(owners) and (ours > 0 or is_created_here)


def _refuse_unless_adopted(
    store: DesiredStore, live: LiveStore, match: StoreMatch, context: PlanContext
) -> StoreDecision | None:
    """The refusal of a live store that nothing shows to be this one; None if it may be used.

    For a store found by name alone, `--adopt` or `adopt: true` is enough. If it holds files of ours and has no mark, it
    takes `--adopt` and `id:`.
    """
    # A readable mark says who owns the store, so the owners of its files do not matter then.
    owners = [] if _readable_mark(live) else [file.owner for file in context.snapshot.contents[live.id].files]
    ours, total = owners.count(context.owner), len(owners)
    is_adopted = context.options.adopt or store.adopt
    is_allowed = (context.options.adopt and bool(store.id)) or (not ours and is_adopted)
    is_of_others = total > 0 and not (ours or store.id)  # made here, and since then without a mark on any file
    if is_allowed or not (match.lacks_mark or ours or is_of_others):
        return None
    owner, key = live.claim
    if owner == context.owner and not store.external:
        detail = (
            f"{live.id} has this name, and is your store `{key}`: with `was: [{key}]`, `{store.key}` takes its place"
        )
        return _refuse_store(live, (Reason.MOVED,), detail)
    detail = f"{live.id} has this name and no mark of this key; --adopt takes it over"
    if ours:
        detail = (
            f"{live.id} carries no mark, and {describe_ours(ours, total)}: it lost its mark, or is a copy of another "
            f"store; if it is the right one, `id: {live.id}` and --adopt take it over"
        )
    return _refuse_store(live, (Reason.UNMARKED, Reason.NOT_ALLOWED), detail)


def describe_ours(ours: int, total: int) -> str:
    """How many of a store's files carry our mark, in a sentence about the store's own mark."""
    return f"{ours:,} of its {count_noun(total, 'file')} {'carries' if ours == 1 else 'carry'} ours"


def _replace_unusable(
    store: DesiredStore, live: LiveStore, reason: Reason, problem: str, context: PlanContext
) -> StoreDecision:
    """Replaces a store that accepts no files, or does not list them, if that is allowed.

    Whoever searches the store must be told the id of the new one.
    """
    if store.external or store.id:
        detail = f"{problem}; vssync does not replace a store that is `external` or pinned by `id:`"
        return _refuse_store(live, (reason,), detail)
    if not context.options.allow_store_replace:
        detail = f"{problem}; a new store has a new id; --allow-store-replace allows that"
        return _refuse_store(live, (reason, Reason.NOT_ALLOWED), detail)
    # The manifest's setting decides: the live one could not be removed first, since an expired store cannot be updated.
    if store.protect:
        return _refuse_store(live, (reason, Reason.PROTECTED), f"{problem}, and it is protected")
    metadata = _merge_metadata(store, live, context.owner)
    for name in (STORE_APPLIED, STORE_BATCHES):  # these describe the old store's files
        metadata.pop(name, None)
    fate = f"; {live.id} is kept, without vssync's mark" if reason is Reason.UNLISTED else ""
    change = StoreChange(Action.REPLACE, (reason,), metadata=metadata, detail=f"{problem}; the id changes{fate}")
    return _create_store(live, change, context)


def _create_store(live: LiveStore | None, change: StoreChange, context: PlanContext) -> StoreDecision:
    """Creates a store, in place of the live one if there is one; refused where the service creates none."""
    if context.capabilities.store_creates:
        return StoreDecision(live, change, planned_files=PlannedFiles.NEW)
    detail = "the service creates no stores (`store_creates: false`); create it there, and declare it `external`"
    return _refuse_store(live, (*change.reasons, Reason.IMPOSSIBLE), detail)


def _refuse_store(live: LiveStore | None, reasons: tuple[Reason, ...], detail: str) -> StoreDecision:
    return StoreDecision(live, StoreChange(Action.REFUSE, reasons, detail=detail), planned_files=PlannedFiles.NONE)


def _update_settings(
    store: DesiredStore, live: LiveStore, context: PlanContext, *, restores_mark: bool
) -> StoreChange | None:
    """The write that sets name, metadata, expiry and mark at once; None when they are as they should be."""
    mark = _readable_mark(live)
    metadata = _merge_metadata(store, live, context.owner)
    fields = _changed_settings(store, live, metadata)
    if not fields and metadata == dict(live.metadata):
        return None
    is_ours = restores_mark or live.owner == context.owner
    reasons = (Reason.DRIFTED,) if restores_mark else _update_reasons(store, live, mark, context.owner)
    problem = ""
    if not context.capabilities.store_updates:
        way_out = "undo the change" if is_ours else "declare the store `external`"
        problem = f"the service cannot change a store in place; {way_out}"
    elif len(metadata) > MAX_PAIRS:
        problem = f"its metadata would have {len(metadata)} keys; {MAX_PAIRS} fit"
    if problem:
        return StoreChange(Action.REFUSE, (*reasons, Reason.IMPOSSIBLE), fields, detail=problem)
    is_adoption = not is_ours or (mark is not None and mark.is_adopting)
    return StoreChange(Action.ADOPT if is_adoption else Action.UPDATE, reasons, fields, metadata)


def _update_reasons(store: DesiredStore, live: LiveStore, mark: StoreMark | None, owner: str) -> tuple[Reason, ...]:
    if mark and mark.owner != owner:
        return (Reason.OTHER_OWNER,)
    if mark is None or mark.is_adopting:
        return (Reason.UNMARKED,)
    desired = store_mark_for(owner, store)
    protected = bool(live.metadata.get(STORE_PROTECT))
    our_metadata = {name: value for name, value in live.metadata.items() if mark.set_by_us(name)}
    causes = {
        Reason.MOVED: mark.key != store.key,
        Reason.SETTINGS_CHANGED: replace(mark, key=store.key) != desired or protected != store.protect,
        Reason.DRIFTED: settings_digest(live.name, our_metadata, live.expires_after_days) != mark.settings_digest,
    }
    return tuple(compress(causes, causes.values()))


def _merge_metadata(store: DesiredStore, live: LiveStore | None, owner: str) -> dict[str, str]:
    """The whole map to send: live merged with ours, without keys that an earlier apply set and the manifest dropped.

    Where the manifest protects the store, a live `vssync_protect` is kept as it is: any value protects.
    """
    live_metadata, mark = (live.metadata, _readable_mark(live)) if live else ({}, None)
    dropped = {name for name in live_metadata if mark and mark.set_by_us(name) and name not in store.metadata}
    others = {name: value for name, value in live_metadata.items() if name not in dropped and name != STORE_PROTECT}
    protect = {STORE_PROTECT: live_metadata.get(STORE_PROTECT) or "true"} if store.protect else {}
    return fit_metadata({**others, **store.metadata, **protect, STORE_OWNER: str(store_mark_for(owner, store))})


def _changed_settings(store: DesiredStore, live: LiveStore, metadata: Mapping[str, str]) -> tuple[FieldChange, ...]:
    pairs: dict[str, tuple[Scalar | None, Scalar | None]] = {
        "name": (live.name, store.name),
        "expires_after": (live.expires_after_days, store.expires_after_days),
        "protect": (bool(live.metadata.get(STORE_PROTECT)), store.protect),
    }
    for name in sorted({*live.metadata, *metadata}):
        if not name.startswith(RESERVED_PREFIX):
            pairs[f"metadata.{name}"] = (live.metadata.get(name), metadata.get(name))
    desired_digest = settings_digest(store.name, store.metadata, store.expires_after_days)
    mark = _readable_mark(live)
    is_drift = mark is not None and mark.settings_digest == desired_digest  # the manifest still wants what was sent
    return tuple(
        # The mark's digest does not cover `protect`.
        FieldChange(name, before, after, drifted=is_drift and name != "protect")
        for name, (before, after) in pairs.items()
        if before != after
    )


def is_denied(store: DesiredStore, match: StoreMatch, snapshot: Snapshot) -> bool:
    """Whether this credential may not read a store. It may read the files of an external one that is pinned by id."""
    return bool(snapshot.stores_denied) and not (store.external and store.id and match.live)


def describe_denial(store: DesiredStore, snapshot: Snapshot) -> str:
    """What to do about a store that this credential may not read."""
    if store.external and store.id:
        problem = f"the files of {store.id} cannot be listed: it does not exist, or this credential may not read it"
        text = f"{problem}; correct `id:`, or use a credential that may"
    else:
        pin = "`external: true`" if store.id else "`id:` and `external: true`"
        way_out = f"use one that may, for example in `control_auth`, or give the store {pin}"
        text = f"this credential may not read stores: {way_out}; then only its files are read"
    return with_location(store, snapshot, text)


def with_location(store: DesiredStore, snapshot: Snapshot, text: str) -> str:
    """The text, after the place in the manifest that declares the store, if that is known."""
    location = snapshot.store_locations.get(store.key)
    return f"{location}: {text}" if location else text


def newer_mark_problem(live: LiveStore) -> str:
    """What is wrong with a mark that a newer version wrote; empty for any other store."""
    mark = live.mark
    return f"{mark.problem}; upgrade vssync" if isinstance(mark, UnreadableMark) and mark.version else ""


def _readable_mark(live: LiveStore) -> StoreMark | None:
    mark = live.mark
    return mark if isinstance(mark, StoreMark) else None
