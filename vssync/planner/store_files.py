"""All files of a store: every desired key gets a decision, every other live file is deleted, kept or counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vssync.model.digests import attributes_digest
from vssync.model.marks import Mark, key_digest
from vssync.model.plan import REASON_BY_SKIP, Action, FileChange, Note, NoteKind, Reason
from vssync.model.state import Contents, FileStatus, UploadIdentity
from vssync.planner.classify import (
    ClassifiedFiles,
    Copies,
    CopyState,
    DigestedFile,
    OwnedCopy,
    classify_files,
    digest_files,
)
from vssync.planner.context import StorePlanContext
from vssync.planner.decide_file import decide_file, newest_copy
from vssync.planner.equal_texts import note_equal_texts, order_equal_texts
from vssync.planner.takeover import AssignedCopies, Takeovers, assign_copies, decide_takers, refuse_unreadable
from vssync.text import join_first


@dataclass(frozen=True, slots=True)
class StoreDraft:
    """A store's file decisions, before uploads are shared between stores and live batches are considered."""

    context: StorePlanContext
    wanted_files: tuple[DigestedFile, ...]
    classified: ClassifiedFiles
    changes: tuple[FileChange, ...] = ()
    notes: tuple[Note, ...] = ()
    unchanged: int = 0
    postponed: int = 0  # changes left out until the service lists all files

    @property
    def dropped_keys_by_id(self) -> dict[str, str]:
        return {copy.id: change.key for change in self.changes for copy in change.drop}

    @property
    def unproven_extensions(self) -> tuple[str, ...]:
        """The extensions of new copies that neither the provider nor a completed file of the store vouches for."""
        attached = {change.desired.extension for change in self.changes if change.desired and change.attaches}
        unproven = attached - self.context.common.proven_extensions
        if not unproven:
            return ()
        for wanted in self.wanted_files:
            copies = self.classified.ours.get(wanted.key_digest, ())
            if any(copy.file.status is FileStatus.COMPLETED for copy in copies):
                unproven.discard(wanted.file.extension)
        return tuple(sorted(unproven))


def draft_files(contents: Contents, context: StorePlanContext) -> StoreDraft:
    """Decides about every file of a store: the desired keys, and then the copies that none of them needs."""
    classified = classify_files(contents.files, context.common.owners)
    wanted_files = digest_files(context.store)
    in_scope = [wanted for wanted in wanted_files if context.is_in_scope(wanted.key)]
    refusals = list(refuse_unreadable(wanted_files, classified, context))
    refused_keys = {change.key for change in refusals if change.desired}  # the others name a File, not a key
    undesired, skipped_notes = _undesired_copies(classified, wanted_files, context)
    planned = [wanted for wanted in in_scope if wanted.key not in refused_keys]
    assigned = assign_copies(planned, undesired, classified)
    decided, as_desired, takeovers = _decide_desired(planned, assigned, classified, context)
    # All copies of an undesired key move together, so the first stands for all.
    unneeded = [copies for copies in assigned.undesired if copies[0].id not in takeovers.moved_ids]
    deletions = _delete_unneeded(unneeded, in_scope, takeovers.moved_ids, assigned, context)
    joined = _join_finished_moves([*refusals, *decided], deletions)
    changes = order_equal_texts(list(_keep_declared(joined, wanted_files)), in_scope, classified, context)
    attached_keys = {change.key for change in changes if change.attaches}  # `order_equal_texts` may have added some
    unchanged = [wanted for wanted in as_desired if wanted.key not in attached_keys]
    gone_notes = _notes_on_gone_uploads(unchanged, assigned, context)
    unpruned = [Note(NoteKind.KEPT, count=len(unneeded))] if unneeded and not context.store.prune else []
    live_notes = _notes_on_live_files(in_scope, classified, changes, context)
    text_notes = note_equal_texts(wanted_files, context)
    notes = (*takeovers.notes, *gone_notes, *skipped_notes, *unpruned, *live_notes, *text_notes)
    unchanged_count = len(unchanged) - len(gone_notes)  # a listed copy whose File is gone is not as desired
    return StoreDraft(context, wanted_files, classified, sort_changes(changes), notes, unchanged_count)


def _decide_desired(
    planned: Sequence[DigestedFile], assigned: AssignedCopies, classified: ClassifiedFiles, context: StorePlanContext
) -> tuple[list[FileChange], list[DigestedFile], Takeovers]:
    """The changes of desired keys, those of these keys that need none, and what was taken over.

    First come the keys with a completed copy, or with one of the File that they declare. The others, called takers, may
    take over a copy that is not needed under its own key.
    """
    changes: list[FileChange] = []
    as_desired: list[DigestedFile] = []
    takers: list[DigestedFile] = []
    for wanted in planned:
        copies = assigned.by_key.get(wanted.key_digest, [])
        if _may_take_over(wanted, copies, classified):
            takers.append(wanted)
        elif key_changes := decide_file(wanted, copies, context):
            changes += key_changes
        else:
            as_desired.append(wanted)
    takeovers = decide_takers(takers, assigned, classified, context)
    return [*changes, *takeovers.changes], as_desired, takeovers


