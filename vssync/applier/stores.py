"""Creates, updates and deletes stores, and merges into one where two machines create it at once.

The mark is checked after each write: without it the next plan would not recognize the store as ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from vssync.api.errors import MissingCapability
from vssync.applier.context import (
    ApplyRun,
    Deletion,
    StoreContext,
    result_of_unconfirmed,
    send_deletion,
)
from vssync.applier.steps import StoreSteps
from vssync.applier.wait import ERROR_GRACE, VISIBILITY_GRACE, Waiting, poll_until
from vssync.applier.watcher import ALREADY_DONE, DONE, Result
from vssync.applier.writes import MetadataEdit, MetadataLost, ambiguous_if_unread, lost_metadata
from vssync.errors import LostReply, NotFound, ServiceError, VssyncError
from vssync.model.marks import (
    ADOPTING,
    NEEDS_METADATA,
    STORE_APPLIED,
    STORE_OWNER,
    STORE_PROTECT,
    Mark,
    StoreMark,
    is_our_upload,
    parse_stamp,
    parse_store_mark,
    without_ours,
)
from vssync.model.plan import Action, Reason, StoreChange
from vssync.model.report import Status
from vssync.model.state import Contents, FileStatus, LiveStore, StoreSettings
from vssync.planner.find_stores import order_of_use
from vssync.text import format_estimate

# Statuses of copies of a file, worst to best: the best is findable now or soonest.
_BEST_LAST = (FileStatus.FAILED, FileStatus.CANCELLED, FileStatus.UNKNOWN, FileStatus.IN_PROGRESS, FileStatus.COMPLETED)
_MAX_ATTEMPTS, _MAX_ERRORS = 3, 2  # to create a store: without a reply, and with an error of the service as reply


class Overtaken(VssyncError):
    """Another run wrote to a store since this one was planned, so that it is not known what it holds now."""

    is_ambiguous = True


def check_undisturbed(store: StoreContext, metadata: Mapping[str, str]) -> None:
    """Raises Overtaken where a store's metadata show that another run finished there since this one was planned.

    A run of the same commit does not count, since it wanted the same. If both of them name none, or one with changes on
    top (`+`), that is presumed only of a store that both created.
    """
    mark, stamp = parse_store_mark(metadata.get(STORE_OWNER, "")), parse_stamp(metadata.get(STORE_APPLIED, ""))
    if not (isinstance(mark, StoreMark) and mark.owner == store.steps.owner):
        raise Overtaken(f"{store.id} does not carry our mark any more: another run may be at work; plan again")
    if stamp is None or str(stamp) == store.steps.applied:
        return
    own = store.run.settings.stamp
    is_exact = bool(stamp.commit) and not stamp.commit.endswith("+")
    if own is None or own.commit != stamp.commit or not (is_exact or store.is_new):
        commit, actor = stamp.commit and f" of {stamp.commit[:7]}", stamp.actor and f" by {stamp.actor}"
        raise Overtaken(f"another apply{commit}{actor} ended in {store.id} at {stamp.time}; plan again")


def is_marked(store: StoreContext, metadata: Mapping[str, str], wanted: StoreMark) -> bool:
    """Whether an undisturbed store carries the mark that this run wants, which it does not while files are adopted.

    Raises Overtaken where another run brought in other settings.
    """
    mark = parse_store_mark(metadata[STORE_OWNER])
    assert isinstance(mark, StoreMark)
    if mark.settings_digest not in (wanted.settings_digest, ADOPTING):
        raise Overtaken(f"another apply changed the settings of {store.id} meanwhile; plan again")
    return str(mark) == str(wanted)


def set_up_store(run: ApplyRun, steps: StoreSteps) -> StoreContext:
    """Creates or updates a store where the steps say so. Raises VssyncError where that fails."""
    change, settings = steps.setup, steps.settings
    store = StoreContext(run, steps, steps.store_id)
    if change is None or settings is None:
        return store
    if store.is_new:
        _create(store, settings, change)
        store.may_have_duplicate = True
        with ambiguous_if_unread(f"{store.key}: {store.id} was created"):
            store.is_provisioning = not run.client.can_list_files(store.id)
        if store.is_provisioning:
            seconds = run.settings.new_store_seconds
            when = f"makes it available in {format_estimate(seconds)}" if seconds else "does not serve it yet"
            run.announce(f"{store.key}: created; the service {when}, and files are uploaded meanwhile")
        return store
    mark = str(_mark_of(store).as_adopting()) if steps.adopts else change.metadata[STORE_OWNER]
    changed = {field.name.removeprefix("metadata.") for field in change.fields if field.name.startswith("metadata.")}
    written = changed | {STORE_OWNER, STORE_PROTECT}

    def merge(metadata: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in metadata.items() if name not in written}
        ours = {name: value for name, value in change.metadata.items() if name in written}
        return {**kept, **ours, STORE_OWNER: mark}

    update_store(run, store.id, merge, key=settings.key, name=settings.name, expires_after=_expiry(settings))
    return store


def update_store(run: ApplyRun, store_id: str, edit: MetadataEdit, key: str = "", **settings: object) -> LiveStore:
    """Updates a store as `Writes.update_metadata` does; refuses to, once the service has lost a store's metadata."""
    if not run.capabilities.store_updates:
        raise VssyncError(f"{store_id}: not updated, since the service lost the metadata of another store")
    try:
        return run.writes.update_metadata(store_id, edit, key, **settings)
    except MetadataLost:
        run.service.record_missing(MissingCapability.STORE_UPDATES)
        raise


