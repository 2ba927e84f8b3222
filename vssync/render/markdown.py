"""A plan and a report as a comment on a pull request, and, with `view.full`, as a job's summary.

Totals come first, then what a reviewer must not miss: refusals, failures, deletions. Names come last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain

from vssync.model.plan import Action, Plan, StorePlan
from vssync.model.report import Report
from vssync.planner.estimate import count_changes
from vssync.render import plan_text, wording
from vssync.render.layout import (
    ALL,
    StoreBlock,
    TextLine,
    View,
    by_folder,
    fit_blocks,
    group_lines,
    lay_out_columns,
    tally_blocks,
)
from vssync.render.plan_lines import PlanRow
from vssync.render.report import already_lines, apply_line, end_lines, report_blocks, upload_lines
from vssync.text import count_noun, escape_ci_commands, escape_control, shorten_middle

_COMMENT, _SUMMARY = 65_000, 1_000_000  # bytes; GitHub takes 65,536 characters, and 1 MiB for a job's summary
_WIDTH = 100
_NAMES = 200
_STORES, _FOLDERS = 100, 20
_UNFOLDED = 20  # stores: a longer table would push what follows out of sight
_OPEN = 40  # so few rows need not be unfolded


def plan_markdown(plan: Plan, view: View, preface: Sequence[MarkdownBlock] = ()) -> str:
    """A plan for reviewers, under 65,536 characters, or under a mebibyte with `view.full`.

    After a preface, the last line of the totals comes first, its deletions in bold; the others stand below it.
    """
    view = replace(view, width=_WIDTH, color=False)
    *others, last = plan_text.total_lines(plan, bold=True)
    totals = "\n\n".join([last, "<br>\n".join([*others, *plan_text.legend(plan)])]).strip()
    refusals = plan_text.refusal_lines(plan)[1:]
    blocks = [
        *preface,
        MarkdownBlock(totals),
        *([fenced_block(refusals, before="**Refused: nothing will be written.**\n\n")] if refusals else []),
        *_table_blocks(plan, full=view.full),
        *_deletion_blocks(plan),
        *(fenced_block(lines) for lines in plan_text.batch_blocks(plan, view)),
    ]
    return _document("plan", plan, blocks, plan_text.plan_blocks(plan, full=view.full), view)


def report_markdown(report: Report, view: View) -> str:
    """A report for those who approved the plan, under the same limits."""
    view = replace(view, width=_WIDTH, color=False)
    stores = report_blocks(report)
    failed = [(block.head, tuple(row for row in block.rows if row.sign == "!")) for block in stores]
    lines = _fitted_lines([StoreBlock(head, rows) for head, rows in failed if rows], view)
    lists = [already_lines(report.already, view), *upload_lines(report, view)]
    blocks = [
        MarkdownBlock("\n\n".join([*end_lines(report)[:-1], f"**{apply_line(report)}**"])),
        *([fenced_block(lines, before="**Not done:**\n\n")] if lines else []),
        *(fenced_block(lines) for lines in lists if lines),
    ]
    return _document("report", report.plan, blocks, stores, view)


def _document(kind: str, plan: Plan, blocks: list[MarkdownBlock], stores: list[StoreBlock], view: View) -> str:
    """The blocks that fit below a title, then the stores' rows; those that do not fit are not even laid out."""
    heading = inline_code(wording.heading_line(plan.owner, plan.service))
    title = MarkdownBlock(f"{comment_marker(kind, plan.owner)}\n### vssync {kind}: {heading}")
    all_blocks = chain([title], blocks, _fold_blocks(stores, view))
    return escape_ci_commands(join_markdown(all_blocks, _SUMMARY if view.full else _COMMENT))


def _fitted_lines(blocks: list[StoreBlock], view: View) -> list[str]:
    lines = [line for block in fit_blocks(blocks, view) for line in block]
    return lay_out_columns(lines, view).format_lines(lines)


def _table_blocks(plan: Plan, *, full: bool) -> list[MarkdownBlock]:
    """The stores with something to show, folded away when many; of very many, those with most deletions first."""
    stores = plan_text.stores_to_show(plan, full=full)
    quiet = [MarkdownBlock(line) for line in plan_text.quiet_lines(plan, full=full)]
    if len(stores) > _STORES:
        stores = sorted(stores, key=lambda store: -count_changes(store).delete)
    rows = [
        _table_row(inline_code(store.key), inline_code(wording.place_of(store, id, created="to be created")), (store,))
        for store, id in ((store, wording.short_id(store.id)) for store in stores[:_STORES])
    ]
    if rest := stores[_STORES:]:
        rows.append(_table_row(f"and {count_noun(len(rest), 'more store')}", "", tuple(rest)))
    head = "| store | id | to add | to change | to replace | to delete | also | unchanged |"
    head += "\n|---|---|--:|--:|--:|--:|---|--:|"
    if len(rows) <= _UNFOLDED:
        return [*([MarkdownBlock(head, tuple(rows))] if rows else []), *quiet]
    summary = f"<details><summary>{count_noun(len(stores), 'store')}</summary>\n\n"
    return [MarkdownBlock(summary + head, tuple(rows), "\n</details>"), *quiet]


def _table_row(name: str, id: str, stores: tuple[StorePlan, ...]) -> str:
    counts = count_changes(*stores)
    delete = f"**{counts.delete:,}**" if counts.delete else "0"
    files = [f"{counts.add:,}", f"{counts.change:,}", f"{counts.replace:,}", delete]
    own = [plan_text.store_verb(store, bold=True) for store in stores[:1] if len(stores) == 1]
    left_out = sum(len(keys) for store in stores for keys in store.left_out.values())
    omitted = [f"{left_out:,} left out"] if left_out else []
    also = ", ".join(filter(None, [*own, *wording.rare_parts(counts), *omitted]))
    return f"| {' | '.join([name, id, *files, also, f'{counts.unchanged:,}'])} |"


