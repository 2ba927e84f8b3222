"""Words and numbers for people, and foreign text made safe to print."""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata
from collections.abc import Container, Iterable
from math import ceil
from posixpath import commonprefix
from urllib.parse import quote

# What people and `init` write until they know better. Documentation's own examples, such as a host below example.com,
# are not among them.
_PLACEHOLDER = re.compile(r"\bCHANGE(?:[_-]?ME)?\b|\bTODO\b|\bYOUR[_-]|<[^<>]+>|\.\.\.|\u2026")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, surrogate, line and paragraph separator


def escape_control(text: str) -> str:
    """A foreign text on one line, with control, bidirectional and invisible characters as readable escapes."""
    return escape_categories(text, _INVISIBLE)


def escape_categories(text: str, categories: Container[str], kept: str = "") -> str:
    """A text with the characters of these categories as readable escapes, and with those that are no characters.

    Unicode has the latter for ever, as U+FFFE; other ones without a category may get one in its next version.
    """
    if text.isprintable():
        return text  # only faster: what Python calls printable has no such character
    chars = {char for char in set(text) if unicodedata.category(char) in categories or _is_noncharacter(char)}
    return text.translate({ord(char): char.encode("unicode_escape").decode("ascii") for char in chars - {*kept}})


def _is_noncharacter(char: str) -> bool:
    return ord(char) & 0xFFFE == 0xFFFE or "\ufdd0" <= char <= "\ufdef"


def replace_surrogates(text: str) -> str:
    """A text with a `?` for each half of a character: JSON can hold one, and it can neither be sent nor printed."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def conceal(text: str, secrets: Iterable[str]) -> str:
    """A foreign text without these secrets, also as JSON, HTML and addresses write them."""
    for secret in filter(None, secrets):
        for form in (secret, secret.replace("/", "\\/"), html.escape(secret), quote(secret, safe="")):
            text = text.replace(form, "***")
    return text


def conceal_user(address: str) -> str:
    """An address, however it is written, without the user and the password before its host."""
    return re.sub(r"^(\w[\w+.-]*://)?.*@", r"\1***@", address)


def is_unedited(text: str) -> bool:
    """Whether a setting still holds words to be replaced, such as `<your-key>` or `CHANGE`."""
    return _PLACEHOLDER.search(text) is not None


def escape_ci_commands(text: str) -> str:
    """A finished output of which no line is a CI runner's workflow command."""
    return re.sub(r"(?m)^(\s*):(?=:)", r"\1: ", text).replace("##[", "## [")


def join_words(words: list[str]) -> str:
    """Words as a person lists them: "a, b and c"."""
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


def join_first(words: list[str], most: int = 3) -> str:
    """The first words of a list, and how many more there are: "a, b, c and 12 more"."""
    more = len(words) - most
    return join_words([*words[:most], *([f"{more:,} more"] if more > 0 else [])])


def count_noun(count: int, noun: str) -> str:
    """A count and its noun: "1 file", "1,204 files", "2 batches"."""
    plural = noun if count == 1 else noun + ("es" if noun.endswith("ch") else "s")
    return f"{count:,} {plural}"


def format_size(count: int) -> str:
    """Bytes for people, 1 KB being 1024 of them."""
    if count < 1024:
        return count_noun(count, "byte")
    amount, units = count / 1024, ["KB", "MB", "GB"]
    while amount >= 999.95 and len(units) > 1:  # 999.95 would be printed as 1000.0
        amount, units = amount / 1024, units[1:]
    return f"{amount:,.1f} {units[0]}"


def format_estimate(seconds: float) -> str:
    """A rough time: "under a minute", "about 7 minutes", "about 3 hours"."""
    if seconds < 60:
        return "under a minute"
    minutes = ceil(seconds / 60)
    time = count_noun(minutes, "minute") if minutes < 120 else count_noun(ceil(minutes / 60), "hour")
    return f"about {time}"


def format_elapsed(seconds: float) -> str:
    """A time in seconds: "0.4 s", "26 s", "3 min 20 s", "2 h", "2 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h" + (f" {minutes_left} min" if minutes_left else "")
    return f"{minutes} min" + (f" {rest} s" if rest else "") if minutes else f"{rest} s"


def size_in_utf16(text: str) -> int:
    """Characters as forges count at worst: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def size_in_bytes(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text.encode())


def display_width(text: str) -> int:
    """The terminal columns a text takes; East Asian letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten_middle(text: str, room: int) -> str:
    """A text cut in its middle to `room` columns, its end, which tells files apart, kept longer than its start."""
    return text if display_width(text) <= room else "...".join(_ends(text, room))


def shorten_list(text: str, room: int) -> str:
    """A list with ", " between its entries cut to `room` columns behind a whole entry, if that is possible."""
    cut = text
    while display_width(cut) > room:
        entries, comma, _ = cut.removesuffix(", ...").rpartition(", ")
        if not comma:
            return shorten_middle(text, room)
        cut = f"{entries}, ..."
    return cut


def _ends(text: str, room: int) -> tuple[str, str]:
    tail = max(1, (room - 3) * 2 // 3)
    return _prefix_within(text, max(0, room - 3 - tail)), _prefix_within(text[::-1], tail)[::-1]


def shorten_apart(left: str, right: str, room: int) -> tuple[str, str]:
    """Two texts cut to `room` columns each; where that would hide what differs, around the place where they part."""
    short_left, short_right = shorten_middle(left, room), shorten_middle(right, room)
    equal = len(commonprefix((left, right)))
    is_hidden = short_left == short_right or _hides(left, equal, room) or _hides(right, equal, room)
    if left == right or not is_hidden:
        return short_left, short_right
    start = max(0, equal - max(0, room - 6) // 4)
    rests = (f"...{text[start:]}" if start else text for text in (left, right))
    cut_left, cut_right = (
        text if display_width(text) <= room else f"{_prefix_within(text, room - 3)}..." for text in rests
    )
    return cut_left, cut_right


def _hides(text: str, index: int, room: int) -> bool:
    """Whether a text has to be cut, and lacks the character at this index then."""
    head, tail = _ends(text, room)
    return display_width(text) > room and len(head) <= index < len(text) - len(tail)


def _prefix_within(text: str, room: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += _char_width(char)
        if used > room:
            return text[:index]
    return text


def wrap_list(text: str, head: str, width: int) -> list[str]:
    """A list behind a heading, in lines of at most `width` columns: broken at commas and double spaces alone."""
    breakable = text.replace(" ", "\0").replace(",\0", ", ").replace("\0\0", "  ")  # other spaces hold together
    room = max(20, width - display_width(head))
    first, *more = textwrap.wrap(breakable, room, break_long_words=False, break_on_hyphens=False) or [""]
    below = " " * display_width(head)
    return [line.replace("\0", " ").rstrip() for line in (head + first, *(below + line for line in more))]


def pad_right(text: str, room: int) -> str:
    """A text filled with spaces to `room` columns."""
    return text + " " * (room - display_width(text))
