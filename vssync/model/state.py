"""What the manifest wants and what the service has; times are whole seconds by the service's clock, sizes bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from vssync.model.marks import (
    DECLARED,
    NONE,
    STORE_OWNER,
    UNCOMPARED,
    Mark,
    Removal,
    StoreMark,
    UnreadableMark,
    parse_store_mark,
    short_digest,
)
from vssync.model.questions import QuestionSet
from vssync.model.service import ServiceSpec
from vssync.text import escape_control

Scalar = str | int | float | bool
Attributes = Mapping[str, Scalar]
CONNECTOR = "connector"  # stands for the purpose of Files that a connector brought
UploadIdentity = tuple[str, str]  # SHA-256 and upload name: uploads that agree in both are interchangeable


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a service splits a text, in tokens; size 0 leaves both to the service ("auto")."""

    size: int = 0
    overlap: int = 0

    @property
    def auto(self) -> bool:
        return self.size == 0

    def allows(self, reported: Chunking | None) -> bool:
        """Whether a service that was asked for this may report that; `auto` allows any, and some report none."""
        return self.auto or reported in (None, self)

    def __str__(self) -> str:
        return "auto" if self.auto else f"{self.size}/{self.overlap}"


AUTO = Chunking()


@dataclass(frozen=True, slots=True)
class Limit:
    """A guard's limit: a share of a store's files of ours (0..1, shown as "30%"), or `count`, a number of them."""

    share: float = 1.0
    count: int | None = None

    def __str__(self) -> str:
        return f"{100 * self.share:g}%" if self.count is None else str(self.count)


@dataclass(frozen=True, slots=True)
class Guards:
    """How much of a store one plan may delete or replace without a flag that allows more."""

    max_delete: Limit = Limit(share=0.3)
    max_replace: Limit = Limit(share=0.5)


@dataclass(frozen=True, slots=True)
class DesiredFile:
    """One file a store should hold; either `path` or `file_id` is set."""

    key: str
    filename: str
    attributes: Attributes
    chunking: Chunking = AUTO
    path: str = ""  # relative to the manifest's root
    file_id: str = ""  # of the File that the manifest declares, which was uploaded elsewhere
    size: int = 0
    sha256: str = ""  # empty until the bytes were read, and for a declared `file_id`
    source: str = ""  # as marks have it, of a file that is converted before its upload
    dated: tuple[str, ...] = ()  # names of attributes that are the date of its last commit

    @property
    def content(self) -> str:
        """The content as a mark names it."""
        return DECLARED if self.file_id else self.sha256

    @property
    def name_digest(self) -> str:
        """The upload name as a mark has it; none for a File that is declared by id, which keeps the name it has."""
        return NONE if self.file_id else short_digest(self.filename)

    @property
    def presumed_content(self) -> str:
        """The content in the mark of an adopted upload that was not compared: presumed to be this file's."""
        return f"{UNCOMPARED}{self.sha256}"

    @property
    def extension(self) -> str:
        """The extension a service judges the file by, as ".md"; empty without one."""
        return extension_of(self.filename)


def extension_of(path: str) -> str:
    """A file's extension in lower case, with its dot (".md"); empty without one, as for the hidden file `a/.md`."""
    stem, _, extension = path[path.rfind("/") + 1 :].rpartition(".")
    return f".{extension.lower()}" if stem.strip(".") else ""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What the manifest says of a store besides its files."""

    key: str
    name: str
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_after_days: int | None = None
    prune: bool = True
    protect: bool = False
    external: bool = False
    id: str = ""
    was: tuple[str, ...] = ()
    adopt: bool = False
    removed: Removal | None = None  # None for a store that stays
    guards: Guards = Guards()
    ignore_attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DesiredStore(StoreSettings):
    """One store the manifest declares; `files` are sorted by key, `skipped` maps a left-out key to why."""

    files: tuple[DesiredFile, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    tests: QuestionSet | None = None  # what it should answer

    @property
    def left_out(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of `skipped`, sorted, by the extension of those with an unsupported one, otherwise by why."""
        by_kind: dict[str, list[str]] = {}
        for key, why in sorted(self.skipped.items()):
            kind = extension_of(key) if why == "unsupported" else ""
            by_kind.setdefault(kind or why, []).append(key)
        return {kind: tuple(keys) for kind, keys in by_kind.items()}

    @property
    def settings(self) -> StoreSettings:
        """The store without its files."""
        return StoreSettings(**{setting.name: getattr(self, setting.name) for setting in fields(StoreSettings)})


@dataclass(frozen=True, slots=True)
class Desired:
    """A manifest resolved for one environment; `owner` is its name, or name/environment."""

    owner: str
    service: ServiceSpec
    stores: tuple[DesiredStore, ...]
    removed: tuple[DesiredStore, ...] = ()  # those that the manifest says to remove; they have no files


class FileStatus(StrEnum):
    """OpenAI spec: a vector store file's or batch's status; anything else a service says is UNKNOWN."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether the service is done with it, well or badly."""
        return self in (FileStatus.COMPLETED, FileStatus.CANCELLED, FileStatus.FAILED)


