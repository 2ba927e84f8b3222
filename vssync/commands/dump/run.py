"""Makes the manifest of a live store: reads the store and, where asked, local files and contents.

Nothing is written to the service.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vssync.commands.compare import ContentReader
from vssync.commands.dump.contents import DownloadTarget, compare_contents, download_files
from vssync.commands.dump.deduplicate import literal_pattern
from vssync.commands.dump.entries import dumped_files, omit_connected, omit_unfinished, remote_file
from vssync.commands.dump.manifest import DumpedStore, manifest_of_store
from vssync.commands.dump.matching import LocalMatch, RemoteFile, candidate_paths, match_files
from vssync.commands.init import make_label
from vssync.commands.session import Connection
from vssync.errors import NotFound, UsageProblem
from vssync.limits import MAX_METADATA
from vssync.manifest.globs import FoundFile, compile_pattern
from vssync.model.marks import RESERVED_PREFIX, StoreMark
from vssync.model.service import ServiceSpec
from vssync.model.state import FileStatus, LiveFile, LiveStore, Upload
from vssync.sources.paths import sandbox_around
from vssync.sources.schemas import load_schema
from vssync.sources.walk import walk_files

_MAX_LISTED = 20  # stores in a message


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """The store's name or id, and the owner's name and the path of the manifest to write.

    `match` is a folder in which its files may lie, and `download` one to save the others in; both lie in the
    manifest's folder.
    """

    store: str
    owner: str
    manifest: Path
    match: Path | None = None
    download: Path | None = None

    @property
    def root(self) -> Path:
        """The manifest's folder, links followed."""
        return Path(os.path.realpath(self.manifest.parent))


def dump_store(connection: Connection, service: ServiceSpec, request: DumpRequest) -> tuple[str, tuple[str, ...]]:
    """The manifest of a live store, and the options of a plan that takes the store over.

    Raises UsageProblem for a store that does not exist and for a folder outside the manifest's, Refused for a download
    that would overwrite a file.
    """
    client = connection.client
    stores = client.list_stores()
    store = _find_store(stores, request.store)
    live = client.require_all_files(store)
    completed = [file for file in live if file.status is FileStatus.COMPLETED]
    uploads = connection.pool.map(lambda file: _get_upload(connection, file), completed)
    connected = {upload.id for upload in uploads if upload and upload.is_connector_file}
    found = zip(completed, uploads, strict=True)
    files = tuple(remote_file(file, upload) for file, upload in found if file.id not in connected)

    match_folder = _relative_folder(request.match, request) if request.match else None
    download_folder = _relative_folder(request.download, request) if request.download else None
    reader = ContentReader(client)
    matches: dict[str, LocalMatch] = {}
    remarks: dict[str, str] = {}
    if match_folder is not None:
        local = _list_local([match_folder], request.root)
        candidates = candidate_paths(files, local, service.provider)
        matches = _match_local(connection, reader, files, candidates, store_id=store.id, root=request.root)
    if download_folder is not None:
        matched = tuple(file for file in files if file.id in matches)
        unmatched = tuple(file for file in files if file.id not in matches)
        target = DownloadTarget(request.root, download_folder, service.provider)
        downloads, remarks = download_files(reader, unmatched, matched, target)
        matches |= downloads

    mark_owner = store.mark.owner if isinstance(store.mark, StoreMark) else ""
    schema = load_schema("manifest.schema.json")
    declared, undeclarable = dumped_files(files, matches, schema, remarks)
    unfinished = tuple(omit_unfinished(file) for file in live if file.status is not FileStatus.COMPLETED)
    dumped = DumpedStore(
        owner=request.owner,
        key=make_label(store.name, "store"),
        store=store,
        service=service,
        files=declared,
        omitted=(*unfinished, *undeclarable, *map(omit_connected, sorted(connected))),
        metadata=_own_metadata(store),
        by_id=not store.name or sum(other.name == store.name for other in stores) > 1,
        unreported_chunking=sum(file.chunking is None for file in files),
        adopt=not mark_owner or any(file.mark is None and file.id not in connected for file in live),
        options=("--adopt-from", mark_owner) if mark_owner not in ("", request.owner) else (),
    )
    folders = [folder for folder in (match_folder, download_folder) if folder is not None]
    manifest = FoundFile(request.manifest.name, 1)  # a pattern could choose it, too
    return manifest_of_store(dumped, (*_list_local(folders, request.root), manifest), schema), dumped.options


def _find_store(stores: tuple[LiveStore, ...], name_or_id: str) -> LiveStore:
    """The store of an id, or of a name that only one store has."""
    found = [store for store in stores if store.id == name_or_id] or [
        store for store in stores if store.name == name_or_id
    ]
    if len(found) == 1:
        return found[0]
    choices = found or list(stores)
    listed = ", ".join(f"{store.name} ({store.id})" for store in choices[:_MAX_LISTED]) or "none"
    more = f" and {len(choices) - _MAX_LISTED:,} more" if len(choices) > _MAX_LISTED else ""
    if found:
        raise UsageProblem(f"--store {name_or_id}: several stores have this name; give an id: {listed}{more}")
    raise UsageProblem(f"--store {name_or_id}: the service has no such store; it has {listed}{more}")


def _get_upload(connection: Connection, file: LiveFile) -> Upload | None:
    """The File behind a store's file; it may be deleted, and the store's copy still work."""
    try:
        return connection.client.get_upload(file.id)
    except NotFound:
        return None


def _own_metadata(store: LiveStore) -> dict[str, str]:
    """What others wrote, as much of it as a manifest may declare; the rest stays in the store."""
    names = sorted(name for name in store.metadata if not name.startswith(RESERVED_PREFIX))
    return {name: store.metadata[name] for name in names[:MAX_METADATA]}


def _relative_folder(folder: Path, request: DumpRequest) -> str:
    """A folder's path from the manifest's, with its slash; empty for that one itself."""
    real = Path(os.path.realpath(folder))
    if not real.is_relative_to(request.root):
        raise UsageProblem(f"{folder}: lies outside {request.root}, the manifest's folder, so no path can name it")
    relative = real.relative_to(request.root).as_posix()
    return "" if relative == "." else f"{relative}/"


def _list_local(folders: Iterable[str], root: Path) -> tuple[FoundFile, ...]:
    """Every file of these folders that a pattern can name."""
    patterns = [compile_pattern(f"{literal_pattern(folder[:-1])}/**" if folder else "**") for folder in folders]
    listing = walk_files(str(root), patterns, sandbox_around(root, ()).around(root))
    return tuple({file.path: file for pattern in patterns for _, file in listing.chosen_by(pattern)}.values())


def _match_local(
    connection: Connection,
    reader: ContentReader,
    files: tuple[RemoteFile, ...],
    candidates: dict[str, tuple[str, ...]],
    *,
    store_id: str,
    root: Path,
) -> dict[str, LocalMatch]:
    """The local file of each live one, by File id, after comparing the contents of those that could match."""
    possible = [file for file in files if file.id in candidates]
    results = connection.pool.map(
        lambda file: compare_contents(reader, store_id, file, candidates[file.id], root), possible
    )
    return match_files(files, candidates, {pair: result for group in results for pair, result in group.items()})
