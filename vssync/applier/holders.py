"""Which Files the stores of one manifest's name hold: a complete look, or an error."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vssync.api import Client
from vssync.model import Desired, LiveStore
from vssync.ownership import StoreMark, read_store_mark
from vssync.threads import Pool


def declared(desired: Desired) -> frozenset[str]:
    """What the stores of a manifest can be told by without a mark, which an external one does not carry: id or name."""
    return frozenset(store.id or store.name for store in desired.stores)


def holders(client: Client, pool: Pool, owner: str, declared: Collection[str]) -> Mapping[str, frozenset[str]]:
    """By File id, the stores of this manifest's name, in all its environments, and those it declares, that list it.

    Raises ServiceError when any of the listings fails.
    """
    stores = [
        store
        for store in client.stores()
        if store.id in declared or store.name in declared or _of_this_name(store, owner)
    ]
    listings = pool.map(lambda store: client.files(store.id, store.counts.total), stores)
    held: dict[str, frozenset[str]] = {}
    for store, files in zip(stores, listings, strict=True):
        for file in files:
            held[file.id] = held.get(file.id, frozenset()) | {store.id}
    return held


def _of_this_name(store: LiveStore, owner: str) -> bool:
    """Marks of all environments of a name count; so does one that cannot be read, to be safe."""
    mark = read_store_mark(store.metadata)
    return mark is not None and (
        not isinstance(mark, StoreMark) or mark.owner.split("/")[0] == owner.split("/", maxsplit=1)[0]
    )
