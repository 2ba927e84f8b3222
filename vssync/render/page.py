"""What a page shows, as values: changes singly or grouped, pictures of what comes and goes, answers to questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vssync.model.plan import StorePlan
from vssync.planner.score import QuestionReport, QuestionResult
from vssync.render import wording
from vssync.render.layout import StoreBlock, count_files, group_rows, split_by_folder, split_variants
from vssync.render.plan_lines import PlanRow
from vssync.render.test import found_documents, result_details, store_total
from vssync.text import escape_control

_SINGLE, _FEW = 40, 2  # rows of a store, and of a group, up to which each is a row of its table
_VARIANTS, _FOLDERS, _UNFOLDED = 20, 30, 10  # of a group: kinds of change, folders; files that need no folders
_BARS, _PICTURED = 12, 10  # folders in a picture, and changed files above which a store has one
_OPEN_STORES, _OPEN_ANSWERS = 10, 20
_GOING, _UNDRAWN = ("-", "x"), ("!", ".", "")  # signs of what goes, and of what neither comes, changes nor goes

TONES = {
    "+": "add",
    "~": "change",
    "+/-": "replace",
    wording.GAP_SIGN: "replace",
    "-": "delete",
    "=": "adopt",
    "x": "delete",
    ".": "wait",
    "!": "attention",
    "": "note",
}
COUNTED_SIGNS = [sign for sign in wording.SIGN_ORDER if sign]


@dataclass(frozen=True, slots=True)
class Variant:
    """Rows of a group: a row whose details all of them share, if they do; lists by folder, or one without a name."""

    count: int
    shared: PlanRow | None
    folders: list[tuple[str | None, list[PlanRow]]]


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows of one sign and reason."""

    sign: str
    text: str
    noun: str
    count: int
    size: int
    variants: list[Variant]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a store's changes: rows for a table, or a group."""

    rows: list[PlanRow] = field(default_factory=list)
    group: RowGroup | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a picture: how many objects of each sign there are, and segments: tone, start, width."""

    name: str
    counts: Mapping[str, int]
    segments: list[tuple[str, float, float]]
    note: str
    extra: Sequence[str]


@dataclass(frozen=True, slots=True)
class Picture:
    """What comes and changes, to the right of a line, and what goes, to its left; the longest side takes 100."""

    signs: list[str]
    bars: list[Bar]
    left: float
    width: float
    extra: Sequence[str]


@dataclass(frozen=True, slots=True)
class StoreView:
    """A store, or what several share (then without a key)."""

    name: str
    pieces: list[Piece]
    key: str = ""
    anchor: str = ""
    place: str = ""
    files: str = ""
    tally: Mapping[str, int] = field(default_factory=dict)
    urgent: int = 0  # objects that need attention, and are shown elsewhere
    picture: Picture | None = None
    is_open: bool = False


def urgent_views(blocks: Iterable[StoreBlock]) -> list[StoreView]:
    """What needs attention, by store."""
    pairs = ((_name_of(block), [row for row in block.rows if _is_urgent(row)]) for block in blocks)
    return [StoreView(name, _split_rows(rows), urgent=count_files(rows)) for name, rows in pairs if rows]


def store_views(blocks: Sequence[StoreBlock], places: Mapping[str, str]) -> list[StoreView]:
    """All other rows of each store, at its place by its key."""
    views = []
    for number, block in enumerate(blocks, 1):
        rows = [each for row in block.rows if not _is_urgent(row) for each in _unfolded(row)]
        views.append(
            StoreView(
                name=_name_of(block),
                pieces=_split_rows(rows),
                key=escape_control(block.key),
                anchor=f"store-{number}",
                place=places.get(block.key, ""),
                files=block.head.right,
                tally=count_signs(rows),
                urgent=count_files(filter(_is_urgent, block.rows)),
                picture=_picture_folders(rows),
                is_open=len(blocks) <= _OPEN_STORES or not block.key,
            )
        )
    return views


def _unfolded(row: PlanRow) -> tuple[PlanRow, ...]:
    """A new folder's files where they are many, since a page has folders of its own to show them by."""
    return row.members if row.sign and row.stores == 1 and len(row.members) > _SINGLE else (row,)


def _is_urgent(row: PlanRow) -> bool:
    """Whether it needs attention, or is a question that will fail."""
    return row.sign == "!" or row.noun == "question"


def _name_of(block: StoreBlock) -> str:
    return escape_control(block.key) or block.head.left


def _split_rows(rows: list[PlanRow]) -> list[Piece]:
    """All rows singly when they are few, else groups, as in the text for a terminal."""
    if len(rows) <= _SINGLE:
        return [Piece(rows)] if rows else []
    pieces: list[Piece] = []
    for group in group_rows(rows):
        if len(group) > _FEW:
            pieces.append(Piece(group=_row_group(group)))
        elif pieces and pieces[-1].rows:
            pieces[-1].rows.extend(group)
        else:
            pieces.append(Piece(group))
    return pieces


def _row_group(rows: list[PlanRow]) -> RowGroup:
    first, (variants, rest) = rows[0], split_variants(rows, _VARIANTS)
    made = [_variant(variant, shared=bool(variant[0].fields or variant[0].below)) for variant in variants]
    made += [_variant(rest, shared=False)] if rest else []
    return RowGroup(first.sign, first.text, first.noun, count_files(rows), sum(row.size or 0 for row in rows), made)


