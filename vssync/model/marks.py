"""Marks: how a live object says who owns it and what it was made from. Nothing else encodes or decodes them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from sys import intern
from typing import TypeVar

from vssync.limits import MAX_PAIRS, MAX_VALUE_LENGTH
from vssync.text import shorten_middle

KEY = "vssync_key"
MARK = "vssync_mark"
STORE_OWNER = "vssync_owner"
STORE_PROTECT = "vssync_protect"
STORE_BATCHES = "vssync_batches"
STORE_APPLIED = "vssync_applied"
RESERVED_PREFIX = "vssync_"
UNCOMPARED, DECLARED = "?", "id"
ADOPTING = "adopting"  # in a store's mark instead of the digest of its settings
NEEDS_ATTRIBUTES = "without attributes no file can carry the mark that says who owns it"
NEEDS_METADATA = "without metadata no store can carry the mark that says who owns it"
PROVISIONAL = "0" * 16  # the key of a copy that was attached and not yet marked for itself
NONE = "-"  # in a mark: no upload name of ours, or no conversion

_Value = TypeVar("_Value")
_HEX16 = r"[0-9a-f]{16}"
_OWNER = r"[^;\x00-\x1f]{1,140}"
_CONVERTERS = r"[a-z0-9][a-z0-9._+-]{0,63}"
_FILE_MARK = re.compile(
    rf"v1;({_OWNER});({_HEX16});(\??[0-9a-f]{{64}}|id|\?);({_HEX16});({_HEX16});([uda]);([0-9]{{1,4}})"
    rf";(-|{_HEX16});(-|[0-9a-f]{{64}}\.{_CONVERTERS})(?:;({_HEX16}))?"
)
_STORE_MARK = re.compile(rf"v1;({_OWNER});([^;]{{1,140}});({_HEX16}|{ADOPTING})(?:;((?:[0-9a-f]{{8}})*))?")
_COMMIT = re.compile(r"[0-9a-f]{7,64}\+?")
_RUN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_STAMP = re.compile(rf"({_TIME});((?:{_COMMIT.pattern})?);([^;\x00-\x1f]{{0,100}});((?:{_RUN.pattern})?)")
_VERSION = re.compile(r"v([0-9]{1,6});")


class Origin(StrEnum):
    """Who made the File that is attached."""

    UPLOADED = "u"
    DECLARED = "d"
    ADOPTED = "a"


class AnyMark:
    """What a file carries as its mark: a Mark, or an UnreadableMark. Its text is what `str` gives."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Mark(AnyMark):
    """A store file's mark: v1;owner;key;content;chunking;attributes;origin;tries;name;source[;echo] in `vssync_mark`.

    `content` is the SHA-256 of the bytes, or `id` for a File declared by id. For a file adopted without a comparison it
    is `?` and the SHA-256 of the manifest's file at that time: the upload counts as that until the file is edited. In a
    provisional mark it is `?` alone. `tries` counts the runs that tried to ingest these bytes. `name_digest` is of the
    upload name, `-` for a File declared by id. `source` is `-`, or for a converted upload the SHA-256 of the file it
    was made from, a dot, and the set of converters. `echo` is the digest of the attributes that the service reported,
    where they differ from those sent.
    """

    owner: str
    key_digest: str
    content: str
    chunking_digest: str
    attributes_digest: str
    origin: Origin = Origin.UPLOADED
    tries: int = 1
    name_digest: str = NONE
    source: str = NONE
    echo: str = ""

    def __str__(self) -> str:
        identity = ("v1", self.owner, self.key_digest, self.content, self.chunking_digest, self.attributes_digest)
        upload = (self.origin, str(self.tries), self.name_digest, self.source)
        return ";".join([*identity, *upload, *([self.echo] if self.echo else [])])

    @property
    def is_uncompared(self) -> bool:
        """Whether nobody has compared the content: the file was adopted by name and size."""
        return self.content.startswith(UNCOMPARED)

    @property
    def is_provisional(self) -> bool:
        """Whether the copy was attached together with others and not yet marked for itself."""
        return self.key_digest == PROVISIONAL

    def as_provisional(self) -> Mark:
        """The mark that files attached together share until each gets its own: this owner's, of no key."""
        return Mark(self.owner, PROVISIONAL, UNCOMPARED, PROVISIONAL, PROVISIONAL)


@dataclass(frozen=True, slots=True)
class StoreMark:
    """A store's mark: v1;owner;key;settings[;names] in `vssync_owner`.

    `settings_digest` is of the settings last applied, or `adopting` from before the first file is adopted until nothing
    is left to adopt. `names` has the tag of each metadata key that we set: of these, a key dropped from the manifest is
    removed.
    """

    owner: str
    key: str
    settings_digest: str
    names: str = ""

    def __str__(self) -> str:
        return ";".join(["v1", self.owner, self.key, self.settings_digest, *([self.names] if self.names else [])])

    @property
    def claim(self) -> tuple[str, str]:
        return self.owner, self.key

    @property
    def is_adopting(self) -> bool:
        """Whether files may be left that were in the store before it was taken over and are not marked yet."""
        return self.settings_digest == ADOPTING

    def as_adopting(self) -> StoreMark:
        """The mark while files are being adopted."""
        return replace(self, settings_digest=ADOPTING)

    def set_by_us(self, metadata_key: str) -> bool:
        tag = name_tag(metadata_key)
        return any(self.names[start : start + 8] == tag for start in range(0, len(self.names), 8))


