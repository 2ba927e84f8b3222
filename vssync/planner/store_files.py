"""All files of one store: every desired key gets a decision, every other live file is deleted, kept or counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vssync.model.digests import attributes_digest
from vssync.model.marks import key_digest
from vssync.model.plan import Action, FileChange, Note, NoteKind, Reason
from vssync.model.state import Contents
from vssync.planner.adopt import claim_missing
from vssync.planner.classify import ClassifiedFiles, CopyState, DesiredEntry, OwnedFile, classify_files, desired_entries
from vssync.planner.context import FileContext
from vssync.planner.decide_file import decide_file, newest_copy


@dataclass(frozen=True, slots=True)
class StoreDraft:
    """A store's file decisions, before other stores and live batches have their say."""

    context: FileContext
    entries: tuple[DesiredEntry, ...]
    classified: ClassifiedFiles
    changes: tuple[FileChange, ...] = ()
    notes: tuple[Note, ...] = ()
    unchanged: int = 0

    @property
    def dropped(self) -> dict[str, str]:
        """The key of every copy that goes, by File id."""
        return {copy.id: change.key for change in self.changes for copy in change.drop}


def draft_files(contents: Contents, context: FileContext) -> StoreDraft:
    """Decide about every file of a store.

    Raises VssyncError for a mark that a newer version wrote.
    """
    plan, store = context.plan, context.store
    owners = tuple(filter(None, (plan.owner, plan.options.adopt_from)))
    classified = classify_files(contents.files, owners, store.key)
    entries = desired_entries(store)
    in_scope = [entry for entry in entries if context.is_in_scope(entry.key)]
    changes: list[FileChange] = []
    missing, unchanged = [], 0
    for entry in in_scope:
        copies = classified.ours.get(entry.digest)
        if copies is None or _is_attached_elsewhere(entry, copies, classified):
            missing.append(entry)
        elif decided := decide_file(entry, copies, context):
            changes += decided
        else:
            unchanged += 1
    undesired, notes = _undesired_copies(classified, entries, context)
    unkeyed = {copy.id: [copy] for copy in classified.provisional}
    claims = claim_missing(missing, {**undesired, **unkeyed}, classified, context)
    changes += claims.changes
    leaving = [copies for digest, copies in undesired.items() if digest not in claims.moved]
    if store.prune:
        changes += [delete_copies(store.key, copies) for copies in leaving]
    elif leaving:
        notes.append(Note(NoteKind.KEPT, count=len(leaving)))
    if plan.scope.includes_all_files(store.key):
        unclaimed = [copy for copy in classified.provisional if copy.id not in claims.moved]
        changes += [_delete_unfinished(store.key, copy) for copy in unclaimed]
    notes += _unmanaged_notes(classified, changes)
    notes += _unread_notes(in_scope, classified, changes)
    notes += _report_notes(in_scope, classified, context)
    return StoreDraft(context, entries, classified, sort_changes(changes), (*claims.notes, *notes), unchanged)


def _is_attached_elsewhere(entry: DesiredEntry, copies: Sequence[OwnedFile], classified: ClassifiedFiles) -> bool:
    """Whether the declared File is attached, but not as a copy of this key: then it must be claimed first."""
    file_id = entry.file.file_id
    return bool(file_id) and file_id in classified.attached and all(copy.id != file_id for copy in copies)


def undecided(context: FileContext) -> StoreDraft:
    """A store whose files cannot be planned yet."""
    return StoreDraft(context, desired_entries(context.store), ClassifiedFiles({}, (), {}))


def _undesired_copies(
    classified: ClassifiedFiles, entries: Sequence[DesiredEntry], context: FileContext
) -> tuple[dict[str, list[OwnedFile]], list[Note]]:
    """Our copies in scope under keys that the manifest does not choose; a skipped key's copies stay, with a note."""
    skipped = {key_digest(key): key for key in context.store.skipped}
    notes = [
        Note(NoteKind.SKIPPED, key, detail=context.store.skipped[key])
        for digest, key in sorted(skipped.items(), key=lambda pair: pair[1])
        if digest in classified.ours and context.is_in_scope(key)
    ]
    digests = classified.ours.keys() - {entry.digest for entry in entries} - skipped.keys()
    undesired = {digest: classified.ours[digest] for digest in sorted(digests)}
    return {digest: copies for digest, copies in undesired.items() if context.is_in_scope(copies[-1].key)}, notes


