"""The end of a run: confirms its deletions, deletes the uploads that nobody needs, and stamps what is as it should be.

Only a listing confirms a deletion: services answer "deleted" to what they delete later, or never. Two machines may each
delete the copy that the other one keeps. So unless every copy that stays in the place of another is completed, no
upload is deleted, and the next run repairs what is missing. Deleting a File takes it out of all its stores, so every
store is asked first, whoever owns it. The last requests to a store look at it once more: another machine may have
undone meanwhile what this run did. What comes after them is as if it came after the run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

from vssync.api.client import Client
from vssync.api.connect import with_unlisted
from vssync.applier.context import ApplyRun, Deletion, StoreContext, result_of_error
from vssync.applier.stores import Overtaken, check_undisturbed, is_marked, update_store
from vssync.applier.wait import DELETION_WAIT, STILL_LISTED, Waiting, poll_until
from vssync.applier.watcher import Result
from vssync.applier.writes import MetadataLost
from vssync.errors import NotFound, ServiceError, VssyncError
from vssync.limits import PAGE_SIZE
from vssync.model.digests import store_mark_for
from vssync.model.marks import STORE_APPLIED, STORE_PROTECT, Mark, StoreMark, fit_metadata
from vssync.model.plan import Plan, Reason, StorePlan
from vssync.model.report import Orphan, Status
from vssync.model.state import FileStatus, LiveFile, LiveStore, Verdict
from vssync.planner.estimate import may_be_stamped
from vssync.threads import Pool

_FILES_AT_ONCE = 300  # that are read one page after the other, where more are listed
_UNCONFIRMED = "the deletion of {} was sent, but not confirmed: {}"
_MADE_ANEW = "deleted, and another run made {} meanwhile; plan again"
_LOST = "the copy to keep, {}, is not completed any more: another run may be at work; apply again"
_GONE = "{} is gone, and its files with it: another run may be at work; plan again"
_UNDONE = "{} is not completed under our mark any more: another run may be at work; apply again"


@dataclass(frozen=True, slots=True)
class FinalState:
    """What the service shows after a run's deletions."""

    stores: Mapping[str, LiveStore]  # all, by id
    files: Mapping[str, Mapping[str, LiveFile]]  # by id, of each store from which a file was detached
    errors: Mapping[str, VssyncError]  # by id, of those of these stores whose files could not be listed
    is_short: bool  # a listing had fewer files than its store counts

    def lists(self, deletion: Deletion) -> bool:
        """Whether what was deleted is still listed."""
        return deletion.object_id in (self.files.get(deletion.store_id, {}) if deletion.file_id else self.stores)

    def count_listed(self, deletions: Collection[Deletion]) -> int:
        """How many of these are still listed."""
        return sum(map(self.lists, deletions))


def finish_deletions(run: ApplyRun, plan: Plan, stores: Sequence[StoreContext]) -> tuple[Orphan, ...]:
    """Records the result of each deletion that went wrong, and deletes the scheduled uploads.

    `stores` are those of this run. Returns the uploads that stay because stores of others hold them; any other that
    stays is left to the ledger, with the reason.
    """
    pending = run.ledger.pending_deletes()
    if not (run.deletions or pending):
        return ()
    try:
        final = _wait_for_deletions(run)
    except VssyncError as error:
        record_unconfirmed_deletions(run, str(error))
        _note_why_kept(run, pending, str(error))
        return ()
    may_delete_uploads = True
    for deletion in run.deletions:
        bad_result, keeps_uploads = _check_deletion(run, final, deletion)
        may_delete_uploads = may_delete_uploads and not keeps_uploads
        if bad_result:
            run.results.record_result(deletion.store_key, deletion.key, bad_result)
        elif not deletion.file_id:
            run.deleted_stores.add(deletion.store_id)
        if final.lists(deletion) and deletion.file_id in pending:
            del pending[deletion.file_id]
            run.ledger.record_closed(deletion.file_id)  # its store still has it, as the next run will see
    _record_made_anew(run, plan, stores, final)
    run.deletions.clear()
    if may_delete_uploads:
        return _delete_unheld(run, plan, [store.id for store in stores if not store.is_deleted], final, pending)
    _note_why_kept(run, pending, "not every copy that stays is known to be completed")
    return ()


