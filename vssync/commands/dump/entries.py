"""What a manifest declares of each live file: its key, attributes and chunking, and which files it cannot declare."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vssync.commands.dump.matching import PATH, Confidence, LocalMatch, RemoteFile
from vssync.limits import AUTO_CHUNKING, CHUNK_SIZES, MAX_ATTRIBUTES, MAX_METADATA
from vssync.manifest.globs import NEVER_READ
from vssync.manifest.placeholders import escape_placeholders, fit_name
from vssync.manifest.schema import validate_tree
from vssync.model.digests import chunking_digest, normalise_attributes
from vssync.model.marks import KEY, NONE, RESERVED_PREFIX, Mark, Origin
from vssync.model.state import AUTO, Attributes, Chunking, FileStatus, LiveFile, LiveStore, Upload
from vssync.providers import COMPATIBLE

# Of ogx and llama-stack, whose stores do not work without the first two.
_SERVERS_METADATA = frozenset(
    ("embedding_model", "embedding_dimension", "provider_id", "provider_vector_db_id", "provider_vector_store_id")
)
_MAX_NAME_BYTES = 200  # below what file systems take, so that there is room for an id
_NOT_IN_PATTERNS = frozenset(("", ".", "..", *NEVER_READ))  # as parts of a path
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_DEVICE = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\.|$)")  # on Windows, in any folder


@dataclass(frozen=True, slots=True)
class DumpedFile:
    """A file as the manifest declares it: a local one by `path`, any other by `file_id`. `remark` is for people."""

    key: str
    path: str = ""
    file_id: str = ""
    filename: str = PATH  # a template
    attributes: Attributes = field(default_factory=dict)
    chunking: Chunking = AUTO
    confidence: Confidence = Confidence.UNMATCHED
    remark: str = ""
    converted_from: str = ""  # the extension of a local file that is converted

    @property
    def position(self) -> str:
        """What patterns match, and placeholders take their values from."""
        return self.path or self.key


@dataclass(frozen=True, slots=True)
class Omission:
    """What the manifest leaves out, and why: a file by its id and name, a store by its name and id, or a setting."""

    id: str
    name: str
    reason: str


def remote_file(file: LiveFile, upload: Upload | None) -> RemoteFile:
    """A live file and its upload, which is None where it was deleted.

    Services report numbers where `auto` was asked for, and only a mark could say that the numbers were.
    """
    mark = file.mark if isinstance(file.mark, Mark) else None
    attributes = normalise_attributes(file.attributes)  # some services return 1 as 1.0
    is_auto = mark.chunking_digest == chunking_digest(AUTO) if mark else file.chunking == Chunking(*AUTO_CHUNKING)
    return RemoteFile(
        id=file.id,
        filename=upload.filename if upload else "",
        size=upload.size if upload else 0,
        attributes={name: value for name, value in attributes.items() if not name.startswith(RESERVED_PREFIX)},
        chunking=AUTO if is_auto else file.chunking,
        key=str(file.attributes.get(KEY, "")) if mark else "",
        sha256=mark.content if mark and len(mark.content) == 64 else "",
        is_named=mark is not None and mark.origin is not Origin.ADOPTED,
        source=mark.source.partition(".")[0] if mark and mark.source != NONE else "",
    )


def omit_unfinished(file: LiveFile) -> Omission:
    """A file that is not completed, so that it cannot be adopted as it is."""
    reasons = {
        FileStatus.IN_PROGRESS: "is being ingested; dump again when it is completed",
        FileStatus.FAILED: "its ingestion failed",
        FileStatus.CANCELLED: "its ingestion was cancelled",
    }
    reason = reasons.get(file.status, "the service reports an unknown status for it")
    return Omission(file.id, "", f"{reason} ({file.error.code})" if file.error else reason)


def omit_connected(file_id: str) -> Omission:
    """A file that a connector put into the store, and that nobody else can manage."""
    return Omission(file_id, "", "a connector of the service brought it, and keeps it as its source has it")


def dumped_files(
    files: Collection[RemoteFile],
    matches: Mapping[str, LocalMatch],
    schema: Mapping[str, Any],
    remarks: Mapping[str, str],
) -> tuple[tuple[DumpedFile, ...], tuple[Omission, ...]]:
    """The files that the manifest declares, sorted by key, and those it cannot. Local files get their keys first."""
    dumped: list[DumpedFile] = []
    omitted: list[Omission] = []
    taken: set[str] = set()
    forms = Counter((file.filename, file.size) for file in files)
    path_attribute = _path_attribute(files)
    for file in sorted(files, key=lambda file: (file.id not in matches, file.filename, file.id)):
        if problem := _attributes_problem(file.attributes, schema):
            omitted.append(Omission(file.id, file.filename, problem))
            continue
        match = matches.get(file.id)
        path = match.path if match else str(file.attributes.get(path_attribute, file.filename))
        key = free_key(file.key or path, file.id, taken)
        has_twin = file.filename and forms[file.filename, file.size] > 1
        taken.add(key.casefold())
        dumped.append(
            DumpedFile(
                key=key,
                path=match.path if match else "",
                file_id="" if match else file.id,
                filename=match.filename if match else PATH,
                attributes=file.attributes,
                chunking=_declarable_chunking(file.chunking),
                confidence=match.confidence if match else Confidence.UNMATCHED,
                converted_from=match.converted_from if match else "",
                remark=remarks.get(file.id, "another file has this name and size" if has_twin and not match else ""),
            )
        )
    return tuple(sorted(dumped, key=lambda file: file.key)), tuple(omitted)


def _path_attribute(files: Iterable[RemoteFile]) -> str:
    """The attribute that has the path which each file was uploaded from, as its upload name shows; empty for none."""
    names = [frozenset(file.attributes) for file in files]
    for name in sorted(frozenset.intersection(*names)) if names else ():
        paths = [(str(file.attributes[name]), file.filename) for file in files]
        is_path = all(filename in (fit_name(path), fit_name(path.rpartition("/")[2])) for path, filename in paths)
        if is_path and len({path for path, _ in paths}) == len(paths):
            return name
    return ""


def declared_settings(
    store: LiveStore, key: str, provider: str, schema: Mapping[str, Any], *, by_id: bool
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A store's settings as a manifest declares them, and a sentence on each that it cannot declare as it is.

    Metadata that is not declared stays as it is.
    """
    metadata = {name: value for name, value in store.metadata.items() if not name.startswith(RESERVED_PREFIX)}
    declared: dict[str, str] = {}
    notes = []
    for name, value in sorted(metadata.items()):
        text = escape_placeholders(value)
        problems = validate_tree({"metadata": {name: text}}, schema, "store")
        if provider == COMPATIBLE.name and name in _SERVERS_METADATA:
            notes.append(f"Its metadata `{name}` is the server's own, and stays as it is.")
        elif problems or len(declared) == MAX_METADATA:
            reason = problems[0].message if problems else f"a manifest has {MAX_METADATA} at most"
            notes.append(f"Its metadata `{name}` stays as it is, and is not declared: {reason}.")
        else:
            declared[name] = text
    tree: dict[str, Any] = {
        "name": escape_placeholders(store.name) if store.name != key else "",
        "id": escape_placeholders(store.id) if by_id else "",
        "description": escape_placeholders(store.description),
        "metadata": declared,
        "expires_after": {"days": store.expires_after_days} if store.expires_after_days else {},
    }
    tree = {name: value for name, value in tree.items() if value}
    for name, value in [*tree.items()]:
        if problems := validate_tree({name: value}, schema, "store"):
            del tree[name]
            notes.append(f"Its `{name}` cannot be declared: {problems[0].message}.")
    if not store.name or (store.name != key and "name" not in tree):
        notes.append(f"Taking it over gives it the name `{key}`.")
    return tree, tuple(notes)


