"""The numbers of a plan, for whoever approves it: how many changes it makes, and what carrying them out costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from vssync.limits import PAGE_SIZE
from vssync.model.convergence import HELD_BACK
from vssync.model.marks import STORE_OWNER, StoreMark, is_our_upload, parse_store_mark
from vssync.model.plan import Action, Counts, FileChange, NoteKind, Plan, Reason, RecordedCopy, StorePlan
from vssync.model.service import Capabilities
from vssync.model.state import FileStatus, LiveStore
from vssync.planner.context import Scope
from vssync.providers import PROVIDERS, Bucket, Provider

_BATCHES = {"batches", "batch_files"}  # the capabilities that say whether files can be attached in batches
# Until a run is sure that the service takes no batches; if it accepts one and attaches nothing, four more.
_REQUESTS_TO_TRY_A_BATCH = 4
_POLLS = 64  # of a wait in which nothing moves: after 0.5 s, then ever later up to 10 s, until ten minutes are over


@dataclass(frozen=True, slots=True)
class Cost:
    """What carrying out a plan takes."""

    bytes: int = 0  # to be uploaded
    uploads: int = 0
    batches: int = 0  # to be created
    requests: int = 0  # where nothing fails, and everything has ended when it is first asked for
    polls: int = 0  # further requests, at most: where nothing moves until every wait is given up
    seconds: float = 0.0  # that it takes at least: by the provider's rate limits, and until a new store can be used
    at_most: bool = False  # `batches` and `requests` are upper bounds: it is not known whether batches work


def count_changes(*stores: StorePlan) -> Counts:
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
    """What carrying out a plan takes, under the limits of its provider.

    Where neither provider nor manifest says whether the service takes batches, the larger number of requests counts:
    that of attaching one file after the other, once a batch has been tried.
    """
    provider = PROVIDERS.get(plan.service.provider)
    declared = plan.service.declared_capabilities
    capabilities = replace(declared, list_batches=declared.list_batches and not plan.batches_unlisted)
    cost = _cost_with(plan, provider, capabilities)
    is_known = _BATCHES & plan.service.capabilities.keys() or not (provider and provider.is_any_service)
    if is_known or not cost.batches:
        return cost
    tries = sum(count_attached(store) > 0 for store in plan.stores)
    one_by_one = _cost_with(plan, provider, replace(capabilities, batches=False))
    return replace(
        cost,
        requests=max(cost.requests, one_by_one.requests + tries * _REQUESTS_TO_TRY_A_BATCH),
        polls=max(cost.polls, one_by_one.polls),
        at_most=True,
    )


def _cost_with(plan: Plan, provider: Provider | None, capabilities: Capabilities) -> Cost:
    # Uploads of the same bytes and name are shared between stores, not within one: two keys of one store need two.
    times_uploaded = Counter[tuple[str, str, int]]()  # by SHA-256, name and size: the most that any store needs
    for store in plan.stores:
        files = (change.desired for change in store.files if change.desired and upload_size(change) is not None)
        times_uploaded |= Counter((file.sha256, file.filename, file.size) for file in files)
    uploads = times_uploaded.total()
    attached = [count_attached(store) for store in plan.stores]
    batches = [_count_batches(store, capabilities) for store in plan.stores]
    requests = uploads + plan.lookups + _count_closing_requests(plan)
    requests += sum(_count_requests(plan, store, capabilities) for store in plan.stores)
    counts = {
        Bucket.REQUESTS: requests,
        Bucket.UPLOADS: uploads,
        Bucket.FILES: sum(attached),
        Bucket.ATTACHES: max(attached if capabilities.one_by_one else batches, default=0),  # each store has its own
    }
    rates = provider.rates if provider else {}
    store_wait = provider.new_store_seconds if provider and any(map(_is_created, plan.stores)) else 0
    return Cost(
        bytes=sum(size * times for (_, _, size), times in times_uploaded.items()),
        uploads=uploads,
        batches=0 if capabilities.one_by_one else sum(batches),
        requests=requests,
        polls=_POLLS * sum(_count_waits(store, capabilities) for store in plan.stores),
        seconds=max([float(store_wait), *(60 * counts[bucket] / rate for bucket, rate in rates.items())]),
    )


def count_lookups(plan: Plan, stores: Sequence[LiveStore], capabilities: Capabilities) -> int:
    """Requests that no change shows: which other stores hold uploads to delete, and whether search sees updates.

    `stores` are all that the service lists. Before uploads are deleted, each store that the plan did not read is asked
    for them: by listing its files, or for one upload after the other. Uploads in expired stores are deleted as well.
    """
    replaced = (store for store in plan.stores if store.action is Action.REPLACE)
    expired_ids = {store.id for store in replaced if store.change and Reason.EXPIRED in store.change.reasons}
    # Expired stores cannot be listed, so their uploads are not in the plan; each is deleted by a request.
    unread_uploads = sum(live.counts.total for live in stores if live.id in expired_ids)
    uploads = len(_uploads_to_delete(plan)) + unread_uploads
    read_ids = expired_ids.union(
        store.id for store in plan.stores if store.action is Action.DELETE or any(_final_drops(store))
    )
    sizes = [live.counts.total for live in stores if live.id not in read_ids]
    sizes += [count_attached(store) for store in plan.stores if _is_created(store)]
    # Before a store is asked for one upload after the other, one request finds out whether its files can be listed.
    asks = [count_listing_requests(size) if uploads * PAGE_SIZE >= size else 1 + uploads for size in sizes if uploads]
    return sum(asks) + unread_uploads + (_count_probe(plan) if capabilities.updates_reach_search is None else 0)


def _count_probe(plan: Plan) -> int:
    """Requests to find out whether search sees updated attributes: the mark is written, searched for and written back.

    A copy that is already attached is read first.
    """
    actions = {change.action for store in plan.stores for change in store.files if change.desired}
    if actions & {Action.CREATE, Action.REPLACE}:
        return 3
    return 4 if actions & {Action.UPDATE, Action.ADOPT} else 0


def upload_size(change: FileChange) -> int | None:
    """The bytes a change uploads; None when it uploads nothing."""
    is_upload = change.attaches and not _existing_id(change)
    return change.desired.size if change.desired and is_upload else None


def count_attached(store: StorePlan) -> int:
    return sum(change.attaches for change in store.files)


def _rounds(store: StorePlan, capabilities: Capabilities) -> list[list[FileChange]]:
    """The changes whose files are attached together, one round after the other.

    Of an unproven extension, one file is tried in the first round and the others follow; files whose text is removed
    elsewhere come last.
    """
    first: list[FileChange] = []
    rest: list[FileChange] = []
    late: list[FileChange] = []
    tried: set[str] = set()
    for change in store.files:
        if change.attaches and (file := change.desired):
            extension = file.extension if store.unproven else ""
            part = late if Reason.SHARED_CHUNKS in change.reasons else rest if extension in tried else first
            part.append(change)
            if extension in store.unproven:
                tried.add(extension)
    size = max(1, capabilities.batch_size)
    return [part[start : start + size] for part in (first, rest, late) for start in range(0, len(part), size)]


def _count_batches(store: StorePlan, capabilities: Capabilities) -> int:
    """How many batches will be created in a store: without `batch_files`, one for each chunking in a round."""
    return sum(
        1 if capabilities.batch_files else len({change.desired.chunking for change in changes if change.desired})
        for changes in _rounds(store, capabilities)
    )


def _final_drops(store: StorePlan) -> Iterator[RecordedCopy]:
    """The copies that are dropped for good: a File that is attached again is not one of them."""
    return (copy for change in store.files for copy in change.drop if copy.id != _existing_id(change))


def _existing_id(change: FileChange) -> str:
    """The File that a change attaches, where it uploads none."""
    return (change.desired.file_id if change.desired else "") or change.reuse


def _uploads_to_delete(plan: Plan) -> set[str]:
    drops = (copy for store in plan.stores for copy in _final_drops(store))
    return {copy.id for copy in drops if is_our_upload(copy.mark, plan.owner)}


def _is_created(store: StorePlan) -> bool:
    return store.action in (Action.CREATE, Action.REPLACE)


def _count_pages(count: int) -> int:
    return max(1, ceil(count / PAGE_SIZE))


def count_listing_requests(count: int) -> int:
    """Requests to list a store's files: a page, and then two at a time, from both ends, until one has passed the other.

    Of files that came within one second, either end lists all: that may take a few more.
    """
    return 1 if count <= PAGE_SIZE else 1 + 2 * ceil((count + 2 - PAGE_SIZE) / (2 * PAGE_SIZE))


def _count_closing_requests(plan: Plan) -> int:
    """Requests at the end of an apply: to check what it did, and to delete uploads.

    It looks for new stores, for what it deleted, and for copies that another run attached as well. Where the plan lists
    no file of ours, an apply also finds out whether listings have attributes.
    """
    listings = [
        count_listing_requests(store.live + count_attached(store))
        for store in plan.stores
        if store.action is not Action.DELETE and any(_final_drops(store))
    ]
    any_store_goes = any(store.action in (Action.DELETE, Action.REPLACE) for store in plan.stores)
    lists_stores = bool(listings) or any_store_goes
    looks_for_new = any(map(_is_created, plan.stores))
    attaching = [store for store in plan.stores if count_attached(store)]
    marks = any(change.attaches or change.action is Action.ADOPT for store in plan.stores for change in store.files)
    looks = looks_for_new + lists_stores + (marks and not any(store.owned for store in plan.stores))
    return looks + sum(listings) + sum(map(_count_newest_pages, attaching)) + len(_uploads_to_delete(plan))


def _count_newest_pages(store: StorePlan) -> int:
    """Pages of a store's newest files: as many as an apply attached, and a page of those that others may have."""
    attached = count_attached(store)
    kept = 0 if _is_created(store) else store.live - sum(1 for _ in _final_drops(store))
    return _count_pages(attached + min(kept, PAGE_SIZE))


