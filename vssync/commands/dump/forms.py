"""In which ways a manifest can write what a live file has: as it is, by its path, or by what the document says. Pure.

A form is a value as JSON, so that `true`, `1` and `"1"` differ. Of two forms that suit as many files, the one with the
lower rank is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from vssync.commands.dump.entries import DumpedFile
from vssync.commands.dump.matching import PATH, TEMPLATES
from vssync.limits import MAX_VALUE_LENGTH
from vssync.manifest.lookups import Lookup
from vssync.manifest.placeholders import (
    AmbiguousDollar,
    Placeholder,
    Template,
    escape_placeholders,
    format_template,
    parse_template,
    path_part,
    upload_name,
)
from vssync.model.state import Chunking, Scalar

Field = tuple[str, ...]  # ("filename",), ("chunking",) or ("attributes", its name)
Forms = Mapping[str, int]  # each form that says what a file has, and its rank
FILENAME: Field = ("filename",)
CHUNKING: Field = ("chunking",)
NONE = "null"
_DEFAULTS: Mapping[Field, str] = {FILENAME: json.dumps(PATH), CHUNKING: '"auto"'}
LITERAL, BY_PATH, BY_DOCUMENT, WITHIN_TEXT, ONLY_ITS_OWN = range(
    0, 1000, 200
)  # ranks; the last never suits several files
# Tried for every attribute: `front_matter` is the field of its name.
_SOURCES: tuple[Mapping[str, Any], ...] = (
    {"from": "front_matter"},
    {"from": "heading"},
    {"from": ["front_matter", "heading"]},
    {"from": "front_matter", "as": "epoch"},
    {"from": "front_matter.date"},
    {"from": "front_matter.date", "as": "epoch"},
    {"from": "front_matter", "join": ","},
    {"from": "front_matter", "join": "|"},
)
# The most telling part of a path first.
_PARTS: tuple[Template, ...] = (
    *((Placeholder(name),) for name in ("path", "name", "stem")),
    (Placeholder("dir"), "/", Placeholder("stem")),
    *((Placeholder(name),) for name in ("dir", "ext")),
)


def default_form(field: Field) -> str:
    """What a file has where a manifest says nothing."""
    return _DEFAULTS.get(field, NONE)


def fields_of(files: Iterable[DumpedFile]) -> tuple[Field, ...]:
    """All that any of these files has."""
    names = {name for file in files for name in file.attributes}
    return (FILENAME, CHUNKING, *(("attributes", name) for name in sorted(names)))


@cache
def lookups_for(name: str) -> Mapping[Lookup, str]:
    """What may be looked up in documents for an attribute, and its form; the plainest first."""
    return {Lookup.of(name, tree): json.dumps(tree) for tree in _SOURCES}


def forms_of(file: DumpedFile, field: Field, looked_up: Mapping[Lookup, Scalar] | None) -> Forms:
    """The forms that give a field of a file; none where the field does not matter.

    `looked_up` is what lookups give for the file, None where it was not read. A lookup that gives nothing suits a file
    without the attribute.
    """
    if field == FILENAME:
        return _filename_forms(file)
    if field == CHUNKING:
        return {_chunking_form(file.chunking): LITERAL}
    name = field[1]
    value = file.attributes.get(name)
    literal = json.dumps(escape_placeholders(value) if isinstance(value, str) else value)
    forms = {literal: LITERAL}
    if isinstance(value, str):
        for text, rank in _templates(value, file.position):
            if len(text) <= MAX_VALUE_LENGTH:
                forms.setdefault(json.dumps(text), rank)
    if looked_up is not None:
        for rank, (lookup, form) in enumerate(lookups_for(name).items(), BY_DOCUMENT):
            found = looked_up.get(lookup)
            if type(found) is type(value) and found == value:
                forms[form] = rank
    return forms


def _filename_forms(file: DumpedFile) -> Forms:
    if file.file_id:
        return {}
    if file.filename not in TEMPLATES:
        return {json.dumps(file.filename): ONLY_ITS_OWN}
    name = upload_name(parse_template(file.filename), file.path, "")
    same = (form for form in TEMPLATES if upload_name(parse_template(form), file.path, "") == name)
    return {json.dumps(form): rank for rank, form in enumerate(same)}


def _chunking_form(chunking: Chunking) -> str:
    return json.dumps("auto" if chunking.auto else {"size": chunking.size, "overlap": chunking.overlap})


def _templates(value: str, path: str) -> Iterator[tuple[str, int]]:
    """Texts with a placeholder that give this value for a path, and their ranks."""
    folders = path.split("/")[:-1]
    numbered = ((Placeholder(f"dir.{number}"),) for number in range(min(len(folders), 100)))
    for rank, part in enumerate((*numbered, *_PARTS)):
        text = "".join(each if isinstance(each, str) else path_part(path, each.name) for each in part)
        if text == value:
            yield format_template(part), BY_PATH + rank
        elif len(text) > 1:
            for start in {value.find(text), value.rfind(text)} - {-1}:
                try:
                    template = format_template((value[:start], *part, value[start + len(text) :]))
                except AmbiguousDollar:
                    continue
                yield template, WITHIN_TEXT + rank
    if "/" in value:
        yield _by_part(value, path), WITHIN_TEXT + len(folders) + len(_PARTS)


def _by_part(value: str, path: str) -> str:
    """A text with slashes, such as a URL: folders' names are replaced, and the stem in the last part that has it."""
    folders = path.split("/")[:-1]
    stem = path_part(path, "stem")
    parts = value.split("/")
    last = next((number for number in reversed(range(len(parts))) if stem in parts[number]), -1)
    texts = []
    for number, part in enumerate(parts):
        before, _, after = part.partition(stem)
        if number == last and not before.endswith("$"):  # which would make it a literal
            texts.append(f"{escape_placeholders(before)}${{stem}}{escape_placeholders(after)}")
        else:
            texts.append(f"${{dir.{folders.index(part)}}}" if part in folders else escape_placeholders(part))
    return "/".join(texts)
