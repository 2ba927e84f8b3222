"""What became of a plan, for a terminal: what ended otherwise than planned, orphans, totals, ids, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vssync.model.plan import Action, NoteKind, StorePlan
from vssync.model.report import Audit, Orphan, Outcome, Report, Status
from vssync.planner.estimate import count_changes
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
from vssync.render.plan_lines import report_rows
from vssync.render.plan_text import join_blocks
from vssync.text import count_noun, display_width, escape_control, format_elapsed, pad_right, shorten_middle

_NAME = 8  # columns that are left of a name
_ORPHANS, _ALREADY = 40, 20  # that are listed
_NEW_IDS = 5  # of more new stores `vssync output` prints the ids


@dataclass(frozen=True, slots=True)
class NextStep:
    """A command that can be typed as it stands, and what it is for."""

    command: str
    purpose: str


def report_text(report: Report, view: View) -> str:
    """A report for a terminal, below its plan, whose rows it does not repeat unless `view.full` is set.

    `view.quiet` leaves the totals.
    """
    end = end_lines(report)
    if any(outcome.needs_attention for outcome in report.outcomes):
        end[-1] += " `vssync plan` shows what is left." if view.quiet else " The lines with ! say why."
    totals = fit_totals(end, view)
    if view.quiet:
        return join_blocks([totals])
    middle = [already_lines(report.already, view), *upload_lines(report, view)]
    closing = [*audit_lines(report.audit, view), *totals, *_id_lines(report)]
    return join_blocks([*show_blocks(report_blocks(report, full=view.full), view), *middle, closing])


def next_steps_text(steps: Sequence[NextStep], view: View) -> str:
    """Commands below each other, with what they are for where there is room for it; empty without one."""
    width = max((display_width(step.command) for step in steps), default=0)
    lines = [f"{pad_right(escape_control(step.command), width)}   {step.purpose}" for step in steps]
    if any(len("Next  ") + display_width(line) > view.width for line in lines):
        lines = [escape_control(step.command) for step in steps]
    return "\n".join(f"{'Next' if number == 0 else '':<6}{line}" for number, line in enumerate(lines))


def _id_lines(report: Report) -> list[str]:
    """The whole ids of the stores that are new, for whoever is to search them."""
    ids = dict(report.store_ids)
    new = [outcome.store for outcome in report.outcomes if outcome.creates_store and outcome.store in ids]
    if len(new) > _NEW_IDS:
        return ["`vssync output` prints the ids of the new stores."]
    return [escape_control(f"{key} is {ids[key]}") for key in new]


def report_blocks(report: Report, *, full: bool) -> list[StoreBlock]:
    """The outcomes of each store's changes that are not as planned, and what stays open; what needs attention first.

    With `full`, all outcomes.
    """
    plans, ids = {store.key: store for store in report.plan.stores}, dict(report.store_ids)
    by_store: dict[str, list[Outcome]] = {key: [] for key in plans}
    for outcome in report.outcomes:
        if full or not outcome.as_planned:
            by_store.setdefault(outcome.store, []).append(outcome)
    blocks = []
    for key, outcomes in by_store.items():
        store = plans.get(key, StorePlan(key, key))
        if rows := report_rows(store, outcomes):
            head = f"{escape_control(key)}  {wording.short_id(ids.get(key, store.id))}".rstrip()
            blocks.append(StoreBlock(TextLine(head, indent=0), rows, key=key))
    return blocks


def closing_text(report: Report, view: View) -> str:
    """What an apply that had nothing to write says below its plan; empty where there is nothing to add."""
    orphans = [] if view.quiet or not report.orphans else [orphans_head(report.orphans)]
    totals = [] if report.converged else fit_totals([apply_line(report)], view)
    return join_blocks([already_lines(report.already, view), orphans, totals])


def already_lines(addresses: tuple[str, ...], view: View) -> list[str]:
    """How many changes of a saved plan were already applied, and the first of them."""
    if not addresses:
        return []
    shown = addresses if view.full else addresses[:_ALREADY]
    lines = [TextLine(escape_control(address)) for address in shown]
    if rest := len(addresses) - len(shown):
        lines.append(TextLine(f"and {rest:,} more"))
    return [already_head(addresses), *([] if view.quiet else lay_out_columns(lines, view).format_lines(lines))]


def already_head(addresses: Sequence[str]) -> str:
    were = "was" if len(addresses) == 1 else "were"
    return f"Skipped: {count_noun(len(addresses), 'change')} of the saved plan {were} already applied."


def upload_lines(report: Report, view: View) -> list[list[str]]:
    """A block each of the uploads that no store lists, and of those that stay because others hold them."""
    return [_list_uploads(head, uploads, view) for head, uploads in upload_lists(report)]


def upload_lists(report: Report) -> list[tuple[str, Sequence[Orphan]]]:
    held = f"Kept: {count_noun(len(report.held), 'upload')} that stores of others hold."
    others = report.left
    left = f"Kept: {count_noun(len(others), 'upload')} that this manifest did not make."
    lists = ((orphans_head(report.orphans), report.orphans), (held, report.held), (left, others))
    return [(head, uploads) for head, uploads in lists if uploads]


def orphans_head(orphans: Sequence[Orphan]) -> str:
    command = f"vssync gc{' --suspected' if any(orphan.suspected for orphan in orphans) else ''}"
    return f"Orphans: {count_noun(len(orphans), 'upload')} that no store lists. See `{command}`."


def _list_uploads(head: str, uploads: Sequence[Orphan], view: View) -> list[str]:
    shown = uploads if view.full else uploads[:_ORPHANS]
    lines = []
    for upload in shown:
        name = [escape_control(upload.file_id), "suspected" if upload.suspected else ""]
        lines.append(TextLine("  ".join(filter(None, name))))
        details = wrap_sentences(escape_control(upload.detail), BELOW, view) if upload.detail else []
        lines += [TextLine(text, indent=BELOW) for text in details]
    if rest := len(uploads) - len(shown):
        lines.append(TextLine(f"and {rest:,} more"))
    return [head, *lay_out_columns(lines, view).format_lines(lines)]


def end_lines(report: Report) -> list[str]:
    """The totals, after what made the run longer or shorter than usual."""
    lines = ["Interrupted: the rest was skipped. Run the command again to continue."] if report.interrupted else []
    if report.throttled >= 1:
        lines.append(f"The service asked to slow down: nothing was sent for {format_elapsed(report.throttled)}.")
    if report.repeated:
        lines.append(f"{report.repeated:,} of {count_noun(report.requests, 'request')} had to be sent again.")
    if scope := wording.scope_text(report.plan):
        lines.append(f"Scope: {scope}.")
    return [*lines, apply_line(report)]


def audit_lines(audit: Audit, view: View) -> list[str]:
    """When, of which commit and by whom something was applied, with which version, which plan, and in which CI run.

    A name is cut to what the line has room for.
    """
    parts, run = wording.audit_parts(audit), [f"Run: {escape_control(audit.run_url)}"] if audit.run_url else []
    excess, name = display_width("; ".join(parts)) - view.width, escape_control(audit.stamp.actor)
    if excess > 0 and not view.full:
        cut = shorten_middle(name, max(_NAME, display_width(name) - excess))
        parts = wording.audit_parts(replace(audit, stamp=replace(audit.stamp, actor=cut)))
    return [*(wrap_sentences("; ".join(parts), 0, view) if parts else []), *run]


def apply_line(report: Report) -> str:
    return f"Apply: {', '.join(apply_parts(report))} in {format_elapsed(report.seconds)}."


def apply_parts(report: Report) -> list[str]:
    """The parts of that line: "3 added"; rare ones only when they are not zero."""
    batches = {batch.id for store in report.plan.stores for batch in store.batches}
    all_done = [outcome for outcome in report.outcomes if outcome.status is Status.DONE and not outcome.already]
    already = [outcome for outcome in report.outcomes if outcome.already]
    done = Counter(outcome.action for outcome in all_done if outcome.key and outcome.key not in batches)
    stores = Counter(outcome.action for outcome in all_done if not outcome.key)
    cancelled = sum(outcome.key in batches and outcome.action is Action.CANCEL for outcome in all_done)
    states = Counter(outcome.status for outcome in report.outcomes)
    fixed = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE)
    actions = (*fixed, *(action for action in (Action.ADOPT, Action.AWAIT) if done[action]))
    parts = [f"{done[action]:,} {wording.DONE[action]}" for action in actions]
    made = wording.DONE | {Action.CREATE: "created"}
    parts += [f"{count_noun(count, 'store')} {made[action]}" for action, count in sorted(stores.items())]
    joined = sum(not outcome.key for outcome in already)
    parts += [f"{count_noun(joined, 'store')} joined"] if joined else []
    parts += [f"{len(already) - joined:,} already there"] if len(already) > joined else []
    parts += [f"{count_noun(cancelled, 'batch')} {wording.DONE[Action.CANCEL]}"] if cancelled else []
    parts.append(f"{states[Status.FAILED]:,} failed")
    rare = (Status.UNKNOWN, Status.DOUBLED, Status.SKIPPED)
    parts += [f"{states[state]:,} {state}" for state in rare if states[state]]
    parts += [f"{report.uncompared:,} {wording.NOTES[NoteKind.UNCOMPARED]}"] if report.uncompared else []
    return parts + wording.open_parts(count_changes(*report.plan.stores))
