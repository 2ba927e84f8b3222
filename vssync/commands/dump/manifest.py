"""The manifest of existing stores, as text that a person can read and that means exactly what was found.

It is read back before it is given out. Foreign text stands in quotes or comments, each on one line. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import chain
from textwrap import indent, wrap
from typing import Any

from vssync.commands.dump.entries import DumpedFile, Omission
from vssync.commands.dump.layout import (
    DumpedEntry,
    Level,
    LookedUp,
    StoreLayout,
    level_tree,
    plain_layout,
    shared_level,
    short_layout,
)
from vssync.commands.dump.matching import Confidence
from vssync.errors import ManifestError
from vssync.manifest.build import build_manifest, check_document
from vssync.manifest.diagnostics import Documents
from vssync.manifest.globs import FoundFile, Listing
from vssync.manifest.placeholders import fit_name, parse_template, upload_name
from vssync.manifest.resolve import Reading, resolve_desired
from vssync.manifest.select import FileToRead, select_files
from vssync.manifest.yaml_loader import parse_document
from vssync.model.marks import StoreMark
from vssync.model.service import ServiceSpec
from vssync.model.state import Attributes, DesiredFile, LiveStore
from vssync.render import wording
from vssync.render.yaml_writer import yaml_text
from vssync.text import count_noun, escape_control

MAIN, FOLDER = "vssync.yaml", "stores"  # the manifest that includes others, and where these lie
_MAX_OMITTED = 64  # listed in the comment; nobody reads further
_WIDTH = 78  # columns of a comment, which two of a margin may precede
_REQUEST_ID = re.compile(r" \(request id [^)]*\)")
_CONFIDENCE = {
    Confidence.BYTES: "the same bytes",
    Confidence.TEXT: "the same text, as the service read it",
    Confidence.SIZE: "by name and size; the content could not be read",
    Confidence.UNMATCHED: "by id",
}


@dataclass(frozen=True, slots=True)
class DumpedStore:
    """A store and all that its manifest declares; `notes` are sentences on what it cannot declare."""

    key: str
    store: LiveStore
    settings: Mapping[str, Any] = field(default_factory=dict)  # as a manifest writes them
    files: tuple[DumpedFile, ...] = ()
    omitted: tuple[Omission, ...] = ()
    notes: tuple[str, ...] = ()
    unreported_chunking: int = 0  # files whose chunking the service does not report


@dataclass(frozen=True, slots=True)
class Dump:
    """The stores of a service, and the owner that takes them over."""

    owner: str
    service: ServiceSpec
    stores: tuple[DumpedStore, ...]
    omitted: tuple[Omission, ...] = ()  # other stores
    options: tuple[str, ...] = ()  # of a plan that takes the stores over

    @property
    def service_name(self) -> str:
        """The service as plans name it."""
        return wording.heading_line(self.owner, self.service).rpartition(": ")[2]


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """The local files that patterns could choose, and what was read of those that are in a store."""

    files: tuple[FoundFile, ...]
    readings: Mapping[FileToRead, Reading] = field(default_factory=dict)


def write_manifest(
    dump: Dump, local: LocalFiles, schema: Mapping[str, Any], *, is_split: bool = False
) -> dict[str, str]:
    """The manifest by file name: one file, or where `is_split` the main one and one for each store, which it includes.

    A store is short where that is exact, and has an entry for each file otherwise. Raises ManifestError where no
    manifest can declare the stores.
    """
    names = [file.nfc_path for file in local.files]
    read = ((path, each) for (path, converted_from), each in local.readings.items() if not converted_from)
    looked_up: LookedUp = {path: reading.findings.values for path, reading in read}
    layouts = {store.key: short_layout(store.files, names, looked_up) for store in dump.stores}
    texts = manifest_texts(dump, layouts, shared_level(layouts), is_split=is_split)
    if is_equivalent(texts, dump, local, schema):
        return texts
    for store in dump.stores:
        alone = Dump(dump.owner, dump.service, (store,))
        without_lookups = short_layout(store.files, names, {})
        for layout in (layouts[store.key], without_lookups, plain_layout(store.files)):
            layouts[store.key] = layout
            if is_equivalent(manifest_texts(alone, {store.key: layout}, {}), alone, local, schema):
                break
    texts = manifest_texts(dump, layouts, {}, is_split=is_split)
    declared_files(texts, local, schema)
    return texts


def is_equivalent(texts: Mapping[str, str], dump: Dump, local: LocalFiles, schema: Mapping[str, Any]) -> bool:
    """Whether the manifest is valid and declares exactly the files of these stores."""
    try:
        declared = declared_files(texts, local, schema)
    except ManifestError:
        return False
    return all(
        len(declared[store.key]) == len(store.files)
        and {file.key: _declaration(file, file.filename) for file in declared[store.key]}
        == {file.key: _declaration(file, _sent_name(file)) for file in store.files}
        for store in dump.stores
    )


def declared_files(
    texts: Mapping[str, str], local: LocalFiles, schema: Mapping[str, Any]
) -> dict[str, tuple[DesiredFile, ...]]:
    """The files of a manifest by store. Raises ManifestError."""
    main, *included = (
        check_document(parse_document(text, name), schema, "included" if number else "")
        for number, (name, text) in enumerate(texts.items())
    )
    manifest = build_manifest(Documents(main, tuple(included)), schema, None, {})
    selected, problems = select_files(manifest, Listing(local.files))
    if diagnostics := (*manifest.problems, *problems):
        raise ManifestError(diagnostics)
    return {store.key: store.files for store in resolve_desired(manifest, selected, local.readings)[0].stores}


def _sent_name(file: DumpedFile) -> str:
    name = upload_name(parse_template(file.filename), file.position, "")
    return fit_name(f"{name}.md") if file.converted_from else name


def _declaration(file: DesiredFile | DumpedFile, filename: str) -> tuple[object, ...]:
    attributes: Attributes = file.attributes
    typed = frozenset((name, type(value), value) for name, value in attributes.items())
    return (file.path, file.file_id, filename, file.chunking, typed)


def manifest_texts(
    dump: Dump, layouts: Mapping[str, StoreLayout], shared: Level, *, is_split: bool = False
) -> dict[str, str]:
    """The manifest by file name, with last newlines; stores inherit what is `shared`."""
    plan = f"`{shlex.join(['vssync', 'plan', *dump.options])}` shows what taking"
    blocks = {store.key: [*_store_lines(store, layouts[store.key].without(shared))] for store in dump.stores}
    comments = {store.key: [*_comment_lines(store, dump.owner)] for store in dump.stores}
    tree: dict[str, Any] = {"version": 1, "owner": dump.owner, "service": _service_tree(dump.service)}
    tree |= {"include": [f"{FOLDER}/*.yaml"]} if is_split and blocks else {}
    tree |= {"defaults": level_tree(shared)} if shared else {}
    if len(dump.stores) == 1 and not is_split:
        (store,) = dump.stores
        place = f" of {dump.service_name}, as it was found"
        comment = _comment_lines(store, dump.owner, place, f"{plan} it over changes.")
        lines = [*comment, "", yaml_text(tree), "stores:", *_indented(blocks[store.key])]
    else:
        files = count_noun(sum(len(store.files) for store in dump.stores), "file")
        stores = count_noun(len(dump.stores), "vector store")
        head = f"{stores} of {dump.service_name}, as they were found: {files}."
        lines = [*_comment(head), *_comment(f"{plan} them over changes."), "", yaml_text(tree)]
        lines.append("stores: {}" if is_split or not blocks else "stores:")
        for key in () if is_split else blocks:
            lines += _indented([*comments[key], *blocks[key], ""])
    texts = {MAIN: [*lines, *_omitted_lines(dump.omitted, "store")]}
    if is_split:
        texts |= {included_name(key): [*comments[key], "stores:", *_indented(blocks[key])] for key in blocks}
    return {name: "\n".join(lines).rstrip("\n") + "\n" for name, lines in texts.items()}


def included_name(key: str) -> str:
    """The file of one store beside the main manifest."""
    return f"{FOLDER}/{key}.yaml"


def _indented(lines: Iterable[str]) -> list[str]:
    return [indent(line, "  ") for line in lines]


def _comment(*paragraphs: str, margin: str = "# ") -> list[str]:
    """Texts as lines of a comment, wrapped between words."""
    inner = margin if margin == "# " else f"{margin}  "
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    texts = map(escape_control, filter(None, paragraphs))
    wrapped = (wrap(text, _WIDTH, initial_indent=margin, subsequent_indent=inner, **options) for text in texts)
    return list(chain.from_iterable(wrapped))


def _comment_lines(dumped: DumpedStore, owner: str, place: str = "", plan: str = "") -> Iterator[str]:
    store = dumped.store.label
    yield from _comment(f"The vector store {store}{place}: {count_noun(len(dumped.files), 'file')}.", plan)
    yield from (f"#   {line}" for line in _confidence_counts(dumped.files))
    if dumped.unreported_chunking:
        yield from _comment(
            f"The service does not report the chunking of {count_noun(dumped.unreported_chunking, 'file')}: it is "
            "`auto` here, which their next upload will use. If you know better, write it under `chunking`."
        )
    yield from _comment(*dumped.notes)
    mark = dumped.store.mark
    if isinstance(mark, StoreMark) and mark.owner != owner:
        by_id = any(file.file_id for file in dumped.files)
        ingested = " Files by id are ingested again when it is taken over." if by_id else ""
        yield from _comment(f"It belongs to {mark.owner}, whose own manifest says more.{ingested}")


def _confidence_counts(files: Iterable[DumpedFile]) -> list[str]:
    counts = Counter(file.confidence for file in files)
    return [
        f"{count_noun(count, 'file')}: {_CONFIDENCE[confidence]}"
        for confidence, count in sorted(counts.items(), reverse=True)
    ]


def _service_tree(service: ServiceSpec) -> dict[str, Any]:
    values = {each.name: getattr(service, each.name) for each in fields(service)}
    return {name: dict(value) if name == "capabilities" else value for name, value in values.items() if value}


def _store_lines(dumped: DumpedStore, layout: StoreLayout) -> Iterator[str]:
    """A store under its key."""
    yield yaml_text({dumped.key: {}}).removesuffix(" {}")
    if settings := {**dumped.settings, **level_tree(layout.level)}:
        yield indent(yaml_text(settings), "  ")
    yield "  files:" if layout.entries else "  files: []"
    is_mixed = len({file.confidence for file in dumped.files}) > 1
    for entry in layout.entries:
        yield from (f"    {line}" for line in _entry_lines(entry, is_mixed=is_mixed))
    if layout.overrides:
        overrides = [{"match": pattern, **level_tree(level)} for pattern, level in layout.overrides.items()]
        yield indent(yaml_text({"overrides": overrides}), "  ")
    yield from _omitted_lines(dumped.omitted, "file")


def _entry_lines(entry: DumpedEntry, *, is_mixed: bool) -> Iterator[str]:
    first, *others = entry.files
    if others:
        yield from (f"# {line}" for line in _confidence_counts(entry.files))
    elif first.path and is_mixed:
        yield f"# {_CONFIDENCE[first.confidence]}"
    if first.remark and not others:
        yield f"# {escape_control(first.remark)}"
    if first.file_id and not entry.level:
        yield f"- {{{', '.join(yaml_text({name: value}) for name, value in entry.tree().items())}}}"
    else:
        yield from (line.removeprefix("  ") for line in yaml_text({"files": [entry.tree()]}).split("\n")[1:])


def _omitted_lines(omitted: tuple[Omission, ...], noun: str) -> Iterator[str]:
    if omitted:
        place = " of the store" if noun == "file" else ""
        yield ""
        staying = "It stays as it is." if len(omitted) == 1 else "They stay as they are."
        yield f"# Left out: {count_noun(len(omitted), noun)}{place}. {staying}"
    for each in omitted[:_MAX_OMITTED]:
        name = f" ({each.name})" if each.name else ""
        reason = _REQUEST_ID.sub("", each.reason)  # who operates the service may need it today, and no reader of a file
        yield from _comment(f"{each.id}{name}: {reason}", margin="#   ")
    if (more := len(omitted) - _MAX_OMITTED) > 0:
        yield f"#   and {more:,} more"
