"""Desired keys without a live copy: one under a former key is moved, an unmarked file adopted, or a new one created."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vssync.model.plan import Action, Copy, FileChange, Note, NoteKind, Reason
from vssync.model.state import FileStatus, LiveFile, Upload
from vssync.planner.attributes import fields_between, preserved_attributes
from vssync.planner.classify import ClassifiedFiles, CopyState, DesiredEntry, OwnedFile, age
from vssync.planner.context import FileContext
from vssync.planner.decide_file import as_impossible, decide_file, within_limits

CopiesByKey = Mapping[str, Sequence[OwnedFile]]  # by digest of the key


def claim_missing(
    missing: Sequence[DesiredEntry],
    undesired: CopiesByKey,
    classified: ClassifiedFiles,
    context: FileContext,
) -> tuple[list[FileChange], list[Note], frozenset[str]]:
    """Changes and notes for the missing keys, in key order, and the digests of former keys whose copies live on.

    Files without a mark are left alone unless `--adopt` is given. A declared File attached as another key comes here,
    too. `undesired` are our copies under keys that are not in the manifest.
    """
    former = _find_former_keys(missing, undesired, context)
    unmarked = _unmarked_candidates(missing, classified, context.plan.snapshot.uploads)
    changes: list[FileChange] = []
    notes: list[Note] = []
    for entry in missing:
        copies = classified.ours.get(entry.digest, [])
        if digest := former.get(entry.key):
            changes += decide_file(
                entry, sorted((*undesired[digest], *copies), key=lambda copy: age(copy.file)), context
            )
        elif (file := unmarked.get(entry.key)) and not context.plan.options.adopt:
            notes.append(Note(NoteKind.ADOPTABLE, entry.key, detail=file.id))
        elif file:
            changes.append(_adopt(entry, file, copies, context))
        else:
            changes += _refuse_attached(entry, classified, context) or decide_file(entry, (), context)
    return changes, notes, frozenset(former.values())


def _find_former_keys(missing: Sequence[DesiredEntry], undesired: CopiesByKey, context: FileContext) -> dict[str, str]:
    """For each missing key the digest of the one it had: it holds the declared File, or alone has these bytes."""
    if not missing:
        return {}
    digests_by_id = {copy.id: digest for digest, copies in undesired.items() for copy in copies}
    movable: dict[tuple[str, str, str], list[str]] = {}  # by content, chunking and extension of a completed copy
    if context.store.prune and context.plan.capabilities.attribute_updates:
        for digest, copies in sorted(undesired.items()):
            usable = [copy for copy in copies if copy.state(context.now) is CopyState.OK]
            for form in {(copy.mark.content, copy.mark.chunking, _extension(copy.key)) for copy in usable}:
                movable.setdefault(form, []).append(digest)
    former: dict[str, str] = {}
    taken: set[str] = set()
    for entry in missing:
        same = movable.get((entry.content, entry.chunking, _extension(entry.key)), [])
        alike = same[0] if len(same) == 1 else ""
        former_digest = digests_by_id.get(entry.file.file_id) if entry.file.file_id else alike
        if former_digest and former_digest not in taken:
            former[entry.key] = former_digest
            taken.add(former_digest)
    return former


def _extension(key: str) -> str:
    """The extension a service judges an upload by; "?" for a copy whose key is unknown, which matches no other."""
    name = key.rpartition("/")[2]
    return "?" if key.startswith("~") else name.rpartition(".")[2].lower() if "." in name else ""


def _unmarked_candidates(
    missing: Sequence[DesiredEntry], classified: ClassifiedFiles, uploads: Mapping[str, Upload]
) -> dict[str, LiveFile]:
    """For each missing key the file without a mark that must be it: the declared File, or unique by name and size."""
    unmarked_by_id = {file.id: file for file in classified.unmarked}
    declared = {entry.file.file_id for entry in missing}
    alike: dict[tuple[str, int], list[LiveFile]] = {}
    for file in classified.unmarked:
        is_free = file.status is FileStatus.COMPLETED and file.id not in declared
        if is_free and (upload := uploads.get(file.id)):
            alike.setdefault((upload.filename, upload.size), []).append(file)
    claims = Counter((entry.file.filename, entry.file.size) for entry in missing)
    candidates = {}
    for entry in missing:
        form = (entry.file.filename, entry.file.size)
        if entry.file.file_id in unmarked_by_id:
            candidates[entry.key] = unmarked_by_id[entry.file.file_id]
        elif not entry.file.file_id and claims[form] == 1 and len(alike.get(form, ())) == 1:
            candidates[entry.key] = alike[form][0]
    return candidates


def _adopt(entry: DesiredEntry, file: LiveFile, copies: Sequence[OwnedFile], context: FileContext) -> FileChange:
    change = FileChange(
        store=context.store.key,
        key=entry.key,
        action=Action.ADOPT,
        reasons=(Reason.UNMARKED,),
        desired=entry.file,
        keep=Copy.of(file),
        drop=tuple(copy.evidence for copy in copies),
        fields=fields_between(file.attributes, entry.file, context.ignore),
        preserve=preserved_attributes(file.attributes, context.ignore),
        detail="" if entry.file.file_id else "matched by name and size; its content was not compared",
    )
    if context.plan.capabilities.attribute_updates:
        return within_limits(change)
    return as_impossible(change, "the service cannot change attributes in place, so it cannot be marked")


def _refuse_attached(entry: DesiredEntry, classified: ClassifiedFiles, context: FileContext) -> tuple[FileChange, ...]:
    """A declared File that is attached already, as something else, cannot be attached once more."""
    file_id = entry.file.file_id
    if file_id not in classified.attached:
        return ()
    (refusal,) = decide_file(entry, (), context)
    for owner, files in sorted(classified.foreign.items()):
        if any(file.id == file_id for file in files):
            refusal = replace(refusal, reasons=(Reason.OTHER_OWNER,))
            return (as_impossible(refusal, f"{file_id} is attached by {owner} already"),)
    keys = (copy.key for copies in classified.ours.values() for copy in copies if copy.id == file_id)
    return tuple(as_impossible(refusal, f"{file_id} is attached as {key} already") for key in keys)