def _count_waits(store: StorePlan, capabilities: Capabilities) -> int:
    """How many times an apply waits for the service in a store."""
    awaits = any(change.action is Action.AWAIT for change in store.files)
    once = (awaits, _is_created(store), any(_final_drops(store)))  # one wait for all of a kind
    return len(_rounds(store, capabilities)) + len(store.batches) + sum(once)


def _count_requests(plan: Plan, store: StorePlan, capabilities: Capabilities) -> int:
    """Requests in a store, except uploads and the closing requests."""
    batches = sum(2 if batch.action is Action.CANCEL else 1 for batch in store.batches)
    waits = sum(change.action is Action.AWAIT for change in store.files)
    files = 0 if store.action is Action.DELETE else sum(map(_count_file_requests, store.files))
    reads = _count_reads(waits, store.live) if waits else 0
    stamp = 2 if _is_stamped(plan, store, capabilities) else 0
    attaches = _count_gap_checks(store, capabilities) + _count_attaches(store, capabilities)
    return _count_setup(store) + attaches + batches + files + reads + _count_drop_checks(store) + stamp


def _count_setup(store: StorePlan) -> int:
    """Requests about the store itself. Before a new store gets its first file, one request lists the stores again."""
    match store.action:
        case Action.CREATE:
            return 2 + bool(count_attached(store))  # it is created, and read until it answers
        case Action.REPLACE:
            return 5 + bool(count_attached(store))  # the old one is read, listed and deleted, or read and released
        case Action.ADOPT if store.change and any(file.takes_over for file in store.files):
            mark = parse_store_mark(store.change.metadata.get(STORE_OWNER, ""))
            # It is read and written, and once more when its adoption has ended.
            return 2 if isinstance(mark, StoreMark) and mark.is_adopting else 4
        case Action.UPDATE | Action.ADOPT:
            return 2  # its metadata is read before
        case Action.DELETE:
            return 2 + count_listing_requests(store.live)  # it is read and listed first: others may have written to it
        case _:
            return 0


