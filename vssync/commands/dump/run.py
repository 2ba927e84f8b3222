"""Makes the manifest of live stores: reads the stores and, where asked, local files and contents.

Nothing is written to the service.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from vssync.commands.compare import ContentReader
from vssync.commands.dump.contents import ContentComparer, DownloadTarget, download_files
from vssync.commands.dump.entries import (
    Omission,
    declared_settings,
    dumped_files,
    omit_connected,
    omit_unfinished,
    remote_file,
)
from vssync.commands.dump.forms import lookups_for
from vssync.commands.dump.manifest import Dump, DumpedStore, LocalFiles, included_name, write_manifest
from vssync.commands.dump.matching import LocalMatch, RemoteFile, find_candidates, match_files, match_sources
from vssync.commands.dump.patterns import literal_pattern
from vssync.commands.names import is_name, make_label
from vssync.commands.session import Connection
from vssync.commands.snapshot import list_contents, read_uploads
from vssync.errors import UsageProblem, VssyncError
from vssync.manifest.diagnostics import did_you_mean
from vssync.manifest.globs import FoundFile, compile_pattern
from vssync.manifest.lookups import Lookup
from vssync.manifest.placeholders import escape_placeholders
from vssync.manifest.resolve import Reading
from vssync.manifest.select import FileToRead
from vssync.manifest.spec import CONVERTIBLE_EXTENSIONS, MARKDOWN
from vssync.model.marks import StoreMark
from vssync.model.service import ServiceSpec
from vssync.model.state import FileStatus, LiveFile, LiveStore, Upload, extension_of
from vssync.sources.load import read_documents
from vssync.sources.paths import sandbox_around
from vssync.sources.schemas import load_schema
from vssync.sources.walk import walk_files
from vssync.text import count_noun, escape_control

_MAX_LISTED = 20  # stores in a message
_DENIED = "This credential may not read the store itself, so its settings are not known."
_MIN_LISTED = 100  # files for which it is worth to list all Files


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """The stores by name or id, all of them if there are none; the owner's name, and the path of the manifest to write.

    `match` is a folder in which their files may lie, and `download` one to save the others in; both lie in the
    manifest's folder. With `is_split` each store has a file of its own.
    """

    stores: tuple[str, ...]
    owner: str
    manifest: Path
    match: Path | None = None
    download: Path | None = None
    is_split: bool = False

    @property
    def root(self) -> Path:
        """The manifest's folder, links followed."""
        return Path(os.path.realpath(self.manifest.parent))


@dataclass(frozen=True, slots=True)
class _ReadStore:
    """A live store: its files, as far as a manifest can declare them, and why not the others."""

    store: LiveStore
    key: str
    live: tuple[LiveFile, ...]
    files: tuple[RemoteFile, ...]
    connected: frozenset[str]

    @property
    def is_marked(self) -> bool:
        """Whether it and all that could be adopted in it carry marks, so that there is nothing to take over."""
        unmarked = (file for file in self.live if file.mark is None and file.id not in self.connected)
        return isinstance(self.store.mark, StoreMark) and next(unmarked, None) is None


