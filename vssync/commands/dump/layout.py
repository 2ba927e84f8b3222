"""Says once what many files have in common: for all stores, at a store, at an entry, or in an override. Pure.

A form is written for a folder, or for all files of an extension, where it suits more than half of them (or fewer, if
that saves rules) and more than what is inherited there; then the same for the folders in it, and last for single files.
`manifest` reads the result back to make sure.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from posixpath import splitext
from typing import Any

from vssync.commands.dump.entries import DumpedFile
from vssync.commands.dump.forms import ONLY_ITS_OWN, Field, Forms, default_form, fields_of, forms_of
from vssync.commands.dump.patterns import PLAIN_SUFFIX, WIDE, cover_with_patterns, literal_pattern, relative_pattern
from vssync.manifest.globs import escape_pattern
from vssync.manifest.lookups import Lookup
from vssync.manifest.placeholders import escape_placeholders
from vssync.model.state import Scalar

Level = dict[Field, str]  # what a store, an entry or an override declares: a form for each field
LookedUp = Mapping[str, Mapping[Lookup, Scalar]]  # what lookups give, by path
SuffixOf = Callable[[str], str]  # the extension of a path by which files are grouped; empty for none
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_FILE_DEPTH = 1_000_000  # of an override for single files: after those of all folders


@dataclass(frozen=True, slots=True)
class DumpedEntry:
    """One of the store's `files`: a pattern or path, or a File's id with its key; and the files it stands for."""

    files: tuple[DumpedFile, ...]
    level: Level = field(default_factory=dict)
    path: str = ""
    key: str = ""
    exclude: tuple[str, ...] = ()

    def tree(self) -> dict[str, Any]:
        """The entry as a manifest declares it."""
        file_id = self.files[0].file_id
        source: dict[str, Any] = {"file_id": escape_placeholders(file_id)} if file_id else {"path": self.path}
        source |= {"exclude": list(self.exclude)} if self.exclude else {}
        key = {"key": escape_placeholders(self.key)} if self.key else {}
        return {**source, **key, **level_tree(self.level)}


@dataclass(frozen=True, slots=True)
class StoreLayout:
    """What the store declares for all files, its entries, and its overrides by pattern."""

    level: Level
    entries: tuple[DumpedEntry, ...]
    overrides: Mapping[str, Level] = field(default_factory=dict)

    def without(self, shared: Level) -> StoreLayout:
        """The layout of a store that inherits these."""
        return replace(self, level={name: form for name, form in self.level.items() if name not in shared})


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A file, by what patterns match, with the forms of one field."""

    position: str
    forms: Forms


@dataclass(frozen=True, slots=True)
class _Group:
    """Files that one filter matches, and no other of the store: those of an extension, in a folder."""

    leaves: tuple[_Leaf, ...]
    folder: str = ""  # with its slash
    suffix: str = ""

    @property
    def pattern(self) -> str:
        """The filter; empty for the whole store."""
        folder = escape_pattern(self.folder)
        return relative_pattern(f"{folder}**/*{self.suffix}" if self.suffix else folder.rstrip("/"))


@dataclass(frozen=True, slots=True)
class _Placement:
    """A form for the files that a filter matches. `is_nested` where another rule but the store's holds for them too."""

    pattern: str
    form: str
    positions: tuple[str, ...]
    depth: int
    is_nested: bool


def plain_layout(files: Sequence[DumpedFile]) -> StoreLayout:
    """An entry for each file, which declares all of it."""
    names = fields_of(files)
    entries = []
    for file in files:
        forms = {name: forms_of(file, name, None) for name in names}
        literal = {name: next(iter(each)) for name, each in forms.items() if each and default_form(name) not in each}
        entries.append(_single_entry(file, literal))
    return StoreLayout({}, tuple(entries))


def short_layout(files: Sequence[DumpedFile], local_names: Collection[str], looked_up: LookedUp) -> StoreLayout:
    """As few lines as say it. `local_names` are those of all local files that patterns could match."""
    by_path = {file.path: file for file in files if file.path and file.key == file.path}
    rules = {name: _rules_for(files, name, looked_up) for name in fields_of(files)}
    exceptions = {
        rule.positions[0] for each in rules.values() for rule in each if len(rule.positions) == 1 and rule.depth
    }
    entries = [_single_entry(file, {}) for file in files if file.position not in by_path]
    for cover in cover_with_patterns(by_path, local_names):
        chosen = tuple(by_path[name] for name in cover.names)
        if exceptions.issuperset(cover.names) or len(chosen) == 1:  # a pattern would not be shorter
            entries += [_single_entry(file, {}) for file in chosen]
        else:
            entries.append(DumpedEntry(chosen, {}, cover.pattern, exclude=cover.exclude))
    level: Level = {}
    overrides: dict[tuple[int, str], Level] = {}
    own_levels = {frozenset(file.position for file in entry.files): entry.level for entry in entries}
    for name, each in rules.items():
        for rule in each:
            own = None if rule.is_nested else own_levels.get(frozenset(rule.positions))
            if not rule.depth:
                own = level
            (overrides.setdefault((rule.depth, rule.pattern), {}) if own is None else own)[name] = rule.form
    entries.sort(key=lambda entry: (bool(entry.files[0].file_id), entry.files[0].position))
    return StoreLayout(level, tuple(entries), _joined_by_level(overrides))