def _count_attaches(store: StorePlan, capabilities: Capabilities) -> int:
    """Requests that attach files, read how they ended, and note batches where the service does not list them."""
    rounds, attached = _rounds(store, capabilities), count_attached(store)
    if capabilities.batches and capabilities.batch_files:
        attaching = (change for change in store.files if change.attaches)
        # Files that wait for a removal are attached in a second pass.
        passes = len({Reason.SHARED_CHUNKS in change.reasons for change in attaching})
        is_noted = store.managed is not None and not store.managed.external and capabilities.store_updates
        # One request asks whether batches are listed. Where they are known not to be, none does: a note of them is
        # written and removed, with two requests each.
        note_requests = passes * (1 if capabilities.list_batches else 4) if is_noted else 0
        # A batch is created and polled once, and its files are listed.
        return note_requests + sum(2 + _count_pages(len(files)) for files in rounds)
    sends = attached if capabilities.one_by_one else attached + _count_batches(store, capabilities)
    return sends + sum(_count_reads(len(files), store.live + attached) for files in rounds)


def _count_gap_checks(store: StorePlan, capabilities: Capabilities) -> int:
    """Requests that check, once per round, whether the copies detached ahead of it are gone."""
    detached = Counter[tuple[int, bool]]()  # copies, by round and whether in a step of their own
    for number, changes in enumerate(_rounds(store, capabilities)):
        for change in changes:
            existing_id = _existing_id(change)
            # Where a text is shared, Files to attach again are detached in a step of their own, before the others.
            is_separate = Reason.SHARED_CHUNKS in change.reasons and bool(existing_id)
            detached[number, is_separate] += sum(change.gap or copy.id == existing_id for copy in change.drop)
    counts = filter(None, detached.values())
    return sum(1 + _cheapest_read(count, store.live - count) for count in counts)  # the store is read for its size