def _record_made_anew(run: ApplyRun, plan: Plan, stores: Sequence[StoreContext], final: FinalState) -> None:
    """Reports stores of this owner that the plan does not know: of a key that was deleted, or of any in a `destroy`."""
    told = {word for store in plan.stores for note in store.notes for word in note.detail.split()}  # stores it leaves
    made = final.stores.keys() - {store.id for store in plan.stores} - {store.id for store in stores} - told
    ours = {final.stores[id_].claim[1]: id_ for id_ in sorted(made) if final.stores[id_].owner == plan.owner}
    destroyed = {store.key for store in plan.stores if store.change and Reason.DESTROY in store.change.reasons}
    for key in {deletion.store_key for deletion in run.deletions if not deletion.file_id}:
        any_key = next(iter(ours.values()), "") if key in destroyed else ""
        if new_id := ours.get(key.partition("@")[0], any_key):
            run.results.record_result(key, "", Result(Status.UNKNOWN, _MADE_ANEW.format(new_id)))


def _check_deletion(run: ApplyRun, final: FinalState, deletion: Deletion) -> tuple[Result | None, bool]:
    """What went wrong with a deletion, if anything, and whether that keeps all uploads from being deleted."""
    error = final.errors.get(deletion.store_id) if deletion.file_id else None
    try:
        if deletion.kept_id and not _is_completed(run, final, deletion):
            return Result(Status.FAILED, _LOST.format(deletion.kept_id)), True
    except VssyncError as read_error:
        error = read_error
    if error:
        return Result(Status.UNKNOWN, _UNCONFIRMED.format(deletion.object_id, error)), True
    if final.lists(deletion):
        cause = f": {deletion.error}" if deletion.error else ""
        return Result(Status.UNKNOWN, f"{deletion.object_id}: {STILL_LISTED}{cause}"), False
    return None, False


def record_unconfirmed_deletions(run: ApplyRun, reason: str) -> None:
    """Records that it is not known what became of the deletions that were sent."""
    for deletion in run.deletions:
        result = Result(Status.UNKNOWN, _UNCONFIRMED.format(deletion.object_id, reason))
        run.results.record_result(deletion.store_key, deletion.key, result)


def _wait_for_deletions(run: ApplyRun) -> FinalState:
    """Reads listings until they are whole and nothing deleted is in them, or time is up; returns the last reading.

    A short listing confirms nothing: the next one may list again what this one lacks.
    """
    clock = run.client.clock
    deadline = clock.monotonic() + DELETION_WAIT

    def is_confirmed(state: FinalState) -> bool:
        return not state.count_listed(run.deletions) and not (state.is_short and clock.monotonic() < deadline)

    waiting = Waiting("deleted objects to leave the listings", "what is still listed counts as not done", DELETION_WAIT)
    return poll_until(
        run,
        lambda: _read_final_state(run),
        waiting,
        is_done=is_confirmed,
        progress_of=lambda state: state.count_listed(run.deletions),
    )


def _read_final_state(run: ApplyRun) -> FinalState:
    stores = {store.id: store for store in run.client.list_stores()}
    by_store: dict[str, list[str]] = {}
    for deletion in run.deletions:
        if deletion.file_id:
            by_store.setdefault(deletion.store_id, []).append(deletion.file_id)
    denied = run.client.stores_denied
    if denied and not (stores and by_store.keys() <= stores.keys()):
        raise denied  # only pinned stores can be read, and those of these deletions are not among them
    pending = run.ledger.pending_deletes()

    files: dict[str, Mapping[str, LiveFile]] = {}
    errors: dict[str, VssyncError] = {}
    verdicts: list[Verdict] = []

    def list_files(store_id: str) -> None:
        try:
            store = stores.get(store_id) or run.client.get_store(store_id)
            files[store_id], verdict = _list_or_ask(run.client, store, {*by_store[store_id], *pending})
            verdicts.append(verdict)
        except VssyncError as error:
            errors[store_id] = error

    run.pool.map(list_files, by_store)
    return FinalState(stores, files, errors, is_short=Verdict.SHORT in verdicts)


def _list_or_ask(client: Client, store: LiveStore, file_ids: Collection[str]) -> tuple[Mapping[str, LiveFile], Verdict]:
    """A store's files. Where the listing is not whole, those of `file_ids` that it lacks are asked for one by one."""
    listing = client.list_all_files(store)
    files = {file.id: file for file in listing.files}
    unseen = () if listing.verdict is Verdict.WHOLE else set(file_ids) - files.keys()
    attached = (file_id for file_id in unseen if client.is_attached(store.id, file_id))
    return files | {file_id: client.get_file(store.id, file_id) for file_id in attached}, listing.verdict


def _is_completed(run: ApplyRun, final: FinalState, deletion: Deletion) -> bool:
    """Whether the copy that stays is completed. The listing may be late: unless it says so, the file is read."""
    file = final.files.get(deletion.store_id, {}).get(deletion.kept_id)
    if file is None or file.status is not FileStatus.COMPLETED:
        file = run.client.find_file(deletion.store_id, deletion.kept_id)
    return file is not None and file.status is FileStatus.COMPLETED


