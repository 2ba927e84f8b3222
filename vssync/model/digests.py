"""Digests as marks hold them, 16 hex digits of SHA-256 over a canonical text, and the marks of desired objects."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import replace

from vssync.model.marks import KEY, NONE, Mark, Origin, StoreMark, key_attribute, key_digest, name_tag, short_digest
from vssync.model.state import Attributes, Chunking, DesiredFile, Scalar, StoreSettings

_KINDS = {bool: "b", str: "s"}  # of attribute values; the others are numbers, "n"


def mark_for(
    owner: str, file: DesiredFile, ignored_names: Collection[str] = (), *, origin: Origin, tries: int = 1
) -> Mark:
    """The mark of a desired file; its content must have been read unless it is declared by id."""
    return Mark(
        owner=owner,
        key_digest=key_digest(file.key),
        content=file.content,
        chunking_digest=chunking_digest(file.chunking),
        attributes_digest=attributes_digest(with_key(file.attributes, file.key), ignored_names),
        origin=origin,
        tries=tries,
        name_digest=file.name_digest,
        source=file.source or NONE,
    )


def with_echo(mark: Mark, reported: Attributes, ignored_names: Collection[str] = ()) -> Mark:
    """The mark with the digest of the attributes that the service reported, where they are not those it was sent."""
    digest = attributes_digest(reported, ignored_names)
    return replace(mark, echo="" if digest == mark.attributes_digest else digest)


def store_mark_for(owner: str, store: StoreSettings) -> StoreMark:
    digest = settings_digest(store.name, store.metadata, store.expires_after_days)
    return StoreMark(owner, store.key, digest, "".join(name_tag(name) for name in sorted(store.metadata)))


def with_key(attributes: Attributes, key: str) -> dict[str, Scalar]:
    """A file's attributes and its `vssync_key`."""
    return {**attributes, KEY: key_attribute(key)}


def chunking_digest(chunking: Chunking) -> str:
    """A chunking's identity: of "auto", which equals no numbers, or of "800/400" (size, overlap)."""
    return short_digest(str(chunking))


def attributes_digest(attributes: Attributes, ignored_names: Collection[str] = ()) -> str:
    """The identity of a set of attributes: of a JSON array, no spaces, of [name, kind, value] in normal form.

    `vssync_key` is one of them; `vssync_mark` and ignored ones are not.
    """
    normal = normalise_attributes(attributes, ignored_names)
    rows = [[name, _KINDS.get(type(value), "n"), value] for name, value in normal.items()]
    return short_digest(json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


def settings_digest(name: str, metadata: Mapping[str, str], expires_after_days: int | None) -> str:
    """The identity of a store's settings that can be changed in place; `metadata` is only what the manifest sets."""
    settings = {"expires": expires_after_days, "metadata": dict(metadata), "name": name}
    return short_digest(json.dumps(settings, ensure_ascii=False, separators=(",", ":"), sort_keys=True))


def normalise_attributes(attributes: Attributes, ignored_names: Collection[str] = ()) -> dict[str, Scalar]:
    """The one form in which desired and live attributes are compared: sorted by name, without the ignored ones.

    Strings are NFC and numbers lose a needless fraction. Booleans stay booleans, so `true` never equals 1.
    """
    normal: dict[str, Scalar] = {}
    for name, value in sorted(attributes.items()):
        if name not in ignored_names:
            normal[name] = unicodedata.normalize("NFC", value) if isinstance(value, str) else value
            if isinstance(value, float) and value.is_integer():
                normal[name] = int(value)
    return normal


def values_equal(left: Scalar | None, right: Scalar | None) -> bool:
    """Whether two normalised values agree in kind and value."""
    return isinstance(left, bool) is isinstance(right, bool) and left == right