def shared_level(layouts: Mapping[str, StoreLayout]) -> Level:
    """What all stores declare alike, by their keys; an attribute may be the store's key."""
    if len(layouts) < 2:
        return {}
    counts: Counter[tuple[Field, str]] = Counter()
    for key, layout in layouts.items():
        for name, form in layout.level.items():
            counts[name, form] += 1
            if form == json.dumps(key) and name[0] == "attributes":
                counts[name, json.dumps("${store}")] += 1
    return {name: form for (name, form), count in counts.items() if count == len(layouts)}


def level_tree(level: Level) -> dict[str, Any]:
    """A level as a manifest declares it."""
    values: dict[Field, Any] = {name: json.loads(form) for name, form in sorted(level.items())}
    tree = {name[0]: value for name, value in values.items() if len(name) == 1}
    if attributes := {name[1]: value for name, value in values.items() if len(name) > 1}:
        tree["attributes"] = attributes
    return {name: tree[name] for name in ("filename", "chunking", "attributes") if name in tree}


def _single_entry(file: DumpedFile, level: Level) -> DumpedEntry:
    if file.file_id:
        return DumpedEntry((file,), level, key=file.key)
    return DumpedEntry((file,), level, literal_pattern(file.path), "" if file.key == file.path else file.key)


def _rules_for(files: Sequence[DumpedFile], name: Field, looked_up: LookedUp) -> list[_Placement]:
    """The fewest rules that give a field: by folder, by extension (`.md`), or by the last two (`.de.md`)."""
    forms = ((file, forms_of(file, name, looked_up.get(file.path) if file.path else None)) for file in files)
    store = _Group(tuple(_Leaf(file.position, each) for file, each in forms if each))
    kinds: tuple[SuffixOf | None, ...] = (None, _suffix_of, _two_suffixes_of)
    tries = ([*_place(store, default_form(name), suffix_of, share)] for share in (0.5, 0.0) for suffix_of in kinds)
    return min(tries, key=len)


def _place(
    group: _Group, inherited: str, suffix_of: SuffixOf | None, share: float, *, depth: int = 0, is_nested: bool = False
) -> Iterator[_Placement]:
    counts: Counter[str] = Counter()
    ranks: dict[str, int] = {}
    for leaf in group.leaves:
        for form, rank in leaf.forms.items():
            if rank < ONLY_ITS_OWN:
                counts[form] += 1
                ranks[form] = rank
    best = max(counts, key=lambda form: (counts[form], form == inherited, -ranks[form], form), default=inherited)
    if counts[best] > counts[inherited] and counts[best] > share * len(group.leaves):
        yield _Placement(group.pattern, best, tuple(leaf.position for leaf in group.leaves), depth, is_nested)
        inherited, is_nested = best, is_nested or depth > 0
    if counts[inherited] == len(group.leaves):
        return
    groups, singles = _split(group, suffix_of)
    for inner in groups:
        yield from _place(inner, inherited, suffix_of, share, depth=depth + 1, is_nested=is_nested)
    for leaf in singles:
        if inherited not in leaf.forms:
            form = min(leaf.forms, key=lambda each: (leaf.forms[each], each))
            yield _Placement(literal_pattern(leaf.position), form, (leaf.position,), _FILE_DEPTH, is_nested)


def _split(group: _Group, suffix_of: SuffixOf | None) -> tuple[list[_Group], list[_Leaf]]:
    """The groups within a group, by extension or else by the next folder, and the files that are in none."""
    inside: dict[tuple[str, str], list[_Leaf]] = {}
    singles: list[_Leaf] = []
    for leaf in group.leaves:
        if suffix_of and not group.suffix:
            place = "", suffix_of(leaf.position)
        else:
            place = leaf.position[: leaf.position.find("/", len(group.folder)) + 1], group.suffix
        is_inside = place not in (("", ""), ("", group.suffix))
        (inside.setdefault(place, []) if is_inside else singles).append(leaf)
    singles += [leaves[0] for leaves in inside.values() if len(leaves) == 1]
    return [_Group(tuple(leaves), *place) for place, leaves in inside.items() if len(leaves) > 1], singles


def _suffix_of(path: str) -> str:
    suffix = splitext(path)[1]
    return suffix if PLAIN_SUFFIX.fullmatch(suffix) else ""


def _two_suffixes_of(path: str) -> str:
    last = _suffix_of(path)
    before = _suffix_of(path.removesuffix(last)) if last else ""
    return before + last if before else ""


def _joined_by_level(overrides: Mapping[tuple[int, str], Level]) -> dict[str, Level]:
    """The overrides in their order, outer ones first; files of a folder that have the same exception in one pattern."""
    joined: dict[str, Level] = {}
    alike: dict[tuple[str, str, str], list[str]] = {}  # by level, folder and extension
    for (depth, pattern), level in sorted(overrides.items(), key=lambda each: each[0]):
        folder, _, name = pattern.rpartition("/")
        stem, suffix = splitext(name)
        if depth == _FILE_DEPTH and _PLAIN_NAME.fullmatch(name):
            alike.setdefault((json.dumps(sorted(level.items())), folder, suffix), []).append(stem)
        else:
            joined[pattern] = level
    for (text, folder, suffix), stems in alike.items():
        level = {tuple(name): form for name, form in json.loads(text)}
        start = f"{folder}/" if folder else ""
        for names in _lists_within(stems, WIDE):
            name = f"{{{','.join(names)}}}" if len(names) > 1 else names[0]
            joined[f"{start}{name}{suffix}"] = level
    return joined


def _lists_within(words: Sequence[str], width: int) -> Iterator[list[str]]:
    """The words in their order, in lists that take at most so many characters each."""
    words_here: list[str] = []
    for word in words:
        if words_here and len(",".join((*words_here, word))) > width:
            yield words_here
            words_here = []
        words_here.append(word)
    yield words_here
