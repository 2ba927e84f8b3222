"""The decision table: what to do about one desired key, from all our live copies of it together.

A copy is right when its content, chunking and upload name are the manifest's. It is dead when it failed, was cancelled
or stalled, and refused when the service says that it cannot read these bytes. The first row that fits:

    --replace names the key     a new copy, unless a right one is being ingested: wait for that
    a right completed one       keep it; update its attributes where they differ; other copies go
    a right one being ingested  wait for it; other copies go when it is completed
    a right refused one         needs attention, unless --retry-failed; it stays, and the newest completed one serves
    a right dead one            the same File again; the newest completed one serves meanwhile
    a wrong completed one       replace it; it serves until the new copy is completed
    only wrong unusable ones    create; they go when the new copy is completed
    none                        create
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vssync.limits import MAX_PAIRS
from vssync.manifest.placeholders import upload_name
from vssync.manifest.spec import PATH_TEMPLATE
from vssync.model.digests import chunking_digest
from vssync.model.marks import KEY, short_digest
from vssync.model.plan import Action, Copy, FieldChange, FileChange, Reason
from vssync.model.state import AUTO, FileStatus
from vssync.planner.attributes import AttributeDifference, attributes_equal, compare_attributes, preserved_attributes
from vssync.planner.classify import CopyState, DesiredEntry, OwnedCopy
from vssync.planner.context import StorePlanContext

_FAILURE_REASONS = {FileStatus.FAILED: Reason.INGEST_FAILED, FileStatus.CANCELLED: Reason.INGEST_CANCELLED}


def decide_file(entry: DesiredEntry, copies: Sequence[OwnedCopy], context: StorePlanContext) -> tuple[FileChange, ...]:
    """The changes for a key; none when everything is as it should be. `copies` are ours of it, oldest first."""
    if len(copies) == 1 and _is_plainly_unchanged(entry, copies[0], context):
        return ()
    return _KeyDecision(entry, copies, context).decide()


def _is_plainly_unchanged(entry: DesiredEntry, copy: OwnedCopy, context: StorePlanContext) -> bool:
    """A quick answer for the many keys that need nothing; False only means to look closer."""
    file, mark = copy.file, copy.mark
    wanted = (entry.key_digest, entry.content, entry.chunking_digest, entry.name, context.common.owner)
    return (
        file.status is FileStatus.COMPLETED
        and (mark.key, mark.content, mark.chunking, mark.name, mark.owner) == wanted
        and not (entry.declared_id or context.common.scope.replace_requests)
        and attributes_equal(entry.file, file.attributes, context.ignored_attributes)
    )


def newest_copy(copies: Sequence[OwnedCopy], state: CopyState, now: int) -> OwnedCopy | None:
    """The newest copy in a state; copies come oldest first."""
    return next((copy for copy in reversed(copies) if copy.state(now) is state), None)


def retry_after_cancel(change: FileChange, *, shares_chunks: bool) -> FileChange:
    """A wait turned into a new ingestion of the same File, because the batch at work on it is cancelled.

    That counts no try: the file did not fail, and cancelling often must not make the planner give it up.
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


def as_impossible(change: FileChange, detail: str) -> FileChange:
    """The same change, refused because the service cannot do it."""
    return replace(change, action=Action.REFUSE, reasons=(*change.reasons, Reason.IMPOSSIBLE), drop=(), detail=detail)


def refuse_too_many_attributes(change: FileChange) -> FileChange:
    """The change, or its refusal where it would write more attributes than a file may carry."""
    assert change.desired
    count = len({*change.desired.attributes, *change.preserve}) + 2  # the key and the mark
    if count <= MAX_PAIRS:
        return change
    return as_impossible(
        change, f"it would carry {count} attributes, {len(change.preserve)} of them others'; {MAX_PAIRS} fit"
    )


