"""Sees a run's deletions to their end, takes a last look at what stays, and deletes the uploads that nobody needs.

A deletion has ended when a listing lacks what was deleted: services confirm deletions that they make later, or never.
Two machines may each delete the copy that the other one keeps. So before the first upload is deleted, every copy that
stays in the place of another is seen completed; else no upload is deleted, and the next run repairs what is missing.
Deleting a File takes it out of all its stores, so every store is asked first, whoever owns it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from vssync.api.client import Client
from vssync.applier.context import ApplyRun, Deletion, Result, StoreContext
from vssync.applier.wait import DELETION_WAIT, STILL_LISTED, Waiting, poll_until
from vssync.errors import NotFound, ServiceError, VssyncError
from vssync.limits import PAGE_SIZE
from vssync.model.marks import StoreMark
from vssync.model.plan import Plan
from vssync.model.report import Orphan, Status
from vssync.model.state import FileStatus, LiveFile, LiveStore, Verdict
from vssync.threads import Pool

_UNSEEN = "the deletion of {} was sent, and its end was not seen: {}"
_LOST = "the copy to keep, {}, is not completed any more: another run may be at work; apply again"


@dataclass(frozen=True, slots=True)
class LastLook:
    """What the service shows after a run's deletions."""

    stores: Mapping[str, LiveStore]  # all, by id
    files: Mapping[str, Mapping[str, LiveFile]]  # by id, of each store from which a file was detached
    errors: Mapping[str, VssyncError]  # of listing the files of the others of these stores
    is_short: bool  # files that were counted and not listed were asked for one by one

    def shows(self, deletion: Deletion) -> bool:
        """Whether what was deleted is still listed."""
        shown = self.files.get(deletion.store_id, {}) if deletion.file_id else self.stores
        return deletion.object_id in shown

    def count_shown(self, deletions: Collection[Deletion]) -> int:
        """How many of these are still listed."""
        return sum(map(self.shows, deletions))


def finish_deletions(run: ApplyRun, plan: Plan, stores: list[StoreContext]) -> tuple[Orphan, ...]:
    """Records the result of each deletion whose end is not as it should be, and deletes the scheduled uploads.

    `stores` are those of this run; the list is changed: it loses those that are gone. Returns the uploads that stay
    because stores of others hold them; any other that stays is left to the ledger, with the reason.
    """
    pending = run.ledger.pending_deletes()
    if not (run.deletions or pending):
        return ()
    try:
        look = _wait_for_ends(run)
    except VssyncError as error:
        record_unseen_deletions(run, str(error))
        _note_why_kept(run, pending, str(error))
        return ()
    is_as_planned = True
    for deletion in run.deletions:
        bad_result, keeps_uploads = _check_end(run, look, deletion)
        is_as_planned = is_as_planned and not keeps_uploads
        if bad_result:
            run.results.record_result(deletion.store_key, deletion.key, bad_result)
        elif not deletion.file_id:
            stores[:] = [store for store in stores if store.id != deletion.store_id]
        if look.shows(deletion) and deletion.file_id in pending:
            del pending[deletion.file_id]
            run.ledger.record_closed(deletion.file_id)  # its store still has it, as the next run will see
    run.deletions.clear()
    if is_as_planned:
        return _delete_unheld(run, plan, [store.id for store in stores], look, pending)
    _note_why_kept(run, pending, "not everything that stays was seen completed")
    return ()


def _check_end(run: ApplyRun, look: LastLook, deletion: Deletion) -> tuple[Result | None, bool]:
    """What is wrong with the end of a deletion, if anything, and whether that keeps all uploads from being deleted."""
    try:
        if deletion.kept_id and not _is_completed(run, look, deletion):
            return Result(Status.FAILED, _LOST.format(deletion.kept_id)), True
        if deletion.file_id and (error := look.errors.get(deletion.store_id)):
            raise error
    except VssyncError as error:
        return Result(Status.UNKNOWN, _UNSEEN.format(deletion.object_id, error)), True
    if look.shows(deletion):
        return Result(Status.UNKNOWN, f"{deletion.object_id}: {STILL_LISTED}{deletion.problem}"), False
    return None, False


def record_unseen_deletions(run: ApplyRun, reason: str) -> None:
    """Records that nobody saw the end of the deletions that were sent."""
    for deletion in run.deletions:
        result = Result(Status.UNKNOWN, _UNSEEN.format(deletion.object_id, reason))
        run.results.record_result(deletion.store_key, deletion.key, result)


def _wait_for_ends(run: ApplyRun) -> LastLook:
    """Reads listings until they are whole and nothing deleted is in them, or time is up; returns the last reading.

    What a short listing lacks may be in the next one, though it is gone.
    """
    clock = run.client.clock
    whole_by = clock.monotonic() + DELETION_WAIT
    return poll_until(
        run,
        lambda: _look(run),
        Waiting(
            "deleted objects to leave the listings", "what is still listed counts as not done", timeout=DELETION_WAIT
        ),
        is_done=lambda look: not (look.count_shown(run.deletions) or (look.is_short and clock.monotonic() < whole_by)),
        progress_of=lambda look: look.count_shown(run.deletions),
    )


