"""Writes attributes and marks of attached files, and checks what the service did with them.

A service may lose a mark, keep old attributes, change their values, or keep updates from its searches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from vssync.api.errors import missing_from_update_error
from vssync.applier.context import StoreContext
from vssync.applier.steps import Update
from vssync.applier.wait import Waiting, poll_until
from vssync.applier.watcher import DONE, Result
from vssync.applier.writes import open_unchanged
from vssync.errors import ServiceError, VssyncError
from vssync.model.digests import with_echo
from vssync.model.marks import MARK, Mark
from vssync.model.questions import AttributeFilter
from vssync.model.report import Status
from vssync.model.state import Attributes, DesiredFile, FileStatus, LiveFile
from vssync.planner.attributes import preserved_attributes
from vssync.sources.convert import FileContents

_SEARCH_TIMEOUT = 30.0  # seconds for a search index to follow an update
_QUERY_WORDS, _QUERY_BYTES = 40, 4096  # of a search for one file; read from its beginning
_STALE_SEARCH = (
    "searches here do not filter by attributes that are changed in place: put `capabilities: {updates_reach_search: "
    "false}` under `service`, so that plans attach such a file again"
)
_UNLISTED_MARKS = (
    "the service leaves attributes out of listings, by which plans recognize their files: vssync cannot be used here; "
    "`vssync doctor --probe` shows what else is missing"
)
_MAX_LISTINGS = 3  # of a run, to see whether listings have attributes: each may lack the file that is looked for
_LISTING_TIMEOUT = 15.0  # seconds for a listing to follow a write


class MarkLost(VssyncError):
    """The service dropped the mark twice, or leaves it out of listings."""


def update_attributes(store: StoreContext, step: Update) -> Result:
    """Writes all of a file's attributes and its mark, and makes sure that the service keeps them; or releases the file.

    Fails if the run has learned since the plan that updates do not reach searches.
    """
    run = store.run
    if step.mark is None:
        return _release_file(store, step)
    if run.capabilities.updates_reach_search is False and run.settings.capabilities.updates_reach_search is None:
        return Result(Status.FAILED, _STALE_SEARCH)
    if run.service.lists_attributes is False:
        return Result(Status.SKIPPED, _UNLISTED_MARKS)
    file = store.writes.set_attributes(store.id, step.file_id, step.attributes, step.mark)
    ensure_attributes(store, file, step.attributes, step.mark)
    return DONE


def _release_file(store: StoreContext, step: Update) -> Result:
    """Removes our mark and key from a file; where the answer still shows a mark, the file is read to be sure."""
    file = store.writes.set_attributes(store.id, step.file_id, step.attributes, None)
    if file.mark and store.client.get_file(store.id, step.file_id).mark:
        return Result(Status.FAILED, f"{step.file_id}: the service accepted new attributes and kept the mark")
    return DONE


def ensure_attributes(store: StoreContext, live: LiveFile, sent: Attributes, mark: Mark) -> None:
    """Makes sure that a file carries its mark, and that listings show it.

    If the service reports other attributes than were sent, the mark gets their digest (`echo`), by a write of its own.
    A missing or old mark is sent once more. Where the file is as it was sent, this takes no request, except that
    listings are read for the first files of a run.

    Raises MarkLost where the service keeps no attributes or lists none, VssyncError where it keeps the old ones.
    """
    if not live.attributes and live.mark is None:  # perhaps only the listing leaves attributes out
        live = store.client.get_file(store.id, live.id)
    if live.mark != mark:
        live = _resend_attributes(store, live.id, sent, mark)
    mark_with_echo = with_echo(mark, live.attributes, store.steps.ignored_attributes)
    if mark_with_echo != mark:
        others = preserved_attributes(live.attributes, store.steps.ignored_attributes)  # perhaps written since the plan
        store.writes.set_attributes(store.id, live.id, {**sent, **others}, mark_with_echo)
        store.run.announce(
            f"{store.key}: the service reports other attributes than were sent; `vssync plan` says for how many files"
        )
    _ensure_listed(store, live.id)


def _ensure_listed(store: StoreContext, file_id: str) -> None:
    """Raises MarkLost where listings leave attributes out: reads them until one file of the run is listed with them."""

    def is_listed_with_attributes() -> bool | None:
        """None if neither a mark nor this file is among the newest listed, or the listing failed."""
        newest: Sequence[LiveFile] = ()
        with suppress(ServiceError):
            newest = store.client.list_newest_files(store.id)
        if any(file.mark for file in newest):  # of whichever file: later batches may be attached by now
            return True
        return next((bool(file.attributes) for file in newest if file.id == file_id), None)

    service = store.run.service
    with service.listing_lock:
        if service.lists_attributes is None and service.attribute_listings < _MAX_LISTINGS:
            service.attribute_listings += 1
            subject = f"the listing of {store.key} to have the attributes of its files"
            waiting = Waiting(subject, "no more files are brought in or updated", _LISTING_TIMEOUT)
            service.lists_attributes = poll_until(
                store.run, is_listed_with_attributes, waiting, is_done=lambda is_listed: is_listed is not False
            )
    if service.lists_attributes is False:
        raise MarkLost(f"{file_id}: {_UNLISTED_MARKS}")


def _resend_attributes(store: StoreContext, file_id: str, sent: Attributes, mark: Mark) -> LiveFile:
    """Sends attributes and mark once more, and reads the file: some services keep none, or old ones, on attaching."""
    refused = False
    try:
        store.writes.set_attributes(store.id, file_id, sent, mark)
    except ServiceError as error:
        if missing_from_update_error(error) is None:
            raise
        refused = True
    live = store.client.get_file(store.id, file_id)
    if live.mark == mark:
        return live
    if isinstance(live.mark, Mark):
        raise VssyncError(
            f"{file_id}: the service {'refused' if refused else 'accepted'} new attributes and kept the old ones; set "
            "`attribute_updates: false` under `service.capabilities`, so that plans allow for it"
        )
    extra = ", and cannot change attributes later" if refused else ""
    raise MarkLost(
        f"{file_id}: the service lost the mark that was sent along{extra}; vssync cannot recognize a file without one; "
        "`vssync doctor --probe` shows what the service keeps"
    )


def probe_search_updates(store: StoreContext, step: Update) -> None:
    """Learns whether updates reach searches from the file of a planned update, before that is made."""
    if step.file and store.run.capabilities.updates_reach_search is None:
        with suppress(VssyncError):
            live = store.client.get_file(store.id, step.file_id)
            if isinstance(live.mark, Mark) and live.status is FileStatus.COMPLETED:
                learn_whether_updates_reach_search(store, step.file, live.id, live.attributes, live.mark)


def learn_whether_updates_reach_search(
    store: StoreContext, file: DesiredFile, file_id: str, attributes: Attributes, mark: Mark
) -> None:
    """Learns whether updates reach searches, by means of a completed file that has these attributes; once in a run.

    Writes a mark with one more of `tries`, as a value that no other file has, searches by it, and restores the mark.
    If restoring fails, the mark counts a try too many, which matters only to a file that failed in several runs.
    """
    run = store.run
    if run.capabilities.updates_reach_search is not None or not run.service.is_first_time("updates_reach_search"):
        return
    updated = replace(mark, tries=mark.tries + 1)
    query = _query_for(run.settings.contents, file)
    subject = f"searches of {store.key} to follow a change of attributes"
    waiting = Waiting(subject, "they count as not following", _SEARCH_TIMEOUT)
    with suppress(VssyncError):
        store.writes.set_attributes(store.id, file_id, attributes, updated)
        try:
            reaches = poll_until(run, lambda: _search_finds(store, query, updated), waiting)
            if reaches or _search_finds(store, query, mark):  # finding neither mark proves nothing
                run.service.record_updates_reach_search(reaches=reaches)
                if not reaches:
                    run.announce(f"{store.key}: {_STALE_SEARCH}")
        finally:
            store.writes.set_attributes(store.id, file_id, attributes, mark)


def _search_finds(store: StoreContext, query: str, mark: Mark) -> bool:
    """Whether a search that filters by a mark finds a file with that mark; some services ignore filters."""
    hits = store.client.search_store(store.id, query, 10, AttributeFilter("eq", MARK, (str(mark),)))
    return any(hit.attributes.get(MARK) == str(mark) for hit in hits)


def _query_for(contents: FileContents, file: DesiredFile) -> str:
    """The words to search for a file by: some of its name and of its text."""
    text = file.filename
    with suppress(VssyncError), open_unchanged(contents, file) as source:
        text += " " + source.read(_QUERY_BYTES).decode(errors="ignore")
    return " ".join(re.findall(r"\w{3,30}", text)[:_QUERY_WORDS]) or file.key
