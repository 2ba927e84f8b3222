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

Form = tuple[str, str]  # sha256, upload name


def share_uploads(drafts: Sequence[StoreDraft]) -> tuple[StoreDraft, ...]:
    """The same drafts, uploading nothing that another store of theirs holds."""
    needed = {_form(change) for draft in drafts for change in draft.changes if _uploads(change)}
    if len(drafts) < 2 or not needed:
        return tuple(drafts)
    offers: dict[Form, list[str]] = {}
    for draft in drafts:
        for form, file_id in _offers(draft, needed):
            offers.setdefault(form, []).append(file_id)
    return tuple(_reusing(draft, offers) for draft in drafts)


def _uploads(change: FileChange) -> bool:
    brings = change.action in (Action.CREATE, Action.REPLACE) and Reason.REQUESTED not in change.reasons
    return brings and change.desired is not None and not change.reuse and not change.desired.file_id


def _form(change: FileChange) -> Form:
    assert change.desired
    return change.desired.sha256, change.desired.filename


def _offers(draft: StoreDraft, needed: set[Form]) -> Iterator[tuple[Form, str]]:
    """Uploads of ours that stay: completed, with exactly the content that their key asks for."""
    dropped = draft.dropped
    for want in draft.wants:
        form = (want.file.sha256, want.file.filename)
        if form in needed:
            copies = draft.census.ours.get(want.digest, ())
            exact = [copy for copy in copies if copy.mark.content == want.content and copy.id not in dropped]
            kept = newest_copy(
                [copy for copy in exact if copy.mark.origin is Origin.UPLOADED], CopyState.OK, draft.rules.now
            )
            if kept and kept.mark.owner == draft.rules.owner:
                yield form, kept.id


def _reusing(draft: StoreDraft, offers: dict[Form, list[str]]) -> StoreDraft:
    attached = {*draft.census.attached, *(want.file.file_id for want in draft.wants)}
    changes = []
    for change in draft.changes:
        candidates = offers.get(_form(change), ()) if _uploads(change) else ()
        free = next((file_id for file_id in candidates if file_id not in attached), "")
        attached.add(free)
        changes.append(replace(change, reuse=free) if free else change)
    return replace(draft, changes=tuple(changes))
