"""Finds out whether searches filter by attributes that an update wrote: some services keep those for listings only."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vssync.api.parse import attribute_filter
from vssync.applier.context import StoreContext
from vssync.applier.steps import Put, Update
from vssync.applier.wait import poll_until
from vssync.errors import VssyncError
from vssync.model.marks import MARK, Mark
from vssync.model.state import Attributes, DesiredFile

_SEARCH_TIMEOUT = 30.0  # seconds for a search index to follow an update
_MAX_WORDS, _MAX_BYTES = 40, 4096
STALE_SEARCH = (
    "searches here do not filter by attributes that are changed in place: put `capabilities: {updates_reach_search: "
    "false}` under `service`, so that plans attach such a file anew"
)


def learn_from_new_file(store: StoreContext, put: Put, file_id: str, mark: Mark) -> None:
    """Finds out with a file that was just attached, where it is not known yet; once in a run."""
    _learn(store, put.file, file_id, put.attributes, mark)


def learn_from_copy(store: StoreContext, step: Update) -> None:
    """Finds out with a file whose attributes are to be changed, as it is, before any is changed."""
    if store.run.capabilities.updates_reach_search is None:
        with suppress(VssyncError):
            live = store.client.get_file(store.id, step.file_id)
            if isinstance(live.mark, Mark):
                _learn(store, step.file, live.id, live.attributes, live.mark)


def _learn(store: StoreContext, file: DesiredFile, file_id: str, attributes: Attributes, mark: Mark) -> None:
    """Writes a mark with one try more, which no other file has, searches by it, and writes the right mark again."""
    run = store.run
    if run.capabilities.updates_reach_search is not None or not run.service.add_notice("updates_reach_search"):
        return
    updated = replace(mark, tries=mark.tries + 1)
    query = _words_of(run.settings.root, file)
    with suppress(VssyncError):
        store.writes.set_attributes(store.id, file_id, attributes, updated)
        reaches = poll_until(
            run,
            lambda: _finds(store, query, updated),
            timeout=_SEARCH_TIMEOUT,
            subject=f"searches of {store.key} to filter by an attribute that was changed in place",
            consequence="they do not, and such files are attached anew",
        )
        if reaches or _finds(store, query, mark):  # a search that finds neither tells nothing
            run.service.record_search(reaches=reaches)
            if not reaches:
                run.say_once(f"{store.key}: {STALE_SEARCH}")
        store.writes.set_attributes(store.id, file_id, attributes, mark)


def _finds(store: StoreContext, query: str, mark: Mark) -> bool:
    """Whether a search that filters by a mark finds a file with it; some services ignore filters."""
    hits = store.client.search_store(store.id, query, 10, filters=attribute_filter(MARK, str(mark)))
    return any(hit.attributes.get(MARK) == str(mark) for hit in hits)


def _words_of(root: Path, file: DesiredFile) -> str:
    """Words to search a file with: some of its own, and of its name."""
    text = file.filename
    with suppress(OSError), (root / file.path).open("rb") as source:
        text += " " + source.read(_MAX_BYTES).decode(errors="ignore")
    return " ".join(re.findall(r"\w{3,30}", text)[:_MAX_WORDS]) or file.key
