"""Desired keys without a completed copy of their own: each takes over a moved copy, adopts a file, or is created."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vssync.model.marks import KEY, NONE, UnreadableMark, key_attribute
from vssync.model.plan import Action, Copy, FileChange, Note, NoteKind, Reason
from vssync.model.state import LiveFile
from vssync.planner.attributes import fields_between, preserved_attributes
from vssync.planner.classify import ClassifiedFiles, CopyState, DesiredEntry, OwnedCopy, creation_order
from vssync.planner.context import StorePlanContext
from vssync.planner.decide_file import as_impossible, decide_file, refuse_too_many_attributes
from vssync.planner.unmarked import Candidate, Likeness, find_candidates
from vssync.text import format_size

Copies = Sequence[OwnedCopy]  # all of one key, oldest first


@dataclass(frozen=True, slots=True)
class Claims:
    """Changes and notes for the claimants; `moved_ids` are the File ids of copies that one of them took over."""

    changes: tuple[FileChange, ...]
    notes: tuple[Note, ...]
    moved_ids: frozenset[str]


def claim_copies(
    claimants: Sequence[DesiredEntry],
    undesired: Sequence[Copies],
    classified: ClassifiedFiles,
    context: StorePlanContext,
) -> Claims:
    """What becomes of the claimants, desired keys that lack a copy to serve them, in their order.

    These have no completed copy of their own, as after a move whose new upload is not done, or declare a File that is
    attached as something else. `undesired` are our copies under keys that are not in the manifest. Files without a mark
    are left alone unless `--adopt` or `adopt: true` says otherwise.
    """
    available = [*undesired, *([copy] for copy in classified.provisional)]
    former_copies = _find_former_copies(claimants, available, context)
    uncopied = [entry for entry in claimants if entry.declared_id or entry.key_digest not in classified.ours]
    candidates = find_candidates(uncopied, classified.unmarked, context)
    changes: list[FileChange] = []
    notes: list[Note] = []
    for entry in claimants:
        own_copies = classified.ours.get(entry.key_digest, [])
        if moved := former_copies.get(entry.key):
            copies = sorted((*moved, *own_copies), key=lambda copy: creation_order(copy.file))
            changes += decide_file(entry, copies, context)
        elif (candidate := candidates.get(entry.key)) and not _is_passed_over(entry, candidate, context):
            if note := _hold_back(entry, candidate, context):
                notes.append(note)
            else:
                changes.append(_take_over(entry, candidate, own_copies, context))
        else:
            remaining = () if entry.declared_id else own_copies
            changes += _refuse_attached(entry, classified, context) or decide_file(entry, remaining, context)
    moved_ids = frozenset(copy.id for copies in former_copies.values() for copy in copies)
    return Claims(tuple(changes), tuple(notes), moved_ids)


def _find_former_copies(
    claimants: Sequence[DesiredEntry], available: Sequence[Copies], context: StorePlanContext
) -> dict[str, Copies]:
    """For each claimant the former key's copies that it takes over.

    A declared File decides by its id. Otherwise, and only where files may be pruned, exactly one former key must have a
    completed copy of the same content and chunking; copies of the same upload name are preferred to others.
    """
    if not claimants:
        return {}
    by_file_id = {copy.id: copies for copies in available for copy in copies}
    by_fingerprint: dict[tuple[str, ...], list[Copies]] = {}
    for copies in available if context.store.prune else ():
        usable = [copy for copy in copies if copy.state(context.now) is CopyState.OK]
        named = {(copy.mark.content, copy.mark.chunking, copy.upload_name) for copy in usable}
        for fingerprint in {*named, *(fingerprint[:2] for fingerprint in named)}:
            by_fingerprint.setdefault(fingerprint, []).append(copies)
    former_copies: dict[str, Copies] = {}
    moved_ids: set[str] = set()
    for entry in claimants:
        if entry.declared_id:
            candidates = [by_file_id[entry.declared_id]] if entry.declared_id in by_file_id else []
        else:
            fingerprint = (entry.content, entry.chunking_digest)
            alike = [copies for name in (entry.name, NONE) for copies in by_fingerprint.get((*fingerprint, name), ())]
            candidates = alike or by_fingerprint.get(fingerprint, [])
        # The copies of a key are taken over together, so the first one stands for all.
        if len(candidates) == 1 and candidates[0][0].id not in moved_ids:
            former_copies[entry.key] = candidates[0]
            moved_ids.update(copy.id for copy in candidates[0])
    return former_copies


def _is_passed_over(entry: DesiredEntry, candidate: Candidate, context: StorePlanContext) -> bool:
    """Whether `--replace` names a key, so that it gets a copy beside a file that was not compared."""
    is_unsure = candidate.likeness is Likeness.UNREAD and not context.is_adopting
    return is_unsure and context.is_replace_requested(entry.key)


def _hold_back(entry: DesiredEntry, candidate: Candidate, context: StorePlanContext) -> Note | None:
    """A note that an upload is held back because of the file in its place; None where that one is taken over.

    What was not compared is taken over only while the store's adoption goes on.
    """
    if not context.adopts:
        return Note(NoteKind.ADOPTABLE, entry.key, detail=candidate.file.id)
    if candidate.likeness is not Likeness.UNREAD or context.is_adopting:
        return None
    detail = f"{candidate.file.id} has its name and size and no mark, and {_why_unread(context)}"
    way_out = f"detach it, or upload a copy beside it: --replace {context.store.key}/{entry.key}"
    return Note(NoteKind.INCOMPARABLE, entry.key, detail=f"{detail}\n{way_out}")


def _why_unread(context: StorePlanContext) -> str:
    size = context.common.snapshot.uncompared
    verdict = "its content was not compared"
    return f"{verdict}: --compare reads {format_size(size)}" if size else verdict


def _take_over(entry: DesiredEntry, candidate: Candidate, own_copies: Copies, context: StorePlanContext) -> FileChange:
    """Makes an unmarked file this key's, or puts a new copy in its place; the key's existing copies are detached."""
    file = candidate.file
    upload = context.common.snapshot.uploads.get(file.id)
    change = FileChange(
        store=context.store.key,
        key=entry.key,
        action=Action.ADOPT,
        reasons=(Reason.UNMARKED,),
        desired=entry.file,
        keep=replace(Copy.of(file), filename=upload.filename if upload else ""),
        drop=tuple(copy.evidence for copy in own_copies),
        fields=fields_between(file.attributes, entry.file, context.ignored_attributes),
        preserve=preserved_attributes(file.attributes, context.ignored_attributes),
    )
    if candidate.likeness is Likeness.OTHER:
        return refuse_too_many_attributes(_replace_unmarked(change, file, context))
    if candidate.likeness is Likeness.UNREAD:
        detail = f"matched by name and size; {_why_unread(context)}"
        change = replace(change, reasons=(Reason.UNMARKED, Reason.UNREAD), detail=detail)
    if context.common.capabilities.updates_reach_search is not True:  # what is sent at an attach is always found
        reuse = "" if entry.declared_id else file.id
        drop = (*filter(None, (change.keep,)), *change.drop)
        return refuse_too_many_attributes(replace(change, action=Action.REPLACE, drop=drop, reuse=reuse, gap=True))
    if context.common.capabilities.attribute_updates:
        return refuse_too_many_attributes(change)
    return as_impossible(change, "the service cannot change attributes in place, so it cannot be marked")


def _replace_unmarked(change: FileChange, file: LiveFile, context: StorePlanContext) -> FileChange:
    """The adoption of a file with other content: a new copy, after which the old one is detached."""
    upload = context.common.snapshot.uploads[file.id]
    return replace(
        change,
        action=Action.REPLACE,
        reasons=(Reason.CONTENT_CHANGED, Reason.UNMARKED),
        drop=(*filter(None, (change.keep,)), *change.drop),
        detail=f"{file.id} ({upload.filename}, {format_size(upload.size)}) is detached; its upload stays",
    )


def refuse_unreadable(
    entries: Sequence[DesiredEntry], classified: ClassifiedFiles, context: StorePlanContext
) -> tuple[FileChange, ...]:
    """A refusal for each file whose mark cannot be read, since nobody knows whose it is; all other files go on.

    Where its `vssync_key` or id says that it is the only copy of a desired file, the refusal is for that key, so that
    nothing is uploaded beside it. Otherwise it is for its File id.
    """
    if not classified.unreadable:
        return ()
    by_name = {key_attribute(entry.key): entry for entry in entries if entry.key_digest not in classified.ours}
    by_name |= {entry.declared_id: entry for entry in entries if entry.declared_id}
    changes = []
    for file in classified.unreadable:
        entry = by_name.get(file.id) or by_name.get(str(file.attributes.get(KEY, "")))
        in_scope = context.is_in_scope(entry.key) if entry else context.includes_all_files
        if in_scope and isinstance(file.mark, UnreadableMark):
            way_out = "upgrade vssync" if file.mark.version else f"detach {file.id}, or take its `vssync_mark` away"
            changes.append(
                FileChange(
                    context.store.key,
                    entry.key if entry else file.id,
                    Action.REFUSE,
                    (Reason.UNREADABLE,),
                    entry.file if entry else None,
                    keep=Copy.of(file),
                    detail=f"{file.mark.problem}; {way_out}",
                )
            )
    return tuple(changes)


def _refuse_attached(
    entry: DesiredEntry, classified: ClassifiedFiles, context: StorePlanContext
) -> tuple[FileChange, ...]:
    """Refusals of a declared File that is attached already, as something else: a store takes no File twice."""
    file_id = entry.declared_id
    if file_id not in classified.attached_ids:
        return ()
    uses = [
        (Reason.OTHER_OWNER, f"by {owner}")
        for owner, files in sorted(classified.foreign.items())
        if any(file.id == file_id for file in files)
    ]
    our_copies = (copy for copies in classified.ours.values() for copy in copies)
    uses += [(Reason.MISSING, f"as {copy.key}") for copy in our_copies if copy.id == file_id]
    change = FileChange(context.store.key, entry.key, Action.CREATE, (), entry.file)
    return tuple(
        as_impossible(replace(change, reasons=(reason,)), f"{file_id} is attached {how} already")
        for reason, how in uses
    )
