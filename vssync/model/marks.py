"""Marks: how a live object says whose it is and what it was made from. Nothing else encodes or decodes them.

A store file of ours carries two attributes:

    vssync_key   its key, for people and search filters; over 512 characters it is cut and ends in a digest
    vssync_mark  v1;owner;key;content;chunking;attributes;origin;tries[;echo]

A store of ours carries `vssync_owner` in its metadata: v1;owner;store key;settings[;names], where names are the
first 8 hex digits of the key digest of each metadata key we set, so that a key dropped from the manifest can be
removed without touching those of others.

Digests are the first 16 hex digits of SHA-256 over UTF-8 text in these canonical forms:

    key         the key in NFC
    chunking    "auto", or "800/400" (size, overlap); auto is whatever the service does, so it equals no numbers
    attributes  a JSON array, no spaces, of [name, kind, value] sorted by name, with kind "s", "n" or "b",
                strings in NFC, numbers without a needless fraction (1.0 is 1), `vssync_key` included,
                `vssync_mark` and ignored attributes left out
    settings    a JSON object, no spaces, sorted keys: name, metadata (ours only), expires (days or null)

`content` is the whole SHA-256 of the bytes, `id` for a File declared by id. For an adopted file, which nobody has
read, it is `?` and the SHA-256 of the manifest's file when it was adopted: what the upload is taken for until that file
is edited. A key of sixteen zeros, with `?` alone for its content, is provisional: a copy attached together with others
and not yet marked for itself.
`origin` is u (we uploaded the File), d (declared) or a (adopted). `tries` counts ingestions since key,
content or chunking last changed. `echo` is the attributes digest of what the service gave back where it
differs from what was sent.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from vssync.limits import MAX_VALUE_LENGTH
from vssync.model.state import Attributes, Chunking, DesiredFile, DesiredStore, Scalar

KEY = "vssync_key"
MARK = "vssync_mark"
STORE_OWNER = "vssync_owner"
STORE_PROTECT = "vssync_protect"
STORE_BATCHES = "vssync_batches"
RESERVED = "vssync_"
UNREAD, DECLARED = "?", "id"
NEEDED = "without attributes no file can carry the mark that says whose it is"
MARKED = "without metadata no store can carry the mark that says whose it is"
PROVISIONAL = "0" * 16  # the key of a copy that was attached and not yet marked for itself

_HEX16 = r"[0-9a-f]{16}"
_OWNER = r"[^;\x00-\x1f]{1,140}"
_FILE_MARK = re.compile(
    rf"v1;({_OWNER});({_HEX16});(\??[0-9a-f]{{64}}|id|\?);({_HEX16});({_HEX16});([uda]);([0-9]{{1,4}})(?:;({_HEX16}))?"
)
_STORE_MARK = re.compile(rf"v1;({_OWNER});([^;]{{1,140}});({_HEX16})(?:;((?:[0-9a-f]{{8}})*))?")
_VERSION = re.compile(r"v([0-9]{1,6});")


class Origin(StrEnum):
    """Who made the File that is attached."""

    UPLOADED = "u"
    DECLARED = "d"
    ADOPTED = "a"


@dataclass(frozen=True, slots=True)
class Mark:
    """A store file's mark; `key`, `chunking`, `attributes`, `echo` are digests."""

    owner: str
    key: str
    content: str
    chunking: str
    attributes: str
    origin: Origin = Origin.UPLOADED
    tries: int = 1
    echo: str = ""

    def __str__(self) -> str:
        parts = [
            "v1",
            self.owner,
            self.key,
            self.content,
            self.chunking,
            self.attributes,
            self.origin,
            str(self.tries),
        ]
        return ";".join([*parts, self.echo] if self.echo else parts)

    @property
    def unread(self) -> bool:
        """Nobody has compared the content: the file was adopted by name and size."""
        return self.content.startswith(UNREAD)


@dataclass(frozen=True, slots=True)
class StoreMark:
    """A store's mark; `settings` is the digest of its settings as last desired."""

    owner: str
    key: str
    settings: str
    names: str = ""

    def __str__(self) -> str:
        parts = ["v1", self.owner, self.key, self.settings]
        return ";".join([*parts, self.names] if self.names else parts)

    def set_by_us(self, metadata_key: str) -> bool:
        """Whether the store's last apply set this metadata key."""
        tag = _name_tag(metadata_key)
        return any(self.names[at : at + 8] == tag for at in range(0, len(self.names), 8))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Text where a mark belongs that this version cannot read; `version` is set when it is a newer form."""

    text: str
    version: int | None = None


def read_mark(attributes: Attributes) -> Mark | Unreadable | None:
    """A live file's mark; None when it carries none, Unreadable when it is garbled or newer."""
    text = attributes.get(MARK)
    if text is None:
        return None
    if match := _FILE_MARK.fullmatch(str(text)):
        owner, key, content, chunking, attrs, origin, tries, echo = match.groups()
        return Mark(owner, key, content, chunking, attrs, Origin(origin), int(tries), echo or "")
    return _unreadable(str(text))


