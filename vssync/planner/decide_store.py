"""What to do about a store itself: its existence, its owner, its settings. Files are decided elsewhere.

A decision also says whether the store's files may be planned at all: not into a store that does not exist for us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vssync.errors import Refused
from vssync.model.marks import (
    RESERVED,
    STORE_OWNER,
    STORE_PROTECT,
    StoreMark,
    read_store_mark,
    settings_digest,
    store_mark_for,
)
from vssync.model.plan import Action, FieldChange, Note, NoteKind, Options, Reason, StoreChange
from vssync.model.state import Capabilities, Contents, DesiredStore, FileStatus, LiveStore, Scalar, Snapshot
from vssync.planner.addresses import Scope
from vssync.planner.find_stores import MatchKind, StoreMatch

MOST = 16  # OpenAI spec: metadata keys of one store
PROTECTED = "true"


@dataclass(frozen=True, slots=True)
class StoreDecision:
    """What to do about one desired store.

    `live` is the store it is about, `fresh` whether its files start from nothing, `held` that none may be planned.
    `leftovers` are other stores with the same mark.
    """

    live: LiveStore | None = None
    change: StoreChange | None = None
    notes: tuple[Note, ...] = ()
    leftovers: tuple[LiveStore, ...] = ()
    fresh: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What shapes decisions about stores: whose plan, which options, which service, what is live."""

    owner: str
    options: Options
    capabilities: Capabilities
    scope: Scope
    snapshot: Snapshot


def decide_store(store: DesiredStore, match: StoreMatch, terms: PlanContext) -> StoreDecision:
    """What becomes of a desired store.

    Raises Refused when two live stores with files carry its mark.
    """
    if len(match.live) > 1 and match.by is MatchKind.NAME:
        return _ambiguous(store, match)
    if match.live:
        live, *leftovers = _choose(store, match.live, terms)
        return _existing(store, live, match.by, (*leftovers, *match.expired), terms)
    if match.expired:
        return _expired(store, match.expired[-1], match, terms)
    if store.external or store.id:
        name = store.id or store.name
        what = "exists" if store.id else "exists by this name"
        return _refuse(
            None, (Reason.MISSING,), f"no store {name} {what}; it must be there before its files can be managed"
        )
    change = StoreChange(Action.CREATE, (Reason.MISSING,), metadata=_metadata(store, {}, None, terms.owner))
    return _fresh(StoreDecision(change=change, fresh=True), terms)


def delete_store(live: LiveStore, others: int, contents: Contents, options: Options) -> StoreChange | None:
    """What becomes of a store of ours that left the manifest; `others` files in it are not ours. None: it is kept.

    Files that the service counts and does not list may be anybody's, so they are taken for others'.
    """
    if not options.allow_store_deletes:
        return None
    if live.metadata.get(STORE_PROTECT):
        return StoreChange(Action.REFUSE, (Reason.NOT_IN_MANIFEST, Reason.PROTECTED), detail="it is protected")
    if others + contents.unlisted > (options.delete_unmanaged or 0):
        reasons = (Reason.NOT_IN_MANIFEST, Reason.NOT_ALLOWED)
        return StoreChange(Action.REFUSE, reasons, detail=_not_ours(others, contents))
    return StoreChange(Action.DELETE, (Reason.NOT_IN_MANIFEST,))


def _not_ours(others: int, contents: Contents) -> str:
    way_out = f"--delete-unmanaged {others + contents.unlisted}"
    listed = f"{others:,} files in it are not ours"
    if not contents.unlisted:
        return f"{listed}: {way_out}"
    seen, unseen = len(contents.files), contents.unlisted
    short = (
        f"the service counts {seen + unseen:,} files in it and lists {seen:,}, so {unseen:,} more may not be ours: "
        f"try again later, or {way_out}"
    )
    return f"{listed}, and {short}" if others else short


