"""What a terminal can show; rows laid out in columns, singly or grouped: a sign, a key, a text, a size or a count."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vssync.model.plan import FieldChange
from vssync.render import wording
from vssync.render.plan_lines import PlanRow, folder_of
from vssync.text import (
    count_noun,
    display_width,
    escape_control,
    format_size,
    join_words,
    pad_right,
    shorten_apart,
    shorten_list,
    shorten_middle,
    wrap_list,
)


@dataclass(frozen=True, slots=True)
class View:
    """Columns to print in, colour or not, everything or a summary, only the last lines, the manifest's name.

    On a `terminal` totals may take a second line; elsewhere a program may look for them, and they stay one line.
    """

    width: int = 80
    color: bool = False
    terminal: bool = False
    full: bool = False
    quiet: bool = False
    manifest: str = "vssync.yaml"


KEY, BELOW = 6, 8  # columns where keys, and the details below them, begin
_RIGHT = 11  # a size and the gap before it
_TEXT = (28, 44)  # the room of the reason column, at least and at most
_NARROW = 40  # below that nobody reads columns, so a line may be longer than the screen
UNLIMITED = 1_000_000
_MANY, _SCREEN = 400, 48  # from so many rows on, everything is cut down to so many lines
_STORES = 40
_FAILURES = 50  # fewer are never folded
_SHARED = 3  # stores that share a change: it is shown once

# Of the 256 colours, whose look no theme changes, those that can be read on white as on black.
COLORS = {"+": 28, "+/-": 31, "-/+": 31, "~": 130, "-": 161, "=": 63, "x": 161, ".": 63, "!": 161}


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line: `left` from `indent` on, `middle` in the reason column, `right` ending at the right margin."""

    left: str
    middle: str = ""
    right: str = ""
    sign: str = ""
    indent: int = KEY


@dataclass(frozen=True, slots=True)
class Columns:
    """The widths of one output: the screen, the right margin, the key column, the reason column."""

    screen: int
    margin: int
    key: int
    text: int
    color: bool = False

    def format_lines(self, lines: Iterable[TextLine]) -> list[str]:
        return [f"{self._sign_text(line)}{self._column_text(line)}".rstrip() for line in lines]

    def _sign_text(self, line: TextLine) -> str:
        sign = f"\x1b[1;38;5;{COLORS[line.sign]}m{line.sign}\x1b[0m" if line.sign and self.color else line.sign
        return f"  {sign}{' ' * (KEY - 2 - len(line.sign))}" if line.sign else " " * line.indent

    def _column_text(self, line: TextLine) -> str:
        right = _right_text(line)
        if line.middle:
            left = pad_right(shorten_middle(line.left, self.key), self.key)
            room = self.text + _RIGHT - len(right)
            return f"{left}  {pad_right(shorten_list(line.middle, room), room)}{right}"
        room = (self.margin if right else self.screen) - line.indent - len(right)
        left = shorten_middle(line.left, room)
        return f"{pad_right(left, room)}{right}" if right else left


