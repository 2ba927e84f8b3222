"""Tries on the scratch store what searches find after attributes were changed, and after an equal file left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vssync.api.parse import AttachmentEntry, attribute_filter
from vssync.commands.doctor.finding import Emit, Finding, ok, warning
from vssync.commands.doctor.scratch import ScratchStore
from vssync.model.state import Attributes, Chunking, Scalar, SearchHit

_TIMEOUT = 30.0  # seconds for a search index to follow a change
_COPY = "copy"  # the attribute that tells equal files apart
Record = Callable[[str, bool, Finding], None]


@dataclass(frozen=True, slots=True)
class SearchProbes:
    """`record` takes a capability, whether the service has it, and the finding."""

    scratch: ScratchStore
    record: Record
    emit: Emit

    def filter_by_update(self, file_id: str, attributes: Attributes, sent_at_attach: tuple[str, Scalar]) -> None:
        """Whether searches filter by an attribute that is added in place; one that came with the file is the test."""
        topic, added = "search", ("tried", self.scratch.word)
        if self._hits(("tried", "never")):
            self.emit(warning(topic, "ignores filters: applications cannot search by attributes here"))
            return
        self.scratch.client.set_attributes(self.scratch.store_id, file_id, {**attributes, added[0]: added[1]})
        if self.scratch.wait_until(lambda: self._hits(added), bool, _TIMEOUT):
            finding = ok(topic, "filters by attributes that are changed in place")
            self.record("updates_reach_search", True, finding)
        elif self._hits(sent_at_attach):
            text = "filters by attributes as they were attached: where one changes, the file is attached anew"
            self.record("updates_reach_search", False, warning(topic, text))
        else:
            self.emit(warning(topic, "a filter finds nothing, so it is not known whether it sees changed attributes"))

    def equal_texts(self, chunking: Chunking) -> None:
        """Two files of the same text: when the later one is removed, is the earlier one still found?"""
        topic, store_id = "equal texts", self.scratch.store_id
        kept, removed = (self.scratch.upload("stands in two files.") for _ in range(2))
        for file_id in (kept, removed):
            entry = AttachmentEntry(file_id, {_COPY: file_id}, chunking)
            self.scratch.client.attach_file(store_id, entry)
            self.scratch.wait_for_file(file_id)

        def find(*file_ids: str) -> bool:
            hits = self._hits(None)
            return any(hit.file_id in file_ids or hit.attributes.get(_COPY) in file_ids for hit in hits)

        if not self.scratch.wait_until(lambda: find(kept, removed), bool, _TIMEOUT):
            self.emit(warning(topic, "search finds neither of two, so it is not known whether they share chunks"))
            return
        self.scratch.client.detach_file(store_id, removed)
        if self.scratch.wait_until(lambda: find(kept), bool, _TIMEOUT):
            self.record("shares_chunks", False, ok(topic, "have chunks of their own"))
        else:
            text = "share their chunks: removing one hides the other"
            self.record("shares_chunks", True, warning(topic, text))

    def _hits(self, attribute: tuple[str, Scalar] | None) -> tuple[SearchHit, ...]:
        """The hits that hold the scratch word: of the files with an attribute, or of all."""
        query = f"{self.scratch.word} stands in two files reads one way"
        more = {"filters": attribute_filter(*attribute)} if attribute else {}
        hits = self.scratch.client.search_store(self.scratch.store_id, query, 10, **more)
        return tuple(hit for hit in hits if self.scratch.word in hit.text)
