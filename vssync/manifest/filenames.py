"""What the placeholders of a single file stand for, and the name it is uploaded with."""

from __future__ import annotations

import hashlib

from vssync.manifest.placeholders import Parts, fill

MOST_BYTES = 255  # what file systems and services commonly take for a name


class NoFolder(ValueError):
    """`${dir.N}` of a path that has fewer folders; `attribute` is the one that asked, where one did."""

    attribute = ""


def part(path: str, name: str) -> str:
    """What a placeholder's name stands for in a path. Folders count from 0. Raises NoFolder."""
    folder, _, last = path.rpartition("/")
    if name == "path":
        return path
    if name == "dir":
        return folder
    if name == "name":
        return last
    if name in ("stem", "ext"):
        dot = last.rfind(".")
        stem, ext = (last[:dot], last[dot:]) if dot > 0 else (last, "")
        return stem if name == "stem" else ext
    folders = folder.split("/") if folder else []
    number = int(name.removeprefix("dir."))
    if number >= len(folders):
        raise NoFolder(f"`${{{name}}}` asks for more folders than `{path}` has ({len(folders)}; they count from 0)")
    return folders[number]


def extension(filename: str) -> str:
    """The lower-case extension with its dot; empty where there is none."""
    return part(filename, "ext").lower()


def upload_digest(name: str, sha256: str) -> str:
    """What `${digest}` is: 16 hex digits that prove an upload to be of this manifest's name and these bytes."""
    return hashlib.sha256(f"{name}\n{sha256}".encode()).hexdigest()[:16]


def upload_name(parts: Parts, path: str, digest: str) -> str:
    """The name to upload a file with: one name, its extension in lower case, at most 255 bytes. Raises NoFolder."""
    text = fill(parts, lambda name: digest if name == "digest" else part(path, name)).replace("/", "__")
    ext = part(text, "ext")
    return _cut(text.removesuffix(ext), MOST_BYTES - len(ext.encode())) + ext.lower()


def _cut(text: str, most: int) -> str:
    raw = text.encode()
    return text if len(raw) <= most else raw[: max(most, 0)].decode("utf-8", "ignore")
