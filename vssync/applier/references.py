"""Which stores hold an upload: deleting a File takes it out of all of them, whoever's they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from vssync.api.client import Client
from vssync.errors import ServiceError
from vssync.limits import PAGE_SIZE
from vssync.model.state import LiveStore, Verdict
from vssync.threads import Pool


def find_holders(
    client: Client, pool: Pool, stores: Iterable[LiveStore], file_ids: Collection[str], *, skip_unreadable: bool = False
) -> Mapping[str, list[LiveStore]]:
    """The stores that hold each of these Files, by File id; those that no store holds are left out.

    Raises ServiceError, which names the store, where one cannot be asked and is not to be skipped.
    """

    def held_by(store: LiveStore) -> Collection[str]:
        try:
            return _held_by(client, store, file_ids)
        except ServiceError as error:
            if skip_unreadable or store.is_expired:  # what is in an expired store is not searched any more
                return ()
            raise ServiceError(
                f"{store.name} ({store.id}): its files cannot be listed, so it is not known which uploads it needs, "
                f"and none is deleted: {error}",
                error.answer,
            ) from error

    asked = list(stores) if file_ids else []
    holders: dict[str, list[LiveStore]] = {}
    for store, held in zip(asked, pool.map(held_by, asked), strict=True):
        for file_id in held:
            holders.setdefault(file_id, []).append(store)
    return holders


def _held_by(client: Client, store: LiveStore, file_ids: Collection[str]) -> set[str]:
    """Which of these Files a store holds: asked one by one where they are fewer than the pages of its listing.

    First a page is read, since a missing permission, too, answers 404 for every file.
    """
    if len(file_ids) * PAGE_SIZE >= store.counts.total or not client.is_ready(store.id):
        listing = client.list_all_files(store)
        listed = {file.id for file in listing.files}.intersection(file_ids)
        unseen = () if listing.verdict is Verdict.WHOLE else set(file_ids) - listed
        return listed.union(file_id for file_id in unseen if client.is_attached(store.id, file_id))
    return {file_id for file_id in file_ids if client.is_attached(store.id, file_id)}