def _variant(rows: list[PlanRow], *, shared: bool) -> Variant:
    has_folders = rows[0].noun == "file" and len(rows) > _UNFOLDED
    folders = [*split_by_folder(rows, _FOLDERS, below_common=True)] if has_folders else [(None, rows)]
    return Variant(count_files(rows), rows[0] if shared else None, [*folders])


def count_signs(rows: Iterable[PlanRow]) -> Counter[str]:
    """How many files have which sign."""
    counts = Counter[str]()
    for row in rows:
        counts[row.sign] += row.count if row.noun == "file" else 0
    return counts


def _picture_folders(rows: list[PlanRow]) -> Picture | None:
    """The folders with most changes; none for a single one, or where the few changes are a picture themselves."""
    files = [row for row in rows if row.sign and row.noun == "file"]
    folders = split_by_folder(files, _BARS, below_common=True) if count_files(files) > _PICTURED else []
    drawn = sum(not name or name.endswith("/") for name, _ in folders)  # a sum of many folders would dwarf them
    entries = [(name or "./", count_signs(group), "") for name, group in folders]
    return _picture(entries, {}, drawn) if folders[1:] else None


def picture_stores(
    counted: Sequence[tuple[StorePlan, Counter[str], str]], numbers: Mapping[str, Sequence[int]]
) -> Picture | None:
    """Stores beside each other, with a note each, and further columns by their title; none for a single store."""
    entries = [(store.key, counts, note) for store, counts, note in counted]
    return _picture(entries, numbers, len(entries)) if entries[1:] else None


def _picture(
    entries: Sequence[tuple[str, Counter[str], str]], numbers: Mapping[str, Sequence[int]], drawn: int
) -> Picture:
    """The entries in numbers, and the first `drawn` ones also as bars."""
    signs = [sign for sign in COUNTED_SIGNS if any(counts[sign] for _, counts, _ in entries)]
    going = [sign for sign in signs if sign in _GOING]
    coming = [sign for sign in signs if sign not in (*_GOING, *_UNDRAWN)]
    sides = [[sum(counts[sign] for sign in side) for _, counts, _ in entries[:drawn]] for side in (going, coming)]
    left, right = map(max, sides)
    scale = 100 / max(left, right, 1)
    bars = []
    titles = [title for title, column in numbers.items() if any(column)]
    for index, (name, counts, note) in enumerate(entries):
        widths = {sign: round(counts[sign] * scale, 2) if index < drawn else 0 for sign in signs}
        segments = [(sign, sum(widths[other] for other in coming[:place])) for place, sign in enumerate(coming)]
        segments += [(sign, -sum(widths[other] for other in going[: place + 1])) for place, sign in enumerate(going)]
        bar = [(TONES[sign], round(start, 2), widths[sign]) for sign, start in segments if widths[sign]]
        bars.append(Bar(escape_control(name), counts, bar, note, [f"{numbers[title][index]:,}" for title in titles]))
    return Picture(signs, bars, round(-left * scale, 2), round((left + right) * scale, 2) or 100, titles)


# Questions


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document among the results of a question: its bar's width in percent, and what it was expected to be."""

    name: str
    rank: int
    score: float
    width: float
    label: str = ""
    tone: str = "note"


@dataclass(frozen=True, slots=True)
class AnswerView:
    """A question, what was expected of its results, and these."""

    ask: str
    details: list[tuple[str, str]]
    found: list[FoundDocument]
    is_open: bool


@dataclass(frozen=True, slots=True)
class StoreAnswers:
    """The questions of a store by how they ended; `unasked` by the reason."""

    key: str
    place: str
    total: str
    is_alarming: bool
    unasked: list[tuple[str, list[str]]]
    failed: list[AnswerView]
    passed: list[AnswerView]


def answer_views(report: QuestionReport) -> list[StoreAnswers]:
    """What each store answers; of those that fail, the first are open."""
    views = []
    for store in report.stores:
        unasked: dict[str, list[str]] = {}
        for result in store.results:
            if result.error:
                unasked.setdefault(result.error, []).append(result.question.ask)
        failed = [result for result in store.results if not (result.passed or result.error)]
        views.append(
            StoreAnswers(
                key=store.key,
                place=store.id or "not live",
                total=store_total(store),
                is_alarming=store.failed or bool(unasked),
                unasked=list(unasked.items()),
                failed=[_answer_view(result, is_open=number < _OPEN_ANSWERS) for number, result in enumerate(failed)],
                passed=[_answer_view(result, is_open=False) for result in store.results if result.passed],
            )
        )
    return views


def _answer_view(result: QuestionResult, *, is_open: bool) -> AnswerView:
    labels = {each.rank: ("never", "delete") for each in result.broken}
    labels = {each.rank: ("expected", "add") for each in result.expected if each.rank} | labels
    most = max((hit.score for hit in result.hits), default=0.0)
    scale = 100 / max(most, 1.0)  # scores are mostly below 1
    found = [
        FoundDocument(hit.name, rank, hit.score, round(max(0.0, hit.score * scale), 1), *labels.get(rank, ()))
        for rank, hit in found_documents(result.hits).items()
    ]
    return AnswerView(result.question.ask, list(result_details(result, full=True)), found, is_open)
