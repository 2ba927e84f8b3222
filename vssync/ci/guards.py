"""Guards in CI: the stricter of base and head, and the labels by which somebody else allows more.

A label is `vssync/SCOPE/max-delete=N` or `.../max-replace=N`, where N is a number of files or a share (`40%`). SCOPE is
the owner as marks have it: `support-kb`, and with environments `support-kb/prod`. GitLab's scoped form,
`vssync/support-kb/prod/max-delete::12`, means the same; of it a merge request has one at a time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from vssync.ci.explain import Base
from vssync.ci.forge import LABEL_PREFIX, Label, PullRequest
from vssync.ci.history import ManifestHistory
from vssync.manifest.diagnostics import find_source_locations
from vssync.manifest.spec import Manifest
from vssync.manifest.yaml_loader import TreePath
from vssync.model.marks import short_digest
from vssync.model.plan import GuardChange, Plan, StorePlan
from vssync.model.state import Guards, Limit, Scalar, StoreSettings
from vssync.planner.environment_diff import compare_values
from vssync.planner.guards import allowed_number, check_guards, count_deletions, count_replacements

_LABEL = re.compile(
    r"vssync/(?:(?P<scope>.+)/)?(?P<name>max-delete|max-replace)(?:=|::)(?P<limit>[0-9]{1,7}|[0-9]{1,3}%)"
)
_MAX_SCOPE = 50 - len("vssync//max-replace=9999999")  # GitHub's labels have at most 50 characters
_FIELDS = {"max-delete": "max_delete", "max-replace": "max_replace"}


def compare_guards(base: Manifest | None, head: Manifest) -> tuple[GuardChange, ...]:
    """The limits, `protect`, `prune`, `removed`, `adopt`, `owner` and `service` that changed.

    A store that the base lacks is compared with the defaults. Without a base, so is everything but owner and service.
    """
    changes: dict[TreePath, GuardChange] = {}
    if base:
        sides = ({"owner": each.owner_name, "service": asdict(each.service)} for each in (base, head))
        for row in compare_values(*sides):
            changes[tuple(row.name.split("."))] = GuardChange(row.name, "", row.before, row.after)
    earlier = _stores_of(base)
    for store in _stores_of(head).values():
        before = _governing(_earlier_store(store, earlier) or StoreSettings(store.key, store.name))
        for name, value in _governing(store).items():
            if before[name] != value:
                changes["stores", store.key, *name] = GuardChange(name[-1], store.key, before[name], value)
    places = find_source_locations(head.documents, changes)
    return tuple(replace(change, location=str(places[path])) for path, change in changes.items())


def _stores_of(manifest: Manifest | None) -> dict[str, StoreSettings]:
    return {spec.store.key: spec.store for spec in manifest.stores} if manifest else {}


def _earlier_store(store: StoreSettings, stores: Mapping[str, StoreSettings]) -> StoreSettings | None:
    return next((stores[key] for key in (store.key, *store.was) if key in stores), None)


def _governing(store: StoreSettings) -> dict[tuple[str, ...], Scalar | None]:
    return {
        ("guards", "max_delete"): str(store.guards.max_delete),
        ("guards", "max_replace"): str(store.guards.max_replace),
        ("protect",): store.protect,
        ("prune",): store.prune,
        ("removed",): store.removed,
        ("adopt",): store.adopt,
    }


@dataclass(frozen=True, slots=True)
class JudgedLabel:
    """A label of a request, the limit that it raises for an owner, and why it does not count; empty where it does."""

    name: str
    request: int
    owner: str = ""
    field: str = ""
    limit: Limit | None = None
    problem: str = ""

    def __str__(self) -> str:
        counts = f"does not count: {self.problem}" if self.problem else "counts"
        return f"The label `{self.name}` of request {self.request} {counts}."


def judge_labels(
    requests: Iterable[PullRequest], owners: Collection[str], *, by_author: bool = False
) -> tuple[JudgedLabel, ...]:
    """The labels of these requests that begin with `vssync/`, as to the manifests of these owners.

    One counts only if it was set after the last push by somebody other than the author, or with `by_author` by anybody.
    """
    return tuple(
        judged
        for request in requests
        for label in request.labels
        if label.name.lower().startswith(f"{LABEL_PREFIX}/")
        for judged in _judge(label, request, owners, by_author)
    )


def _judge(label: Label, request: PullRequest, owners: Collection[str], by_author: bool) -> Iterator[JudgedLabel]:
    match = _LABEL.fullmatch(label.name.lower())
    limit = _parse_limit(match["limit"]) if match else None
    if not (match and limit):
        yield JudgedLabel(label.name, request.number, problem=f"it is not of the form {_example(owners)}")
        return
    chosen = [owner for owner in owners if label_scope(owner).lower() == match["scope"]]
    if not chosen:
        problem = f"it names no manifest and environment of this job; write {_example(owners, match['name'], limit)}"
        yield JudgedLabel(label.name, request.number, problem=problem)
    for owner in chosen:
        problem = _problem_of(label, request, by_author)
        yield JudgedLabel(label.name, request.number, owner, _FIELDS[match["name"]], limit, problem)


def _example(owners: Collection[str], name: str = "max-delete", limit: Limit | None = None) -> str:
    return f"`{label_name(min(owners, default='support-kb'), name, limit or Limit(count=12))}`"


def _parse_limit(text: str) -> Limit | None:
    if not text.endswith("%"):
        return Limit(count=int(text))
    share = int(text[:-1]) / 100
    return Limit(share=share) if share <= 1 else None


def _problem_of(label: Label, request: PullRequest, by_author: bool) -> str:
    """Why a label does not count, whatever it allows."""
    if not label.set_at or not request.last_push_at or not (label.set_by or by_author):
        return label.unknown or request.unknown or "the forge does not say who set it, and when"
    if label.set_at <= request.last_push_at:
        return f"it was set before the last push ({request.last_push_at:%Y-%m-%d %H:%M} UTC); set it again"
    if label.set_by.lower() == request.author.lower() and not by_author:
        return f"{label.set_by} set it, the author; somebody else has to set it"
    return ""


def label_scope(owner: str) -> str:
    """How labels name an owner; one too long for GitHub is cut, and closed with its digest."""
    return owner if len(owner) <= _MAX_SCOPE else f"{owner[: _MAX_SCOPE - 9]}~{short_digest(owner)[:8]}"


def label_name(owner: str, name: str, limit: Limit) -> str:
    """The label that raises `max-delete` or `max-replace` for an owner."""
    return f"vssync/{label_scope(owner)}/{name}={limit}"


def guarded(plan: Plan, base: Mapping[str, Guards], labels: Iterable[JudgedLabel] = ()) -> Plan:
    """The plan with the refusals of the stricter of its guards and those of the base, by store, less what labels allow.

    Of several labels the highest counts; one that allows less than the guard changes nothing. The refusals no longer
    say where a store's files are declared.
    """
    plan = replace(plan, stores=tuple(_with_guards(store, base.get(store.key)) for store in plan.stores))
    limits = _highest(labels, plan)
    strict = Counter(refusal.store for refusal in check_guards(plan))
    allowed: dict[str, dict[str, Limit]] = {store.key: {} for store in plan.stores}
    for field, limit in limits.items():
        remaining = Counter(refusal.store for refusal in check_guards(_allowing(plan, {field: limit})))
        for key in (key for key in allowed if remaining[key] < strict[key]):
            allowed[key][field] = limit
    fields = {key: tuple(chosen) for key, chosen in allowed.items()}
    refusals = {
        chosen: check_guards(_allowing(plan, {name: limits[name] for name in chosen})) for chosen in fields.values()
    }
    by_store = (refusal for key in fields for refusal in refusals[fields[key]] if refusal.store == key)
    return replace(plan, refusals=tuple(by_store))


def _highest(labels: Iterable[JudgedLabel], plan: Plan) -> dict[str, Limit]:
    """By field, the label of this plan's owner that allows most in its largest store."""
    largest = max((store.owned for store in plan.stores), default=0)
    limits: dict[str, Limit] = {}
    for label in labels:
        if label.limit and label.owner == plan.owner and not label.problem:
            candidates = (limits.get(label.field, label.limit), label.limit)
            limits[label.field] = max(candidates, key=lambda limit: allowed_number(limit, largest))
    return limits


