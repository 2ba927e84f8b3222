"""One upload for several stores: a File of the same bytes and name, kept in another store of this owner, is reused.

Never one of the same store, where a File can be attached only once, and none that this plan takes away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vssync.model.marks import Origin
from vssync.model.plan import Action, FileChange, Reason
from vssync.planner.classify import CopyState
from vssync.planner.decide_file import newest_copy
from vssync.planner.store_files import StoreDraft

UploadForm = tuple[str, str]  # sha256, upload name


def share_uploads(drafts: Sequence[StoreDraft]) -> tuple[StoreDraft, ...]:
    """The same drafts, uploading nothing that another store of theirs holds."""
    needed = {_upload_form(change) for draft in drafts for change in draft.changes if _needs_upload(change)}
    if len(drafts) < 2 or not needed:
        return tuple(drafts)
    offers: dict[UploadForm, list[str]] = {}
    for draft in drafts:
        for form, file_id in _reusable_uploads(draft, needed):
            offers.setdefault(form, []).append(file_id)
    return tuple(_with_reuse(draft, offers) for draft in drafts)


def _needs_upload(change: FileChange) -> bool:
    makes_copy = change.action in (Action.CREATE, Action.REPLACE) and Reason.REQUESTED not in change.reasons
    return makes_copy and change.desired is not None and not change.reuse and not change.desired.file_id


def _upload_form(change: FileChange) -> UploadForm:
    assert change.desired
    return change.desired.sha256, change.desired.filename


def _reusable_uploads(draft: StoreDraft, needed: set[UploadForm]) -> Iterator[tuple[UploadForm, str]]:
    """Uploads of ours that stay: completed, with exactly the content that their key asks for."""
    dropped = draft.dropped
    for entry in draft.entries:
        form = (entry.file.sha256, entry.file.filename)
        if form in needed:
            copies = draft.classified.ours.get(entry.digest, ())
            uploads = [
                copy
                for copy in copies
                if copy.id not in dropped and copy.mark.content == entry.content and copy.mark.origin is Origin.UPLOADED
            ]
            newest = newest_copy(uploads, CopyState.OK, draft.context.now)
            if newest and newest.mark.owner == draft.context.plan.owner:
                yield form, newest.id


def _with_reuse(draft: StoreDraft, offers: dict[UploadForm, list[str]]) -> StoreDraft:
    attached = {*draft.classified.attached, *(entry.file.file_id for entry in draft.entries)}
    changes = []
    for change in draft.changes:
        candidates = offers.get(_upload_form(change), ()) if _needs_upload(change) else ()
        free = next((file_id for file_id in candidates if file_id not in attached), "")
        attached.add(free)
        changes.append(replace(change, reuse=free) if free else change)
    return replace(draft, changes=tuple(changes))
