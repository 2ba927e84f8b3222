"""Finds and deletes orphans: vssync's own uploads that no store holds.

An upload is *proven* vssync's own by this machine's journal, or by a digest in its name of the owner and its
bytes; it is *suspected* when only its name and size fit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from vssync.api.client import Client
from vssync.api.connect import with_unlisted
from vssync.api.errors import describe_answer
from vssync.applier.deletions import find_holders
from vssync.applier.writes import Writes
from vssync.commands.session import Session, Settings, load_manifest
from vssync.errors import Refused, VssyncError
from vssync.journal.records import UnattachedUpload
from vssync.journal.writer import Journal
from vssync.limits import CLOCK_SKEW
from vssync.manifest.placeholders import upload_digest
from vssync.model.report import FoundOrphans, Orphan
from vssync.model.state import Desired, Upload

MIN_AGE = 24 * 3600  # seconds; another machine may be about to attach a younger upload


@dataclass(frozen=True, slots=True)
class _ManifestUploads:
    """What the manifest uploads: by name and size, and the names that hold a digest, which prove an upload."""

    forms: Collection[tuple[str, int]]
    proven_names: Collection[str]


def names_hold_digests(settings: Settings) -> bool:
    """Whether the names of uploads may prove whose they are; without that, no file needs to be read for it."""
    return any(spec.names_hold_digests for spec in load_manifest(settings, hashed=False).manifest.stores)


def find_orphans(session: Session, journal: Journal, *, suspected: bool = False) -> FoundOrphans:
    """Proven uploads that no store holds, of this owner or any other; with `suspected` also the suspected ones.

    Those under a day old are only counted. Nothing is written to the service. Raises ServiceError when any listing
    fails, Refused where stores are not listed.
    """
    client = session.client
    recorded = journal.past.unattached
    orphans = {orphan.file_id: orphan for orphan in (_recorded_orphan(client, upload) for upload in recorded) if orphan}
    declared = _manifest_uploads(session.loaded.desired)
    ages: dict[str, int] = {}  # when each young one is a day old
    if declared.proven_names or suspected:
        others = [upload for upload in client.list_uploads() if upload.id not in orphans]
        now = client.service_date or max((upload.created_at for upload in others), default=0)
        for orphan, of_age_at in _named_orphans(others, declared, journal):
            if suspected or not orphan.suspected:
                orphans[orphan.file_id] = orphan
                ages |= {orphan.file_id: of_age_at} if of_age_at > now else {}
    # Read last, so that little can happen before the uploads are deleted. Neither the journal nor a name tells what
    # somebody has attached to a store of another owner.
    stores = with_unlisted(client, client.list_stores(), journal.stores) if orphans else ()
    if client.stores_denied:
        raise Refused(
            f"{describe_answer(client.stores_denied.answer)}; which uploads are in use is known only to a credential "
            "that may list all stores: use one"
        )
    for file_id in find_holders(client, session.pool, stores, list(orphans)):
        del orphans[file_id]
    journal.forget({upload.file_id for upload in recorded} - set(orphans))
    young = [of_age_at for file_id, of_age_at in ages.items() if file_id in orphans]
    found = [orphan for orphan in orphans.values() if orphan.file_id not in ages]
    found.sort(key=lambda orphan: (orphan.suspected, orphan.detail, orphan.file_id))
    return FoundOrphans(tuple(found), len(young), max(young, default=None))


def delete_orphans(session: Session, journal: Journal, orphans: Collection[Orphan]) -> tuple[Orphan, ...]:
    """Deletes these uploads, and returns those that are left, with the reason."""
    writes = Writes(session.client, journal)

    def delete(orphan: Orphan) -> Orphan | None:
        try:
            writes.delete_upload(orphan.file_id, orphan.name, orphan.size)
        except VssyncError as error:
            return replace(orphan, detail=f"{orphan.detail}; {error}")
        return None

    left = tuple(orphan for orphan in session.pool.map(delete, orphans) if orphan)
    journal.end(keep_only={orphan.file_id for orphan in left})
    return left


def _recorded_orphan(client: Client, recorded: UnattachedUpload) -> Orphan | None:
    upload = client.find_upload(recorded.file_id)
    if upload is None:
        return None
    return Orphan(recorded.file_id, f"{_describe(upload)}: uploaded by an earlier run of this machine")


def _manifest_uploads(desired: Desired) -> _ManifestUploads:
    name = desired.owner.split("/")[0]
    files = [file for store in desired.stores for file in store.files if file.sha256]
    proven = {file.filename for file in files if upload_digest(name, file.sha256) in file.filename}
    return _ManifestUploads({(file.filename, file.size) for file in files}, proven)


def _named_orphans(
    uploads: Collection[Upload], declared: _ManifestUploads, journal: Journal
) -> Iterator[tuple[Orphan, int]]:
    """Uploads that are vssync's own by their name, and when each is of age: 0 where an interrupted run explains it."""
    unanswered = {(write.name, write.size): sent_at for write, sent_at in journal.past.suspected}
    for upload in uploads:
        form = (upload.filename, upload.size)
        is_explained = form in unanswered and upload.created_at >= unanswered[form] - CLOCK_SKEW
        is_proven = upload.filename in declared.proven_names
        if is_proven:
            why = "its name holds the manifest's digest"
        elif is_explained:
            why = "an earlier run sent it and got no answer"
        elif form in declared.forms:
            why = "has the name and size of a declared file"
        else:
            continue
        orphan = Orphan(upload.id, f"{_describe(upload)}: {why}", not is_proven, *form)
        yield orphan, 0 if is_explained else upload.created_at + MIN_AGE


def _describe(upload: Upload) -> str:
    return f"{upload.filename}, {upload.size:,} bytes"