@dataclass(frozen=True, slots=True)
class ApplyStamp:
    """The last apply that left a store as its manifest wants it: time;commit;actor;run in `vssync_applied`.

    It is shown, and a run sees by it that another one ended meanwhile. The time is in UTC, as in 2026-11-27T14:02:31Z;
    the others may be empty.
    """

    commit: str = ""  # `+` after it: with changes that were not committed
    actor: str = ""
    run: str = ""
    time: str = ""

    def __str__(self) -> str:
        return ";".join((self.time, self.commit, self.actor, self.run))

    @classmethod
    def of(cls, commit: str, actor: str, run: str) -> ApplyStamp:
        """A stamp without its time; a commit or run of another form is left out, an actor is cut."""
        printable = "".join(char for char in actor if char.isprintable() and char != ";")
        return cls(
            commit if _COMMIT.fullmatch(commit) else "", printable[:100].strip(), run if _RUN.fullmatch(run) else ""
        )


def parse_stamp(text: str) -> ApplyStamp | None:
    """A store's stamp from its text; None if the text is not one."""
    match = _STAMP.fullmatch(text)
    return ApplyStamp(match[2], match[3], match[4], match[1]) if match else None


class Removal(StrEnum):
    """What becomes of a store that the manifest says to remove."""

    DELETE = "delete"  # it goes, with our files
    KEEP = "keep"  # only our marks go


def without_ours(values: Mapping[str, _Value]) -> dict[str, _Value]:
    """Attributes or metadata without those that we leave on a live object."""
    return {name: value for name, value in values.items() if not name.startswith(RESERVED_PREFIX)}


def fit_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """A store's metadata, without the stamp where there is no room for it."""
    fits = len(metadata) <= MAX_PAIRS
    return {name: value for name, value in metadata.items() if fits or name != STORE_APPLIED}


@dataclass(frozen=True, slots=True)
class UnreadableMark(AnyMark):
    """Text in the place of a mark that this version cannot read; `version` is set if a newer version wrote it."""

    text: str
    version: int | None = None

    def __str__(self) -> str:
        return self.text

    @property
    def claim(self) -> tuple[str, str]:
        """The owner and key in a newer version's mark: in every version these come first. Empty for any other text."""
        _, owner, key = (f"{self.text};;".split(";", 3) if self.version else ("", "", ""))[:3]
        return owner, key

    @property
    def problem(self) -> str:
        """Why it cannot be read."""
        if self.version:
            return f"its mark has version {self.version}, which a newer vssync wrote"
        return f"its mark is not one: {shorten_middle(self.text, 40) or 'it is empty'}"


def is_our_upload(mark: AnyMark | None, owner: str) -> bool:
    """Whether a mark says that its File is an upload of this owner's, not one that was declared or adopted."""
    return isinstance(mark, Mark) and mark.owner == owner and mark.origin is Origin.UPLOADED


def parse_mark(text: str) -> Mark | UnreadableMark:
    """A file's mark from its text. What many marks have in common is kept once."""
    if match := _FILE_MARK.fullmatch(text):
        owner, key, content, chunking, attributes, origin, tries, name, source, echo = match.groups()
        owner, chunking = intern(owner), intern(chunking)
        return Mark(owner, key, content, chunking, attributes, Origin(origin), int(tries), name, source, echo or "")
    return _unreadable(text)


def parse_store_mark(text: str) -> StoreMark | UnreadableMark:
    if match := _STORE_MARK.fullmatch(text):
        return StoreMark(*match.groups(default=""))
    return _unreadable(text)


def _unreadable(text: str) -> UnreadableMark:
    match = _VERSION.match(text)
    version = int(match.group(1)) if match else None
    return UnreadableMark(text, version if version and version > 1 else None)


def short_digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def key_digest(key: str) -> str:
    """A key's identity: the digest of its NFC form."""
    return short_digest(unicodedata.normalize("NFC", key))


def name_tag(metadata_key: str) -> str:
    """How a store's mark names a metadata key."""
    return key_digest(metadata_key)[:8]


def key_attribute(key: str) -> str:
    """What `vssync_key` holds: the key, cut and closed with its digest where it is too long."""
    text = unicodedata.normalize("NFC", key)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 17]}~{key_digest(key)}"


def read_batch_note(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The ids of unfinished batches that a store's metadata names; nothing depends on their being complete."""
    return tuple(metadata.get(STORE_BATCHES, "").replace(",", " ").split())


def batch_note_text(batch_ids: Sequence[str]) -> str:
    """The note of a store's unfinished batches: the newest ids, as many as a metadata value holds."""
    newest: list[str] = []
    for batch_id in reversed(batch_ids):
        if len(",".join([batch_id, *newest])) > MAX_VALUE_LENGTH:
            break
        newest.insert(0, batch_id)
    return ",".join(newest)
