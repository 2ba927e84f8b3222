"""All files of one store: every desired key gets a decision, every other live file is deleted, kept or counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vssync.model.digests import attributes_digest
from vssync.model.marks import key_digest
from vssync.model.plan import Action, FileChange, Note, NoteKind, Reason
from vssync.model.state import Contents, Upload
from vssync.planner.adopt import claim_missing
from vssync.planner.classify import ClassifiedFiles, CopyState, DesiredEntry, OwnedFile, classify_files
from vssync.planner.decide_file import FileContext, decide_file, newest_copy


@dataclass(frozen=True, slots=True)
class StoreDraft:
    """A store's file decisions, before other stores and live batches have their say."""

    rules: FileContext
    wants: tuple[DesiredEntry, ...]
    census: ClassifiedFiles
    changes: tuple[FileChange, ...] = ()
    notes: tuple[Note, ...] = ()
    unchanged: int = 0

    @property
    def dropped(self) -> dict[str, str]:
        """The key of every copy that goes, by File id."""
        return {copy.id: change.key for change in self.changes for copy in change.drop}


def draft_files(contents: Contents, uploads: Mapping[str, Upload], rules: FileContext) -> StoreDraft:
    """Decide about every file of a store.

    Raises VssyncError for a mark that a newer version wrote.
    """
    census = classify_files(contents.files, _owners(rules), rules.store.key)
    wants = _wants(rules)
    in_scope = [want for want in wants if _in_scope(want.key, rules)]
    changes: list[FileChange] = []
    missing, unchanged = [], 0
    for want in in_scope:
        copies = census.ours.get(want.digest)
        if copies is None or _elsewhere(want, copies, census):
            missing.append(want)
        elif decided := decide_file(want, copies, rules):
            changes += decided
        else:
            unchanged += 1
    left, notes = _left(census, wants, rules)
    unkeyed = {copy.id: [copy] for copy in census.provisional}
    claims = claim_missing(missing, {**left, **unkeyed}, census, uploads, rules)
    changes += claims.changes
    gone = {digest: copies for digest, copies in left.items() if digest not in claims.moved}
    changes += _prune(gone, rules)
    changes += [
        _unfinished(copy, rules)
        for copy in census.provisional
        if copy.id not in claims.moved and rules.scope.whole(rules.store.key)
    ]
    kept = (Note(NoteKind.KEPT, count=len(gone)),) if gone and not rules.store.prune else ()
    counted = (
        *_unmanaged_notes(census, changes),
        *_unread(in_scope, census, changes),
        *_reports(in_scope, census, rules),
    )
    return StoreDraft(rules, wants, census, in_order(changes), (*claims.notes, *notes, *kept, *counted), unchanged)


def _elsewhere(want: DesiredEntry, copies: Sequence[OwnedFile], census: ClassifiedFiles) -> bool:
    """Whether the declared File is attached, but not as a copy of this key: then it must be claimed first."""
    file_id = want.file.file_id
    return bool(file_id) and file_id in census.attached and all(copy.id != file_id for copy in copies)


def undecided(rules: FileContext) -> StoreDraft:
    """A store whose files cannot be planned yet."""
    return StoreDraft(rules, _wants(rules), ClassifiedFiles({}, (), {}))


def _wants(rules: FileContext) -> tuple[DesiredEntry, ...]:
    return tuple(map(DesiredEntry.of, sorted(rules.store.files, key=lambda file: file.key)))


def _owners(rules: FileContext) -> tuple[str, ...]:
    """Whose marks count as ours."""
    return (rules.owner, rules.options.adopt_from) if rules.options.adopt_from else (rules.owner,)


def _in_scope(key: str, rules: FileContext) -> bool:
    scope = rules.scope
    return not (scope.targets or scope.excludes) or scope.holds(rules.store.key, key)


def _left(
    census: ClassifiedFiles, wants: Sequence[DesiredEntry], rules: FileContext
) -> tuple[dict[str, list[OwnedFile]], list[Note]]:
    """Our copies under keys the manifest does not choose, in scope; a skipped key's copies stay, with a note."""
    desired = {want.digest for want in wants}
    skipped = {key_digest(key): key for key in rules.store.skipped}
    notes = [
        Note(NoteKind.SKIPPED, key, detail=rules.store.skipped[key])
        for digest, key in sorted(skipped.items(), key=lambda pair: pair[1])
        if digest in census.ours and _in_scope(key, rules)
    ]
    unclaimed = census.ours.keys() - desired - skipped.keys()
    left = {digest: census.ours[digest] for digest in sorted(unclaimed)}
    return {digest: copies for digest, copies in left.items() if _in_scope(copies[-1].key, rules)}, notes


