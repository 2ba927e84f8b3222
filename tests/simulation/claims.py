"""Claims of a document: every place where its schema lets it say something, found by walking schema and document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
_ZEROS: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


@dataclass(slots=True)
class Claim:
    """One thing said. `name` is the same wherever a definition is used, as in `FileChange.action`.

    A list or a mapping is a claim of its own, `FileChange.drop[]`: that it is all. So is an object that may be null,
    `FileChange.keep?`. `holders` are the objects around the value, the innermost last; `path` leads to it.
    """

    name: str
    path: tuple[str | int, ...]
    value: Any
    holders: tuple[tuple[str, Any], ...] = ()

    @property
    def holder(self) -> dict[str, Any]:
        return self.within(self.holders[-1][0])

    def within(self, definition: str) -> dict[str, Any]:
        """The innermost object of a definition that this stands in; empty where it stands in none."""
        return next((value for name, value in reversed(self.holders) if name == definition), {})

    @property
    def place(self) -> str:
        return ".".join(map(str, self.path))


@cache
def schema_of(kind: str) -> Schema:
    """The schema of a kind of document; a `destroy` has the claims of a report."""
    path = Path(__file__).parents[2] / "schemas" / f"{kind}.schema.json"
    schema: Schema = json.loads(path.read_text("utf-8"))
    return schema


def possible_claims(kind: str) -> dict[str, Schema]:
    """All claims that documents of a kind can make, each with the schema of its value."""
    root, found = schema_of(kind), dict[str, Schema]()
    _collect(root, root, _title(kind), found)
    return found


def claims_of(kind: str, document: Mapping[str, Any]) -> Sequence[Claim]:
    """What a document says; what it leaves out, it says by its default."""
    root, found = schema_of(kind), list[Claim]()
    _walk(root, root, Claim(_title(kind), (), document), found)
    return found


def _title(kind: str) -> str:
    return "report" if kind == "destroy" else kind


_NO_SCHEMA: Schema = {}
_RESOLVED: dict[tuple[int, str], tuple[Schema, str, bool]] = {}  # by the schema, all of which live to the end


def _resolve(root: Schema, schema: Schema, name: str) -> tuple[Schema, str, bool]:
    """The schema that counts, the name of what it describes, and whether it may be null."""
    place = (id(schema), name)
    if place not in _RESOLVED:
        _RESOLVED[place] = _resolve_anew(root, schema, name)
    return _RESOLVED[place]


def _resolve_anew(root: Schema, schema: Schema, name: str) -> tuple[Schema, str, bool]:
    is_nullable = False
    while "$ref" in schema or ("oneOf" in schema and "properties" not in schema):
        if "oneOf" in schema:
            is_nullable = True
            (schema,) = (option for option in schema["oneOf"] if option.get("type") != "null")
        else:
            definition = schema["$ref"].rpartition("/")[2]
            schema = root["definitions"][definition]
            name = _unique(root, definition) if "properties" in schema else name
    return schema, name, is_nullable


def _unique(root: Schema, definition: str) -> str:
    """Documents call what is different a `Store`."""
    kind = root["$id"].split(":")[2]
    return f"{kind}.{definition}" if definition == "Store" else definition


def _collect(root: Schema, schema: Schema, name: str, found: dict[str, Schema]) -> None:
    schema, name, is_nullable = _resolve(root, schema, name)
    if schema.get("properties"):
        for field, inner in schema["properties"].items():
            place = f"{name}.{field}"
            inner_schema, _, nullable = _resolve(root, inner, place)
            if nullable and inner_schema.get("properties"):
                found[f"{place}?"] = inner_schema
            if place not in found and f"{place}[]" not in found and f"{place}{{}}" not in found:
                _collect(root, inner, place, found)
    elif suffix := _suffix(schema):
        found[name + suffix] = schema
        _collect_items(root, _items(schema), name + suffix, found)
    elif not is_nullable or not schema.get("properties"):
        found[name] = schema


def _collect_items(root: Schema, items: Schema, name: str, found: dict[str, Schema]) -> None:
    schema, _, _ = _resolve(root, items, name)
    if schema.get("properties"):
        _collect(root, items, name, found)


def _suffix(schema: Schema) -> str:
    return {"array": "[]", "object": "{}"}.get(str(schema.get("type")), "")


def _items(schema: Schema) -> Schema:
    items: Schema = schema.get("items") or schema.get("additionalProperties") or _NO_SCHEMA
    return items


def _walk(root: Schema, schema: Schema, claim: Claim, found: list[Claim]) -> None:
    schema, name, is_nullable = _resolve(root, schema, claim.name)
    value = claim.value
    if schema.get("properties"):
        if is_nullable:
            found.append(Claim(f"{claim.name}?", claim.path, value, claim.holders))
        if value is None:
            return
        holders = (*claim.holders, (name, value))
        for field, inner, place, default in _fields(root, schema, name):
            if field in value:
                _walk(root, inner, Claim(place, (*claim.path, field), value[field], holders), found)
            elif default is not _NOTHING:
                _walk(root, inner, Claim(place, (*claim.path, field), default, holders), found)
    elif suffix := _suffix(schema):
        found.append(Claim(name + suffix, claim.path, value, claim.holders))
        items = _items(schema)
        if _resolve(root, items, name)[0].get("properties"):
            for step, item in value.items() if suffix == "{}" else enumerate(value):
                _walk(root, items, Claim(name + suffix, (*claim.path, step), item, claim.holders), found)
    else:
        found.append(Claim(name, claim.path, value, claim.holders))


_NOTHING = object()  # what an absent field says that has no default
_FIELDS: dict[tuple[int, str], list[tuple[str, Schema, str, Any]]] = {}  # by the schema, as above


def _fields(root: Schema, schema: Schema, name: str) -> list[tuple[str, Schema, str, Any]]:
    """The fields of an object: each one's name, schema and claim, and what it says when it is absent."""
    place = (id(schema), name)
    if place not in _FIELDS:
        _FIELDS[place] = [
            (
                field,
                inner,
                f"{name}.{field}",
                _default(root, inner) if _says_by_default(root, schema, field) else _NOTHING,
            )
            for field, inner in schema["properties"].items()
        ]
    return _FIELDS[place]


def _says_by_default(root: Schema, schema: Schema, field: str) -> bool:
    """Whether an absent field claims something: an object's default is not in the schema, so one says nothing."""
    inner, _, is_nullable = _resolve(root, schema["properties"][field], "")
    return field not in schema.get("required", ()) and (is_nullable or not inner.get("properties"))


def _default(root: Schema, schema: Schema) -> Any:
    resolved, _, is_nullable = _resolve(root, schema, "")
    if "default" in schema or is_nullable:
        return schema.get("default")
    kind = resolved.get("type", "string")
    if isinstance(kind, list):
        return None if "null" in kind else _ZEROS[kind[0]]
    return _ZEROS[kind]