def _declarable_chunking(chunking: Chunking | None) -> Chunking:
    """The chunking a service reports, where a manifest may ask for it; `auto` otherwise."""
    if chunking is None or chunking.size not in CHUNK_SIZES or not 0 <= chunking.overlap * 2 <= chunking.size:
        return AUTO
    return chunking


def _attributes_problem(attributes: Attributes, schema: Mapping[str, Any]) -> str:
    """Why a manifest cannot declare these attributes; empty when it can."""
    if len(attributes) > MAX_ATTRIBUTES:
        return f"has {len(attributes)} attributes; {MAX_ATTRIBUTES} fit beside vssync's own: remove some of them"
    tree = {name: escape_placeholders(value) if isinstance(value, str) else value for name, value in attributes.items()}
    diagnostics = validate_tree(tree, schema, "attributes")
    return f"a manifest cannot declare its attributes: {diagnostics[0].message}" if diagnostics else ""


# Names of a service are foreign text: none of them may lead out of a folder.


def free_key(wanted: str, file_id: str, taken: Collection[str]) -> str:
    """The wanted key, or one with the id before it where the key is taken; `taken` holds casefolded keys.

    A text that no pattern could match (`../a.md`) is changed, so that overrides can name the file.
    """
    key = unicodedata.normalize("NFC", wanted) or file_id
    if "\0" in key or not _NOT_IN_PATTERNS.isdisjoint(key.split("/")):
        key = local_name(key, file_id, ())
    return key if key.casefold() not in taken else f"{file_id}/{key}"


def local_name(key: str, file_id: str, taken: Collection[str]) -> str:
    """Where to save a download below its folder: no `..`, no hidden name, nothing that a file system refuses."""
    parts = [_safe_part(part) for part in re.split(r"[/\\]", unicodedata.normalize("NFC", key))]
    name = "/".join(part for part in parts if part) or _safe_part(file_id) or "file"
    return name if name.casefold() not in taken else f"{_safe_part(file_id)}/{name}"


def _safe_part(text: str) -> str:
    """One name of a path. A name that begins with a dot would be hidden, and could be `.git`."""
    printable = "".join(char if char.isprintable() else "_" for char in _UNSAFE.sub("_", text))
    plain = printable.strip().rstrip(". ")
    raw = (f"_{plain}" if plain.startswith(".") or _DEVICE.match(plain) else plain).encode("utf-8", "replace")
    if len(raw) <= _MAX_NAME_BYTES:
        return raw.decode()
    stem, dot, ext = raw.decode().rpartition(".")
    end = f".{ext}" if dot and len(ext) <= 16 else ""
    return (stem if end else raw.decode()).encode()[: _MAX_NAME_BYTES - len(end)].decode("utf-8", "ignore") + end
