"""The decision table: what to do about one desired key, from all our live copies of it together.

A copy is right when its content and chunking are the manifest's. The first row that fits:

    a right completed one       keep it; update its attributes where they differ; other copies go
    a right one being ingested  wait for it; other copies go when it is completed
    a right refused one         needs attention; it stays as the memory of that, the newest completed one serves
    a right dead one            the same File again; the newest completed one serves meanwhile
    a wrong completed one       replace it; it serves until the new copy is completed
    only wrong unusable ones    create; they go when the new copy is completed

It knows nothing of other keys: moves, adoption and shared uploads are decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vssync.model.marks import KEY
from vssync.model.plan import Action, Copy, FieldChange, FileChange, Reason
from vssync.model.state import FileStatus
from vssync.planner.attributes import (
    MAX_ATTRIBUTES,
    AttributeDifference,
    attributes_equal,
    compare_attributes,
    preserved_attributes,
)
from vssync.planner.classify import CopyState, DesiredEntry, OwnedFile
from vssync.planner.context import FileContext

_FAILURE_REASONS = {FileStatus.FAILED: Reason.INGEST_FAILED, FileStatus.CANCELLED: Reason.INGEST_CANCELLED}


def decide_file(entry: DesiredEntry, copies: Sequence[OwnedFile], context: FileContext) -> tuple[FileChange, ...]:
    """The changes for a key that has copies, oldest first; none when everything is as it should be."""
    if len(copies) == 1 and _is_unchanged(entry, copies[0], context):
        return ()
    right = [copy for copy in copies if entry.matches(copy)]
    if context.is_replace_requested(entry.key):
        return (_forced_replace(entry, newest_copy(right, CopyState.BUSY, context.now), copies, context),)
    if current := newest_copy(right, CopyState.OK, context.now):
        return _keep_copy(entry, current, copies, context)
    if busy := newest_copy(right, CopyState.BUSY, context.now):
        return (_wait_for_copy(entry, busy, copies, context),)
    if right and not context.plan.options.retry_failed and any(copy.refused for copy in right):
        return _refuse_file(entry, right, copies, context)
    if dead := newest_copy(right, CopyState.DEAD, context.now):
        return (_retry_ingestion(entry, dead, copies, context),)
    if serving := newest_copy(copies, CopyState.OK, context.now):
        return (_replace_copy(entry, serving, copies, context),)
    return (_new_copy(entry, Action.CREATE, (Reason.MISSING,), copies, context),)


def _is_unchanged(entry: DesiredEntry, copy: OwnedFile, context: FileContext) -> bool:
    """The quick answer for the many keys that need nothing; False only means to look closer."""
    mark = copy.mark
    return (
        copy.file.status is FileStatus.COMPLETED
        and mark.content == entry.content
        and mark.chunking == entry.chunking
        and mark.key == entry.digest
        and mark.owner == context.plan.owner
        and not (entry.file.file_id or context.plan.scope.replaced)
        and attributes_equal(entry.file, copy.file.attributes, context.ignore)
    )


def newest_copy(copies: Sequence[OwnedFile], state: CopyState, now: int) -> OwnedFile | None:
    """The newest copy in a state; copies come oldest first."""
    return next((copy for copy in reversed(copies) if copy.state(now) is state), None)


def create_file(entry: DesiredEntry, context: FileContext) -> FileChange:
    """The change for a key that nothing live fits."""
    return _new_copy(entry, Action.CREATE, (Reason.MISSING,), (), context)


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
    if count <= MAX_ATTRIBUTES:
        return change
    return as_impossible(
        change, f"it would carry {count} attributes, {len(change.preserve)} of them others'; {MAX_ATTRIBUTES} fit"
    )


def _forced_replace(
    entry: DesiredEntry, busy: OwnedFile | None, copies: Sequence[OwnedFile], context: FileContext
) -> FileChange:
    """`--replace`: a new copy, or the wait for a right one that is being ingested already."""
    if busy:
        return _wait_for_copy(entry, busy, copies, context)
    change = _new_copy(entry, Action.REPLACE, (Reason.REQUESTED,), copies, context)
    return _with_attributes(change, entry, newest_copy(copies, CopyState.OK, context.now), context)


def _keep_copy(
    entry: DesiredEntry, current: OwnedFile, copies: Sequence[OwnedFile], context: FileContext
) -> tuple[FileChange, ...]:
    """A right completed copy stays."""
    others = tuple(copy.evidence for copy in copies if copy is not current)
    change = _update_attributes(entry, current, context)
    if change and change.action is not Action.REFUSE:
        return (replace(change, drop=others),)
    surplus = (_delete_superseded(entry, current, others, context),) if others else ()
    return (change, *surplus) if change else surplus


def _update_attributes(entry: DesiredEntry, current: OwnedFile, context: FileContext) -> FileChange | None:
    """The attribute write that a right copy needs, if any; taking over another owner's copy always needs one."""
    difference = compare_attributes(entry.file, current, context.ignore)
    moved = current.mark.key != entry.digest
    taken_over = current.mark.owner != context.plan.owner
    if not (difference.fields or moved or taken_over):
        return None
    change = FileChange(
        store=context.store.key,
        key=entry.key,
        action=Action.ADOPT if taken_over else Action.UPDATE,
        reasons=((Reason.OTHER_OWNER,) if taken_over else ()) + _update_reasons(difference, moved),
        desired=entry.file,
        keep=current.evidence,
        fields=tuple(field for field in difference.fields if not (moved and field.name == KEY)),
        preserve=preserved_attributes(current.file.attributes, context.ignore),
        tries=current.mark.tries,
        was=current.key if moved else "",
    )
    if not context.plan.capabilities.attribute_updates:
        return as_impossible(change, "the service cannot change attributes in place; --replace uploads the file again")
    return within_limits(change)