def _prune(left: Mapping[str, Sequence[OwnedFile]], rules: FileContext) -> list[FileChange]:
    return [delete(rules.store.key, copies) for copies in left.values()] if rules.store.prune else []


def delete(store: str, copies: Sequence[OwnedFile]) -> FileChange:
    """The change for a key that left the manifest."""
    return FileChange(
        store=store,
        key=copies[-1].key,
        action=Action.DELETE,
        reasons=(Reason.NOT_IN_MANIFEST,),
        drop=tuple(copy.evidence for copy in copies),
    )


def _unfinished(copy: OwnedFile, rules: FileContext) -> FileChange:
    """What an apply that died attached, and nobody can tell the key of; it goes whatever `prune` says."""
    detail = "an apply that did not finish left it"
    return replace(delete(rules.store.key, [copy]), reasons=(Reason.SUPERSEDED,), detail=detail)


def in_order(changes: Iterable[FileChange]) -> tuple[FileChange, ...]:
    """Changes by key; two keys that look alike once garbled are told apart by their copies."""
    return tuple(sorted(changes, key=lambda change: (change.key, change.action, [copy.id for copy in change.drop])))


def _unmanaged_notes(census: ClassifiedFiles, changes: Iterable[FileChange]) -> list[Note]:
    """Files that carry no mark of ours, counted; those to be adopted are shown as changes."""
    adopted = {change.keep.id for change in changes if change.action is Action.ADOPT and change.keep}
    unmanaged = [file for file in census.unmarked if file.id not in adopted]
    unreadable = sum(file.mark is not None for file in unmanaged)
    detail = f"{unreadable} with a mark that cannot be read" if unreadable else ""
    notes = [Note(NoteKind.UNMANAGED, count=len(unmanaged), detail=detail)] if unmanaged else []
    return notes + [
        Note(NoteKind.FOREIGN, count=len(files), detail=owner) for owner, files in sorted(census.foreign.items())
    ]


def _unread(wants: Iterable[DesiredEntry], census: ClassifiedFiles, changes: Iterable[FileChange]) -> list[Note]:
    """How many adopted copies stay whose content nobody has compared."""
    going = {copy.id for change in changes for copy in change.drop}
    copies = (copy for want in wants for copy in census.ours.get(want.digest, ()))
    count = sum(copy.mark.unread and copy.id not in going for copy in copies)
    detail = "taken for what name and size said; --replace ADDRESS brings such a file in anew"
    return [Note(NoteKind.UNREAD, count=count, detail=detail)] if count else []


def _reports(wants: Iterable[DesiredEntry], census: ClassifiedFiles, rules: FileContext) -> list[Note]:
    """How many right copies are reported otherwise than asked for; to ask again would bring the same."""
    pairs = [(want, census.ours.get(want.digest, ())) for want in wants]
    chunked = sum(_reported_otherwise(want, copies, rules) for want, copies in pairs)
    bent = sum(any(_bent(copy, rules) for copy in copies) for _, copies in pairs)
    detail = "searches filter by what the service made of them; `vssync doctor --write` shows what that is"
    return [
        *([Note(NoteKind.CHUNKING_REPORT, count=chunked)] if chunked else []),
        *([Note(NoteKind.ATTRIBUTES_REPORT, count=bent, detail=detail)] if bent else []),
    ]


def _bent(copy: OwnedFile, rules: FileContext) -> bool:
    """The service keeps other attributes than it was sent, as we noticed when we sent them."""
    return bool(copy.mark.echo) and attributes_digest(copy.file.attributes, rules.ignore) == copy.mark.echo


def _reported_otherwise(want: DesiredEntry, copies: Sequence[OwnedFile], rules: FileContext) -> bool:
    """Who asks for `auto` takes any answer."""
    wanted = want.file.chunking
    if wanted.auto or not [copy for copy in copies if copy.file.chunking not in (None, wanted)]:
        return False
    kept = newest_copy([copy for copy in copies if want.right(copy)], CopyState.OK, rules.now)
    return kept is not None and kept.file.chunking not in (None, wanted)
