"""A plan: what will be done to which object and why, and what each decision was based on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from vssync.model import state
from vssync.model.marks import AnyMark
from vssync.model.service import ServiceSpec
from vssync.model.state import Attributes, DesiredFile, FileStatus, Limit, LiveFile, Scalar, StoreSettings


class Action(StrEnum):
    """What will be done to an object."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    ADOPT = "adopt"
    AWAIT = "await"  # as desired, and still being ingested
    CANCEL = "cancel"
    REFUSE = "refuse"  # nothing is done: it needs attention


class Reason(StrEnum):
    """Why. Several may hold for one change. Its words are in `render/wording.py`, its name in the schemas of plans."""

    MISSING = "missing"  # desired, and not live
    CONTENT_CHANGED = "content_changed"
    CONVERTER_CHANGED = "converter_changed"  # the document is the same, and another converter set reads it otherwise
    CHUNKING_CHANGED = "chunking_changed"
    ATTRIBUTES_CHANGED = "attributes_changed"  # the manifest changed
    DRIFTED = "drifted"  # somebody else changed it
    RENAMED = "renamed"  # another upload name
    MOVED = "moved"  # same bytes, new key
    SUPERSEDED = "superseded"  # another copy of the same key is kept
    NOT_IN_MANIFEST = "not_in_manifest"
    DRAFT = "draft"  # its front matter says so now
    IGNORED = "ignored"  # its file is there, and a `.gitignore` names it now
    REMOVED = "removed"  # the manifest says `removed: delete`
    RELEASED = "released"  # the manifest says `removed: keep`: our marks go, and nothing else
    DESTROY = "destroy"  # everything of this owner goes
    INGESTING = "ingesting"  # a copy as desired is being ingested
    INGEST_FAILED = "ingest_failed"
    INGEST_CANCELLED = "cancelled"
    STALLED = "stalled"  # in progress past the deadline
    REFUSED = "refused"  # the service cannot read these bytes
    REQUESTED = "requested"  # --replace
    UNMARKED = "unmarked"  # exists without our mark
    UNCOMPARED = "uncompared"  # its content could not be compared
    UNREADABLE = "unreadable"  # its mark cannot be read
    SETTINGS_CHANGED = "settings_changed"
    EXPIRED = "expired"
    UNWANTED = "unwanted"  # a batch with mostly files that are not wanted as they are
    OTHER_OWNER = "other_owner"
    DECLARED = "declared"  # its upload is declared by id now
    FILE_GONE = "file_gone"  # the File that is declared does not exist
    ATTACHED = "attached"  # its File is in the store already, for another key
    PROTECTED = "protected"
    NOT_ALLOWED = "not_allowed"  # needs a flag; `detail` names it
    SHARED_CHUNKS = "shared_chunks"  # a file of the same text goes first, and search finds this one after that
    DENIED = "denied"  # this credential may not read stores themselves; `detail` says what then
    IMPOSSIBLE = "impossible"  # the service cannot do it; `detail` says what
    UNLISTED = "unlisted"  # not all of a store's files could be listed


# Why a key that is live is wanted no more.
REASONS_TO_LEAVE = frozenset((Reason.NOT_IN_MANIFEST, Reason.IGNORED, Reason.DRAFT))
# Of what is left out of a store (`DesiredStore.skipped`), what does not stay live; the rest keeps its live copy.
REASON_BY_SKIP = {"draft": Reason.DRAFT, "ignored": Reason.IGNORED, "linked": Reason.NOT_IN_MANIFEST}


