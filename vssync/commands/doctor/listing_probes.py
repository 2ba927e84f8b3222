"""Probes of the scratch store itself: when it can be used, what listings leave out, how they page, what errors say."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

from vssync.api.errors import missing_from_list_error
from vssync.api.http import Plane, url_path
from vssync.commands.doctor.finding import failed, ok, warning
from vssync.commands.doctor.scratch import FOLLOW_TIMEOUT, TIMEOUT, Trial, by_id, is_refusal, unknown_id
from vssync.errors import NotFound, ServiceError, VssyncError
from vssync.model.marks import NEEDS_METADATA
from vssync.model.state import LiveStore, StoreStatus
from vssync.text import count_noun


def create_store(trial: Trial) -> None:
    """Creates the store, and waits until it can be used. Raises VssyncError where that takes too long."""
    scratch = trial.scratch
    scratch.create_store()

    def is_completed() -> bool:
        with suppress(NotFound):
            return trial.client.get_store(scratch.store_id).status is not StoreStatus.IN_PROGRESS
        return False

    checks = {"store_completed": is_completed, "store_served": lambda: trial.client.can_list_files(scratch.store_id)}
    delays = scratch.watch(checks, TIMEOUT)
    if "store_served" not in delays:
        raise VssyncError(f"{scratch.store_id}: the new store did not answer within {TIMEOUT:,.0f} s")
    trial.record("store_creates", True)
    trial.record_prefix("store_ids", scratch.store_id)
    trial.record_delay("store_completed", delays.get("store_completed"), "creating_seconds")
    trial.record_delay("store_served", delays["store_served"], by_requests="unsettled")
    seconds = delays["store_served"].seconds
    if "store_completed" in delays:
        trial.record("propagating_seconds", round(seconds - delays["store_completed"].seconds))
    after = f" after {seconds:,.0f} s" if seconds else ""
    trial.emit(ok("create store", f"{scratch.store_id}: created, and it answers{after}"))


def connectors(trial: Trial) -> None:
    """Whether anything is in a store that was just made, as OCI's connectors put it there."""
    count = len(trial.scratch.listed())
    text = f"a store that was just made lists {count_noun(count, 'file')}: something else feeds it, as a connector does"
    trial.record("connector_files", count, warning("connectors", text) if count else None)


def list_stores(trial: Trial) -> None:
    delay = trial.scratch.watch({"listed": lambda: _listed_store(trial) is not None}).get("listed")
    trial.record_delay("store_listed", delay, "late_stores", "short_stores")
    if delay is None:
        trial.emit(failed("list stores", f"the new store is not listed within {FOLLOW_TIMEOUT:,.0f} s"))
    elif delay.seconds or delay.requests:
        late = f"{delay.seconds:,.0f} s" if delay.seconds else f"{delay.requests} requests"
        trial.emit(warning("list stores", f"the new store is listed {late} late"))


def _listed_store(trial: Trial) -> LiveStore | None:
    return next((store for store in trial.client.list_stores() if store.id == trial.scratch.store_id), None)


def metadata(trial: Trial) -> None:
    """Whether metadata is kept, listed and changed. The live one is sent along: services keep settings there."""
    client, store_id = trial.client, trial.scratch.store_id
    live = client.get_store(store_id)
    trial.record("keeps_metadata", "made_by" in live.metadata)
    trial.record("settings_in_metadata", bool(live.metadata.keys() - {"made_by"}))
    trial.record("keeps_expiry", live.expires_after_days == 1)
    if not live.metadata:
        way_out = "Create the stores there by other means, and declare each `external`."
        trial.emit(warning("metadata", f"lost: {NEEDS_METADATA}", way_out))
    try:
        client.update_store(store_id, {"metadata": {**live.metadata, "tried": "yes"}})
    except ServiceError as error:
        if not is_refusal(error):
            raise
        trial.record("store_updates", False, warning("update store", f"not possible: {error}"))
        return
    works = client.get_store(store_id).metadata.get("tried") == "yes"
    finding = ok("update store", "metadata changes in place") if works else warning("update store", "has no effect")
    trial.record("store_updates", works, finding)
    if works:
        _listed_metadata(trial)


def _listed_metadata(trial: Trial) -> None:
    def is_listed_as_updated() -> bool:
        store = _listed_store(trial)
        return store is not None and store.metadata.get("tried") == "yes"

    is_listed = trial.scratch.wait_until(is_listed_as_updated, bool, FOLLOW_TIMEOUT)
    trial.record("lists_metadata", is_listed)
    if not is_listed:
        text = "listings leave out metadata that a GET of the store has, and vssync recognizes stores by it"
        trial.emit(failed("list stores", text))


