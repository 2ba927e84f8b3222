"""What to do about a store itself: its existence, its owner, its settings, and whether its files may be planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vssync.errors import Refused
from vssync.limits import MAX_PAIRS
from vssync.model.digests import settings_digest, store_mark_for
from vssync.model.marks import (
    RESERVED_PREFIX,
    STORE_OWNER,
    STORE_PROTECT,
    Mark,
    StoreMark,
    UnreadableMark,
    fit_metadata,
)
from vssync.model.plan import Action, FieldChange, Note, NoteKind, Options, Reason, StoreChange
from vssync.model.state import Contents, DesiredStore, LiveStore, Scalar, Verdict
from vssync.planner.context import PlanContext
from vssync.planner.find_stores import StoreMatch, is_parallel, twin_order

MIN_TWIN_AGE = 600  # seconds; the apply that made a younger store may be about to fill it


@dataclass(frozen=True, slots=True)
class StoreDecision:
    """What to do about one desired store."""

    live: LiveStore | None = None  # the live store it is about
    change: StoreChange | None = None
    notes: tuple[Note, ...] = ()
    leftovers: tuple[LiveStore, ...] = ()  # others with the same mark: a create whose reply was lost leaves one
    is_new: bool = False  # it will be created, so none of its files is live yet
    is_held: bool = False  # it needs attention first, so none of its files is planned
    is_short: bool = False  # not all of its files are listed, so nothing is added and nothing removed
    restores_mark: bool = False  # somebody took the mark from it, so nothing is removed before that is back


def decide_store(store: DesiredStore, match: StoreMatch, context: PlanContext) -> StoreDecision:
    """What becomes of a desired store. Raises Refused when two live stores carry its mark, and not by one accident."""
    if context.snapshot.stores_denied and not (store.external and store.id and match.live):
        return _hold(match.live[0] if match.live else None, (Reason.DENIED,), _denied_text(store))
    if newer := next((live for live in (*match.live, *match.expired) if _is_newer(live)), None):
        return _hold(newer, (Reason.UNREADABLE,), f"{newer.id}: {_newer_text(newer)}")
    if len(match.live) > 1 and match.by_name:
        ids = ", ".join(live.id for live in match.live)
        return _hold(None, (Reason.UNMARKED,), f"several stores are named {store.name}: {ids}; choose one with `id:`")
    if match.live:
        return _decide_existing(store, match, context)
    if match.expired:
        live = match.expired[-1]
        problem = f"{live.id} is expired"
        decision = _replace_unusable(store, live, Reason.EXPIRED, problem, context)
        return replace(decision, leftovers=match.expired[:-1])
    if store.external or store.id:
        missing = f"no store {store.id} exists" if store.id else f"no store is named {store.name}"
        return _hold(None, (Reason.MISSING,), f"{missing}; create it before its files can be managed")
    change = StoreChange(Action.CREATE, (Reason.MISSING,), metadata=_merge_metadata(store, {}, None, context.owner))
    return _refuse_if_not_creatable(StoreDecision(change=change, is_new=True), context)


def decide_undeclared_store(
    key: str, live: LiveStore, not_ours: int, contents: Contents, options: Options
) -> StoreChange | None:
    """What becomes of a store of ours that left the manifest; None when it is kept.

    `not_ours` is how many of its listed files are not ours. Those that the service counts and does not list may be
    anybody's, so they are taken for others'.
    """
    if not options.allow_store_deletes:
        return None
    if _is_newer(live):
        return StoreChange(Action.REFUSE, (Reason.NOT_IN_MANIFEST, Reason.UNREADABLE), detail=_newer_text(live))
    if live.metadata.get(STORE_PROTECT):
        return StoreChange(Action.REFUSE, (Reason.NOT_IN_MANIFEST, Reason.PROTECTED), detail="it is protected")
    if contents.problem:
        unknown = f"what its {contents.count:,} files are, and whose, is not known"
        if {key, key.partition("@")[0], live.id}.intersection(options.delete_unlisted):
            return StoreChange(Action.DELETE, (Reason.NOT_IN_MANIFEST, Reason.UNLISTED), detail=unknown)
        detail = f"{contents.problem}\n{unknown}: `vssync destroy --delete-unlisted {live.id}` deletes it all the same"
        return StoreChange(Action.REFUSE, (Reason.NOT_IN_MANIFEST, Reason.UNLISTED, Reason.NOT_ALLOWED), detail=detail)
    unlisted = contents.unlisted
    if not_ours + unlisted > (options.delete_unmanaged or 0):
        way_out = f"--delete-unmanaged {not_ours + unlisted}"
        problems = [f"{not_ours:,} files in it are not ours"] if not_ours else []
        if unlisted:
            problems.append(f"{contents.counted}, so {unlisted:,} more may not be ours")
            way_out = f"try again later, or {way_out}"
        reasons = (Reason.NOT_IN_MANIFEST, Reason.NOT_ALLOWED)
        return StoreChange(Action.REFUSE, reasons, detail=f"{', and '.join(problems)}: {way_out}")
    return StoreChange(Action.DELETE, (Reason.NOT_IN_MANIFEST,))


def _decide_existing(store: DesiredStore, match: StoreMatch, context: PlanContext) -> StoreDecision:
    """What becomes of a store that exists: what must be settled before its settings are looked at comes first."""
    contents_of = context.snapshot.contents
    live, *others = sorted(match.live, key=lambda live: twin_order(live, contents_of[live.id], context.owners))
    contents = contents_of[live.id]
    if contents.problem:
        refusal = None if store.external else _refuse_unmarked(store, live, match, context)
        return refusal or _replace_unusable(store, live, Reason.UNLISTED, contents.problem, context)
    leftovers, notes = _decide_twins(store, live, others, context)
    leftovers += match.expired
    restores_mark = not store.external and _has_lost_mark(store, live, context)
    if not (store.external or restores_mark) and (refusal := _refuse_unmarked(store, live, match, context)):
        return refusal
    if contents.verdict is Verdict.GHOSTS:
        notes.append(Note(NoteKind.GHOSTS, count=contents.unlisted, detail=contents.counted))
    if contents.verdict is Verdict.SHORT:
        change = StoreChange(Action.REFUSE, (Reason.UNLISTED,), detail=contents.counted)
        return StoreDecision(live, change, tuple(notes), is_short=True)
    if store.external:
        return StoreDecision(live, notes=tuple(notes))
    if store.description and store.description != live.description:
        detail = f'live "{live.description}", wanted "{store.description}"'
        notes.append(Note(NoteKind.DESCRIPTION, detail=detail))
    settings = _update_settings(store, live, context, restores_mark=restores_mark)
    is_refused = settings is not None and settings.action is Action.REFUSE
    # The files of a store that is ours can be planned even where its settings cannot be changed.
    is_held = is_refused and not _is_ours(live, context)
    return StoreDecision(live, settings, tuple(notes), leftovers, is_held=is_held, restores_mark=restores_mark)


def _decide_twins(
    store: DesiredStore, winner: LiveStore, others: Sequence[LiveStore], context: PlanContext
) -> tuple[tuple[LiveStore, ...], list[Note]]:
    """Of other stores with this mark, those that may be deleted, and notes of those that may not be yet.

    Raises Refused for one that neither a first apply on another machine nor a lost reply explains.
    """
    leftovers: list[LiveStore] = []
    notes: list[Note] = []
    for live in others:
        contents = context.snapshot.contents[live.id]
        if contents.problem:
            detail = f"{live.id} carries the same mark and is not in use: {contents.problem}"
            notes.append(Note(NoteKind.LEFT_STORE, detail=detail))
        elif not is_parallel(live, winner, contents, context.owners):
            raise Refused(
                f"{store.key}: two live stores carry its mark: {winner.name} ({winner.id}) and {live.name} "
                f"({live.id}). Pin the right one with `id: {winner.id}` or `id: {live.id}`; the other is then a store "
                "that left the manifest."
            )
        elif context.snapshot.now - live.created_at <= MIN_TWIN_AGE:
            detail = f"{live.id} was made by a parallel first apply, which may be at work; plan again in 10 minutes"
            notes.append(Note(NoteKind.LEFT_STORE, detail=detail))
        else:
            leftovers.append(live)
    return tuple(leftovers), notes


def _has_lost_mark(store: DesiredStore, live: LiveStore, context: PlanContext) -> bool:
    """Whether a store is ours and only its mark is gone: an application replaced its metadata as a whole.

    A store that was copied through the API has copies of our file marks, so at most one store may be taken for ours.
    """
    snapshot, files = context.snapshot, context.snapshot.contents[live.id].files
    if _readable_mark(live) or context.snapshot.contents[live.id].unlisted:
        return False
    names = [other.name for other in snapshot.stores]
    is_made_here = snapshot.made_here.get(live.id) in (store.key, *store.was)
    if not (store.id or is_made_here or names.count(live.name) == 1):
        return False
    marks = [other.mark for other in snapshot.stores if other.id != live.id]
    if any(isinstance(mark, StoreMark) and (mark.owner, mark.key) == (context.owner, store.key) for mark in marks):
        return False
    ours, foreign = _count_marked(live, context)
    return not foreign and 2 * ours >= len(files) and (ours > 0 or is_made_here)


def _count_marked(live: LiveStore, context: PlanContext) -> tuple[int, int]:
    """How many of a store's files carry our mark, and how many another owner's."""
    marks = [file.mark for file in context.snapshot.contents[live.id].files]
    owners = [mark.owner for mark in marks if isinstance(mark, Mark)]
    ours = owners.count(context.owner)
    return ours, len(owners) - ours


def _refuse_unmarked(
    store: DesiredStore, live: LiveStore, match: StoreMatch, context: PlanContext
) -> StoreDecision | None:
    """The refusal of a store without a mark that a person has not said to take over."""
    if _readable_mark(live):
        needs_flag, ours = match.by_name and not context.options.adopt, 0
    else:
        ours, _ = _count_marked(live, context)
        is_chosen = context.options.adopt and bool(store.id or not ours)
        needs_flag = not is_chosen and (match.by_name or ours > 0)
    if not needs_flag:
        return None
    detail = f"{live.id} has this name and no mark of this key: --adopt"
    if ours:
        total = len(context.snapshot.contents[live.id].files)
        detail = (
            f"{live.id} carries no mark, and {ours:,} of its {total:,} files carry ours: it lost its mark, or is a "
            f"copy of another store; if it is the right one, `id: {live.id}` and --adopt take it over"
        )
    return _hold(live, (Reason.UNMARKED, Reason.NOT_ALLOWED), detail)


def _replace_unusable(
    store: DesiredStore, live: LiveStore, reason: Reason, problem: str, context: PlanContext
) -> StoreDecision:
    """Replaces a store that takes no files, or lists none, where that is allowed.

    The replacement has another id, which everyone who searches the store needs.
    """
    if store.external or store.id:
        detail = f"{problem}; vssync replaces no store that is `external` or pinned by `id:`"
        return _hold(live, (reason,), detail)
    if not context.options.allow_store_replace:
        detail = f"{problem}; a new store has a new id: --allow-store-replace"
        return _hold(live, (reason, Reason.NOT_ALLOWED), detail)
    if store.protect:  # the live store's own protection could not be lifted: an expired store takes no writes
        return _hold(live, (reason, Reason.PROTECTED), f"{problem}, and it is protected")
    metadata = _merge_metadata(store, live.metadata, _readable_mark(live), context.owner)
    kept = f"; {live.id} is kept, without vssync's mark" if reason is Reason.UNLISTED else ""
    change = StoreChange(Action.REPLACE, (reason,), metadata=metadata, detail=f"{problem}; the id changes{kept}")
    return _refuse_if_not_creatable(StoreDecision(live, change, is_new=True), context)


def _refuse_if_not_creatable(decision: StoreDecision, context: PlanContext) -> StoreDecision:
    """The decision to create a store, or its refusal where the service creates none."""
    if context.capabilities.store_creates or decision.change is None:
        return decision
    reasons = (*decision.change.reasons, Reason.IMPOSSIBLE)
    way_out = "create it there, and declare it `external`"
    return _hold(decision.live, reasons, f"the service creates no stores (`store_creates: false`); {way_out}")


def _hold(live: LiveStore | None, reasons: tuple[Reason, ...], detail: str) -> StoreDecision:
    """Refuses to do anything about a store, or about files in it."""
    return StoreDecision(live, StoreChange(Action.REFUSE, reasons, detail=detail), is_held=True)


def _update_settings(
    store: DesiredStore, live: LiveStore, context: PlanContext, *, restores_mark: bool
) -> StoreChange | None:
    """The one write that sets name, metadata, expiry and mark; None when they are as they should be."""
    mark = _readable_mark(live)
    metadata = _merge_metadata(store, live.metadata, mark, context.owner)
    fields = _changed_settings(store, live, metadata, mark)
    if not fields and metadata == dict(live.metadata):
        return None
    is_ours = restores_mark or _is_ours(live, context)
    reasons = (Reason.DRIFTED,) if restores_mark else _update_reasons(store, live, mark, context.owner)
    problem = ""
    if not context.capabilities.store_updates:
        way_out = "undo the change" if is_ours else "declare the store `external`"
        problem = f"the service cannot change a store in place; {way_out}"
    elif len(metadata) > MAX_PAIRS:
        problem = f"its metadata would have {len(metadata)} keys; {MAX_PAIRS} fit"
    if problem:
        return StoreChange(Action.REFUSE, (*reasons, Reason.IMPOSSIBLE), fields, detail=problem)
    is_adopted = is_ours and not (mark and mark.is_adopting)
    return StoreChange(Action.UPDATE if is_adopted else Action.ADOPT, reasons, fields, metadata)


def _update_reasons(store: DesiredStore, live: LiveStore, mark: StoreMark | None, owner: str) -> tuple[Reason, ...]:
    if mark is None:
        return (Reason.UNMARKED,)
    if mark.owner != owner:
        return (Reason.OTHER_OWNER,)
    if mark.is_adopting:
        return (Reason.UNMARKED,)
    desired = store_mark_for(owner, store)
    protected = bool(live.metadata.get(STORE_PROTECT))
    our_metadata = {name: value for name, value in live.metadata.items() if mark.set_by_us(name)}
    causes = {
        Reason.MOVED: mark.key != store.key,
        Reason.SETTINGS_CHANGED: replace(mark, key=store.key) != desired or protected != store.protect,
        Reason.DRIFTED: settings_digest(live.name, our_metadata, live.expires_after_days) != mark.settings,
    }
    return tuple(reason for reason, holds in causes.items() if holds)


def _merge_metadata(
    store: DesiredStore, live_metadata: Mapping[str, str], mark: StoreMark | None, owner: str
) -> dict[str, str]:
    """The whole map to send: live merged with ours, without keys that an earlier apply set and the manifest dropped.

    Any value of `vssync_protect` protects a store, so the live value is kept rather than rewritten.
    """
    dropped = {name for name in live_metadata if mark and mark.set_by_us(name) and name not in store.metadata}
    others = {name: value for name, value in live_metadata.items() if name not in dropped and name != STORE_PROTECT}
    protect = {STORE_PROTECT: live_metadata.get(STORE_PROTECT) or "true"} if store.protect else {}
    return fit_metadata({**others, **store.metadata, **protect, STORE_OWNER: str(store_mark_for(owner, store))})


def _changed_settings(
    store: DesiredStore, live: LiveStore, metadata: Mapping[str, str], mark: StoreMark | None
) -> tuple[FieldChange, ...]:
    pairs: dict[str, tuple[Scalar | None, Scalar | None]] = {
        "name": (live.name, store.name),
        "expires_after": (live.expires_after_days, store.expires_after_days),
        "protect": (bool(live.metadata.get(STORE_PROTECT)), store.protect),
    }
    for name in sorted({*live.metadata, *metadata}):
        if not name.startswith(RESERVED_PREFIX):
            pairs[f"metadata.{name}"] = (live.metadata.get(name), metadata.get(name))
    desired_digest = settings_digest(store.name, store.metadata, store.expires_after_days)
    is_drift = mark is not None and mark.settings == desired_digest  # the manifest still wants what was sent
    return tuple(
        FieldChange(name, before, after, drifted=is_drift and name != "protect")  # a mark does not hold `protect`
        for name, (before, after) in pairs.items()
        if before != after
    )


def _denied_text(store: DesiredStore) -> str:
    """What to do about a store that is not one of those whose files are all that this credential may read."""
    if store.external and store.id:
        return f"the files of {store.id} cannot be listed: it does not exist, or this credential may not read it"
    pin = "`external: true`" if store.id else "`id:` and `external: true`"
    return f"this credential may not read stores: use one that may, or give the store {pin}, so that it need not"


def _is_newer(live: LiveStore) -> bool:
    return isinstance(live.mark, UnreadableMark) and live.mark.version is not None


def _newer_text(live: LiveStore) -> str:
    assert isinstance(live.mark, UnreadableMark)
    return f"{live.mark.problem}; upgrade vssync"


def _readable_mark(live: LiveStore) -> StoreMark | None:
    mark = live.mark
    return mark if isinstance(mark, StoreMark) else None


def _is_ours(live: LiveStore, context: PlanContext) -> bool:
    mark = _readable_mark(live)
    return mark is not None and mark.owner == context.owner
