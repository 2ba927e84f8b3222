"""Which local file a live one is: by upload name and size, and by content where it can be read. Pure.

A pair counts only where `plan --adopt` would find it again: the bytes agree, or no other live file has this upload name
and size, and the manifest can make the name from the path. Content takes precedence over names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache

from vssync.manifest.globs import FoundFile
from vssync.manifest.placeholders import escape_placeholders, parse_template, upload_name
from vssync.manifest.spec import CONVERTIBLE_EXTENSIONS
from vssync.model.state import Attributes, Chunking, extension_of
from vssync.providers import PROVIDERS

PATH = "${path}"  # a manifest's usual upload name
TEMPLATES = (PATH, "${name}")  # upload names that suit any file
_PARSED_TEMPLATES = tuple(map(parse_template, TEMPLATES))


class Confidence(IntEnum):
    """How certain it is that a local file is a live one; a larger value is more certain."""

    UNMATCHED = 0
    SIZE = 1  # name and size agree; the content could not be read
    TEXT = 2  # the text that the service read is this file's text
    BYTES = 3  # the same bytes


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A completed file of the store. `sha256` is empty unless its mark has it."""

    id: str
    filename: str = ""
    size: int = 0
    attributes: Attributes = field(default_factory=dict)  # without vssync's own
    chunking: Chunking | None = None
    key: str = ""  # the key that a mark gives it
    sha256: str = ""
    is_named: bool = False  # by its mark, which would see another upload name
    source: str = ""  # the SHA-256, by its mark, of the document that it was converted from


@dataclass(frozen=True, slots=True)
class LocalMatch:
    """A local file: its name below the manifest's folder, and the template of its upload name.

    One that is converted has an upload name with `.md` after that. `converted_from` is its extension before.
    """

    path: str
    filename: str
    confidence: Confidence
    converted_from: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing a live file with a local one; `differs` when the contents are known to differ."""

    confidence: Confidence = Confidence.SIZE
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Candidates:
    """The local files that a live one could be: by its upload name and size, or, only with its bytes, by its size."""

    by_name: tuple[str, ...] = ()
    by_size: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.by_name, *self.by_size)


def find_candidates(
    files: Iterable[RemoteFile], local_files: Iterable[FoundFile], provider: str
) -> dict[str, Candidates]:
    """By File id the local files, of those that a manifest could choose, that have its size."""
    by_size: dict[int, list[str]] = {}
    for local in local_files:
        if not local.problem and is_loadable(local, provider):
            by_size.setdefault(local.size, []).append(local.nfc_path)
    files = tuple(files)
    unique, candidates = unique_ids(files), dict[str, Candidates]()
    for file in (file for file in files if file.size in by_size):
        paths = sorted(by_size[file.size])
        named = {path for path in paths if file.id in unique and file.filename in _usual_names(path)}
        by_name, by_size_alone = (tuple(path for path in paths if (path in named) is each) for each in (True, False))
        candidates[file.id] = Candidates(by_name, () if file.is_named else by_size_alone)
    return {file_id: each for file_id, each in candidates.items() if each.paths}


@cache
def _usual_names(path: str) -> frozenset[str]:
    return frozenset(upload_name(template, path, "") for template in _PARSED_TEMPLATES)


def unique_ids(files: Iterable[RemoteFile]) -> frozenset[str]:
    """The ids of files whose upload name and size no other file of the store has."""
    ids_by_form: dict[tuple[str, int], list[str]] = {}
    for file in files:
        ids_by_form.setdefault((file.filename, file.size), []).append(file.id)
    return frozenset(ids[0] for ids in ids_by_form.values() if len(ids) == 1)


def is_loadable(local: FoundFile, provider: str) -> bool:
    """Whether a manifest may choose a local file for this provider."""
    row = PROVIDERS[provider]
    return 0 < local.size <= row.max_file_bytes and row.takes(extension_of(local.nfc_path))


def match_files(
    files: Iterable[RemoteFile],
    candidates: Mapping[str, Candidates],
    comparisons: Mapping[tuple[str, str], Comparison],
) -> dict[str, LocalMatch]:
    """The one local file of each live file, by File id; none where several fit equally, or the content differs."""
    best: dict[str, tuple[str, Confidence]] = {}
    for file_id, each in candidates.items():
        compared = [(path, comparisons.get((file_id, path), Comparison())) for path in each.paths]
        possible = [
            (path, result.confidence)
            for path, result in compared
            if not result.differs and (path in each.by_name or result.confidence is Confidence.BYTES)
        ]
        highest = max((confidence for _, confidence in possible), default=Confidence.UNMATCHED)
        top = [path for path, confidence in possible if confidence is highest]
        if len(top) == 1:
            best[file_id] = (top[0], highest)
    claims = Counter(path for path, _ in best.values())
    filenames = {file.id: file.filename for file in files}
    matches = {}
    for file_id, (path, confidence) in best.items():
        if claims[path] == 1:
            # Whose bytes agree is adopted under any upload name; that of the manifest is for its next upload.
            template = template_for(path, filenames[file_id])
            matches[file_id] = LocalMatch(path, template if template in TEMPLATES else PATH, confidence)
    return matches


def match_sources(
    files: Iterable[RemoteFile], documents: Mapping[str, Sequence[str]], sent_as_they_are: Collection[str]
) -> dict[str, LocalMatch]:
    """The one document of each live file that was converted, by File id: `documents` are paths by SHA-256.

    A store converts all files of a kind, so there is none for the extensions that others have.
    """
    matches: dict[str, LocalMatch] = {}
    for file in files:
        name = file.filename.removesuffix(".md")
        extension = extension_of(name)
        paths = (
            documents.get(file.source, ()) if extension in CONVERTIBLE_EXTENSIONS.difference(sent_as_they_are) else ()
        )
        usual = [path for path in paths if template_for(path, name) in TEMPLATES]
        for path in [file.key] if file.key in paths else usual if len(usual) == 1 else paths if len(paths) == 1 else ():
            matches[file.id] = LocalMatch(path, template_for(path, name), Confidence.BYTES, extension)
    claims = Counter(match.path for match in matches.values())
    return {file_id: match for file_id, match in matches.items() if claims[match.path] == 1}


def template_for(path: str, filename: str) -> str:
    """The `filename` to write, so that this path is uploaded under this name; empty where no template gives it."""
    literal = escape_placeholders(filename)
    for template in (*TEMPLATES, literal) if filename else TEMPLATES:
        if upload_name(parse_template(template), path, "") == filename:
            return template
    return ""