def _choose(store: DesiredStore, live: tuple[LiveStore, ...], terms: PlanContext) -> list[LiveStore]:
    """Of several stores with our mark, the one with files, else the newest; then the leftovers of lost replies."""
    if len(live) == 1:
        return list(live)
    used = [found for found in live if _holds_completed(terms.snapshot.contents[found.id])]
    if len(used) > 1:
        names = " and ".join(f"{found.name} ({found.id})" for found in used)
        raise Refused(
            f"{store.key}: several live stores with files carry its mark: {names}. "
            f"Pin the right one with `id:`; the others are then stores that left the manifest."
        )
    chosen = used[0] if used else live[-1]
    return [chosen, *(found for found in live if found is not chosen)]


def _holds_completed(contents: Contents) -> bool:
    return any(file.status is FileStatus.COMPLETED for file in contents.files)


def _ambiguous(store: DesiredStore, match: StoreMatch) -> StoreDecision:
    ids = ", ".join(live.id for live in match.live)
    return _refuse(None, (Reason.UNMARKED,), f"several stores are named {store.name}: {ids}; choose one with `id:`")


def _existing(
    store: DesiredStore, live: LiveStore, by: MatchKind, leftovers: tuple[LiveStore, ...], terms: PlanContext
) -> StoreDecision:
    if store.external:
        return StoreDecision(live)
    if by is MatchKind.NAME and not terms.options.adopt:
        return _refuse(live, (Reason.UNMARKED, Reason.NOT_ALLOWED), f"{live.id} has this name and no mark: --adopt")
    notes = _description(store, live)
    change = _settings(store, live, terms)
    held = change is not None and change.action is Action.REFUSE and not _is_ours(live, terms.owner)
    return StoreDecision(live, change, notes, leftovers, held=held)


def _expired(store: DesiredStore, live: LiveStore, match: StoreMatch, terms: PlanContext) -> StoreDecision:
    """An expired store takes no files. Its replacement has another id, which whoever searches it must learn."""
    if store.external or store.id:
        return _refuse(
            live, (Reason.EXPIRED,), f"{live.id} is expired, and another store in its place is not ours to make"
        )
    if not terms.options.allow_store_replace:
        detail = f"{live.id} is expired; a new store has a new id: --allow-store-replace"
        return _refuse(live, (Reason.EXPIRED, Reason.NOT_ALLOWED), detail)
    if store.protect:  # what the store itself says could not be taken back: an expired one takes no writes
        return _refuse(live, (Reason.EXPIRED, Reason.PROTECTED), f"{live.id} is expired and protected")
    change = StoreChange(
        Action.REPLACE,
        (Reason.EXPIRED,),
        metadata=_metadata(store, live.metadata, _mark(live), terms.owner),
        detail=f"{live.id} is expired; the id changes",
    )
    return _fresh(StoreDecision(live, change, leftovers=match.expired[:-1], fresh=True), terms)


def _fresh(decision: StoreDecision, terms: PlanContext) -> StoreDecision:
    """The decision to make a store, where the service makes any."""
    if terms.capabilities.store_creates or decision.change is None:
        return decision
    reasons = (*decision.change.reasons, Reason.IMPOSSIBLE)
    way_out = "make it there, and declare it `external`"
    return _refuse(decision.live, reasons, f"the service creates no stores (`store_creates: false`); {way_out}")


def _refuse(live: LiveStore | None, reasons: tuple[Reason, ...], detail: str) -> StoreDecision:
    return StoreDecision(live, StoreChange(Action.REFUSE, reasons, detail=detail), held=True)


