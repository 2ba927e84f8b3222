"""What `vssync status` prints: of each store, or of one file, as declared, as live and as planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vssync.document import document, json_fields, json_value
from vssync.model.marks import DECLARED, RESERVED_PREFIX, UNCOMPARED, Mark, UnreadableMark
from vssync.model.plan import Action, FileChange, Note, NoteKind, Plan, StorePlan
from vssync.model.state import Desired, DesiredFile, LiveFile, Scalar
from vssync.planner.estimate import count_changes
from vssync.render import wording
from vssync.render.layout import View, fit_totals, wrap_sentences
from vssync.render.plan_text import join_blocks, store_verb, total_lines
from vssync.text import display_width, escape_ci_commands, escape_control, format_size, pad_right, shorten_middle

_BELOW = " " * 10
_IN_DETAIL = 5  # stores; of more there is a line each
_KEY = 20  # columns
_MORE = "`vssync status STORE` shows one of them in detail, --full shows all."
_ORIGINS = {"u": "uploaded by vssync", "d": "declared by id", "a": "adopted"}


@dataclass(frozen=True, slots=True)
class LiveCopy:
    """One live copy, and the batch that ingests it."""

    file: LiveFile
    batch: str = ""


@dataclass(frozen=True, slots=True)
class FileInspection:
    """All that is known about one file; `entry` is the place in the manifest that chose it."""

    address: str
    entry: str
    desired: DesiredFile | None
    copies: tuple[LiveCopy, ...]
    changes: tuple[FileChange, ...]
    held_back: tuple[Note, ...] = ()  # why the file is not brought in
    problem: str = ""  # why the store it is in needs attention


def inspection_text(inspection: FileInspection, desired: Desired) -> str:
    """A block for the manifest, one for each live copy, one for what a plan would do."""
    decisions = [
        f"{wording.SIGNS[change.action]} {wording.reason_text(change.reasons)}"
        + (f": {escape_control(change.detail)}" if change.detail else "")
        for change in inspection.changes
    ]
    decisions += [f"! {wording.NOTES[note.kind]}: {wording.note_text(note)}" for note in inspection.held_back]
    decisions += [f"! the store needs attention: {escape_control(inspection.problem)}"] if inspection.problem else []
    copies = [_block_lines("live", _copy_entries(copy)) for copy in inspection.copies]
    blocks = [
        [wording.heading_line(desired.owner, desired.service)],
        [escape_control(inspection.address)],
        _block_lines("manifest", _desired_entries(inspection)),
        *(copies or [["live", "  no managed copy"]]),
        _block_lines("plan", [("", line) for line in decisions or ["nothing to do"]]),
    ]
    return escape_ci_commands("\n\n".join("\n".join(block) for block in blocks))


def inspection_json(inspection: FileInspection, desired: Desired) -> str:
    copies = [
        {
            "id": copy.file.id,
            "status": copy.file.status.value,
            "created_at": copy.file.created_at,
            "batch": copy.batch or None,
            "error": json_value(copy.file.error),
            "chunking": str(copy.file.chunking) if copy.file.chunking else None,
            "attributes": _own_attributes(copy.file),
            "mark": json_fields(copy.file.mark) if isinstance(copy.file.mark, Mark) else None,
        }
        for copy in inspection.copies
    ]
    file = {
        "address": inspection.address,
        "entry": inspection.entry,
        "desired": json_value(inspection.desired),
        "copies": copies,
        "changes": json_value(inspection.changes),
        "held_back": [*(note.detail for note in inspection.held_back), *filter(None, [inspection.problem])],
    }
    provider, agrees = desired.service.provider, not (inspection.changes or file["held_back"])
    return document("status", owner=desired.owner, provider=provider, agrees=agrees, file=file)


def _block_lines(title: str, entries: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in entries), default=0)
    return [title, *(f"  {name:<{width}}  {text}".rstrip() if name else f"  {text}" for name, text in entries if text)]


def _desired_entries(inspection: FileInspection) -> list[tuple[str, str]]:
    file = inspection.desired
    if file is None:
        return [("", f"not declared{f': {escape_control(inspection.entry)}' if inspection.entry else ''}")]
    return [
        ("entry", escape_control(inspection.entry)),
        ("file", escape_control(file.path or file.file_id)),
        ("size", format_size(file.size) if file.path else ""),
        ("sha256", file.sha256),
        ("upload name", escape_control(file.filename)),
        ("chunking", str(file.chunking)),
        *_attribute_entries(file.attributes),
    ]


def _copy_entries(copy: LiveCopy) -> list[tuple[str, str]]:
    file = copy.file
    return [
        ("id", escape_control(file.id)),
        ("status", wording.status_text(file)),
        ("last error", escape_control(str(file.error or ""))),
        ("batch", escape_control(copy.batch)),
        ("chunking", str(file.chunking) if file.chunking else "not reported"),
        *_attribute_entries(_own_attributes(file)),
        *_mark_entries(file.mark),
    ]


def _own_attributes(file: LiveFile) -> dict[str, Scalar]:
    return {name: value for name, value in file.attributes.items() if not name.startswith(RESERVED_PREFIX)}


def _mark_entries(mark: Mark | UnreadableMark | None) -> list[tuple[str, str]]:
    if not isinstance(mark, Mark):
        return [("mark", escape_control(mark.problem) if mark else "none")]
    content = "the declared File" if mark.content == DECLARED else mark.content
    content = f"never compared; taken for {content.removeprefix(UNCOMPARED)}" if mark.is_uncompared else content
    return [
        ("mark owner", escape_control(mark.owner)),
        ("mark content", content),
        ("mark origin", _ORIGINS[mark.origin]),
        ("mark tries", str(mark.tries)),
    ]


def _attribute_entries(attributes: Mapping[str, Scalar]) -> list[tuple[str, str]]:
    rows = sorted(attributes.items())
    return [(f"attributes.{escape_control(name)}", wording.format_value(value)) for name, value in rows]


def status_text(plan: Plan, view: View) -> str:
    """Each store: its id, whether it matches the manifest, its files, unmanaged ones, its digest.

    Of many stores, a line each, unless `view.full` is set: those that need attention first, then those that differ.
    """
    totals = fit_totals(total_lines(plan)[-1:], view)
    if view.quiet:
        return join_blocks([totals])
    heading = [wording.heading_line(plan.owner, plan.service)]
    if len(plan.stores) > _IN_DETAIL and not view.full:
        return join_blocks([heading, _table_lines(sorted(plan.stores, key=_rank), view), [_MORE, *totals]])
    return join_blocks([heading, *(_status_lines(store, view) for store in plan.stores), totals])


def _rank(store: StorePlan) -> int:
    counts, action = count_changes(store), store.change.action if store.change else None
    if counts.refuse or counts.held or counts.gone or counts.left or action is Action.REFUSE:
        return 0
    return 1 if _differences(store) else 2


def _differences(store: StorePlan) -> str:
    """What a plan does in a store and what it leaves undone; empty for one that matches the manifest."""
    counts = count_changes(store)
    return ", ".join(filter(None, [store_verb(store), *wording.file_parts(counts), *wording.rare_parts(counts)]))


def _table_lines(stores: Sequence[StorePlan], view: View) -> list[str]:
    """A line for each store, below a line of titles; what differs is wrapped in the last column."""
    rows = [("store", "files", "applied (UTC)")]
    rows += [
        (escape_control(store.key), f"{store.live:,}", wording.stamp_text(store.applied, brief=True))
        for store in stores
    ]
    key, files, applied = (max(map(display_width, column)) for column in zip(*rows, strict=True))
    key = min(key, max(_KEY, view.width // 4))
    states = ["status", *(_differences(store) or "matches" for store in stores)]
    indent, lines = key + files + applied + 6, list[str]()
    for (name, count, time), text in zip(rows, states, strict=True):
        first, *more = wrap_sentences(text, indent, view)
        lines.append(f"{pad_right(shorten_middle(name, key), key)}  {count:>{files}}  {time:<{applied}}  {first}")
        lines += [f"{' ' * indent}{line}" for line in more]
    return lines


def _status_lines(store: StorePlan, view: View) -> list[str]:
    notes = Counter[NoteKind]()
    for note in store.notes:
        notes[note.kind] += note.count
    reason = store.change.detail if store.change and store.change.action is Action.REFUSE else ""
    files = f"{store.live:,} live, {store.wanted:,} in the manifest"
    files += f", {store.unmanaged:,} unmanaged" if store.unmanaged is not None else ""
    for kind in (NoteKind.UNCOMPARED, NoteKind.GHOSTS):
        files += f", {notes[kind]:,} {wording.NOTES[kind]}" if notes[kind] else ""
    removed = store.desired.removed if store.desired and not store.id else None
    entries = {
        "status": _differences(store) or "matches the manifest",
        "files": "" if removed else files,
        **wording.digests(store),
        "applied": wording.stamp_text(store.applied),
    }
    where = wording.place_of(store, escape_control(store.id))
    where = f"`removed: {removed}`, and nothing of ours is left" if removed and not reason else where
    head = f"{escape_control(store.key)}  {where}"
    lines = [f"  {name:<8}{escape_control(text)}" for name, text in entries.items() if text]
    why = [
        f"{_BELOW}{line}"
        for text in reason.splitlines()
        for line in wrap_sentences(escape_control(text), len(_BELOW), view)
    ]
    omitted = [f"{_BELOW}{line}" for line in wording.left_out_lines(store.left_out, full=view.full)]
    return [head, lines[0], *why, *lines[1:2], *omitted, *lines[2:]]
