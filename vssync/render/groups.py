"""Many rows as few lines: grouped by sign and text, then by identical field change, then by folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from vssync.render import wording
from vssync.render.layout import (
    BELOW,
    UNLIMITED,
    TextLine,
    View,
    field_lines,
    lay_out_columns,
    wrap_before_count,
    wrap_sentences,
)
from vssync.render.rows import PlanRow, folder_of
from vssync.text import count_noun, escape_control, format_size, join_words

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """How much is shown of a store: rows singly up to `rows`, groups of up to `few` singly, then so many of each."""

    rows: int = 40
    few: int = 2
    variants: int = 4
    folders: int = 8


ALL = GroupDetail(rows=UNLIMITED)
STEPS = (
    GroupDetail(),
    GroupDetail(4, 1, 3, 5),
    GroupDetail(2, 1, 1, 2),
    GroupDetail(0, 1, 0, 0),
)  # from much detail to little


def group_lines(rows: tuple[PlanRow, ...], detail: GroupDetail, view: View) -> list[TextLine]:
    """All rows singly when they are few enough, else grouped."""
    if len(rows) <= detail.rows:
        return [line for row in rows for line in _row_lines(row, view)]
    groups = _partition_by(rows, lambda row: row.group_key)
    groups.sort(key=lambda group: (wording.SIGN_ORDER.index(group[0].sign), -_count_files(group), group[0].text))
    return [line for group in groups for line in _group_block(group, detail, view)]


def _row_lines(row: PlanRow, view: View) -> list[TextLine]:
    size = format_size(row.size) if row.size else ""
    details = (TextLine(text, indent=BELOW) for text in _detail_text(row, view, wrap_sentences))
    return [TextLine(row.key, row.text, size, row.sign), *details]


def _detail_text(row: PlanRow, view: View, wrap: Callable[[str, int, View], list[str]]) -> list[str]:
    """The lines below a row."""
    return [*field_lines(row.fields, view), *(line for text in row.below for line in wrap(text, BELOW, view))]


def _group_block(group: list[PlanRow], detail: GroupDetail, view: View) -> list[TextLine]:
    if len(group) <= detail.few:
        return [line for row in group for line in _row_lines(row, view)]
    total = sum(row.size or 0 for row in group)
    first = group[0]
    head = TextLine(
        count_noun(_count_files(group), first.noun), first.text, format_size(total) if total else "", first.sign
    )
    return [head, *(_variant_lines(group, detail, view) if detail.variants else [])]


def _variant_lines(group: list[PlanRow], detail: GroupDetail, view: View) -> list[TextLine]:
    """The limit frequent identical changes of a group; the rest together."""
    variants = _partition_by(group, lambda row: row.variant_key)
    variants.sort(key=lambda variant: -_count_files(variant))
    shown = [variant for variant in variants[: detail.variants] if len(variant) > 1]
    rest = [row for variant in variants[len(shown) :] for row in variant]
    lines = [
        line
        for variant in shown
        for line in _counted_lines(variant, _detail_text(variant[0], view, wrap_before_count), detail)
    ]
    return lines + (_other_variants(rest, detail, view) if rest else [])


def _counted_lines(rows: list[PlanRow], texts: list[str], detail: GroupDetail) -> list[TextLine]:
    """Lines that rows share, how many rows there are, and in which folders."""
    if not texts:
        return _folder_lines(rows, detail.folders, BELOW)
    first = TextLine(texts[0], right=count_noun(_count_files(rows), rows[0].noun), indent=BELOW)
    more = [TextLine(text, indent=BELOW) for text in texts[1:]]
    return [first, *more, *_folder_lines(rows, detail.folders, BELOW + 2)]


def _other_variants(rows: list[PlanRow], detail: GroupDetail, view: View) -> list[TextLine]:
    """Rows whose changes differ from file to file: the names of their fields, or one explanation as an example."""
    names = sorted({escape_control(field.name) for row in rows for field in row.fields})
    if names:
        return _counted_lines(rows, [f"{join_words(names[:4])}{', ...' if names[4:] else ''}: other values"], detail)
    example = wrap_before_count(f"others, such as: {rows[0].below[0]}", BELOW, view) if rows[0].below else []
    return _counted_lines(rows, example, detail)


def _folder_lines(rows: list[PlanRow], limit: int, indent: int) -> list[TextLine]:
    """How many files there are in which folder; batches lie in none."""
    if rows[0].noun != "file":
        return []
    return [
        TextLine(name or "./", right=count_noun(files, "file"), indent=indent) for name, files in by_folder(rows, limit)
    ]


def by_folder(rows: Iterable[PlanRow], limit: int) -> list[tuple[str, int]]:
    """Files counted by folder, in at limit `most` entries: as deep as fits, and what does not fit as "more folders"."""
    by_full_folder = Counter[str]()
    for row in rows:
        by_full_folder[folder_of(row.key)] += row.count
    counts = _as_deep_as_fits(by_full_folder, limit)
    entries = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    if len(entries) <= limit or not limit:
        return entries[:limit]
    rest = entries[limit - 1 :]
    return [*entries[: limit - 1], (f"{len(rest):,} more folders", sum(count for _, count in rest))]


def _as_deep_as_fits(by_full_folder: Counter[str], limit: int) -> Counter[str]:
    """Counts by the longest folder prefix of which there are few enough; by the first folder at least."""
    counts = _count_by_prefix(by_full_folder, 1)
    for depth in range(2, max((name.count("/") for name in by_full_folder), default=0) + 1):
        deeper = _count_by_prefix(by_full_folder, depth)
        if len(deeper) > limit:
            break
        counts = deeper
    return counts


def _count_by_prefix(by_full_folder: Counter[str], depth: int) -> Counter[str]:
    counts = Counter[str]()
    for name, count in by_full_folder.items():
        counts["".join(f"{part}/" for part in name.split("/")[:-1][:depth])] += count
    return counts


def _count_files(rows: list[PlanRow]) -> int:
    return sum(row.count for row in rows)


def _partition_by(rows: Iterable[Item], key: Callable[[Item], object]) -> list[list[Item]]:
    """Rows that share a key together, in order of first appearance."""
    groups: defaultdict[object, list[Item]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())


_MANY, _SCREEN = 400, 48  # from so many rows on, everything is cut down to so many lines
_STORES = 40


@dataclass(frozen=True, slots=True)
class StoreBlock:
    """A store's own line, and a row for each object to show."""

    head: TextLine
    rows: tuple[PlanRow, ...]


