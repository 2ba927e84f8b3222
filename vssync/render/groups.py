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

Given = TypeVar("Given")


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
    return [TextLine(row.key, row.text, size, row.sign), *_detail_lines(row, view)]


def _detail_lines(
    row: PlanRow, view: View, wrap: Callable[[str, int, View], list[str]] = wrap_sentences
) -> list[TextLine]:
    """What is said below a row."""
    said = [line for text in row.below for line in wrap(text, BELOW, view)]
    return [TextLine(text, indent=BELOW) for text in [*field_lines(row.fields, view), *said]]


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
    """The most frequent identical changes of a group; the rest together."""
    variants = _partition_by(group, lambda row: row.variant_key)
    variants.sort(key=lambda variant: -_count_files(variant))
    shown = [variant for variant in variants[: detail.variants] if len(variant) > 1]
    rest = [row for variant in variants[len(shown) :] for row in variant]
    lines = [line for variant in shown for line in _variant(variant, detail, view)]
    return lines + (_other_variants(rest, detail, view) if rest else [])


def _variant(rows: list[PlanRow], detail: GroupDetail, view: View) -> list[TextLine]:
    explained = _detail_lines(rows[0], view, wrap_before_count)
    return _counted_lines(rows, [line.left for line in explained], detail)


def _counted_lines(rows: list[PlanRow], said: list[str], detail: GroupDetail) -> list[TextLine]:
    """What is said of rows, how many there are, and in which folders."""
    if not said:
        return _folder_lines(rows, detail.folders, BELOW)
    first = TextLine(said[0], right=count_noun(_count_files(rows), rows[0].noun), indent=BELOW)
    more = [TextLine(text, indent=BELOW) for text in said[1:]]
    return [first, *more, *_folder_lines(rows, detail.folders, BELOW + 2)]


def _other_variants(rows: list[PlanRow], detail: GroupDetail, view: View) -> list[TextLine]:
    """Rows whose changes differ from file to file: the names of their fields, or one explanation as an example."""
    names = sorted({escape_control(field.name) for row in rows for field in row.fields})
    if names:
        return _counted_lines(rows, [f"{join_words(names[:4])}{', ...' if names[4:] else ''}: other values"], detail)
    example = wrap_before_count(f"others, such as: {rows[0].below[0]}", BELOW, view) if rows[0].below else []
    return _counted_lines(rows, example, detail)


def _folder_lines(rows: list[PlanRow], most: int, indent: int) -> list[TextLine]:
    """How many files there are in which folder; batches lie in none."""
    if rows[0].noun != "file":
        return []
    return [
        TextLine(name or "./", right=count_noun(files, "file"), indent=indent) for name, files in by_folder(rows, most)
    ]


def by_folder(rows: Iterable[PlanRow], most: int) -> list[tuple[str, int]]:
    """Files counted by folder, in at most `most` entries: as deep as fits, and what does not fit as "more folders"."""
    whole = Counter[str]()
    for row in rows:
        whole[folder_of(row.key)] += row.count
    found = _as_deep_as_fits(whole, most)
    entries = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    if len(entries) <= most or not most:
        return entries[:most]
    rest = entries[most - 1 :]
    return [*entries[: most - 1], (f"{len(rest):,} more folders", sum(count for _, count in rest))]


def _as_deep_as_fits(whole: Counter[str], most: int) -> Counter[str]:
    """Counts by the longest folder prefix of which there are few enough; by the first folder at least."""
    found = _shortened(whole, 1)
    for depth in range(2, max((name.count("/") for name in whole), default=0) + 1):
        deeper = _shortened(whole, depth)
        if len(deeper) > most:
            break
        found = deeper
    return found


def _shortened(whole: Counter[str], depth: int) -> Counter[str]:
    found = Counter[str]()
    for name, count in whole.items():
        found["".join(f"{part}/" for part in name.split("/")[:-1][:depth])] += count
    return found


def _count_files(rows: list[PlanRow]) -> int:
    return sum(row.count for row in rows)


def _partition_by(rows: Iterable[Given], key: Callable[[Given], object]) -> list[list[Given]]:
    """Rows that share a key together, in order of first appearance."""
    found: defaultdict[object, list[Given]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return list(found.values())


_MANY, _SCREEN = 400, 48  # from so many rows on, everything is cut down to so many lines
_STORES = 40


@dataclass(frozen=True, slots=True)
class StoreBlock:
    """A store's own line, and a row for each object to show."""

    head: TextLine
    rows: tuple[PlanRow, ...]


def show_blocks(blocks: list[StoreBlock], view: View) -> list[list[str]]:
    """The blocks as text, in columns that all of them share."""
    found = fit_blocks(blocks, view)
    widths = lay_out_columns([line for block in found for line in block], view)
    return [widths.format_lines(block) for block in found]


def fit_blocks(blocks: list[StoreBlock], view: View) -> list[list[TextLine]]:
    """Every row where there are few or all are asked for, otherwise the most detail that fits a screen."""
    many = sum(len(block.rows) for block in blocks) > _MANY
    for detail in (ALL,) if view.full else STEPS:
        found = [[block.head, *group_lines(block.rows, detail, view)] for block in blocks]
        if view.full or not many or sum(len(lines) + 1 for lines in found) <= _SCREEN:
            return found
    return [_summary_lines(blocks)]


def _summary_lines(blocks: list[StoreBlock]) -> list[TextLine]:
    """One line a store, those with most to show first, and one for the rest."""
    order = sorted(blocks, key=lambda block: -len(block.rows))
    lines = [TextLine(block.head.left, tally_blocks([block]), block.head.right, indent=0) for block in order[:_STORES]]
    if rest := order[_STORES:]:
        lines.append(TextLine(f"and {count_noun(len(rest), 'more store')}", tally_blocks(rest), indent=0))
    return lines


def tally_blocks(blocks: list[StoreBlock]) -> str:
    """How many objects have which sign: "+ 1,200, - 3"."""
    found = Counter[str]()
    for block in blocks:
        for row in block.rows:
            found[row.sign] += row.count
    return ", ".join(f"{sign} {found[sign]:,}" for sign in wording.SIGN_ORDER if sign and found[sign])
