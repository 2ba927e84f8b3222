"""The numbers of a plan, for whoever approves it: how many changes it makes, and what applying them costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil

from vssync.limits import PAGE_SIZE
from vssync.model.plan import HELD_BACK, Action, Counts, FileChange, NoteKind, Plan, StorePlan
from vssync.model.state import Capabilities
from vssync.providers import PROVIDERS, Bucket

# Requests for each: a batch is created and polled about twice; a copy that goes is detached and its upload deleted; a
# batch to cancel is cancelled and read.
_PER_BATCH, _PER_DROP, _PER_CANCEL = 3, 2, 2


@dataclass(frozen=True, slots=True)
class Cost:
    """What applying a plan takes."""

    bytes: int = 0  # to be uploaded
    uploads: int = 0
    batches: int = 0  # to be created
    requests: int = 0
    seconds: float = 0.0  # at least, by the provider's rate limits; 0 without any


def count_changes(*stores: StorePlan) -> Counts:
    """The numbers of a plan's last line, for all of its stores or some."""
    counts = Counter(change.action for store in stores for change in store.files)
    notes = [note for store in stores for note in store.notes]
    return Counts(
        add=counts[Action.CREATE],
        change=counts[Action.UPDATE],
        replace=counts[Action.REPLACE],
        delete=counts[Action.DELETE],
        adopt=counts[Action.ADOPT],
        wait=counts[Action.AWAIT],
        refuse=counts[Action.REFUSE],
        held=sum(note.count for note in notes if note.kind in HELD_BACK),
        unchanged=sum(store.unchanged for store in stores),
        stores=sum(store.change is not None for store in stores),
        gone=sum(note.kind is NoteKind.UPLOAD_GONE for note in notes),
        left=sum(note.kind is NoteKind.LEFT_STORE for note in notes),
        cancel=sum(batch.action is Action.CANCEL for store in stores for batch in store.batches),
    )


def estimate_cost(plan: Plan) -> Cost:
    """What applying a plan takes, under the rate limits of its provider."""
    # Stores share uploads of the same bytes and name; two keys of one store need two.
    times_uploaded = Counter[tuple[str, str, int]]()  # by SHA-256, name and size: the most that any store needs
    for store in plan.stores:
        files = (change.desired for change in store.files if change.desired and upload_size(change) is not None)
        times_uploaded |= Counter((file.sha256, file.filename, file.size) for file in files)
    uploads = times_uploaded.total()
    capabilities = plan.service.declared_capabilities
    attached = [count_attached(store) for store in plan.stores]
    batches = [count_new_batches(store, capabilities) for store in plan.stores]
    attaches = max(attached if capabilities.one_by_one else batches, default=0)  # each store has a limit of its own
    counts = {Bucket.UPLOADS: uploads, Bucket.FILES: sum(attached), Bucket.ATTACHES: attaches}
    requests = uploads + sum(_count_requests(store, capabilities) for store in plan.stores)
    # One request more lists the stores, to see that what was deleted is gone.
    requests += any(_is_deleted(store) or any(change.leaving_ids for change in store.files) for store in plan.stores)
    provider = PROVIDERS.get(plan.service.provider)
    rates = provider.rates if provider else {}
    return Cost(
        bytes=sum(size * times for (_, _, size), times in times_uploaded.items()),
        uploads=uploads,
        batches=0 if capabilities.one_by_one else sum(batches),
        requests=requests,
        seconds=max((60 * counts.get(bucket, 0) / rate for bucket, rate in rates.items()), default=0.0),
    )


def upload_size(change: FileChange) -> int | None:
    """The bytes a change uploads; None when it uploads nothing."""
    desired = change.desired
    is_upload = change.attaches and desired and not (desired.file_id or change.reuse)
    return desired.size if desired and is_upload else None


def count_attached(store: StorePlan) -> int:
    """How many files of a store will be attached."""
    return sum(change.attaches for change in store.files)


def count_new_batches(store: StorePlan, capabilities: Capabilities) -> int:
    """How many batches will be created in a store, where the service has them."""
    return ceil(count_attached(store) / max(1, capabilities.batch_size))


def _is_deleted(store: StorePlan) -> bool:
    """Whether a store is deleted, with its files."""
    return store.change is not None and store.change.action is Action.DELETE


def _count_requests(store: StorePlan, capabilities: Capabilities) -> int:
    attached = count_attached(store)
    attaches = count_new_batches(store, capabilities) * _PER_BATCH + (0 if capabilities.batch_files else attached)
    if capabilities.one_by_one:
        attaches = attached
    waiting = [change for change in store.files if change.action is Action.AWAIT]
    writes = sum(change.action in (Action.UPDATE, Action.ADOPT) for change in store.files)
    writes += sum(bool(change.fields) for change in waiting)
    if store.change and store.change.action is not Action.REFUSE:
        writes += 2 if store.change.action in (Action.UPDATE, Action.ADOPT) else 1  # its metadata is read before
    cancels = sum(change.action is Action.CANCEL for change in store.batches)
    listings = ceil(attached / PAGE_SIZE) + ceil(len(waiting) / PAGE_SIZE)
    leaving = sum(len(change.leaving_ids) for change in store.files)
    if leaving and not _is_deleted(store):  # they are gone when another listing lacks them
        listings += ceil(store.live / PAGE_SIZE)
    drops = leaving * (1 if _is_deleted(store) else _PER_DROP)
    return attaches + listings + writes + drops + cancels * _PER_CANCEL
