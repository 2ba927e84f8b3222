"""Plans for services where files of equal text share their chunks.

There, removing a file hides every other file of the same text from search, until a file of that text is attached. So
removals come first, then the attachments of the same text. If the plan attaches no file of it, one of those that stay
is attached again. Texts are equal if the files have the same SHA-256: `texts` here are these digests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from vssync.model.marks import UNCOMPARED, Mark
from vssync.model.plan import Action, FileChange, Note, NoteKind, Reason
from vssync.model.state import FileStatus
from vssync.planner.attributes import preserved_attributes
from vssync.planner.classify import ClassifiedFiles, CopyState, DigestedFile
from vssync.planner.context import StorePlanContext
from vssync.planner.decide_file import newest_copy
from vssync.text import join_first

_WITHOUT_CHUNKS = (FileStatus.FAILED, FileStatus.CANCELLED)


def order_equal_texts(
    changes: Sequence[FileChange],
    wanted_files: Sequence[DigestedFile],
    classified: ClassifiedFiles,
    context: StorePlanContext,
) -> list[FileChange]:
    """The changes of a store, such that each text that stays is attached after the last removal of it.

    A change that would hide a file which this plan cannot attach again is refused, unless a gap is allowed.
    """
    if not context.common.capabilities.shares_chunks:
        return list(changes)
    in_scope = [wanted for wanted in wanted_files if context.is_in_scope(wanted.key)]
    changes = list(changes)
    if not context.common.options.allow_gap:
        # A refused change keeps its copies, which others may then hide.
        while (checked := _refuse_hiding(changes, in_scope, classified)) != changes:
            changes = checked
    shared_texts = _shared_texts(changes, in_scope)
    attached_keys = {change.key for change in changes if change.attaches}
    wanted_by_key = {wanted.key: wanted for wanted in in_scope} if shared_texts else {}
    ordered: list[FileChange] = []
    for change in changes:
        ordered.append(_order_around_removals(change, wanted_by_key, shared_texts, attached_keys))
        attached_keys |= {change.key} if ordered[-1].attaches else set()  # a key is attached again only once
    attached_texts = {change.desired.sha256 for change in ordered if change.desired and change.attaches}
    changed_keys = {change.key for change in ordered if change.desired}
    unchanged = [wanted for key, wanted in wanted_by_key.items() if key not in changed_keys]
    return ordered + list(_attach_again(unchanged, shared_texts - attached_texts, classified, context))


def note_equal_texts(wanted_files: Sequence[DigestedFile], context: StorePlanContext) -> list[Note]:
    """A warning of desired files that have the same text, where search finds only one of them."""
    if not context.common.capabilities.shares_chunks:
        return []
    keys: dict[str, list[str]] = {}
    for wanted in wanted_files:
        if wanted.file.sha256:
            keys.setdefault(wanted.file.sha256, []).append(wanted.key)
    equal = [key for group in keys.values() if len(group) > 1 for key in group]
    detail = f"search finds one of each text, under its attributes: {join_first(equal)}"
    return [Note(NoteKind.EQUAL_TEXTS, count=len(equal), detail=detail)] if equal else []


def _text_of(mark: object) -> str:
    """The digest of a copy's bytes as its mark has it; empty for a declared File, whose bytes are unknown."""
    content = mark.content.removeprefix(UNCOMPARED) if isinstance(mark, Mark) else ""
    return content if len(content) == 64 else ""


def _removed_texts(change: FileChange) -> set[str]:
    """The texts of the searchable copies that a change removes, even if it attaches the same copy again."""
    if change.action is Action.REFUSE:
        return set()
    return {_text_of(copy.mark) for copy in change.drop if copy.status is FileStatus.COMPLETED} - {""}


