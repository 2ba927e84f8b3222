"""The decision table: what to do about one desired key, from all our live copies of it together.

A copy is right when its content and chunking are the manifest's. The first row that fits:

    a right completed one       keep it; update its attributes where they differ; other copies go
    a right one being ingested  wait for it; other copies go when it is completed
    a right refused one         a person must act; it stays as the memory of that, the newest completed one serves
    a right dead one            the same File again; the newest completed one serves meanwhile
    a wrong completed one       replace it; it serves until the new copy is completed
    only wrong unusable ones    create; they go when the new copy is completed

It knows nothing of other keys: moves, adoption and shared uploads are decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vssync.limits import MAX_PAIRS
from vssync.model.marks import KEY
from vssync.model.plan import Action, Copy, FieldChange, FileChange, Options, Reason
from vssync.model.state import Capabilities, Chunking, DesiredStore, FileStatus
from vssync.planner.addresses import Scope
from vssync.planner.attributes import (
    AttributeDifference,
    attributes_equal,
    compare_attributes,
    preserved_attributes,
)
from vssync.planner.classify import CopyState, DesiredEntry, OwnedFile

_FAILURE_REASONS = {FileStatus.FAILED: Reason.INGEST_FAILED, FileStatus.CANCELLED: Reason.INGEST_CANCELLED}


@dataclass(frozen=True, slots=True)
class FileContext:
    """What shapes decisions beside the copies: whose plan, which store, when, which options, which service."""

    owner: str
    store: DesiredStore
    now: int
    options: Options
    capabilities: Capabilities
    scope: Scope

    @property
    def ignore(self) -> tuple[str, ...]:
        return self.store.ignore_attributes

    def requested(self, key: str) -> bool:
        return bool(self.scope.replaced) and self.scope.requested(self.store.key, key)


def decide_file(want: DesiredEntry, copies: Sequence[OwnedFile], rules: FileContext) -> tuple[FileChange, ...]:
    """The changes for a key that has copies, oldest first; none when everything is as it should be."""
    if len(copies) == 1 and _plainly_settled(want, copies[0], rules):
        return ()
    right = [copy for copy in copies if want.right(copy)]
    if rules.requested(want.key):
        return (_forced_replace(want, newest_copy(right, CopyState.BUSY, rules.now), copies, rules),)
    if kept := newest_copy(right, CopyState.OK, rules.now):
        return _settle(want, kept, copies, rules)
    if busy := newest_copy(right, CopyState.BUSY, rules.now):
        return (_wait(want, busy, copies, rules),)
    if right and not rules.options.retry_failed and any(copy.refused for copy in right):
        return _refuse(want, right, copies, rules)
    if dead := newest_copy(right, CopyState.DEAD, rules.now):
        return (_retry(want, dead, copies, rules),)
    if serving := newest_copy(copies, CopyState.OK, rules.now):
        return (_replace(want, serving, copies, rules),)
    return (_new_copy(want, Action.CREATE, (Reason.MISSING,), copies, rules),)


def _plainly_settled(want: DesiredEntry, copy: OwnedFile, rules: FileContext) -> bool:
    """The quick answer for the many keys that need nothing; False only means to look closer."""
    mark = copy.mark
    return (
        copy.file.status is FileStatus.COMPLETED
        and mark.content == want.content
        and mark.chunking == want.chunking
        and mark.key == want.digest
        and mark.owner == rules.owner
        and not (want.file.file_id or rules.scope.replaced)
        and attributes_equal(want.file, copy.file.attributes, rules.store.ignore_attributes)
    )


def newest_copy(copies: Sequence[OwnedFile], state: CopyState, now: int) -> OwnedFile | None:
    """The newest copy in a state; copies come oldest first."""
    return next((copy for copy in reversed(copies) if copy.state(now) is state), None)


def create_file(want: DesiredEntry, rules: FileContext) -> FileChange:
    """The change for a key that nothing live fits."""
    return _new_copy(want, Action.CREATE, (Reason.MISSING,), (), rules)


def retry_after_cancel(change: FileChange) -> FileChange:
    """A wait turned into a new ingestion of the same File, because the batch at work on it is cancelled."""
    assert change.keep
    drop = (change.keep, *change.drop)
    serving = [copy for copy in change.drop if copy.status is FileStatus.COMPLETED]
    return replace(
        change,
        action=Action.REPLACE,
        reasons=(Reason.INGEST_CANCELLED,),
        keep=serving[-1] if serving else None,
        drop=drop,
        fields=(),
        reuse="" if change.desired and change.desired.file_id else change.keep.id,
        gap=not serving,
    )


def as_impossible(change: FileChange, detail: str) -> FileChange:
    """The same change, refused because the service cannot do it."""
    return replace(change, action=Action.REFUSE, reasons=(*change.reasons, Reason.IMPOSSIBLE), drop=(), detail=detail)


def within_limits(change: FileChange) -> FileChange:
    """The change, refused where it would write more attributes than a file may carry."""
    assert change.desired
    count = len({*change.desired.attributes, *change.preserve}) + 2
    if count <= MAX_PAIRS:
        return change
    return as_impossible(
        change, f"it would carry {count} attributes, {len(change.preserve)} of them others'; {MAX_PAIRS} fit"
    )


def _forced_replace(
    want: DesiredEntry, busy: OwnedFile | None, copies: Sequence[OwnedFile], rules: FileContext
) -> FileChange:
    """A copy that is on its way already is what was asked for."""
    if busy:
        return _wait(want, busy, copies, rules)
    change = _new_copy(want, Action.REPLACE, (Reason.REQUESTED,), copies, rules)
    return _with_attributes(change, want, newest_copy(copies, CopyState.OK, rules.now), rules)


def _settle(
    want: DesiredEntry, kept: OwnedFile, copies: Sequence[OwnedFile], rules: FileContext
) -> tuple[FileChange, ...]:
    """A right completed copy stays."""
    others = tuple(copy.evidence for copy in copies if copy is not kept)
    change = _update(want, kept, rules)
    if change and change.action is not Action.REFUSE:
        return (replace(change, drop=others),)
    surplus = (_superseded(want, kept, others, rules),) if others else ()
    return (change, *surplus) if change else surplus


def _update(want: DesiredEntry, kept: OwnedFile, rules: FileContext) -> FileChange | None:
    """The attribute write that a right copy needs, if any; taking over another owner's copy always needs one."""
    difference = compare_attributes(want.file, kept, rules.ignore)
    moved = kept.mark.key != want.digest
    taken_over = kept.mark.owner != rules.owner
    if not (difference.fields or moved or taken_over):
        return None
    change = FileChange(
        store=rules.store.key,
        key=want.key,
        action=Action.ADOPT if taken_over else Action.UPDATE,
        reasons=((Reason.OTHER_OWNER,) if taken_over else ()) + _why(difference, moved),
        desired=want.file,
        keep=kept.evidence,
        fields=tuple(field for field in difference.fields if not (moved and field.name == KEY)),
        preserve=preserved_attributes(kept.file.attributes, rules.ignore),
        tries=kept.mark.tries,
        was=kept.key if moved else "",
    )
    if not rules.capabilities.attribute_updates:
        return as_impossible(change, "the service cannot change attributes in place; --replace brings the file in anew")
    return within_limits(change)


