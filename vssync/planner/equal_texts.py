"""Where equal texts share chunks, removing one file hides the others of its text from search, until one is attached.

So removals come first, then the files that bring in the same text. Where none does, a file of that text that stays is
attached again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vssync.model.marks import UNREAD, Mark
from vssync.model.plan import Action, FileChange, Note, NoteKind, Reason
from vssync.model.state import DesiredFile, FileStatus
from vssync.planner.attributes import preserved_attributes
from vssync.planner.classify import ClassifiedFiles, CopyState, DesiredEntry, OwnedCopy
from vssync.planner.context import StorePlanContext
from vssync.planner.decide_file import newest_copy
from vssync.planner.estimate import ATTACHING_ACTIONS

_MAX_NAMED = 3  # keys in a note


def settle_equal_texts(
    changes: Sequence[FileChange],
    entries: Sequence[DesiredEntry],
    classified: ClassifiedFiles,
    context: StorePlanContext,
) -> list[FileChange]:
    """The changes of a store such that each text that stays is attached after the last removal of it.

    What would hide a file that is not this plan's to attach again is held back, unless a gap is allowed.
    """
    if not context.common.capabilities.shares_chunks:
        return list(changes)
    scoped = [entry for entry in entries if context.is_in_scope(entry.key)]
    if not context.common.options.allow_gap:
        holders = _other_holders(changes, scoped, classified)
        changes = [_hold_back(change, holders) for change in changes]
    return _EqualTexts(scoped, classified, context).settle(changes)


def note_equal_texts(entries: Sequence[DesiredEntry], context: StorePlanContext) -> list[Note]:
    """A warning of desired files that have one text, where search finds only one of them."""
    if not context.common.capabilities.shares_chunks:
        return []
    keys: dict[str, list[str]] = {}
    for entry in entries:
        if entry.file.sha256:
            keys.setdefault(entry.file.sha256, []).append(entry.key)
    equal = [key for group in keys.values() if len(group) > 1 for key in group]
    names = ", ".join(equal[:_MAX_NAMED]) + (", ..." if len(equal) > _MAX_NAMED else "")
    detail = f"search finds one of each text, under its attributes: {names}"
    return [Note(NoteKind.EQUAL_TEXTS, count=len(equal), detail=detail)] if equal else []


def _text_of(mark: object) -> str:
    """The digest of a copy's bytes as its mark has it; empty for a declared File, whose bytes nobody read."""
    content = mark.content.removeprefix(UNREAD) if isinstance(mark, Mark) else ""
    return content if len(content) == 64 else ""


def _leaving_texts(change: FileChange) -> set[str]:
    """The texts of the searchable copies that a change removes, the one it attaches again included."""
    if change.action is Action.REFUSE:
        return set()
    texts = {_text_of(copy.mark) for copy in change.drop if copy.status is FileStatus.COMPLETED}
    return texts - {""}


def _other_holders(
    changes: Sequence[FileChange], scoped: Sequence[DesiredEntry], classified: ClassifiedFiles
) -> dict[str, str]:
    """Who holds each text beside this plan: others' files, and copies of ours that stay and are not in the plan."""
    dropped = {copy.id for change in changes for copy in change.drop}
    planned = {entry.key_digest for entry in scoped}
    holders = {
        _text_of(copy.mark): copy.key
        for digest, copies in classified.ours.items()
        for copy in copies
        if digest not in planned and copy.id not in dropped
    }
    for owner, files in classified.foreign.items():
        holders |= {_text_of(file.mark): f"{file.id} of {owner}" for file in files}
    return holders


def _hold_back(change: FileChange, holders: Mapping[str, str]) -> FileChange:
    holder = next((holders[text] for text in sorted(_leaving_texts(change)) if text in holders), "")
    if not holder:
        return change
    detail = f"{holder} has the same text, and search would no longer find it; --allow-gap does it all the same"
    reasons = (*change.reasons, Reason.NOT_ALLOWED)
    return replace(change, action=Action.REFUSE, reasons=reasons, drop=(), reuse="", gap=False, detail=detail)