def _allowing(plan: Plan, limits: Mapping[str, Limit]) -> Plan:
    max_delete, max_replace = limits.get("max_delete"), limits.get("max_replace")
    return replace(plan, options=replace(plan.options, max_delete=max_delete, max_replace=max_replace))


def _with_guards(store: StorePlan, base: Guards | None) -> StorePlan:
    if not (base and store.desired):
        return store
    head = store.desired.guards
    stricter = Guards(
        *(
            min(limits, key=lambda limit: allowed_number(limit, store.owned))
            for limits in ((head.max_delete, base.max_delete), (head.max_replace, base.max_replace))
        )
    )
    return replace(store, desired=replace(store.desired, guards=stricter))


def guards_at(plan: Plan, base: Manifest | None) -> dict[str, Guards]:
    """The guards of a plan's stores in an earlier manifest, by key; the default ones for stores that it lacks."""
    earlier = _stores_of(base)
    pairs = ((store.key, _earlier_store(store.desired, earlier)) for store in plan.stores if store.desired)
    return {key: store.guards if store else Guards() for key, store in pairs}


def guards_at_bases(
    plan: Plan, history: ManifestHistory, bases: Mapping[str, Base | None], deployed: str
) -> dict[str, Guards]:
    """The guards of each store when all was applied last: at the last deployment, if that is later than its base."""
    guards: dict[str, Guards] = {}
    for key, base in bases.items():
        if base:
            commit = deployed if deployed in base.range.commits else base.range.base
            earlier = guards_at(plan, history.valid_at(commit))
            guards |= {key: earlier[key]} if key in earlier else {}
    return guards


def needed_labels(plan: Plan) -> dict[str, tuple[str, ...]]:
    """By store, the labels that would lift its refusals; one label is enough for all stores of a plan."""
    refused = {refusal.store for refusal in plan.refusals}
    needed: dict[str, tuple[str, ...]] = {}
    for name, count in (("max-delete", count_deletions), ("max-replace", count_replacements)):
        limit = Limit(count=max((count(store) for store in plan.stores if store.key in refused), default=0))
        allowing = check_guards(_allowing(plan, {_FIELDS[name]: limit}))
        lifted = {refusal.message for refusal in plan.refusals} - {refusal.message for refusal in allowing}
        for refusal in plan.refusals:
            if refusal.message in lifted:
                label = label_name(plan.owner, name, limit)
                needed[refusal.store] = (*needed.get(refusal.store, ()), label)
    return needed