def _update_reasons(difference: AttributeDifference, moved: bool) -> tuple[Reason, ...]:
    """A move changes the key's own attribute; that alone is not worth a second reason."""
    if not moved:
        return difference.reasons
    changed = any(field.name != KEY and not field.drifted for field in difference.fields)
    reasons = [reason for reason in difference.reasons if reason is Reason.DRIFTED or changed]
    return (Reason.MOVED, *reasons)


def _wait_for_copy(
    entry: DesiredEntry, busy: OwnedFile, copies: Sequence[OwnedFile], context: FileContext
) -> FileChange:
    """The attributes of a copy may be put right while it is being ingested."""
    difference = compare_attributes(entry.file, busy, context.ignore)
    can_update = context.plan.capabilities.attribute_updates
    return FileChange(
        store=context.store.key,
        key=entry.key,
        action=Action.AWAIT,
        reasons=(Reason.INGESTING, *(difference.reasons if can_update else ())),
        desired=entry.file,
        keep=busy.evidence,
        drop=tuple(copy.evidence for copy in copies if copy is not busy),
        fields=difference.fields if can_update else (),
        preserve=preserved_attributes(busy.file.attributes, context.ignore),
        tries=busy.mark.tries,
    )


def _refuse_file(
    entry: DesiredEntry, right: Sequence[OwnedFile], copies: Sequence[OwnedFile], context: FileContext
) -> tuple[FileChange, ...]:
    """Nothing is uploaded; of the copies, the refused one and the newest completed one stay."""
    refused = next(copy for copy in reversed(right) if copy.refused)
    serving = newest_copy(copies, CopyState.OK, context.now)
    change = FileChange(
        store=context.store.key,
        key=entry.key,
        action=Action.REFUSE,
        reasons=(Reason.REFUSED,),
        desired=entry.file,
        keep=refused.evidence,
        tries=refused.mark.tries,
        detail=f"{_failure_text(refused)}; change the file, or try again with --retry-failed",
    )
    others = tuple(copy.evidence for copy in copies if copy is not refused and copy is not serving)
    return (change, _delete_superseded(entry, serving, others, context)) if others else (change,)


