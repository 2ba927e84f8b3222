"""Attributes that come from the file itself: its front matter, its heading, the date of its last commit."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from vssync.errors import ManifestError, Problem
from vssync.limits import MAX_VALUE_LENGTH
from vssync.manifest.front_matter import FrontMatter, FrontMatterBlock, find_front_matter
from vssync.manifest.placeholders import literal_text
from vssync.manifest.scalars import NonCanonical, is_finite, plain_number, to_text
from vssync.model.state import Scalar
from vssync.text import shorten_middle

Source = tuple[str, ...]  # `front_matter.params.group` in its parts
HEADING: Source = ("heading",)
GIT_DATE: Source = ("git", "date")
FRONT_MATTER = "front_matter"  # the first part of a field's source
_MAX_NUMBER = 2**53  # a service that reads JSON numbers as floats may change a larger whole one
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(  # YAML 1.1's type library; the zone may also be written +0200
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:(?:[Tt]|[ \t]+)(?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)"
    r"(?:[ \t]*(?P<zone>[Zz]|[-+][0-9]{2}(?::?[0-9]{2})?))?)?"
)

_DRAFT_VALUES = {
    *(("draft", word) for word in ("true", "yes", "on")),
    *(("published", word) for word in ("false", "no", "off")),
}
_SAYS_DRAFT = re.compile(  # searches lower-cased front matter that failed to parse, in YAML, TOML or JSON
    r"""(?mx) (?:^|[{,]) [ \t]* ["']?
    (?: draft["']?\s*[:=]\s*["']?(?:true|yes|on) | published["']?\s*[:=]\s*["']?(?:false|no|off) ) \b"""
)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where an attribute's value comes from: the first of these sources that the file has."""

    sources: tuple[Source, ...]
    as_epoch: bool = False  # a date as seconds, UTC
    join: str = ", "  # between the items of a list
    fields: frozenset[Source] = field(init=False, compare=False, repr=False)  # of front matter, among the sources
    hash_value: int = field(init=False, compare=False, repr=False)  # made once: each file asks for it many times

    def __post_init__(self) -> None:
        fields = frozenset(source for source in self.sources if source[0] == FRONT_MATTER)
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "hash_value", hash((self.sources, self.as_epoch, self.join)))

    def __hash__(self) -> int:
        return self.hash_value

    @classmethod
    def of(cls, name: str, tree: Mapping[str, Any]) -> Lookup:
        """The lookup of an attribute, from its form in a manifest.

        `front_matter` alone stands for the field that is named like the attribute.
        """
        texts = [tree["from"]] if isinstance(tree["from"], str) else tree["from"]
        sources = [(FRONT_MATTER, name) if text == FRONT_MATTER else tuple(text.split(".")) for text in texts]
        join = tree.get("join")
        return cls(tuple(sources), tree.get("as") == "epoch", ", " if join is None else literal_text(join))


@dataclass(frozen=True, slots=True)
class Findings:
    """What lookups found in one file."""

    values: Mapping[Lookup, Scalar] = field(default_factory=dict)
    dated: frozenset[Lookup] = frozenset()  # lookups whose value is the date of the last commit
    fields: frozenset[Source] = frozenset()  # front matter fields that the lookups name and the file has
    problems: Mapping[Lookup, Problem] = field(default_factory=dict)
    is_draft: bool = False


NO_FINDINGS = Findings()


def look_up(lookups: Collection[Lookup], text: str, file_name: str, commit_date: str = "") -> Findings:
    """What these lookups find in a file.

    `text` is the beginning of a Markdown file; empty for other files, which have neither front matter nor headings.
    """
    block = find_front_matter(text)
    if not (lookups or block):
        return NO_FINDINGS
    file = _FileSources(text, file_name, commit_date, block)
    values: dict[Lookup, Scalar] = {}
    dated: list[Lookup] = []
    fields: set[Source] = set()
    problems: dict[Lookup, Problem] = {}
    for lookup in lookups:
        try:
            present = [source for source in lookup.sources if file.value_of(source) is not None]
            fields.update(lookup.fields.intersection(present))
            if present:
                values[lookup] = _to_scalar(file.value_of(present[0]), lookup)
                if present[0] == GIT_DATE:
                    dated.append(lookup)
        except ManifestError as error:
            problem = error.problems[0]
            problems[lookup] = replace(problem, message=f"front matter: {problem.message}")
        except ValueError as error:
            problems[lookup] = file.problem_at(present[0], str(error))
    is_draft = file.is_draft
    if not (values or problems or is_draft):
        return NO_FINDINGS
    return Findings(values, frozenset(dated), frozenset(fields), problems, is_draft)


class _FileSources:
    """The sources of one file, each read when it is first asked for."""

    def __init__(self, text: str, file_name: str, commit_date: str, block: FrontMatterBlock | None) -> None:
        self._text, self._file_name, self._block = text, file_name, block
        self._values: dict[Source, Any] = {GIT_DATE: commit_date or None}

    @cached_property
    def _front_matter(self) -> FrontMatter | None:
        """The front matter; None without one. Raises ManifestError."""
        return self._block.parse(self._file_name) if self._block else None

    @property
    def is_draft(self) -> bool:
        """Whether the front matter says `draft: true` or `published: false`, as in Hugo and Jekyll."""
        words = self._block.body.lower() if self._block else ""
        if not ("draft" in words or "published" in words):
            return False
        try:
            fields = self._front_matter.fields if self._front_matter else {}
        except ManifestError:  # a typo must not publish a draft
            return _SAYS_DRAFT.search(words) is not None
        values = {(name.lower(), str(value).lower()) for name, value in fields.items()}  # of `draft`, and of `Draft`
        return not values.isdisjoint(_DRAFT_VALUES)

    def value_of(self, source: Source) -> Any:
        """The value of a source; None if the file lacks it or it is empty. Raises ManifestError."""
        if source not in self._values:
            self._values[source] = self._heading() if source == HEADING else self._field(source[1:])
        return self._values[source]

    def _field(self, path: tuple[str, ...]) -> Any:
        value: Any = self._front_matter.fields if self._front_matter else None
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return None if _is_empty(value) else value

    def _heading(self) -> str | None:
        start = self._block.end if self._block else 0
        with suppress(ManifestError):  # what is wrong in front matter concerns only attributes that are taken from it
            if self._front_matter is None:  # the block is part of the text
                start = 0
        return find_heading(self._text[start:]) or None

    def problem_at(self, source: Source, message: str) -> Problem:
        """A problem with the value of a source."""
        if source[0] == FRONT_MATTER and self._front_matter:
            name = f"the front matter field `{'.'.join(source[1:])}`"
            return self._front_matter.problem_at(source[1:], f"{name} {message}")
        return Problem(self._file_name, 0, 0, f"its `{'.'.join(source)}` {message}")


def _is_empty(value: object) -> bool:
    if isinstance(value, list | dict):
        return all(map(_is_empty, value.values() if isinstance(value, dict) else value))
    return value is None or (isinstance(value, str) and not value.strip())


def _to_scalar(value: Any, lookup: Lookup) -> Scalar:
    """A value as an attribute. Raises ValueError, which says why it cannot be one."""
    if isinstance(value, dict):
        raise ValueError(f"is nested: name one of its fields, such as `{next(iter(value), 'x')}`, after a dot")
    if isinstance(value, list):
        items = [_dates_as_text(item) for item in value if not _is_empty(item)]
        if any(isinstance(item, list | dict) for item in items):
            raise ValueError("is nested")
        value = lookup.join.join(map(to_text, items))
    value = _dates_as_text(value)
    if lookup.as_epoch:
        value = _to_epoch(value)
    if isinstance(value, int | float) and not is_finite(value):
        raise ValueError(f"is not a finite number: {shorten_middle(to_text(value), 60)}")
    if isinstance(value, NonCanonical):
        flaw = f"would not be kept as written: {value.text} is {plain_number(value)}"
        raise ValueError(f'{flaw}; write "{value.text}" for the text')
    if isinstance(value, int | float) and abs(value) > _MAX_NUMBER:
        raise ValueError("is too large a number")
    if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
        raise ValueError(f"has {len(value):,} characters; {MAX_VALUE_LENGTH} are allowed")
    scalar: Scalar = value  # no other type is left
    return scalar


def _dates_as_text(value: Any) -> Any:
    """TOML dates and times, and YAML timestamps with a time, as ISO 8601 text; anything else unchanged."""
    if isinstance(value, str):
        match = _TIMESTAMP.fullmatch(value)
        value = (_moment(match) or value) if match and match["time"] else value
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat().replace("+00:00", "Z")
    return value


def _moment(match: re.Match[str]) -> datetime | None:
    """The date and time that a timestamp stands for; None for one that does not exist (February 30)."""
    zone = (match["zone"] or "").upper().replace(":", "")
    zone = f"{zone}00" if len(zone) == 3 else zone
    try:
        return datetime.fromisoformat(f"{match['day']}T{match['time'] or '00:00'}{zone}")
    except ValueError:
        return None


def _to_epoch(value: Any) -> int:
    """A date as seconds since 1970; the default time is 00:00, the default zone UTC. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool | NonCanonical):
        return value
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    moment = _moment(match) if match else None
    if moment is None:
        raise ValueError(f"is not a date: `{to_text(value)[:60]}`; write 2026-11-28, or 2026-11-28T14:02:31Z")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(seconds=1)  # rounded down, before 1970, too


_HEADING = re.compile(
    r"""(?mx)
      ^[ ]{0,3}(?P<fence>`{3,}(?=[^`\n]*\n)|~{3,})[^\n]*\n (?s:.*?) (?:^[ ]{0,3}(?P=fence)[`~]*[ \t]*$ | \Z)  # code
    | ^[ ]{0,3}<!--(?s:.*?)(?:-->|\Z)  # a comment
    | ^[ ]{0,3}(?P<marks>\#{1,6})[ \t]+(?P<text>[^\n]*)$  # a heading after `#`
    | ^[ ]{0,3}(?P<underlined>[^\s\#>`~<|+*-][^\n]*)\n[ ]{0,3}(?P<line>=+|-+)[ \t]*$  # a heading above `===` or `---`
    """
)
_HAS_MARKUP = re.compile(r"[\\`*_\[#{]")
_CODE = re.compile(r"(?<![\\`])(?P<ticks>`+)(?!`)(?P<code>.{1,200}?)(?<!`)(?P=ticks)(?!`)")
_EMPHASIS = (  # of at most 200 characters, so that no text takes long
    (re.compile(r"(?<![\\*])(\*{1,3})(?![*\s])(.{1,200}?)(?<![\\*\s])\1(?!\*)"), r"\2"),
    (re.compile(r"(?<![\\\w])(_{1,3})(?![_\s])(.{1,200}?)(?<![\\_\s])\1(?!\w)"), r"\2"),
)
_MARKUP = (  # what is not shown of a heading: its end marks and anchor, links' targets, emphasis, escapes
    (re.compile(r"[ \t]+#+[ \t]*$"), ""),
    (re.compile(r"[ \t]*\{[#.:][^{}]*\}[ \t]*$"), ""),
    (re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)"), r"\1"),
    *_EMPHASIS,
    *_EMPHASIS,  # emphasis within emphasis
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
)


def find_heading(text: str) -> str:
    """The first heading of level 1 in a Markdown text, or else its first heading, as plain text; empty if none."""
    first = ""
    for match in _HEADING.finditer(text.replace("\r\n", "\n")):
        heading = plain_heading(match["text"] or match["underlined"] or "")
        if heading and (match["marks"] == "#" or (match["line"] or "").startswith("=")):
            return heading
        first = first or heading
    return first


def plain_heading(markdown: str) -> str:
    """The text of a heading without its markup; what is in code is shown as it is."""
    if not _HAS_MARKUP.search(markdown):  # most headings: this saves the time for all below
        return markdown.strip()
    codes: list[str] = []

    def set_aside(match: re.Match[str]) -> str:
        code = match["code"]
        codes.append(code[1:-1] if code[0] == code[-1] == " " and code.strip() else code)  # as CommonMark has it
        return "\0"  # no text that is read has this character

    markdown = _CODE.sub(set_aside, markdown)
    for pattern, replacement in _MARKUP:
        markdown = pattern.sub(replacement, markdown)
    first, *others = markdown.split("\0")
    return "".join((first, *(code + text for code, text in zip(codes, others, strict=False)))).strip()
