"""The decision table: what to do about one desired key, from all our live copies of it together.

A copy is right when its content, chunking and upload name are the manifest's. It is dead when it failed, was cancelled
or stalled, and rejected when the service says that it cannot read these bytes. A completed copy serves while searches
find it for the key. The first row that fits decides:

    --replace names the key     a new copy, unless a right one is being ingested: wait for that
    a right completed one       keep it; update its attributes where they differ; other copies go
    a right one being ingested  wait for it; other copies go when it is completed
    a right rejected one        needs attention, unless --retry-failed; it stays, and the newest completed one serves
    a right dead one            the same File again; the newest completed one serves meanwhile
    a wrong completed one       replace it; it serves until the new copy is completed
    wrong ones, none completed  create; they go when the new copy is completed
    none                        create

A change leaves a gap when for a while no completed copy of the key is in the store, so that searches miss the file. A
store takes a File only once: to attach an upload again it is detached first, which leaves a gap unless another
completed copy serves meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import compress

from vssync.limits import MAX_PAIRS
from vssync.manifest.placeholders import upload_name
from vssync.manifest.spec import PATH_TEMPLATE
from vssync.model.digests import chunking_digest
from vssync.model.marks import KEY, short_digest
from vssync.model.plan import Action, FieldChange, FileChange, Reason, RecordedCopy
from vssync.model.state import AUTO, TYPE_WAYS_OUT, UNSUPPORTED, FileStatus
from vssync.planner.attributes import (
    AttributeDifference,
    attributes_plainly_equal,
    compare_attributes,
    preserved_attributes,
)
from vssync.planner.classify import Copies, CopyState, DigestedFile, OwnedCopy
from vssync.planner.context import StorePlanContext

_FAILURE_REASONS = {FileStatus.FAILED: Reason.INGEST_FAILED, FileStatus.CANCELLED: Reason.INGEST_CANCELLED}


def decide_file(wanted: DigestedFile, copies: Copies, context: StorePlanContext) -> tuple[FileChange, ...]:
    """The changes for a key, given our copies of it; none when everything is as it should be."""
    if len(copies) == 1 and _is_plainly_unchanged(wanted, copies[0], context):
        return ()
    return _KeyDecision(wanted, copies, context).decide()


def _is_plainly_unchanged(wanted: DigestedFile, copy: OwnedCopy, context: StorePlanContext) -> bool:
    """A quick check for the many keys that need nothing; False means that the whole table is consulted."""
    file, mark, owner = copy.file, copy.mark, context.common.owner
    expected = (wanted.key_digest, wanted.content, wanted.chunking_digest, wanted.name_digest, owner)
    return (
        file.status is FileStatus.COMPLETED
        and (mark.key_digest, mark.content, mark.chunking_digest, mark.name_digest, mark.owner) == expected
        and not (wanted.declared_id or context.common.scope.replace_requests)
        and attributes_plainly_equal(wanted.file, file.attributes, context.store.ignore_attributes)
    )


def newest_copy(copies: Copies, state: CopyState, now: int) -> OwnedCopy | None:
    """The newest copy in a state; None without one."""
    return next((copy for copy in reversed(copies) if copy.state(now) is state), None)


def refuse_too_many_attributes(change: FileChange) -> FileChange:
    """The change, or its refusal if it would write more attributes than a file may carry."""
    assert change.desired
    count = len({*change.desired.attributes, *change.preserve}) + 2  # the key and the mark
    if count <= MAX_PAIRS:
        return change
    detail = f"it would carry {count} attributes, {len(change.preserve)} of them others'; {MAX_PAIRS} fit"
    return change.refused(Reason.IMPOSSIBLE, detail=detail)


@dataclass(frozen=True, slots=True)
class _KeyDecision:
    """The table for one key; the methods make the change of a row."""

    wanted: DigestedFile
    copies: Copies
    context: StorePlanContext

    def decide(self) -> tuple[FileChange, ...]:
        right = [copy for copy in self.copies if self.wanted.matches(copy) and self._can_take(copy)]
        ingesting = self._newest(right, CopyState.INGESTING)
        if self.copies and self.context.is_replace_requested(self.wanted.key):
            if ingesting:
                return (self._await_copy(ingesting),)
            change = self._new_copy(Action.REPLACE, Reason.REQUESTED)
            return (self._with_attributes(change, self._newest(self.copies, CopyState.COMPLETED)),)
        if current := self._newest(right, CopyState.COMPLETED):
            return self._keep(current)
        if ingesting:
            return (self._await_copy(ingesting),)
        if not self.context.common.options.retry_failed and any(copy.is_rejected for copy in right):
            return self._leave_rejected(next(copy for copy in reversed(right) if copy.is_rejected))
        if dead := self._newest(right, CopyState.DEAD):
            reason = _FAILURE_REASONS.get(dead.file.status, Reason.STALLED)
            change = self._new_copy(Action.REPLACE, reason, reuse=dead)
            return (replace(change, tries=dead.mark.tries + 1, detail=change.detail or _failure_text(dead)),)
        if serving := self._newest(self.copies, CopyState.COMPLETED):
            return (self._replace(serving),)
        return (self._new_copy(Action.CREATE, Reason.MISSING),)

    def _newest(self, copies: Copies, state: CopyState) -> OwnedCopy | None:
        return newest_copy(copies, state, self.context.now)

    def _change(self, action: Action, *reasons: Reason) -> FileChange:
        return FileChange(self.context.store.key, self.wanted.key, action, reasons, self.wanted.file)

    def _former_key(self, copy: OwnedCopy) -> str:
        """The key that a copy is marked for, if that is another one."""
        return "" if copy.mark.key_digest == self.wanted.key_digest else copy.key

    def _compare_attributes(self, copy: OwnedCopy) -> AttributeDifference:
        return compare_attributes(self.wanted.file, copy, self.context.store.ignore_attributes)

    def _can_take(self, copy: OwnedCopy) -> bool:
        """Whether this copy can be used for this key: its mark names the key, or can be updated.

        Where the service updates no attributes, a File whose mark says that it is declared can be used for any key: the
        store cannot hold it a second time.
        """
        if self.context.common.capabilities.attribute_updates:
            return True
        if self.wanted.declared_id:
            return not self._is_newly_declared(copy)
        return copy.mark.key_digest == self.wanted.key_digest

    def _is_newly_declared(self, copy: OwnedCopy) -> bool:
        """Whether the manifest now declares the File of a copy that was uploaded or adopted before."""
        mark = copy.mark
        return copy.id == self.wanted.declared_id and not mark.is_provisional and mark.content != self.wanted.content

    def _keep(self, current: OwnedCopy) -> tuple[FileChange, ...]:
        """Keeps a right completed copy and drops the others; its attributes are written where they differ.

        Where search would not see the write, the file is attached again instead.
        """
        others = tuple(copy.recorded for copy in self.copies if copy is not current)
        change = self._update_attributes(current)
        if change and change.action is Action.REPLACE:
            return (change,)
        if change and change.action is not Action.REFUSE:
            return (replace(change, drop=others),)
        surplus = (self._delete_superseded(current, others),) if others else ()
        return (change, *surplus) if change else surplus

    def _update_attributes(self, current: OwnedCopy) -> FileChange | None:
        """The write of attributes that a right copy needs, if any; taking over another owner's copy always needs one.

        Where search does not see updates, the file must be attached again for its attributes to change: the same upload
        if a gap is accepted, else a second one, after which the first is dropped.
        """
        difference, was = self._compare_attributes(current), self._former_key(current)
        taken_over = current.mark.owner != self.context.common.owner
        newly_declared = self._is_newly_declared(current)
        if not (difference.fields or was or taken_over or newly_declared):
            return None
        shown = _as_shown(difference, moved=bool(was))
        reasons = ((Reason.OTHER_OWNER,) if taken_over else ()) + shown.reasons
        reasons += (Reason.DECLARED,) if newly_declared else ()
        capabilities = self.context.common.capabilities
        # If it is unknown whether search sees updates, the apply tests it before the first write.
        if capabilities.updates_reach_search is False and difference.fields:
            change = self._new_copy(Action.REPLACE, *reasons, reuse=current if self.context.accepts_gap else None)
            return replace(change, fields=shown.fields, was=was)
        change = replace(
            self._change(Action.ADOPT if taken_over else Action.UPDATE, *reasons),
            keep=current.recorded,
            fields=shown.fields,
            preserve=preserved_attributes(current.file.attributes, self.context.store.ignore_attributes),
            tries=current.mark.tries,
            was=was,
        )
        if not capabilities.attribute_updates:
            detail = "the service cannot change attributes in place; --replace attaches the file again"
            return change.refused(Reason.IMPOSSIBLE, detail=detail)
        return refuse_too_many_attributes(change)

    def _await_copy(self, ingesting: OwnedCopy) -> FileChange:
        """Waits for a right copy, and corrects its attributes meanwhile; the other copies go when it is completed."""
        difference, capabilities = AttributeDifference(), self.context.common.capabilities
        if capabilities.attribute_updates and capabilities.updates_reach_search is not False:
            difference = self._compare_attributes(ingesting)
        change = replace(
            self._change(Action.AWAIT, Reason.INGESTING, *difference.reasons),
            keep=ingesting.recorded,
            drop=tuple(copy.recorded for copy in self.copies if copy is not ingesting),
            fields=difference.fields,
            preserve=preserved_attributes(ingesting.file.attributes, self.context.store.ignore_attributes),
            tries=ingesting.mark.tries,
        )
        return refuse_too_many_attributes(change) if difference.fields else change

    def _leave_rejected(self, rejected: OwnedCopy) -> tuple[FileChange, ...]:
        """Uploads nothing; of the copies, the one that the service rejects and the newest completed one stay."""
        serving, error = self._newest(self.copies, CopyState.COMPLETED), rejected.file.error
        ways_out = TYPE_WAYS_OUT if error and error.code == UNSUPPORTED else "change the file"
        change = replace(
            self._change(Action.REFUSE, Reason.REFUSED),
            keep=rejected.recorded,
            tries=rejected.mark.tries,
            detail=f"{_failure_text(rejected)}; {ways_out}, or try again with --retry-failed",
        )
        others = tuple(copy.recorded for copy in self.copies if copy is not rejected and copy is not serving)
        return (change, self._delete_superseded(serving, others)) if others else (change,)

    def _replace(self, serving: OwnedCopy) -> FileChange:
        """Replaces the serving copy: by a new File, unless content and name are right and a gap is accepted."""
        same_content, same_name = self.wanted.has_same_content(serving), self.wanted.has_same_name(serving)
        is_converted_anew = not same_content and self.wanted.has_same_source(serving)
        is_rechunked = serving.mark.chunking_digest != self.wanted.chunking_digest
        # A name may contain the content digest, so new content alone renames.
        is_renamed = same_content and not same_name
        causes = {
            Reason.CONTENT_CHANGED: not (same_content or is_converted_anew),
            Reason.CONVERTER_CHANGED: is_converted_anew,
            Reason.CHUNKING_CHANGED: is_rechunked,
            Reason.RENAMED: is_renamed,
            Reason.DECLARED: self._is_newly_declared(serving),
        }
        can_reuse = same_content and same_name and self.context.accepts_gap
        reasons = compress(causes, causes.values())
        change = self._new_copy(Action.REPLACE, *reasons, reuse=serving if can_reuse else None)
        if is_rechunked:
            fields = (FieldChange("chunking", _chunking_text(serving), str(self.wanted.file.chunking)),)
            change = replace(change, fields=fields)
        if is_renamed:
            change = _with_upload_names(change, serving, self.wanted.file.filename)
        return self._with_attributes(change, serving)

    def _with_attributes(self, change: FileChange, serving: OwnedCopy | None) -> FileChange:
        """The change with the attributes that differ: a plan shows which outside edits are lost with the old copy."""
        if serving is None or serving.mark.is_provisional:
            return change
        was = self._former_key(serving)
        shown = _as_shown(self._compare_attributes(serving), moved=bool(was))
        reasons, fields = (*change.reasons, *shown.reasons), (*change.fields, *shown.fields)
        return replace(change, reasons=reasons, fields=fields, was=was)

    def _new_copy(self, action: Action, *reasons: Reason, reuse: OwnedCopy | None = None) -> FileChange:
        """A new copy in place of all others; with `gap` where searches must miss the file meanwhile."""
        copies, declared_id = self.copies, self.wanted.declared_id
        gone_uploads = self.context.common.snapshot.gone_uploads
        if declared_id in gone_uploads:
            detail = f"{declared_id} does not exist; declare another File, or a `path`, or take the entry away"
            return self._change(action).refused(Reason.FILE_GONE, detail=detail)
        if reuse and reuse.id in gone_uploads:
            reuse = None
        id_to_attach = declared_id or (reuse.id if reuse else "")  # of the File to attach; empty before its upload
        serving = self._newest(copies, CopyState.COMPLETED)
        completed = [copy for copy in copies if copy.file.status is FileStatus.COMPLETED]
        is_reattached = any(copy.id == id_to_attach for copy in copies)
        is_served = any(copy.id != id_to_attach for copy in completed)
        # The new copy shares its chunks with a completed one of the same content, and loses them when that is dropped.
        loses_chunks = self.context.common.capabilities.shares_chunks and any(
            map(self.wanted.has_same_content, completed)
        )
        attributes = (serving or copies[-1]).file.attributes if copies else {}
        change = replace(
            self._change(action, *reasons),
            keep=serving.recorded if serving else None,
            drop=tuple(copy.recorded for copy in copies),
            preserve=preserved_attributes(attributes, self.context.store.ignore_attributes),
            reuse=reuse.id if reuse and not declared_id else "",
            gap=loses_chunks or (is_reattached and not is_served),
        )
        return refuse_too_many_attributes(change)

    def _delete_superseded(self, current: OwnedCopy | None, others: tuple[RecordedCopy, ...]) -> FileChange:
        keep = current.recorded if current else None
        return replace(self._change(Action.DELETE, Reason.SUPERSEDED), desired=None, keep=keep, drop=others)


def _as_shown(difference: AttributeDifference, *, moved: bool) -> AttributeDifference:
    """The difference as a plan shows it: a move shows as MOVED; its new `vssync_key` is not a change of attributes."""
    if not moved:
        return difference
    fields = tuple(field for field in difference.fields if field.name != KEY)
    is_edited = any(not field.drifted for field in fields)
    reasons = (reason for reason in difference.reasons if reason is Reason.DRIFTED or is_edited)
    return AttributeDifference((Reason.MOVED, *reasons), fields)


def _chunking_text(copy: OwnedCopy) -> str:
    """A copy's chunking: a mark has only its digest, and a service may report none, or numbers for "auto"."""
    if copy.mark.chunking_digest == chunking_digest(AUTO):
        return str(AUTO)
    reported = copy.file.chunking
    return str(reported) if reported and chunking_digest(reported) == copy.mark.chunking_digest else "not reported"


def _with_upload_names(change: FileChange, serving: OwnedCopy, filename: str) -> FileChange:
    """The change with the old upload name, if one of the usual names for its key has the digest that the mark holds."""
    usual_names = (upload_name(PATH_TEMPLATE, serving.key, ""), serving.key.rpartition("/")[2])
    old_name = next((name for name in usual_names if short_digest(name) == serving.mark.name_digest), None)
    if old_name is None:
        return replace(change, detail=change.detail or f"upload name -> {filename}")
    return replace(change, fields=(*change.fields, FieldChange("upload name", old_name, filename)))


def _failure_text(copy: OwnedCopy) -> str:
    runs = f", in {copy.mark.tries} runs" if copy.mark.tries > 1 else ""
    fallback = "the service gives no reason" if copy.file.status is FileStatus.FAILED else str(copy.file.status)
    return f"{copy.recorded.error or fallback}{runs}"