@dataclass(frozen=True, slots=True)
class _EqualTexts:
    """The files in scope of one store."""

    scoped: Sequence[DesiredEntry]
    classified: ClassifiedFiles
    context: StorePlanContext

    def settle(self, changes: Sequence[FileChange]) -> list[FileChange]:
        shared = self._shared_texts(changes)
        if not shared:
            return list(changes)
        put_keys = {change.key for change in changes if change.action in ATTACHING_ACTIONS}
        settled = [self._in_order(change, shared, put_keys) for change in changes]
        brought = {change.desired.sha256 for change in settled if change.desired and change.action in ATTACHING_ACTIONS}
        changed_keys = {change.key for change in settled if change.desired}
        unchanged = [entry for entry in self.scoped if entry.key not in changed_keys]
        return settled + list(self._attach_again(unchanged, shared - brought))

    def _shared_texts(self, changes: Sequence[FileChange]) -> set[str]:
        """The texts of which something leaves and something else stays or comes."""
        refused = {change.key for change in changes if change.action is Action.REFUSE}
        stays: dict[str, set[str]] = {}
        for entry in self.scoped:
            if entry.file.sha256 and entry.key not in refused:
                stays.setdefault(entry.file.sha256, set()).add(entry.key)
        # A change that only brings its own text in again has its order already.
        return {
            text
            for change in changes
            for text in _leaving_texts(change)
            if stays.get(text, set()) - ({change.key} if change.action in ATTACHING_ACTIONS else set())
        }

    def _in_order(self, change: FileChange, shared: set[str], put_keys: set[str]) -> FileChange:
        """The change, so that its old copies go with the removals, and its new one is attached after them."""
        brings = change.desired.sha256 if change.desired else ""
        if not shared & {*_leaving_texts(change), brings}:
            return change
        if change.action in ATTACHING_ACTIONS:
            return replace(change, reasons=(*change.reasons, Reason.SHARED_CHUNKS), gap=bool(change.drop))
        if change.action is Action.AWAIT:
            return replace(change, drop=())  # the next plan removes them, and attaches the completed one again
        if change.key in put_keys:
            return replace(change, keep=None)  # that is attached again, after these are gone
        if change.keep and _text_of(change.keep.mark) in shared:
            return self._attach_kept(change)
        return change

    def _attach_kept(self, change: FileChange) -> FileChange:
        """A change that keeps a copy and removes others of its text, as one that attaches the kept one again."""
        assert change.keep
        entry = next(entry for entry in self.scoped if entry.key == change.key)
        return replace(
            change,
            action=Action.REPLACE,
            reasons=(*change.reasons, Reason.SHARED_CHUNKS),
            desired=entry.file,
            drop=(change.keep, *change.drop),
            reuse="" if entry.declared_id else change.keep.id,
            gap=True,
        )

    def _attach_again(self, unchanged: Sequence[DesiredEntry], texts: set[str]) -> Iterator[FileChange]:
        """For each text the first file that stays, attached again."""
        remaining = set(texts)
        for entry in unchanged:
            copies = self.classified.ours.get(entry.key_digest, ())
            copy = newest_copy(copies, CopyState.OK, self.context.now)
            if copy and entry.file.sha256 in remaining:
                remaining.remove(entry.file.sha256)
                yield self._reattachment(entry.file, copy)

    def _reattachment(self, file: DesiredFile, copy: OwnedCopy) -> FileChange:
        return FileChange(
            store=self.context.store.key,
            key=file.key,
            action=Action.REPLACE,
            reasons=(Reason.SHARED_CHUNKS,),
            desired=file,
            keep=copy.evidence,
            drop=(copy.evidence,),
            preserve=preserved_attributes(copy.file.attributes, self.context.ignored_attributes),
            tries=copy.mark.tries,
            reuse=copy.id,
            gap=True,
        )
