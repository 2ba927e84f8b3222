"""The manifest of an existing store, as text that a person can read and that means exactly the files that were found.

It is read back before it is given out. Foreign text stands in quotes or comments, each on one line. Pure.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from textwrap import indent
from typing import Any

from vssync.commands.dump.deduplicate import (
    DumpedEntry,
    DumpedLayout,
    deduplicate,
    entry_tree,
    level_tree,
    plain_layout,
)
from vssync.commands.dump.entries import DumpedFile, OmittedFile
from vssync.commands.dump.matching import Confidence
from vssync.errors import ManifestError
from vssync.manifest.build import build_manifest, check_document
from vssync.manifest.diagnostics import Documents
from vssync.manifest.globs import FoundFile, Listing
from vssync.manifest.placeholders import escape_placeholders, parse_template, upload_name
from vssync.manifest.resolve import resolve_desired
from vssync.manifest.select import select_files
from vssync.manifest.yaml_loader import parse_document
from vssync.model.marks import StoreMark
from vssync.model.service import ServiceSpec
from vssync.model.state import Attributes, DesiredFile, LiveStore
from vssync.render import wording
from vssync.render.yaml_writer import yaml_text
from vssync.text import count_noun, escape_control

_MAX_OMITTED = 64  # listed in the comment; nobody reads further
_CONFIDENCE = {
    Confidence.BYTES: "the same bytes",
    Confidence.TEXT: "the same text, as the service read it",
    Confidence.SIZE: "by name and size; the content could not be read",
    Confidence.UNMATCHED: "by id",
}


@dataclass(frozen=True, slots=True)
class DumpedStore:
    """A store and all that its manifest declares. `by_id` where its name alone would not find it."""

    owner: str
    key: str
    store: LiveStore
    service: ServiceSpec
    files: tuple[DumpedFile, ...] = ()
    omitted: tuple[OmittedFile, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    by_id: bool = False
    unreported_chunking: int = 0  # files whose chunking the service does not report
    adopt: bool = True  # whether there is anything in it to take over that carries no mark
    options: tuple[str, ...] = ()  # of a plan that takes the store over


def manifest_of_store(dumped: DumpedStore, local: Iterable[FoundFile], schema: Mapping[str, Any]) -> str:
    """The manifest of a store; `local` are the files that its patterns could choose.

    It is short where that is exact, and has an entry for each file otherwise. Raises ManifestError where no manifest
    can declare the store.
    """
    local_files = tuple(local)
    text = manifest_text(dumped, deduplicate(dumped.files, [file.nfc_path for file in local_files]))
    if is_equivalent(text, dumped.files, local_files, schema):
        return text
    text = manifest_text(dumped, plain_layout(dumped.files))
    _declared_files(text, local_files, schema)
    return text


def is_equivalent(
    text: str, files: Collection[DumpedFile], local: Iterable[FoundFile], schema: Mapping[str, Any]
) -> bool:
    """Whether the manifest is valid and declares exactly these files."""
    try:
        declared = _declared_files(text, local, schema)
    except ManifestError:
        return False
    if len(declared) != len(files):
        return False
    return {file.key: _declaration(file, file.filename) for file in declared} == {
        file.key: _declaration(file, upload_name(parse_template(file.filename), file.path or file.key, ""))
        for file in files
    }


def _declared_files(text: str, local: Iterable[FoundFile], schema: Mapping[str, Any]) -> tuple[DesiredFile, ...]:
    """The files of a manifest with one store. Raises ManifestError."""
    manifest = build_manifest(Documents(check_document(parse_document(text, "vssync.yaml"), schema)), schema, None, {})
    selected, problems = select_files(manifest, Listing(local))
    if diagnostics := (*manifest.problems, *problems):
        raise ManifestError(diagnostics)
    (store,) = resolve_desired(manifest, selected, {})[0].stores
    return store.files


def _declaration(file: DesiredFile | DumpedFile, filename: str) -> tuple[object, ...]:
    attributes: Attributes = file.attributes
    typed = frozenset((name, type(value), value) for name, value in attributes.items())
    return (file.path, file.file_id, filename, file.chunking, typed)


def manifest_text(dumped: DumpedStore, layout: DumpedLayout) -> str:
    """The manifest, with its last newline."""
    head = {"version": 1, "owner": dumped.owner, "service": _service_tree(dumped.service)}
    parts = [*_header_lines(dumped), "", yaml_text(head), "stores:"]
    parts.append(f"  {yaml_text({dumped.key: {}}).removesuffix(' {}')}")
    if settings := {**_settings_tree(dumped), **level_tree(layout.level)}:
        parts.append(indent(yaml_text(settings), "    "))
    parts.append("    files:" if layout.entries else "    files: []")
    parts += [line for entry in layout.entries for line in _entry_lines(entry)]
    if layout.overrides:
        overrides = [{"match": pattern, **level_tree(level)} for pattern, level in layout.overrides]
        parts.append(indent(yaml_text({"overrides": overrides}), "    "))
    return "\n".join([*parts, *_omitted_lines(dumped.omitted)]) + "\n"


def _header_lines(dumped: DumpedStore) -> Iterator[str]:
    service = wording.heading_line(dumped.owner, dumped.service).rpartition(": ")[2]
    name = escape_control(f"{dumped.store.name} ({dumped.store.id})")
    yield f"# The vector store {name} of {service}, as it was found: {count_noun(len(dumped.files), 'file')}."
    command = escape_control(shlex.join(["vssync", "plan", *dumped.options]))
    yield f"# `{command}` shows what taking it over changes."
    for line in _confidence_counts(dumped.files):
        yield f"#   {line}"
    if dumped.unreported_chunking:
        yield f"# The service does not report the chunking of {count_noun(dumped.unreported_chunking, 'file')}: it is"
        yield "# `auto` here, which their next upload will use. If you know better, write it under `chunking`."
    mark = dumped.store.mark
    if isinstance(mark, StoreMark) and mark.owner != dumped.owner:
        yield f"# It belongs to {escape_control(mark.owner)}, whose own manifest says more."
        yield "# Files by id are ingested again when it is taken over."


def _confidence_counts(files: Iterable[DumpedFile]) -> list[str]:
    counts = Counter(file.confidence for file in files)
    return [
        f"{count_noun(count, 'file')}: {_CONFIDENCE[confidence]}"
        for confidence, count in sorted(counts.items(), reverse=True)
    ]


def _settings_tree(dumped: DumpedStore) -> dict[str, Any]:
    store = dumped.store
    tree: dict[str, Any] = {
        "name": escape_placeholders(store.name),
        "id": escape_placeholders(store.id) if dumped.by_id else "",
        "adopt": dumped.adopt,
        "description": escape_placeholders(store.description),
        "metadata": {name: escape_placeholders(value) for name, value in sorted(dumped.metadata.items())},
        "expires_after": {"days": store.expires_after_days} if store.expires_after_days else {},
    }
    return {name: value for name, value in tree.items() if value}


def _service_tree(service: ServiceSpec) -> dict[str, Any]:
    values = {each.name: getattr(service, each.name) for each in fields(service)}
    return {name: dict(value) if name == "capabilities" else value for name, value in values.items() if value}


def _entry_lines(entry: DumpedEntry) -> Iterator[str]:
    (first, *others) = entry.files
    if others:
        yield from (f"      # {line}" for line in _confidence_counts(entry.files))
    elif first.path:
        yield f"      # {_CONFIDENCE[first.confidence]}"
    if first.remark and not others:
        yield f"      # {escape_control(first.remark)}"
    tree = yaml_text({"files": [entry_tree(entry)]}).split("\n")[1:]
    yield from (f"    {line}" for line in tree)


def _omitted_lines(omitted: tuple[OmittedFile, ...]) -> Iterator[str]:
    if omitted:
        yield ""
        yield f"# Left out: {count_noun(len(omitted), 'file')} of the store. They stay as they are."
    for file in omitted[:_MAX_OMITTED]:
        name = f" ({file.name})" if file.name else ""
        yield escape_control(f"#   {file.id}{name}: {file.reason}")
    if (more := len(omitted) - _MAX_OMITTED) > 0:
        yield f"#   and {more:,} more"
