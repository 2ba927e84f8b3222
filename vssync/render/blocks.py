"""Stores and their rows as blocks of lines: as much detail as a person can take in, and never a lost count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from vssync.render import words
from vssync.render.groups import ALL, STEPS, lines_of
from vssync.render.layout import Line, columns
from vssync.render.rows import Row
from vssync.render.view import View

_MANY, _SCREEN = 400, 48  # from so many rows on, everything is cut down to so many lines
_STORES = 40


@dataclass(frozen=True, slots=True)
class Block:
    """A store's own line, and a row for each object to show."""

    head: Line
    rows: tuple[Row, ...]


def show(blocks: list[Block], view: View) -> list[list[str]]:
    """The blocks as text, in columns that all of them share."""
    found = fitting(blocks, view)
    widths = columns([line for block in found for line in block], view)
    return [widths.show(block) for block in found]


def fitting(blocks: list[Block], view: View) -> list[list[Line]]:
    """Every row where there are few or all are asked for, otherwise the most detail that fits a screen."""
    many = sum(len(block.rows) for block in blocks) > _MANY
    for detail in (ALL,) if view.full else STEPS:
        found = [[block.head, *lines_of(block.rows, detail, view)] for block in blocks]
        if view.full or not many or sum(len(lines) + 1 for lines in found) <= _SCREEN:
            return found
    return [_summary(blocks)]


def _summary(blocks: list[Block]) -> list[Line]:
    """One line a store, those with most to show first, and one for the rest."""
    order = sorted(blocks, key=lambda block: -len(block.rows))
    lines = [Line(block.head.left, tally([block]), block.head.right, indent=0) for block in order[:_STORES]]
    if rest := order[_STORES:]:
        lines.append(Line(f"and {words.number(len(rest), 'more store')}", tally(rest), indent=0))
    return lines


def tally(blocks: list[Block]) -> str:
    """How many objects have which sign: "+ 1,200, - 3"."""
    found = Counter[str]()
    for block in blocks:
        for row in block.rows:
            found[row.sign] += row.count
    return ", ".join(f"{sign} {found[sign]:,}" for sign in words.SIGN_ORDER if sign and found[sign])
