"""Searches the live stores, as an application would."""

from __future__ import annotations

from vssync.commands.plan import options_of
from vssync.commands.session import Session
from vssync.errors import UsageProblem, VssyncError
from vssync.model.plan import Options
from vssync.model.state import SearchHit, Snapshot
from vssync.planner.decide_store import describe_denial
from vssync.planner.find_stores import match_stores
from vssync.planner.guards import plan_command


def search_stores(session: Session, question: str, max_results: int, store: str | None = None) -> tuple[SearchHit, ...]:
    """The best chunks for a question, from one store of the manifest or from all of them, best first."""
    desired = session.loaded.desired
    declared = [spec.key for spec in desired.stores]
    if store is not None and store not in declared:
        raise UsageProblem(f"--store {store}: the manifest has no such store; it has {', '.join(declared)}")
    live_ids = match_stores(desired, session.client.list_stores(), Options()).ids
    keys = declared if store is None else [store]
    missing = [spec for spec in desired.stores if spec.key in keys and spec.key not in live_ids]
    if missing:
        command = plan_command(options_of(session.settings, Options()), "apply")
        absent = f"the store does not exist yet; run `{command}` first"
        is_denied = session.client.stores_denied
        reasons = (f"{spec.key}: {describe_denial(spec, Snapshot(0)) if is_denied else absent}" for spec in missing)
        raise VssyncError("\n".join(reasons))
    results = session.pool.map(lambda key: session.client.search_store(live_ids[key], question, max_results), keys)
    hits = [hit for store_hits in results for hit in store_hits]
    return tuple(sorted(hits, key=lambda hit: -hit.score)[:max_results])