def _note_why_kept(run: ApplyRun, pending: Collection[str], reason: str) -> None:
    for file_id in pending:
        run.ledger.add_note(file_id, f"kept, because {reason}")


def _delete_unheld(
    run: ApplyRun, plan: Plan, store_ids: Collection[str], final: FinalState, pending: Mapping[str, str]
) -> tuple[Orphan, ...]:
    """Deletes those of the uploads that no store holds, and returns those that stores of others hold."""
    try:
        holders = _find_holders_after_deletions(run, store_ids, final, pending)
    except VssyncError as error:
        _note_why_kept(run, pending, str(error))
        return ()
    held_by_others = []
    our_ids = {*store_ids, *(store.id for store in plan.stores)}
    for file_id, stores in holders.items():
        others = [store for store in stores if store.id not in our_ids and not _is_of_manifest(store, plan.owner)]
        run.ledger.record_closed(file_id)
        if names := ", ".join(store.label for store in others):
            held_by_others.append(Orphan(file_id, f"{pending[file_id]}; held by {names}"))
    unheld = [file_id for file_id in pending if file_id not in holders]

    def delete(file_id: str) -> None:
        run.ledger.record_uncertain([file_id])
        try:
            run.writes.delete_upload(file_id)
            run.ledger.record_closed(file_id)
        except VssyncError as error:
            run.ledger.add_note(file_id, str(error))
        finally:
            run.watcher.on_upload_deleted()

    run.watcher.on_cleanup(len(unheld))
    run.pool.map(delete, unheld)
    return tuple(held_by_others)


def _find_holders_after_deletions(
    run: ApplyRun, store_ids: Collection[str], final: FinalState, file_ids: Collection[str]
) -> Mapping[str, list[LiveStore]]:
    """The stores that hold each of these Files, also those of this machine that are not listed."""
    unlisted = [run.client.get_store(store_id) for store_id in store_ids if store_id not in final.stores]
    stores = with_unlisted(run.client, (*final.stores.values(), *unlisted), run.writes.journal.stores)
    unread = [store for store in stores if store.id not in final.files]
    holders = dict(find_holders(run.client, run.pool, unread, file_ids))
    for store in stores:
        for file_id in final.files.get(store.id, {}).keys() & file_ids:
            holders.setdefault(file_id, []).append(store)
    return holders


def close_held_uploads(run: ApplyRun) -> None:
    """Closes uploads that this run left unattached, but that other stores hold: they are no orphans."""
    with suppress(VssyncError):  # then they are named, and `gc` looks again
        if loose_ids := run.ledger.loose_ids():
            stores = with_unlisted(run.client, run.client.list_stores(), run.writes.journal.stores)
            for file_id in find_holders(run.client, run.pool, stores, loose_ids):
                run.ledger.record_closed(file_id)


def _is_of_manifest(store: LiveStore, owner: str) -> bool:
    """Whether a store belongs to any environment of an owner's manifest."""
    return isinstance(store.mark, StoreMark) and store.mark.owner.partition("/")[0] == owner.partition("/")[0]


def find_holders(
    client: Client, pool: Pool, stores: Iterable[LiveStore], file_ids: Collection[str], *, skip_unreadable: bool = False
) -> Mapping[str, list[LiveStore]]:
    """The stores that hold each of these Files, by File id; those that no store holds are left out.

    Raises ServiceError, which names the store, where one cannot be asked and is not to be skipped.
    """

    def ask(store: LiveStore) -> Collection[str]:
        try:
            return _held_by(client, store, file_ids)
        except ServiceError as error:
            if skip_unreadable or store.is_expired:  # what is in an expired store is not searched any more
                return ()
            if isinstance(error, NotFound) and all(store.id != other.id for other in client.list_stores()):
                return ()  # somebody has just deleted it
            raise ServiceError(
                f"{store.label}: its files cannot be listed, so it is not known which uploads it needs, "
                f"and none is deleted: {error}",
                error.answer,
            ) from error

    asked = list(stores) if file_ids else []
    holders: dict[str, list[LiveStore]] = {}
    for store, held_ids in zip(asked, pool.map(ask, asked), strict=True):
        for file_id in held_ids:
            holders.setdefault(file_id, []).append(store)
    return holders


def _held_by(client: Client, store: LiveStore, file_ids: Collection[str]) -> set[str]:
    """Which of these Files a store holds.

    Each is asked for if that takes fewer requests than listing the store, but only after one page could be read:
    without permission, every File would be answered with 404 and look absent.
    """
    if len(file_ids) * PAGE_SIZE >= store.counts.total or not client.can_list_files(store.id):
        return _list_or_ask(client, store, file_ids)[0].keys() & set(file_ids)
    return {file_id for file_id in file_ids if client.is_attached(store.id, file_id)}


