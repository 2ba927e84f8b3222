"""A store's live files grouped by owner, and the desired files that copies of ours are compared with.

A *copy* of a key is a live file whose mark names that key; while a file is replaced, there are several.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from vssync.model.digests import chunking_digest
from vssync.model.marks import KEY, NONE, Mark, Origin, key_digest
from vssync.model.plan import RecordedCopy
from vssync.model.state import DesiredFile, DesiredStore, FileStatus, LiveFile

MAX_INGESTION_AGE = 600  # seconds a file may be in progress before it counts as stalled

_chunking_digest = lru_cache(maxsize=256)(chunking_digest)  # a manifest has few


class CopyState(Enum):
    """What a copy is good for."""

    COMPLETED = "completed"  # searches find it
    INGESTING = "ingesting"
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
        """The key for people: `vssync_key` if the mark's digest agrees with it, else `~` and that digest.

        In `vssync_key`, a key too long for an attribute is shortened, and ends in `~` and its digest.
        """
        text = str(self.file.attributes.get(KEY, ""))
        tail = f"~{self.mark.key_digest}"
        return text if text.endswith(tail) or key_digest(text) == self.mark.key_digest else tail

    @property
    def upload_name_digest(self) -> str:
        """The digest of the name under which we uploaded it; NONE for a File that others uploaded."""
        return self.mark.name_digest if self.mark.origin is Origin.UPLOADED else NONE

    @property
    def recorded(self) -> RecordedCopy:
        return RecordedCopy.of(self.file)

    @property
    def is_rejected(self) -> bool:
        """Whether the service rejects these bytes permanently, so that another try would fail as well."""
        return self.file.error is not None and self.file.error.is_permanent

    def state(self, now: int) -> CopyState:
        """The copy's state at `now`; one still in progress counts as dead once it is older than MAX_INGESTION_AGE."""
        if self.file.status is FileStatus.COMPLETED:
            return CopyState.COMPLETED
        is_ingesting = not self.file.status.ended and now - self.file.created_at <= MAX_INGESTION_AGE
        return CopyState.INGESTING if is_ingesting else CopyState.DEAD


Copies = Sequence[OwnedCopy]  # copies that one decision covers, oldest first; as a rule all of one key


@dataclass(frozen=True, slots=True)
class DigestedFile:
    """A desired file, with the digests of its key, content, chunking and upload name as marks hold them."""

    file: DesiredFile
    key_digest: str
    content: str  # as marks name it: a SHA-256, or DECLARED
    chunking_digest: str
    name_digest: str

    @classmethod
    def of(cls, file: DesiredFile) -> DigestedFile:
        """Digests a file whose content was read, or that is declared by id."""
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

        A copy adopted by name and size alone counts as having the content of the file that it was adopted for: its mark
        has `presumed_content`. One converted from the same source by the same converters counts, whatever its bytes.
        The `source` of a file that is not converted is empty, which that of a mark never is.
        """
        mark = copy.mark
        if self.declared_id:
            return copy.id == self.declared_id
        return mark.source == self.file.source or mark.content in (self.content, self.file.presumed_content)

    def has_same_source(self, copy: OwnedCopy) -> bool:
        """Whether a copy was converted from the same document, by whatever converters."""
        source, _, _ = self.file.source.partition(".")
        return bool(source) and copy.mark.source.partition(".")[0] == source

    def has_same_name(self, copy: OwnedCopy) -> bool:
        """Whether a copy was uploaded under the wanted name; a File of others or declared by id keeps its name."""
        return copy.upload_name_digest in (self.name_digest, NONE) or self.name_digest == NONE

    def matches(self, copy: OwnedCopy) -> bool:
        has_same_chunking = copy.mark.chunking_digest == self.chunking_digest
        return has_same_chunking and self.has_same_content(copy) and self.has_same_name(copy)


def digest_files(store: DesiredStore) -> tuple[DigestedFile, ...]:
    return tuple(map(DigestedFile.of, sorted(store.files, key=lambda file: file.key)))


@dataclass(frozen=True, slots=True)
class ClassifiedFiles:
    """All live files of a store, grouped by owner; each list is oldest first."""

    ours: dict[str, list[OwnedCopy]] = field(default_factory=dict)  # by key digest
    provisional: list[OwnedCopy] = field(default_factory=list)  # ours, attached and not yet marked for a key
    foreign: dict[str, list[LiveFile]] = field(default_factory=dict)  # others', by owner
    unmarked: list[LiveFile] = field(default_factory=list)
    unreadable: list[LiveFile] = field(default_factory=list)  # with a mark that cannot be read, so of an unknown owner
    attached_ids: frozenset[str] = frozenset()  # of all of them

    @property
    def our_keys(self) -> set[str]:
        """The keys of our copies, as people know them."""
        return {copies[-1].key for copies in self.ours.values()}

    @property
    def our_copies(self) -> list[OwnedCopy]:
        """All our copies, provisional ones included."""
        return [copy for copies in (*self.ours.values(), self.provisional) for copy in copies]

    @property
    def others(self) -> list[LiveFile]:
        """All files that are not known to be ours."""
        return [*self.unmarked, *self.unreadable, *(file for files in self.foreign.values() for file in files)]

    @property
    def our_ids(self) -> set[str]:
        return {copy.id for copy in self.our_copies}


def classify_files(files: Sequence[LiveFile], owners: Collection[str]) -> ClassifiedFiles:
    """A store's files grouped by owner; `owners` are those whose marks count as ours."""
    classified = ClassifiedFiles(attached_ids=frozenset(file.id for file in files))
    for file in sorted(files, key=_creation_order):
        mark = file.mark
        if mark is None:
            classified.unmarked.append(file)
        elif not isinstance(mark, Mark):
            classified.unreadable.append(file)
        elif mark.owner not in owners:
            classified.foreign.setdefault(mark.owner, []).append(file)
        elif mark.is_provisional:
            classified.provisional.append(OwnedCopy(file, mark))
        else:
            classified.ours.setdefault(mark.key_digest, []).append(OwnedCopy(file, mark))
    return classified


def oldest_first(*copies: OwnedCopy) -> list[OwnedCopy]:
    return sorted(copies, key=lambda copy: _creation_order(copy.file))


def _creation_order(file: LiveFile) -> tuple[int, str]:
    """The sort key that puts the newest file last."""
    return file.created_at, file.id