def _look(run: ApplyRun) -> LastLook:
    stores = {store.id: store for store in run.client.list_stores()}
    by_store: dict[str, list[str]] = {}
    for deletion in run.deletions:
        if deletion.file_id:
            by_store.setdefault(deletion.store_id, []).append(deletion.file_id)
    denied = run.client.stores_denied
    if denied and not (stores and by_store.keys() <= stores.keys()):  # since the plan
        raise denied  # pinned stores cannot stand for every store: there is none, or one of this run is not among them
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
    return LastLook(stores, files, errors, is_short=Verdict.SHORT in verdicts)


def _list_or_ask(client: Client, store: LiveStore, file_ids: Collection[str]) -> tuple[Mapping[str, LiveFile], Verdict]:
    """A store's files. Of `file_ids`, those that a listing lacks which is not whole are asked for one by one."""
    listing = client.list_all_files(store)
    files = {file.id: file for file in listing.files}
    unseen = () if listing.verdict is Verdict.WHOLE else set(file_ids) - files.keys()
    attached = (file_id for file_id in unseen if client.is_attached(store.id, file_id))
    return files | {file_id: client.get_file(store.id, file_id) for file_id in attached}, listing.verdict


def _is_completed(run: ApplyRun, look: LastLook, deletion: Deletion) -> bool:
    """Whether the copy that stays is completed. The listing may be late: unless it says so, the file is read."""
    file = look.files.get(deletion.store_id, {}).get(deletion.kept_id)
    if file is None or file.status is not FileStatus.COMPLETED:
        try:
            file = run.client.get_file(deletion.store_id, deletion.kept_id)
        except NotFound:
            return False
    return file.status is FileStatus.COMPLETED


def _note_why_kept(run: ApplyRun, pending: Collection[str], reason: str) -> None:
    for file_id in pending:
        run.ledger.add_note(file_id, f"kept, because {reason}")


def _delete_unheld(
    run: ApplyRun, plan: Plan, store_ids: Collection[str], look: LastLook, pending: Mapping[str, str]
) -> tuple[Orphan, ...]:
    """Deletes those of the uploads that no store holds, and names those that stores of others hold."""
    try:
        holders = _find_holders_after_deletions(run, store_ids, look, pending)
    except VssyncError as error:
        _note_why_kept(run, pending, str(error))
        return ()
    held_by_others = []
    our_ids = {*store_ids, *(store.id for store in plan.stores)}
    for file_id, stores in holders.items():
        others = [store for store in stores if store.id not in our_ids and not _is_of_manifest(store, plan.owner)]
        names = ", ".join(f"{store.name} ({store.id})" for store in others)
        run.ledger.record_closed(file_id)
        if names:
            held_by_others.append(Orphan(file_id, f"{pending[file_id]}; held by {names}"))
    unheld = [file_id for file_id in pending if file_id not in holders]

    def delete(file_id: str) -> None:
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
    run: ApplyRun, store_ids: Collection[str], look: LastLook, file_ids: Collection[str]
) -> Mapping[str, list[LiveStore]]:
    """The stores that hold each of these Files. A store of this run counts, though it may be listed late."""
    unlisted = [run.client.get_store(store_id) for store_id in store_ids if store_id not in look.stores]
    stores = [*look.stores.values(), *unlisted]
    holders = dict(find_holders(run.client, run.pool, [each for each in stores if each.id not in look.files], file_ids))
    for store in stores:
        for file_id in look.files.get(store.id, {}).keys() & file_ids:
            holders.setdefault(file_id, []).append(store)
    return holders


def _is_of_manifest(store: LiveStore, owner: str) -> bool:
    """Whether a store belongs to any environment of an owner's manifest."""
    return isinstance(store.mark, StoreMark) and store.mark.owner.partition("/")[0] == owner.partition("/")[0]


def find_holders(
    client: Client, pool: Pool, stores: Iterable[LiveStore], file_ids: Collection[str], *, skip_unreadable: bool = False
) -> Mapping[str, list[LiveStore]]:
    """The stores that hold each of these Files, by File id; those that no store holds are left out.

    Raises ServiceError, which names the store, where one cannot be asked and is not to be skipped.
    """

    def held_by(store: LiveStore) -> Collection[str]:
        try:
            return _held_by(client, store, file_ids)
        except ServiceError as error:
            if skip_unreadable or store.is_expired:  # what is in an expired store is not searched any more
                return ()
            if isinstance(error, NotFound) and all(store.id != other.id for other in client.list_stores()):
                return ()  # somebody has just deleted it
            raise ServiceError(
                f"{store.name} ({store.id}): its files cannot be listed, so it is not known which uploads it needs, "
                f"and none is deleted: {error}",
                error.answer,
            ) from error

    asked = list(stores) if file_ids else []
    holders: dict[str, list[LiveStore]] = {}
    for store, held in zip(asked, pool.map(held_by, asked), strict=True):
        for file_id in held:
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
