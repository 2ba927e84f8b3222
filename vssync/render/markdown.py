"""A plan and a report as a comment on a pull request, and, with `view.full`, as a job's summary.

Totals come first, then what a reviewer must not miss: refusals, failures, deletions. Names come last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, chain

from vssync.model.plan import Action, Plan, Report
from vssync.model.plan import StorePlan as Store
from vssync.planner.estimate import count_store_changes
from vssync.render import wording
from vssync.render.escape import escape_ci_commands
from vssync.render.groups import ALL, StoreBlock, by_folder, fit_blocks, group_lines, tally_blocks
from vssync.render.layout import TextLine, View, lay_out_columns
from vssync.render.plan_text import (
    batch_blocks,
    legend,
    plan_blocks,
    refusal_lines,
    store_verb,
    stores_to_show,
    total_lines,
)
from vssync.render.report import already_lines, apply_line, end_lines, orphan_lines, report_blocks
from vssync.render.rows import PlanRow
from vssync.text import count_noun, escape_control, shorten_middle

_COMMENT, _SUMMARY = 65_000, 1_000_000  # bytes; GitHub takes 65,536 characters, and 1 MiB for a job's summary
_WIDTH = 100
_NAMES = 200
_STORES, _FOLDERS = 100, 20
_UNFOLDED = 20  # stores: a longer table would push what follows out of sight
_OPEN = 40  # so few rows need not be unfolded


def plan_markdown(plan: Plan, view: View) -> str:
    """A plan for reviewers, under 65,536 characters, or under a mebibyte with `view.full`."""
    view = replace(view, width=_WIDTH, color=False)
    return _whole(
        [
            _title("plan", plan),
            MarkdownPiece(_totals(plan)),
            *_refused(plan),
            *_table(plan),
            *_deletions(plan),
            *(fenced_block(lines) for lines in batch_blocks(plan, view)),
        ],
        _folds(plan_blocks(plan), view),
        view,
    )


def report_markdown(report: Report, view: View) -> str:
    """A report for those who approved the plan, under the same limits."""
    view = replace(view, width=_WIDTH, color=False)
    blocks, orphans = report_blocks(report), orphan_lines(report, view)
    failed = [
        StoreBlock(block.head, rows)
        for block in blocks
        if (rows := tuple(row for row in block.rows if row.sign == "!"))
    ]
    lines = [line for block in fit_blocks(failed, view) for line in block]
    return _whole(
        [
            _title("report", report.plan),
            MarkdownPiece("\n\n".join([*end_lines(report)[:-1], f"**{apply_line(report)}**"])),
            *([fenced_block(lay_out_columns(lines, view).show(lines), before="**Not done:**\n\n")] if lines else []),
            *([fenced_block(already)] if (already := already_lines(report.already, view)) else []),
            *([fenced_block(orphans)] if orphans else []),
        ],
        _folds(blocks, view),
        view,
    )


def _whole(first: list[MarkdownPiece], folds: Iterator[MarkdownPiece], view: View) -> str:
    """The pieces that fit; rows nobody will see are not even laid out."""
    return escape_ci_commands(assemble_pieces(chain(first, folds), _SUMMARY if view.full else _COMMENT))


def _title(kind: str, plan: Plan) -> MarkdownPiece:
    heading = inline_code(wording.heading_line(plan.owner, plan.service))
    return MarkdownPiece(f"{comment_marker(kind, plan.owner)}\n### vssync {kind}: {heading}")


def _totals(plan: Plan) -> str:
    """The last line of the text first, its deletions in bold; the other totals below it."""
    *others, last = total_lines(plan, bold=True)
    return "\n\n".join([last, "<br>\n".join([*others, *legend(plan)])]).strip()


def _refused(plan: Plan) -> list[MarkdownPiece]:
    lines = refusal_lines(plan)
    return [fenced_block(lines[1:], before="**Refused: nothing will be written.**\n\n")] if lines else []


def _table(plan: Plan) -> list[MarkdownPiece]:
    """The stores with something to show, folded away when many; of very many, those with most deletions first."""
    stores = stores_to_show(plan)
    if len(stores) > _STORES:
        stores = sorted(stores, key=lambda store: -count_store_changes(store).delete)
    rows = [
        _cells(inline_code(store.key), inline_code(wording.short_id(store.id) or "to be created"), (store,))
        for store in stores[:_STORES]
    ]
    if rest := stores[_STORES:]:
        rows.append(_cells(f"and {count_noun(len(rest), 'more store')}", "", tuple(rest)))
    head = "| store | id | to add | to change | to replace | to delete | also | unchanged |"
    head += "\n|---|---|--:|--:|--:|--:|---|--:|"
    if len(rows) <= _UNFOLDED:
        return [MarkdownPiece(head, tuple(rows))] if rows else []
    summary = f"<details><summary>{count_noun(len(stores), 'store')}</summary>\n\n"
    return [MarkdownPiece(summary + head, tuple(rows), "\n</details>")]


def _cells(name: str, id: str, stores: tuple[Store, ...]) -> str:
    found = count_store_changes(*stores)
    delete = f"**{found.delete:,}**" if found.delete else "0"
    files = [f"{found.add:,}", f"{found.change:,}", f"{found.replace:,}", delete]
    own = [store_verb(store, bold=True) for store in stores[:1] if len(stores) == 1]
    also = ", ".join(filter(None, [*own, *wording.rare_parts(found)]))
    return f"| {' | '.join([name, id, *files, also, f'{found.unchanged:,}'])} |"


def _deletions(plan: Plan) -> list[MarkdownPiece]:
    """What goes, by store and folder."""
    going = [(store, rows) for store in plan.stores if (rows := _deleted(store))]
    if not going:
        return []
    going.sort(key=lambda store: -len(store[1]))
    folders = _FOLDERS if len(going) <= 5 else 3
    lines = [line for store, rows in going[:_STORES] for line in _deletion(store, rows, folders)]
    if rest := going[_STORES:]:
        files = sum(len(rows) for _, rows in rest)
        lines.append(TextLine(f"and {count_noun(len(rest), 'more store')}", right=count_noun(files, "file"), indent=0))
    total = sum(len(rows) for _, rows in going)
    shown = lay_out_columns(lines, View(width=_WIDTH)).show(lines)
    return [fenced_block(shown, before=f"**{count_noun(total, 'file')} to delete:**\n\n")]


def _deleted(store: Store) -> list[PlanRow]:
    return [PlanRow("-", escape_control(change.key), "") for change in store.files if change.action is Action.DELETE]


def _deletion(store: Store, rows: list[PlanRow], folders: int) -> list[TextLine]:
    head = TextLine(escape_control(store.key), right=count_noun(len(rows), "file"), indent=0)
    entries = by_folder(rows, folders)
    return [head, *(TextLine(name or "./", right=count_noun(count, "file"), indent=2) for name, count in entries)]


def _folds(blocks: list[StoreBlock], view: View) -> Iterator[MarkdownPiece]:
    """Every row, store by store, while there are few; otherwise a summary and the first names."""
    total = sum(len(block.rows) for block in blocks)
    if total <= _NAMES or view.full:
        yield from (_fold(block, view, opened=total <= _OPEN) for block in blocks if block.rows)
        return
    lines = [line for block in fit_blocks(blocks, view) for line in block]
    yield details_block("By store, reason and folder", lay_out_columns(lines, view).show(lines))
    names = _names(blocks)
    yield details_block(f"The first {len(names):,} of {total:,}, deletions first", names)


def _fold(block: StoreBlock, view: View, *, opened: bool) -> MarkdownPiece:
    lines = group_lines(block.rows, ALL, view)
    # A diff's colours need the sign at the very left.
    shown = [line[2:] for line in lay_out_columns(lines, view).show(lines)]
    return details_block(
        f"{inline_code(block.head.left)}: {tally_blocks([block])}".removesuffix(": "), shown, opened=opened
    )


def _names(blocks: list[StoreBlock]) -> list[str]:
    rows = [
        (row.sign, f"{block.head.left.split('  ')[0]}/{row.key}") for block in blocks for row in block.rows if row.sign
    ]
    rows.sort(key=lambda row: row[0] not in ("!", "-"))
    return [f"{sign:<3} {shorten_middle(name, 2 * _WIDTH)}" for sign, name in rows[:_NAMES]]


@dataclass(frozen=True, slots=True)
class MarkdownPiece:
    """Lines between an opening and a closing; only lines are ever cut."""

    before: str
    lines: tuple[str, ...] = ()
    after: str = ""

    def text(self) -> str:
        return "\n".join([*filter(None, [self.before]), *self.lines, *filter(None, [self.after])])

    def cut(self, room: int) -> MarkdownPiece | None:
        """The piece in at most `room` bytes, saying how many lines are missing; None when not even one fits."""
        if _bytes(self.text()) <= room:
            return self
        left = room - _bytes(MarkdownPiece(self.before, (_missing(len(self.lines)),), self.after).text()) - 1
        kept = sum(used <= left for used in accumulate(_bytes(line) + 1 for line in self.lines))
        lines = (*self.lines[:kept], _missing(len(self.lines) - kept))
        return MarkdownPiece(self.before, lines, self.after) if kept else None


def assemble_pieces(pieces: Iterable[MarkdownPiece], room: int) -> str:
    """The pieces in at most `room` bytes, an empty line between them; the first ones are the last to be cut."""
    end = MarkdownPiece("Cut here: there is no room for more. `vssync plan --full` shows all.")
    room -= _bytes(end.text()) + 2
    texts: list[str] = []
    for piece in pieces:
        cut = piece.cut(room)
        if cut is None:
            return "\n\n".join([*texts, end.text()])
        texts.append(cut.text())
        room -= _bytes(texts[-1]) + 2
    return "\n\n".join(texts)


def _missing(lines: int) -> str:
    return f"... and {count_noun(lines, 'more line')}"


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def fenced_block(lines: list[str], language: str = "text", *, before: str = "", after: str = "") -> MarkdownPiece:
    """Lines as a block of code, behind a fence that none of them can close."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return MarkdownPiece(f"{before}{fence}{language}", tuple(lines), fence + after)


def details_block(summary: str, lines: list[str], *, opened: bool = False) -> MarkdownPiece:
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