class StoreStatus(StrEnum):
    """OpenAI spec: a vector store's status; anything else a service says is UNKNOWN."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


UNSUPPORTED = "unsupported_file"  # the code of a refusal for a file's type
TYPE_WAYS_OUT = "`filename` or `formats` can give such a file another name, and `exclude` leaves it out"


@dataclass(frozen=True, slots=True)
class IngestError:
    """Why a service could not ingest a file: a code ("unsupported_file") and its own words."""

    code: str
    message: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.code, self.message)))

    @property
    def is_permanent(self) -> bool:
        """Whether it is about these bytes, so that another try would meet it again. Any other code may pass."""
        return self.code in (UNSUPPORTED, "invalid_file")

    @property
    def with_ways_out(self) -> str:
        """The error, and what to do where it is about the file's type."""
        return f"{self}; {TYPE_WAYS_OUT}" if self.code == UNSUPPORTED else str(self)


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A File attached to a store; `attributes` are without the mark. `chunking` is None where none is reported."""

    id: str
    status: FileStatus
    created_at: int
    attributes: Attributes = field(default_factory=dict)
    chunking: Chunking | None = None
    error: IngestError | None = None
    mark: Mark | UnreadableMark | None = None
    usage_bytes: int = 0  # of its text in the store; 0: none, or the service does not say
    reported_status: str = ""  # the service's own word, where it is UNKNOWN

    @property
    def owner(self) -> str:
        """The owner that its mark names; empty without a readable mark."""
        return self.mark.owner if isinstance(self.mark, Mark) else ""


@dataclass(frozen=True, slots=True)
class FileCounts:
    """How many files of a batch or store are in which status."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class LiveBatch:
    """A file batch; `file_ids` is None when its files were not, or could not be, listed completely."""

    id: str
    status: FileStatus
    created_at: int
    counts: FileCounts = FileCounts()
    file_ids: tuple[str, ...] | None = None
    reported_status: str = ""  # the service's own word, where it is UNKNOWN


@dataclass(frozen=True, slots=True)
class LiveStore:
    """A vector store as the service lists it, without its files."""

    id: str
    name: str
    status: StoreStatus
    created_at: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    last_active_at: int = 0  # when its files were last changed or searched; 0: not reported
    expires_after_days: int | None = None
    description: str = ""
    counts: FileCounts = FileCounts()

    @property
    def is_expired(self) -> bool:
        return self.status is StoreStatus.EXPIRED

    @property
    def mark(self) -> StoreMark | UnreadableMark | None:
        """The store's mark; None when it carries none."""
        text = self.metadata.get(STORE_OWNER)
        return None if text is None else parse_store_mark(text)

    @property
    def label(self) -> str:
        """Its name and id, as a message has them on one line."""
        return escape_control(f"{self.name} ({self.id})".strip())

    @property
    def claim(self) -> tuple[str, str]:
        """The owner and key that its mark names; empty without one, or where it names none."""
        mark = self.mark
        return mark.claim if mark else ("", "")

    @property
    def owner(self) -> str:
        """The owner that its mark names; empty without one, or where it names none."""
        return self.claim[0]


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded File object (OpenAI's `/files`); `purpose` is empty where it is not reported."""

    id: str
    filename: str
    size: int
    created_at: int
    purpose: str = ""
    sha256: str = ""  # of its bytes, where they were compared for adoption

    @property
    def is_connector_file(self) -> bool:
        """Whether a connector of the service put it into a store: nobody else can read, attach or delete it."""
        return self.purpose == CONNECTOR


class Verdict(StrEnum):
    """Whether a store's listing has every file."""

    WHOLE = "whole"  # at least as many as the service counts
    GHOSTS = "ghosts"  # readings from both ends agree on fewer: the count is wrong, as some services' is
    SHORT = "short"  # readings disagree, or nothing shows that they have all
    BARE = "bare"  # it leaves out the attributes of files, and their marks with them, so it is not used


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds."""

    files: tuple[LiveFile, ...] = ()  # those that the service lists
    batches: tuple[LiveBatch, ...] = ()  # unfinished ones; empty where they were not read
    batches_unlisted: bool = False  # by the service, so that only those are known that a run of ours noted
    count: int = 0  # of files, by the service
    verdict: Verdict = Verdict.WHOLE
    problem: str = ""  # why the service lists none of its files
    is_counted: bool = True  # otherwise `count` is how many files several readings showed

    @property
    def mismatch(self) -> str:
        """How many files there are and how many are listed, where these differ."""
        if not self.is_counted:
            return f"of {self.count:,} files that were listed, the last reading has {len(self.files):,}"
        return f"the service counts {self.count:,} files in it and lists {len(self.files):,}"

    @property
    def size(self) -> int:
        """How many files it has: as many as are listed, or where none can be, as many as the service counts."""
        return self.count if self.problem else len(self.files)

    @property
    def shortfall(self) -> str:
        """Why it is not known which files it has; empty where it is."""
        return self.problem or (self.mismatch if self.verdict is Verdict.SHORT else "")

    @property
    def unlisted(self) -> int:
        """How many files the service counts beyond `size`; nobody can say whose they are."""
        return 0 if self.verdict is Verdict.WHOLE else self.count - self.size


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One complete reading of the live state."""

    now: int
    stores: tuple[LiveStore, ...] = ()  # all that it lists, and those created here that it knows but does not list
    contents: Mapping[str, Contents] = field(default_factory=dict)  # by store id, of those this manifest concerns
    uploads: Mapping[str, Upload] = field(default_factory=dict)  # by File id, of unmarked files, for adoption
    created_here: Mapping[str, str] = field(default_factory=dict)  # keys by id, of stores that are this machine's
    gone_uploads: frozenset[str] = frozenset()  # ids of Files that stores list and that do not exist, where looked for
    stores_denied: int = 0  # the status that denied reading stores: then only those pinned by `id:` are known
    store_locations: Mapping[str, str] = field(default_factory=dict)  # in the manifest, by key; if messages need them
    # Of files whose marks name none: the SHA-256 that each may have, where it was looked for and is not in `uploads`.
    texts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    uncompared_bytes: int = 0  # size of the Files that were not compared, because only `--compare` reads so much


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One search result: a chunk's text, its file, and a score in 0..1; `store` is the key of the one it is from."""

    score: float
    filename: str
    file_id: str
    key: str
    attributes: Attributes
    text: str
    store: str = ""
