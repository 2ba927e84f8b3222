"""Which key takes over which live file: a declared File, a moved copy of ours, or an unmarked file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import compress

from vssync.model.marks import KEY, NONE, UnreadableMark, key_attribute, key_digest
from vssync.model.plan import Action, FieldChange, FileChange, Note, NoteKind, Options, Reason, RecordedCopy
from vssync.model.state import Desired, DesiredFile, FileStatus, LiveFile, Snapshot, Upload
from vssync.planner.attributes import fields_between, preserved_attributes
from vssync.planner.classify import (
    ClassifiedFiles,
    Copies,
    CopyState,
    DigestedFile,
    OwnedCopy,
    classify_files,
    oldest_first,
)
from vssync.planner.context import Scope, StorePlanContext
from vssync.planner.decide_file import decide_file, newest_copy, refuse_too_many_attributes
from vssync.planner.find_stores import StoreMatch, match_stores
from vssync.text import format_size


class Likeness(Enum):
    """How similar an unmarked file is to the desired file that it may be adopted for."""

    SAME = "same"  # the same bytes, or the File that is declared
    UNCOMPARED = "uncompared"  # the same name and size; the bytes were not compared
    DIFFERENT = "different"  # the same name, other bytes


@dataclass(frozen=True, slots=True)
class Candidate:
    """An unmarked file that may be adopted for a desired one, or be replaced by it."""

    file: LiveFile
    likeness: Likeness


@dataclass(frozen=True, slots=True)
class AssignedCopies:
    """Our copies by the key that they are planned for: a declared File belongs to the key that declares it."""

    by_key: Mapping[str, Copies]  # by key digest
    undesired: Sequence[Copies]  # of keys that are not in the manifest, all copies of a key together
    provisional: Copies  # marked for no key yet

    @property
    def available(self) -> list[Copies]:
        """The copies that a desired key may take over, those of one key together."""
        return [*self.undesired, *([copy] for copy in self.provisional)]


@dataclass(frozen=True, slots=True)
class Takeovers:
    """What `decide_takers` decided; `moved_ids` are the File ids of copies of ours that were taken over."""

    changes: tuple[FileChange, ...]
    notes: tuple[Note, ...]
    moved_ids: frozenset[str]


def assign_copies(
    wanted_files: Sequence[DigestedFile], undesired: Sequence[Copies], classified: ClassifiedFiles
) -> AssignedCopies:
    """Assigns our copies to the keys they are marked for, but those of a declared File to the key that declares it.

    `undesired` are our copies under keys that are not in the manifest. When one of them is declared, the other copies
    of its old key go along.
    """
    assigned = AssignedCopies(classified.ours, undesired, classified.provisional)
    groups = {copy.id: copies for copies in assigned.available for copy in copies}
    taken = _take_declared(wanted_files, groups.keys(), classified)
    if not taken:
        return assigned
    used_ids = {copy.id for copy in taken.values()}
    by_key = {key: [copy for copy in copies if copy.id not in used_ids] for key, copies in classified.ours.items()}
    for wanted in wanted_files:
        if copy := taken.get(wanted.key_digest):
            others = [other for other in groups.get(copy.id, ()) if other.id not in used_ids]
            used_ids.update(other.id for other in others)
            by_key[wanted.key_digest] = oldest_first(copy, *others, *by_key.get(wanted.key_digest, ()))
    return AssignedCopies(
        by_key,
        [copies for copies in undesired if copies[0].id not in used_ids],
        [copy for copy in classified.provisional if copy.id not in used_ids],
    )


def _take_declared(
    wanted_files: Sequence[DigestedFile], undesired_ids: Collection[str], classified: ClassifiedFiles
) -> dict[str, OwnedCopy]:
    """The copies that leave the keys they are marked for, by the digest of the key that declares them.

    A desired key gives up a completed copy only if it keeps a right one or takes a completed one, as when two keys
    exchange their Files.
    """
    declared = {wanted.declared_id: wanted for wanted in wanted_files if wanted.declared_id}
    if classified.attached_ids.isdisjoint(declared):
        return {}
    desired = {wanted.key_digest: wanted for wanted in wanted_files}
    taken = {
        declared[copy.id].key_digest: copy
        for copy in classified.our_copies
        if copy.id in declared and (copy.id in undesired_ids or copy.mark.key_digest in desired)
    }

    def can_leave(copy: OwnedCopy) -> bool:
        if copy.id in undesired_ids or copy.file.status is not FileStatus.COMPLETED:
            return True
        former_key = copy.mark.key_digest
        taken_ids = {other.id for other in taken.values()}
        staying = (other for other in classified.ours[former_key] if other.id not in taken_ids)
        usable = [other for other in staying if desired[former_key].matches(other)]
        usable += [taken[former_key]] if former_key in taken else []
        return any(other.file.status is FileStatus.COMPLETED for other in usable)

    while blocked := [key for key, copy in taken.items() if not can_leave(copy)]:
        taken = {key: copy for key, copy in taken.items() if key not in blocked}
    return taken


def decide_takers(
    takers: Sequence[DigestedFile], assigned: AssignedCopies, classified: ClassifiedFiles, context: StorePlanContext
) -> Takeovers:
    """What becomes of the takers, in their order.

    A taker is a desired key that has no completed copy, such as that of a new or moved file, or one that declares a
    File which the store holds and which is not assigned to it. Unmarked files are left alone without `--adopt` or
    `adopt: true`.
    """
    former_copies = _find_former_copies(takers, assigned.available, context)
    # A file by path with a copy of ours, though not a completed one, adopts nothing: that copy is dealt with.
    adopters = [wanted for wanted in takers if wanted.declared_id or not assigned.by_key.get(wanted.key_digest)]
    candidates = find_candidates(adopters, classified.unmarked, context)
    changes: list[FileChange] = []
    notes: list[Note] = []
    for wanted in takers:
        own_copies = assigned.by_key.get(wanted.key_digest, [])
        if moved := former_copies.get(wanted.key):
            changes += decide_file(wanted, oldest_first(*moved, *own_copies), context)
        elif candidate := candidates.get(wanted.key):
            if note := _held_back_note(wanted, candidate, context):
                notes.append(note)
            else:
                changes.append(_take_over(wanted, candidate, own_copies, context))
        else:
            changes += _refuse_attached(wanted, classified, context) or decide_file(wanted, own_copies, context)
    moved_ids = frozenset(copy.id for copies in former_copies.values() for copy in copies)
    return Takeovers(tuple(changes), tuple(notes), moved_ids)


def _find_former_copies(
    takers: Sequence[DigestedFile], available: Sequence[Copies], context: StorePlanContext
) -> dict[str, Copies]:
    """The copies of a former key that each taker takes over, by the taker's key; only where files may be pruned.

    A former key must have a completed copy of the same content and chunking. Of several former keys any will do, but
    those with the same upload name go first. A taker that declares a File takes nothing else over.
    """
    by_path = [wanted for wanted in takers if not wanted.declared_id]
    if not (by_path and context.store.prune):
        return {}
    # Sorted backwards, since they are taken from the end.
    with_content = defaultdict[tuple[str, str], list[Copies]](list)  # by content and chunking
    with_name = defaultdict[tuple[str, str, str], list[Copies]](list)  # by content, chunking and upload name
    for copies in sorted(available, key=lambda copies: copies[0].key, reverse=True):
        marks = [(copy.mark, copy) for copy in copies if copy.state(context.now) is CopyState.COMPLETED]
        for content, chunking in {(mark.content, mark.chunking_digest) for mark, _ in marks}:
            with_content[content, chunking].append(copies)
        for identity in {(mark.content, mark.chunking_digest, copy.upload_name_digest) for mark, copy in marks}:
            with_name[identity].append(copies)
    former_copies: dict[str, Copies] = {}
    moved_ids: set[str] = set()  # of the first of each key's copies, which move together

    def take(wanted: DigestedFile, candidates: list[Copies]) -> None:
        while candidates and candidates[-1][0].id in moved_ids:
            candidates.pop()
        if candidates and wanted.key not in former_copies:
            former_copies[wanted.key] = candidates.pop()
            moved_ids.add(former_copies[wanted.key][0].id)

    for wanted in by_path:
        for name in (wanted.name_digest, NONE):
            take(wanted, with_name[wanted.content, wanted.chunking_digest, name])
    for wanted in by_path:
        take(wanted, with_content[wanted.content, wanted.chunking_digest])
    return former_copies


def _held_back_note(wanted: DigestedFile, candidate: Candidate, context: StorePlanContext) -> Note | None:
    """A note that an upload is held back because of the candidate; None if the candidate is taken over.

    A file that was not compared is taken over only while the store is being adopted.
    """
    if not context.may_adopt:
        return Note(NoteKind.ADOPTABLE, wanted.key, detail=candidate.file.id)
    if candidate.likeness is not Likeness.UNCOMPARED or context.is_adopting:
        return None
    detail = f"{candidate.file.id} has its name and size and no mark, and {describe_uncompared(context)}"
    way_out = f"detach it, or upload a copy beside it: --replace {context.store.key}/{wanted.key}"
    return Note(NoteKind.INCOMPARABLE, wanted.key, detail=f"{detail}\n{way_out}")


def describe_uncompared(context: StorePlanContext) -> str:
    """Says that a file was not compared and, if only `--compare` compares it, how much that would read."""
    size, text = context.common.snapshot.uncompared_bytes, "its content was not compared"
    return f"{text}: --compare reads {format_size(size)}" if size else text


def _take_over(wanted: DigestedFile, candidate: Candidate, own_copies: Copies, context: StorePlanContext) -> FileChange:
    """Marks an unmarked file for this key, or replaces it; the key's existing copies are detached."""
    file, upload = candidate.file, context.common.snapshot.uploads.get(candidate.file.id)
    old = replace(RecordedCopy.of(file), filename=upload.filename if upload else "")
    is_different = candidate.likeness is Likeness.DIFFERENT
    is_rechunked = not wanted.file.chunking.allows(file.chunking)
    is_uploaded = is_different or (is_rechunked and not (wanted.declared_id or context.accepts_gap))
    # Searches always see the attributes that a file is attached with; they may not see an update of them. Unless it is
    # known that they do, the file is attached again: an apply can find it out only from a file that has a mark.
    is_reattached = not is_uploaded and (is_rechunked or context.common.capabilities.updates_reach_search is not True)
    causes = {
        Reason.CONTENT_CHANGED: is_different,
        Reason.CHUNKING_CHANGED: is_rechunked,
        Reason.UNMARKED: True,
        Reason.UNCOMPARED: candidate.likeness is Likeness.UNCOMPARED and not is_uploaded,
    }
    fields = (FieldChange("chunking", str(file.chunking), str(wanted.file.chunking)),) if is_rechunked else ()
    detail = f"matched by name and size; {describe_uncompared(context)}" if causes[Reason.UNCOMPARED] else ""
    if is_uploaded and upload:
        detail = f"{file.id} ({upload.filename}, {format_size(upload.size)}) is detached; its upload stays"
    change = FileChange(
        store=context.store.key,
        key=wanted.key,
        action=Action.REPLACE if is_uploaded or is_reattached else Action.ADOPT,
        reasons=tuple(compress(causes, causes.values())),
        desired=wanted.file,
        keep=old,
        drop=(*((old,) if is_uploaded or is_reattached else ()), *(copy.recorded for copy in own_copies)),
        fields=fields + fields_between(file.attributes, wanted.file, context.store.ignore_attributes),
        preserve=preserved_attributes(file.attributes, context.store.ignore_attributes),
        reuse=file.id if is_reattached and not wanted.declared_id else "",
        gap=is_reattached and newest_copy(own_copies, CopyState.COMPLETED, context.now) is None,
        detail=detail,
    )
    if change.action is Action.ADOPT and not context.common.capabilities.attribute_updates:
        detail = "the service cannot change attributes in place, so it cannot be marked"
        return change.refused(Reason.IMPOSSIBLE, detail=detail)
    return refuse_too_many_attributes(change)


