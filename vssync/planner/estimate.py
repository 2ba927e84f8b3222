"""The numbers of a plan: how many changes it makes, and what carrying them out costs.

Estimates for the person who approves a plan. Nothing here may decide what is done or how.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil

from vssync.limits import PAGE_SIZE
from vssync.model.plan import Action, Counts, FileChange, Plan, StorePlan
from vssync.model.state import Capabilities
from vssync.providers import PROVIDERS, Bucket

PUTS = (Action.CREATE, Action.REPLACE)

# Requests beside the obvious one: a batch is polled about twice, a copy that goes is detached, seen gone and deleted.
_A_BATCH, _A_DROP, _A_CANCEL = 3, 3, 2


@dataclass(frozen=True, slots=True)
class Cost:
    """What a plan takes. `batches` are to be created; `seconds` is the time the limits ask for, 0 without limits."""

    bytes: int = 0
    uploads: int = 0
    batches: int = 0
    requests: int = 0
    seconds: float = 0.0


def count_changes(plan: Plan) -> Counts:
    """The numbers of a plan's last line: files only, for a store's own change is shown with the store."""
    return store_counts(*plan.stores)


def store_counts(*stores: StorePlan) -> Counts:
    """The same numbers for some stores."""
    found = Counter(change.action for store in stores for change in store.files)
    return Counts(
        add=found[Action.CREATE],
        change=found[Action.UPDATE],
        replace=found[Action.REPLACE],
        delete=found[Action.DELETE],
        adopt=found[Action.ADOPT],
        wait=found[Action.AWAIT],
        refuse=found[Action.REFUSE],
        unchanged=sum(store.unchanged for store in stores),
    )


def estimate_cost(plan: Plan) -> Cost:
    """What carrying out a plan takes, under the limits of its provider."""
    sent = _sent(plan)
    uploads = sent.total()
    can = plan.service.declared_capabilities
    return Cost(
        bytes=sum(size * times for (*_, size), times in sent.items()),
        uploads=uploads,
        batches=0 if can.one_by_one else sum(new_batches(store) for store in plan.stores),
        requests=uploads + sum(_requests(store, can) for store in plan.stores),
        seconds=_seconds(plan, uploads, can),
    )


def _sent(plan: Plan) -> Counter[tuple[str, str, int]]:
    """Uploads by bytes, upload name and size: what several stores want goes out as often as one of them needs it."""
    sent = Counter[tuple[str, str, int]]()
    for store in plan.stores:
        files = (change.desired for change in store.files if change.desired and upload_size(change) is not None)
        sent |= Counter((file.sha256, file.filename, file.size) for file in files)
    return sent


def upload_size(change: FileChange) -> int | None:
    """The bytes a change uploads; None when it uploads nothing or attaches a File that is there already."""
    desired = change.desired
    if change.action not in PUTS or desired is None or desired.file_id or change.reuse:
        return None
    return desired.size


def count_puts(store: StorePlan) -> int:
    """How many files of a store will be attached."""
    return sum(change.action in PUTS for change in store.files)


def new_batches(store: StorePlan) -> int:
    """How many batches will be created in a store, where the service has them."""
    return ceil(count_puts(store) / max(1, store.batch.size))


def _requests(store: StorePlan, can: Capabilities) -> int:
    """About how many requests a store takes, uploads aside."""
    attached = count_puts(store)
    attaches = attached if can.one_by_one else new_batches(store) * _A_BATCH + (0 if can.batch_files else attached)
    writes = sum(_writes(change) for change in store.files)
    waits = sum(change.action is Action.AWAIT for change in store.files)
    cancels = sum(change.action is Action.CANCEL for change in store.batches)
    listings = ceil(attached / PAGE_SIZE) + ceil(waits / PAGE_SIZE)
    drops = _A_DROP * sum(_drops(change) for change in store.files)
    return attaches + listings + writes + drops + cancels * _A_CANCEL + _written(store)


def _writes(change: FileChange) -> bool:
    """Whether attributes are written, which a file that is being ingested need not wait for."""
    return change.action in (Action.UPDATE, Action.ADOPT) or (change.action is Action.AWAIT and bool(change.fields))


def _written(store: StorePlan) -> bool:
    """Whether the store itself is written."""
    return store.change is not None and store.change.action is not Action.REFUSE


def _drops(change: FileChange) -> int:
    """How many copies of a key go."""
    replaced = change.keep if change.action is Action.REPLACE else None
    return len({copy.id for copy in (*change.drop, replaced) if copy})


def _seconds(plan: Plan, uploads: int, can: Capabilities) -> float:
    """The time that the provider's limits ask for."""
    provider = PROVIDERS.get(plan.service.provider)
    attached = [count_puts(store) for store in plan.stores]
    attaches = attached if can.one_by_one else [new_batches(store) for store in plan.stores]
    needed = {Bucket.UPLOADS: uploads, Bucket.FILES: sum(attached), Bucket.ATTACHES: max(attaches, default=0)}
    rates = provider.rates if provider else {}
    return max((60 * needed.get(bucket, 0) / rate for bucket, rate in rates.items()), default=0.0)
