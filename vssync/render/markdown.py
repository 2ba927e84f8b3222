"""A plan and a report as a comment on a pull request, and, with `view.full`, as a job's summary.

Totals come first, then what a reviewer must not miss: refusals, failures, deletions. Names come last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from vssync.cost import store_counts
from vssync.plan import Action, Plan
from vssync.plan import StorePlan as Store
from vssync.render import words
from vssync.render.blocks import Block, fitting, tally
from vssync.render.groups import ALL, by_folder, lines_of
from vssync.render.layout import Line, columns
from vssync.render.pieces import Piece, assemble, code, fenced, folded, marker
from vssync.render.reported import already_lines, apply_line, end_lines, orphan_lines, report_blocks
from vssync.render.rows import Row
from vssync.render.text import batch_blocks, legend, plan_blocks, refusal_lines, shown_stores, store_verb, total_lines
from vssync.render.view import View
from vssync.report import Report

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
            Piece(_totals(plan)),
            *_refused(plan),
            *_table(plan),
            *_deletions(plan),
            *(fenced(lines) for lines in batch_blocks(plan, view)),
        ],
        _folds(plan_blocks(plan), view),
        view,
    )


def report_markdown(report: Report, view: View) -> str:
    """A report for those who approved the plan, under the same limits."""
    view = replace(view, width=_WIDTH, color=False)
    blocks, orphans = report_blocks(report), orphan_lines(report, view)
    failed = [
        Block(block.head, rows) for block in blocks if (rows := tuple(row for row in block.rows if row.sign == "!"))
    ]
    lines = [line for block in fitting(failed, view) for line in block]
    return _whole(
        [
            _title("report", report.plan),
            Piece("\n\n".join([*end_lines(report)[:-1], f"**{apply_line(report)}**"])),
            *([fenced(columns(lines, view).show(lines), before="**Not done:**\n\n")] if lines else []),
            *([fenced(already)] if (already := already_lines(report.already, view)) else []),
            *([fenced(orphans)] if orphans else []),
        ],
        _folds(blocks, view),
        view,
    )


def _whole(first: list[Piece], folds: Iterator[Piece], view: View) -> str:
    """The pieces that fit; rows nobody will see are not even laid out."""
    return words.tame(assemble(chain(first, folds), _SUMMARY if view.full else _COMMENT))


def _title(kind: str, plan: Plan) -> Piece:
    return Piece(f"{marker(kind, plan.owner)}\n### vssync {kind}: {code(words.heading(plan.owner, plan.service))}")


def _totals(plan: Plan) -> str:
    """The last line of the text first, its deletions in bold; the other totals below it."""
    *others, last = total_lines(plan, bold=True)
    return "\n\n".join([last, "<br>\n".join([*others, *legend(plan)])]).strip()


def _refused(plan: Plan) -> list[Piece]:
    lines = refusal_lines(plan)
    return [fenced(lines[1:], before="**Refused: nothing will be written.**\n\n")] if lines else []


def _table(plan: Plan) -> list[Piece]:
    """The stores with something to show, folded away when many; of very many, those with most deletions first."""
    stores = shown_stores(plan)
    if len(stores) > _STORES:
        stores = sorted(stores, key=lambda store: -store_counts(store).delete)
    rows = [
        _cells(code(store.key), code(words.short_id(store.id) or "to be created"), (store,))
        for store in stores[:_STORES]
    ]
    if rest := stores[_STORES:]:
        rows.append(_cells(f"and {words.number(len(rest), 'more store')}", "", tuple(rest)))
    head = "| store | id | to add | to change | to replace | to delete | also | unchanged |"
    head += "\n|---|---|--:|--:|--:|--:|---|--:|"
    if len(rows) <= _UNFOLDED:
        return [Piece(head, tuple(rows))] if rows else []
    summary = f"<details><summary>{words.number(len(stores), 'store')}</summary>\n\n"
    return [Piece(summary + head, tuple(rows), "\n</details>")]


def _cells(name: str, id: str, stores: tuple[Store, ...]) -> str:
    found = store_counts(*stores)
    delete = f"**{found.delete:,}**" if found.delete else "0"
    files = [f"{found.add:,}", f"{found.change:,}", f"{found.replace:,}", delete]
    own = [store_verb(store, bold=True) for store in stores[:1] if len(stores) == 1]
    also = ", ".join(filter(None, [*own, *words.rare_parts(found)]))
    return f"| {' | '.join([name, id, *files, also, f'{found.unchanged:,}'])} |"


def _deletions(plan: Plan) -> list[Piece]:
    """What goes, by store and folder."""
    going = [(store, rows) for store in plan.stores if (rows := _deleted(store))]
    if not going:
        return []
    going.sort(key=lambda store: -len(store[1]))
    folders = _FOLDERS if len(going) <= 5 else 3
    lines = [line for store, rows in going[:_STORES] for line in _deletion(store, rows, folders)]
    if rest := going[_STORES:]:
        files = sum(len(rows) for _, rows in rest)
        lines.append(Line(f"and {words.number(len(rest), 'more store')}", right=words.number(files, "file"), indent=0))
    total = sum(len(rows) for _, rows in going)
    shown = columns(lines, View(width=_WIDTH)).show(lines)
    return [fenced(shown, before=f"**{words.number(total, 'file')} to delete:**\n\n")]


def _deleted(store: Store) -> list[Row]:
    return [Row("-", words.clean(change.key), "") for change in store.files if change.action is Action.DELETE]


def _deletion(store: Store, rows: list[Row], folders: int) -> list[Line]:
    head = Line(words.clean(store.key), right=words.number(len(rows), "file"), indent=0)
    entries = by_folder(rows, folders)
    return [head, *(Line(name or "./", right=words.number(count, "file"), indent=2) for name, count in entries)]


def _folds(blocks: list[Block], view: View) -> Iterator[Piece]:
    """Every row, store by store, while there are few; otherwise a summary and the first names."""
    total = sum(len(block.rows) for block in blocks)
    if total <= _NAMES or view.full:
        yield from (_fold(block, view, opened=total <= _OPEN) for block in blocks if block.rows)
        return
    lines = [line for block in fitting(blocks, view) for line in block]
    yield folded("By store, reason and folder", columns(lines, view).show(lines))
    names = _names(blocks)
    yield folded(f"The first {len(names):,} of {total:,}, deletions first", names)


def _fold(block: Block, view: View, *, opened: bool) -> Piece:
    lines = lines_of(block.rows, ALL, view)
    # A diff's colours need the sign at the very left.
    shown = [line[2:] for line in columns(lines, view).show(lines)]
    return folded(f"{code(block.head.left)}: {tally([block])}".removesuffix(": "), shown, opened=opened)


def _names(blocks: list[Block]) -> list[str]:
    rows = [
        (row.sign, f"{block.head.left.split('  ')[0]}/{row.key}") for block in blocks for row in block.rows if row.sign
    ]
    rows.sort(key=lambda row: row[0] not in ("!", "-"))
    return [f"{sign:<3} {words.shorten(name, 2 * _WIDTH)}" for sign, name in rows[:_NAMES]]
