"""Which local file a live one is: by upload name and size, and by content where it can be read. Pure.

A pair counts only where `plan --adopt` would find it again: no other live file has this upload name and size, and the
manifest can make the name from the path. Content takes precedence over names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from vssync.manifest.globs import FoundFile
from vssync.manifest.placeholders import escape_placeholders, parse_template, upload_name
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


@dataclass(frozen=True, slots=True)
class LocalMatch:
    """A local file: its name below the manifest's folder, and the template of its upload name."""

    path: str
    filename: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing a live file with a local one; `differs` when the contents are known to differ."""

    confidence: Confidence = Confidence.SIZE
    differs: bool = False


def paths_by_form(local_files: Iterable[FoundFile], provider: str) -> dict[tuple[str, int], tuple[str, ...]]:
    """The local files that a manifest could choose, by the upload names they could have and their size."""
    paths: dict[tuple[str, int], tuple[str, ...]] = {}
    for local in local_files:
        if not local.problem and is_loadable(local, provider):
            for name in {upload_name(template, local.nfc_path, "") for template in _PARSED_TEMPLATES}:
                paths[name, local.size] = (*paths.get((name, local.size), ()), local.nfc_path)
    return paths


def candidate_paths(
    files: Iterable[RemoteFile], local: Mapping[tuple[str, int], tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """By File id the local files with its upload name and size, of those of `paths_by_form`."""
    files = tuple(files)
    unique = unique_ids(files)
    candidates = {file.id: local.get((file.filename, file.size)) for file in files if file.id in unique}
    return {file_id: tuple(sorted(paths)) for file_id, paths in candidates.items() if paths}


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
    candidates: Mapping[str, tuple[str, ...]],
    comparisons: Mapping[tuple[str, str], Comparison],
) -> dict[str, LocalMatch]:
    """The one local file of each live file, by File id; none where several fit equally, or the content differs."""
    best: dict[str, tuple[str, Confidence]] = {}
    for file_id, paths in candidates.items():
        compared = [(path, comparisons.get((file_id, path), Comparison())) for path in paths]
        possible = [(path, result.confidence) for path, result in compared if not result.differs]
        highest = max((confidence for _, confidence in possible), default=Confidence.UNMATCHED)
        top = [path for path, confidence in possible if confidence is highest]
        if len(top) == 1:
            best[file_id] = (top[0], highest)
    claims = Counter(path for path, _ in best.values())
    filenames = {file.id: file.filename for file in files}
    matches = {}
    for file_id, (path, confidence) in best.items():
        if claims[path] == 1 and (template := template_for(path, filenames[file_id])):
            matches[file_id] = LocalMatch(path, template, confidence)
    return matches


def template_for(path: str, filename: str) -> str:
    """The `filename` to write, so that this path is uploaded under this name; empty where no template gives it."""
    literal = escape_placeholders(filename)
    for template in (*TEMPLATES, literal) if filename else TEMPLATES:
        if upload_name(parse_template(template), path, "") == filename:
            return template
    return ""
