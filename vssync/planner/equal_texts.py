"""Plans for services where files of equal text share their chunks.

There, removing a file hides every other file of the same text from search, until a file of that text is attached. So
removals come first, then the attachments of the same text. If the plan attaches no file with that text, one of the
files that keep it is attached again. Texts are equal if the files have the same SHA-256: `texts` here are these
digests. The mark of a file that is not ours or is declared by id has none; the snapshot has it once it was looked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from vssync.model.marks import DECLARED, UNCOMPARED, Mark
from vssync.model.plan import Action, FileChange, Note, NoteKind, Plan, Reason, RecordedCopy
from vssync.model.state import DesiredFile, FileStatus, LiveFile, Snapshot
from vssync.planner.attributes import preserved_attributes
from vssync.planner.classify import ClassifiedFiles, CopyState, DigestedFile
from vssync.planner.context import StorePlanContext
from vssync.planner.decide_file import newest_copy
from vssync.planner.takeover import describe_uncompared
from vssync.text import join_first

_WITHOUT_CHUNKS = (FileStatus.FAILED, FileStatus.CANCELLED)
_NO_TEXTS: frozenset[str] = frozenset()


def order_equal_texts(
    changes: Sequence[FileChange],
    in_scope: Sequence[DigestedFile],
    classified: ClassifiedFiles,
    context: StorePlanContext,
) -> list[FileChange]:
    """The changes of a store, such that each text that stays is attached after the last removal of it.

    A change that would hide a file which this plan cannot attach again is refused, unless a gap is allowed.
    """
    if not context.common.capabilities.shares_chunks:
        return list(changes)
    texts = _Texts(in_scope, classified, context)
    changes = list(changes)
    if not context.common.options.allow_gap:
        # A refused change keeps its copies, which others may then hide.
        while (checked := texts.refuse_hiding(changes)) != changes:
            changes = checked
    return texts.order(changes)


def note_equal_texts(wanted_files: Sequence[DigestedFile], context: StorePlanContext) -> list[Note]:
    """A warning about desired files that have the same text, of which search finds only one."""
    if not context.common.capabilities.shares_chunks:
        return []
    keys: dict[str, list[str]] = {}
    for wanted in wanted_files:
        if wanted.file.sha256:
            keys.setdefault(wanted.file.sha256, []).append(wanted.key)
    equal = [key for group in keys.values() if len(group) > 1 for key in group]
    detail = f"search finds one of each text, under its attributes: {join_first(equal)}"
    return [Note(NoteKind.EQUAL_TEXTS, count=len(equal), detail=detail)] if equal else []


class UnknownTexts(NamedTuple):
    """Files of a store whose texts are not known, while others are removed: one of them may share a removed text."""

    store_key: str
    store_id: str
    file_ids: frozenset[str]
    removed: dict[str, str]  # each known text that is removed, and a File that has it
    removes_unknown: bool  # one of these files is itself removed


def find_unknown_texts(plan: Plan, snapshot: Snapshot) -> Iterator[UnknownTexts]:
    """The texts to look for before a plan can be trusted, store by store; none once the snapshot has them."""
    for store in plan.stores:
        removed = [copy for change in store.files for copy in _removed_copies(change)]
        if not removed or store.action is Action.DELETE:
            continue
        # `texts` has an empty set for a file that was looked at in vain.
        searchable = (file for file in snapshot.contents[store.id].files if file.status not in _WITHOUT_CHUNKS)
        unknown = (file for file in searchable if not _texts_of(file, snapshot) and file.id not in snapshot.texts)
        if file_ids := frozenset(file.id for file in unknown):
            by_text = {text: copy.id for copy in removed for text in _texts_of(copy, snapshot)}
            removes_unknown = any(copy.id in file_ids for copy in removed)
            yield UnknownTexts(store.key, store.id, file_ids, by_text, removes_unknown)


def _texts_of(file: LiveFile | RecordedCopy, snapshot: Snapshot) -> frozenset[str]:
    """The text of a file: one if it is known, several if it may be any of them, none if that was not looked for."""
    content = file.mark.content.removeprefix(UNCOMPARED) if isinstance(file.mark, Mark) else ""
    is_sha256 = content not in ("", DECLARED)
    return frozenset((content,)) if is_sha256 else _texts_by_id(file.id, snapshot)


def _texts_by_id(file_id: str, snapshot: Snapshot) -> frozenset[str]:
    upload = snapshot.uploads.get(file_id)
    return frozenset((upload.sha256,)) if upload and upload.sha256 else snapshot.texts.get(file_id, _NO_TEXTS)


def _removed_copies(change: FileChange) -> list[RecordedCopy]:
    """The searchable copies that a change removes, even if it attaches the same copy again."""
    if change.action is Action.REFUSE:
        return []
    return [copy for copy in change.drop if copy.status is FileStatus.COMPLETED]


def _refused_keys(changes: Sequence[FileChange]) -> set[str]:
    return {change.key for change in changes if change.action is Action.REFUSE}


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts of a store's files, desired and live."""

    in_scope: Sequence[DigestedFile]
    classified: ClassifiedFiles
    context: StorePlanContext

    def _live_texts(self, file: LiveFile | RecordedCopy) -> frozenset[str]:
        return _texts_of(file, self.context.common.snapshot)

    def _desired_texts(self, file: DesiredFile | None) -> frozenset[str]:
        if file is None:
            return _NO_TEXTS
        return frozenset((file.sha256,)) if file.sha256 else _texts_by_id(file.file_id, self.context.common.snapshot)

    def _removed_texts(self, change: FileChange) -> set[str]:
        return {text for copy in _removed_copies(change) for text in self._live_texts(copy)}

    def refuse_hiding(self, changes: Sequence[FileChange]) -> list[FileChange]:
        """Refuses each change that removes a text which a file outside this plan has, or may have, as well."""
        holders = {text: file for file in self._files_outside(changes) for text in self._live_texts(file)}

        def check(change: FileChange) -> FileChange:
            hidden = sorted(self._removed_texts(change) & holders.keys())
            detail = self._describe_holder(holders[hidden[0]]) if hidden else ""
            return change.refused(Reason.NOT_ALLOWED, detail=detail) if hidden else change

        return list(map(check, changes))

    def _files_outside(self, changes: Sequence[FileChange]) -> Iterator[LiveFile]:
        """The searchable files outside a plan: others', and ours whose keys are refused, undesired or out of scope."""
        refused_keys = _refused_keys(changes)
        planned_keys = {wanted.key_digest for wanted in self.in_scope if wanted.key not in refused_keys}
        planned_ids = {copy.id for change in changes for copy in change.drop}
        planned_ids |= {change.keep.id for change in changes if change.keep and change.key not in refused_keys}
        ours = (copy.file for copy in self.classified.our_copies if copy.mark.key_digest not in planned_keys)
        for file in (*ours, *self.classified.others):
            if file.id not in planned_ids and file.status not in _WITHOUT_CHUNKS:
                yield file

    def _describe_holder(self, holder: LiveFile) -> str:
        """Which other file has, or may have, the text of a copy that therefore stays, and the way out."""
        key = next((copy.key for copy in self.classified.our_copies if copy.file is holder), "")
        # A skipped key has no plan, whatever the scope.
        could_be_planned = key and not (self.context.is_in_scope(key) or key in self.context.store.skipped)
        name = key or (f"{holder.id} of {holder.owner}" if holder.owner else f"{holder.id}, which is unmanaged,")
        upload = self.context.common.snapshot.uploads.get(holder.id)
        if holder.id in self.context.common.snapshot.texts and not (upload and upload.sha256):
            has = f"may have the same text ({describe_uncompared(self.context)})"
        else:
            has = "is out of scope and has the same text" if could_be_planned else "has the same text"
        plan_it = f"plan {self.context.store.key}/{key} as well, or allow that with --allow-gap"
        way_out = plan_it if could_be_planned else "--allow-gap allows that"
        return f"{name} {has}, and search would no longer find it; {way_out}"

    def order(self, changes: Sequence[FileChange]) -> list[FileChange]:
        """The changes, ordered around the removals, with those that attach again what they would hide."""
        shared_texts = self._find_shared(changes)
        attached_keys = {change.key for change in changes if change.attaches}
        wanted_by_key = {wanted.key: wanted for wanted in self.in_scope} if shared_texts else {}
        ordered: list[FileChange] = []
        for change in changes:
            ordered.append(self._order_around_removals(change, wanted_by_key, shared_texts, attached_keys))
            if ordered[-1].attaches:
                attached_keys.add(change.key)  # so that another change of this key does not attach it again
        attached_texts = {change.desired.sha256 for change in ordered if change.desired and change.attaches}
        changed_keys = {change.key for change in ordered if change.desired}
        unchanged = [wanted for key, wanted in wanted_by_key.items() if key not in changed_keys]
        return ordered + list(self._attach_again(unchanged, shared_texts - attached_texts))

    def _find_shared(self, changes: Sequence[FileChange]) -> set[str]:
        """The texts that one file loses and another file keeps or gets."""
        refused_keys = _refused_keys(changes)
        keys_by_text: dict[str, set[str]] = {}
        for wanted in self.in_scope:
            if wanted.key not in refused_keys:
                for text in self._desired_texts(wanted.file):
                    keys_by_text.setdefault(text, set()).add(wanted.key)
        # A change that removes a text and attaches it to the same key does so in the right order already.
        return {
            text
            for change in changes
            for text in self._removed_texts(change)
            if keys_by_text.get(text, set()) - ({change.key} if change.attaches else set())
        }

    def _order_around_removals(
        self,
        change: FileChange,
        wanted_by_key: dict[str, DigestedFile],
        shared_texts: set[str],
        attached_keys: Collection[str],
    ) -> FileChange:
        """The change; if it removes or attaches a shared text, its copies go before that text is attached anywhere.

        The reason SHARED_CHUNKS makes the applier detach the copies first, and attach after all removals.
        """
        desired_texts = self._desired_texts(change.desired)
        if change.action is Action.REFUSE or not shared_texts & (self._removed_texts(change) | desired_texts):
            return change
        reasons = (*change.reasons, Reason.SHARED_CHUNKS)
        if change.attaches:
            return replace(change, reasons=reasons, gap=bool(change.drop))
        if change.action is Action.AWAIT:
            return replace(change, drop=())  # the next plan removes them, and then attaches the awaited copy again
        if change.key in attached_keys:
            return replace(change, keep=None)  # its copy is re-attached later, so do not wait for it
        if not change.keep:
            return change
        kept_texts = desired_texts if change.takes_over else self._live_texts(change.keep)
        if not shared_texts & kept_texts:
            return change
        wanted = wanted_by_key[change.key]
        reuse, drop = "" if wanted.declared_id else change.keep.id, (change.keep, *change.drop)
        attached = replace(change, action=Action.REPLACE, desired=wanted.file, reuse=reuse)
        return replace(attached, reasons=reasons, drop=drop, gap=True)

    def _attach_again(self, unchanged: Sequence[DigestedFile], texts: set[str]) -> Iterator[FileChange]:
        """Attaches again, for each text, the first unchanged file that has it, and declared Files that may have it."""
        remaining = set(texts)
        for wanted in unchanged:
            copies = self.classified.ours.get(wanted.key_digest, ())
            copy = newest_copy(copies, CopyState.COMPLETED, self.context.now)
            if copy and remaining & self._desired_texts(wanted.file):
                # A File that only may have a text does not settle it.
                remaining.discard(wanted.file.sha256)
                yield FileChange(
                    store=self.context.store.key,
                    key=wanted.key,
                    action=Action.REPLACE,
                    reasons=(Reason.SHARED_CHUNKS,),
                    desired=wanted.file,
                    keep=copy.recorded,
                    drop=(copy.recorded,),
                    preserve=preserved_attributes(copy.file.attributes, self.context.store.ignore_attributes),
                    tries=copy.mark.tries,
                    reuse="" if wanted.declared_id else copy.id,
                    gap=True,
                )