def refuse_unreadable(
    wanted_files: Sequence[DigestedFile], classified: ClassifiedFiles, context: StorePlanContext
) -> Iterator[FileChange]:
    """A refusal for each file whose mark cannot be read, since its owner is unknown.

    If its `vssync_key` or id says that it is the only copy of a desired file, the refusal is for that key, so that
    nothing is uploaded beside it. Otherwise it is for the File id.
    """
    if not classified.unreadable:
        return
    without_copy = (wanted for wanted in wanted_files if wanted.key_digest not in classified.ours)
    by_attribute = {key_attribute(wanted.key): wanted for wanted in without_copy}
    by_id = {wanted.declared_id: wanted for wanted in wanted_files if wanted.declared_id}
    for file in classified.unreadable:
        assert isinstance(file.mark, UnreadableMark)
        wanted = by_id.get(file.id) or by_attribute.get(str(file.attributes.get(KEY, "")))
        is_in_scope = context.is_in_scope(wanted.key) if wanted else context.includes_all_files
        if is_in_scope:
            way_out = "upgrade vssync" if file.mark.version else f"detach {file.id}, or take its `vssync_mark` away"
            key, desired = (wanted.key, wanted.file) if wanted else (file.id, None)
            change = FileChange(context.store.key, key, Action.REFUSE, (Reason.UNREADABLE,), desired)
            yield replace(change, keep=RecordedCopy.of(file), detail=f"{file.mark.problem}; {way_out}")


