"""All files of a store: every desired key gets a decision, every other live file is deleted, kept or counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vssync.model.digests import attributes_digest
from vssync.model.marks import Mark, key_digest
from vssync.model.plan import Action, FileChange, Note, NoteKind, Reason
from vssync.model.state import Contents, FileStatus, UploadIdentity
from vssync.planner.adopt import Copies, claim_copies, refuse_unreadable
from vssync.planner.classify import ClassifiedFiles, CopyState, DesiredEntry, OwnedCopy, classify_files, desired_entries
from vssync.planner.context import StorePlanContext
from vssync.planner.decide_file import decide_file, newest_copy
from vssync.planner.equal_texts import note_equal_texts, settle_equal_texts
from vssync.planner.estimate import ATTACHING_ACTIONS


@dataclass(frozen=True, slots=True)
class StoreDraft:
    """A store's file decisions, before uploads are shared between stores and live batches are considered."""

    context: StorePlanContext
    entries: tuple[DesiredEntry, ...]
    classified: ClassifiedFiles
    changes: tuple[FileChange, ...] = ()
    notes: tuple[Note, ...] = ()
    unchanged: int = 0
    held: int = 0  # changes that wait until the service lists all files

    @property
    def dropped_keys_by_id(self) -> dict[str, str]:
        """The key of each copy that a change detaches, by the copy's id."""
        return {copy.id: change.key for change in self.changes for copy in change.drop}

    @property
    def unproven_extensions(self) -> tuple[str, ...]:
        """The kinds of files to bring in that neither the provider nor a completed file of the store vouches for."""
        wanted = {
            change.desired.extension for change in self.changes if change.desired and change.action in ATTACHING_ACTIONS
        }
        unproven = wanted - self.context.common.vouched_extensions
        for entry in self.entries if unproven else ():
            copies = self.classified.ours.get(entry.key_digest, ())
            if any(copy.file.status is FileStatus.COMPLETED for copy in copies):
                unproven.discard(entry.file.extension)
        return tuple(sorted(unproven))


def draft_files(contents: Contents, context: StorePlanContext) -> StoreDraft:
    """Decide about every file of a store.

    First the desired keys with copies; then those without, which may take over a copy that has no other use; copies
    that are left after that go.
    """
    classified = classify_files(contents.files, context.common.owners)
    entries = desired_entries(context.store)
    in_scope = [entry for entry in entries if context.is_in_scope(entry.key)]
    unreadable = refuse_unreadable(entries, classified, context)
    held_keys = {change.key for change in unreadable if change.desired}
    changes: list[FileChange] = [*unreadable]
    claimants: list[DesiredEntry] = []
    gone_notes: list[Note] = []
    unchanged = 0
    for entry in in_scope:
        if entry.key in held_keys:
            continue
        copies, declared_id = classified.ours.get(entry.key_digest, []), entry.declared_id
        is_elsewhere = declared_id in classified.attached_ids and all(copy.id != declared_id for copy in copies)
        is_unserved = not entry.declared_id and all(copy.file.status is not FileStatus.COMPLETED for copy in copies)
        if not copies or is_elsewhere or is_unserved:
            claimants.append(entry)
        elif key_changes := decide_file(entry, copies, context):
            changes += key_changes
        elif gone := [copy.id for copy in copies if copy.id in context.common.snapshot.gone_uploads]:
            gone_notes.append(Note(NoteKind.UPLOAD_GONE, entry.key, detail=gone[0]))
        else:
            unchanged += 1
    undesired, skipped_notes = _undesired_copies(classified, entries, context)
    claims = claim_copies(claimants, undesired, classified, context)
    left = [copies for copies in undesired if copies[0].id not in claims.moved_ids]
    moves = _finished_moves(left, in_scope, classified, context)
    leaving, kept_notes = _decide_leaving(left, moves, claims.moved_ids, classified, context)
    decided = [*changes, *claims.changes, *leaving]
    changes = settle_equal_texts(decided, entries, classified, context)
    unchanged -= len({change.key for change in changes} - {change.key for change in decided})
    notes = (
        *claims.notes,
        *gone_notes,
        *skipped_notes,
        *kept_notes,
        *_counted_notes(in_scope, classified, changes, context),
    )
    notes += tuple(note_equal_texts(entries, context))
    return StoreDraft(context, entries, classified, sort_changes(changes), notes, unchanged)