def dump_stores(connection: Connection, service: ServiceSpec, request: DumpRequest) -> tuple[dict[str, str], Dump]:
    """The manifest of live stores by file name, and what it declares.

    Raises UsageProblem for a store that does not exist and for a folder outside the manifest's, Refused for a download
    that would overwrite a file.
    """
    if request.match and not request.match.is_dir():
        raise UsageProblem(f"{request.match}: is no folder, so no file of a store can be found in it")
    match_folder = _relative_folder(request.match, request) if request.match else None
    download_folder = _relative_folder(request.download, request) if request.download else None
    listed = _list_stores(connection, request.stores)
    chosen = _find_stores(listed, request.stores) if request.stores else listed
    read, omitted = _read_stores(connection, chosen, is_strict=bool(request.stores))

    matches: dict[str, dict[str, LocalMatch]] = {each.key: {} for each in read}
    remarks: dict[str, dict[str, str]] = {}
    if match_folder is not None:
        local = _list_local([match_folder], request.root)
        comparer = ContentComparer(ContentReader(connection.client), request.root)
        matches = {each.key: _match_local(connection, each, local, comparer, service.provider) for each in read}
    for each in read if download_folder is not None else ():
        folder = f"{download_folder}{each.key}/" if len(read) > 1 else download_folder or ""
        target = DownloadTarget(request.root, folder, service.provider)
        downloads, remarks[each.key] = _download(connection, each, matches[each.key], target)
        matches[each.key] |= downloads
    connection.client.waiting_for = ""

    readings = _read_matched(request.root, read, matches)
    schema = load_schema("manifest.schema.json")
    names = [store.name for store in listed]
    stores = []
    for each in read:
        usable = {id_: match for id_, match in matches[each.key].items() if _as_read(match) in readings}
        by_id = names.count(each.store.name) > 1
        dumped = _dumped_store(each, usable, remarks.get(each.key, {}), service.provider, by_id=by_id)
        if connection.client.stores_denied:
            external = {"external": True, "id": escape_placeholders(each.store.id), "adopt": True}
            dumped = replace(dumped, settings=external, notes=(_DENIED,))
        if any(readings[_as_read(match)].findings.is_draft for match in usable.values()):
            dumped = replace(dumped, settings={**dumped.settings, "skip": ["!draft"]})
        if converted := sorted({match.converted_from for match in usable.values()} - {""}):
            dumped = replace(dumped, settings={**dumped.settings, "formats": dict.fromkeys(converted, MARKDOWN)})
        stores.append(dumped)
    owners = dict.fromkeys(each.store.owner for each in read if each.store.owner not in ("", request.owner))
    options = tuple(word for owner in owners for word in ("--adopt-from", owner))
    dump = Dump(request.owner, service, tuple(stores), omitted, options)
    folders = [folder for folder in (match_folder, download_folder) if folder is not None]
    written = [request.manifest.name, *(included_name(each.key) for each in read if request.is_split)]
    manifest = [FoundFile(name, 1) for name in written]  # patterns could choose them, too
    local_files = LocalFiles((*_list_local(folders, request.root), *manifest), readings)
    return write_manifest(dump, local_files, schema, is_split=request.is_split), dump


def _dumped_store(
    read: _ReadStore, matches: Mapping[str, LocalMatch], remarks: Mapping[str, str], provider: str, *, by_id: bool
) -> DumpedStore:
    schema = load_schema("manifest.schema.json")
    declared, undeclarable = dumped_files(read.files, matches, schema, remarks)
    unfinished = tuple(omit_unfinished(file) for file in read.live if file.status is not FileStatus.COMPLETED)
    by_id = by_id or not read.store.name
    settings, notes = declared_settings(read.store, read.key, provider, schema, by_id=by_id)
    return DumpedStore(
        key=read.key,
        store=read.store,
        settings=settings if read.is_marked else {**settings, "adopt": True},
        files=declared,
        omitted=(*unfinished, *undeclarable, *map(omit_connected, sorted(read.connected))),
        notes=notes,
        unreported_chunking=sum(file.chunking is None for file in read.files),
    )


def _list_stores(connection: Connection, names: tuple[str, ...]) -> list[LiveStore]:
    """All stores; where this credential may not list them, those of these ids, as far as it may list their files."""
    if names:
        connection.client.pinned_stores = dict.fromkeys(names, "")
    stores = sorted(connection.client.list_stores(), key=lambda store: (store.name, store.created_at, store.id))
    if connection.client.stores_denied and (other := set(names).difference(store.id for store in stores)):
        raise UsageProblem(f"--store {min(other)}: this credential may not list stores; give the id of one, vs_...")
    if not stores:
        raise UsageProblem("the service has no vector stores, so there is nothing to dump")
    return stores