def _deletion_blocks(plan: Plan) -> list[MarkdownBlock]:
    """The files to delete, by store and folder."""
    by_store = [
        (store, [PlanRow("-", escape_control(file.key), "") for file in store.files if file.action is Action.DELETE])
        for store in plan.stores
    ]
    going = sorted(((store, rows) for store, rows in by_store if rows), key=lambda entry: -len(entry[1]))
    if not going:
        return []
    lines = []
    for store, rows in going[:_STORES]:
        lines.append(TextLine(escape_control(store.key), right=count_noun(len(rows), "file"), indent=0))
        folders = by_folder(rows, _FOLDERS if len(going) <= 5 else 3)
        lines += [TextLine(name or "./", right=count_noun(count, "file"), indent=2) for name, count in folders]
    if rest := going[_STORES:]:
        files = sum(len(rows) for _, rows in rest)
        lines.append(TextLine(f"and {count_noun(len(rest), 'more store')}", right=count_noun(files, "file"), indent=0))
    total = sum(len(rows) for _, rows in going)
    shown = lay_out_columns(lines, View(width=_WIDTH)).format_lines(lines)
    return [fenced_block(shown, before=f"**{count_noun(total, 'file')} to delete:**\n\n")]


def _fold_blocks(blocks: list[StoreBlock], view: View) -> Iterator[MarkdownBlock]:
    """Every row, store by store, while there are few; otherwise a summary and the first names."""
    total = sum(len(block.rows) for block in blocks)
    if total <= _NAMES or view.full:
        for block in filter(lambda block: block.rows, blocks):
            lines = group_lines(block.rows, ALL, view)
            # A diff's colours need the sign at the very left.
            shown = [line[2:] for line in lay_out_columns(lines, view).format_lines(lines)]
            summary = f"{inline_code(block.head.left)}: {tally_blocks([block])}".removesuffix(": ")
            yield details_block(summary, shown, opened=total <= _OPEN)
        return
    yield details_block("By store, reason and folder", _fitted_lines(blocks, view))
    signed = [(row.sign, block.head.left.split("  ")[0], row.key) for block in blocks for row in block.rows if row.sign]
    signed.sort(key=lambda row: row[0] not in ("!", "-"))
    names = [f"{sign:<3} {shorten_middle(f'{store}/{key}', 2 * _WIDTH)}" for sign, store, key in signed[:_NAMES]]
    yield details_block(f"The first {len(names):,} of {total:,}, deletions first", names)


@dataclass(frozen=True, slots=True)
class MarkdownBlock:
    """Lines between an opening and a closing; only lines are ever cut."""

    before: str
    lines: tuple[str, ...] = ()
    after: str = ""

    def to_text(self) -> str:
        return "\n".join([*filter(None, [self.before]), *self.lines, *filter(None, [self.after])])

    def truncate(self, room: int) -> MarkdownBlock | None:
        """The block in at most `room` bytes, saying how many lines are missing; None when not even one fits."""
        if _size_in_bytes(self.to_text()) <= room:
            return self
        least = MarkdownBlock(self.before, (_missing_lines(len(self.lines)),), self.after)
        left = room - _size_in_bytes(least.to_text()) - 1
        fitting = sum(used <= left for used in accumulate(_size_in_bytes(line) + 1 for line in self.lines))
        lines = (*self.lines[:fitting], _missing_lines(len(self.lines) - fitting))
        return MarkdownBlock(self.before, lines, self.after) if fitting else None


def join_markdown(blocks: Iterable[MarkdownBlock], room: int) -> str:
    """The blocks in at most `room` bytes, an empty line between them; the first ones are the last to be cut."""
    end = MarkdownBlock("Truncated: `vssync plan --full` shows everything.")
    room -= _size_in_bytes(end.to_text()) + 2
    texts: list[str] = []
    for block in blocks:
        cut = block.truncate(room)
        if cut is None:
            return "\n\n".join([*texts, end.to_text()])
        texts.append(cut.to_text())
        room -= _size_in_bytes(texts[-1]) + 2
    return "\n\n".join(texts)


def _missing_lines(lines: int) -> str:
    return f"... and {count_noun(lines, 'more line')}"


def _size_in_bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def fenced_block(lines: list[str], language: str = "text", *, before: str = "", after: str = "") -> MarkdownBlock:
    """Lines as a block of code, behind a fence that none of them can close."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return MarkdownBlock(f"{before}{fence}{language}", tuple(lines), fence + after)


def details_block(summary: str, lines: list[str], *, opened: bool = False) -> MarkdownBlock:
    """Lines below a summary that a reader opens; `summary` is HTML."""
    start = f"<details{' open' if opened else ''}><summary>{summary}</summary>\n\n"
    return fenced_block(lines, "diff", before=start, after="\n\n</details>")


def inline_code(text: str) -> str:
    """A foreign text as inline code in a table, a paragraph or HTML; punctuation becomes entities."""
    safe = (char if char.isalnum() or char in " ,-" else f"&#{ord(char)};" for char in escape_control(text))
    return f"<code>{''.join(safe)}</code>"


def comment_marker(kind: str, owner: str) -> str:
    """A hidden line by which a later run finds the comment it should replace."""
    return f"<!-- vssync:{kind}:{re.sub('[^A-Za-z0-9._/-]|-(?=-)', '_', owner)} -->"
