"""Decides what to do: the manifest resolved on one side, one complete reading of the service on the other.

Values in, values out: it reads no clock, file or network, and the same inputs in any order give the same plan.
`matching` finds the stores, `stores` decides about each, `files` about what is in it (`table` for a key with copies,
`claims` for one without), `sharing` looks across stores, `assembly` puts one store's part together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vssync.errors import VssyncError
from vssync.guard import check
from vssync.model import Capabilities, Desired, DesiredStore, LiveStore, Snapshot
from vssync.ownership import NEEDED, StoreMark, read_store_mark
from vssync.plan import Options, Plan
from vssync.planner.assembly import contents_of, left_plans, store_plan
from vssync.planner.digest import digest_of
from vssync.planner.files import Draft, draft_files, undecided
from vssync.planner.matching import By, Match, Matches, match_stores
from vssync.planner.scope import Scope
from vssync.planner.sharing import share_uploads
from vssync.planner.stores import Decision, Terms, decide_store
from vssync.planner.table import Rules

__all__ = ["By", "Match", "Matches", "digest_of", "make_plan", "match_stores"]

_COMMON = Capabilities()
_UNMARKABLE = (
    f"service.capabilities: says `attributes: false`, and {NEEDED}; use a service that keeps attributes, or take the "
    "line out if `vssync doctor --write` finds that this one does"
)


def make_plan(
    desired: Desired,
    snapshot: Snapshot,
    options: Options,
    capabilities: Capabilities = _COMMON,
    fulfilled: frozenset[tuple[str, str]] = frozenset(),
) -> Plan:
    """The plan that makes the live state what the manifest says, with the guards' refusals in it.

    The snapshot holds the contents of every store in `match_stores(...).wanted_ids`; `fulfilled` are files, by store
    and key, whose `--replace` was done by an earlier apply of the same saved plan.

    Raises Refused for a store of another owner and for two live stores of ours with one key, UsageProblem for an
    address that meets nothing, VssyncError for a mark that a newer version wrote, and for a service where no file can
    carry one.
    """
    if not capabilities.attributes:
        raise VssyncError(_UNMARKABLE)
    matches = match_stores(desired, snapshot.stores, options)
    terms = Terms(desired.owner, options, capabilities, replace(Scope.of(options), fulfilled=fulfilled), snapshot)
    stores = {store.key: store for store in desired.stores if store.key in matches.found}
    decisions = {key: decide_store(stores[key], match, terms) for key, match in sorted(matches.found.items())}
    drafts = share_uploads([_draft(stores[key], decision, terms) for key, decision in decisions.items()])
    _check_addresses(desired, drafts, snapshot.stores, terms.scope)
    planned = [store_plan(draft, decisions[draft.rules.store.key], terms) for draft in drafts]
    planned += left_plans(matches, decisions, terms)
    plan = Plan(desired.owner, desired.service, tuple(sorted(planned, key=lambda store: store.key)), options)
    return replace(plan, refusals=check(plan))


def _draft(store: DesiredStore, decision: Decision, terms: Terms) -> Draft:
    rules = Rules(terms.owner, store, terms.snapshot.now, terms.options, terms.capabilities, terms.scope)
    if decision.held:
        return undecided(rules)
    return draft_files(contents_of(decision, terms), terms.snapshot.uploads, rules)


def _check_addresses(desired: Desired, drafts: tuple[Draft, ...], live: Iterable[LiveStore], scope: Scope) -> None:
    """An address may name what is desired, what is skipped, and what is live under our mark, in scope or not."""
    if not (scope.targets or scope.excludes or scope.replaced):
        return
    known = {store.key: {*store.skipped, *(file.key for file in store.files)} for store in desired.stores}
    for draft in drafts:
        known[draft.rules.store.key].update(copies[-1].key for copies in draft.census.ours.values())
    for mark in (read_store_mark(store.metadata) for store in live):
        if isinstance(mark, StoreMark) and mark.owner == desired.owner:
            known.setdefault(mark.key, set())
    scope.check(known)