def _finished_moves(
    left: Sequence[Copies], entries: Sequence[DesiredEntry], classified: ClassifiedFiles, context: StorePlanContext
) -> dict[str, tuple[DesiredEntry, OwnedCopy]]:
    """Where each key moved whose old copy is left over: the new entry and its copy, by the File id of the old one.

    An interrupted run leaves such copies once the new one is completed. Guards do not count them as deletions.
    """
    contents = {copies[-1].mark.content for copies in left}
    found: dict[str, list[tuple[DesiredEntry, OwnedCopy]]] = {}
    for entry in entries if left and context.store.prune else ():
        if entry.content in contents and not entry.declared_id:
            right = [copy for copy in classified.ours.get(entry.key_digest, ()) if entry.matches(copy)]
            if current := newest_copy(right, CopyState.OK, context.now):
                found.setdefault(entry.content, []).append((entry, current))
    moves = ((copies, found.get(copies[-1].mark.content, ())) for copies in left)
    return {copies[-1].id: targets[0] for copies, targets in moves if len(targets) == 1}


def _decide_leaving(
    leaving: Sequence[Copies],
    moves: Mapping[str, tuple[DesiredEntry, OwnedCopy]],
    moved_ids: frozenset[str],
    classified: ClassifiedFiles,
    context: StorePlanContext,
) -> tuple[list[FileChange], list[Note]]:
    """The deletions of copies that no desired key took over, or a note that they are kept."""
    store = context.store
    changes = [_delete_left(copies, moves.get(copies[-1].id), store.key) for copies in leaving if store.prune]
    notes = [Note(NoteKind.KEPT, count=len(leaving))] if leaving and not store.prune else []
    if context.includes_all_files:
        unfinished = [deletion_of(store.key, [copy]) for copy in classified.provisional if copy.id not in moved_ids]
        detail = "left by an apply that did not finish"
        changes += [replace(change, reasons=(Reason.SUPERSEDED,), detail=detail) for change in unfinished]
    return changes, notes


def _delete_left(
    copies: Sequence[OwnedCopy], moved_to: tuple[DesiredEntry, OwnedCopy] | None, store_key: str
) -> FileChange:
    change = deletion_of(store_key, copies)
    if moved_to is None:
        return change
    entry, current = moved_to
    kept, was = current.evidence, change.key
    return replace(change, key=entry.key, reasons=(Reason.SUPERSEDED,), keep=kept, was=was)


def _undesired_copies(
    classified: ClassifiedFiles, entries: Sequence[DesiredEntry], context: StorePlanContext
) -> tuple[list[Copies], list[Note]]:
    """Our copies in scope under keys that the manifest does not choose; a skipped key's copies stay, with a note."""
    notes = [
        Note(NoteKind.SKIPPED, key, detail=why)
        for key, why in sorted(context.store.skipped.items())
        if key_digest(key) in classified.ours and context.is_in_scope(key)
    ]
    desired_digests = {entry.key_digest for entry in entries}
    skipped_digests = set(map(key_digest, context.store.skipped))
    digests = classified.ours.keys() - desired_digests - skipped_digests
    undesired = [classified.ours[digest] for digest in sorted(digests)]
    return [copies for copies in undesired if context.is_in_scope(copies[-1].key)], notes


def deletion_of(store_key: str, copies: Sequence[OwnedCopy]) -> FileChange:
    """The change for a key that left the manifest, from all its copies."""
    return FileChange(
        store=store_key,
        key=copies[-1].key,
        action=Action.DELETE,
        reasons=(Reason.NOT_IN_MANIFEST,),
        drop=tuple(copy.evidence for copy in copies),
    )


def sort_changes(changes: Iterable[FileChange]) -> tuple[FileChange, ...]:
    """Changes by key and action; by copies, too, since what unfinished applies left has no key of its own."""
    return tuple(sorted(changes, key=lambda change: (change.key, change.action, [copy.id for copy in change.drop])))


def _counted_notes(
    entries: Sequence[DesiredEntry],
    classified: ClassifiedFiles,
    changes: Sequence[FileChange],
    context: StorePlanContext,
) -> list[Note]:
    """Counts of files without a mark of ours, of copies nobody compared, and of those reported otherwise than sent."""
    adopted_ids = {change.keep.id for change in changes if change.takes_over and change.keep}
    dropped_ids = {copy.id for change in changes for copy in change.drop}
    foreign_owners = {
        file.mark.key: owner
        for owner, files in classified.foreign.items()
        for file in files
        if isinstance(file.mark, Mark)
    }
    shared = [(entry.key, foreign_owners.get(entry.key_digest, "")) for entry in entries]
    unread = other_chunking = other_attributes = 0
    for entry in entries:
        copies = classified.ours.get(entry.key_digest, ())
        unread += sum(copy.mark.unread and copy.id not in dropped_ids for copy in copies)
        other_chunking += _reports_other_chunking(entry, copies, context)
        other_attributes += any(
            copy.mark.echo and attributes_digest(copy.file.attributes, context.ignored_attributes) == copy.mark.echo
            for copy in copies
        )
    unread_text = "adopted by name and size alone; --replace ADDRESS uploads such a file again"
    attributes_text = "searches filter by the service's version of them; `vssync doctor --write` shows the difference"
    notes = [
        *count_others(classified, adopted_ids),
        *(Note(NoteKind.SHARED_KEY, key, detail=owner) for key, owner in shared if owner),
        Note(NoteKind.UNREAD, count=unread, detail=unread_text),
        Note(NoteKind.CHUNKING_REPORT, count=other_chunking),
        Note(NoteKind.ATTRIBUTES_REPORT, count=other_attributes, detail=attributes_text),
    ]
    return [note for note in notes if note.count]