class NoteKind(StrEnum):
    """What a plan shows and never executes."""

    KEPT = "kept"  # left the manifest, and prune is off
    SKIPPED = "skipped"  # left out, and its live copy is kept
    UNMANAGED = "unmanaged"  # without our mark, counted
    FOREIGN = "foreign"  # another owner's, counted
    SHARED_KEY = "shared_key"  # another owner has a file of the same key in the store
    FOREIGN_BATCH = "foreign_batch"
    ADOPTABLE = "adoptable"  # would be adopted with --adopt; the create is held back
    INCOMPARABLE = "incomparable"  # has its name and size, but was not compared; the create is held back
    UNCOMPARED = "uncompared"  # adopted, and nobody has compared the content
    CHUNKING_REPORT = "chunking_report"  # the service reports other chunking than was asked for
    ATTRIBUTES_REPORT = "attributes_report"  # the service reports other attributes than were sent
    NO_TEXT = "no_text"  # completed, and the service found no text to search in
    LINE_ENDS = "line_ends"  # changed, and only their line ends differ from the live copies'
    EQUAL_TEXTS = "equal_texts"  # files of one text, where search finds only one of them
    DESCRIPTION = "description"  # cannot be changed in place
    UPLOAD_GONE = "upload_gone"  # the store lists a file whose File does not exist
    LEFT_STORE = "left_store"  # a store of ours that left the manifest, and is kept
    PINNED_ONLY = "pinned_only"  # stores themselves cannot be read, so only those pinned by `id:` are planned
    LOST_QUESTION = "lost_question"  # the documents that a question expects go, or its filter leaves them out
    GHOSTS = "ghosts"  # the service counts more files than it has


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit, under the name by which somebody asked for it."""

    name: str
    commit: str

    def __str__(self) -> str:
        short = self.commit[:7]
        return short if self.commit.startswith(self.name) else f"{self.name} ({short})"


@dataclass(frozen=True, slots=True)
class RecordedCopy:
    """One live copy of a key, as the plan saw it."""

    id: str
    status: FileStatus
    created_at: int
    mark: AnyMark | None = None
    error: str = ""
    filename: str = ""  # its upload's, where an unmarked file is taken over

    @classmethod
    def of(cls, file: LiveFile) -> RecordedCopy:
        return cls(file.id, file.status, file.created_at, file.mark, str(file.error or ""))


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One attribute or setting; None is absent. `drifted` is set when somebody else changed it."""

    name: str
    before: Scalar | None
    after: Scalar | None
    drifted: bool = False


@dataclass(frozen=True, slots=True)
class GuardChange:
    """A setting that decides what an apply may do, and that a change changes; `store` is empty for the manifest's."""

    field: str
    store: str
    base: Scalar | None
    head: Scalar | None
    location: str = ""  # in the head's manifest, such as vssync.yaml:12:5