@dataclass(frozen=True, slots=True)
class _KeyDecision:
    """The table for one key; the methods make the change of a row."""

    entry: DesiredEntry
    copies: Sequence[OwnedCopy]
    context: StorePlanContext

    def decide(self) -> tuple[FileChange, ...]:
        """The first row of the table that fits."""
        right = [copy for copy in self.copies if self.entry.matches(copy) and self._can_take(copy)]
        busy = self._newest(right, CopyState.BUSY)
        if self.copies and self.context.is_replace_requested(self.entry.key):
            if busy:
                return (self._await_copy(busy),)
            change = self._new_copy(Action.REPLACE, Reason.REQUESTED)
            return (self._with_attributes(change, self._newest(self.copies, CopyState.OK)),)
        if current := self._newest(right, CopyState.OK):
            return self._keep(current)
        if busy:
            return (self._await_copy(busy),)
        if not self.context.common.options.retry_failed and any(copy.is_refused for copy in right):
            return self._refuse(next(copy for copy in reversed(right) if copy.is_refused))
        if dead := self._newest(right, CopyState.DEAD):
            reason = _FAILURE_REASONS.get(dead.file.status, Reason.STALLED)
            change = self._new_copy(Action.REPLACE, reason, reuse=dead)
            return (replace(change, tries=dead.mark.tries + 1, detail=_failure_text(dead)),)
        if serving := self._newest(self.copies, CopyState.OK):
            return (self._replace(serving),)
        return (self._new_copy(Action.CREATE, Reason.MISSING),)

    def _newest(self, copies: Sequence[OwnedCopy], state: CopyState) -> OwnedCopy | None:
        return newest_copy(copies, state, self.context.now)

    def _change(self, action: Action, *reasons: Reason) -> FileChange:
        return FileChange(self.context.store.key, self.entry.key, action, reasons, self.entry.file)

    def _can_take(self, copy: OwnedCopy) -> bool:
        """Whether a copy can become the key's own: an upload under another key only by a write of its attributes."""
        updates = self.context.common.capabilities.attribute_updates
        return updates or bool(self.entry.declared_id) or copy.mark.key == self.entry.key_digest

    def _keep(self, current: OwnedCopy) -> tuple[FileChange, ...]:
        """Keeps a right completed copy: at most a write of its attributes, and the other copies go."""
        others = tuple(copy.evidence for copy in self.copies if copy is not current)
        change = self._update_attributes(current)
        if change and change.action is Action.REPLACE:
            return (change,)
        if change and change.action is not Action.REFUSE:
            return (replace(change, drop=others),)
        surplus = (self._delete_superseded(current, others),) if others else ()
        return (change, *surplus) if change else surplus

    def _update_attributes(self, current: OwnedCopy) -> FileChange | None:
        """The attribute write that a right copy needs, if any; taking over another owner's copy always needs one."""
        difference = compare_attributes(self.entry.file, current, self.context.ignored_attributes)
        moved = current.mark.key != self.entry.key_digest
        taken_over = current.mark.owner != self.context.common.owner
        if not (difference.fields or moved or taken_over):
            return None
        action = Action.ADOPT if taken_over else Action.UPDATE
        owner_reasons = (Reason.OTHER_OWNER,) if taken_over else ()
        change = self._change(action, *owner_reasons, *_update_reasons(difference, moved=moved))
        change = replace(
            change,
            keep=current.evidence,
            fields=_update_fields(difference, moved=moved),
            preserve=preserved_attributes(current.file.attributes, self.context.ignored_attributes),
            tries=current.mark.tries,
            was=current.key if moved else "",
        )
        capabilities = self.context.common.capabilities
        if capabilities.updates_reach_search is False and difference.fields:
            return self._attach_anew(current, *change.reasons, fields=change.fields, was=change.was)
        if not capabilities.attribute_updates:
            detail = "the service cannot change attributes in place; --replace uploads the file again"
            return as_impossible(change, detail)
        return refuse_too_many_attributes(change)

    def _await_copy(self, busy: OwnedCopy) -> FileChange:
        """Waits for a right copy, and corrects its attributes meanwhile; the other copies go when it is completed."""
        difference = compare_attributes(self.entry.file, busy, self.context.ignored_attributes)
        if not self.context.common.capabilities.updates_in_place:
            difference = AttributeDifference()
        return replace(
            self._change(Action.AWAIT, Reason.INGESTING, *difference.reasons),
            keep=busy.evidence,
            drop=tuple(copy.evidence for copy in self.copies if copy is not busy),
            fields=difference.fields,
            preserve=preserved_attributes(busy.file.attributes, self.context.ignored_attributes),
            tries=busy.mark.tries,
        )

    def _refuse(self, refused: OwnedCopy) -> tuple[FileChange, ...]:
        """Uploads nothing; of the copies, the refused one and the newest completed one stay."""
        serving = self._newest(self.copies, CopyState.OK)
        change = replace(
            self._change(Action.REFUSE, Reason.REFUSED),
            keep=refused.evidence,
            tries=refused.mark.tries,
            detail=f"{_failure_text(refused)}; change the file, or try again with --retry-failed",
        )
        others = tuple(copy.evidence for copy in self.copies if copy is not refused and copy is not serving)
        return (change, self._delete_superseded(serving, others)) if others else (change,)

    def _replace(self, serving: OwnedCopy) -> FileChange:
        """Replaces the serving copy, by an upload or by the same File again.

        A store takes a File once: to reattach it with other chunking leaves a gap, which must be allowed, or is there
        anyway where equal texts share chunks. A new upload name needs a new upload.
        """
        same_content, same_name = self.entry.has_same_content(serving), self.entry.has_same_name(serving)
        is_rechunked, is_renamed = serving.mark.chunking != self.entry.chunking_digest, same_content and not same_name
        causes = {
            Reason.CONTENT_CHANGED: not same_content,
            Reason.CHUNKING_CHANGED: is_rechunked,
            Reason.RENAMED: is_renamed,  # with the content, the name may change by itself, as its digest does
        }
        common = self.context.common
        reattach = same_content and same_name and (common.options.allow_gap or common.capabilities.shares_chunks)
        reasons = (reason for reason, holds in causes.items() if holds)
        change = self._new_copy(Action.REPLACE, *reasons, reuse=serving if reattach else None)
        if is_rechunked:
            fields = (FieldChange("chunking", _chunking_text(serving), str(self.entry.file.chunking)),)
            change = replace(change, fields=fields)
        if is_renamed:
            change = _with_upload_names(change, serving, self.entry.file.filename)
        return self._with_attributes(change, serving)

    def _attach_anew(
        self, current: OwnedCopy, *reasons: Reason, fields: tuple[FieldChange, ...] = (), was: str = ""
    ) -> FileChange:
        """Brings a right copy in anew: the same upload where equal texts share chunks, else a second one first."""
        common = self.context.common
        reattach = common.options.allow_gap or common.capabilities.shares_chunks
        change = self._new_copy(Action.REPLACE, *reasons, reuse=current if reattach else None)
        return replace(change, fields=fields, was=was)

    def _with_attributes(self, change: FileChange, serving: OwnedCopy | None) -> FileChange:
        """The change with the attributes that differ: a plan shows which outside edits are lost with the old copy."""
        if serving is None or serving.mark.is_provisional:
            return change
        moved = serving.mark.key != self.entry.key_digest
        difference = compare_attributes(self.entry.file, serving, self.context.ignored_attributes)
        reasons, fields = _update_reasons(difference, moved=moved), _update_fields(difference, moved=moved)
        return replace(
            change,
            reasons=(*change.reasons, *reasons),
            fields=(*change.fields, *fields),
            was=serving.key if moved else "",
        )

    def _new_copy(self, action: Action, *reasons: Reason, reuse: OwnedCopy | None = None) -> FileChange:
        """A new copy in place of all others; with a gap where no order of writes leaves a completed one serving."""
        copies, declared_id = self.copies, self.entry.declared_id
        if reuse and reuse.id in self.context.common.snapshot.gone_uploads:
            reuse = None
        attached_id = declared_id or (reuse.id if reuse else "")  # of the File to attach; empty before its upload
        serving = self._newest(copies, CopyState.OK)
        is_reattached = any(copy.id == attached_id for copy in copies)
        is_served = any(copy.file.status is FileStatus.COMPLETED and copy.id != attached_id for copy in copies)
        is_emptied = self.context.common.capabilities.shares_chunks and any(
            copy.file.status is FileStatus.COMPLETED and self.entry.has_same_content(copy) for copy in copies
        )
        attributes = (serving or copies[-1]).file.attributes if copies else {}
        change = replace(
            self._change(action, *reasons),
            keep=serving.evidence if serving else None,
            drop=tuple(copy.evidence for copy in copies),
            preserve=preserved_attributes(attributes, self.context.ignored_attributes),
            reuse=reuse.id if reuse and not declared_id else "",
            gap=is_emptied or (is_reattached and not is_served),
        )
        return refuse_too_many_attributes(change)

    def _delete_superseded(self, current: OwnedCopy | None, others: tuple[Copy, ...]) -> FileChange:
        keep = current.evidence if current else None
        return replace(self._change(Action.DELETE, Reason.SUPERSEDED), desired=None, keep=keep, drop=others)


