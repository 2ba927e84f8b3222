"""Two environments side by side, for a terminal and for a program."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from vssync.document import document
from vssync.model.state import Scalar
from vssync.planner.environment_diff import EnvironmentDiff, Fields, StoreDiff
from vssync.render.layout import BELOW, View, field_lines, wrap_sentences
from vssync.text import count_noun, escape_ci_commands, escape_control

_SHOWN = 5  # files of one kind, unless everything is asked for


def diff_text(diff: EnvironmentDiff, view: View) -> str:
    """The differences for a terminal, in the order service, stores, and one line that sums up."""
    stores = count_noun(len(diff.stores), "store")
    same = f"Same content: {sum(pair.same_content for pair in diff.stores):,} of {stores}"
    problems = sum(any(pair.problems) for pair in diff.stores)
    same += f", {problems:,} not compared" if problems else ""
    blocks = [
        [escape_control(f"{diff.left} -> {diff.right}, {_state(diff)}")],
        *([["service", *_indented_fields(diff.service, view)]] if diff.service else []),
        *([*_store_lines(pair, diff, view)] for pair in diff.stores),
        [f"No differences in {stores}." if diff.same else f"{same}."],
    ]
    return escape_ci_commands("\n\n".join("\n".join(block) for block in blocks[-1 if view.quiet else 0 :]))


def _state(diff: EnvironmentDiff) -> str:
    return "live" if diff.is_live else "desired"


def _store_lines(pair: StoreDiff, diff: EnvironmentDiff, view: View) -> Iterator[str]:
    key = escape_control(pair.key)
    if any(pair.problems):
        yield f"{key}  not compared"
        yield from _side_lines("!", pair.problems, diff, view)
        return
    if not (pair.left and pair.right):
        side = pair.left or pair.right
        if side is None:
            yield f"{key}  not live on either side"
            return
        name = diff.left if pair.left else diff.right
        yield f"{key}  only in {escape_control(name)}, {count_noun(len(side.files), 'file')}"
        yield from _side_lines(" ", pair.notes, diff, view)
        return
    same_files = f"the same {count_noun(len(pair.left.files), 'file')}, digest {pair.digests[0][:16]}"
    yield f"{key}  {same_files if pair.same_content else 'different content'}"
    yield from _side_lines(" ", pair.notes, diff, view)
    yield from _indented_fields(pair.settings, view)
    for sign, keys, name in (("-", pair.only_left, diff.left), ("+", pair.only_right, diff.right)):
        if keys:
            yield from _key_list(sign, f"{count_noun(len(keys), 'file')} only in {escape_control(name)}", keys, view)
    by_fields = sorted(pair.changed, key=lambda row: repr(row[1]))
    for fields, rows in groupby(by_fields, key=lambda row: row[1]):
        keys = tuple(key for key, _ in rows)
        yield from _key_list("~", count_noun(len(keys), "file"), keys, view)
        yield from (f"    {line}" for line in _indented_fields(fields, view))


def _side_lines(sign: str, texts: tuple[str, str], diff: EnvironmentDiff, view: View) -> Iterator[str]:
    """What is said of either side, after its name."""
    for name, text in zip((diff.left, diff.right), texts, strict=True):
        lines = wrap_sentences(escape_control(f"{name}: {text}"), BELOW, view) if text else []
        yield from (f"  {sign if line is lines[0] else ' '}   {line}" for line in lines)


def _key_list(sign: str, label: str, keys: tuple[str, ...], view: View) -> Iterator[str]:
    shown = [escape_control(key) for key in (keys if view.full else keys[:_SHOWN])]
    rest = [f"and {len(keys) - len(shown):,} more"] if len(keys) > len(shown) else []
    first, *more = wrap_sentences(f"{label}: {', '.join([*shown, *rest])}", BELOW, view)
    yield f"  {sign}   {first}"
    yield from (f"{' ' * BELOW}{line}" for line in more)


def _indented_fields(fields: Fields, view: View) -> list[str]:
    return [f"    {line}" for line in field_lines(fields, view)]


def diff_json(diff: EnvironmentDiff) -> str:
    stores = {
        pair.key: {
            "in": [side for side, store in (("left", pair.left), ("right", pair.right)) if store],
            "same_content": pair.same_content,
            "digests": list(pair.digests),
            "problems": list(pair.problems),
            "notes": list(pair.notes),
            "settings": _field_values(pair.settings),
            "only_left": list(pair.only_left),
            "only_right": list(pair.only_right),
            "changed": {key: _field_values(fields) for key, fields in pair.changed},
        }
        for pair in diff.stores
    }
    sides = {"left": diff.left, "right": diff.right}
    service = _field_values(diff.service)
    return document("diff", state=_state(diff), **sides, same=diff.same, service=service, stores=stores)


def _field_values(fields: Fields) -> list[dict[str, Scalar | None]]:
    return [{"name": field.name, "left": field.before, "right": field.after} for field in fields]