def _why(difference: AttributeDifference, moved: bool) -> tuple[Reason, ...]:
    """A move changes the key's own attribute; that alone is not worth a second reason."""
    if not moved:
        return difference.reasons
    changed = any(field.name != KEY and not field.drifted for field in difference.fields)
    reasons = [reason for reason in difference.reasons if reason is Reason.DRIFTED or changed]
    return (Reason.MOVED, *reasons)


def _wait(want: DesiredEntry, busy: OwnedFile, copies: Sequence[OwnedFile], rules: FileContext) -> FileChange:
    """The attributes of a copy may be put right while it is being ingested."""
    difference = compare_attributes(want.file, busy, rules.ignore)
    able = rules.capabilities.attribute_updates
    return FileChange(
        store=rules.store.key,
        key=want.key,
        action=Action.AWAIT,
        reasons=(Reason.INGESTING, *(difference.reasons if able else ())),
        desired=want.file,
        keep=busy.evidence,
        drop=tuple(copy.evidence for copy in copies if copy is not busy),
        fields=difference.fields if able else (),
        preserve=preserved_attributes(busy.file.attributes, rules.ignore),
        tries=busy.mark.tries,
    )


def _refuse(
    want: DesiredEntry, right: Sequence[OwnedFile], copies: Sequence[OwnedFile], rules: FileContext
) -> tuple[FileChange, ...]:
    """Nothing is uploaded; of the copies, the refused one and the newest completed one stay."""
    refused = next(copy for copy in reversed(right) if copy.refused)
    serving = newest_copy(copies, CopyState.OK, rules.now)
    change = FileChange(
        store=rules.store.key,
        key=want.key,
        action=Action.REFUSE,
        reasons=(Reason.REFUSED,),
        desired=want.file,
        keep=refused.evidence,
        tries=refused.mark.tries,
        detail=f"{_failure_text(refused)}; change the file, or try again with --retry-failed",
    )
    others = tuple(copy.evidence for copy in copies if copy is not refused and copy is not serving)
    return (change, _superseded(want, serving, others, rules)) if others else (change,)