def _mark_of(store: StoreContext) -> StoreMark:
    """The mark that a store is to carry once it is set up."""
    assert store.steps.setup
    mark = parse_store_mark(store.steps.setup.metadata[STORE_OWNER])
    assert isinstance(mark, StoreMark)
    return mark


def end_adoption(store: StoreContext) -> Result:
    """Writes the store's mark as it is to stay, if every file was adopted."""
    run, steps = store.run, store.steps
    statuses = run.results.statuses(store.key)
    if run.stopping or any(statuses.get(key) is not Status.DONE for key in steps.adopts):
        return Result(
            Status.SKIPPED,
            "its adoption is unfinished, because not every file was adopted: apply again with the same options",
        )
    mark = _mark_of(store)
    if not mark.is_adopting:  # else the plan left files to adopt later, and the mark stays as `set_up_store` wrote it
        update_store(run, store.id, lambda metadata: {**metadata, STORE_OWNER: str(mark)})
    return DONE


def _is_rest_done(store: StoreContext) -> bool:
    """Whether everything in a store but its own change, whose status is still None, is done, and the run goes on."""
    statuses = store.run.results.statuses(store.key).values()
    return not store.run.stopping and all(status in (Status.DONE, None) for status in statuses)


def release_store(store: StoreContext) -> Result:
    """Takes our mark from a store, if those of all its files are gone: until then it says whose they are."""
    run, store_id = store.run, store.steps.store_id
    if not _is_rest_done(store):
        return Result(
            Status.SKIPPED, "the store keeps its mark, because files keep theirs: apply again with the same options"
        )

    def release(metadata: Mapping[str, str]) -> Mapping[str, str]:
        check_undisturbed(store, metadata)
        return without_ours(metadata)

    run.writes.journal.remember_store(store_id, "")  # first: a run that is stopped in between gives it up, too
    live = update_store(run, store_id, release)
    if STORE_OWNER in live.metadata and STORE_OWNER in run.client.get_store(store_id).metadata:
        return Result(Status.FAILED, f"the service accepted the metadata of {store_id} and kept our mark in it")
    return DONE


def delete_store(store: StoreContext) -> Result:
    """Deletes a store, or the one that was replaced, if everything else was done; then our uploads in it may go.

    Its files go with it, so none is detached by itself. A replaced store whose files cannot be listed is kept.
    """
    run, steps, store_id = store.run, store.steps, store.steps.store_id
    statuses = run.results.statuses(store.key)
    if not _is_rest_done(store) or any(put.key not in statuses for put in steps.all_puts):
        return Result(Status.SKIPPED, "the store is kept, because not everything else was done")
    if steps.teardown and steps.teardown.action is Action.REPLACE and Reason.UNLISTED in steps.teardown.reasons:
        # If this fails, it keeps our mark: later plans use the new store, and show this one as a second.
        with suppress(VssyncError):
            update_store(run, store_id, without_ours)
        run.announce(f"{store.key}: {store_id} was replaced and is kept, since its files cannot be listed")
        return DONE
    uploads = _uploads_in(store)
    error = send_deletion(lambda: run.writes.delete_store(store_id, uploads))
    keys = ("", *(drop.key for drop in steps.leaving))
    run.deletions += [Deletion(store.key, change_key, store_id, error=error) for change_key in keys]
    for file_id in uploads:
        run.ledger.schedule_delete(file_id, f"upload in {store.key}'s deleted store")
    return DONE


