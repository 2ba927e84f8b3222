"""A plan for a terminal: stores, batches in progress, refusals, cost, and one line of totals."""

from __future__ import annotations

from collections import Counter

from vssync.model.plan import Action, NoteKind, Plan, Refusal, StorePlan
from vssync.planner.estimate import count_changes, count_puts, count_store_changes, estimate_cost
from vssync.render import wording
from vssync.render.groups import StoreBlock, show_blocks
from vssync.render.layout import BELOW, TextLine, View, fit_totals, lay_out_columns, wrap_sentences
from vssync.render.rows import BatchRow, batch_rows, has_gap, has_notes, plan_rows
from vssync.text import count_noun, escape_ci_commands, escape_control, pad_right

_VARIANTS = 8  # of what changes in a batch
_VERBS = {
    Action.CREATE: "to create",
    Action.UPDATE: "to change",
    Action.REPLACE: "to replace",
    Action.DELETE: "to delete",
    Action.ADOPT: "to adopt",
    Action.AWAIT: "to wait for",
    Action.CANCEL: "to cancel",
    Action.REFUSE: "needs attention",
}
_GOING = (Action.DELETE, Action.REPLACE)  # of a store: an application that has its id can no longer search it


def plan_text(plan: Plan, view: View) -> str:
    """A plan for a terminal; `view.quiet` leaves the refusals and the totals."""
    refused, totals = refusal_lines(plan), total_lines(plan)
    if view.quiet:
        return join_blocks([[*refused, *fit_totals(totals[-1:], view)]])
    return join_blocks(
        [
            [wording.heading_line(plan.owner, plan.service)],
            *show_blocks(plan_blocks(plan), view),
            other_stores(plan),
            *batch_blocks(plan, view),
            refused,
            [*legend(plan), *fit_totals(totals, view)],
        ]
    )


def join_blocks(blocks: list[list[str]]) -> str:
    """Blocks of lines with an empty line between them."""
    return escape_ci_commands("\n\n".join("\n".join(block) for block in blocks if block))


def stores_to_show(plan: Plan) -> list[StorePlan]:
    """The stores of a plan with a change or a note of their own or of their files."""
    return [store for store in plan.stores if store.change or store.files or has_notes(store)]


def plan_blocks(plan: Plan) -> list[StoreBlock]:
    """Each store with something to show, and what will be done in it."""
    return [StoreBlock(store_line(store), plan_rows(store)) for store in stores_to_show(plan)]


def store_line(store: StorePlan) -> TextLine:
    """A store's own line: its key, its id, the files it holds now, or will when it is to be created."""
    created = store.change is not None and store.change.action is Action.CREATE
    name = f' as "{escape_control(store.name)}"' if store.name != store.key else ""
    where = f"to be created{name}" if created else wording.short_id(store.id) or "not live"
    files = count_noun(store.wanted if created else store.live, "file")
    return TextLine(f"{escape_control(store.key)}  {where}", right=files, indent=0)


def other_stores(plan: Plan) -> list[str]:
    """How many stores are not listed because they do not change."""
    rest = len(plan.stores) - len(stores_to_show(plan))
    return [f"{count_noun(rest, 'more store')}: nothing to do."] if rest and rest < len(plan.stores) else []


def batch_blocks(plan: Plan, view: View) -> list[list[str]]:
    """The batches in progress, store by store."""
    blocks = []
    for store in plan.stores:
        lines = [line for row in batch_rows(store) for line in _batch_lines(row, view)]
        where = f" in {escape_control(store.key)}" if len(plan.stores) > 1 else ""
        blocks += [[f"Batches in progress{where}", *lay_out_columns(lines, view).format_lines(lines)]] if lines else []
    return blocks


def _batch_lines(row: BatchRow, view: View) -> list[TextLine]:
    below = [part for text in row.below for part in wrap_sentences(text, BELOW, view)]
    variants = [_variant_line(*variant) for variant in row.variants[:_VARIANTS]]
    if rest := sum(count for _, count, _ in row.variants[_VARIANTS:]):
        variants.append(_variant_line("other changes", rest, ""))
    return [
        TextLine(f"{row.id}   {row.text}", sign=row.sign),
        *(TextLine(text, indent=BELOW) for text in below),
        *variants,
        *([TextLine(row.after, indent=BELOW)] if row.after else []),
    ]


def _variant_line(why: str, count: int, folder: str) -> TextLine:
    return TextLine(f"{pad_right(why, 30)} {count_noun(count, 'file'):>15}   {folder}", indent=BELOW + 2)


def refusal_lines(plan: Plan) -> list[str]:
    """Why nothing may be written, and every way out; never cut."""
    if not plan.refusals:
        return []
    return [
        "! Refused: nothing will be written.",
        *(line for refusal in plan.refusals for line in refusal_text(refusal)),
    ]


