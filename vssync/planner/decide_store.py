"""What to do about a store itself: its existence, its owner, its settings, and whether its files may be planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vssync.errors import Refused
from vssync.limits import MAX_PAIRS
from vssync.model.digests import settings_digest, store_mark_for
from vssync.model.marks import RESERVED_PREFIX, STORE_OWNER, STORE_PROTECT, StoreMark, UnreadableMark, fit_metadata
from vssync.model.plan import Action, FieldChange, Note, NoteKind, Options, Reason, StoreChange
from vssync.model.state import Contents, DesiredStore, FileStatus, LiveStore, Scalar
from vssync.planner.context import PlanContext
from vssync.planner.find_stores import StoreMatch


@dataclass(frozen=True, slots=True)
class StoreDecision:
    """What to do about one desired store."""

    live: LiveStore | None = None  # the live store it is about
    change: StoreChange | None = None
    notes: tuple[Note, ...] = ()
    leftovers: tuple[LiveStore, ...] = ()  # others with the same mark, as a create leaves whose reply was lost
    is_new: bool = False  # it will be created, so none of its files is live yet
    is_held: bool = False  # it needs attention first, so none of its files is planned


def decide_store(store: DesiredStore, match: StoreMatch, context: PlanContext) -> StoreDecision:
    """What becomes of a desired store. Raises Refused when two live stores with files carry its mark."""
    if newer := next((live for live in (*match.live, *match.expired) if _is_newer(live)), None):
        return _hold(newer, (Reason.UNREADABLE,), f"{newer.id}: {_newer_text(newer)}")
    if len(match.live) > 1 and match.by_name:
        ids = ", ".join(live.id for live in match.live)
        return _hold(None, (Reason.UNMARKED,), f"several stores are named {store.name}: {ids}; choose one with `id:`")
    if match.live:
        return _decide_existing(store, match, context)
    if match.expired:
        return _replace_expired(store, match, context)
    if store.external or store.id:
        missing = f"no store {store.id} exists" if store.id else f"no store is named {store.name}"
        return _hold(None, (Reason.MISSING,), f"{missing}; create it before its files can be managed")
    change = StoreChange(Action.CREATE, (Reason.MISSING,), metadata=_merge_metadata(store, {}, None, context.owner))
    return _refuse_if_not_creatable(StoreDecision(change=change, is_new=True), context)


def decide_undeclared_store(live: LiveStore, not_ours: int, contents: Contents, options: Options) -> StoreChange | None:
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
    listed, unlisted = len(contents.files), contents.unlisted
    if not_ours + unlisted > (options.delete_unmanaged or 0):
        way_out = f"--delete-unmanaged {not_ours + unlisted}"
        problems = [f"{not_ours:,} files in it are not ours"] if not_ours else []
        if unlisted:
            counted = f"the service counts {listed + unlisted:,} files in it and lists {listed:,}"
            problems.append(f"{counted}, so {unlisted:,} more may not be ours")
            way_out = f"try again later, or {way_out}"
        reasons = (Reason.NOT_IN_MANIFEST, Reason.NOT_ALLOWED)
        return StoreChange(Action.REFUSE, reasons, detail=f"{', and '.join(problems)}: {way_out}")
    return StoreChange(Action.DELETE, (Reason.NOT_IN_MANIFEST,))


def _decide_existing(store: DesiredStore, match: StoreMatch, context: PlanContext) -> StoreDecision:
    in_use = [live for live in match.live if _has_completed_files(live, context)]
    if len(in_use) > 1:
        names = " and ".join(f"{live.name} ({live.id})" for live in in_use)
        raise Refused(
            f"{store.key}: several live stores with files carry its mark: {names}. "
            f"Pin the right one with `id:`; the others are then stores that left the manifest."
        )
    live = in_use[0] if in_use else match.live[-1]
    leftovers = (*(other for other in match.live if other is not live), *match.expired)
    if store.external:
        return StoreDecision(live)
    if match.by_name and not context.options.adopt:
        detail = f"{live.id} has this name and no mark of this key: --adopt"
        return _hold(live, (Reason.UNMARKED, Reason.NOT_ALLOWED), detail)
    notes: tuple[Note, ...] = ()
    if store.description and store.description != live.description:
        detail = f'live "{live.description}", wanted "{store.description}"'
        notes = (Note(NoteKind.DESCRIPTION, detail=detail),)
    change = _update_settings(store, live, context)
    is_refused = change is not None and change.action is Action.REFUSE
    return StoreDecision(live, change, notes, leftovers, is_held=is_refused and not _is_ours(live, context))


def _has_completed_files(live: LiveStore, context: PlanContext) -> bool:
    return any(file.status is FileStatus.COMPLETED for file in context.snapshot.contents[live.id].files)


def _replace_expired(store: DesiredStore, match: StoreMatch, context: PlanContext) -> StoreDecision:
    """An expired store takes no files. Its replacement has another id, which whoever searches it must learn."""
    live = match.expired[-1]
    if store.external or store.id:
        detail = f"{live.id} is expired, and vssync replaces no store that is `external` or pinned by `id:`"
        return _hold(live, (Reason.EXPIRED,), detail)
    if not context.options.allow_store_replace:
        detail = f"{live.id} is expired; a new store has a new id: --allow-store-replace"
        return _hold(live, (Reason.EXPIRED, Reason.NOT_ALLOWED), detail)
    if store.protect:  # the live store's own protection could not be lifted: an expired store takes no writes
        return _hold(live, (Reason.EXPIRED, Reason.PROTECTED), f"{live.id} is expired and protected")
    change = StoreChange(
        Action.REPLACE,
        (Reason.EXPIRED,),
        metadata=_merge_metadata(store, live.metadata, _readable_mark(live), context.owner),
        detail=f"{live.id} is expired; the id changes",
    )
    return _refuse_if_not_creatable(StoreDecision(live, change, leftovers=match.expired[:-1], is_new=True), context)


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


def _update_settings(store: DesiredStore, live: LiveStore, context: PlanContext) -> StoreChange | None:
    """The one write that sets name, metadata, expiry and mark; None when they are as they should be."""
    mark = _readable_mark(live)
    metadata = _merge_metadata(store, live.metadata, mark, context.owner)
    fields = _changed_settings(store, live, metadata, mark)
    if not fields and metadata == dict(live.metadata):
        return None
    is_ours = _is_ours(live, context)
    reasons = _update_reasons(store, live, mark, context.owner)
    problem = ""
    if not context.capabilities.store_updates:
        way_out = "undo the change" if is_ours else "declare the store `external`"
        problem = f"the service cannot change a store in place; {way_out}"
    elif len(metadata) > MAX_PAIRS:
        problem = f"its metadata would have {len(metadata)} keys; {MAX_PAIRS} fit"
    if problem:
        return StoreChange(Action.REFUSE, (*reasons, Reason.IMPOSSIBLE), fields, detail=problem)
    return StoreChange(Action.UPDATE if is_ours else Action.ADOPT, reasons, fields, metadata)


def _update_reasons(store: DesiredStore, live: LiveStore, mark: StoreMark | None, owner: str) -> tuple[Reason, ...]:
    if mark is None:
        return (Reason.UNMARKED,)
    if mark.owner != owner:
        return (Reason.OTHER_OWNER,)
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

    Any text protects a store, so a live one stays: another would be a needless write.
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
