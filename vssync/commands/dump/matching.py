"""Which local file a live one is: by upload name and size, and by content where it can be read.

A pair counts only where `plan --adopt` would find it again: the live name and size are of one file only, and the
manifest can make this upload name from the path. What content says goes before what names say. Pure: contents come in
as digests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vssync.commands.dump.seen import TEMPLATES, Confidence, RemoteFile
from vssync.manifest.globs import FoundFile
from vssync.manifest.placeholders import escape_placeholders, file_extension, parse_template, upload_name
from vssync.providers import PROVIDERS


@dataclass(frozen=True, slots=True)
class LocalMatch:
    """A local file's name below the manifest's folder, the template of its upload name, and how sure it is."""

    path: str
    filename: str
    sure: Confidence


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing one live file with one local file came to; `other` when the content is known to differ."""

    sure: Confidence = Confidence.SIZE
    other: bool = False


def candidate_paths(
    seen: Iterable[RemoteFile], local: Iterable[FoundFile], provider: str
) -> dict[str, tuple[str, ...]]:
    """By File id the local files with its upload name and size, as far as the manifest could choose them."""
    forms: dict[tuple[str, int], list[str]] = {}
    for found in local:
        if not found.problem and is_loadable(found, provider):
            for name in {upload_name(parse_template(template), found.name, "") for template in TEMPLATES}:
                forms.setdefault((name, found.size), []).append(found.name)
    live = tuple(seen)
    single = unique_files(live)
    found_for = {file.id: forms.get((file.filename, file.size), ()) for file in live if file.id in single}
    return {file_id: tuple(sorted(paths)) for file_id, paths in found_for.items() if paths}


def unique_files(seen: Iterable[RemoteFile]) -> frozenset[str]:
    """The ids of files whose upload name and size no other file of the store has."""
    by_form: dict[tuple[str, int], list[str]] = {}
    for file in seen:
        by_form.setdefault((file.filename, file.size), []).append(file.id)
    return frozenset(ids[0] for ids in by_form.values() if len(ids) == 1)


def is_loadable(found: FoundFile, provider: str) -> bool:
    """Whether a manifest may choose a local file for this provider."""
    row = PROVIDERS[provider]
    is_accepted = row.extensions is None or file_extension(found.name) in row.extensions
    return 0 < found.size <= row.max_file_bytes and is_accepted


def match_files(
    seen: Iterable[RemoteFile], possible: Mapping[str, tuple[str, ...]], verdicts: Mapping[tuple[str, str], Comparison]
) -> dict[str, LocalMatch]:
    """The one local file of each live file, by File id; none where several fit equally, or the content differs."""
    best: dict[str, tuple[str, Confidence]] = {}
    for file_id, paths in possible.items():
        judged = [(path, verdicts.get((file_id, path), Comparison())) for path in paths]
        left = [(path, verdict.sure) for path, verdict in judged if not verdict.other]
        surest = max((sure for _, sure in left), default=Confidence.UNMATCHED)
        top = [path for path, sure in left if sure is surest]
        if len(top) == 1:
            best[file_id] = (top[0], surest)
    claimed = Counter(path for path, _ in best.values())
    names = {file.id: file.filename for file in seen}
    found = {}
    for file_id, (path, sure) in best.items():
        if claimed[path] == 1 and (template := template_for(path, names[file_id])):
            found[file_id] = LocalMatch(path, template, sure)
    return found


def template_for(path: str, filename: str) -> str:
    """What to write as `filename`, so that this path is uploaded under this name; empty where nothing does."""
    literal = escape_placeholders(filename)
    for template in (*TEMPLATES, literal) if filename else TEMPLATES:
        if upload_name(parse_template(template), path, "") == filename:
            return template
    return ""
