"""Turning a live store into a manifest: reads the store and, where asked, local files and contents.

What was read is judged in `dump`. Nothing is written to the service.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vssync.commands.dump.contents import ContentReader, DownloadTarget, compare_contents, download_files
from vssync.commands.dump.entries import dumped_files, is_unfinished, remote_file
from vssync.commands.dump.keys import label
from vssync.commands.dump.manifest import manifest_of_store
from vssync.commands.dump.matching import LocalMatch, candidate_paths, match_files
from vssync.commands.dump.patterns import literal
from vssync.commands.dump.seen import DumpedStore, RemoteFile
from vssync.commands.session import Connection
from vssync.errors import NotFound, UsageProblem
from vssync.limits import MAX_METADATA
from vssync.manifest.globs import FoundFile, compile_pattern
from vssync.model.marks import RESERVED_PREFIX
from vssync.model.state import FileStatus, LiveFile, LiveStore, ServiceSpec, Upload
from vssync.sources.schemas import load_schema
from vssync.sources.walk import sandbox_around, walk_files

_LISTED = 20


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """What to take, and what for.

    The store's name or id; the owner's name and the place of the manifest to be; a folder in which its files may lie,
    and one to download the others into, both below the manifest's.
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


def dump_store(line: Connection, service: ServiceSpec, order: DumpRequest) -> str:
    """The manifest of a live store.

    Raises UsageProblem for a store that is not there and a folder outside of the manifest's, Refused for a download
    that would overwrite a file.
    """
    stores = line.client.list_stores()
    store = _chosen(stores, order.store)
    files = line.client.list_files(store.id, store.counts.total)
    ready = [file for file in files if file.status is FileStatus.COMPLETED]
    found = tuple(map(remote_file, ready, line.pool.map(lambda file: _upload(line, file), ready)))
    folders = [_below(folder, order) for folder in (order.match, order.download) if folder]
    reader = ContentReader(line.client, store.id)
    matched = _matched(line, reader, found, service, order)
    remarks: dict[str, str] = {}
    if order.download:
        left = tuple(file for file in found if file.id not in matched)
        there = tuple(file for file in found if file.id in matched)
        new, remarks = download_files(reader, left, there, DownloadTarget(order.root, folders[-1], service.provider))
        matched |= new
    form = load_schema("manifest.schema.json")
    rows, undeclared = dumped_files(found, matched, form, remarks)
    omitted = (*(is_unfinished(file) for file in files if file.status is not FileStatus.COMPLETED), *undeclared)
    taken = DumpedStore(
        owner=order.owner,
        key=label(store.name, "store"),
        store=store,
        service=service,
        rows=rows,
        omitted=omitted,
        metadata=_metadata(store),
        pinned=not store.name or sum(other.name == store.name for other in stores) > 1,
        untold=sum(file.chunking is None for file in found),
    )
    own = FoundFile(order.manifest.name, 1)  # a pattern could choose it, too
    return manifest_of_store(taken, (*_local(folders, order), own), form)


def _chosen(stores: tuple[LiveStore, ...], wanted: str) -> LiveStore:
    """The store of an id, or of a name that only one has."""
    fitting = [store for store in stores if store.id == wanted] or [store for store in stores if store.name == wanted]
    if len(fitting) == 1:
        return fitting[0]
    told = fitting or list(stores)
    listed = ", ".join(f"{store.name} ({store.id})" for store in told[:_LISTED]) or "none"
    more = f" and {len(told) - _LISTED:,} more" if len(told) > _LISTED else ""
    if fitting:
        raise UsageProblem(f"--store {wanted}: several stores have this name; give an id: {listed}{more}")
    raise UsageProblem(f"--store {wanted}: the service has no such store; it has {listed}{more}")


def _upload(line: Connection, file: LiveFile) -> Upload | None:
    """The File behind a store's file; it may be deleted, and the store's copy still work."""
    try:
        return line.client.get_upload(file.id)
    except NotFound:
        return None


def _metadata(store: LiveStore) -> dict[str, str]:
    own = sorted(name for name in store.metadata if not name.startswith(RESERVED_PREFIX))
    return {name: store.metadata[name] for name in own[:MAX_METADATA]}  # the rest stays in the store


def _below(folder: Path, order: DumpRequest) -> str:
    """A folder as seen from the manifest's, with its slash; empty for that one itself."""
    real = Path(os.path.realpath(folder))
    if not real.is_relative_to(order.root):
        raise UsageProblem(
            f"{folder}: lies outside of {order.root}, where the manifest is to be, so it could not name it"
        )
    below = real.relative_to(order.root).as_posix()
    return "" if below == "." else f"{below}/"


def _local(folders: Iterable[str], order: DumpRequest) -> tuple[FoundFile, ...]:
    """Every file of these folders that a pattern can name."""
    everything = compile_pattern("**")
    patterns = [compile_pattern(f"{literal(folder[:-1])}/**") if folder else everything for folder in folders]
    listing = walk_files(str(order.root), patterns, sandbox_around(order.root, ()).around(order.root))
    return tuple({found.path: found for pattern in patterns for _, found in listing.matching(pattern)}.values())


def _matched(
    line: Connection, reader: ContentReader, found: tuple[RemoteFile, ...], service: ServiceSpec, order: DumpRequest
) -> dict[str, LocalMatch]:
    """The local file of each live one, by File id."""
    if order.match is None:
        return {}
    possible = candidate_paths(found, _local([_below(order.match, order)], order), service.provider)
    asked = [file for file in found if file.id in possible]
    judged = line.pool.map(lambda file: compare_contents(reader, file, possible[file.id], order.root), asked)
    return match_files(found, possible, {pair: verdict for one in judged for pair, verdict in one.items()})