def _may_take_over(wanted: DigestedFile, copies: Copies, classified: ClassifiedFiles) -> bool:
    """Whether a desired key, given our copies of it, is left to `decide_takers`."""
    if file_id := wanted.declared_id:
        is_elsewhere = file_id in classified.attached_ids and all(copy.id != file_id for copy in copies)
        return not copies or is_elsewhere
    return all(copy.file.status is not FileStatus.COMPLETED for copy in copies)


def _keep_declared(changes: Sequence[FileChange], wanted_files: Sequence[DigestedFile]) -> Iterator[FileChange]:
    """The changes, without the removal of a File that another key declares, in scope or not: that key takes it over."""
    declaring_keys = {wanted.declared_id: wanted.key for wanted in wanted_files if wanted.declared_id}
    for change in changes:
        drop = tuple(copy for copy in change.drop if declaring_keys.get(copy.id) in (None, change.key))
        if len(drop) == len(change.drop):
            yield change
        elif drop or change.action is not Action.DELETE:
            yield replace(change, drop=drop, gap=change.gap and bool(drop))


def _notes_on_gone_uploads(
    wanted_files: Sequence[DigestedFile], assigned: AssignedCopies, context: StorePlanContext
) -> list[Note]:
    """A note on each key whose copy is listed although its File does not exist."""
    gone = context.common.snapshot.gone_uploads
    listed = ((wanted, copy) for wanted in wanted_files for copy in assigned.by_key[wanted.key_digest])
    lost = ((wanted, copy) for wanted, copy in listed if copy.id in gone) if gone else ()
    notes = []
    for wanted, copy in lost:
        again = f"--replace {context.store.key}/{wanted.key} uploads the file again"
        way_out = "declare another File, or a `path`" if wanted.declared_id else again
        notes.append(Note(NoteKind.UPLOAD_GONE, wanted.key, detail=f"{copy.id} does not exist any more: {way_out}"))
    return notes


def _undesired_copies(
    classified: ClassifiedFiles, wanted_files: Sequence[DigestedFile], context: StorePlanContext
) -> tuple[list[Copies], list[Note]]:
    """Our copies in scope under keys that the manifest does not want, and a note on each key that it skips.

    The copies of a skipped key stay, unless REASON_BY_SKIP says why they go: drafts, ignored and linked files.
    """
    skipped_keys = {
        key_digest(key): key for key, why in sorted(context.store.skipped.items()) if why not in REASON_BY_SKIP
    }
    notes = [
        Note(NoteKind.SKIPPED, key, detail=context.store.skipped[key].replace("_", " "))
        for digest, key in skipped_keys.items()
        if digest in classified.ours and context.is_in_scope(key)
    ]
    digests = classified.ours.keys() - {wanted.key_digest for wanted in wanted_files} - skipped_keys.keys()
    undesired = [classified.ours[digest] for digest in sorted(digests)]
    return [copies for copies in undesired if context.is_in_scope(copies[-1].key)], notes


def _delete_unneeded(
    unneeded: Sequence[Copies],
    in_scope: Sequence[DigestedFile],
    moved_ids: Collection[str],
    assigned: AssignedCopies,
    context: StorePlanContext,
) -> Iterator[FileChange]:
    """The deletions of copies that no desired key took over, and of provisional ones that an earlier apply left."""
    store_key = context.store.key
    if context.store.prune:
        moves = _finished_moves(unneeded, in_scope, assigned, context)
        skipped = context.store.skipped if unneeded else {}
        left_out = {key_digest(key): REASON_BY_SKIP[why] for key, why in skipped.items() if why in REASON_BY_SKIP}
        for copies in unneeded:
            change = deletion_of(store_key, copies)
            if move := moves.get(copies[-1].id):
                new_key, current = move
                reasons, keep = (Reason.SUPERSEDED,), current.recorded
                change = replace(change, key=new_key, reasons=reasons, keep=keep, was=change.key)
            elif reason := left_out.get(copies[-1].mark.key_digest):
                change = replace(change, reasons=(reason,))
            yield change
    provisional = assigned.provisional if context.includes_all_files else ()
    for copy in provisional:
        if copy.id not in moved_ids:
            detail = "left by an apply that did not finish"
            yield replace(deletion_of(store_key, [copy]), reasons=(Reason.SUPERSEDED,), detail=detail)


