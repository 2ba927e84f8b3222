"""Probes of what searches find after attributes were changed and files removed, and of how removals are told."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from vssync.api.parse import UUID
from vssync.commands.doctor.finding import ok, warning
from vssync.commands.doctor.scratch import ATTRIBUTES, FOLLOW_TIMEOUT, Trial
from vssync.errors import ServiceError

_COPY = "copy"  # the attribute that tells equal files apart


def search_hits(trial: Trial) -> None:
    scratch = trial.scratch
    if not scratch.wait_until(trial.search, bool, FOLLOW_TIMEOUT):
        trial.emit(warning("search", "finds nothing of what was attached"))
        return
    body = {"query": scratch.word, "max_num_results": 10}
    ids = {upload.id for upload in scratch.uploads.values() if upload}
    hits = [
        (str(hit.get("file_id")), hit.get("attributes"))
        for hit in scratch.page(scratch.path("search"), query=body).rows
    ]
    named = [id_ for id_, attributes in hits if isinstance(attributes, Mapping) and attributes.get("file_id") in ids]
    trial.record("own_hit_ids", bool(named) and all(map(UUID.fullmatch, named)))
    trial.record("hits_name_files", bool(named) or all(id_ in ids for id_, _ in hits))
    trial.record("hits_have_attributes", any(attributes for _, attributes in hits))
    one_of = {"type": "in", "key": "accent", "value": ["never"]}
    with_in = scratch.ask("POST", scratch.path("search"), body={**body, "filters": one_of})
    if not with_in.error or with_in.status in (400, 422):
        trial.record("searches_in", not with_in.error)


def filter_by_update(trial: Trial) -> None:
    """Whether searches filter by an attribute that is added in place; one that came with the file is the test."""
    if not trial.facts.get("attribute_updates"):
        return
    topic, added = "search", ("tried", trial.scratch.word)
    if trial.search(("tried", "never")):
        trial.emit(warning(topic, "ignores filters: applications cannot search by attributes here"))
        return
    trial.client.set_attributes(trial.scratch.store_id, trial.pair[0], {**ATTRIBUTES, added[0]: added[1]})
    if trial.scratch.wait_until(lambda: trial.search(added), bool, FOLLOW_TIMEOUT):
        trial.record("updates_reach_search", True, ok(topic, "filters by attributes that are changed in place"))
    elif trial.search(("yes", True)):
        text = "filters by attributes as they were attached: where one changes, the file is attached anew"
        trial.record("updates_reach_search", False, warning(topic, text))
    else:
        trial.emit(warning(topic, "a filter finds nothing, so it is not known whether it sees changed attributes"))


def equal_texts(trial: Trial) -> None:
    """Two files of the same text: when the later one is removed, is the earlier one still found?"""
    topic, scratch = "equal texts", trial.scratch
    kept, removed = (scratch.upload("stands in two files.").id for _ in range(2))
    for file_id in (kept, removed):
        trial.client.attach_file(scratch.store_id, trial.entry(file_id, copy=file_id))
        scratch.wait_for_file(file_id)

    def find(*file_ids: str) -> bool:
        return any(hit.file_id in file_ids or hit.attributes.get(_COPY) in file_ids for hit in trial.search())

    is_found = scratch.wait_until(lambda: find(kept, removed), bool, FOLLOW_TIMEOUT)
    _detach(trial, removed)
    if not is_found:
        trial.emit(warning(topic, "search finds neither of two, so it is not known whether they share chunks"))
    elif scratch.wait_until(lambda: find(removed), lambda found: not found, FOLLOW_TIMEOUT):
        late = f"a file is still found {FOLLOW_TIMEOUT:,.0f} s after it was removed"
        trial.emit(warning(topic, f"{late}, so it is not known whether they share chunks"))
    elif scratch.wait_until(lambda: find(kept), bool, FOLLOW_TIMEOUT):
        trial.record("shares_chunks", False, ok(topic, "have chunks of their own"))
    else:
        trial.record("shares_chunks", True, warning(topic, "share their chunks: removing one hides the other"))


def _detach(trial: Trial, file_id: str) -> None:
    """Detaches a file, and looks at how long it is still seen."""
    client, scratch = trial.client, trial.scratch
    before = client.get_store(scratch.store_id).counts.total
    with trial.recording_deletion("store-files"):
        client.detach_file(scratch.store_id, file_id)
    listing = scratch.ask("GET", scratch.path("files"), {"limit": 100})
    trial.record("breaks_listings", listing.status == 400)

    def is_unlisted() -> bool:
        with suppress(ServiceError):
            return file_id not in scratch.listed()
        return False

    checks = {
        "file_gone": lambda: not client.is_attached(scratch.store_id, file_id),
        "file_unlisted": is_unlisted,
        "file_uncounted": lambda: client.get_store(scratch.store_id).counts.total < before,
    }
    delays = scratch.watch(checks)
    for name, delay in delays.items():
        trial.record_delay(name, delay)
    if "file_gone" in delays:
        gone = delays["file_gone"].seconds
        trial.record_delay("file_gone", delays["file_gone"], "late_deletions")
        if "file_unlisted" in delays:
            trial.record("ghost_files", round(delays["file_unlisted"].seconds - gone))
        if "file_uncounted" in delays:
            ghosts = round(delays["file_uncounted"].seconds - gone)
            trial.record("ghost_counts", ghosts if ghosts > trial.seconds.get("file_counted", 0) else 0)
    slow = [name.removeprefix("file_") for name in checks if name not in delays or delays[name].seconds]
    if slow:
        trial.emit(warning("detach", f"a file that was removed is not at once {', '.join(slow)}"))
    else:
        trial.emit(ok("detach", "a file that was removed is gone at once"))


def delete_file(trial: Trial) -> None:
    """Whether a File that is deleted while it is attached leaves the store."""
    client, scratch = trial.client, trial.scratch
    file_id = trial.pair[1]
    name = next(name for name, upload in scratch.uploads.items() if upload and upload.id == file_id)
    with trial.recording_deletion("files"):
        scratch.delete_upload(name)
    gone = scratch.watch({"gone": lambda: not client.is_attached(scratch.store_id, file_id)})
    text = "a File that is deleted leaves its stores" if gone else "a File that is deleted stays in its stores"
    trial.record("keeps_attached", not gone, (ok if gone else warning)("delete file", text))


def delete_store(trial: Trial) -> None:
    """Deletes the scratch store, and looks at how long it is still listed."""
    client, store_id = trial.client, trial.scratch.store_id
    with trial.recording_deletion("stores"):
        trial.scratch.delete_store()
    listed = trial.scratch.watch({"unlisted": lambda: all(store.id != store_id for store in client.list_stores())})
    trial.record_delay("store_unlisted", listed.get("unlisted"), "ghost_stores")