def _uploads_in(store: StoreContext) -> tuple[str, ...]:
    """The ids of our uploads in a store that is about to be deleted: others may have attached more since the plan.

    Some services do not list an expired one: then none is returned, and the ledger records that there may be some.
    Raises VssyncError where another run wrote to it since, or somebody brought in files of their own.
    """
    run, steps, store_id = store.run, store.steps, store.steps.store_id
    try:
        live = run.client.get_store(store_id)
        contents = run.client.list_all_files(live)
    except VssyncError as error:
        if steps.leaving and isinstance(error, NotFound):  # somebody has just deleted it
            return tuple(drop.file_id for drop in steps.leaving if drop.deletes_upload)
        if steps.leaving:
            raise
        unlisted = f"uploads in the store {store_id}, which could not be listed before it was deleted"
        run.ledger.record_suspect(f"{unlisted}: {error}")
        return ()
    if steps.teardown and steps.teardown.action is Action.DELETE and not live.is_expired:
        check_undisturbed(store, live.metadata)
        if sum(file.owner != steps.owner for file in contents.files) + contents.unlisted > steps.others:
            raise VssyncError(f"{live.label} holds more files of others than when this was planned; plan again")
    return tuple(file.id for file in contents.files if is_our_upload(file.mark, steps.owner))


def _create(store: StoreContext, settings: StoreSettings, change: StoreChange) -> None:
    """Creates a store. Without a good answer it is looked up by its mark before the next try: there must never be two.

    Raises LostReply where it does not appear after the last try, ServiceError where the service refuses it.
    """
    run, replaced_id = store.run, store.steps.store_id
    mark = change.metadata[STORE_OWNER]
    fields = {"name": settings.name, "description": settings.description, "expires_after": _expiry(settings)}
    body = {name: value for name, value in fields.items() if value} | {"metadata": dict(change.metadata)}

    def find() -> LiveStore | None:
        """The store with the mark; one that the new one replaces does not count."""
        usable = (live for live in run.client.list_stores() if not live.is_expired and live.id != replaced_id)
        return next((live for live in usable if live.metadata.get(STORE_OWNER) == mark), None)

    live, attempts = None, 0
    while live is None:
        attempts += 1
        try:
            live = run.writes.create_store(settings.key, body)
            store.made_id = live.id
        except LostReply as error:
            store.has_lost_create = True
            is_last = attempts >= (_MAX_ERRORS if error.is_service_error else _MAX_ATTEMPTS)
            problem = "the service reported an error" if error.is_service_error else "no usable reply came"
            subject = f"{settings.key} to be listed ({problem} when it was created)"
            consequence = "its files are not tried" if is_last else "it is created again"
            timeout = ERROR_GRACE if error.is_service_error else VISIBILITY_GRACE
            with ambiguous_if_unread(f"{settings.key}: it may have been created"):
                live = poll_until(run, find, Waiting(subject, consequence, timeout))
            if live is None and is_last:
                raise
    store.id = live.id
    if not store.made_id:
        run.writes.journal.remember_store(store.id, settings.key)
    _verify_mark(run, settings.key, live, mark)


def _expiry(settings: StoreSettings) -> dict[str, Any] | None:
    """A store's expiry as it is sent; null removes it (OpenAI spec)."""
    days = settings.expires_after_days
    return {"anchor": "last_active_at", "days": days} if days else None


def _verify_mark(run: ApplyRun, key: str, live: LiveStore, mark: str) -> None:
    """Raises VssyncError for a new store that does not carry its mark; if the response has none, reads it."""
    sent = {STORE_OWNER: mark}
    with ambiguous_if_unread(f"{key}: {live.id} was written"):
        is_lost = lost_metadata(sent, live) and lost_metadata(sent, run.client.get_store(live.id))
    if is_lost:
        way_out = f"declare this one with `id: {live.id}` and `external: true`"
        raise VssyncError(f"{key}: the service lost the metadata of {live.id}; {NEEDS_METADATA}: {way_out}")


