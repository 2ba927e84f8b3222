"""What a manifest wants, read a second time: a small reader that knows the program's words and none of its code.

It reads what the scenarios and histories write. For a manifest with more in it `read_desired` gives None, and the
program's own reading stands in, with the bytes of every file read again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.simulation.truth import digest16
from vssync.commands.session import Session
from vssync.sources.converter import CONVERTER_SET


@dataclass(frozen=True, slots=True)
class WantedFile:
    """`chunking` is as `400/100`, or `auto`; `sha256` is empty for a File declared by id."""

    key: str
    filename: str
    attributes: Mapping[str, Any]
    chunking: str = "auto"
    path: str = ""
    file_id: str = ""
    size: int = 0
    sha256: str = ""
    source: str = ""
    dated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WantedStore:
    key: str
    name: str
    files: Mapping[str, WantedFile]  # by digest of the key
    skipped: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> set[str]:
        """The keys that are left out and whose live copies stay."""
        return {key for key, why in self.skipped.items() if why not in _LEAVING}

    @property
    def prune(self) -> bool:
        return bool(self.settings.get("prune", True))

    @property
    def ignored(self) -> frozenset[str]:
        return frozenset(self.settings.get("ignore_attributes", ()))

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.settings.get("metadata", {}))

    def limit(self, name: str) -> tuple[float, int | None]:
        """A guard's limit, as a share of the live files or as a number of them."""
        value = self.settings.get("guards", {}).get(name, "30%" if name == "max_delete" else "50%")
        if isinstance(value, tuple):
            return value
        return (1.0, value) if isinstance(value, int) else (float(value.rstrip("%")) / 100, None)

    @property
    def expires_after_days(self) -> int | None:
        value = self.settings.get("expires_after_days")
        return None if value is None else int(value)


@dataclass(frozen=True, slots=True)
class Wanted:
    owner: str
    service: Mapping[str, Any]
    stores: Mapping[str, WantedStore]
    removed: Mapping[str, WantedStore] = field(default_factory=dict)  # those to be deleted or given up

    @property
    def declared(self) -> Mapping[str, WantedStore]:
        """All stores that the manifest names."""
        return {**self.stores, **self.removed}


_TOP = {"version", "owner", "service", "defaults", "stores"}
_LAYER = {"attributes", "chunking"}
_SETTINGS = {"prune", "protect", "external", "id", "was", "adopt", "removed", "description", "ignore_attributes"}
_STORE = {"name", "files", "overrides", "skip", "metadata", "expires_after", "guards", *_LAYER, *_SETTINGS}
_LEAVING = ("draft", "ignored", "linked")  # left out, and not kept live
_ENTRY = {"path", "exclude", "optional", *_LAYER}


class _NotUnderstoodError(Exception):
    """A word that this reader does not know."""


def read_desired(session: Session) -> Wanted:
    """What the manifest of a session wants now, from its text and files, or else as the program read it."""
    manifest = Path(session.settings.manifest)
    path = manifest / "vssync.yaml" if manifest.is_dir() else manifest
    try:
        if session.settings.env or session.settings.variables:
            raise _NotUnderstoodError
        text = path.read_text("utf-8")
        tree = yaml.load(text, yaml.CSafeLoader) if "${" not in text else {"unknown": text}
        return _read(tree, path.parent)
    except _NotUnderstoodError:
        return _as_loaded(session)


def _read(tree: dict[str, Any], root: Path) -> Wanted:
    _only(tree, _TOP)
    defaults = tree.get("defaults") or {}
    _only(defaults, _STORE)
    stores = {key: _store(key, defaults, value or {}, root) for key, value in tree["stores"].items()}
    return _wanted(tree["owner"], tree.get("service") or {}, stores)


def _wanted(owner: str, service: Mapping[str, Any], stores: Mapping[str, WantedStore]) -> Wanted:
    removed = {key: store for key, store in stores.items() if store.settings.get("removed")}
    return Wanted(owner, service, {key: stores[key] for key in stores if key not in removed}, removed)


def _only(tree: Mapping[str, Any], names: set[str]) -> None:
    if not tree.keys() <= names:
        raise _NotUnderstoodError


