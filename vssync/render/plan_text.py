"""A plan for a terminal: stores, batches, refusals, cost, and one line of totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from vssync.model.convergence import count_uncompared, find_convergence
from vssync.model.marks import parse_stamp
from vssync.model.plan import Action, NoteKind, Plan, StorePlan
from vssync.planner.estimate import Cost, count_attached, count_changes, estimate_cost
from vssync.render import wording
from vssync.render.layout import (
    BELOW,
    StoreBlock,
    TextLine,
    View,
    fit_totals,
    fold_across_stores,
    lay_out_columns,
    show_blocks,
    wrap_sentences,
)
from vssync.render.plan_lines import BatchRow, batch_rows, fold_new_folders, has_gap, plan_rows
from vssync.text import count_noun, escape_ci_commands, escape_control, pad_right

_VARIANTS = 8  # of what changes in a batch
_LEAVING_OUT = 3  # stores of which nothing else is shown than what they leave out; more are summed up in one line
GOING = (Action.DELETE, Action.REPLACE)  # of a store: an application that has its id can no longer search it


def plan_text(plan: Plan, view: View, preface: Sequence[list[str]] = ()) -> str:
    """A plan for a terminal, with blocks of lines below its heading; `view.quiet` leaves refusals and totals."""
    refused, totals = refusal_lines(plan), total_lines(plan)
    if view.quiet:
        return join_blocks([[*refused, *fit_totals(totals[-1:], view)]])
    return join_blocks(
        [
            [wording.heading_line(plan.owner, plan.service)],
            *preface,
            *show_blocks(plan_blocks(plan, full=view.full), view),
            [line for text in quiet_lines(plan, full=view.full) for line in wrap_sentences(text, 0, view)],
            *batch_blocks(plan, view),
            refused,
            [*("\n    ".join(wrap_sentences(text, 4, view)) for text in legend(plan)), *fit_totals(totals, view)],
        ]
    )


def join_blocks(blocks: list[list[str]]) -> str:
    return escape_ci_commands("\n\n".join("\n".join(block) for block in blocks if block))


def stores_to_show(plan: Plan, *, full: bool) -> list[StorePlan]:
    """The stores of a plan with a change or a note of their own or of their files, or with files that are left out.

    Many stores that only leave files out are not shown one by one, unless `full` is set.
    """
    notes = [(store.key, note.kind) for store in plan.stores for note in store.notes]
    noted = {key for key, kind in notes if kind is not NoteKind.FOREIGN_BATCH}  # which stands with the batches
    busy = {store.key for store in plan.stores if store.change or store.files or store.key in noted}
    leaving_out = {store.key for store in plan.stores if store.left_out} - busy
    shown = busy | (leaving_out if full or len(leaving_out) <= _LEAVING_OUT else set())
    return [store for store in plan.stores if store.key in shown]


def quiet_lines(plan: Plan, *, full: bool) -> list[str]:
    """A line on the stores that are not shown, and on what they leave out; none where that tells nothing."""
    shown = {store.key for store in stores_to_show(plan, full=full)}
    quiet = [store for store in plan.stores if store.key not in shown]
    left_out: dict[str, list[str]] = {}
    for store in quiet:
        for why, keys in store.left_out.items():
            left_out.setdefault(why, []).extend(keys)
    if not quiet or not (shown or left_out):
        return []
    omitted = "".join(f"; {line} (--full lists them)" for line in wording.left_out_lines(left_out, full=False))
    return [f"{count_noun(len(quiet), 'more store' if shown else 'store')}: nothing to do{omitted}."]


def plan_blocks(plan: Plan, *, full: bool) -> list[StoreBlock]:
    """Each store with something to show: its key, its id, how many files it holds or will hold, what is to be done.

    Unless `full` is set, folders of new files are one row, and what several stores share is told once.
    """
    blocks = []
    for store in stores_to_show(plan, full=full):
        created = wording.is_created(store)
        name = f' as "{escape_control(store.name)}"' if created and store.name != store.key else ""
        where = wording.place_of(store, wording.short_id(store.id), created="to be created")
        files = store.wanted if created else store.live
        head = TextLine(f"{escape_control(store.key)}  {where}{name}", right=count_noun(files, "file"), indent=0)
        rows = plan_rows(store, full=full)
        blocks.append(StoreBlock(head, rows if full else fold_new_folders(rows), files, created, store.key))
    return blocks if full else fold_across_stores(blocks)


def batch_blocks(plan: Plan, view: View) -> list[list[str]]:
    blocks = []
    for store in plan.stores:
        lines = [line for row in batch_rows(store) for line in _batch_lines(row, view)]
        where = f" in {escape_control(store.key)}" if len(plan.stores) > 1 else ""
        blocks += [[f"Batches in progress{where}", *lay_out_columns(lines, view).format_lines(lines)]] if lines else []
    return blocks


def _batch_lines(row: BatchRow, view: View) -> list[TextLine]:
    below = [part for text in row.below for part in wrap_sentences(text, BELOW, view)]
    rest = sum(count for _, count, _ in row.variants[_VARIANTS:])
    variants = [*row.variants[:_VARIANTS], *([("other changes", rest, "")] if rest else [])]
    counted = [f"{pad_right(why, 30)} {count_noun(count, 'file'):>15}   {where}" for why, count, where in variants]
    return [
        TextLine(f"{row.id}   {row.text}", sign=row.sign),
        *(TextLine(text, indent=BELOW) for text in below),
        *(TextLine(text, indent=BELOW + 2) for text in counted),
        *([TextLine(row.after, indent=BELOW)] if row.after else []),
    ]


def refusal_lines(plan: Plan) -> list[str]:
    """Why nothing may be written, in which stores, and every way out; never cut."""
    lines = ["! Refused: nothing will be written."] if plan.refusals else []
    for title, below in refusal_groups(plan):
        lines += [f"  {title}", *(f"    {line}" for line in below)]
    return lines


def refusal_groups(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """What each refusal says in its first line, and the lines below that."""
    for refusal in plan.refusals:
        first, *more = refusal.message.splitlines() or [""]
        about = f"{refusal.store}: " if refusal.store and not first.startswith(f"{refusal.store}:") else ""
        ways = [line for way in refusal.way_out for line in way.splitlines()]
        yield escape_control(f"{about}{first}"), [escape_control(line.strip()) for line in (*more, *ways)]


def legend(plan: Plan) -> list[str]:
    """What the sign of a replace with a gap means, when there is one."""
    gaps = sum(has_gap(change) for store in plan.stores for change in store.files)
    missed = "this file" if gaps == 1 else f"these {gaps:,} files"
    text = f"{wording.GAP_SIGN} the old copy is deleted first; until the new one is ready, search misses {missed}."
    return [text] if gaps else []


def total_lines(plan: Plan, *, bold: bool = False) -> list[str]:
    """The totals of a plan, the most important line last; `bold` marks deletions in Markdown."""
    counts = count_changes(*plan.stores)
    if find_convergence(plan).reached:
        managed = sum(store.managed is not None for store in plan.stores)
        stores = wording.scope_text(plan) or count_noun(managed, "store")
        verb = "matches" if counts.unchanged == 1 else "match"
        uncompared = count_uncompared(plan)
        but = f", {uncompared:,} of them {wording.NOTES[NoteKind.UNCOMPARED]}" if uncompared else ""
        stamps = [store.applied for store in plan.stores if parse_stamp(store.applied)]
        changed = [f"Last changed {wording.stamp_text(max(stamps))}."] if stamps else []
        return [*changed, f"No changes. {count_noun(counts.unchanged, 'file')} in {stores} {verb} the manifest{but}."]
    scope = f"Scope: {scope}." if (scope := wording.scope_text(plan)) else ""
    cost = estimate_cost(plan)
    lines = [scope, _batches_line(plan, cost), wording.cost_line(cost)]
    return [*filter(None, lines), wording.plan_line(counts, store_parts(plan.stores, bold=bold), bold_delete=bold)]


def store_parts(stores: Iterable[StorePlan], *, bold: bool) -> list[str]:
    """What is done to these stores: "1 store to change"."""
    actions = Counter(store.change.action for store in stores if store.change)
    parts = []
    for action, verb in wording.TO_DO.items():
        if count := actions[action]:
            part = f"{count_noun(count, 'store')} {verb.replace('needs', 'need') if count > 1 else verb}"
            parts.append(f"**{part}**" if bold and action in GOING else part)
    return parts


def _batches_line(plan: Plan, cost: Cost) -> str:
    files = sum(count_attached(store) for store in plan.stores)
    awaited = sum(batch.action is Action.AWAIT for store in plan.stores for batch in store.batches)
    created = f"{'up to ' if cost.at_most else ''}{cost.batches:,} to create ({count_noun(files, 'file')})"
    parts = [created] if cost.batches else []
    parts += [f"none to create, {count_noun(files, 'file')} to attach one by one"] if files and not cost.batches else []
    parts += [f"{awaited:,} {wording.TO_DO[Action.AWAIT]}"] if awaited else []
    unlisted = f"; {wording.UNLISTED_BATCHES}" if plan.batches_unlisted else ""
    return f"Batches: {', '.join(parts)}{unlisted}." if parts else ""


def store_verb(store: StorePlan, *, bold: bool = False) -> str:
    """What a plan does to the store itself: "store to change"; empty when it stays as it is."""
    if store.change is None:
        return ""
    text = f"store {wording.TO_DO[store.change.action]}"
    return f"**{text}**" if bold and store.change.action in GOING else text
