"""Desired keys without a copy to go on with: one of a former key is moved, an unmarked file adopted, or one created."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vssync.model.plan import Action, Copy, FileChange, Note, NoteKind, Reason
from vssync.model.state import FileStatus, LiveFile, Upload, extension_of
from vssync.planner.attributes import fields_between, preserved_attributes
from vssync.planner.classify import ClassifiedFiles, CopyState, DesiredEntry, OwnedCopy, creation_order
from vssync.planner.context import StorePlanContext
from vssync.planner.decide_file import as_impossible, decide_file, refuse_too_many_attributes

CopiesByKey = Mapping[str, Sequence[OwnedCopy]]  # by digest of the key


@dataclass(frozen=True, slots=True)
class Claims:
    """Changes and notes for unclaimed keys; `taken` are the former digests or File ids whose copies live on."""

    changes: tuple[FileChange, ...]
    notes: tuple[Note, ...]
    taken: frozenset[str]


def claim_copies(
    unclaimed: Sequence[DesiredEntry], undesired: CopiesByKey, classified: ClassifiedFiles, context: StorePlanContext
) -> Claims:
    """What becomes of the unclaimed keys, in their order.

    `undesired` are our copies under keys that are not in the manifest. Files without a mark are left alone unless
    `--adopt` is given. A key with copies of its own comes here, too, when the File it declares is attached as another.
    """
    unkeyed = {copy.id: [copy] for copy in classified.provisional}  # each by its File id, for lack of a key
    available = {**undesired, **unkeyed}
    former_ids = _find_former_ids(unclaimed, available, context)
    unmarked = _unmarked_candidates(unclaimed, classified, context.common.snapshot.uploads)
    changes: list[FileChange] = []
    notes: list[Note] = []
    for entry in unclaimed:
        own = classified.ours.get(entry.key_digest, [])
        if former_id := former_ids.get(entry.key):
            copies = sorted((*available[former_id], *own), key=lambda copy: creation_order(copy.file))
            changes += decide_file(entry, copies, context)
        elif (file := unmarked.get(entry.key)) and not context.common.options.adopt:
            notes.append(Note(NoteKind.ADOPTABLE, entry.key, detail=file.id))
        elif file:
            changes.append(_adopt(entry, file, own, context))
        else:
            changes += _refuse_attached(entry, classified, context) or decide_file(entry, (), context)
    return Claims(tuple(changes), tuple(notes), frozenset(former_ids.values()))


def _find_former_ids(
    unclaimed: Sequence[DesiredEntry], available: CopiesByKey, context: StorePlanContext
) -> dict[str, str]:
    """For each unclaimed key where in `available` its copies are: they hold the declared File, or alone these bytes."""
    if not unclaimed:
        return {}
    former_by_file_id = {copy.id: former_id for former_id, copies in available.items() for copy in copies}
    movable: dict[tuple[str, str, str], list[str]] = {}  # by content, chunking and extension of a completed copy
    if context.store.prune and context.common.capabilities.attribute_updates:
        for former_id, copies in sorted(available.items()):
            usable = [copy for copy in copies if copy.state(context.now) is CopyState.OK]
            for form in {(copy.mark.content, copy.mark.chunking, _key_extension(copy.key)) for copy in usable}:
                movable.setdefault(form, []).append(former_id)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for entry in unclaimed:
        same = movable.get((entry.content, entry.chunking, _key_extension(entry.key)), [])
        alike = same[0] if len(same) == 1 else ""
        former_id = former_by_file_id.get(entry.file.file_id, "") if entry.file.file_id else alike
        if former_id and former_id not in taken:
            found[entry.key] = former_id
            taken.add(former_id)
    return found


def _key_extension(key: str) -> str:
    """The key's extension, for want of a live copy's upload name; "?", which matches none, where the key is unknown."""
    return "?" if key.startswith("~") else extension_of(key.rpartition("/")[2])


def _unmarked_candidates(
    unclaimed: Sequence[DesiredEntry], classified: ClassifiedFiles, uploads: Mapping[str, Upload]
) -> dict[str, LiveFile]:
    """For each unclaimed key the file without a mark that must be it: the declared File, or unique by name and size."""
    unmarked_by_id = {file.id: file for file in classified.unmarked}
    declared = {entry.file.file_id for entry in unclaimed}
    alike: dict[tuple[str, int], list[LiveFile]] = {}
    for file in classified.unmarked:
        is_free = file.status is FileStatus.COMPLETED and file.id not in declared
        if is_free and (upload := uploads.get(file.id)):
            alike.setdefault((upload.filename, upload.size), []).append(file)
    claims = Counter((entry.file.filename, entry.file.size) for entry in unclaimed)
    candidates = {}
    for entry in unclaimed:
        form = (entry.file.filename, entry.file.size)
        if entry.file.file_id in unmarked_by_id:
            candidates[entry.key] = unmarked_by_id[entry.file.file_id]
        elif not entry.file.file_id and claims[form] == 1 and len(alike.get(form, ())) == 1:
            candidates[entry.key] = alike[form][0]
    return candidates


def _adopt(entry: DesiredEntry, file: LiveFile, copies: Sequence[OwnedCopy], context: StorePlanContext) -> FileChange:
    change = FileChange(
        store=context.store.key,
        key=entry.key,
        action=Action.ADOPT,
        reasons=(Reason.UNMARKED,),
        desired=entry.file,
        keep=Copy.of(file),
        drop=tuple(copy.evidence for copy in copies),
        fields=fields_between(file.attributes, entry.file, context.ignored_attributes),
        preserve=preserved_attributes(file.attributes, context.ignored_attributes),
        detail="" if entry.file.file_id else "matched by name and size; its content was not compared",
    )
    if context.common.capabilities.attribute_updates:
        return refuse_too_many_attributes(change)
    return as_impossible(change, "the service cannot change attributes in place, so it cannot be marked")


def _refuse_attached(
    entry: DesiredEntry, classified: ClassifiedFiles, context: StorePlanContext
) -> tuple[FileChange, ...]:
    """A declared File that is attached already, as something else, cannot be attached once more."""
    file_id = entry.file.file_id
    if file_id not in classified.attached:
        return ()
    foreign, ours = sorted(classified.foreign.items()), classified.ours.values()
    found = [(Reason.OTHER_OWNER, f"by {owner}") for owner, files in foreign for file in files if file.id == file_id]
    found += [(Reason.MISSING, f"as {copy.key}") for copies in ours for copy in copies if copy.id == file_id]
    change = FileChange(context.store.key, entry.key, Action.CREATE, (), entry.file)
    return tuple(
        as_impossible(replace(change, reasons=(reason,)), f"{file_id} is attached {how} already")
        for reason, how in found
    )