def _refuse_hiding(
    changes: Sequence[FileChange], in_scope: Sequence[DigestedFile], classified: ClassifiedFiles
) -> list[FileChange]:
    """Refuses each change that removes a text which a file outside this plan has as well.

    Files outside the plan are those of other owners, and our copies that stay under a key which is refused, not desired
    or out of scope.
    """
    refused_keys = _refused_keys(changes)
    planned_keys = {wanted.key_digest for wanted in in_scope if wanted.key not in refused_keys}
    planned_ids = {copy.id for change in changes for copy in change.drop}
    planned_ids |= {change.keep.id for change in changes if change.keep and change.key not in refused_keys}
    outside = [
        (copy.file, copy.key)
        for digest, copies in classified.ours.items()
        for copy in copies
        if digest not in planned_keys and copy.id not in planned_ids
    ]
    outside += [(file, f"{file.id} of {owner}") for owner, files in classified.foreign.items() for file in files]
    holders = {_text_of(file.mark): name for file, name in outside if file.status not in _WITHOUT_CHUNKS}

    def check(change: FileChange) -> FileChange:
        hidden = sorted(_removed_texts(change) & holders.keys())
        problem = "has the same text, and search would no longer find it; --allow-gap allows that"
        return change.refused(Reason.NOT_ALLOWED, detail=f"{holders[hidden[0]]} {problem}") if hidden else change

    return list(map(check, changes))


def _refused_keys(changes: Sequence[FileChange]) -> set[str]:
    return {change.key for change in changes if change.action is Action.REFUSE}


def _shared_texts(changes: Sequence[FileChange], in_scope: Sequence[DigestedFile]) -> set[str]:
    """The texts that one file loses and another file keeps or gets."""
    refused_keys = _refused_keys(changes)
    keys_by_text: dict[str, set[str]] = {}
    for wanted in in_scope:
        if wanted.file.sha256 and wanted.key not in refused_keys:
            keys_by_text.setdefault(wanted.file.sha256, set()).add(wanted.key)
    # A change that removes a text and attaches it to the same key does so in the right order already.
    return {
        text
        for change in changes
        for text in _removed_texts(change)
        if keys_by_text.get(text, set()) - ({change.key} if change.attaches else set())
    }


def _order_around_removals(
    change: FileChange, wanted_by_key: dict[str, DigestedFile], shared_texts: set[str], attached_keys: Collection[str]
) -> FileChange:
    """The change; if it removes or attaches a shared text, its copies go before that text is attached anywhere.

    The reason SHARED_CHUNKS makes the applier detach the copies first, and attach after all removals.
    """
    texts = {*_removed_texts(change), change.desired.sha256 if change.desired else ""}
    if change.action is Action.REFUSE or not shared_texts & texts:
        return change
    reasons = (*change.reasons, Reason.SHARED_CHUNKS)
    if change.attaches:
        return replace(change, reasons=reasons, gap=bool(change.drop))
    if change.action is Action.AWAIT:
        return replace(change, drop=())  # the next plan removes them, and then attaches the awaited copy again
    if change.key in attached_keys:
        return replace(change, keep=None)  # its copy is re-attached later, so do not wait for it
    if change.keep and _text_of(change.keep.mark) in shared_texts:
        wanted = wanted_by_key[change.key]
        reuse, drop = "" if wanted.declared_id else change.keep.id, (change.keep, *change.drop)
        changed = replace(change, action=Action.REPLACE, reasons=reasons, desired=wanted.file, drop=drop)
        return replace(changed, reuse=reuse, gap=True)
    return change


def _attach_again(
    unchanged: Sequence[DigestedFile], texts: set[str], classified: ClassifiedFiles, context: StorePlanContext
) -> Iterator[FileChange]:
    """Attaches again, for each text, the first unchanged file that has it."""
    remaining = set(texts)
    for wanted in unchanged:
        copies = classified.ours.get(wanted.key_digest, ())
        copy = newest_copy(copies, CopyState.OK, context.now)
        if copy and wanted.file.sha256 in remaining:
            remaining.remove(wanted.file.sha256)
            yield FileChange(
                store=context.store.key,
                key=wanted.key,
                action=Action.REPLACE,
                reasons=(Reason.SHARED_CHUNKS,),
                desired=wanted.file,
                keep=copy.recorded,
                drop=(copy.recorded,),
                preserve=preserved_attributes(copy.file.attributes, context.store.ignore_attributes),
                tries=copy.mark.tries,
                reuse=copy.id,
                gap=True,
            )
