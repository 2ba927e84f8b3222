"""The table of stores in a comment: what becomes of the files of each, those with most deletions first."""

from __future__ import annotations

from dataclasses import dataclass

from vssync.model.plan import StorePlan
from vssync.planner.against import LeftOut
from vssync.planner.estimate import count_changes
from vssync.render import plan_text, wording
from vssync.render.markdown import MarkdownBlock, short_code, table_line
from vssync.text import count_noun

_STORES = 100
_UNFOLDED = 20  # stores: a longer table would push what follows out of sight
_RARE = ("also", "left out")  # columns that are shown where they say something
_LEGEND = "\nSigns: - delete, +/- replace, ~ change, + add."


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A row of the table: a store, and what it left out before, where that changed."""

    name: str
    store: StorePlan
    before: LeftOut | None


def store_table(entries: list[StoreRow]) -> list[MarkdownBlock]:
    """The stores with something to show, of many folded away, and those with most deletions first."""
    if not entries:
        return []
    if len(entries) > _UNFOLDED:
        entries = sorted(entries, key=lambda entry: _risk_of(entry.store))
    rows = [_cells(short_code(entry.name), [entry]) for entry in entries[:_STORES]]
    if rest := entries[_STORES:]:
        rows.append(_cells(f"and {count_noun(len(rest), 'more store')}", rest))
    # What goes stands first and under signs, as in the details: on a telephone a table shows little of its right.
    titles = ("-", "+/-", "~", "+", "also", "store", "left out", "unchanged")
    kept = [index for index, title in enumerate(titles) if title not in _RARE or any(row[index] for row in rows)]
    head = table_line([titles[index] for index in kept])
    head += "\n" + table_line(["---" if titles[index] in ("store", "also") else "--:" for index in kept])
    lines = tuple(table_line([row[index] for index in kept]) for row in rows)
    if len(rows) <= _UNFOLDED:
        return [MarkdownBlock(head, lines, _LEGEND)]
    stores = [entry.store for entry in entries]
    totals = [*wording.file_parts(count_changes(*stores)), *plan_text.store_parts(stores, bold=False)]
    summary = f"{count_noun(len(entries), 'store')}{': ' if totals else ''}{', '.join(totals)}"
    summary = f"<details><summary>{summary}</summary>\n\n"
    return [MarkdownBlock(summary + head, lines, f"{_LEGEND}\n\n</details>")]


def _risk_of(store: StorePlan) -> tuple[bool, int]:
    """Sorts a store that goes, then those with the most deletions, before others."""
    stays = store.change is None or store.change.action not in plan_text.GOING
    return stays, -count_changes(store).delete


def _cells(name: str, entries: list[StoreRow]) -> list[str]:
    stores = [entry.store for entry in entries]
    counts = count_changes(*stores)
    delete = f"**{counts.delete:,}**" if counts.delete else "0"
    own = [plan_text.store_verb(store, bold=True) for store in stores] if len(stores) == 1 else []
    also = ", ".join(filter(None, [*own, *wording.rare_parts(counts)]))
    left_out = [key for store in stores for keys in store.left_out.values() for key in keys]
    changed = [entry for entry in entries if entry.before is not None]
    before = [key for entry in changed for keys in (entry.before or {}).values() for key in keys]
    after = [key for entry in changed for keys in entry.store.left_out.values() for key in keys]
    omitted = f"{len(left_out):,}{wording.delta_text(before, after)}" if left_out or changed else ""
    files = [delete, f"{counts.replace:,}", f"{counts.change:,}", f"{counts.add:,}"]
    return [*files, also, name, omitted, f"{counts.unchanged:,}"]
