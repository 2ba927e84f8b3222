"""A store's live files by whose they are, and the desired files that copies of ours are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from vssync.model.digests import chunking_digest
from vssync.model.marks import KEY, NONE, Mark, Origin, key_digest
from vssync.model.plan import Copy
from vssync.model.state import DesiredFile, DesiredStore, FileStatus, LiveFile

MAX_INGESTION_AGE = 600  # seconds a file may be in progress before it counts as stalled

_chunking_digest = lru_cache(maxsize=256)(chunking_digest)  # a manifest has few


class CopyState(Enum):
    """What a copy is good for."""

    OK = "ok"  # completed: searches find it
    BUSY = "busy"  # being ingested
    DEAD = "dead"  # failed, cancelled or stalled


@dataclass(frozen=True, slots=True)
class OwnedCopy:
    """A live file with a mark of ours: one copy of a key."""

    file: LiveFile
    mark: Mark

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def key(self) -> str:
        """The key for people: what `vssync_key` says when the mark vouches for it, else its digest."""
        text = str(self.file.attributes.get(KEY, ""))
        tail = f"~{self.mark.key}"  # of a key too long for an attribute
        return text if text.endswith(tail) or key_digest(text) == self.mark.key else tail

    @property
    def upload_name(self) -> str:
        """The digest of the name under which we uploaded it; none for a File of others."""
        return self.mark.name if self.mark.origin is Origin.UPLOADED else NONE

    @property
    def evidence(self) -> Copy:
        """The copy as a plan records it: what its decision was based on."""
        return Copy.of(self.file)

    @property
    def is_refused(self) -> bool:
        """Whether the service refuses these bytes for good, so that trying again is of no use."""
        return self.file.error is not None and self.file.error.is_permanent

    def state(self, now: int) -> CopyState:
        """Its state at a time; one that is not done counts as dead once it is too old to be still at work."""
        if self.file.status is FileStatus.COMPLETED:
            return CopyState.OK
        is_busy = not self.file.status.ended and now - self.file.created_at <= MAX_INGESTION_AGE
        return CopyState.BUSY if is_busy else CopyState.DEAD


@dataclass(frozen=True, slots=True)
class DesiredEntry:
    """A desired file, with the digests of its key, content, chunking and upload name as marks hold them."""

    file: DesiredFile
    key_digest: str
    content: str
    chunking_digest: str
    name: str  # digest of the upload name

    @classmethod
    def of(cls, file: DesiredFile) -> DesiredEntry:
        """The entry of a file whose content was read, or that is declared by id."""
        if not file.sha256 and not file.file_id:
            raise ValueError(f"{file.key}: planned before its content was read")
        return cls(file, key_digest(file.key), file.content, _chunking_digest(file.chunking), file.name_digest)

    @property
    def key(self) -> str:
        return self.file.key

    @property
    def declared_id(self) -> str:
        """The id of the File that the manifest declares; empty for a file by path."""
        return self.file.file_id

    def has_same_content(self, copy: OwnedCopy) -> bool:
        """Whether a copy has the content.

        One adopted by name and size counts as having what it was taken for, and a converted one as having what the same
        converters made of the same source: a new conversion may give other bytes and is not better.
        """
        mark = copy.mark
        if self.declared_id:
            return mark.content == self.content and copy.id == self.declared_id
        if self.file.source and mark.source == self.file.source:
            return True
        return mark.content in (self.content, self.file.presumed_content)

    def has_same_name(self, copy: OwnedCopy) -> bool:
        """Whether a copy was uploaded under the wanted name; a File that others uploaded keeps the name it has."""
        return copy.upload_name in (self.name, NONE) or self.name == NONE

    def matches(self, copy: OwnedCopy) -> bool:
        """Whether a copy has the content, the chunking and the upload name."""
        return copy.mark.chunking == self.chunking_digest and self.has_same_content(copy) and self.has_same_name(copy)


def desired_entries(store: DesiredStore) -> tuple[DesiredEntry, ...]:
    """The desired files of a store, sorted by key."""
    return tuple(map(DesiredEntry.of, sorted(store.files, key=lambda file: file.key)))


@dataclass(frozen=True, slots=True)
class ClassifiedFiles:
    """All live files of a store, by whose they are."""

    ours: dict[str, list[OwnedCopy]]  # by key digest, each list oldest first
    unmarked: tuple[LiveFile, ...]  # without a mark that can be read
    foreign: dict[str, list[LiveFile]]  # others', by owner
    provisional: tuple[OwnedCopy, ...] = ()  # ours, attached and not yet marked for a key
    attached_ids: frozenset[str] = frozenset()  # of all of them

    @property
    def unreadable(self) -> tuple[LiveFile, ...]:
        """Those whose mark cannot be read: whose they are, nobody can say."""
        return tuple(file for file in self.unmarked if file.mark is not None)

    @property
    def our_keys(self) -> set[str]:
        """The keys of our copies, as people know them."""
        return {copies[-1].key for copies in self.ours.values()}

    @property
    def our_ids(self) -> set[str]:
        """The File ids of all our copies, provisional ones included."""
        return {copy.id for copies in (*self.ours.values(), self.provisional) for copy in copies}


def classify_files(files: Sequence[LiveFile], owners: Sequence[str]) -> ClassifiedFiles:
    """A store's files by whose they are; `owners` are those whose marks count as ours."""
    ours: dict[str, list[OwnedCopy]] = {}
    foreign: dict[str, list[LiveFile]] = {}
    unmarked: list[LiveFile] = []
    provisional: list[OwnedCopy] = []
    for file in files:
        mark = file.mark
        if not isinstance(mark, Mark):
            unmarked.append(file)
        elif mark.owner in owners and mark.is_provisional:
            provisional.append(OwnedCopy(file, mark))
        elif mark.owner in owners:
            ours.setdefault(mark.key, []).append(OwnedCopy(file, mark))
        else:
            foreign.setdefault(mark.owner, []).append(file)
    for copies in (*ours.values(), provisional):
        copies.sort(key=lambda copy: creation_order(copy.file))
    return ClassifiedFiles(
        ours=ours,
        unmarked=tuple(sorted(unmarked, key=creation_order)),
        foreign=foreign,
        provisional=tuple(provisional),
        attached_ids=frozenset(file.id for file in files),
    )


def creation_order(file: LiveFile) -> tuple[int, str]:
    """The sort key that puts the newest file last."""
    return file.created_at, file.id