def verify_files(run: ApplyRun, stores: Sequence[StoreContext]) -> None:
    """Reports files that another run attached as well, one of each store that has left it, and stores that are gone.

    The next apply removes one of two copies. Only the newest files are listed: as many as this run attached, and a page
    of those that others may have attached. Of those brought in that are not among them, one is asked for.
    """

    def verify(store: StoreContext) -> None:
        steps = store.steps
        puts = {put.mark.key_digest: put for put in steps.all_puts}
        old_ids = {drop.file_id for put in puts.values() for drop in (*put.before_attach, *put.after_completion)}
        old_ids |= {drop.file_id for drop in steps.drops}
        ids_by_key: dict[str, list[str]] = {}
        try:
            for file in _list_newest(store, len(puts) + PAGE_SIZE):
                put = puts.get(file.mark.key_digest) if isinstance(file.mark, Mark) else None
                # An old copy may still be listed. One that was attached again counts as new.
                if put and file.owner == put.mark.owner and (file.id == put.existing_id or file.id not in old_ids):
                    ids_by_key.setdefault(put.key, []).append(file.id)
        except NotFound:
            _record_if_gone(store)
        except VssyncError:
            pass  # nothing that was done depends on it
        for key, ids in ids_by_key.items():
            if len(ids) > 1:
                detail = f"another run attached it as well: {' and '.join(ids)} are copies of it; apply again"
                run.results.record_result(store.key, key, Result(Status.DOUBLED, detail))
        unlisted = (item for item in store.completed.items() if item[1] not in ids_by_key.get(item[0], ()))
        for key, file_id in islice(unlisted, 1):
            with suppress(VssyncError):
                live = store.client.find_file(store.id, file_id)
                if not (live and live.status is FileStatus.COMPLETED and live.owner == steps.owner):
                    run.results.record_result(store.key, key, Result(Status.FAILED, _UNDONE.format(file_id)))

    run.pool.map(verify, [store for store in stores if store.steps.all_puts])


def _list_newest(store: StoreContext, count: int) -> Sequence[LiveFile]:
    """The newest files of a store; those of a new one from several places at once, unless one of these is gone."""
    starts = [*store.completed.values()][_FILES_AT_ONCE::_FILES_AT_ONCE] if store.is_new else []
    if starts:
        with suppress(VssyncError):
            return store.client.list_newest_files(store.id, count, starts, store.run.pool.map)
    return store.client.list_newest_files(store.id, count)


def _record_if_gone(store: StoreContext) -> None:
    """Reports a store that was answered with 404 and is not listed, either: a missing permission answers 404, too."""
    client = store.client
    with suppress(VssyncError):
        is_listed = store.id in {live.id for live in client.list_stores()}
        if not (is_listed or client.stores_denied or store.is_provisioning):
            store.run.results.record_result(store.key, "", Result(Status.FAILED, _GONE.format(store.id)))


def stamp_stores(run: ApplyRun, plan: Plan, stores: Sequence[StoreContext]) -> None:
    """Leaves the run's stamp in each store that was planned as a whole and now is as the manifest wants it.

    The first is stamped alone: a service that loses metadata then loses that of no other store.
    """
    stamp = run.settings.stamp
    if stamp is None:
        return
    failed = {outcome.store for outcome in run.results.outcomes(plan) if outcome.status is not Status.DONE}
    text, written = str(replace(stamp, time=run.time)), {store.key: store for store in stores}

    def leave_stamp(planned: StorePlan) -> None:
        settings, store = planned.managed, written[planned.key]

        def add(metadata: Mapping[str, str]) -> Mapping[str, str] | None:
            """The metadata with the stamp; None where there is no room, or the rest is not as this run left it."""
            assert settings
            check_undisturbed(store, metadata)
            stamped = fit_metadata({**metadata, STORE_APPLIED: text})
            is_current = is_marked(store, metadata, store_mark_for(plan.owner, settings))
            is_protected = bool(metadata.get(STORE_PROTECT))
            return stamped if STORE_APPLIED in stamped and is_current and is_protected is settings.protect else None

        try:
            update_store(run, store.id, add)
        except (MetadataLost, Overtaken) as error:
            run.results.record_result(store.key, "", result_of_error(error))
        except NotFound:
            _record_if_gone(store)
        except VssyncError:
            pass  # nothing depends on a stamp

    as_wanted = written.keys() - failed
    to_stamp = [store for store in plan.stores if store.key in as_wanted and may_be_stamped(plan, store)]
    for group in (to_stamp[:1], to_stamp[1:]):
        run.pool.map(leave_stamp, group)