def _finished_moves(
    unneeded: Sequence[Copies], in_scope: Sequence[DigestedFile], assigned: AssignedCopies, context: StorePlanContext
) -> dict[str, tuple[str, OwnedCopy]]:
    """Moves that an interrupted run left with their old copies: new key and copy, by the id of the newest old copy.

    The new copy must be completed, the only one of this content, and younger: two equal files that were attached
    together are not a move. Deleting the old copies does not count for the guards.
    """
    if not unneeded:
        return {}
    contents = {copies[-1].mark.content for copies in unneeded}
    targets: dict[str, list[tuple[str, OwnedCopy]]] = {}
    for wanted in in_scope:
        if wanted.content in contents and not wanted.declared_id:
            right = [copy for copy in assigned.by_key.get(wanted.key_digest, ()) if wanted.matches(copy)]
            if current := newest_copy(right, CopyState.COMPLETED, context.now):
                targets.setdefault(wanted.content, []).append((wanted.key, current))
    moves = ((copies[-1].file, targets.get(copies[-1].mark.content, ())) for copies in unneeded)
    return {
        old.id: candidates[0]
        for old, candidates in moves
        if len(candidates) == 1 and candidates[0][1].file.created_at > old.created_at
    }


def _join_finished_moves(changes: Sequence[FileChange], deletions: Iterable[FileChange]) -> list[FileChange]:
    """All changes; the old copies of a moved file go with the change of its new key, if there is one."""
    refusals = [change for change in changes if change.action is Action.REFUSE]
    by_key = {change.key: change for change in changes if change.action is not Action.REFUSE}
    others: list[FileChange] = []
    for deletion in deletions:
        if deletion.keep and (change := by_key.get(deletion.key)):
            by_key[deletion.key] = replace(change, drop=(*change.drop, *deletion.drop))
        else:
            others.append(deletion)
    return [*refusals, *by_key.values(), *others]


def deletion_of(store_key: str, copies: Copies) -> FileChange:
    """The deletion of all copies of a key that left the manifest."""
    drop = tuple(copy.recorded for copy in copies)
    return FileChange(store_key, copies[-1].key, Action.DELETE, (Reason.NOT_IN_MANIFEST,), drop=drop)


def sort_changes(changes: Iterable[FileChange]) -> tuple[FileChange, ...]:
    """Changes sorted by key and action, then by their copies, since provisional copies have no key of their own."""
    return tuple(sorted(changes, key=lambda change: (change.key, change.action, [copy.id for copy in change.drop])))


def _notes_on_live_files(
    in_scope: Sequence[DigestedFile],
    classified: ClassifiedFiles,
    changes: Sequence[FileChange],
    context: StorePlanContext,
) -> list[Note]:
    """Notes on others' files, and on our copies that were never compared, have no text, or are not reported as sent."""
    adopted_ids = {change.keep.id for change in changes if change.takes_over and change.keep}
    dropped_ids = {copy.id for change in changes for copy in change.drop}
    foreign_owners = {
        file.mark.key_digest: owner
        for owner, files in classified.foreign.items()
        for file in files
        if isinstance(file.mark, Mark)
    }
    uncompared = other_chunking = other_attributes = 0
    reports_usage = any(copy.file.usage_bytes for copies in classified.ours.values() for copy in copies)
    without_text: list[str] = []
    for wanted in in_scope:
        copies = classified.ours.get(wanted.key_digest, ())
        current = newest_copy(copies, CopyState.COMPLETED, context.now) if reports_usage else None
        if current and not current.file.usage_bytes and current.id not in dropped_ids:
            without_text.append(wanted.key)
        uncompared += sum(copy.mark.is_uncompared and copy.id not in dropped_ids for copy in copies)
        other_chunking += not wanted.file.chunking.auto and _reports_other_chunking(wanted, copies, context)
        other_attributes += any(
            copy.mark.echo  # the digest of what the service reported, where that was not what was sent
            and attributes_digest(copy.file.attributes, context.store.ignore_attributes) == copy.mark.echo
            for copy in copies
        )
    shared = [wanted for wanted in in_scope if wanted.key_digest in foreign_owners]
    uncompared_text = "adopted by name and size alone; --replace ADDRESS uploads such a file again"
    attributes_text = "searches filter by the service's version of them; `vssync doctor --probe` shows the difference"
    notes = [
        *note_others(classified, adopted_ids),
        *(Note(NoteKind.SHARED_KEY, wanted.key, detail=foreign_owners[wanted.key_digest]) for wanted in shared),
        Note(NoteKind.UNCOMPARED, count=uncompared, detail=uncompared_text),
        Note(NoteKind.NO_TEXT, count=len(without_text), detail=join_first(without_text)),
        Note(NoteKind.CHUNKING_REPORT, count=other_chunking),
        Note(NoteKind.ATTRIBUTES_REPORT, count=other_attributes, detail=attributes_text),
    ]
    return [note for note in notes if note.count]  # a note on one key counts 1


