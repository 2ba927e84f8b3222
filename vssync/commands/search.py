"""Asking the live stores a question."""

from __future__ import annotations

from vssync.commands.session import Session
from vssync.errors import UsageProblem, VssyncError
from vssync.model.plan import Options
from vssync.model.state import SearchHit
from vssync.planner.find_stores import match_stores


def search_stores(work: Session, question: str, most: int, store: str | None = None) -> tuple[SearchHit, ...]:
    """The best chunks for a question, from one store of the manifest or from all of them, best first."""
    desired = work.loaded.desired
    keys = [found.key for found in desired.stores]
    if store is not None and store not in keys:
        raise UsageProblem(f"--store {store}: the manifest has no such store; it has {', '.join(keys)}")
    live = match_stores(desired, work.client.list_stores(), Options()).ids
    wanted = [key for key in keys if store in (None, key)]
    if missing := [key for key in wanted if key not in live]:
        raise VssyncError(f"{missing[0]}: the store does not exist yet; run `vssync apply` first")
    found = work.pool.map(lambda key: work.client.search_store(live[key], question, most), wanted)
    return tuple(sorted((hit for hits in found for hit in hits), key=lambda hit: -hit.score)[:most])
