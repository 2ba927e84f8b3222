"""Finding and deleting orphans: uploads of ours that no store holds.

An upload is *proven* ours by this machine's journal, or by an upload name with a digest of our name and its bytes;
it is *suspected* when only its name and size fit. Nothing here asks a person: listing and deleting are two calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from vssync.api.client import Client
from vssync.applier.delete import declared_stores, held_file_ids
from vssync.applier.writes import Writes
from vssync.commands.session import Session
from vssync.errors import NotFound, VssyncError
from vssync.journal.records import UnattachedUpload
from vssync.journal.writer import Journal
from vssync.limits import CLOCK_SKEW
from vssync.manifest.placeholders import upload_digest
from vssync.model.report import Orphan
from vssync.model.state import Desired, Upload

SPARED = 24 * 3600  # seconds; a younger upload may be one that another machine is about to attach


@dataclass(frozen=True, slots=True)
class KnownUploads:
    """What upload names and sizes say: `proven` names hold a digest, `forms` are (name, size) the manifest uploads."""

    proven: Collection[str] = field(default_factory=frozenset)
    forms: Collection[tuple[str, int]] = field(default_factory=frozenset)


def find_orphans(work: Session, record: Journal, *, suspected: bool = False) -> tuple[Orphan, ...]:
    """Uploads of ours that no store of this manifest's name holds; with `suspected` also those that only look so.

    Nothing is written to the service. Raises ServiceError when any listing fails.
    """
    owner = work.loaded.desired.owner
    held = held_file_ids(work.client, work.pool, owner, declared_stores(work.loaded.desired))
    there = [_there(work.client, kept) for kept in record.past.kept if kept.file_id not in held]
    found = {orphan.file_id: orphan for orphan in there if orphan}
    record.forget({kept.file_id for kept in record.past.kept} - set(found))
    known = _known(work.loaded.desired)
    if known.proven or suspected:
        elsewhere = _held_by_anyone(work)
        free = [file for file in work.client.uploads() if file.id not in found and file.id not in held]
        now = work.client.service_date or max((file.created_at for file in free), default=0)
        for orphan in _by_name(free, known, record, now):
            if orphan.file_id not in elsewhere and (suspected or not orphan.suspected):
                found[orphan.file_id] = orphan
    return tuple(sorted(found.values(), key=lambda orphan: (orphan.suspected, orphan.detail, orphan.file_id)))


def delete_orphans(work: Session, record: Journal, found: Collection[Orphan]) -> tuple[Orphan, ...]:
    """Deletes these uploads; those that are still there, with why."""
    writes = Writes(work.client, record)

    def delete(orphan: Orphan) -> Orphan | None:
        try:
            writes.delete_upload(orphan.file_id, orphan.name, orphan.size)
        except VssyncError as error:
            return replace(orphan, detail=f"{orphan.detail}; {error}")
        return None

    left = tuple(orphan for orphan in work.pool.map(delete, found) if orphan)
    record.end({orphan.file_id for orphan in left})
    return left


def _there(client: Client, kept: UnattachedUpload) -> Orphan | None:
    """The orphan, unless somebody has deleted it."""
    try:
        found = client.uploaded(kept.file_id)
    except NotFound:
        return None
    return Orphan(kept.file_id, f"{found.filename}, {found.size:,} bytes: uploaded by an earlier run of this machine")


def _known(desired: Desired) -> KnownUploads:
    name = desired.owner.split("/")[0]
    files = [file for store in desired.stores for file in store.files if file.sha256]
    proven = {file.filename for file in files if upload_digest(name, file.sha256) in file.filename}
    return KnownUploads(proven, {(file.filename, file.size) for file in files})


def _by_name(free: Collection[Upload], known: KnownUploads, record: Journal, now: int) -> Iterator[Orphan]:
    """Uploads whose name says that they are ours; a dead run that lost one explains a young one."""
    lost = {(write.name, write.size): at for write, at in record.past.maybe}
    for file in free:
        form = (file.filename, file.size)
        explained = form in lost and file.created_at >= lost[form] - CLOCK_SKEW
        if not explained and now - file.created_at < SPARED:
            continue
        told = f"{file.filename}, {file.size:,} bytes"
        if file.filename in known.proven:
            yield Orphan(file.id, f"{told}: its name holds our digest", False, *form)
        elif explained:
            yield Orphan(file.id, f"{told}: an earlier run got no answer", True, *form)
        elif form in known.forms:
            yield Orphan(file.id, f"{told}: named and sized as ours", True, *form)


def _held_by_anyone(work: Session) -> frozenset[str]:
    """What any store of the service holds: a name does not tell the environment, so what is in use is no orphan."""
    listings = work.pool.map(lambda store: work.client.files(store.id, store.counts.total), work.client.stores())
    return frozenset(file.id for files in listings for file in files)