def _update_reasons(difference: AttributeDifference, *, moved: bool) -> tuple[Reason, ...]:
    """Why attributes are written; a move changes `vssync_key`, which alone is not worth a second reason."""
    if not moved:
        return difference.reasons
    changed = any(field.name != KEY and not field.drifted for field in difference.fields)
    reasons = [reason for reason in difference.reasons if reason is Reason.DRIFTED or changed]
    return (Reason.MOVED, *reasons)


def _chunking_text(copy: OwnedCopy) -> str:
    """A copy's chunking: a mark has only its digest, and a service may report none, or numbers for "auto"."""
    if copy.mark.chunking == chunking_digest(AUTO):
        return str(AUTO)
    reported = copy.file.chunking
    return str(reported) if reported and chunking_digest(reported) == copy.mark.chunking else "not reported"


def _update_fields(difference: AttributeDifference, *, moved: bool) -> tuple[FieldChange, ...]:
    return tuple(field for field in difference.fields if not (moved and field.name == KEY))


def _with_upload_names(change: FileChange, serving: OwnedCopy, filename: str) -> FileChange:
    """The change with the old upload name, which a mark has only as a digest, where its key gives it away."""
    likely = (upload_name(PATH_TEMPLATE, serving.key, ""), serving.key.rpartition("/")[2])
    old = next((name for name in likely if short_digest(name) == serving.mark.name), None)
    if old is None:
        return replace(change, detail=change.detail or f"upload name -> {filename}")
    return replace(change, fields=(*change.fields, FieldChange("upload name", old, filename)))


def _failure_text(copy: OwnedCopy) -> str:
    runs = f", in {copy.mark.tries} runs" if copy.mark.tries > 1 else ""
    return f"{copy.evidence.error or copy.file.status}{runs}"