def _retry_ingestion(
    entry: DesiredEntry, dead: OwnedFile, copies: Sequence[OwnedFile], context: FileContext
) -> FileChange:
    """Ingests the same File again: only its ingestion failed."""
    reason = _FAILURE_REASONS.get(dead.file.status, Reason.STALLED)
    change = _new_copy(entry, Action.REPLACE, (reason,), copies, context, reuse=dead)
    return replace(change, tries=dead.mark.tries + 1, detail=_failure_text(dead))


def _replace_copy(
    entry: DesiredEntry, serving: OwnedFile, copies: Sequence[OwnedFile], context: FileContext
) -> FileChange:
    """A File attaches once per store, so new chunking for the same bytes needs another upload or a gap."""
    same_content = entry.has_same_content(serving)
    reasons = () if same_content else (Reason.CONTENT_CHANGED,)
    rechunked = serving.mark.chunking != entry.chunking
    if rechunked:
        reasons = (*reasons, Reason.CHUNKING_CHANGED)
    in_place = same_content and (context.plan.options.allow_gap or context.plan.capabilities.shares_chunks)
    change = _new_copy(entry, Action.REPLACE, reasons, copies, context, reuse=serving if in_place else None)
    change = replace(change, fields=_chunking_field(serving, entry)) if rechunked else change
    return _with_attributes(change, entry, serving, context)


def _with_attributes(
    change: FileChange, entry: DesiredEntry, serving: OwnedFile | None, context: FileContext
) -> FileChange:
    """Shows the attributes that change as well: somebody's edit of the old copy is lost with it."""
    if serving is None or serving.mark.key != entry.digest:
        return change
    difference = compare_attributes(entry.file, serving, context.ignore)
    return replace(
        change,
        reasons=(*change.reasons, *difference.reasons),
        fields=(*change.fields, *difference.fields),
    )


def _new_copy(
    entry: DesiredEntry,
    action: Action,
    reasons: tuple[Reason, ...],
    copies: Sequence[OwnedFile],
    context: FileContext,
    *,
    reuse: OwnedFile | None = None,
) -> FileChange:
    """A new copy in place of all others; with a gap where no order of writes leaves a completed one serving."""
    attached = entry.file.file_id or (reuse.id if reuse else "")
    serving = newest_copy(copies, CopyState.OK, context.now)
    same_file = any(copy.id == attached for copy in copies)
    left_serving = any(copy.file.status is FileStatus.COMPLETED and copy.id != attached for copy in copies)
    return within_limits(
        FileChange(
            store=context.store.key,
            key=entry.key,
            action=action,
            reasons=reasons,
            desired=entry.file,
            keep=serving.evidence if serving else None,
            drop=tuple(copy.evidence for copy in copies),
            preserve=preserved_attributes((serving or copies[-1]).file.attributes, context.ignore) if copies else {},
            reuse=reuse.id if reuse and not entry.file.file_id else "",
            gap=bool(copies) and (context.plan.capabilities.shares_chunks or (same_file and not left_serving)),
        )
    )


def _delete_superseded(
    entry: DesiredEntry, current: OwnedFile | None, others: tuple[Copy, ...], context: FileContext
) -> FileChange:
    return FileChange(
        store=context.store.key,
        key=entry.key,
        action=Action.DELETE,
        reasons=(Reason.SUPERSEDED,),
        keep=current.evidence if current else None,
        drop=others,
    )


def _chunking_field(serving: OwnedFile, entry: DesiredEntry) -> tuple[FieldChange, ...]:
    """The change of chunking to show; none where the service does not report the old one."""
    before = serving.file.chunking
    if before is None or before == entry.file.chunking:
        return ()
    return (FieldChange("chunking", str(before), str(entry.file.chunking)),)


def _failure_text(copy: OwnedFile) -> str:
    times = f"after {copy.mark.tries} tries" if copy.mark.tries > 1 else "at the first try"
    return f"{copy.evidence.error or copy.file.status} {times}"