def _store(key: str, defaults: dict[str, Any], tree: dict[str, Any], root: Path) -> WantedStore:
    _only(tree, _STORE)
    merged = {**defaults, **tree}
    settings = {name: merged[name] for name in (*_SETTINGS, "guards") if name in merged}
    settings["metadata"] = {**(defaults.get("metadata") or {}), **(tree.get("metadata") or {})}
    if days := merged.get("expires_after"):
        settings["expires_after_days"] = days["days"]
    files: dict[str, WantedFile] = {}
    skipped: dict[str, str] = {}
    for entry in merged.get("files") or ():
        _only(entry, _ENTRY)
        for name in _matching(root, entry):
            content = (root / name).read_bytes()
            if not content:
                skipped[name] = "empty"
                continue
            layers = [defaults, tree, entry]
            layers += [layer for layer in merged.get("overrides") or () if _matches(layer["match"], name)]
            files[digest16(name)] = _file(name, content, layers)
    return WantedStore(key, merged.get("name", key), files, skipped, settings)


def _file(name: str, content: bytes, layers: list[dict[str, Any]]) -> WantedFile:
    attributes: dict[str, Any] = {}
    for layer in layers:
        attributes |= layer.get("attributes") or {}
    if any(isinstance(value, dict) for value in attributes.values()):
        raise _NotUnderstoodError
    chunkings = [layer["chunking"] for layer in layers if layer.get("chunking")]
    return WantedFile(
        key=name,
        filename=re.sub(r"\.\w+$", lambda match: match[0].lower(), name.replace("/", "__")),
        attributes={name: value for name, value in attributes.items() if value is not None},
        chunking=_chunking(chunkings[-1]) if chunkings else "auto",
        path=name,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _chunking(value: Any) -> str:
    return value if isinstance(value, str) else f"{value['size']}/{value['overlap']}"


def _matching(root: Path, entry: dict[str, Any]) -> Iterator[str]:
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    for name in names:
        is_hidden = any(part.startswith(".") for part in name.split("/")) and entry["path"] != name
        is_excluded = any(_matches(pattern, name) for pattern in entry.get("exclude") or ())
        if _matches(entry["path"], name) and not (is_hidden or is_excluded):
            yield name


def _matches(pattern: str, name: str) -> bool:
    return _expression(pattern).fullmatch(name) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    if set(pattern) & set("[]!\\"):
        raise _NotUnderstoodError
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|"}
    parts = re.split(r"(\*\*/|\*\*|[*?{},])", pattern)
    return re.compile("".join(signs.get(part, re.escape(part)) for part in parts))


def _as_markdown(path: Path) -> bytes:
    """What the library itself makes of a document."""
    from markitdown import MarkItDown

    text: str = MarkItDown(enable_plugins=False).convert_local(path).markdown
    return text.strip("\n").encode() + b"\n"


def _as_loaded(session: Session) -> Wanted:
    """The program's reading, but for the bytes."""
    desired, root = session.loaded.desired, session.loaded.root
    stores = {}
    for store in (*desired.stores, *desired.removed):
        files = {}
        for file in store.files:
            content = (root / file.path).read_bytes() if file.path else b""
            source = ""
            if file.source:
                source = f"{hashlib.sha256(content).hexdigest()}.{CONVERTER_SET}"
                content = _as_markdown(root / file.path)
            sha256 = hashlib.sha256(content).hexdigest() if file.path else ""
            size = len(content) if file.path else 0
            chunking = str(file.chunking)
            values = (file.key, file.filename, file.attributes, chunking, file.path, file.file_id, size, sha256, source)
            files[digest16(file.key)] = WantedFile(*values, dated=file.dated)
        names = (*_SETTINGS, "metadata", "expires_after_days")
        settings = {name: value for name in names if (value := getattr(store, name)) is not None}
        limits = {"max_delete": store.guards.max_delete, "max_replace": store.guards.max_replace}
        settings["guards"] = {name: (limit.share, limit.count) for name, limit in limits.items()}
        stores[store.key] = WantedStore(store.key, store.name, files, store.skipped, settings)
    service = {name: getattr(desired.service, name) for name in desired.service.__slots__}
    return _wanted(desired.owner, service, stores)