def look_for_duplicates(store: StoreContext) -> None:
    """Before the first attach to a new store: looks for a duplicate, another machine's store of the same key.

    The run goes on in the one that `order_of_use` prefers. Another run may have joined that too, so what is in it is
    kept in `concurrent_copies`, and not attached again. Raises VssyncError where the stores cannot be listed, or not
    all files of the one to join.
    """
    listed = store.client.list_stores()
    duplicates = _list_duplicates(store, listed)
    # This run's own store, if another run has joined it and attached files.
    filled = next((live for live in listed if live.id == store.id and live.counts.total), None)
    store.may_have_duplicate = False
    if not (duplicates or filled):
        return
    own = filled or store.client.get_store(store.id)
    contents_by_id = {live.id: _read_contents(store, live) for live in (*duplicates, own)}
    owners = (_mark_of(store).owner,)
    first = min((own, *duplicates), key=lambda live: order_of_use(live, contents_by_id[live.id], owners))
    if first.id != own.id:
        _join(store, first.id, contents_by_id[first.id], contents_by_id[own.id])
    contents = contents_by_id[first.id] or Contents()
    best_last = sorted(contents.files, key=lambda file: _BEST_LAST.index(file.status))
    marked = [(file.mark, file) for file in best_last if isinstance(file.mark, Mark) and file.mark.owner in owners]
    # Of several copies of a key, the last stays: the best.
    store.concurrent_copies = {mark.key_digest: file for mark, file in marked if not mark.is_provisional}


def _join(store: StoreContext, store_id: str, joined: Contents | None, own: Contents | None) -> None:
    """Goes on in another store of this key, and deletes the one that this run made. Raises VssyncError if it cannot."""
    if joined is None or joined.shortfall:
        problem = joined.shortfall if joined else "its files cannot be listed"
        raise VssyncError(f"another run made {store_id} at the same time, and {problem}; apply again later")
    if store.made_id and own and not (own.files or own.unlisted):  # nobody has put anything into ours
        with suppress(VssyncError):  # if it stays, `verify_new_stores` reports it
            store.writes.delete_store(store.made_id, ())
            store.run.deleted_stores.add(store.made_id)
    maker = "another run, or a request of this one without a reply," if store.has_lost_create else "another run"
    store.run.announce(f"{store.key}: {maker} made {store_id} at the same time; this run goes on in that store")
    store.id = store_id
    store.writes.journal.remember_store(store_id, store.key)
    if not store.has_lost_create:  # else the other store may be one that this run made
        store.run.results.record_result(store.key, "", ALREADY_DONE)


def verify_new_stores(run: ApplyRun, new_stores: Sequence[StoreContext]) -> None:
    """At the end, reports each new store that is not listed or has a duplicate: the next plan must deal with it."""
    if not new_stores:
        return
    ids = {store.id for store in new_stores}
    try:
        waiting = Waiting("new stores to be listed", "the report gives their ids", VISIBILITY_GRACE)
        listed = poll_until(
            run, run.client.list_stores, waiting, is_done=lambda stores: ids <= {live.id for live in stores}
        )
    except VssyncError as error:
        for store in new_stores:  # each was made; whether it is the only one is not known
            run.results.record_result(store.key, "", result_of_unconfirmed(error))
        return
    for store in new_stores:
        status = Status.UNKNOWN
        if store.id not in {live.id for live in listed}:
            detail = (
                f"the service does not list the new store, so another run may make a second one; add this line to "
                f"{store.key} in the manifest:\nid: {store.id}"
            )
        elif duplicates := _list_duplicates(store, listed):
            others = " and ".join(live.id for live in duplicates)
            detail = f"beside {store.id}, which this run uses, {others} was made for the same key; plan again"
            status = Status.DOUBLED
        else:
            continue
        run.results.record_result(store.key, "", Result(status, detail))


def _list_duplicates(store: StoreContext, stores: Sequence[LiveStore]) -> list[LiveStore]:
    """Other stores with the mark of this owner and key; one that this run replaces or deleted does not count."""
    own_ids, claim = {store.id, store.steps.store_id, *store.run.deleted_stores}, _mark_of(store).claim
    return [live for live in stores if live.id not in own_ids and not live.is_expired and live.claim == claim]


def _read_contents(store: StoreContext, live: LiveStore) -> Contents | None:
    """What a store holds; None where that cannot be listed."""
    with suppress(ServiceError):
        return store.client.list_all_files(live)
    return None