def count_others(classified: ClassifiedFiles, adopted_ids: Collection[str] = ()) -> list[Note]:
    """Counts of a store's files without a mark that can be read, and of those of each other owner."""
    unmanaged = [file for file in classified.unmarked if file.id not in adopted_ids]
    foreign = sorted(classified.foreign.items())
    notes = [Note(NoteKind.FOREIGN, count=len(files), detail=owner) for owner, files in foreign]
    return [*([Note(NoteKind.UNMANAGED, count=len(unmanaged))] if unmanaged else []), *notes]


def _reports_other_chunking(entry: DesiredEntry, copies: Sequence[OwnedCopy], context: StorePlanContext) -> bool:
    """Whether the copy in use is reported with another chunking; any will do where `auto` was asked for."""
    wanted = entry.file.chunking
    if wanted.auto or all(copy.file.chunking in (None, wanted) for copy in copies):
        return False
    current = newest_copy([copy for copy in copies if entry.matches(copy)], CopyState.OK, context.now)
    return current is not None and current.file.chunking not in (None, wanted)


def hold_unlisted(draft: StoreDraft) -> StoreDraft:
    """The draft with what can be done although not all files are listed; the other changes wait.

    What is not listed may be a copy of any key: a new one would double it, and what seems superseded may be all that
    there is. So only attributes of listed copies are written.
    """
    changes = tuple(
        change
        for change in draft.changes
        if change.action in (Action.UPDATE, Action.AWAIT, Action.REFUSE) and not (change.drop or change.was)
    )
    return replace(draft, changes=changes, held=len(draft.changes) - len(changes))


def hold_removals(draft: StoreDraft) -> StoreDraft:
    """The same draft with every change that removes a copy held back."""
    detail = "the store's mark is restored first; plan again after that"

    def hold(change: FileChange) -> FileChange:
        if not change.leaving_ids or change.action is Action.REFUSE:
            return change
        return replace(change, action=Action.REFUSE, drop=(), gap=False, reuse="", detail=detail)

    return replace(draft, changes=tuple(map(hold, draft.changes)))


def share_uploads(drafts: Sequence[StoreDraft]) -> tuple[StoreDraft, ...]:
    """The same drafts, where an upload reuses a File with the same bytes and name from another of the owner's stores.

    A File of the same store is not offered, since a store takes no File twice, nor is one that this plan removes.
    """
    needed = {identity for draft in drafts for change in draft.changes if (identity := _shareable_upload(change))}
    if len(drafts) < 2 or not needed:
        return tuple(drafts)
    offers = _find_offers(drafts, needed)
    return tuple(_reuse_offers(draft, offers) for draft in drafts)


def _find_offers(drafts: Sequence[StoreDraft], needed: set[UploadIdentity]) -> dict[UploadIdentity, list[str]]:
    """The ids of our completed uploads that are needed elsewhere and stay where they are, their content as desired."""
    offers: dict[UploadIdentity, list[str]] = {}
    for draft in drafts:
        dropped_ids = draft.dropped_keys_by_id.keys()
        for entry in draft.entries:
            identity = (entry.file.sha256, entry.file.filename)
            copies = draft.classified.ours.get(entry.key_digest, ()) if identity in needed else ()
            staying = [copy for copy in copies if copy.id not in dropped_ids and copy.mark.content == entry.content]
            gone_ids = draft.context.common.snapshot.gone_uploads
            uploads = [copy for copy in staying if copy.upload_name == entry.name and copy.id not in gone_ids]
            newest = newest_copy(uploads, CopyState.OK, draft.context.now)
            if newest and newest.mark.owner == draft.context.common.owner:
                offers.setdefault(identity, []).append(newest.id)
    return offers


def _reuse_offers(draft: StoreDraft, offers: Mapping[UploadIdentity, Sequence[str]]) -> StoreDraft:
    """The draft with each upload replaced by an offered File that its store does not hold yet."""
    attached_ids = {*draft.classified.attached_ids, *(entry.declared_id for entry in draft.entries)}
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
    makes_copy = change.action in (Action.CREATE, Action.REPLACE) and Reason.REQUESTED not in change.reasons
    if not makes_copy or desired is None or change.reuse or desired.file_id:
        return None
    return desired.sha256, desired.filename
