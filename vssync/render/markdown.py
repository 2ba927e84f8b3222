"""Markdown for reviewers: blocks that are cut to fit their place, rows below a summary, and foreign text as code.

Names of stores and files stand in code only: elsewhere a forge would take them for mentions, links and references.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from urllib.parse import quote

from vssync.model.marks import short_digest
from vssync.model.report import Audit, Report
from vssync.render import wording
from vssync.render.layout import (
    ALL,
    BELOW,
    KEY,
    StoreBlock,
    TextLine,
    View,
    by_folder,
    fit_blocks,
    fold_across_stores,
    group_lines,
    lay_out_columns,
    tally_blocks,
)
from vssync.render.plan_lines import PlanRow
from vssync.render.report import already_lines, apply_line, end_lines, report_blocks, upload_lines
from vssync.text import (
    count_noun,
    escape_categories,
    escape_ci_commands,
    escape_control,
    shorten_middle,
    size_in_bytes,
    size_in_utf16,
)

COMMENT, SUMMARY = 65_000, 1_000_000  # bytes; GitHub takes 65,536 characters, and 1 MiB for a job's summary
WIDTH = 100
_NAME, _SENTENCE = 80, 300  # characters of a name and of a message outside the details
_ROWS, _STORES, _FOLDERS = 120, 40, 3  # that are shown, in all; folders of what is not
_OPEN, _OPEN_STORES = 40, 10  # so few rows need not be unfolded; so many stores with a risk are
_LINKS = 10
_CUT = "Truncated: `vssync plan --full` shows everything."
_RISKY = ("!", "-", wording.GAP_SIGN, "=", "x")
_BY_RISK = (*_RISKY, "+/-", "~", "+", ".", "")
_PLAIN = re.compile(r"(?:[A-Za-z0-9 ,()%;/'-]|[.:?](?= |$)|(?<=\d)[.:](?=\d))*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_TAGS = re.compile(r"<(/?)(?:details|table)\b", re.IGNORECASE)

Measure = Callable[[str], int]


def report_markdown(report: Report, view: View, answers: Iterable[MarkdownBlock] = ()) -> str:
    """A report for those who approved the plan, under 65,536 characters, or under a mebibyte with `view.full`.

    The answers to questions, if any were asked afterwards, stand above the details, which are the first to be cut.
    """
    view = replace(view, width=WIDTH, color=False)
    stores = report_blocks(report, full=True)
    failed = [(block.head, tuple(row for row in block.rows if row.sign == "!")) for block in stores]
    lines = [line for block in fit_blocks([StoreBlock(*each) for each in failed if each[1]], view) for line in block]
    shown = lay_out_columns(lines, view).format_lines(lines)
    lists = [already_lines(report.already, view), *upload_lines(report, view)]
    blocks = [
        title_block("report", report.plan.owner, wording.heading_line(report.plan.owner, report.plan.service)),
        MarkdownBlock("\n\n".join([*end_lines(report)[:-1], f"**{apply_line(report)}**", *_audit_texts(report.audit)])),
        *([fenced_block(shown, before="**Not done:**\n\n")] if shown else []),
        *(fenced_block(lines) for lines in lists if lines),
    ]
    details = detail_blocks(stores if view.full else fold_across_stores(stores), full=view.full)
    return join_markdown(chain(blocks, answers, details), SUMMARY if view.full else COMMENT)


def _audit_texts(audit: Audit) -> list[str]:
    run = [f"[run]({quote(audit.run_url, safe=':/', errors='replace')})"] if audit.run_url else []
    parts = [*map(prose, wording.audit_parts(audit)), *run]
    return ["; ".join(parts)] if parts else []


def title_block(kind: str, owner: str, heading: str) -> MarkdownBlock:
    return MarkdownBlock(f"{comment_marker(kind, owner)}\n### vssync {kind}: {inline_code(heading)}")


def detail_blocks(blocks: Iterable[StoreBlock], *, full: bool) -> Iterator[MarkdownBlock]:
    """The rows of each store below a summary, those with a risk first and open.

    Of many rows, as much is shown of each store, and of each kind of change, as there is room for.
    """
    blocks = sorted((block for block in blocks if block.rows), key=_risk_of)
    stores, rest = (blocks, []) if full else (blocks[:_STORES], blocks[_STORES:])
    sizes = [len(block.rows) for block in stores]
    few = sum(sizes) <= _OPEN
    for index, (block, share) in enumerate(zip(stores, sizes if full else fair_shares(sizes, _ROWS), strict=True)):
        opened = few or (index < _OPEN_STORES and any(row.sign in _RISKY for row in block.rows))
        yield _store_details(block, share, View(width=WIDTH, full=full), opened=opened)
    if rest:
        yield MarkdownBlock(f"And {count_noun(len(rest), 'more store')}: {tally_blocks(rest)}.")


def _risk_of(block: StoreBlock) -> tuple[int, int]:
    worst = min(_BY_RISK.index(row.sign) for row in block.rows)
    return worst, -sum(row.count for row in block.rows if row.sign == _BY_RISK[worst])


def _store_details(block: StoreBlock, share: int, view: View, *, opened: bool) -> MarkdownBlock:
    kinds = [kind for sign in _BY_RISK if (kind := [row for row in block.rows if row.sign == sign])]
    shown = list(zip(kinds, fair_shares([len(kind) for kind in kinds], share), strict=True))
    lines = [line for kind, count in shown for line in _kind_lines(kind, count, view)]
    columns = lay_out_columns(lines, view, narrow=True)
    # A diff's colours need the sign at the very left.
    texts = [line[2:] for line in columns.format_lines(lines)]
    named = [row.key for kind, count in shown for row in kind[:count] if row.key in block.urls]
    links = " ".join(f"[{inline_code(key)}]({block.urls[key]})" for key in named[:_LINKS])
    start = f"<details{' open' if opened else ''}><summary>"
    summary = f"{inline_code(block.head.left)}: {tally_blocks([block])}".removesuffix(": ")
    after = f"\n\n{links}" if links else ""
    return fenced_block(texts, "diff", before=f"{start}{summary}</summary>\n\n", after=f"{after}\n\n</details>")


def _kind_lines(rows: list[PlanRow], count: int, view: View) -> list[TextLine]:
    """The first rows of one sign, then how many more there are, and in which folders."""
    lines = group_lines(tuple(rows[:count]), ALL, view)
    if rest := rows[count:]:
        more = count_noun(sum(row.count for row in rest), f"{'more ' if count else ''}{rest[0].noun}")
        lines.append(TextLine(more, sign=rest[0].sign, indent=KEY))
        folders = by_folder(rest, _FOLDERS)
        lines += [TextLine(f"{name or './'}  {count_noun(files, 'file')}", indent=BELOW) for name, files in folders]
    return lines


def fair_shares(sizes: Sequence[int], room: int) -> list[int]:
    """How much is shown of each of several lists where there is room for so much in all: of all the same, or all."""
    shares = [0] * len(sizes)
    smallest_first = sorted(range(len(sizes)), key=sizes.__getitem__)
    for position, index in enumerate(smallest_first):
        shares[index] = min(sizes[index], room // (len(sizes) - position))
        room -= shares[index]
    return shares


@dataclass(frozen=True, slots=True)
class MarkdownBlock:
    """Lines between an opening and a closing; only lines are ever cut."""

    before: str
    lines: tuple[str, ...] = ()
    after: str = ""

    def to_text(self) -> str:
        return "\n".join([*filter(None, [self.before]), *self.lines, *filter(None, [self.after])])

    def truncate(self, room: int, size: Measure = size_in_bytes) -> MarkdownBlock | None:
        """The block in at most `room`, saying how many lines are missing; None when not even one fits."""
        if size(self.to_text()) <= room:
            return self
        least = MarkdownBlock(self.before, (_missing_lines(len(self.lines)),), self.after)
        left = room - size(least.to_text()) - 1
        fitting = sum(used <= left for used in accumulate(size(line) + 1 for line in self.lines))
        lines = (*self.lines[:fitting], _missing_lines(len(self.lines) - fitting))
        return MarkdownBlock(self.before, lines, self.after) if fitting else None


def join_markdown(
    blocks: Iterable[MarkdownBlock], room: int, size: Measure = size_in_bytes, *, cut: str = _CUT, ending: str = ""
) -> str:
    """The blocks in at most `room`, an empty line between them; the first ones are the last to be cut.

    Where they are, `cut` says so; `ending` stands below in any case.
    """
    room -= sum(size(text) + 2 for text in (cut, ending) if text)
    texts: list[str] = []
    for block in blocks:
        fitting = block.truncate(room, size)
        if fitting is None:
            texts.append(cut)
            break
        texts.append(fitting.to_text())
        room -= size(texts[-1]) + 2
    return "\n\n".join([*texts, *filter(None, [ending])])


def _missing_lines(lines: int) -> str:
    return f"... and {count_noun(lines, 'more line')}"


def fenced_block(lines: list[str], language: str = "text", *, before: str = "", after: str = "") -> MarkdownBlock:
    """Lines as a block of code, behind a fence that none of them can close; none is a command to a CI runner."""
    lines = list(map(escape_ci_commands, lines))
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return MarkdownBlock(f"{before}{fence}{language}", tuple(lines), fence + after)


def inline_code(text: str) -> str:
    """A foreign text as inline code in a table, a paragraph or HTML; punctuation becomes entities."""
    safe = (char if char.isalnum() or char in " ,-" else f"&#{ord(char)};" for char in escape_control(text))
    return f"<code>{''.join(safe)}</code>"


def prose(text: str) -> str:
    """A message with its names in code: those between backticks; all of it, if anything else might mean something."""
    parts = escape_control(text).split("`")
    if len(parts) % 2 and all(map(_PLAIN.fullmatch, parts[::2])) and (text[:1].isalnum() or not parts[0]):
        return "".join(inline_code(part) if index % 2 else part for index, part in enumerate(parts))
    return inline_code(text)


def short_code(text: str) -> str:
    """A foreign name as inline code, cut in the middle where it is long."""
    return inline_code(shorten_middle(escape_control(text), _NAME))


def short_prose(text: str) -> str:
    """A message as `prose` has it, cut in the middle where it is long."""
    return prose(shorten_middle(escape_control(text), _SENTENCE))


def table_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def comment_marker(kind: str, owner: str) -> str:
    """A hidden line by which a later run finds the comment it should replace; different for each owner.

    A comment in HTML holds neither every character nor `--`; a digest tells names apart that differ in those.
    """
    name = re.sub("[^A-Za-z0-9._/-]|-(?=-)", "_", owner)
    return f"<!-- vssync:{kind}:{name if name == owner else f'{name}.{short_digest(owner)}'} -->"


def clean_markdown(text: str) -> str:
    """A text without what a forge refuses or a terminal obeys: control characters and halves of characters."""
    return escape_categories(text.replace("\r\n", "\n"), ("Cc", "Cs"), kept="\n\t")


def fit_markdown(text: str, most: int, ending: str, size: Measure = size_in_utf16) -> str:
    """A Markdown text of at most this size, cut between two blocks and then with this ending.

    Of a first block that is too long itself nothing is left but its first line, such as a marker.
    """
    if size(text) <= most:
        return text
    room = most - size(ending) - 2
    lines = text.split("\n")
    kept, used, fence, depth = int(size(lines[0]) <= room), 0, "", 0
    for number, line in enumerate(lines):
        used += size(line) + 1
        if used > room:
            break
        if mark := _FENCE.match(line):
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        elif not fence:
            depth += sum(-1 if slash else 1 for slash in _TAGS.findall(line))
            if not line.strip() and depth <= 0:
                kept = number
    return "\n".join(lines[:kept]).rstrip() + f"\n\n{ending}"


def fit_between(start: str, texts: Sequence[str], end: str, *, most: int, size: Measure, cut: str) -> str:
    """Markdown texts between a first line and an ending that are never cut; where the texts are, `cut` says so."""
    room = most - size(start) - size(end) - 4
    body = "\n\n".join(text.strip("\n") for text in texts)
    return f"{start}\n{fit_markdown(body, room, cut, size)}\n\n{end.strip(chr(10))}"