def read_store_mark(metadata: Mapping[str, str]) -> StoreMark | Unreadable | None:
    """A live store's mark; None when it carries none, Unreadable when it is garbled or newer."""
    text = metadata.get(STORE_OWNER)
    if text is None:
        return None
    if match := _STORE_MARK.fullmatch(text):
        owner, key, settings, names = match.groups()
        return StoreMark(owner, key, settings, names or "")
    return _unreadable(text)


def _unreadable(text: str) -> Unreadable:
    match = _VERSION.match(text)
    version = int(match.group(1)) if match else None
    return Unreadable(text, version if version and version > 1 else None)


def mark_for(owner: str, file: DesiredFile, ignore: Collection[str] = (), *, origin: Origin, tries: int = 1) -> Mark:
    """The mark of a desired file; its content must have been read unless it is declared by id."""
    return Mark(
        owner=owner,
        key=key_digest(file.key),
        content=content_of(file),
        chunking=chunking_digest(file.chunking),
        attributes=attributes_digest(with_key(file.attributes, file.key), ignore),
        origin=origin,
        tries=tries,
    )


def provisional(mark: Mark | Unreadable | None) -> Mark:
    """The mark many files share until each gets its own: ours, of no key.

    Raises ValueError without a mark to take the owner from.
    """
    if not isinstance(mark, Mark):
        raise ValueError("only a marked file can be attached")
    return Mark(mark.owner, PROVISIONAL, UNREAD, PROVISIONAL, PROVISIONAL)


def marked(file: DesiredFile, mark: Mark) -> dict[str, Scalar]:
    """All attributes to send for a desired file, ours included."""
    return {**with_key(file.attributes, file.key), MARK: str(mark)}


def with_echo(mark: Mark, came_back: Attributes, ignore: Collection[str] = ()) -> Mark:
    """The mark to keep after reading what the service made of our attributes; unchanged when it kept them."""
    digest = attributes_digest(came_back, ignore)
    return replace(mark, echo="" if digest == mark.attributes else digest)


def store_mark_for(owner: str, store: DesiredStore) -> StoreMark:
    """The mark of a desired store."""
    digest = settings_digest(store.name, store.metadata, store.expires_after_days)
    return StoreMark(owner, store.key, digest, "".join(_name_tag(name) for name in sorted(store.metadata)))


def content_of(file: DesiredFile) -> str:
    """A desired file's content as a mark says it."""
    return DECLARED if file.file_id else file.sha256


def presumed_content_of(file: DesiredFile) -> str:
    """The content of an upload that is taken for a desired file's and was not read, as a mark says it."""
    return f"{UNREAD}{file.sha256}"


def with_key(attributes: Attributes, key: str) -> dict[str, Scalar]:
    """A file's attributes and its `vssync_key`."""
    return {**attributes, KEY: key_attribute(key)}


def key_attribute(key: str) -> str:
    """What `vssync_key` holds: the key, cut and closed with its digest where it is too long."""
    text = unicodedata.normalize("NFC", key)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 17]}~{key_digest(key)}"


def key_digest(key: str) -> str:
    """A key's identity."""
    return _digest(unicodedata.normalize("NFC", key))


def chunking_digest(chunking: Chunking) -> str:
    """A chunking's identity."""
    return _digest("auto" if chunking.auto else f"{chunking.size}/{chunking.overlap}")


def attributes_digest(attributes: Attributes, ignore: Collection[str] = ()) -> str:
    """The identity of a set of attributes, whatever a service does to numbers and order."""
    rows = [[name, *_typed(value)] for name, value in normalise(attributes, ignore).items()]
    return _digest(json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


def settings_digest(name: str, metadata: Mapping[str, str], expires_after_days: int | None) -> str:
    """The identity of a store's settings that can be changed in place."""
    form = {"expires": expires_after_days, "metadata": dict(metadata), "name": name}
    return _digest(json.dumps(form, ensure_ascii=False, separators=(",", ":"), sort_keys=True))


def normalise(attributes: Attributes, ignore: Collection[str] = ()) -> dict[str, Scalar]:
    """The one form in which desired and live attributes are compared, sorted by name.

    Strings are NFC, numbers lose a needless fraction, the mark and ignored names are left out. Booleans stay
    booleans, so `true` never equals 1.
    """
    return {name: _plain(value) for name, value in sorted(attributes.items()) if name != MARK and name not in ignore}


def same(left: Scalar | None, right: Scalar | None) -> bool:
    """Whether two normalised values agree in kind and value."""
    return isinstance(left, bool) is isinstance(right, bool) and left == right


def hinted(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The ids of batches under way that a store remembers; nothing depends on their being complete."""
    return tuple(metadata.get(STORE_BATCHES, "").replace(",", " ").split())


def hint_of(batch_ids: Sequence[str]) -> str:
    """What a store remembers of its batches under way: the newest ids, as many as a value holds."""
    kept: list[str] = []
    for batch_id in reversed(batch_ids):
        if len(",".join([batch_id, *kept])) > MAX_VALUE_LENGTH:
            break
        kept.insert(0, batch_id)
    return ",".join(kept)


def _name_tag(metadata_key: str) -> str:
    return key_digest(metadata_key)[:8]


def _plain(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _typed(value: Scalar) -> tuple[str, Scalar]:
    if isinstance(value, bool):
        return "b", value
    return ("s" if isinstance(value, str) else "n"), value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