def _settings(store: DesiredStore, live: LiveStore, terms: PlanContext) -> StoreChange | None:
    """One write brings name, metadata, expiry and mark to what they should be; None when they are."""
    mark = _mark(live)
    metadata = _metadata(store, live.metadata, mark, terms.owner)
    fields = _fields(store, live, metadata, mark)
    if not fields and metadata == dict(live.metadata):
        return None
    ours = mark is not None and mark.owner == terms.owner
    change = StoreChange(
        Action.UPDATE if ours else Action.ADOPT, _reasons(store, live, mark, terms.owner), fields, metadata
    )
    if not terms.capabilities.store_updates:
        way_out = "undo the change" if ours else "declare the store `external`"
        return _impossible(change, f"the service cannot change a store in place; {way_out}")
    if len(metadata) > MOST:
        return _impossible(change, f"its metadata would have {len(metadata)} keys; {MOST} fit")
    return change


def _impossible(change: StoreChange, detail: str) -> StoreChange:
    return StoreChange(Action.REFUSE, (*change.reasons, Reason.IMPOSSIBLE), change.fields, detail=detail)


def _reasons(store: DesiredStore, live: LiveStore, mark: StoreMark | None, owner: str) -> tuple[Reason, ...]:
    if mark is None:
        return (Reason.UNMARKED,)
    if mark.owner != owner:
        return (Reason.OTHER_OWNER,)
    desired = store_mark_for(owner, store)
    protected = bool(live.metadata.get(STORE_PROTECT))
    causes = {
        Reason.MOVED: mark.key != store.key,
        Reason.SETTINGS_CHANGED: replace(mark, key=store.key) != desired or protected != store.protect,
        Reason.DRIFTED: _drifted(live, mark),
    }
    return tuple(reason for reason, holds in causes.items() if holds)


def _drifted(live: LiveStore, mark: StoreMark) -> bool:
    """Whether what we set last is no longer what is there."""
    set_by_us = {name: value for name, value in live.metadata.items() if mark.set_by_us(name)}
    return settings_digest(live.name, set_by_us, live.expires_after_days) != mark.settings


def _metadata(store: DesiredStore, live: Mapping[str, str], mark: StoreMark | None, owner: str) -> dict[str, str]:
    """The whole map to send: live merged with ours, without what only we had set and no longer want."""
    dropped = {name for name in live if mark and mark.set_by_us(name) and name not in store.metadata}
    kept = {name: value for name, value in live.items() if name not in dropped and name != STORE_PROTECT}
    protect = {STORE_PROTECT: live.get(STORE_PROTECT) or PROTECTED} if store.protect else {}
    return {**kept, **store.metadata, **protect, STORE_OWNER: str(store_mark_for(owner, store))}


def _fields(
    store: DesiredStore, live: LiveStore, metadata: Mapping[str, str], mark: StoreMark | None
) -> tuple[FieldChange, ...]:
    """What a person sees of the write: settings that differ, by name."""
    pairs: dict[str, tuple[Scalar | None, Scalar | None]] = {
        "name": (live.name, store.name),
        "expires_after": (live.expires_after_days, store.expires_after_days),
        "protect": (bool(live.metadata.get(STORE_PROTECT)), store.protect),
    }
    for name in sorted({*live.metadata, *metadata}):
        if not name.startswith(RESERVED):
            pairs[f"metadata.{name}"] = (live.metadata.get(name), metadata.get(name))
    drifted = mark is not None and mark.settings == settings_digest(
        store.name, store.metadata, store.expires_after_days
    )
    return tuple(
        FieldChange(name, before, after, drifted and name != "protect")
        for name, (before, after) in pairs.items()
        if before != after
    )


def _description(store: DesiredStore, live: LiveStore) -> tuple[Note, ...]:
    if not store.description or store.description == live.description:
        return ()
    return (Note(NoteKind.DESCRIPTION, detail=f'live "{live.description}", wanted "{store.description}"'),)


def _mark(live: LiveStore) -> StoreMark | None:
    mark = read_store_mark(live.metadata)
    return mark if isinstance(mark, StoreMark) else None


def _is_ours(live: LiveStore, owner: str) -> bool:
    mark = _mark(live)
    return mark is not None and mark.owner == owner