def _count_drop_checks(store: StorePlan) -> int:
    """Requests that check whether removed copies are gone, before files that share their text are attached again."""
    is_shared = any(Reason.SHARED_CHUNKS in change.reasons for change in store.files)
    is_dropped = any(change.drop and not change.attaches for change in store.files)
    return 1 + count_listing_requests(store.live) if is_shared and is_dropped else 0


def _count_reads(count: int, total: int) -> int:
    """Requests to read some files of a store; for more than one, the store is read first, for its size."""
    return 1 if count == 1 else 1 + _cheapest_read(count, total)


def _cheapest_read(count: int, total: int) -> int:
    """Requests to read some files of a store: each by itself, or, where that is less, its listing."""
    return count if total > PAGE_SIZE * count else count_listing_requests(total)


def _count_file_requests(change: FileChange) -> int:
    """Requests about a file's live copies: to read those that are used, write attributes, and detach others."""
    drops, existing_id = len(change.drop), _existing_id(change)
    match change.action:
        case Action.CREATE | Action.REPLACE:
            same = (copy for copy in change.drop if copy.id == existing_id)
            reads = bool(change.reuse) + any(copy.status is not FileStatus.COMPLETED for copy in same)
            return reads + drops
        case Action.UPDATE | Action.ADOPT:
            return 1 + 2 * drops  # before each removal, the copy that stays is read
        case Action.AWAIT:
            return bool(change.fields) + drops
        case _:
            return drops * (2 if change.keep else 1)  # the copy that stays, if any, is read before each removal


def _is_stamped(plan: Plan, store: StorePlan, capabilities: Capabilities) -> bool:
    """Whether an apply leaves its stamp (`vssync_applied`) in a store: it writes to it, and leaves nothing undone."""
    if not (capabilities.store_updates and may_be_stamped(plan, store)):
        return False
    actions = {change.action for change in (*store.files, *store.batches, store.change) if change}
    is_written = bool(actions - {Action.AWAIT}) or any(change.fields for change in store.files)
    return is_written and Action.REFUSE not in actions


def may_be_stamped(plan: Plan, store: StorePlan) -> bool:
    """Whether a store may get a stamp when its changes are done: planned as a whole, with metadata that is ours."""
    is_ours = store.managed is not None and not (store.managed.external or store.unlisted)
    is_held_back = any(note.kind in HELD_BACK for note in store.notes)
    return is_ours and not is_held_back and Scope.of(plan.options).includes_all_files(store.key)