def _find_stores(stores: Sequence[LiveStore], names: tuple[str, ...]) -> list[LiveStore]:
    """The stores of these ids, or names that only one store has, each once."""
    found: dict[str, str] = {}  # what each was asked for by, by id
    for name in names:
        store = _find_store(stores, name)
        if earlier := found.get(store.id):
            raise UsageProblem(f"--store {name}: names the same store as --store {earlier}; give one of them")
        found[store.id] = name
    by_id = {store.id: store for store in stores}
    return [by_id[store_id] for store_id in found]


def _find_store(stores: Sequence[LiveStore], name_or_id: str) -> LiveStore:
    """The store of an id, or of a name that only one store has."""
    found = [store for store in stores if store.id == name_or_id] or [
        store for store in stores if store.name == name_or_id
    ]
    if len(found) == 1:
        return found[0]
    hint = did_you_mean(name_or_id, [text for store in stores for text in (store.name, store.id) if text])
    choices = found or list(stores)
    listed = ", ".join(store.label for store in choices[:_MAX_LISTED])
    more = f" and {len(choices) - _MAX_LISTED:,} more" if len(choices) > _MAX_LISTED else ""
    if found:
        raise UsageProblem(f"--store {name_or_id}: several stores have this name; give an id: {listed}{more}")
    raise UsageProblem(f"--store {name_or_id}: the service has no such store; {hint or f'it has {listed}{more}'}")


def _read_stores(
    connection: Connection, stores: Sequence[LiveStore], *, is_strict: bool
) -> tuple[list[_ReadStore], tuple[Omission, ...]]:
    """The stores with their files, and those that cannot be taken over; any of these is an error where `is_strict`."""
    client = connection.client
    usable = [store for store in stores if not store.is_expired]
    contents = connection.pool.map(lambda store: list_contents(client, store), usable)
    reasons = {store.id: "it has expired, so its files cannot be taken over" for store in stores if store.is_expired}
    reasons |= {store.id: each.shortfall for store, each in zip(usable, contents, strict=True) if each.shortfall}
    omitted = tuple(Omission(store.id, store.name, reasons[store.id]) for store in stores if store.id in reasons)
    if omitted and (is_strict or len(omitted) == len(stores)):
        raise VssyncError(f"{escape_control(omitted[0].name) or omitted[0].id}: {omitted[0].reason}")
    listings = [(store, each.files) for store, each in zip(usable, contents, strict=True) if store.id not in reasons]
    uploads = _uploads_of(connection, [file for _, files in listings for file in files])
    connected = {upload.id for upload in uploads.values() if upload.is_connector_file}
    read: list[_ReadStore] = []
    for store, live in listings:
        completed = (file for file in live if file.status is FileStatus.COMPLETED and file.id not in connected)
        files = tuple(remote_file(file, uploads.get(file.id)) for file in completed)
        key = _free_store_key(store, {each.key.casefold() for each in read})
        read.append(_ReadStore(store, key, live, files, frozenset(connected.intersection(file.id for file in live))))
    return read, omitted


def _free_store_key(store: LiveStore, taken: set[str]) -> str:
    """The key of its mark, or one made from its name; with a number where another store has it."""
    mark_key = store.claim[1]
    wanted = mark_key if is_name(mark_key) else make_label(store.name, "store")
    numbered = (f"{wanted[:60]}-{number}" for number in range(2, len(taken) + 3))
    return next(key for key in (wanted, *numbered) if key.casefold() not in taken)


def _uploads_of(connection: Connection, live: Sequence[LiveFile]) -> dict[str, Upload]:
    """The Files behind completed files, by id; one may be deleted, and the store's copy still work.

    Many are looked for in the list of all Files first, as long as its pages are fewer than a twentieth of the requests
    that it could save.
    """
    wanted = {file.id for file in live if file.status is FileStatus.COMPLETED}
    connection.client.waiting_for = f"the names of {count_noun(len(wanted), 'file')}"
    found: dict[str, Upload] = {}
    if len(wanted) > _MIN_LISTED:
        for upload in islice(connection.client.list_uploads(), 5 * len(wanted)):
            found |= {upload.id: upload} if upload.id in wanted else {}
            if len(found) == len(wanted):
                break
    return found | read_uploads(connection.client, connection.pool, wanted - found.keys())


