"""Keys and local names for live files: the names of a service are foreign text, and never lead out of a folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

_LONGEST = 200  # bytes of one name, below what file systems take, so that there is room for an id
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')


def label(text: str, otherwise: str) -> str:
    """A text as a store's key: letters, digits, `.`, `-`, `_`, at most 64 of them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:64] or otherwise


def free_key(wanted: str, file_id: str, taken: Collection[str]) -> str:
    """The wanted key, or one with the id before it where the key is taken; `taken` holds casefolded keys."""
    key = unicodedata.normalize("NFC", wanted) or file_id
    return key if key.casefold() not in taken else f"{file_id}/{key}"


def local_name(key: str, file_id: str, taken: Collection[str]) -> str:
    """Where to put a download below its folder: no `..`, no hidden name, nothing a file system refuses."""
    parts = [_part(part) for part in re.split(r"[/\\]", unicodedata.normalize("NFC", key))]
    name = "/".join(part for part in parts if part) or _part(file_id) or "file"
    return name if name.casefold() not in taken else f"{_part(file_id)}/{name}"


def _part(text: str) -> str:
    """One name of a path. One that begins with a dot is hidden, and could be `.git`."""
    printable = "".join(char if char.isprintable() else "_" for char in _UNSAFE.sub("_", text))
    plain = printable.strip().rstrip(".")
    raw = (f"_{plain}" if plain.startswith(".") else plain).encode("utf-8", "replace")
    if len(raw) <= _LONGEST:
        return raw.decode()
    stem, dot, ext = raw.decode().rpartition(".")
    end = f".{ext}" if dot and len(ext) <= 16 else ""
    return (stem if end else raw.decode()).encode()[: _LONGEST - len(end)].decode("utf-8", "ignore") + end
