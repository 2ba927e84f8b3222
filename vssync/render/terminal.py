"""A plan and a report for a terminal: stores, batches, refusals or orphans, cost, and one line of totals."""

from __future__ import annotations

from collections import Counter

from vssync.model.plan import Action, NoteKind, Outcome, Plan, Report, Status, StorePlan
from vssync.planner.estimate import count_changes, count_puts, count_store_changes, estimate_cost
from vssync.render import wording
from vssync.render.layout import (
    BELOW,
    StoreBlock,
    TextLine,
    View,
    fit_totals,
    lay_out_columns,
    show_blocks,
    wrap_sentences,
)
from vssync.render.rows import BatchRow, batch_rows, has_gap, plan_rows, report_rows
from vssync.text import count_noun, escape_ci_commands, escape_control, format_elapsed, pad_right

_VARIANTS = 8  # of what changes in a batch
_ORPHANS, _ALREADY = 40, 20
_GOING = (Action.DELETE, Action.REPLACE)  # of a store: an application that has its id can no longer search it


def plan_text(plan: Plan, view: View) -> str:
    """A plan for a terminal; `view.quiet` leaves the refusals and the totals."""
    refused, totals = refusal_lines(plan), total_lines(plan)
    if view.quiet:
        return join_blocks([[*refused, *fit_totals(totals[-1:], view)]])
    rest = len(plan.stores) - len(stores_to_show(plan))
    others = f"{count_noun(rest, 'more store')}: nothing to do."
    return join_blocks(
        [
            [wording.heading_line(plan.owner, plan.service)],
            *show_blocks(plan_blocks(plan), view),
            [others] if 0 < rest < len(plan.stores) else [],
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
    notes = [(store.key, note.kind) for store in plan.stores for note in store.notes]
    noted = {key for key, kind in notes if kind is not NoteKind.FOREIGN_BATCH}  # which stands with the batches
    return [store for store in plan.stores if store.change or store.files or store.key in noted]


def plan_blocks(plan: Plan) -> list[StoreBlock]:
    """Each store with something to show: its key, its id, how many files it holds or will hold, what is to be done."""
    blocks = []
    for store in stores_to_show(plan):
        created = store.change is not None and store.change.action is Action.CREATE
        name = f' as "{escape_control(store.name)}"' if store.name != store.key else ""
        where = f"to be created{name}" if created else wording.short_id(store.id) or "not live"
        files = count_noun(store.wanted if created else store.live, "file")
        head = TextLine(f"{escape_control(store.key)}  {where}", right=files, indent=0)
        blocks.append(StoreBlock(head, plan_rows(store)))
    return blocks


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
    for refusal in plan.refusals:
        first, *more = refusal.message.splitlines() or [""]
        about = f"{refusal.store}: " if refusal.store and not first.startswith(f"{refusal.store}:") else ""
        ways = [line for way in refusal.way_out for line in way.splitlines()]
        lines.append(escape_control(f"  {about}{first}"))
        lines += [escape_control(f"    {line.strip()}") for line in [*more, *ways]]
    return lines


def legend(plan: Plan) -> list[str]:
    """What the sign of a replace with a gap means, when there is one."""
    gaps = sum(has_gap(change) for store in plan.stores for change in store.files)
    missed = "this file" if gaps == 1 else f"these {gaps:,} files"
    text = f"{wording.GAP_SIGN} the old copy is deleted first; until the new one is ready, search misses {missed}."
    return [text] if gaps else []


def total_lines(plan: Plan, *, bold: bool = False) -> list[str]:
    """The totals of a plan, the most important line last; `bold` marks deletions in Markdown."""
    counts = count_changes(plan)
    if plan.empty:
        stores = count_noun(sum(store.desired is not None for store in plan.stores), "store")
        verb = "matches" if counts.unchanged == 1 else "match"
        return [f"No changes. {count_noun(counts.unchanged, 'file')} in {stores} {verb} the manifest."]
    lines = [_stores_line(plan, bold=bold), _batches_line(plan), wording.cost_line(estimate_cost(plan))]
    return [*filter(None, lines), wording.plan_line(counts, bold_delete=bold)]


def _stores_line(plan: Plan, *, bold: bool) -> str:
    actions = Counter(store.change.action for store in plan.stores if store.change)
    parts = [(action, f"{actions[action]:,} {verb}") for action, verb in wording.TO_DO.items() if actions[action]]
    shown = ", ".join(f"**{part}**" if bold and action in _GOING else part for action, part in parts)
    return f"Stores: {shown if actions[Action.REFUSE] < 2 else shown.replace('needs', 'need')}." if parts else ""


def _batches_line(plan: Plan) -> str:
    created, files = estimate_cost(plan).batches, sum(count_puts(store) for store in plan.stores)
    actions = Counter(batch.action for store in plan.stores for batch in store.batches)
    parts = [f"{created:,} to create ({count_noun(files, 'file')})"] if created else []
    parts += [
        f"{actions[action]:,} {wording.TO_DO[action]}" for action in (Action.CANCEL, Action.AWAIT) if actions[action]
    ]
    return f"Batches: {', '.join(parts)}." if parts else ""


def status_text(plan: Plan, view: View) -> str:
    """Each store: its id, whether it matches the manifest, its files, unmanaged ones, its digest."""
    totals = fit_totals(total_lines(plan)[-1:], view)
    if view.quiet:
        return join_blocks([totals])
    return join_blocks([[wording.heading_line(plan.owner, plan.service)], *map(_status_lines, plan.stores), totals])


def _status_lines(store: StorePlan) -> list[str]:
    notes = Counter[NoteKind]()
    for note in store.notes:
        notes[note.kind] += note.count
    unread = notes[NoteKind.UNREAD]
    counts = count_store_changes(store)
    differ = [store_verb(store), *wording.file_parts(counts), *wording.rare_parts(counts)]
    agrees = "matches the manifest" if store.desired else wording.NOTES[NoteKind.LEFT_STORE]
    files = f"{store.live:,} live, {store.wanted:,} in the manifest"
    files += f", {notes[NoteKind.UNMANAGED] + notes[NoteKind.FOREIGN]:,} unmanaged"
    files += f", {unread:,} {wording.NOTES[NoteKind.UNREAD]}" if unread else ""
    entries = {"status": ", ".join(filter(None, differ)) or agrees, "files": files, "digest": store.digest}
    head = f"{escape_control(store.key)}  {escape_control(store.id) or 'not live'}"
    return [head, *(f"  {name:<8}{escape_control(text)}" for name, text in entries.items() if text)]


def store_verb(store: StorePlan, *, bold: bool = False) -> str:
    """What a plan does to the store itself: "store to change"; empty when it stays as it is."""
    if store.change is None:
        return ""
    text = f"store {wording.TO_DO[store.change.action]}"
    return f"**{text}**" if bold and store.change.action in _GOING else text


def report_text(report: Report, view: View) -> str:
    """A report for a terminal; `view.quiet` leaves the totals."""
    totals = fit_totals(end_lines(report), view)
    if view.quiet:
        return join_blocks([totals])
    heading = [wording.heading_line(report.plan.owner, report.plan.service)]
    middle = [already_lines(report.already, view), orphan_lines(report, view)]
    return join_blocks([heading, *show_blocks(report_blocks(report), view), *middle, totals])


def report_blocks(report: Report) -> list[StoreBlock]:
    """The outcomes of each store's changes, those that need attention first."""
    plans, ids = {store.key: store for store in report.plan.stores}, dict(report.store_ids)
    by_store: dict[str, list[Outcome]] = {key: [] for key in plans}
    for outcome in report.outcomes:
        by_store.setdefault(outcome.store, []).append(outcome)
    blocks = []
    for key, outcomes in by_store.items():
        if outcomes:
            store = plans.get(key, StorePlan(key, key))
            head = f"{escape_control(key)}  {wording.short_id(ids.get(key, store.id))}".rstrip()
            blocks.append(StoreBlock(TextLine(head, indent=0), report_rows(store, outcomes)))
    return blocks


def already_text(addresses: tuple[str, ...], view: View) -> str:
    """The changes of a saved plan that were already applied, when nothing else is left to report."""
    return join_blocks([already_lines(addresses, view)])


def already_lines(addresses: tuple[str, ...], view: View) -> list[str]:
    """How many changes of a saved plan were already applied, and the first of them."""
    if not addresses:
        return []
    shown = addresses if view.full else addresses[:_ALREADY]
    lines = [TextLine(escape_control(address)) for address in shown]
    if rest := len(addresses) - len(shown):
        lines.append(TextLine(f"and {rest:,} more"))
    were = "was" if len(addresses) == 1 else "were"
    head = f"Skipped: {count_noun(len(addresses), 'change')} of the saved plan {were} already applied."
    return [head, *([] if view.quiet else lay_out_columns(lines, view).format_lines(lines))]


def orphan_lines(report: Report, view: View) -> list[str]:
    """The uploads of this manifest that no store lists."""
    if not report.orphans:
        return []
    shown = report.orphans if view.full else report.orphans[:_ORPHANS]
    lines = []
    for orphan in shown:
        name = [escape_control(orphan.file_id), "suspected" if orphan.suspected else ""]
        lines.append(TextLine("  ".join(filter(None, name))))
        details = wrap_sentences(escape_control(orphan.detail), BELOW, view) if orphan.detail else []
        lines += [TextLine(text, indent=BELOW) for text in details]
    if rest := len(report.orphans) - len(shown):
        lines.append(TextLine(f"and {rest:,} more"))
    head = f"Orphans: {count_noun(len(report.orphans), 'upload')} that no store lists."
    return [head, *lay_out_columns(lines, view).format_lines(lines)]


def end_lines(report: Report) -> list[str]:
    """The totals, after what made the run longer or shorter than usual."""
    lines = ["Interrupted: the rest was skipped. Run the command again to continue."] if report.interrupted else []
    if report.throttled >= 1:
        lines.append(f"The service asked to slow down: nothing was sent for {format_elapsed(report.throttled)}.")
    if report.repeated:
        lines.append(f"{report.repeated:,} of {count_noun(report.requests, 'request')} had to be sent again.")
    return [*lines, apply_line(report)]


def apply_line(report: Report) -> str:
    """The totals of a report in their fixed form; rare ones only when they are not zero."""
    files = [outcome for outcome in report.outcomes if outcome.key]
    done = Counter(outcome.action for outcome in files if outcome.status is Status.DONE)
    states = Counter(outcome.status for outcome in report.outcomes)
    fixed = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE)
    actions = (*fixed, *(action for action in (Action.ADOPT, Action.CANCEL) if done[action]))
    parts = [f"{done[action]:,} {wording.DONE[action]}" for action in actions]
    parts.append(f"{states[Status.FAILED]:,} failed")
    parts += [f"{states[state]:,} {state}" for state in (Status.UNKNOWN, Status.SKIPPED) if states[state]]
    return f"Apply: {', '.join(parts)} in {format_elapsed(report.seconds)}."
