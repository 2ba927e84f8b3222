"""Turning a live store into a manifest: reads the store and, where asked, local files and contents.

What was read is judged in `dump`. Nothing is written to the service.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vssync import dump
from vssync.dump.keys import label
from vssync.dump.matching import Match, candidates, matches
from vssync.dump.patterns import literal
from vssync.dump.rows import rows_of, seen, unfinished
from vssync.dump.seen import Seen, Taken
from vssync.errors import NotFound, UsageProblem
from vssync.manifest import Found, compiled
from vssync.model import FileStatus, LiveFile, LiveStore, ServiceSpec, Upload
from vssync.ownership import RESERVED
from vssync.sources.fence import around
from vssync.sources.schemas import schema
from vssync.sources.walk import walk
from vssync.workflow.contents import Into, Reader, downloaded, verdicts
from vssync.workflow.work import Line

_MOST_METADATA = 10  # a manifest's; the rest stays in the store, where every write sends it along
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Order:
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


def dumped(line: Line, service: ServiceSpec, order: Order) -> str:
    """The manifest of a live store.

    Raises UsageProblem for a store that is not there and a folder outside of the manifest's, Refused for a download
    that would overwrite a file.
    """
    stores = line.client.stores()
    store = _chosen(stores, order.store)
    files = line.client.files(store.id, store.counts.total)
    ready = [file for file in files if file.status is FileStatus.COMPLETED]
    found = tuple(map(seen, ready, line.pool.map(lambda file: _upload(line, file), ready)))
    folders = [_below(folder, order) for folder in (order.match, order.download) if folder]
    reader = Reader(line.client, store.id)
    matched = _matched(line, reader, found, service, order)
    remarks: dict[str, str] = {}
    if order.download:
        left = tuple(file for file in found if file.id not in matched)
        there = tuple(file for file in found if file.id in matched)
        new, remarks = downloaded(reader, left, there, Into(order.root, folders[-1], service.provider))
        matched |= new
    form = schema("manifest.schema.json")
    rows, undeclared = rows_of(found, matched, form, remarks)
    omitted = (*(unfinished(file) for file in files if file.status is not FileStatus.COMPLETED), *undeclared)
    taken = Taken(
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
    own = Found(order.manifest.name, 1)  # a pattern could choose it, too
    return dump.manifest(taken, (*_local(folders, order), own), form)


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


def _upload(line: Line, file: LiveFile) -> Upload | None:
    """The File behind a store's file; it may be deleted, and the store's copy still work."""
    try:
        return line.client.uploaded(file.id)
    except NotFound:
        return None


def _metadata(store: LiveStore) -> dict[str, str]:
    own = sorted(name for name in store.metadata if not name.startswith(RESERVED))
    return {name: store.metadata[name] for name in own[:_MOST_METADATA]}


def _below(folder: Path, order: Order) -> str:
    """A folder as seen from the manifest's, with its slash; empty for that one itself."""
    real = Path(os.path.realpath(folder))
    if not real.is_relative_to(order.root):
        raise UsageProblem(
            f"{folder}: lies outside of {order.root}, where the manifest is to be, so it could not name it"
        )
    below = real.relative_to(order.root).as_posix()
    return "" if below == "." else f"{below}/"


def _local(folders: Iterable[str], order: Order) -> tuple[Found, ...]:
    """Every file of these folders that a pattern can name."""
    everything = compiled("**")
    patterns = [compiled(f"{literal(folder[:-1])}/**") if folder else everything for folder in folders]
    listing = walk(str(order.root), patterns, around(order.root, ()).within(order.root))
    return tuple({found.path: found for pattern in patterns for _, found in listing.matching(pattern)}.values())


def _matched(
    line: Line, reader: Reader, found: tuple[Seen, ...], service: ServiceSpec, order: Order
) -> dict[str, Match]:
    """The local file of each live one, by File id."""
    if order.match is None:
        return {}
    possible = candidates(found, _local([_below(order.match, order)], order), service.provider)
    asked = [file for file in found if file.id in possible]
    judged = line.pool.map(lambda file: verdicts(reader, file, possible[file.id], order.root), asked)
    return matches(found, possible, {pair: verdict for one in judged for pair, verdict in one.items()})