def list_batches(trial: Trial) -> None:
    error = trial.client.probe(trial.scratch.path("file_batches")).error
    if error and missing_from_list_error(error) is None:
        raise error
    missing = error and warning("list batches", f"not supported ({error.answer.status})")
    trial.record("list_batches_status", error.answer.status if error else 200)
    trial.record("list_batches", error is None, missing or ok("list batches", "supported"))


def list_attributes(trial: Trial) -> None:
    file_id = trial.pair[0]
    read = trial.scratch.ask("GET", trial.scratch.path("files", file_id))
    listed = trial.scratch.listed().get(file_id)
    if read.error or listed is None:
        raise read.error or VssyncError(f"{file_id}: is in the store, and not in its listing")
    is_listed = (listed.get("attributes") or {}) == (read.body.get("attributes") or {})
    text = "listings leave attributes out that a GET of the file has, and vssync recognizes its files by them"
    finding = ok("list files", "attributes are listed") if is_listed else failed("list files", text)
    trial.record("lists_attributes", is_listed, finding)


def paging(trial: Trial) -> None:
    """How the listing of the store's files pages: by order, by cursor, to the end."""
    scratch, path = trial.scratch, trial.scratch.path("files")

    def page(order: str = "asc", **params: str) -> list[str]:
        return [*by_id(scratch.page(path, {"limit": 2, "order": order, **params}))]

    def page_behind(cursor: str) -> list[str] | None:
        try:
            return page(after=cursor)
        except ServiceError as error:
            if not is_refusal(error):
                raise
            return None

    first_page = scratch.page(path, {"limit": 100, "order": "asc"})
    whole, has_more = [*by_id(first_page)], first_page.has_more
    first, newest = page(), page(order="desc")
    if not (whole and first):
        raise VssyncError(f"{scratch.store_id}: its listing is empty")
    beyond, second, unknown = (page_behind(cursor) for cursor in (whole[-1], first[-1], unknown_id(first[-1])))
    goes_on = bool({*(beyond or ())} - {*whole})
    is_cut = not has_more and goes_on and [*by_id(scratch.page(path, {"limit": 100, "order": "asc"}))] == whole
    trial.record("ignores_order", len(whole) > 2 and first == newest)
    trial.record("sends_has_more", has_more is not None)
    trial.record("cut_after", len(whole) if is_cut else 0)
    trial.record("empty_after", len(whole) if has_more and beyond == [] else 0)
    trial.record("restarts_unknown_cursor", unknown == first)
    repeats = second is not None and bool({*second} & {*first})
    trial.record(
        "second_page", "refused" if second is None else "repeated" if repeats else "next" if second else "empty"
    )
    texts = {
        "ignores_order": "`order` is ignored",
        "cut_after": f"a listing ends after {len(whole)}, and says that there is no more",
        "empty_after": "the second page is empty, and says that there is more",
        "restarts_unknown_cursor": "an unknown cursor starts again",
    }
    odd = "; ".join(text for name, text in texts.items() if trial.facts[name])
    trial.emit(warning("paging", odd) if odd else ok("paging", "order and cursors work"))


def _newest_uploads(trial: Trial, limit: int, **params: str) -> list[str]:
    return [*by_id(trial.scratch.page("/files", {"order": "desc", "limit": limit, **params}))]


def wait_for_upload(trial: Trial, file_id: str) -> None:
    """When a File that was just uploaded is listed."""
    delay = trial.scratch.watch({"listed": lambda: file_id in _newest_uploads(trial, 20)}).get("listed")
    trial.record_delay("upload_listed", delay, "late_uploads")


def list_uploads(trial: Trial) -> None:
    """Whether a page of Files leaves out those of the same second as its cursor."""
    newest = [upload for upload in trial.scratch.uploads.values() if upload]
    first = _newest_uploads(trial, 2)
    behind, last = next((pair for pair in pairwise(newest) if pair[1].id in first[-1:]), (None, None))
    if behind and last and behind.created_at == last.created_at and not trial.facts.get("empty_after"):
        skips = behind.id not in _newest_uploads(trial, 2, after=last.id)
        text = "a page leaves out uploads of the same second as its cursor: `vssync gc` may miss some"
        finding = warning("list uploads", text) if skips else ok("list uploads", "pages leave nothing out")
        trial.record("skips_same_second", skips, finding)


def errors(trial: Trial) -> None:
    """What is answered for ids that name nothing, and what ids look like."""
    scratch = trial.scratch
    missing = scratch.ask("GET", url_path("vector_stores", unknown_id(scratch.store_id)), plane=Plane.CONTROL)
    if missing.error:
        trial.record("misses_with_400", missing.status == 400)
    wrong = scratch.ask("GET", scratch.path("file_batches", "wrong-form"))
    if trial.facts.get("reads_batches") and trial.facts.get("misses_with_400") is False:
        trial.record("checks_ids", wrong.status == 400)