def _refuse_attached(wanted: DigestedFile, classified: ClassifiedFiles, context: StorePlanContext) -> list[FileChange]:
    """Refusals of a declared File that is attached for another key or owner: a store takes a File only once."""
    file_id = wanted.declared_id
    if file_id not in classified.attached_ids:
        return []
    uses: list[tuple[tuple[Reason, ...], str]] = [
        ((Reason.OTHER_OWNER, Reason.NOT_ALLOWED), f"is attached by {owner}; --adopt-from {owner} takes it over")
        for owner, files in classified.foreign.items()
        if any(file.id == file_id for file in files)
    ]
    uses += [
        ((Reason.ATTACHED,), f"is attached as {copy.key}; plan again once that key has another file")
        for copy in classified.our_copies
        if copy.id == file_id
    ]
    if _is_connector_file(file_id, context):
        text = "is a connector's, which nobody else can manage: take it out of the manifest"
        uses.append(((Reason.UNMARKED, Reason.IMPOSSIBLE), text))
    change = FileChange(context.store.key, wanted.key, Action.CREATE, (), wanted.file)
    return [change.refused(*reasons, detail=f"{file_id} {text}") for reasons, text in uses]


def _is_connector_file(file_id: str, context: StorePlanContext) -> bool:
    upload = context.common.snapshot.uploads.get(file_id)
    return upload is not None and upload.is_connector_file


