"""What a terminal can show, and rows laid out in columns: a sign, a key, a text, a size or a count."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from vssync.model.plan import FieldChange
from vssync.render import wording
from vssync.text import display_width, escape_control, pad_right, shorten_middle


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
        """The lines as text, without trailing spaces."""
        return [f"{self._sign_text(line)}{self._column_text(line)}".rstrip() for line in lines]

    def _sign_text(self, line: TextLine) -> str:
        sign = f"\x1b[1;38;5;{COLORS[line.sign]}m{line.sign}\x1b[0m" if line.sign and self.color else line.sign
        return f"  {sign}{' ' * (KEY - 2 - len(line.sign))}" if line.sign else " " * line.indent

    def _column_text(self, line: TextLine) -> str:
        right = f"{line.right:>{_RIGHT}}" if line.right else ""
        if line.middle:
            left = pad_right(shorten_middle(line.left, self.key), self.key)
            room = self.text if right else self.text + _RIGHT
            return f"{left}  {pad_right(shorten_middle(line.middle, room), self.text)}{right}"
        if right:
            room = self.margin - line.indent - len(right)
            return f"{pad_right(shorten_middle(line.left, room), room)}{right}"
        return shorten_middle(line.left, self.screen - line.indent)


def lay_out_columns(lines: list[TextLine], view: View) -> Columns:
    """Columns as wide as these lines need: 80 where that is enough, never more than the view has."""
    keys = max((display_width(line.left) for line in lines if line.middle), default=0)
    text = max((display_width(line.middle) - (0 if line.right else _RIGHT) for line in lines), default=0)
    screen = UNLIMITED if view.full else max(view.width, _NARROW)
    narrowest, widest = _TEXT if screen >= 80 else (0, (screen - KEY - _RIGHT) // 2)
    text = min(max(text, narrowest), UNLIMITED if view.full else widest)
    margin = min(screen, max(80, KEY + keys + 2 + text + _RIGHT))
    return Columns(screen, margin, margin - KEY - 2 - text - _RIGHT, text, view.color)


def field_lines(fields: tuple[FieldChange, ...], view: View) -> list[str]:
    """Field changes as aligned lines: `plan      "basic" -> "standard"`."""
    room = UNLIMITED if view.full else max(view.width, _NARROW) // 4
    names = [shorten_middle(escape_control(field.name), room) for field in fields]
    widest = max(map(display_width, names), default=0)
    return [_field_line(pad_right(name, widest), field, view) for name, field in zip(names, fields, strict=True)]


def _field_line(name: str, field: FieldChange, view: View) -> str:
    outside = "  (changed outside vssync)" if field.drifted else ""
    room = max(view.width, _NARROW) - BELOW - display_width(name) - len(outside) - len("   -> ")
    before, after = wording.format_value(field.before), wording.format_value(field.after)
    if not view.full and display_width(before) + display_width(after) > room:
        half = max(9, room // 2)
        before, after = shorten_middle(before, half), shorten_middle(after, half)
    return f"{name}  {before} -> {after}{outside}"


def wrap_sentences(text: str, indent: int, view: View) -> list[str]:
    """An escaped text wrapped between words."""
    width = UNLIMITED if view.full else max(view.width, _NARROW)
    return textwrap.wrap(text, max(20, width - indent), break_on_hyphens=False) or [""]


def wrap_before_count(text: str, indent: int, view: View) -> list[str]:
    """The same as `wrap_sentences`, with room for a count at the right margin, wherever that will be."""
    width = UNLIMITED if view.full else min(max(view.width, _NARROW), 80)
    return textwrap.wrap(text, max(20, width - indent - _RIGHT), break_on_hyphens=False) or [""]


def fit_totals(totals: list[str], view: View) -> list[str]:
    """Lines of totals; on a terminal, one that is too long goes on below its first number, broken at a comma."""
    return [line for total in totals for line in (_wrap_total(total, view) if view.terminal else [total])]


def _wrap_total(total: str, view: View) -> list[str]:
    breakable = total.replace(" ", "\0").replace(",\0", ", ")  # the only spaces left are where it may be broken
    below = " " * (total.find(" ") + 1)
    lines = textwrap.wrap(
        breakable, view.width, subsequent_indent=below, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in lines]