def note_others(classified: ClassifiedFiles, adopted_ids: Collection[str] = ()) -> list[Note]:
    """Notes that count a store's files without a readable mark, and those of each other owner."""
    others = [file for file in (*classified.unmarked, *classified.unreadable) if file.id not in adopted_ids]
    unmanaged = [Note(NoteKind.UNMANAGED, count=len(others))] if others else []
    foreign = sorted(classified.foreign.items())
    return unmanaged + [Note(NoteKind.FOREIGN, count=len(files), detail=owner) for owner, files in foreign]


def _reports_other_chunking(wanted: DigestedFile, copies: Copies, context: StorePlanContext) -> bool:
    """Whether the copy in use is reported with another chunking than was asked for."""
    current = newest_copy([copy for copy in copies if wanted.matches(copy)], CopyState.COMPLETED, context.now)
    return current is not None and not wanted.file.chunking.allows(current.file.chunking)


def limit_to_listed(draft: StoreDraft) -> StoreDraft:
    """The draft with only what is safe while not all files are listed: updates of listed copies, waits and refusals.

    A file that is not listed may be a copy of any key. So nothing is uploaded, which might be there already, and
    nothing is removed, since what is listed may be the last good copy.
    """
    changes = tuple(
        change
        for change in draft.changes
        if change.action in (Action.UPDATE, Action.AWAIT, Action.REFUSE) and not (change.drop or change.was)
    )
    return replace(draft, changes=changes, postponed=len(draft.changes) - len(changes))


def refuse_removals(draft: StoreDraft) -> StoreDraft:
    """The draft of a store whose mark is restored: every change that removes a copy is refused until then."""
    detail = "the store's mark is restored first; plan again after that"
    changes = (
        change.refused(detail=detail) if change.leaving_ids and change.action is not Action.REFUSE else change
        for change in draft.changes
    )
    return replace(draft, changes=tuple(changes))


def share_uploads(drafts: Sequence[StoreDraft]) -> tuple[StoreDraft, ...]:
    """The drafts, with uploads replaced by Files with the same bytes and name from other stores of the owner.

    A File of the same store is not offered, since a store takes no File twice, nor is one that this plan removes.
    """
    needed = {identity for draft in drafts for change in draft.changes if (identity := _shareable_upload(change))}
    if len(drafts) < 2 or not needed:
        return tuple(drafts)
    offers: dict[UploadIdentity, list[str]] = {}
    for draft in drafts:
        for identity, file_id in _offered_uploads(draft, needed):
            offers.setdefault(identity, []).append(file_id)
    return tuple(_reuse_offers(draft, offers) for draft in drafts)


def _offered_uploads(draft: StoreDraft, needed: Collection[UploadIdentity]) -> Iterator[tuple[UploadIdentity, str]]:
    """The uploads of a store that others need and no change drops, of completed copies with the desired content."""
    unavailable_ids = draft.dropped_keys_by_id.keys() | draft.context.common.snapshot.gone_uploads
    for wanted in draft.wanted_files:
        identity = (wanted.file.sha256, wanted.file.filename)
        copies = draft.classified.ours.get(wanted.key_digest, ()) if identity in needed else ()
        upload = (wanted.content, wanted.name_digest)
        staying = [copy for copy in copies if copy.id not in unavailable_ids]
        uploads = [copy for copy in staying if (copy.mark.content, copy.upload_name_digest) == upload]
        newest = newest_copy(uploads, CopyState.COMPLETED, draft.context.now)
        if newest and newest.mark.owner == draft.context.common.owner:
            yield identity, newest.id


def _reuse_offers(draft: StoreDraft, offers: Mapping[UploadIdentity, Sequence[str]]) -> StoreDraft:
    """The draft with each upload replaced by an offered File that its store does not hold yet."""
    attached_ids = {*draft.classified.attached_ids, *(wanted.declared_id for wanted in draft.wanted_files)}
    changes = []
    for change in draft.changes:
        identity = _shareable_upload(change)
        offered = offers.get(identity, ()) if identity else ()
        reused_id = next((file_id for file_id in offered if file_id not in attached_ids), "")
        if reused_id:
            attached_ids.add(reused_id)
        changes.append(replace(change, reuse=reused_id) if reused_id else change)
    return replace(draft, changes=tuple(changes))


def _shareable_upload(change: FileChange) -> UploadIdentity | None:
    """The bytes and name that a change uploads; None when it uploads nothing that another store could share."""
    desired = change.desired
    is_upload = change.attaches and not change.reuse and Reason.REQUESTED not in change.reasons
    return (desired.sha256, desired.filename) if is_upload and desired and not desired.file_id else None