Identify = Callable[[DesiredFile | Upload], Hashable]
# Each likeness with what must be equal for it; the surest comes first.
_LIKENESSES: tuple[tuple[Likeness, Identify], ...] = (
    (Likeness.SAME, lambda file: (file.filename, file.sha256)),
    (Likeness.SAME, lambda file: file.sha256),
    (Likeness.UNCOMPARED, lambda file: (file.filename, file.size)),
    (Likeness.DIFFERENT, lambda file: file.filename),
)


def find_candidates(
    wanted_files: Sequence[DigestedFile], unmarked: Sequence[LiveFile], context: StorePlanContext
) -> dict[str, Candidate]:
    """The unmarked file that may be adopted for each desired one, or be replaced by it, by key.

    Files that a connector brought are left out. Of the others, the first of:

    1. the File that it declares
    2. one with its bytes, of the same upload name if there is one
    3. the only one of its name and size that was not compared, unless `--replace` asks for an upload beside that
    4. while the store is being adopted: the only one of its name
    """
    by_id = {file.id: file for file in unmarked if not _is_connector_file(file.id, context)}
    declared = [wanted for wanted in wanted_files if wanted.declared_id in by_id]
    candidates = {wanted.key: Candidate(by_id[wanted.declared_id], Likeness.SAME) for wanted in declared}
    uploads, declared_ids = context.common.snapshot.uploads, {wanted.declared_id for wanted in wanted_files}
    free = {
        file.id: (file, uploads[file.id])
        for file in by_id.values()
        if file.status is FileStatus.COMPLETED and file.id in uploads and file.id not in declared_ids
    }
    for likeness, identify in _LIKENESSES if context.is_adopting else _LIKENESSES[:-1]:
        unmatched = [wanted for wanted in wanted_files if not (wanted.declared_id or wanted.key in candidates)]
        for key, file in _pair(unmatched, list(free.values()), likeness, identify):
            del free[file.id]
            if not (likeness is Likeness.UNCOMPARED and context.is_replace_requested(key)):
                candidates[key] = Candidate(file, likeness)
    return candidates


