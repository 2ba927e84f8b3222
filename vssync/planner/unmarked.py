"""Which unmarked files stand in the place of desired ones, and which of them must be compared to know."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from vssync.model.marks import Mark, key_digest
from vssync.model.plan import Options
from vssync.model.state import Desired, DesiredFile, DesiredStore, FileStatus, LiveFile, Snapshot, Upload
from vssync.planner.addresses import Scope
from vssync.planner.classify import DesiredEntry
from vssync.planner.context import StorePlanContext
from vssync.planner.find_stores import StoreMatch, match_stores


class Likeness(Enum):
    """How an unmarked file is like the desired one in whose place it stands."""

    SAME = "same"  # the same bytes, or the File that is declared
    UNREAD = "unread"  # the same name and size; nobody compared the bytes
    OTHER = "other"  # the same name


@dataclass(frozen=True, slots=True)
class Candidate:
    """An unmarked file that stands in a desired file's place."""

    file: LiveFile
    likeness: Likeness


def find_candidates(
    entries: Sequence[DesiredEntry], unmarked: Sequence[LiveFile], context: StorePlanContext
) -> dict[str, Candidate]:
    """The candidate of each entry that has one, by key.

    That is the File it declares; else one with its bytes, of its upload name if there is one; else the only one of its
    name and size that was not compared; and, while the store's adoption goes on, the only one of its name.
    """
    by_id = {file.id: file for file in unmarked if file.mark is None}
    declared = [entry for entry in entries if entry.declared_id in by_id]
    candidates = {entry.key: Candidate(by_id[entry.declared_id], Likeness.SAME) for entry in declared}
    declared_ids = {entry.declared_id for entry in entries}
    uploads = context.common.snapshot.uploads
    free = {
        file.id: (file, uploads[file.id])
        for file in unmarked
        if _is_adoptable(file) and file.id in uploads and file.id not in declared_ids
    }
    for likeness, form in _FORMS if context.is_adopting else _FORMS[:-1]:
        open_entries = [entry for entry in entries if not (entry.declared_id or entry.key in candidates)]
        for key, file in _pair(open_entries, list(free.values()), likeness, form):
            candidates[key] = Candidate(file, likeness)
            del free[file.id]
    return candidates


Form = Callable[[DesiredFile | Upload], Hashable]
_FORMS: tuple[tuple[Likeness, Form], ...] = (  # what must be equal, the surest first
    (Likeness.SAME, lambda file: (file.filename, file.sha256)),
    (Likeness.SAME, lambda file: file.sha256),
    (Likeness.UNREAD, lambda file: (file.filename, file.size)),
    (Likeness.OTHER, lambda file: file.filename),
)


def _pair(
    entries: Sequence[DesiredEntry], free: Sequence[tuple[LiveFile, Upload]], likeness: Likeness, form: Form
) -> Iterator[tuple[str, LiveFile]]:
    """The keys with a file that is like theirs, and like no other; of equal bytes, any file will do."""
    files: dict[Hashable, list[LiveFile]] = {}
    for file, upload in free:
        if likeness is not Likeness.UNREAD or not upload.sha256:
            files.setdefault(form(upload), []).append(file)
    keys: dict[Hashable, list[str]] = {}
    for entry in entries:
        keys.setdefault(form(entry.file), []).append(entry.key)
    for value, alike in keys.items():
        candidates = files.get(value, [])
        if likeness is Likeness.SAME or len(alike) == len(candidates) == 1:
            yield from zip(alike, candidates, strict=False)


def _is_adoptable(file: LiveFile) -> bool:
    """Whether a file may be taken for a desired one: it has no mark, and searches find it."""
    return file.mark is None and file.status is FileStatus.COMPLETED


@dataclass(frozen=True, slots=True)
class PendingComparison:
    """An unmarked file in a store, and the desired files that it is to be compared with."""

    store_id: str
    upload: Upload
    files: tuple[DesiredFile, ...]


def comparisons_for_adoption(desired: Desired, snapshot: Snapshot, options: Options) -> Iterator[PendingComparison]:
    """What must be compared before files are adopted: those with the size of a file without a copy.

    Names do not count: some services change them.
    """
    matches, scope = match_stores(desired, snapshot.stores, options, snapshot.made_here), Scope.of(options)
    for store in (store for store in desired.stores if options.adopt or store.adopt):
        for live in matches.by_key.get(store.key, StoreMatch()).live:
            files = snapshot.contents[live.id].files
            missing = _files_without_copy(store, files, (desired.owner, *options.adopt_from), scope)
            for file in files:
                upload = snapshot.uploads.get(file.id)
                if upload and _is_adoptable(file) and (alike := missing.get(upload.size)):
                    yield PendingComparison(live.id, upload, tuple(alike))


def _files_without_copy(
    store: DesiredStore, files: Sequence[LiveFile], owners: Sequence[str], scope: Scope
) -> dict[int, list[DesiredFile]]:
    """The desired files in scope that no mark of ours names, by size."""
    marks = [file.mark for file in files if isinstance(file.mark, Mark)]
    marked_keys = {mark.key for mark in marks if mark.owner in owners}
    missing: dict[int, list[DesiredFile]] = {}
    for file in store.files:
        if not file.file_id and key_digest(file.key) not in marked_keys and scope.contains(store.key, file.key):
            missing.setdefault(file.size, []).append(file)
    return missing
