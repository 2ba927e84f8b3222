"""Many rows as few lines: grouped by sign and text, then by identical field change, then by folder.

Counts are never lost: whatever is folded away is a number on some line.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from vssync.render import words
from vssync.render.layout import BELOW, UNLIMITED, Line, beside, field_lines, sentences
from vssync.render.rows import Row, folder
from vssync.render.view import View

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is shown of a store: rows singly up to `rows`, groups of up to `few` singly, then so many of each."""

    rows: int = 40
    few: int = 2
    variants: int = 4
    folders: int = 8


ALL = Detail(rows=UNLIMITED)
STEPS = (Detail(), Detail(4, 1, 3, 5), Detail(2, 1, 1, 2), Detail(0, 1, 0, 0))  # from much detail to little


def lines_of(rows: tuple[Row, ...], detail: Detail, view: View) -> list[Line]:
    """All rows singly when they are few enough, else grouped."""
    if len(rows) <= detail.rows:
        return [line for row in rows for line in _single(row, view)]
    groups = _partition(rows, lambda row: row.group)
    groups.sort(key=lambda group: (words.SIGN_ORDER.index(group[0].sign), -_files(group), group[0].text))
    return [line for group in groups for line in _group(group, detail, view)]


def _single(row: Row, view: View) -> list[Line]:
    size = words.size(row.size) if row.size else ""
    return [Line(row.key, row.text, size, row.sign), *_explained(row, view)]


def _explained(row: Row, view: View, wrap: Callable[[str, int, View], list[str]] = sentences) -> list[Line]:
    """What is said below a row."""
    said = [line for text in row.below for line in wrap(text, BELOW, view)]
    return [Line(text, indent=BELOW) for text in [*field_lines(row.fields, view), *said]]


def _group(group: list[Row], detail: Detail, view: View) -> list[Line]:
    if len(group) <= detail.few:
        return [line for row in group for line in _single(row, view)]
    total = sum(row.size or 0 for row in group)
    first = group[0]
    head = Line(words.number(_files(group), first.noun), first.text, words.size(total) if total else "", first.sign)
    return [head, *(_variants(group, detail, view) if detail.variants else [])]


def _variants(group: list[Row], detail: Detail, view: View) -> list[Line]:
    """The most frequent identical changes of a group; the rest together."""
    variants = _partition(group, lambda row: row.variant)
    variants.sort(key=lambda variant: -_files(variant))
    shown = [variant for variant in variants[: detail.variants] if len(variant) > 1]
    rest = [row for variant in variants[len(shown) :] for row in variant]
    lines = [line for variant in shown for line in _variant(variant, detail, view)]
    return lines + (_others(rest, detail, view) if rest else [])


def _variant(rows: list[Row], detail: Detail, view: View) -> list[Line]:
    explained = _explained(rows[0], view, beside)
    return _counted(rows, [line.left for line in explained], detail)


def _counted(rows: list[Row], said: list[str], detail: Detail) -> list[Line]:
    """What is said of rows, how many there are, and in which folders."""
    if not said:
        return _folders(rows, detail.folders, BELOW)
    first = Line(said[0], right=words.number(_files(rows), rows[0].noun), indent=BELOW)
    more = [Line(text, indent=BELOW) for text in said[1:]]
    return [first, *more, *_folders(rows, detail.folders, BELOW + 2)]


def _others(rows: list[Row], detail: Detail, view: View) -> list[Line]:
    """Rows whose changes differ from file to file: the names of their fields, or one explanation as an example."""
    names = sorted({words.clean(field.name) for row in rows for field in row.fields})
    if names:
        return _counted(rows, [f"{words.listed(names[:4])}{', ...' if names[4:] else ''}: other values"], detail)
    example = beside(f"others, such as: {rows[0].below[0]}", BELOW, view) if rows[0].below else []
    return _counted(rows, example, detail)


def _folders(rows: list[Row], most: int, indent: int) -> list[Line]:
    """How many files there are in which folder; batches lie in none."""
    if rows[0].noun != "file":
        return []
    return [
        Line(name or "./", right=words.number(files, "file"), indent=indent) for name, files in by_folder(rows, most)
    ]


def by_folder(rows: Iterable[Row], most: int) -> list[tuple[str, int]]:
    """Files counted by folder, in at most `most` entries: as deep as fits, and what does not fit as "more folders"."""
    whole = Counter[str]()
    for row in rows:
        whole[folder(row.key)] += row.count
    found = _as_deep_as_fits(whole, most)
    entries = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    if len(entries) <= most or not most:
        return entries[:most]
    rest = entries[most - 1 :]
    return [*entries[: most - 1], (f"{len(rest):,} more folders", sum(count for _, count in rest))]


def _as_deep_as_fits(whole: Counter[str], most: int) -> Counter[str]:
    """Counts by the longest folder prefix of which there are few enough; by the first folder at least."""
    found = _cut(whole, 1)
    for depth in range(2, max((name.count("/") for name in whole), default=0) + 1):
        deeper = _cut(whole, depth)
        if len(deeper) > most:
            break
        found = deeper
    return found


def _cut(whole: Counter[str], depth: int) -> Counter[str]:
    found = Counter[str]()
    for name, count in whole.items():
        found["".join(f"{part}/" for part in name.split("/")[:-1][:depth])] += count
    return found


def _files(rows: list[Row]) -> int:
    return sum(row.count for row in rows)


def _partition(rows: Iterable[Given], key: Callable[[Given], object]) -> list[list[Given]]:
    """Rows that share a key together, in order of first appearance."""
    found: defaultdict[object, list[Given]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return list(found.values())
