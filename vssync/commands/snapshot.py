"""Reads the live state into one snapshot: whole, saying where a listing is short, or an error. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vssync.api.client import Client
from vssync.errors import NotFound, ServiceError
from vssync.model.marks import Mark, key_digest, read_batch_note
from vssync.model.plan import Options
from vssync.model.state import Contents, Desired, FileStatus, LiveBatch, LiveFile, LiveStore, Snapshot, Upload
from vssync.planner.find_stores import StoreMatch, StoreMatches, match_stores
from vssync.threads import Pool


def read_snapshot(client: Client, desired: Desired, options: Options, pool: Pool, *, now: int) -> Snapshot:
    """One complete reading of everything this manifest concerns.

    `now` serves where the service does not tell its time. Raises ServiceError when any listing fails.
    """
    stores = client.list_stores()
    matches = match_stores(desired, stores, options)
    ids = matches.wanted_ids
    wanted = [store for store in stores if store.id in ids]
    listings = pool.map(lambda store: _contents(client, store), wanted)
    contents = {store.id: listing for store, listing in zip(wanted, listings, strict=True)}
    unnamed = sorted(set(_candidates(desired, matches, contents)))
    uploads = pool.map(lambda file_id: _upload(client, file_id), unnamed)
    return Snapshot(client.service_date or now, stores, contents, {found.id: found for found in uploads if found})


def _upload(client: Client, file_id: str) -> Upload | None:
    """The File behind a store file; None when somebody deleted it, which some services let stay attached."""
    try:
        return replace(client.get_upload(file_id), id=file_id)
    except NotFound:
        return None


def _contents(client: Client, store: LiveStore) -> Contents:
    """A store's files, and its batches under way: listed where the service lists them, else those it remembers."""
    try:
        files, unlisted = list_files(client, store)
    except NotFound as error:
        raise _unseen(store, error) from error
    listed = client.list_batches(store.id)
    return Contents(files, _remembered(client, store) if listed is None else listed, unlisted)


def list_files(client: Client, store: LiveStore) -> tuple[tuple[LiveFile, ...], int]:
    """A store's files, and how many more the service counts.

    The count is older than the listing. A listing that is shorter may be right, since others may have removed files
    in between: so the count is read again, and behind it, where it is still larger, the listing.
    """
    total = store.counts.total
    files = client.list_files(store.id, total)
    if len(files) < total:
        total = client.get_store(store.id).counts.total
    if len(files) < total:
        files = client.list_files(store.id, total)
    return files, max(0, total - len(files))


def _unseen(store: LiveStore, error: NotFound) -> ServiceError:
    """A store that a complete listing holds is there: a 404 on its files has another reason than absence."""
    return ServiceError(
        f"{store.name} ({store.id}): the service lists this store, but not its files: {error}; either the store is too "
        "new to be known everywhere (plan again in a minute), or the permission to list its files is missing "
        "(`vssync doctor`), or somebody has just deleted it",
        error.answer,
    )


def _remembered(client: Client, store: LiveStore) -> tuple[LiveBatch, ...]:
    """The batches under way that the store's own hint names; what is gone is no concern."""
    found = []
    for batch_id in read_batch_note(store.metadata):
        try:
            batch = client.get_batch(store.id, batch_id).batch
            if batch.status is FileStatus.IN_PROGRESS:
                ids = tuple(file.id for file in client.list_batch_files(store.id, batch_id))
                found.append(replace(batch, id=batch_id, file_ids=ids))
        except NotFound:
            continue
    return tuple(found)


def _candidates(desired: Desired, matches: StoreMatches, contents: Mapping[str, Contents]) -> Iterator[str]:
    """Unmarked files that may be adopted: a listing has no file names, so each costs a request.

    None of a store is looked up while every file that it should hold has a copy of ours there.
    """
    for store in desired.stores:
        for live in matches.by_key.get(store.key, StoreMatch()).live:
            files = contents[live.id].files
            marks = [file.mark for file in files if isinstance(file.mark, Mark)]
            ours = {mark.key for mark in marks if mark.owner == desired.owner}
            if any(key_digest(file.key) not in ours for file in store.files):
                yield from (file.id for file in files if file.mark is None)