def _retry(want: DesiredEntry, dead: OwnedFile, copies: Sequence[OwnedFile], rules: FileContext) -> FileChange:
    """The File is there; only its ingestion failed."""
    reason = _FAILURE_REASONS.get(dead.file.status, Reason.STALLED)
    change = _new_copy(want, Action.REPLACE, (reason,), copies, rules, reuse=dead)
    return replace(change, tries=dead.mark.tries + 1, detail=_failure_text(dead))


def _replace(want: DesiredEntry, serving: OwnedFile, copies: Sequence[OwnedFile], rules: FileContext) -> FileChange:
    """A File attaches once per store, so new chunking for the same bytes needs another upload or a gap."""
    same_content = want.same_content(serving)
    reasons = () if same_content else (Reason.CONTENT_CHANGED,)
    rechunked = serving.mark.chunking != want.chunking
    if rechunked:
        reasons = (*reasons, Reason.CHUNKING_CHANGED)
    in_place = same_content and (rules.options.allow_gap or rules.capabilities.shares_chunks)
    change = _new_copy(want, Action.REPLACE, reasons, copies, rules, reuse=serving if in_place else None)
    change = replace(change, fields=_chunking_field(serving, want)) if rechunked else change
    return _with_attributes(change, want, serving, rules)


def _with_attributes(
    change: FileChange, want: DesiredEntry, serving: OwnedFile | None, rules: FileContext
) -> FileChange:
    """The new copy has the manifest's attributes: an edit that goes with the old one must be seen before it goes."""
    if serving is None or serving.mark.key != want.digest:
        return change
    found = compare_attributes(want.file, serving, rules.ignore)
    return replace(change, reasons=(*change.reasons, *found.reasons), fields=(*change.fields, *found.fields))


def _new_copy(
    want: DesiredEntry,
    action: Action,
    reasons: tuple[Reason, ...],
    copies: Sequence[OwnedFile],
    rules: FileContext,
    *,
    reuse: OwnedFile | None = None,
) -> FileChange:
    """A new copy in place of all others. The gap is there when no other order leaves a completed one serving."""
    attached = want.file.file_id or (reuse.id if reuse else "")
    serving = newest_copy(copies, CopyState.OK, rules.now)
    same_file = any(copy.id == attached for copy in copies)
    left_serving = any(copy.file.status is FileStatus.COMPLETED and copy.id != attached for copy in copies)
    return within_limits(
        FileChange(
            store=rules.store.key,
            key=want.key,
            action=action,
            reasons=reasons,
            desired=want.file,
            keep=serving.evidence if serving else None,
            drop=tuple(copy.evidence for copy in copies),
            preserve=preserved_attributes((serving or copies[-1]).file.attributes, rules.ignore) if copies else {},
            reuse=reuse.id if reuse and not want.file.file_id else "",
            gap=bool(copies) and (rules.capabilities.shares_chunks or (same_file and not left_serving)),
        )
    )


def _superseded(want: DesiredEntry, kept: OwnedFile | None, others: tuple[Copy, ...], rules: FileContext) -> FileChange:
    return FileChange(
        store=rules.store.key,
        key=want.key,
        action=Action.DELETE,
        reasons=(Reason.SUPERSEDED,),
        keep=kept.evidence if kept else None,
        drop=others,
    )


def _chunking_field(serving: OwnedFile, want: DesiredEntry) -> tuple[FieldChange, ...]:
    """What the service reports may be nothing; then there is nothing to show as it was."""
    before = serving.file.chunking
    if before is None or before == want.file.chunking:
        return ()
    return (FieldChange("chunking", _words(before), _words(want.file.chunking)),)


def _words(chunking: Chunking) -> str:
    return "auto" if chunking.auto else f"{chunking.size}/{chunking.overlap}"


def _failure_text(copy: OwnedFile) -> str:
    times = f"after {copy.mark.tries} tries" if copy.mark.tries > 1 else "at the first try"
    return f"{copy.evidence.error or copy.file.status} {times}"
