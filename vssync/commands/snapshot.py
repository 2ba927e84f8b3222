"""Reads the live state into one snapshot, which says where a listing is short or fails. It decides nothing."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from vssync.api.client import Client
from vssync.api.connect import with_unlisted
from vssync.api.errors import is_unreadable
from vssync.commands.session import Session
from vssync.errors import AccessDenied, NotFound, ServiceError, VssyncError
from vssync.journal.writer import read_past
from vssync.model.marks import Mark, key_digest, read_batch_note
from vssync.model.plan import Options
from vssync.model.state import Contents, Desired, LiveBatch, LiveStore, Snapshot, Upload, Verdict
from vssync.planner.find_stores import StoreMatch, StoreMatches, match_stores
from vssync.threads import Pool


def read_snapshot(session: Session, options: Options, *, verify: bool = False) -> Snapshot:
    """Every store of this manifest, read completely; with `verify`, each File of ours is asked for, too.

    Stores of this machine that the list lacks are asked for, before a second one is created. Raises ServiceError when
    the stores cannot be listed, or the service refuses to list any files.
    """
    client, pool, desired = session.client, session.pool, session.loaded.desired
    created_here = stores_created_here(session)
    stores = with_unlisted(client, client.list_stores(), created_here)
    denied = client.stores_denied
    matches = match_stores(desired, stores, options, created_here)
    ids = matches.ids_to_list
    to_read = [store for store in stores if store.id in ids]
    listings = pool.map(lambda store: _read_contents(client, store), to_read)
    contents = {store.id: listing for store, listing in zip(to_read, listings, strict=True)}
    uploads = read_uploads(client, pool, set(_unmarked_ids(desired, matches, contents)))
    files = (file for listing in contents.values() for file in listing.files)
    gone = find_gone_uploads(client, pool, {file.id for file in files if file.owner == desired.owner} if verify else ())
    stores = client.list_stores() if denied else stores  # with the counts of what was listed
    status = denied.answer.status if denied else 0
    now = client.service_date or int(time.time())
    return Snapshot(now, stores, contents, uploads, created_here, gone, status)


def read_uploads(client: Client, pool: Pool, file_ids: Collection[str]) -> dict[str, Upload]:
    """The Files that exist, by id; each takes a request."""
    ids = sorted(file_ids)
    uploads = zip(ids, pool.map(client.find_upload, ids), strict=True)
    return {file_id: replace(upload, id=file_id) for file_id, upload in uploads if upload}


def find_gone_uploads(client: Client, pool: Pool, file_ids: Collection[str]) -> frozenset[str]:
    """The Files that do not exist. A service that answers 404 for all may hide them, so it lists."""
    found = read_uploads(client, pool, file_ids).keys()
    gone = frozenset(file_ids) - found
    return gone if found or not gone else gone - {upload.id for upload in client.list_uploads()}


def _read_contents(client: Client, store: LiveStore) -> Contents:
    """A store's files, and its batches in progress: as the service lists them, or as noted in the store's metadata."""
    listing = list_contents(client, store)
    if listing.problem:
        return listing
    listed = client.list_batches(store.id)
    unfinished = _noted_batches(client, store) if listed is None else listed
    batches = tuple(_with_file_ids(client, store, batch) for batch in unfinished)
    return replace(listing, batches=batches, batches_unlisted=listed is None)


def list_contents(client: Client, store: LiveStore) -> Contents:
    """A store's files.

    An answer that refuses to list the files of one store says nothing of other stores. Raises ServiceError for other
    failures: no answer, and a credential that was refused.
    """
    try:
        listing = client.list_all_files(store)
        if file_id := _find_hidden_attributes(client, store, listing):
            problem = _hidden_attributes_problem(store, file_id)
            return Contents(count=max(listing.count, len(listing.files)), verdict=Verdict.BARE, problem=problem)
    except ServiceError as error:
        if isinstance(error, AccessDenied) or not error.answer.status:
            raise
        return Contents(count=store.counts.total, verdict=Verdict.SHORT, problem=_listing_problem(store, error))
    return listing


def _find_hidden_attributes(client: Client, store: LiveStore, listing: Contents) -> str:
    """The id of a file whose attributes a GET shows and the listing leaves out; empty if there is none.

    A service that lists attributes lists those of some file, as a rule; only where it lists none, up to three files are
    asked for.
    """
    ids = [file.id for file in listing.files]
    if not ids or any(file.attributes or file.mark for file in listing.files):
        return ""
    for file_id in dict.fromkeys((ids[0], ids[len(ids) // 2], ids[-1])):
        with suppress(NotFound):
            file = client.get_file(store.id, file_id)
            if file.attributes or file.mark:
                return file_id
    return ""


def _hidden_attributes_problem(store: LiveStore, file_id: str) -> str:
    return (
        f"cannot be compared: the service lists the files of {store.id} without attributes, though {file_id} has some "
        "(capability `attributes`), so nobody can tell whose they are; nothing is changed until listings have them, "
        "which `vssync doctor --probe` tests"
    )


def _listing_problem(store: LiveStore, error: ServiceError) -> str:
    """What is wrong with a store whose files cannot be listed. A listed store exists, so a 404 has another reason."""
    if not isinstance(error, NotFound):
        return f"the files of {store.id} cannot be listed: {error}"
    return (
        f"the service lists {store.id}, but not its files: {error}; either the store is too new to be known everywhere "
        "(plan again in a minute), or the permission to list its files is missing (`vssync doctor`), or somebody has "
        "just deleted it"
    )


def _noted_batches(client: Client, store: LiveStore) -> Iterator[LiveBatch]:
    """The unfinished batches that the note in the store's metadata names; those that cannot be read are left out."""
    for batch_id in read_batch_note(store.metadata):
        try:
            batch = replace(client.get_batch(store.id, batch_id).batch, id=batch_id)
        except NotFound:
            continue
        except ServiceError as error:
            if is_unreadable(error):
                return  # their files are in the listing
            raise
        if not batch.status.ended:
            yield batch


def _with_file_ids(client: Client, store: LiveStore, batch: LiveBatch) -> LiveBatch:
    """The batch with the ids of all its files; without them where the service does not list those."""
    try:
        return replace(batch, file_ids=tuple(file.id for file in client.list_batch_files(store.id, batch.id)))
    except ServiceError as error:
        if is_unreadable(error):
            return batch
        raise


def _unmarked_ids(desired: Desired, matches: StoreMatches, contents: Mapping[str, Contents]) -> Iterator[str]:
    """The ids of unmarked files that may be adopted. Each costs a request, since a listing has no file names.

    A store in which every declared file has a marked copy needs none.
    """
    for store in desired.stores:
        for live in matches.by_key.get(store.key, StoreMatch()).live:
            files = contents[live.id].files
            marks = [file.mark for file in files if isinstance(file.mark, Mark)]
            marked_keys = {mark.key_digest for mark in marks if mark.owner == desired.owner}
            if any(key_digest(file.key) not in marked_keys for file in store.files):
                yield from (file.id for file in files if file.mark is None)


def stores_created_here(session: Session) -> Mapping[str, str]:
    """The keys, by id, of stores that runs of this machine made, adopted or joined; none where it cannot be read."""
    try:
        return read_past(session.state_folder).stores
    except VssyncError:
        return {}