def show_blocks(blocks: list[StoreBlock], view: View) -> list[list[str]]:
    """The blocks as text, in columns that all of them share."""
    fitted = fit_blocks(blocks, view)
    widths = lay_out_columns([line for block in fitted for line in block], view)
    return [widths.format_lines(block) for block in fitted]


def fit_blocks(blocks: list[StoreBlock], view: View) -> list[list[TextLine]]:
    """Every row where there are few or all are asked for, otherwise the limit detail that fits a screen."""
    many = sum(len(block.rows) for block in blocks) > _MANY
    for detail in (ALL,) if view.full else STEPS:
        fitted = [[block.head, *group_lines(block.rows, detail, view)] for block in blocks]
        if view.full or not many or sum(len(lines) + 1 for lines in fitted) <= _SCREEN:
            return fitted
    return [_summary_lines(blocks)]


def _summary_lines(blocks: list[StoreBlock]) -> list[TextLine]:
    """One line a store, those with limit to show first, and one for the rest."""
    order = sorted(blocks, key=lambda block: -len(block.rows))
    lines = [TextLine(block.head.left, tally_blocks([block]), block.head.right, indent=0) for block in order[:_STORES]]
    if rest := order[_STORES:]:
        lines.append(TextLine(f"and {count_noun(len(rest), 'more store')}", tally_blocks(rest), indent=0))
    return lines


def tally_blocks(blocks: list[StoreBlock]) -> str:
    """How many objects have which sign: "+ 1,200, - 3"."""
    counts = Counter[str]()
    for block in blocks:
        for row in block.rows:
            counts[row.sign] += row.count
    return ", ".join(f"{sign} {counts[sign]:,}" for sign in wording.SIGN_ORDER if sign and counts[sign])
