"""Finding and deleting orphans: uploads of ours that no store holds.

An upload is *proven* ours by this machine's journal, or by an upload name with a digest of our name and its bytes;
it is *suspected* when only its name and size fit. Nothing here asks a person: listing and deleting are two calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from vssync.api.client import Client
from vssync.applier.writes import Writes
from vssync.commands.session import Session
from vssync.commands.snapshot import list_files
from vssync.errors import NotFound, ServiceError, VssyncError
from vssync.journal.records import UnattachedUpload
from vssync.journal.writer import Journal
from vssync.limits import CLOCK_SKEW
from vssync.manifest.placeholders import upload_digest
from vssync.model.plan import Orphan
from vssync.model.state import Desired, LiveStore, Upload

SPARED = 24 * 3600  # seconds; a younger upload may be one that another machine is about to attach


@dataclass(frozen=True, slots=True)
class KnownUploads:
    """What upload names and sizes say: `proven` names hold a digest, `forms` are (name, size) the manifest uploads."""

    proven: Collection[str] = field(default_factory=frozenset)
    forms: Collection[tuple[str, int]] = field(default_factory=frozenset)


def find_orphans(work: Session, record: Journal, *, suspected: bool = False) -> tuple[Orphan, ...]:
    """Uploads of ours that no store holds, whoever's; with `suspected` also those that only look so.

    Nothing is written to the service. Raises ServiceError when any listing fails.
    """
    there = [_there(work.client, kept) for kept in record.past.unattached]
    found = {orphan.file_id: orphan for orphan in there if orphan}
    known = _known(work.loaded.desired)
    if known.proven or suspected:
        free = [file for file in work.client.list_uploads() if file.id not in found]
        now = work.client.service_date or max((file.created_at for file in free), default=0)
        named = _by_name(free, known, record, now)
        found |= {orphan.file_id: orphan for orphan in named if suspected or not orphan.suspected}
    for file_id in _held(work, frozenset(found)):
        del found[file_id]
    record.forget({kept.file_id for kept in record.past.unattached} - set(found))
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
        found = client.get_upload(kept.file_id)
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
    lost = {(write.name, write.size): at for write, at in record.past.suspected}
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


def _held(work: Session, file_ids: frozenset[str]) -> frozenset[str]:
    """Which of these any store of the service holds: a deleted upload goes from all of them.

    Neither the journal nor a name tells what somebody has attached to a store of another owner. Looked at last, so that
    little can happen before the uploads are deleted.
    """
    stores = work.client.list_stores() if file_ids else ()
    return frozenset().union(*work.pool.map(lambda store: _held_by(work.client, store, file_ids), stores))


def _held_by(client: Client, store: LiveStore, file_ids: frozenset[str]) -> frozenset[str]:
    """A store that lists fewer files than the service counts is asked for each upload."""
    try:
        files, unlisted = list_files(client, store)
        listed = file_ids.intersection(file.id for file in files)
        asked = file_ids - listed if unlisted else ()
        return listed.union(file_id for file_id in asked if client.is_attached(store.id, file_id))
    except ServiceError as error:
        raise ServiceError(
            f"{store.name} ({store.id}): its files cannot be listed, so nobody can tell which uploads it needs, and "
            f"none is deleted: {error}",
            error.answer,
        ) from error