def _pair(
    wanted_files: Sequence[DigestedFile],
    free: Sequence[tuple[LiveFile, Upload]],
    likeness: Likeness,
    identify: Identify,
) -> Iterator[tuple[str, LiveFile]]:
    """Pairs desired keys with files that `identify` gives the same value.

    Files of the same bytes are paired in order, as many as there are. Otherwise a pair is made only if one key and one
    file share the value.
    """
    files_by_identity: dict[Hashable, list[LiveFile]] = {}
    for file, upload in free:
        if likeness is not Likeness.UNCOMPARED or not upload.sha256:  # a compared file of other bytes is DIFFERENT
            files_by_identity.setdefault(identify(upload), []).append(file)
    keys_by_identity: dict[Hashable, list[str]] = {}
    for wanted in wanted_files:
        keys_by_identity.setdefault(identify(wanted.file), []).append(wanted.key)
    for identity, keys in keys_by_identity.items():
        files = files_by_identity.get(identity, [])
        if likeness is Likeness.SAME or len(keys) == len(files) == 1:
            yield from zip(keys, files, strict=False)


@dataclass(frozen=True, slots=True)
class PendingComparison:
    """An unmarked file in a store, and the desired files that it is to be compared with."""

    store_id: str
    upload: Upload
    files: tuple[DesiredFile, ...]


def comparisons_for_adoption(desired: Desired, snapshot: Snapshot, options: Options) -> Iterator[PendingComparison]:
    """Unmarked files to compare before any is adopted: each as large as a desired file of which we have no copy.

    Names do not count: some services change them.
    """
    matches, scope = match_stores(desired, snapshot.stores, options, snapshot.created_here), Scope.of(options)
    for store in desired.stores:
        if not (options.adopt or store.adopt):
            continue
        for live in matches.by_key.get(store.key, StoreMatch()).live:
            classified = classify_files(snapshot.contents[live.id].files, (desired.owner, *options.adopt_from))
            by_size: dict[int, list[DesiredFile]] = {}
            for file in store.files:
                has_no_copy = not file.file_id and key_digest(file.key) not in classified.ours
                if has_no_copy and scope.contains(store.key, file.key):
                    by_size.setdefault(file.size, []).append(file)
            for unmarked in classified.unmarked:
                upload = snapshot.uploads.get(unmarked.id)
                if upload and upload.size in by_size and unmarked.status is FileStatus.COMPLETED:
                    yield PendingComparison(live.id, upload, tuple(by_size[upload.size]))
