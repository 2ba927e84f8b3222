"""What became of a plan, as a terminal shows it: the plan's rows with their outcome, orphans, one line of totals."""

from __future__ import annotations

from collections import Counter

from vssync.plan import Action
from vssync.plan import StorePlan as Store
from vssync.render import words
from vssync.render.blocks import Block, show
from vssync.render.layout import BELOW, KEY, Line, columns, fitted, sentences
from vssync.render.rows import outcomes_by_store, report_rows
from vssync.render.text import joined
from vssync.render.view import View
from vssync.report import Orphan, Report, Status

_ORPHANS, _ALREADY = 40, 20


def report_text(report: Report, view: View) -> str:
    """A report for a terminal; `view.quiet` leaves the totals."""
    if view.quiet:
        return joined([fitted(end_lines(report), view)])
    heading = words.heading(report.plan.owner, report.plan.service)
    return joined(
        [
            [heading],
            *show(report_blocks(report), view),
            already_lines(report.already, view),
            orphan_lines(report, view),
            fitted(end_lines(report), view),
        ]
    )


def report_blocks(report: Report) -> list[Block]:
    """What became of each store's changes, those that need a person first."""
    plans, ids = {store.key: store for store in report.plan.stores}, dict(report.store_ids)
    blocks = []
    for key, outcomes in outcomes_by_store(report).items():
        if outcomes:
            store = plans.get(key, Store(key, key))
            head = f"{words.clean(key)}  {words.short_id(ids.get(key, store.id))}".rstrip()
            blocks.append(Block(Line(head, indent=0), report_rows(store, outcomes)))
    return blocks


def already_text(addresses: tuple[str, ...], view: View) -> str:
    """What of a saved plan was not needed any more, where nothing else is left to report."""
    return joined([already_lines(addresses, view)])


def already_lines(addresses: tuple[str, ...], view: View) -> list[str]:
    """How many changes of a saved plan were skipped because it is so already, and the first of them."""
    if not addresses:
        return []
    shown = addresses if view.full else addresses[:_ALREADY]
    lines = [Line(words.clean(address)) for address in shown]
    if rest := len(addresses) - len(shown):
        lines.append(Line(f"and {rest:,} more"))
    are = "is" if len(addresses) == 1 else "are"
    head = f"Skipped: {words.number(len(addresses), 'change')} of the saved plan {are} already so."
    return [head, *([] if view.quiet else columns(lines, view).show(lines))]


def orphan_lines(report: Report, view: View) -> list[str]:
    """The uploads of ours that no store lists."""
    if not report.orphans:
        return []
    shown = report.orphans if view.full else report.orphans[:_ORPHANS]
    lines = [line for orphan in shown for line in _orphan(orphan, view)]
    if rest := len(report.orphans) - len(shown):
        lines.append(Line(f"and {rest:,} more"))
    head = f"Orphans: {words.number(len(report.orphans), 'upload')} that no store lists."
    return [head, *columns(lines, view).show(lines)]


def _orphan(orphan: Orphan, view: View) -> list[Line]:
    head = "  ".join(filter(None, [words.clean(orphan.file_id), "suspected" if orphan.suspected else ""]))
    said = sentences(words.clean(orphan.detail), BELOW, view) if orphan.detail else []
    return [Line(head, indent=KEY), *(Line(text, indent=BELOW) for text in said)]


def end_lines(report: Report) -> list[str]:
    """That the run was interrupted, held back or had to send again, if it was so, and what it came to."""
    broken = (
        ["Interrupted: what was not reached is skipped. Run the command again to go on."] if report.interrupted else []
    )
    held = [f"The service asked to slow down: for {words.elapsed(report.throttled)} nothing was sent."]
    sent = [f"{report.repeated:,} of {words.number(report.requests, 'request')} had to be sent again."]
    return [*broken, *(held if report.throttled >= 1 else []), *(sent if report.repeated else []), apply_line(report)]


def apply_line(report: Report) -> str:
    """The totals of a report in their fixed form; what is rare is named only when there is some."""
    files = [outcome for outcome in report.outcomes if outcome.key]
    done = Counter(outcome.action for outcome in files if outcome.status is Status.DONE)
    states = Counter(outcome.status for outcome in report.outcomes)
    fixed = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.DELETE)
    rare = (Action.ADOPT, Action.CANCEL)
    parts = [f"{done[action]:,} {words.DONE[action]}" for action in fixed]
    parts += [f"{done[action]:,} {words.DONE[action]}" for action in rare if done[action]]
    parts.append(f"{states[Status.FAILED]:,} failed")
    parts += [f"{states[state]:,} {state}" for state in (Status.UNKNOWN, Status.SKIPPED) if states[state]]
    return f"Apply: {', '.join(parts)} in {words.elapsed(report.seconds)}."