def refusal_text(refusal: Refusal) -> list[str]:
    """One refusal: what and in which store, then the ways out, indented."""
    first, *more = refusal.message.splitlines() or [""]
    about = f"{refusal.store}: " if refusal.store and not first.startswith(f"{refusal.store}:") else ""
    ways = [line for way in refusal.way_out for line in way.splitlines()]
    return [escape_control(f"  {about}{first}"), *(escape_control(f"    {line.strip()}") for line in [*more, *ways])]


def legend(plan: Plan) -> list[str]:
    """What the sign of a replace with a gap means, when there is one."""
    gaps = sum(has_gap(change) for store in plan.stores for change in store.files)
    if not gaps:
        return []
    return [
        f"{wording.GAP_SIGN} the old copy is deleted first; until the new one is ready, search misses {pronoun(gaps)}."
    ]


def pronoun(count: int) -> str:
    return "this file" if count == 1 else f"these {count:,} files"


def total_lines(plan: Plan, *, bold: bool = False) -> list[str]:
    """The totals of a plan, the most important line last; `bold` marks deletions in Markdown."""
    if plan.empty:
        return [agreement_line(plan)]
    lines = [_stores_line(plan, bold=bold), _batches_line(plan), wording.cost_line(estimate_cost(plan))]
    return [*(line for line in lines if line), wording.plan_line(count_changes(plan), bold_delete=bold)]


def agreement_line(plan: Plan) -> str:
    """The last line of a plan without changes."""
    stores = sum(store.desired is not None for store in plan.stores)
    files = count_changes(plan).unchanged
    verb = "matches" if files == 1 else "match"
    return f"No changes. {count_noun(files, 'file')} in {count_noun(stores, 'store')} {verb} the manifest."


def _stores_line(plan: Plan, *, bold: bool) -> str:
    actions = Counter(store.change.action for store in plan.stores if store.change)
    parts = [(action, f"{actions[action]:,} {verb}") for action, verb in _VERBS.items() if actions[action]]
    shown = ", ".join(f"**{part}**" if bold and action in _GOING else part for action, part in parts)
    return f"Stores: {shown if actions[Action.REFUSE] < 2 else shown.replace('needs', 'need')}." if parts else ""


def _batches_line(plan: Plan) -> str:
    created, files = estimate_cost(plan).batches, sum(count_puts(store) for store in plan.stores)
    actions = Counter(batch.action for store in plan.stores for batch in store.batches)
    parts = [f"{created:,} to create ({count_noun(files, 'file')})"] if created else []
    parts += [f"{actions[action]:,} {_VERBS[action]}" for action in (Action.CANCEL, Action.AWAIT) if actions[action]]
    return f"Batches: {', '.join(parts)}." if parts else ""


def status_text(plan: Plan, view: View) -> str:
    """Each store: its id, whether it matches the manifest, its files, unmanaged ones, its digest."""
    if view.quiet:
        return join_blocks([fit_totals(total_lines(plan)[-1:], view)])
    stores = [_status_lines(store) for store in plan.stores]
    return join_blocks(
        [[wording.heading_line(plan.owner, plan.service)], *stores, fit_totals(total_lines(plan)[-1:], view)]
    )


def _status_lines(store: StorePlan) -> list[str]:
    others = _count_notes(store, NoteKind.UNMANAGED, NoteKind.FOREIGN)
    unread = _count_notes(store, NoteKind.UNREAD)
    compared = f", {unread:,} {wording.NOTES[NoteKind.UNREAD]}" if unread else ""
    entries = [
        ("status", _agreement_text(store)),
        ("files", f"{store.live:,} live, {store.wanted:,} in the manifest, {others:,} unmanaged{compared}"),
        ("digest", store.digest),
    ]
    head = f"{escape_control(store.key)}  {escape_control(store.id) or 'not live'}"
    return [head, *(f"  {name:<8}{escape_control(text)}" for name, text in entries if text)]


def store_verb(store: StorePlan, *, bold: bool = False) -> str:
    """What a plan does to the store itself: "store to change"; empty when it stays as it is."""
    if store.change is None:
        return ""
    text = f"store {_VERBS[store.change.action]}"
    return f"**{text}**" if bold and store.change.action in _GOING else text


def _count_notes(store: StorePlan, *kinds: NoteKind) -> int:
    return sum(note.count for note in store.notes if note.kind in kinds)


def _agreement_text(store: StorePlan) -> str:
    """Whether a store matches the manifest, or what differs."""
    counts = count_store_changes(store)
    parts = [
        (counts.add, "to add"),
        (counts.change, "to change"),
        (counts.replace, "to replace"),
        (counts.delete, "to delete"),
    ]
    differ = [store_verb(store), *(f"{count:,} {word}" for count, word in parts if count), *wording.rare_parts(counts)]
    agrees = "matches the manifest" if store.desired else wording.NOTES[NoteKind.LEFT_STORE]
    return ", ".join(filter(None, differ)) or agrees