def lay_out_columns(lines: list[TextLine], view: View, *, narrow: bool = False) -> Columns:
    """Columns as wide as these lines need, in what the view has: at least 80, unless they are to be `narrow`."""
    keys = max((display_width(line.left) for line in lines if line.middle), default=0)
    text = max((display_width(line.middle) + len(_right_text(line)) - _RIGHT for line in lines), default=0)
    screen = UNLIMITED if view.full else max(view.width, _NARROW)
    narrowest, widest = _TEXT if screen >= 80 else (0, (screen - KEY - _RIGHT) // 2)
    text = min(max(text, 0 if narrow else narrowest), UNLIMITED if view.full else widest)
    margin = min(screen, max(0 if narrow else 80, KEY + keys + 2 + text + _RIGHT))
    return Columns(screen, margin, margin - KEY - 2 - text - _RIGHT, text, view.color)


def _right_text(line: TextLine) -> str:
    return f"  {line.right}".rjust(_RIGHT) if line.right else ""


def field_lines(fields: tuple[FieldChange, ...], view: View) -> list[str]:
    """Field changes as aligned lines: `plan      "basic" -> "standard"`."""
    width = max(view.width, _NARROW)
    names = [shorten_middle(escape_control(change.name), UNLIMITED if view.full else width // 4) for change in fields]
    widest = max(map(display_width, names), default=0)
    lines = []
    for name, change in zip(names, fields, strict=True):
        outside = "  (changed outside vssync)" if change.drifted else ""
        room = width - BELOW - widest - len(outside) - len("   -> ")
        before, after = wording.format_value(change.before), wording.format_value(change.after)
        widths = display_width(before), display_width(after)
        if not view.full and sum(widths) > room:
            before, after = shorten_apart(before, after, max(9, room // 2, room - min(widths)))
        lines.append(f"{pad_right(name, widest)}  {before} -> {after}{outside}")
    return lines


def wrap_sentences(text: str, indent: int, view: View) -> list[str]:
    """An escaped text wrapped between words."""
    width = UNLIMITED if view.full else max(view.width, _NARROW)
    return textwrap.wrap(text, max(20, width - indent), break_on_hyphens=False) or [""]


def wrap_before_count(text: str, indent: int, view: View) -> list[str]:
    """The same as `wrap_sentences`, with room for a count at the right margin, wherever that will be."""
    return wrap_sentences(text, indent + _RIGHT, view if view.full else replace(view, width=min(view.width, 80)))


def fit_totals(totals: list[str], view: View) -> list[str]:
    """Lines of totals; on a terminal, one that is too long goes on below its first number, broken at a comma."""
    if not view.terminal:
        return totals
    lines = []
    for total in totals:
        head, space, rest = total.partition(" ")
        lines += wrap_list(rest, head + space, view.width)
    return lines


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """How much is shown of a store: rows singly up to `rows`, groups of up to `few` singly, then so many of each."""

    rows: int = 40
    few: int = 2
    variants: int = 4
    folders: int = 8


ALL = GroupDetail(rows=UNLIMITED)
DETAIL_LEVELS = (GroupDetail(), GroupDetail(4, 1, 3, 5), GroupDetail(2, 1, 1, 2), GroupDetail(0, 1, 0, 0))  # most first


def group_lines(
    rows: tuple[PlanRow, ...], detail: GroupDetail, view: View, *, unfold_failures: bool = True
) -> list[TextLine]:
    """All rows singly when they are few enough, else grouped, those that need attention only when asked to."""
    failures = [row for row in rows if row.sign == "!"]
    if len(rows) <= detail.rows:
        return _list_rows(rows, view)
    single = _list_rows(failures, view) if unfold_failures else []
    groups = group_rows(row for row in rows if not single or row.sign != "!")
    return [*single, *(line for group in groups for line in _group_block(group, detail, view))]


def group_rows(rows: Iterable[PlanRow]) -> list[list[PlanRow]]:
    """Rows of one sign, reason and noun together, in the order in which groups are shown."""
    return sorted(_partition_by(rows, lambda row: row.group_key), key=_group_order)


def split_variants(group: list[PlanRow], most: int) -> tuple[list[list[PlanRow]], list[PlanRow]]:
    """The rows of a group whose details are the same together, at most so many kinds; and all other rows."""
    variants = _partition_by(group, lambda row: row.variant_key)
    variants.sort(key=lambda variant: -count_files(variant))
    shown = [variant for variant in variants[:most] if len(variant) > 1]
    return shown, [row for variant in variants[len(shown) :] for row in variant]


def _group_order(group: list[PlanRow]) -> tuple[bool, int, int, str]:
    """The store itself first, then by sign, and large groups before small ones."""
    first = group[0]
    return first.noun != "store", wording.SIGN_ORDER.index(first.sign), -count_files(group), first.text


def _list_rows(rows: Iterable[PlanRow], view: View) -> list[TextLine]:
    """Each row with its details; where it fails for the same long reason as the one above, that is said once."""
    lines: list[TextLine] = []
    above: list[str] = []
    for row in rows:
        details = _detail_text(row, view, wrap_sentences)
        is_told = row.sign == "!" and len(details) > 1 and details == above and not view.full
        lines.append(TextLine(row.key, row.shown_text, size_text(row), row.sign))
        lines += [TextLine(text, indent=BELOW) for text in (["as above"] if is_told else details)]
        above = details
    return lines


def size_text(row: PlanRow) -> str:
    """A row's size, and in how many stores: "1.0 KB in 39 stores"."""
    size = format_size(row.size) if row.size else ""
    return f"{size} in {count_noun(row.stores, 'store')}".strip() if row.stores > 1 else size


def _detail_text(row: PlanRow, view: View, wrap: Callable[[str, int, View], list[str]]) -> list[str]:
    return [*field_lines(row.fields, view), *(line for text in row.below for line in wrap(text, BELOW, view))]


def _group_block(group: list[PlanRow], detail: GroupDetail, view: View) -> list[TextLine]:
    """A group's total, its most frequent identical changes, and the rest together."""
    if len(group) <= detail.few:
        return _list_rows(group, view)
    size, first = sum(row.size or 0 for row in group), group[0]
    files = count_noun(count_files(group), first.noun)
    lines = [TextLine(files, first.text, format_size(size) if size else "", first.sign)]
    if not detail.variants:
        return lines
    variants, rest = split_variants(group, detail.variants)
    for variant in variants:
        lines += _counted_lines(variant, _detail_text(variant[0], view, wrap_before_count), detail)
    return lines + (_counted_lines(rest, _differing_text(rest, view), detail) if rest else [])


def _counted_lines(rows: list[PlanRow], texts: list[str], detail: GroupDetail) -> list[TextLine]:
    """Lines that rows share, how many rows there are, and in which folders; batches lie in none."""
    lines = [TextLine(text, indent=BELOW) for text in texts]
    if texts:
        lines[0] = TextLine(texts[0], right=count_noun(count_files(rows), rows[0].noun), indent=BELOW)
    folders = by_folder(rows, detail.folders) if rows[0].noun == "file" else []
    indent = BELOW + 2 if texts else BELOW
    return [
        *lines,
        *(TextLine(name or "./", right=count_noun(files, "file"), indent=indent) for name, files in folders),
    ]


def _differing_text(rows: list[PlanRow], view: View) -> list[str]:
    """Rows whose changes differ from file to file: the names of their fields, or one explanation as an example."""
    if names := sorted({escape_control(change.name) for row in rows for change in row.fields}):
        return [f"{join_words(names[:4])}{', ...' if names[4:] else ''}: other values"]
    return wrap_before_count(f"others, such as: {rows[0].below[0]}", BELOW, view) if rows[0].below else []


def split_by_folder(
    rows: Iterable[PlanRow], limit: int, *, below_common: bool = False
) -> list[tuple[str, list[PlanRow]]]:
    """Rows by folder, in at most `limit` entries: as deep as fits, and what does not fit as "more folders".

    With `below_common`, a folder that holds all of them is no entry, however many there are below it.
    """
    by_full_folder = defaultdict[str, list[PlanRow]](list)
    for row in rows:
        by_full_folder[folder_of(row.key)].append(row)
    deepest = max((name.count("/") for name in by_full_folder), default=0)
    groups = _join_by_prefix(by_full_folder, 1)
    for depth in range(2, deepest + 1):
        deeper = _join_by_prefix(by_full_folder, depth)
        if len(deeper) > limit and not (below_common and len(groups) == 1):
            break
        groups = deeper
    entries = sorted(groups.items(), key=lambda entry: (-count_files(entry[1]), entry[0]))
    if len(entries) <= limit or not limit:
        return entries[:limit]
    rest = entries[limit - 1 :]
    return [*entries[: limit - 1], (f"{len(rest):,} more folders", [row for _, group in rest for row in group])]


def by_folder(rows: Iterable[PlanRow], limit: int) -> list[tuple[str, int]]:
    """The same, counted."""
    return [(name, count_files(group)) for name, group in split_by_folder(rows, limit)]


def _join_by_prefix(by_full_folder: Mapping[str, list[PlanRow]], depth: int) -> dict[str, list[PlanRow]]:
    groups = defaultdict[str, list[PlanRow]](list)
    for name, rows in by_full_folder.items():
        groups["".join(f"{part}/" for part in name.split("/")[:-1][:depth])] += rows
    return groups


def count_files(rows: Iterable[PlanRow]) -> int:
    """How many objects rows stand for."""
    return sum(row.count for row in rows)


def _partition_by(rows: Iterable[Item], key: Callable[[Item], object]) -> list[list[Item]]:
    """Rows that share a key together, in order of first appearance."""
    groups: defaultdict[object, list[Item]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())


@dataclass(frozen=True, slots=True)
class StoreBlock:
    """A store's own line, and a row for each object to show.

    `files` is how many it holds or will hold, `urls` where files can be read, by key. `key` is the store's, and empty
    where the block is about several.
    """

    head: TextLine
    rows: tuple[PlanRow, ...]
    files: int = 0
    is_new: bool = False
    key: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)


def fold_across_stores(blocks: list[StoreBlock]) -> list[StoreBlock]:
    """The blocks with a first one of the changes that at least three stores share; without stores that have no other.

    What needs attention stays with its store.
    """
    changes = [(index, row) for index, block in enumerate(blocks) for row in block.rows if row.sign not in ("", "!")]
    groups = _partition_by(
        changes, lambda entry: (entry[1].group_key, entry[1].key, entry[1].size, entry[1].variant_key)
    )
    shared = [group for group in groups if len(group) >= _SHARED]
    folded = {id(row) for group in shared for _, row in group}
    sharing = {index for group in shared for index, _ in group}
    if not sharing:
        return blocks
    files = count_noun(sum(blocks[index].files for index in sharing), "file")
    rows = tuple(_shared_row([(blocks[index].key, row) for index, row in group]) for group in shared)
    first = StoreBlock(TextLine(count_noun(len(sharing), "store"), right=files, indent=0), rows)
    rest = [replace(block, rows=tuple(row for row in block.rows if id(row) not in folded)) for block in blocks]
    return [first, *(block for index, block in enumerate(rest) if block.rows or block.is_new or index not in sharing)]


def _shared_row(rows: list[tuple[str, PlanRow]]) -> PlanRow:
    first = rows[0][1]
    members = tuple(replace(row, key=escape_control(store)) for store, row in rows)
    return replace(first, count=len(rows) * first.count, stores=len(rows), members=members)


def show_blocks(blocks: list[StoreBlock], view: View) -> list[list[str]]:
    fitted = fit_blocks(blocks, view)
    widths = lay_out_columns([line for block in fitted for line in block], view)
    return [widths.format_lines(block) for block in fitted]


def fit_blocks(blocks: list[StoreBlock], view: View) -> list[list[TextLine]]:
    """Every row where there are few or all are asked for, otherwise the most detail that fits a screen.

    Where nothing does, there is one line a store, those with most to show first, and one for the rest.
    """
    many = sum(len(block.rows) for block in blocks) > _MANY or len(blocks) > _STORES
    few = sum(row.sign == "!" for block in blocks for row in block.rows) < _FAILURES
    for detail in (ALL,) if view.full else DETAIL_LEVELS:
        fitted = [[block.head, *group_lines(block.rows, detail, view, unfold_failures=few)] for block in blocks]
        if view.full or not many or sum(len(lines) + 1 for lines in fitted) <= _SCREEN:
            return fitted
    order = sorted(blocks, key=lambda block: -len(block.rows))
    if few:  # stores with failures come first, with these below them
        order.sort(key=lambda block: all(row.sign != "!" for row in block.rows))
    lines = []
    for block in order[:_STORES]:
        lines.append(TextLine(block.head.left, tally_blocks([block]), block.head.right, indent=0))
        lines += _list_rows([row for row in block.rows if few and row.sign == "!"], view)
    if rest := order[_STORES:]:
        lines.append(TextLine(f"and {count_noun(len(rest), 'more store')}", tally_blocks(rest), indent=0))
    return [lines]


def tally_blocks(blocks: list[StoreBlock]) -> str:
    """How many objects have which sign: "+ 1,200, - 3"."""
    counts = Counter[str]()
    for row in (row for block in blocks for row in block.rows):
        counts[row.sign] += row.count
    return ", ".join(f"{sign} {counts[sign]:,}" for sign in wording.SIGN_ORDER if sign and counts[sign])