@dataclass(frozen=True, slots=True)
class FileChange:
    """What will be done to one key of a store.

    `keep` is the copy the change is about: the one to update, to wait for, or the one that serves until its
    replacement works. `drop` are copies to detach, each only after the kept or new copy was read as completed; with
    `gap` they go first, and searches miss the file meanwhile. `preserve` are live attributes that others own: a write
    replaces the whole map, so they are sent along. `reuse` is a File to attach instead of uploading. `was` is the key
    it had, when moved.
    """

    store: str  # the store's key
    key: str
    action: Action
    reasons: tuple[Reason, ...]
    desired: DesiredFile | None = None
    keep: RecordedCopy | None = None
    drop: tuple[RecordedCopy, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    preserve: Attributes = field(default_factory=dict)
    tries: int = 1
    reuse: str = ""
    gap: bool = False
    was: str = ""
    detail: str = ""

    @property
    def attaches(self) -> bool:
        return self.action in (Action.CREATE, Action.REPLACE)

    @property
    def takes_over(self) -> bool:
        """Whether it adopts an unmarked file, or puts a new copy in its place."""
        return Reason.UNMARKED in self.reasons and self.action in (Action.ADOPT, Action.REPLACE)

    @property
    def leaving_ids(self) -> set[str]:
        """The ids of the copies that go, with the one that is replaced."""
        replaced = (self.keep,) if self.keep and self.action is Action.REPLACE else ()
        return {copy.id for copy in (*self.drop, *replaced)}

    def refused(self, *reasons: Reason, detail: str) -> FileChange:
        """The refusal of this change, for these reasons besides its own."""
        all_reasons = (*self.reasons, *reasons)
        return replace(self, action=Action.REFUSE, reasons=all_reasons, drop=(), reuse="", gap=False, detail=detail)


@dataclass(frozen=True, slots=True)
class StoreChange:
    """What will be done to a store itself."""

    action: Action
    reasons: tuple[Reason, ...]
    fields: tuple[FieldChange, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)  # the whole map to send
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BatchChange:
    """What will be done about a live batch of ours: wait for it, or cancel it."""

    id: str
    action: Action
    reasons: tuple[Reason, ...]
    counts: state.FileCounts
    unwanted: tuple[str, ...] = ()  # keys no longer wanted as they are
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to show of a store: of one object, of as many as `count` says, or of the store itself."""

    kind: NoteKind
    key: str = ""  # of the file, a batch's id, or a question; empty where files are only counted
    count: int = 1  # of files: all of that kind, or all in the batch or store
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StorePlan:
    """All that will be done to one store and in it; the counts are of files, and guards take shares of `owned`."""

    key: str
    name: str
    id: str = ""  # empty until it exists
    desired: StoreSettings | None = None  # None when it left the manifest
    change: StoreChange | None = None  # of the store itself
    files: tuple[FileChange, ...] = ()
    batches: tuple[BatchChange, ...] = ()
    notes: tuple[Note, ...] = ()
    unchanged: int = 0
    owned: int = 0  # live keys of ours, before anything is done
    live: int = 0  # every file the service lists, or as many as it counts where it lists none
    unlisted: int = 0  # files that it counts beyond those
    wanted: int = 0  # files of the manifest
    unproven: tuple[str, ...] = ()  # extensions to add that neither the provider nor a completed file vouches for
    unrelated: bool = False  # no live file of ours is wanted, not even under another key
    digest: str = ""  # of the content the manifest wants
    live_digest: str = ""  # of the content it holds under our marks: empty where it was not read, or "unknown"
    applied: str = ""  # the live store's stamp
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # keys, as `DesiredStore.left_out` has them

    @property
    def action(self) -> Action | None:
        """What will be done to the store itself; None where that is nothing."""
        return self.change.action if self.change else None

    @property
    def store_key(self) -> str:
        """The key that its manifest gives it, by which it can be addressed: `key` may end in `@id` to be unique."""
        return self.key.partition("@")[0]

    @property
    def managed(self) -> StoreSettings | None:
        """What is desired of a store that stays managed; None for one that left the manifest or is to be removed."""
        return None if self.desired is None or self.desired.removed else self.desired

    @property
    def unmanaged(self) -> int | None:
        """Live files that are not ours, with those that the plan takes over; None where a refusal left them unread."""
        if self.change and self.change.action is Action.REFUSE and not self.live_digest:
            return None
        others = (note.count for note in self.notes if note.kind in (NoteKind.UNMANAGED, NoteKind.FOREIGN))
        return sum(others) + sum(change.takes_over for change in self.files)


@dataclass(frozen=True, slots=True)
class Options:
    """The options a plan was made with, saved with it; addresses may be globs."""

    manifest: str = ""  # in its git work tree, so that it is good in every checkout; without one, as typed
    env: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    session_options: tuple[str, ...] = ()  # such as `--region x`, as typed; printed commands repeat them

    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    adopt: bool = False
    adopt_from: tuple[str, ...] = ()  # owners
    compare: bool = False
    replace: tuple[str, ...] = ()
    retry_failed: bool = False
    allow_gap: bool = False
    allow_store_deletes: bool = False
    allow_store_replace: bool = False
    delete_unmanaged: int | None = None
    delete_unlisted: tuple[str, ...] = ()  # keys or ids of stores
    max_delete: Limit | None = None
    max_replace: Limit | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing of this plan may be written."""

    message: str
    store: str = ""  # the key of the store it is about; empty when it concerns the whole plan
    way_out: tuple[str, ...] = ()  # hints and commands, each a line


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of a plan's last line: of files, unless the comment says otherwise."""

    add: int = 0
    change: int = 0
    replace: int = 0
    delete: int = 0
    adopt: int = 0
    wait: int = 0
    refuse: int = 0
    held: int = 0  # held back: no apply uploads them before a person acts
    unchanged: int = 0
    gone: int = 0  # listed, and their Files do not exist
    stores: int = 0  # stores that change, come, go, or need attention themselves
    left: int = 0  # stores of ours that the manifest does not declare, and that stay
    cancel: int = 0  # batches


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be done; stores are sorted by key."""

    owner: str
    service: ServiceSpec
    stores: tuple[StorePlan, ...] = ()
    options: Options = Options()
    refusals: tuple[Refusal, ...] = ()
    declared: int = 0  # stores of the manifest, in scope or not
    batches_unlisted: bool = False  # the service does not list batches, so those of others are not known
    lookups: int = 0  # requests of its cost that are about other stores, and about what the service can do

    def changes(self) -> Iterator[StoreChange | FileChange | BatchChange]:
        for store in self.stores:
            if store.change:
                yield store.change
            yield from store.batches
            yield from store.files

    @property
    def empty(self) -> bool:
        """Whether there is no change. All may still not be as declared: `find_convergence` says so."""
        return next(self.changes(), None) is None