def _relative_folder(folder: Path, request: DumpRequest) -> str:
    """A folder's path from the manifest's, with its slash; empty for that one itself."""
    real = Path(os.path.realpath(folder))
    if not real.is_relative_to(request.root):
        problem = f"lies outside {request.root}, the manifest's folder, so no path can name it"
        raise UsageProblem(f"{folder}: {problem}; write the manifest into a folder that has both")
    relative = real.relative_to(request.root).as_posix()
    return "" if relative == "." else f"{relative}/"


def _list_local(folders: Iterable[str], root: Path) -> tuple[FoundFile, ...]:
    """Every file of these folders that a pattern can name."""
    patterns = [compile_pattern(f"{literal_pattern(folder[:-1])}/**" if folder else "**") for folder in folders]
    listing = walk_files(str(root), patterns, sandbox_around(root, ()).around(root))
    return tuple({file.path: file for pattern in patterns for _, file in listing.chosen_by(pattern)}.values())


def _as_read(match: LocalMatch) -> FileToRead:
    return match.path, match.converted_from


def _match_local(
    connection: Connection, read: _ReadStore, local: Sequence[FoundFile], comparer: ContentComparer, provider: str
) -> dict[str, LocalMatch]:
    """The local file of each live one, by File id, after comparing the contents of those that could match."""
    candidates = find_candidates(read.files, local, provider)
    possible = [file for file in read.files if file.id in candidates]
    connection.client.waiting_for = f"{count_noun(len(possible), 'file')} of {read.key} to compare"
    results = connection.pool.map(lambda file: comparer.compare(read.store.id, file, candidates[file.id]), possible)
    matches = match_files(read.files, candidates, {pair: result for group in results for pair, result in group.items()})
    if not any(file.source for file in read.files):
        return matches
    documents = (file.nfc_path for file in local if extension_of(file.nfc_path) in CONVERTIBLE_EXTENSIONS)
    others = {extension_of(file.filename) for file in read.files if file.id in matches}
    return matches | match_sources(read.files, comparer.by_digest(documents), others)


def _download(
    connection: Connection, read: _ReadStore, matches: Mapping[str, LocalMatch], target: DownloadTarget
) -> tuple[dict[str, LocalMatch], dict[str, str]]:
    """The downloaded files of a store without local ones, by File id, and remarks on those that have none."""
    matched = tuple(file for file in read.files if file.id in matches)
    unmatched = tuple(file for file in read.files if file.id not in matches)
    connection.client.waiting_for = f"{count_noun(len(unmatched), 'file')} of {read.key} to download"
    return download_files(ContentReader(connection.client), unmatched, matched, target)


def _read_matched(
    root: Path, read: Sequence[_ReadStore], matches: Mapping[str, Mapping[str, LocalMatch]]
) -> dict[FileToRead, Reading]:
    """What the local files say that attributes could come from, without those that a manifest cannot load.

    Documents that are converted are not read: what they say takes their converter.
    """
    lookups: dict[str, frozenset[Lookup]] = {}
    for each in read:
        own = {id_: match for id_, match in matches[each.key].items() if not match.converted_from}
        found = [(file, match.path) for file in each.files if (match := own.get(file.id))]
        names = {name for file, _ in found for name in file.attributes}
        wanted = frozenset(lookup for name in names for lookup in lookups_for(name))
        lookups |= {path: wanted | lookups.get(path, frozenset()) for _, path in found}
    readings = read_documents(root, lookups)
    converted = (match for own in matches.values() for match in own.values() if match.converted_from)
    return {
        **{(path, ""): each for path, each in readings.items() if not (each.problem or each.is_blank)},
        **{_as_read(match): Reading() for match in converted},
    }
