"""Desired keys of which no copy is live: a copy under a former key, a file without a mark, or a new one.

A declared File that is attached as something else than its key is claimed the same way, other copies or not.

Nothing here writes to a file without a mark unless adoption was asked for; then it is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vssync.model.plan import Action, Copy, FileChange, Note, NoteKind, Reason
from vssync.model.state import FileStatus, LiveFile, Upload
from vssync.planner.attributes import fields_between, preserved_attributes
from vssync.planner.classify import ClassifiedFiles, CopyState, DesiredEntry, OwnedFile, age
from vssync.planner.decide_file import FileContext, as_impossible, create_file, decide_file, within_limits

Left = Mapping[str, Sequence[OwnedFile]]


@dataclass(frozen=True, slots=True)
class ClaimedKeys:
    """What became of the missing keys; `moved` are the digests of former keys whose copies live on."""

    changes: tuple[FileChange, ...]
    notes: tuple[Note, ...]
    moved: frozenset[str]


def claim_missing(
    missing: Sequence[DesiredEntry],
    left: Left,
    census: ClassifiedFiles,
    uploads: Mapping[str, Upload],
    rules: FileContext,
) -> ClaimedKeys:
    """Decide every missing key, in key order. `left` holds our copies under keys that left the manifest."""
    former = _former_keys(missing, left, rules)
    strangers = _unmarked_candidates(missing, census, uploads)
    changes: list[FileChange] = []
    notes: list[Note] = []
    for want in missing:
        own = census.ours.get(want.digest, [])
        if digest := former.get(want.key):
            changes += decide_file(want, sorted((*left[digest], *own), key=lambda copy: age(copy.file)), rules)
        elif (file := strangers.get(want.key)) and not rules.options.adopt:
            notes.append(Note(NoteKind.ADOPTABLE, want.key, detail=file.id))
        elif file:
            changes.append(_adopt(want, file, own, rules))
        else:
            changes.append(_blocked(want, census, rules) or create_file(want, rules))
    return ClaimedKeys(tuple(changes), tuple(notes), frozenset(former.values()))


def _former_keys(missing: Sequence[DesiredEntry], left: Left, rules: FileContext) -> dict[str, str]:
    """For each missing key the digest of the one it had: it holds the declared File, or alone has these bytes."""
    if not missing:
        return {}
    holders = {copy.id: digest for digest, copies in left.items() for copy in copies}
    contents = _movable(left, rules) if rules.store.prune and rules.capabilities.attribute_updates else {}
    former: dict[str, str] = {}
    taken: set[str] = set()
    for want in missing:
        same = contents.get((want.content, want.chunking, _extension(want.key)), [])
        digest = holders.get(want.file.file_id) if want.file.file_id else (same[0] if len(same) == 1 else None)
        if digest and digest not in taken:
            former[want.key] = digest
            taken.add(digest)
    return former


def _movable(left: Left, rules: FileContext) -> dict[tuple[str, str, str], list[str]]:
    """Digests of keys that left, by content, chunking and extension of a completed copy."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for digest, copies in sorted(left.items()):
        usable = [copy for copy in copies if copy.state(rules.now) is CopyState.OK]
        for form in sorted({(copy.mark.content, copy.mark.chunking, _extension(copy.key)) for copy in usable}):
            found.setdefault(form, []).append(digest)
    return found


def _extension(key: str) -> str:
    """A service goes by the upload's name; a copy whose former key is not known fits no key."""
    name = key.rpartition("/")[2]
    return "?" if key.startswith("~") else name.rpartition(".")[2].lower() if "." in name else ""


def _unmarked_candidates(
    missing: Sequence[DesiredEntry], census: ClassifiedFiles, uploads: Mapping[str, Upload]
) -> dict[str, LiveFile]:
    """For each missing key the file without a mark that must be it: the declared File, or unique by name and size."""
    by_id = {file.id: file for file in census.unmarked}
    declared = {want.file.file_id for want in missing}
    named: dict[tuple[str, int], list[LiveFile]] = {}
    for file in census.unmarked:
        free = file.status is FileStatus.COMPLETED and file.id not in declared
        if free and (upload := uploads.get(file.id)):
            named.setdefault((upload.filename, upload.size), []).append(file)
    claimants: dict[tuple[str, int], int] = {}
    for want in missing:
        claimants[_form(want)] = claimants.get(_form(want), 0) + 1
    found = {}
    for want in missing:
        same = named.get(_form(want), [])
        unique = same[0] if len(same) == 1 and claimants[_form(want)] == 1 else None
        stranger = by_id.get(want.file.file_id) if want.file.file_id else unique
        if stranger:
            found[want.key] = stranger
    return found


def _form(want: DesiredEntry) -> tuple[str, int]:
    return want.file.filename, want.file.size


def _adopt(want: DesiredEntry, file: LiveFile, own: Sequence[OwnedFile], rules: FileContext) -> FileChange:
    """One write adds the mark and sets the manifest's attributes; the content stays as it is."""
    change = FileChange(
        store=rules.store.key,
        key=want.key,
        action=Action.ADOPT,
        reasons=(Reason.UNMARKED,),
        desired=want.file,
        keep=Copy.of(file),
        drop=tuple(copy.evidence for copy in own),
        fields=fields_between(file.attributes, want.file, rules.ignore),
        preserve=preserved_attributes(file.attributes, rules.ignore),
        detail="" if want.file.file_id else "name and size agree; nobody has compared the content",
    )
    if not rules.capabilities.attribute_updates:
        return as_impossible(change, "the service cannot change attributes in place, so it cannot be marked")
    return within_limits(change)


def _blocked(want: DesiredEntry, census: ClassifiedFiles, rules: FileContext) -> FileChange | None:
    """A declared File that is attached already, as something else, cannot be attached once more."""
    file_id = want.file.file_id
    if file_id not in census.attached:
        return None
    refusal = create_file(want, rules)
    for owner, files in sorted(census.foreign.items()):
        if any(file.id == file_id for file in files):
            refusal = replace(refusal, reasons=(Reason.OTHER_OWNER,))
            return as_impossible(refusal, f"{file_id} is attached by {owner} already")
    for copies in census.ours.values():
        for copy in copies:
            if copy.id == file_id:
                return as_impossible(refusal, f"{file_id} is attached as {copy.key} already")
    return None