def delete_copies(store: str, copies: Sequence[OwnedFile]) -> FileChange:
    """The change for a key that left the manifest."""
    return FileChange(
        store=store,
        key=copies[-1].key,
        action=Action.DELETE,
        reasons=(Reason.NOT_IN_MANIFEST,),
        drop=tuple(copy.evidence for copy in copies),
    )


def _delete_unfinished(store: str, copy: OwnedFile) -> FileChange:
    """The change for a copy that an interrupted apply left, without a key: it goes whatever `prune` says."""
    detail = "left by an apply that did not finish"
    return replace(delete_copies(store, [copy]), reasons=(Reason.SUPERSEDED,), detail=detail)


def sort_changes(changes: Iterable[FileChange]) -> tuple[FileChange, ...]:
    """Changes by key; two keys that look alike once garbled are told apart by their copies."""
    return tuple(sorted(changes, key=lambda change: (change.key, change.action, [copy.id for copy in change.drop])))


def _unmanaged_notes(classified: ClassifiedFiles, changes: Iterable[FileChange]) -> list[Note]:
    """Files that carry no mark of ours, counted; those to be adopted are shown as changes."""
    adopted = {change.keep.id for change in changes if change.action is Action.ADOPT and change.keep}
    unmanaged = [file for file in classified.unmarked if file.id not in adopted]
    unreadable = sum(file.mark is not None for file in unmanaged)
    detail = f"{unreadable} with a mark that cannot be read" if unreadable else ""
    notes = [Note(NoteKind.UNMANAGED, count=len(unmanaged), detail=detail)] if unmanaged else []
    return notes + [
        Note(NoteKind.FOREIGN, count=len(files), detail=owner) for owner, files in sorted(classified.foreign.items())
    ]


def _unread_notes(
    entries: Iterable[DesiredEntry], classified: ClassifiedFiles, changes: Iterable[FileChange]
) -> list[Note]:
    """How many adopted copies stay whose content nobody has compared."""
    dropped = {copy.id for change in changes for copy in change.drop}
    copies = (copy for entry in entries for copy in classified.ours.get(entry.digest, ()))
    count = sum(copy.mark.unread and copy.id not in dropped for copy in copies)
    detail = "adopted by name and size alone; --replace ADDRESS uploads such a file again"
    return [Note(NoteKind.UNREAD, count=count, detail=detail)] if count else []


def _report_notes(entries: Iterable[DesiredEntry], classified: ClassifiedFiles, context: FileContext) -> list[Note]:
    """How many right copies are reported otherwise than asked for; sending them again would change nothing."""
    copies_by_entry = [(entry, classified.ours.get(entry.digest, ())) for entry in entries]
    chunked = sum(_reports_other_chunking(entry, copies, context) for entry, copies in copies_by_entry)
    altered = sum(any(_reports_altered(copy, context) for copy in copies) for _, copies in copies_by_entry)
    detail = "searches filter by the service's version of them; `vssync doctor --write` shows the difference"
    return [
        *([Note(NoteKind.CHUNKING_REPORT, count=chunked)] if chunked else []),
        *([Note(NoteKind.ATTRIBUTES_REPORT, count=altered, detail=detail)] if altered else []),
    ]


def _reports_altered(copy: OwnedFile, context: FileContext) -> bool:
    """Whether the service still reports the altered attributes that were seen when they were sent."""
    return bool(copy.mark.echo) and attributes_digest(copy.file.attributes, context.ignore) == copy.mark.echo


def _reports_other_chunking(entry: DesiredEntry, copies: Sequence[OwnedFile], context: FileContext) -> bool:
    """Whether the copy in use is reported with another chunking; any will do where `auto` was asked for."""
    wanted = entry.file.chunking
    if wanted.auto or all(copy.file.chunking in (None, wanted) for copy in copies):
        return False
    current = newest_copy([copy for copy in copies if entry.matches(copy)], CopyState.OK, context.now)
    return current is not None and current.file.chunking not in (None, wanted)
